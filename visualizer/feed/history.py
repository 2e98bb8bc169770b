"""What came so far, packed, and folds to start from: any instant of it can be looked at again."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from itertools import pairwise
from typing import Final

import msgspec

from cicada.bus.snapshot import Snapshot
from cicada.bus.tolerant import Unknown
from cicada.events import Envelope
from visualizer.feed.limits import (
    CHECKPOINTS,
    CHUNK,
    CLUSTER_MS,
    EVENTS,
    LEAP_MS,
    MARKS,
    ODD,
    SNAPSHOTS,
)
from visualizer.model.bounds import LATEST_MS
from visualizer.model.fold import SwarmFold
from visualizer.model.marks import is_trouble
from visualizer.model.state import Change, Mark, SwarmState

Item = Snapshot | Envelope | Unknown

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Envelope | None])
_FAST: Final = 1


class Stamper:
    """Makes one clock of the times that many sources tell: it never goes back, nor a day ahead for one event's sake."""

    def __init__(self) -> None:
        self._last = 0
        self._odd = 0

    def stamp(self, time_ms: int) -> int:
        """When something happened, by this clock."""
        last = self._last
        if last <= time_ms <= last + LEAP_MS:
            self._last, self._odd = time_ms, 0
        elif last < time_ms <= LATEST_MS:
            self._odd += 1
            if self._odd >= ODD or not last:
                self._last, self._odd = time_ms, 0
        return self._last


class _Chunk:
    """Some items in a row, the first of which is number ``start``. ``base`` is the fold right before them; in a chunk that begins
    with a snapshot it is the one right after that, and the snapshot itself is not kept."""

    __slots__ = ("base", "is_pinned", "items", "packed", "stamps", "start", "unknown")

    def __init__(self, start: int, base: SwarmFold | None, *, is_pinned: bool) -> None:
        self.start = start
        self.base = base
        self.is_pinned = is_pinned
        self.stamps = array("q")
        self.items: list[Envelope | Unknown | None] = []
        self.packed = b""
        self.unknown: dict[int, Unknown] = {}

    @property
    def end(self) -> int:
        """The number of the item after the last one."""
        return self.start + len(self.stamps)

    def pack(self) -> None:
        """Keep the items in a fifth of the room. What cannot be packed (a number without end) stays as it is."""
        told = [item if isinstance(item, Envelope) else None for item in self.items]
        try:
            self.packed = zlib.compress(_encoder.encode(told), _FAST)
        except (msgspec.MsgspecError, OverflowError, ValueError):
            return
        self.unknown = {at: item for at, item in enumerate(self.items) if isinstance(item, Unknown)}
        self.items = []

    def unpacked(self) -> list[Envelope | Unknown | None]:
        """The items; None in place of a snapshot."""
        if not self.packed:
            return self.items
        told: list[Envelope | Unknown | None] = [*_decoder.decode(zlib.decompress(self.packed))]
        for at, item in self.unknown.items():
            told[at] = item
        return told


