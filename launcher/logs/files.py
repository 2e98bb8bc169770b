"""Log files of bounded size: ``<name>.jsonl`` is the newest, ``<name>.1.jsonl`` the one before."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cicada.limits import LOG, LogLimits

SUFFIX = ".jsonl"

_PRIVATE = 0o600
_GENERATION = re.compile(r"(?P<name>[^.]+)(?:\.(?P<number>[0-9]+))?\.jsonl")


def log_path(folder: Path, name: str, generation: int = 0) -> Path:
    """The file of ``name``; a generation above 0 is that many files older."""
    return folder / (f"{name}.{generation}{SUFFIX}" if generation else f"{name}{SUFFIX}")


def logged_names(folder: Path) -> list[str]:
    """Whoever has a log in the folder, sorted. Empty when there is no folder."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    matches = (_GENERATION.fullmatch(entry) for entry in entries)
    return sorted({match["name"] for match in matches if match})


class LogFiles:
    """Appends lines to the files in ``folder``. No file is held open: a worker has more peers than descriptors to spare.

    One process writes the files of a name. Use on one thread.
    """

    def __init__(self, folder: Path, limits: LogLimits = LOG) -> None:
        self._folder = folder
        self._limits = limits

    def append(self, name: str, lines: Sequence[bytes]) -> None:
        """Write whole lines, each with its end. Begins a new file whenever the present one would grow too large.

        Raises OSError when they cannot be written; some of them may have been.
        """
        rest = lines
        while rest:
            rest = self._append_some(name, rest)
            if rest:
                self._rotate(name)

    def _append_some(self, name: str, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Write as many as fit into the present file, or one into an empty file; returns the others."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(log_path(self._folder, name), flags, _PRIVATE)
        try:
            size = os.fstat(descriptor).st_size
            torn = (
                size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            )  # somebody was killed while writing
            fitting = _fitting(lines, self._limits.file - size - torn)
            if not fitting and not size:
                fitting = 1
            if fitting:
                _write_all(descriptor, (b"\n" if torn else b"") + b"".join(lines[:fitting]))
        finally:
            os.close(descriptor)
        return lines[fitting:]

    def _rotate(self, name: str) -> None:
        for generation in reversed(range(self._limits.files - 1)):
            older = log_path(self._folder, name, generation + 1)
            try:
                log_path(self._folder, name, generation).replace(older)
            except FileNotFoundError:
                continue
        if self._limits.files == 1:
            log_path(self._folder, name).unlink()


def _fitting(lines: Iterable[bytes], room: int) -> int:
    """How many of the lines, from the first on, fit into so many bytes."""
    count = 0
    for line in lines:
        room -= len(line)
        if room < 0:
            break
        count += 1
    return count


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
