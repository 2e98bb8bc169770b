"""One worker's account of a load, kept in bytes that other processes see: it outlives the process that writes it.

Everything has its place from the start, so a process that is killed between two words leaves all that it wrote before.
Numbers are in the machine's own byte order; nobody on another machine reads them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from cicada.limits import LOAD, WIRE
from launcher.load.histogram import SLOTS, Counts, slot_for
from launcher.load.plan import BROADCAST, LOOKUP, LoadPlan

if TYPE_CHECKING:
    from mmap import mmap

_WORD: Final = 8  # bytes
_SMALL: Final = 4  # bytes; no load has 2^32 operations
_HOPS: Final = WIRE.max_path + 1
_BLOCK: Final = 1024 * _SMALL  # bytes of a histogram that are looked at together; most are all zeros
_HISTOGRAM: Final = (SLOTS + 1) * _SMALL
_REASON: Final = _WORD + LOAD.reason_bytes
_ENTRY: Final = 3  # words of a lookup: owner, began, ended
OTHER_REASONS: Final = "other reasons"


class Tally(IntEnum):
    """What is counted for each kind of operation."""

    STARTED = 0
    LATE = 1
    SUCCEEDED = 2
    FAILED = 3
    DROPPED = 4


class Count(IntEnum):
    """What is counted of messages, where they arrive or by their receipts."""

    DUPLICATED = 0
    ALTERED = 1
    WRONG_PEER = 2
    FOREIGN = 3
    OUT_OF_ORDER = 4
    COPY_INTACT = 5
    COPY_ALTERED = 6
    COPY_LOST = 7
    COPY_UNATTRIBUTED = 8
    REPEATED = 9  # broadcasts that arrived where they had arrived before


class Mark(IntEnum):
    """What is known of each sent message by its number: one bitmap each."""

    SENT = 0
    ACKNOWLEDGED = 1
    FAILED = 2
    RECEIVED = 3


class Looked(msgspec.Struct, frozen=True):
    """A lookup that found an owner, which is named by the first 64 bits of its place. Times in seconds from the start."""

    rank: int
    owner: int
    began: float
    ended: float


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger has room for."""

    count: int
    ops: tuple[str, ...]
    peers: int
    groups: int
    broadcasts: int
    lookups: int

    @classmethod
    def of(cls, plan: LoadPlan) -> Layout:
        """As large as the plan needs."""
        of_kind = plan.draws.of_kind
        return cls(
            count=plan.count,
            ops=tuple(plan.ops),
            peers=len(plan.peers),
            groups=len(plan.groups),
            broadcasts=of_kind(BROADCAST) if BROADCAST in plan.ops else 0,
            lookups=of_kind(LOOKUP) if LOOKUP in plan.ops else 0,
        )

    @property
    def side_bytes(self) -> int:
        """For who got which broadcast, and for what lookups found."""
        return self.broadcasts * _bytes_for(self.peers) + self.lookups * _ENTRY * _WORD

    @property
    def bytes(self) -> int:
        """Of the whole ledger: half a byte for each operation, and some hundred KiB."""
        op = len(Tally) * _WORD + 2 * _HISTOGRAM + 2 * LOAD.reasons * _REASON
        bank = (len(Count) + _HOPS + 2 * self.groups) * _WORD + _HISTOGRAM + len(self.ops) * op
        return 2 * bank + _WORD + len(Mark) * _bytes_for(self.count) + self.side_bytes


class _Buffer:
    """Hands out consecutive parts of a buffer, and lets go of them all."""

    def __init__(self, buffer: bytearray | mmap) -> None:
        self._whole = memoryview(buffer)
        self._views: list[memoryview[int] | memoryview[float]] = []
        self._at = 0

    def take(self, size: int) -> memoryview[int]:
        view = self._whole[self._at : self._at + size]
        self._at += size
        self._views.append(view)
        return view

    def words(self, number: int) -> memoryview[int]:
        return self._kept(self.take(number * _WORD).cast("Q"))

    def reals(self, number: int) -> memoryview[float]:
        view = self.take(number * _WORD).cast("d")
        self._views.append(view)
        return view

    def histogram(self) -> memoryview[int]:
        return self._kept(self.take(_HISTOGRAM).cast("I"))

    def _kept(self, view: memoryview[int]) -> memoryview[int]:
        self._views.append(view)
        return view

    def release(self) -> None:
        for view in reversed(self._views):
            view.release()
        self._whole.release()


