"""Frames between the helper process and its owner: a length of four bytes, then MessagePack."""

from __future__ import annotations

import os
from typing import Final, TypeVar

import msgspec

from cicada.errors import CicadaError
from cicada.limits import NAT
from cicada.nat.requests import Asked, Said

T = TypeVar("T", Asked, Said)

_PREFIX: Final = 4
_encode: Final = msgspec.msgpack.Encoder().encode


class BrokenPipe(CicadaError):
    """The other end is gone, or says what is no frame: end."""


def write_frame(descriptor: int, value: Asked | Said) -> None:
    """Write all of it. Raises BrokenPipe."""
    body = _encode(value)
    left = memoryview(len(body).to_bytes(_PREFIX, "big") + body)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError as error:
        raise BrokenPipe(f"cannot write: {error.strerror}") from None


def read_frame(descriptor: int, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Wait for the next frame. Raises BrokenPipe."""
    size = int.from_bytes(_read(descriptor, _PREFIX), "big")
    if size > NAT.max_frame:
        raise BrokenPipe(f"a frame of {size} bytes")
    try:
        return decoder.decode(_read(descriptor, size))
    except msgspec.DecodeError as error:
        raise BrokenPipe(f"no frame: {error}") from None


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        try:
            more = os.read(descriptor, size - len(data))
        except OSError as error:
            raise BrokenPipe(f"cannot read: {error.strerror}") from None
        if not more:
            raise BrokenPipe("the end of the pipe")
        data += more
    return data