class History:
    """Everything that came, up to a bound; the oldest is forgotten. Items have numbers from 0, and number n of a state is what n
    items made of it. ``newest`` is the fold of all of them. ``add`` is all that changes it.
    """

    def __init__(self, *, events: int = EVENTS, chunk: int = CHUNK, checkpoints: int = CHECKPOINTS) -> None:
        self._events_max = events
        self._chunk_size = chunk
        self._checkpoints_max = checkpoints
        self._stamper = Stamper()
        self._chunks = [_Chunk(0, SwarmFold(), is_pinned=False)]
        self._cursor = (0, SwarmFold())
        self._opened: tuple[_Chunk | None, list[Envelope | Unknown | None]] = (None, [])
        self._last_mark: Mark | None = None
        self.newest = SwarmFold()
        self.marks: list[Mark] = []
        """On the timeline, by its clock."""

    def add(self, item: Item) -> Change | None:
        """One more item. Says what it was about; None for what is no event."""
        if isinstance(item, Snapshot):
            self.newest.reset(item)
            self._begin_chunk(is_pinned=True)
            self._keep(None, item.time_ms)
            return None
        if len(self._chunks[-1].stamps) >= self._chunk_size:
            self._begin_chunk(is_pinned=False)
        if isinstance(item, Unknown):
            self.newest.note_unknown(item)
            self._keep(item, item.time_ms)
            return None
        change = self.newest.apply(item)
        self._keep(item, item.time_ms)
        return change

    @property
    def first(self) -> int:
        """The number of the earliest state that is known."""
        return self._chunks[0].start

    @property
    def end(self) -> int:
        """The number of the newest state."""
        return self._chunks[-1].end

    @property
    def first_ms(self) -> int:
        """When the first item came that is known, 0: there is none."""
        return next((chunk.stamps[0] for chunk in self._chunks if chunk.stamps), 0)

    @property
    def last_ms(self) -> int:
        """When the last item came, 0: there is none."""
        return next((chunk.stamps[-1] for chunk in reversed(self._chunks) if chunk.stamps), 0)

    def number_at(self, ms: float) -> int:
        """The number of the state at an instant: of all items until then, itself included."""
        chunk = self._chunk_at(ms)
        return chunk.start + bisect_right(chunk.stamps, ms)

    def time_of(self, number: int) -> int:
        """When a state began."""
        if number <= self.first:
            return self.first_ms
        chunk = self._chunk_of(min(number, self.end))
        return chunk.stamps[min(number, self.end) - chunk.start - 1]

    def state_at(self, ms: float) -> SwarmState:
        """The state at an instant, by the timeline's clock. It is nobody else's, and never changes."""
        return self.state_of(self.number_at(ms))

    def state_of(self, number: int) -> SwarmState:
        """The state of a number, the nearest one that is known. It is nobody else's, and never changes."""
        return self._fold_of(max(self.first, min(number, self.end))).state

    def histogram(self, buckets: int) -> list[int]:
        """How many items came in each of so many equal parts of the time from first to last."""
        start, span = self.first_ms, self.last_ms - self.first_ms
        if buckets < 1 or self.end == self.first:
            return [0] * max(0, buckets)
        edges = [self.number_at(start + span * (index + 1) / buckets) for index in range(buckets - 1)]
        numbers = [self.first, *edges, self.end]
        return [after - before for before, after in pairwise(numbers)]

    def next_fault(self, ms: float) -> int | None:
        """When the next trouble begins after an instant. What follows trouble closely is a part of it. None: there is no more."""
        before = float("-inf")
        for mark in self.marks:
            if is_trouble(mark):
                if mark.time_ms > ms and mark.time_ms - before > CLUSTER_MS:
                    return mark.time_ms
                before = mark.time_ms
        return None

    # Keeping

    def _keep(self, item: Envelope | Unknown | None, time_ms: int) -> None:
        chunk = self._chunks[-1]
        stamp = self._stamper.stamp(time_ms)
        chunk.items.append(item)
        chunk.stamps.append(stamp)
        marks = self.newest.marks
        if marks and marks[-1] is not self._last_mark:
            self._last_mark = marks[-1]
            self.marks.append(marks[-1]._replace(time_ms=stamp))
            if len(self.marks) > MARKS:
                del self.marks[: MARKS // 4]

    def _begin_chunk(self, *, is_pinned: bool) -> None:
        if self._chunks[-1].stamps:
            self._chunks[-1].pack()
            chunk = _Chunk(self.end, None, is_pinned=is_pinned)
            self._chunks.append(chunk)
        chunk = self._chunks[-1]
        chunk.base, chunk.is_pinned = self.newest.copy(), is_pinned
        self._thin_out()
        while self.end - self.first > self._events_max or self._pinned > SNAPSHOTS:
            self._forget_oldest()

    @property
    def _pinned(self) -> int:
        return sum(chunk.is_pinned for chunk in self._chunks)

    def _thin_out(self) -> None:
        """Every second fold to start from is given up, when there are too many. The first one and the last one stay."""
        loose = [chunk for chunk in self._chunks[1:-1] if chunk.base is not None and not chunk.is_pinned]
        if len(loose) > self._checkpoints_max:
            for chunk in loose[::2]:
                chunk.base = None

    def _forget_oldest(self) -> None:
        following = self._chunks[1]
        if following.base is None:
            following.base = self._fold_of(following.start).copy()
        del self._chunks[0]

    # Looking

    def _chunk_at(self, ms: float) -> _Chunk:
        """The last chunk that begins no later."""
        after = bisect_right(self._chunks, ms, key=lambda chunk: chunk.stamps[0] if chunk.stamps else ms + 1)
        return self._chunks[max(0, after - 1)]

    def _chunk_of(self, number: int) -> _Chunk:
        """The chunk whose items led to a state."""
        after = bisect_right(self._chunks, number - 1, key=lambda chunk: chunk.start)
        return self._chunks[max(0, after - 1)]

    def _fold_of(self, number: int) -> SwarmFold:
        if self._cursor[0] != number:
            self._cursor = (number, self._folded(number))
        return self._cursor[1]

    def _folded(self, number: int) -> SwarmFold:
        """Fold from the nearest state before that is at hand."""
        if number == self.end:
            return self.newest.copy()
        index = self._chunks.index(self._chunk_of(number))
        while self._chunks[index].base is None:
            index -= 1
        chunk = self._chunks[index]
        reached, base = chunk.start + chunk.is_pinned, chunk.base
        if reached <= self._cursor[0] <= number or base is None:
            reached, base = self._cursor
        fold = base.copy()
        while reached < number:
            chunk = self._chunk_of(reached + 1)
            for item in self._items(chunk)[reached - chunk.start : number - chunk.start]:
                _apply(fold, item)
            reached = min(number, chunk.end)
        return fold

    def _items(self, chunk: _Chunk) -> list[Envelope | Unknown | None]:
        if not chunk.packed:
            return chunk.items
        if self._opened[0] is not chunk:
            self._opened = (chunk, chunk.unpacked())
        return self._opened[1]


def _apply(fold: SwarmFold, item: Envelope | Unknown | None) -> None:
    if isinstance(item, Envelope):
        fold.apply(item)
    elif item is not None:
        fold.note_unknown(item)
