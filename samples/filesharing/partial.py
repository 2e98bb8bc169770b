"""A file that is being fetched, and beside it a journal by which another process goes on after this one was killed.

``DIGEST.part`` has the chunks at their places. ``DIGEST.journal`` has the list of chunks, then the number of each chunk that was
written, four bytes each, in the order of writing. The journal is only a hint: whoever resumes hashes the chunks that it names,
so a torn entry, a stale page after a power failure, or somebody else's hand costs those chunks and never the file.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from cicada.errors import MalformedMessage, Unavailable
from samples.filesharing.chunks import Bitmap, ChunkList, checked

_LENGTH: Final = struct.Struct(">I")
_ENTRY: Final = struct.Struct(">I")

Progress = Callable[[int], object]
"""Told how many bytes more have been looked at."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What a journal begins with."""

    chunks: ChunkList
    name: str  # that the file is to have


class Partial:
    """A file that is partly there. Only one process has it at a time; close it."""

    def __init__(self, folder: Path, digest: bytes, *, create: bool) -> None:
        self.path = folder / f"{digest.hex()}.part"
        self._journal_path = self.path.with_suffix(".journal")
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._file = os.open(self.path, flags, 0o666)
        try:
            self._lock()
            self._journal = os.open(self._journal_path, flags | os.O_APPEND, 0o666)
        except BaseException:
            os.close(self._file)
            raise

    @classmethod
    def begin(cls, folder: Path, chunks: ChunkList, name: str) -> Self:
        """An empty one. Raises Unavailable when another process has it, OSError when the folder cannot be written."""
        partial = cls(folder, chunks.digest, create=True)
        head = msgspec.msgpack.encode(Head(chunks, name))
        os.ftruncate(partial._journal, 0)
        _write(partial._journal, _LENGTH.pack(len(head)) + head)
        os.ftruncate(partial._file, chunks.size)
        return partial

    @classmethod
    def resume(
        cls, folder: Path, digest: bytes, progress: Progress = lambda _: None
    ) -> tuple[Self, Head, Bitmap] | None:
        """What an earlier process left, with the chunks that are right; None when it left nothing of use. ``progress`` is told of
        bytes as they are hashed; what it raises ends this."""
        try:
            partial = cls(folder, digest, create=False)
        except FileNotFoundError:
            return None
        try:
            found = partial._read(digest)
            if found is not None:
                head, entries = found
                return partial, head, partial._right(head.chunks, entries, progress)
        except BaseException:
            partial.close()
            raise
        partial.close()
        return None

    def store(self, chunks: ChunkList, index: int, data: bytes) -> None:
        """Write a chunk, then say so in the journal."""
        _write_at(self._file, data, index * chunks.chunk)
        _write(self._journal, _ENTRY.pack(index))

    def finish(self, folder: Path, name: str) -> Path:
        """Give the complete file its name, or one like it that is free; returns where it is. Closes it."""
        os.fsync(self._file)
        target = _free(folder, name)
        self.path.replace(target)
        self._journal_path.unlink(missing_ok=True)
        self.close()
        return target

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)
        os.close(self._journal)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"{self.path} is being fetched by another process: wait for it") from None

    def _read(self, digest: bytes) -> tuple[Head, list[int]] | None:
        raw = self._journal_path.read_bytes()
        end = _LENGTH.size + (_LENGTH.unpack_from(raw)[0] if len(raw) >= _LENGTH.size else 0)
        try:
            head = msgspec.msgpack.decode(raw[_LENGTH.size : end], type=Head)
            checked(head.chunks, digest)
        except (msgspec.MsgspecError, ValueError, RecursionError, MalformedMessage):
            return None
        whole = (len(raw) - end) // _ENTRY.size * _ENTRY.size
        os.ftruncate(self._journal, end + whole)  # or the next entry would follow half of one
        return head, [index for (index,) in _ENTRY.iter_unpack(raw[end : end + whole])]

    def _right(self, chunks: ChunkList, entries: list[int], progress: Progress) -> Bitmap:
        have = Bitmap(chunks.count)
        for index in set(entries):
            if index < chunks.count:
                data = os.pread(self._file, chunks.length(index), index * chunks.chunk)
                progress(len(data))
                if chunks.proves(index, data):
                    have.add(index)
        os.ftruncate(self._file, chunks.size)
        return have


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _free(folder: Path, name: str) -> Path:
    """A name that nothing had, and has an empty file now: whoever looks for one at the same time gets another."""
    number = 1
    while True:
        wished = Path(name)
        target = folder / (name if number == 1 else f"{wished.stem} ({number}){wished.suffix}")
        try:
            target.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return target
