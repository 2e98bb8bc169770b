"""The files that a peer shares. Each is hashed once: its list is kept for as long as its size and time of change stay."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import platformdirs

from cicada.errors import Misuse
from samples.filesharing.chunks import CHUNK, MOST_CHUNKS, ChunkList, list_of

MOST_FILES: Final = 10_000  # of one peer; a folder named by mistake has more

Progress = Callable[[int], object]


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """By what a file is known to be unchanged."""

    size: int
    mtime_ns: int
    inode: int


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a file."""

    path: bytes
    stamp: Stamp
    chunks: ChunkList


class Shared(NamedTuple):
    """One file that is shared."""

    path: Path
    stamp: Stamp
    chunks: ChunkList

    def read(self, index: int) -> bytes | None:
        """A chunk; None when the file is not what was hashed any more."""
        try:
            with self.path.open("rb") as file:
                if stamp_of(os.fstat(file.fileno())) != self.stamp:
                    return None
                file.seek(index * self.chunks.chunk)
                return file.read(self.chunks.length(index))
        except OSError:
            return None


def stamp_of(stat: os.stat_result) -> Stamp:
    """Of an open file, or one that was looked at."""
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those in folders at any depth that are not hidden. Raises Misuse for what is neither."""
    count = 0
    for path in paths:
        if not path.is_file() and not path.is_dir():
            raise Misuse(f"{path} is neither a file nor a folder")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if file.is_file() and not hidden:
                count += 1
                if count > MOST_FILES:
                    raise Misuse(f"more than {MOST_FILES} files: share a smaller folder")
                yield file


def shared(
    path: Path, *, cache: Path | None = None, chunk: int = CHUNK, progress: Progress = lambda _: None
) -> Shared:
    """A file as it is now, hashed unless that was done before. ``progress`` is told of bytes as they are read.

    Raises Misuse when it is too large or changes meanwhile, and OSError when it cannot be read.
    """
    path = path.resolve()
    stamp = stamp_of(path.stat())
    if stamp.size > MOST_CHUNKS * chunk:
        raise Misuse(f"{path} is too large: at most {MOST_CHUNKS * chunk} bytes")
    folder = platformdirs.user_cache_path("cicada") / "fileshare" if cache is None else cache
    kept = folder / hashlib.sha256(os.fsencode(path)).hexdigest()
    chunks = _known(kept, os.fsencode(path), stamp, chunk)
    if chunks is None:
        chunks = list_of(_pieces(path, chunk, progress), chunk)
        if stamp_of(path.stat()) != stamp:
            raise Misuse(f"{path} changes while it is read: share it when it is finished")
        _keep(kept, Kept(os.fsencode(path), stamp, chunks))
    return Shared(path, stamp, chunks)


def _pieces(path: Path, chunk: int, progress: Progress) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(chunk):
            progress(len(piece))
            yield piece


def _known(kept: Path, path: bytes, stamp: Stamp, chunk: int) -> ChunkList | None:
    try:
        found = msgspec.msgpack.decode(kept.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found.chunks if (found.path, found.stamp, found.chunks.chunk) == (path, stamp, chunk) else None


def _keep(kept: Path, entry: Kept) -> None:
    """Best effort: without it the file is hashed again next time."""
    new = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(msgspec.msgpack.encode(entry))
        new.replace(kept)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