class Ledger:
    """The account in ``buffer``, which is ``layout.bytes`` long and begins as zeros.

    One process writes, and another may go on where it died; any may read. ``warm`` holds what began in the warm-up, ``main``
    everything else; marks, reach and lookups are of the latter only. ``release`` it before its buffer is closed.
    """

    def __init__(self, buffer: bytearray | mmap, layout: Layout) -> None:
        self._buffer = _Buffer(buffer)
        self.main = Bank(self._buffer, layout)
        self.warm = Bank(self._buffer, layout)
        self._last = self._buffer.reals(1)
        self._marks = [self._buffer.take(_bytes_for(layout.count)) for _ in Mark]
        self._row = _bytes_for(layout.peers)
        self._reach = self._buffer.take(layout.broadcasts * self._row)
        size = layout.lookups * _ENTRY
        self._side = self._buffer.take(size * _WORD)
        self._owners, self._times = self._side.cast("Q"), self._side.cast("d")
        self._buffer._views += [self._owners, self._times]

    def release(self) -> None:
        """Let go of the buffer. The ledger is of no use afterwards. Idempotent."""
        self._buffer.release()

    def mark(self, what: Mark, number: int) -> bool:
        """Know this of message ``number``. False: it was known."""
        return _set(self._marks[what], number)

    def sent_at(self, seconds: float) -> None:
        """An operation began so many seconds after the start of the load."""
        self._last[0] = max(self._last[0], seconds)

    def reach(self, rank: int, peer: int) -> bool:
        """Broadcast ``rank`` arrived at peer ``peer``. False: it had before."""
        return _set(self._reach, 8 * rank * self._row + peer)

    def looked_up(self, rank: int, owner: int, began: float, ended: float) -> None:
        """Lookup ``rank`` found this owner."""
        entry = rank * _ENTRY
        self._owners[entry], self._times[entry + 1], self._times[entry + 2] = owner, began, ended

    def marks(self, what: Mark) -> int:
        """The numbers of which this is known, as bits."""
        return int.from_bytes(self._marks[what], "little")

    @property
    def seconds(self) -> float:
        """From the start of the load to the last operation that began."""
        return self._last[0]

    def begun_broadcasts(self) -> Iterator[int]:
        """The ranks of the broadcasts that arrived somewhere, or began."""
        return _rows_in(self._reach, self._row)

    def reached(self, rank: int) -> int:
        """Where broadcast ``rank`` arrived, or began, a bit for each peer."""
        return int.from_bytes(self._reach[rank * self._row : (rank + 1) * self._row], "little")

    def lookups(self) -> Iterator[Looked]:
        """Those that found somebody."""
        for rank in _rows_in(self._side, _ENTRY * _WORD):
            entry = rank * _ENTRY
            if ended := self._times[entry + 2]:
                yield Looked(rank, self._owners[entry], self._times[entry + 1], ended)


class Bank:
    """Counters and histograms of a ledger."""

    def __init__(self, buffer: _Buffer, layout: Layout) -> None:
        self._counts = buffer.words(len(Count))
        self._hops = buffer.words(_HOPS)
        self._arrived = buffer.words(layout.groups)
        self._astray = buffer.words(layout.groups)
        self._spread = buffer.histogram()
        self.ops = {op: OpBank(buffer) for op in layout.ops}

    def sent_to(self, group: int, *, arrived: bool) -> None:
        """A message to a peer of this group was acknowledged, or its receipt says failed."""
        if arrived:
            self._arrived[group] += 1
        else:
            self._astray[group] += 1

    def by_group(self) -> list[tuple[int, int]]:
        """Of each group, the messages to its peers that were acknowledged, and those that failed."""
        return list(zip(self._arrived, self._astray, strict=True))

    def count(self, what: Count) -> None:
        """One more."""
        self._counts[what] += 1

    def crossed(self, hops: int) -> None:
        """An acknowledged message crossed so many links."""
        self._hops[min(hops, _HOPS - 1)] += 1

    def spread(self, seconds: float) -> None:
        """A broadcast arrived at some peer so many seconds after its intended start."""
        self._spread[slot_for(seconds)] += 1

    def __getitem__(self, what: Count) -> int:
        return self._counts[what]

    def hops(self) -> Counter[int]:
        """Links that acknowledged messages crossed, and how many messages crossed so many."""
        return Counter({hops: times for hops, times in enumerate(self._hops) if times})

    def spreads(self) -> Counts:
        """The times after which broadcasts arrived."""
        return _counts_in(self._spread)


