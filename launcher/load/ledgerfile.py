"""A ledger in a file that several processes map: what one of them wrote is there when it has been killed."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from cicada.errors import Unavailable
from launcher.load.ledger import Ledger, ledger_bytes

_PRIVATE = 0o600
_PIECE = 1024 * 1024


class LedgerFile:
    """The ledger in an existing file, mapped until ``close``; a context manager. Raises Unavailable when unreadable."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._map = mmap.mmap(descriptor, ledger_bytes(count))
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the load's account {path} cannot be opened: {error}") from None
        self.ledger = Ledger(self._map, count)

    @classmethod
    def create(cls, path: Path, count: int) -> Self:
        """A new, private one. Its disk space is taken now: a disk that fills up later would kill whoever writes.

        Raises Unavailable when there is no space, or the file cannot be made.
        """
        try:
            _reserve(path, ledger_bytes(count))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise Unavailable(f"the load's account cannot be kept in {path}: {error.strerror}") from None
        return cls(path, count)

    def close(self) -> None:
        """Let go of the mapping; the file stays. Idempotent."""
        self.ledger.release()
        self._map.close()

    def remove(self) -> None:
        """Close it and delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reserve(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        for start in range(0, size, _PIECE):
            file.write(bytes(min(_PIECE, size - start)))
