"""A file as a list of hashes of its chunks, the digest that names that list, and which chunks one has."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from cicada.errors import MalformedMessage

KIB: Final = 1024
MIB: Final = 1024 * KIB
CHUNK: Final = (
    512 * KIB
)  # benchmarks/fileshare.py --chunk: smaller ones ask more often, larger ones gain nothing
LEAST_CHUNK: Final = 16 * KIB  # below it the list is as large as what it lists
MOST_CHUNK: Final = 4 * MIB  # a message may have 16 MiB; several must fit into the windows of one fetch
MOST_CHUNKS: Final = 256 * KIB  # of one list, 8 MiB: half a message. With CHUNK that is a file of 128 GiB
HASH_BYTES: Final = hashlib.sha256().digest_size
_HEADER: Final = struct.Struct(">8sQI")
_MARK: Final = b"cicada-1"


class ChunkList(msgspec.Struct, frozen=True, array_like=True):
    """What a file consists of: its size, the size of its chunks, and the SHA-256 of each, one after the other. All but the last
    chunk have ``chunk`` bytes."""

    size: int
    chunk: int
    hashes: bytes

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return -(-self.size // self.chunk)

    @property
    def digest(self) -> bytes:
        """The name of exactly this list, and so of exactly these contents."""
        return hashlib.sha256(_HEADER.pack(_MARK, self.size, self.chunk) + self.hashes).digest()

    def length(self, index: int) -> int:
        """Bytes of a chunk."""
        return min(self.chunk, self.size - index * self.chunk)

    def proves(self, index: int, data: bytes) -> bool:
        """Whether ``data`` is that chunk."""
        here = index * HASH_BYTES
        return (
            0 <= index < self.count
            and len(data) == self.length(index)
            and hashlib.sha256(data).digest() == self.hashes[here : here + HASH_BYTES]
        )


def checked(chunks: ChunkList, digest: bytes) -> ChunkList:
    """The list, if the digest names it and it can be one. Raises MalformedMessage: who sent it lies or is broken."""
    if not LEAST_CHUNK <= chunks.chunk <= MOST_CHUNK or chunks.size < 0:
        raise MalformedMessage("chunk-list: sizes out of range")
    if chunks.count > MOST_CHUNKS or len(chunks.hashes) != chunks.count * HASH_BYTES:
        raise MalformedMessage("chunk-list: number of hashes")
    if chunks.digest != digest:
        raise MalformedMessage("chunk-list: another digest")
    return chunks


def list_of(pieces: Iterable[bytes], chunk: int = CHUNK) -> ChunkList:
    """The list of a file that comes in chunks of that size."""
    size, hashes = 0, bytearray()
    for piece in pieces:
        size += len(piece)
        hashes += hashlib.sha256(piece).digest()
    return ChunkList(size, chunk, bytes(hashes))


class Bitmap:
    """A set of chunk numbers below ``count``, one bit each."""

    __slots__ = ("_bits", "count", "held")

    def __init__(self, count: int, members: Iterable[int] = ()) -> None:
        self.count = count
        self.held = 0
        self._bits = bytearray((count + 7) // 8)
        for member in members:
            self.add(member)

    def add(self, index: int) -> None:
        """Put one in. Raises IndexError for one that is not below ``count``."""
        if not 0 <= index < self.count:
            raise IndexError(f"chunk {index} of {self.count}")
        self.held += index not in self
        self._bits[index >> 3] |= 1 << (index & 7)

    def __contains__(self, index: int) -> bool:
        return bool(self._bits[index >> 3] >> (index & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        return (index for index in range(self.count) if index in self)

    @property
    def complete(self) -> bool:
        """Whether none is missing."""
        return self.held == self.count
