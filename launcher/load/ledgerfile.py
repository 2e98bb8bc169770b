"""A ledger in a file that several processes map: what one of them wrote is there when it has been killed."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from cicada.errors import Unavailable
from launcher.load.ledger import Layout, Ledger

_PRIVATE = 0o600
_PIECE = 1024 * 1024


class LedgerFile:
    """The ledger in an existing file, mapped until ``close``; a context manager. Raises Unavailable when unreadable."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._map = mmap.mmap(descriptor, layout.bytes)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the load's account {path} cannot be opened: {error}") from None
        self.ledger = Ledger(self._map, layout)

    @classmethod
    def create(cls, path: Path, layout: Layout) -> Self:
        """A new, private one. Its disk space is taken now: a disk that fills up later would kill whoever writes.

        Raises Unavailable when there is no space, or the file cannot be made.
        """
        try:
            _reserve(path, layout.bytes)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise Unavailable(f"the load's account cannot be kept in {path}: {error.strerror}") from None
        try:
            return cls(path, layout)
        except Unavailable:
            path.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Let go of the mapping; the file stays. Idempotent."""
        self.ledger.release()
        self._map.close()

    def remove(self) -> None:
        """Delete the file and close it. Raises BufferError while another thread reads it; the file is gone then too."""
        self.path.unlink(missing_ok=True)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reserve(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        if _allocated(descriptor, size):
            return
        for start in range(0, size, _PIECE):
            file.write(bytes(min(_PIECE, size - start)))


def _allocated(descriptor: int, size: int) -> bool:
    """Whether the system took the space by itself. Raises OSError when there is none."""
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # this file system cannot
            return False
        raise
    return True
