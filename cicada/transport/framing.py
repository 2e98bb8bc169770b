"""A byte stream cut into frames by their length prefix, however the bytes are split into chunks.

Every byte is copied at most twice, and a wrong length is noticed with its fourth byte, so that nobody can make us wait
for, or hold, more than one frame.
"""

from __future__ import annotations

from typing import Final

from cicada.errors import PeerFault
from cicada.wire.frames import FRAME_TYPES, HEADER, LENGTH, PREFIXED, Frame

_PREFIX: Final = LENGTH.size
_LEAST: Final = PREFIXED.size
_HEADER: Final = HEADER.size
_unpack: Final = PREFIXED.unpack_from
_type_of: Final = FRAME_TYPES.get


class FrameSplitter:
    """The receiving side of one stream. ``max_frame`` (bytes, prefix excluded) may be changed between chunks."""

    __slots__ = ("_fault", "_tail", "max_frame")

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self._tail = bytearray()
        self._fault = ""

    def feed(self, chunk: bytes, frames: list[Frame]) -> None:
        """Append the frames that ``chunk`` completes to ``frames``.

        Raises PeerFault (``frame-size``, ``frame-type``) once the frames before the fault are appended. A stream has no
        second chance: every later call raises the same.
        """
        if self._fault:
            raise PeerFault(self._fault)
        start = self._complete(chunk, frames) if self._tail else 0
        if not self._tail:
            self._cut(chunk, start, frames)

    def _cut(self, chunk: bytes, start: int, frames: list[Frame]) -> None:
        """The whole frames of ``chunk`` from ``start`` on; the rest becomes the tail."""
        size = len(chunk)
        append = frames.append
        while size - start >= _LEAST:
            length, number, index, counter = _unpack(chunk, start)
            body = start + _LEAST
            end = start + _PREFIX + length
            if not _HEADER <= length <= self.max_frame:
                raise self._faulty("frame-size")
            if end > size:
                break
            kind = _type_of(number)
            if kind is None:
                raise self._faulty("frame-type")
            append(Frame(kind, index, counter, chunk[start + _PREFIX : body], chunk[body:end]))
            start = end
        if start < size:
            self._tail += chunk[start:]
            self._whole_size()

    def _complete(self, chunk: bytes, frames: list[Frame]) -> int:
        """Fill the tail up to one whole frame, and cut it. Returns how many bytes of ``chunk`` that took."""
        tail = self._tail
        used = 0
        if len(tail) < _PREFIX:
            used = min(_PREFIX - len(tail), len(chunk))
            tail += chunk[:used]
        if len(tail) >= _PREFIX:
            missing = self._whole_size() - len(tail)
            piece = chunk[used : used + missing]
            tail += piece
            used += len(piece)
            if len(piece) == missing:
                self._tail = bytearray()
                self._cut(bytes(tail), 0, frames)
        return used

    def _whole_size(self) -> int:
        """Size of the frame that the tail begins, prefix included; 0 while its length is not known."""
        if len(self._tail) < _PREFIX:
            return 0
        (length,) = LENGTH.unpack_from(self._tail)
        if not _HEADER <= length <= self.max_frame:
            raise self._faulty("frame-size")
        return _PREFIX + int(length)

    def _faulty(self, reason: str) -> PeerFault:
        self._fault = reason
        self._tail = bytearray()
        return PeerFault(reason)