class OpBank:
    """The same for one kind of operation."""

    def __init__(self, buffer: _Buffer) -> None:
        self._tallies = buffer.words(len(Tally))
        self._response = buffer.histogram()
        self._service = buffer.histogram()
        self._failures = _Reasons(buffer)
        self._drops = _Reasons(buffer)

    def count(self, what: Tally) -> None:
        """One more."""
        self._tallies[what] += 1

    def took(self, response: float, service: float) -> None:
        """One succeeded, so many seconds after its intended and its actual start."""
        self._tallies[Tally.SUCCEEDED] += 1
        self._response[slot_for(response)] += 1
        self._service[slot_for(service)] += 1

    def failed(self, reason: str) -> None:
        """One failed. Reasons past the last slot but one are counted together."""
        self._tallies[Tally.FAILED] += 1
        self._failures.add(reason)

    def dropped(self, reason: str) -> None:
        """One never began."""
        self._tallies[Tally.DROPPED] += 1
        self._drops.add(reason)

    def __getitem__(self, what: Tally) -> int:
        return self._tallies[what]

    def response(self) -> Counts:
        """Times from the intended start to success."""
        return _counts_in(self._response)

    def service(self) -> Counts:
        """Times from the actual start to success."""
        return _counts_in(self._service)

    def failures(self) -> Counter[str]:
        """Why operations failed, and how many did."""
        return self._failures.counts()

    def drops(self) -> Counter[str]:
        """Why operations never began, and how many."""
        return self._drops.counts()


class _Reasons:
    """Counts by reason, each of which takes the next free slot when it first comes."""

    def __init__(self, buffer: _Buffer) -> None:
        self._places = [buffer.take(_REASON) for _ in range(LOAD.reasons)]
        self._slots = {reason: slot for slot, (reason, _) in enumerate(self.named())}

    def add(self, reason: str) -> None:
        slot = self._slots.get(reason)
        if slot is None:
            slot = self._new_slot(reason)
        times = int.from_bytes(self._places[slot][:_WORD], "little") + 1
        self._places[slot][:_WORD] = times.to_bytes(_WORD, "little")

    def _new_slot(self, reason: str) -> int:
        reason = reason if len(self._slots) < LOAD.reasons - 1 else OTHER_REASONS
        slot = self._slots.setdefault(reason, len(self._slots))
        text = reason.encode()[: LOAD.reason_bytes]
        self._places[slot][_WORD : _WORD + len(text)] = text
        return slot

    def counts(self) -> Counter[str]:
        """Reasons that differ only beyond what is kept of them are one."""
        total: Counter[str] = Counter()
        for reason, times in self.named():
            total[reason] += times
        return total

    def named(self) -> Iterator[tuple[str, int]]:
        for place in self._places:
            if text := bytes(place[_WORD:]).rstrip(b"\0"):
                yield text.decode(errors="replace"), int.from_bytes(place[:_WORD], "little")


def _set(bitmap: memoryview[int], number: int) -> bool:
    bit = 1 << (number & 7)
    fresh = not bitmap[number >> 3] & bit
    bitmap[number >> 3] |= bit
    return fresh


def _counts_in(histogram: memoryview[int]) -> Counts:
    found: Counts = Counter()
    whole = histogram.tobytes()
    for start in range(0, len(whole), _BLOCK):
        if whole[start : start + _BLOCK].strip(b"\0"):
            first = start // _SMALL
            block = histogram[first : first + _BLOCK // _SMALL]
            found.update({first + slot: times for slot, times in enumerate(block) if times})
    return found


def _rows_in(table: memoryview[int], row: int) -> Iterator[int]:
    """Which rows hold anything, in order. Most of a closed load's never do."""
    last = -1
    for found in re.finditer(rb"[^\0]+", table.tobytes()):
        for number in range(max(last + 1, found.start() // row), (found.end() - 1) // row + 1):
            yield number
            last = number


def _bytes_for(bits: int) -> int:
    """For so many bits, in whole words, so that what follows stands where words may."""
    return (bits + 63) // 64 * _WORD
