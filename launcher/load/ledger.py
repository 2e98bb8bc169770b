"""One worker's account of a load, kept in bytes that other processes see: it outlives the process that writes it.

Everything has its place from the start, so a process that is killed between two words leaves all that it wrote before.
Numbers are in the machine's own byte order; nobody on another machine reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import IntEnum
from math import ceil, log
from typing import TYPE_CHECKING, Final, TypeVar

from cicada.limits import LOAD, WIRE

if TYPE_CHECKING:
    from mmap import mmap

K = TypeVar("K", int, float)

_WORD: Final = 8  # bytes
_SMALL: Final = 4  # bytes; no load has 2^32 messages
_HOPS: Final = WIRE.max_path + 1
_STEP: Final = log(LOAD.latency_ratio)
_BUCKETS: Final = ceil(log(LOAD.latency_max / LOAD.latency_min) / _STEP) + 1
_SLOT: Final = _WORD + LOAD.reason_bytes
OTHER_REASONS: Final = "other reasons"


class Count(IntEnum):
    """What is counted, and where."""

    SENT = 0
    LATE = 1
    ACKNOWLEDGED = 2
    FAILED = 3
    DUPLICATED = 4
    ALTERED = 5
    WRONG_PEER = 6
    FOREIGN = 7
    COPY_INTACT = 8
    COPY_ALTERED = 9
    COPY_LOST = 10
    COPY_UNATTRIBUTED = 11


class Mark(IntEnum):
    """What is known of each message by its number: one bitmap each."""

    SENT = 0
    ACKNOWLEDGED = 1
    FAILED = 2
    RECEIVED = 3


class _Real(IntEnum):
    """Seconds."""

    LAST_SENT = 0
    LONGEST = 1


class Ledger:
    """The account in ``buffer``, which is ``ledger_bytes(count)`` long and begins as zeros.

    One process writes, and another may go on where it died; any may read. ``release`` it before its buffer is closed.
    """

    def __init__(self, buffer: bytearray | mmap, count: int) -> None:
        self._whole = memoryview(buffer)
        self._views: list[memoryview[int] | memoryview[float]] = []
        self._at = 0
        self._counts = self._take(len(Count) * _WORD).cast("Q")
        self._reals = self._take(len(_Real) * _WORD).cast("d")
        self._hops = self._take(_HOPS * _WORD).cast("Q")
        self._latencies = self._take(_BUCKETS * _SMALL).cast("I")
        self._reasons = [self._take(_SLOT) for _ in range(LOAD.reasons)]
        self._marks = [self._take(_bytes_for(count)) for _ in Mark]
        self._views += [self._counts, self._reals, self._hops, self._latencies]
        self._slots = {reason: slot for slot, (reason, _) in enumerate(self._named())}

    def _take(self, size: int) -> memoryview[int]:
        view = self._whole[self._at : self._at + size]
        self._at += size
        self._views.append(view)
        return view

    def release(self) -> None:
        """Let go of the buffer. The ledger is of no use afterwards. Idempotent."""
        for view in reversed(self._views):
            view.release()
        self._whole.release()

    # Writing

    def count(self, what: Count) -> None:
        """One more."""
        self._counts[what] += 1

    def mark(self, what: Mark, number: int) -> bool:
        """Know this of message ``number``. False: it was known."""
        bitmap, bit = self._marks[what], 1 << (number & 7)
        fresh = not bitmap[number >> 3] & bit
        bitmap[number >> 3] |= bit
        return fresh

    def sent_at(self, seconds: float) -> None:
        """A message left so many seconds after the start of the load."""
        self._reals[_Real.LAST_SENT] = max(self._reals[_Real.LAST_SENT], seconds)

    def took(self, seconds: float, hops: int) -> None:
        """An acknowledged message had this latency, and crossed so many links."""
        self._hops[min(hops, _HOPS - 1)] += 1
        self._latencies[_bucket(seconds)] += 1
        self._reals[_Real.LONGEST] = max(self._reals[_Real.LONGEST], seconds)

    def failed_because(self, reason: str) -> None:
        """A message failed. Reasons past the last slot but one are counted together."""
        slot = self._slots.get(reason)
        if slot is None:
            reason = reason if len(self._slots) < LOAD.reasons - 1 else OTHER_REASONS
            slot = self._slots.setdefault(reason, len(self._slots))
            text = reason.encode()[: LOAD.reason_bytes]
            self._reasons[slot][_WORD : _WORD + len(text)] = text
        times = int.from_bytes(self._reasons[slot][:_WORD], "little") + 1
        self._reasons[slot][:_WORD] = times.to_bytes(_WORD, "little")

    # Reading

    def __getitem__(self, what: Count) -> int:
        return self._counts[what]

    def marks(self, what: Mark) -> int:
        """The numbers of which this is known, as bits."""
        return int.from_bytes(self._marks[what], "little")

    @property
    def seconds(self) -> float:
        """From the start of the load to the last message that left."""
        return self._reals[_Real.LAST_SENT]

    @property
    def longest(self) -> float:
        """The largest latency, exactly, in seconds."""
        return self._reals[_Real.LONGEST]

    def hops(self) -> Counter[int]:
        """Links that acknowledged messages crossed, and how many messages crossed so many."""
        return Counter({hops: times for hops, times in enumerate(self._hops) if times})

    def latencies(self) -> Counter[float]:
        """Latencies in seconds, within ``LOAD.latency_ratio`` of the true ones, and how many messages had them."""
        return Counter({_seconds(index): times for index, times in enumerate(self._latencies) if times})

    def failures(self) -> Counter[str]:
        """Why messages failed, and how many did."""
        return Counter(dict(self._named()))

    def _named(self) -> Iterator[tuple[str, int]]:
        for slot in self._reasons:
            if text := bytes(slot[_WORD:]).rstrip(b"\0"):
                yield text.decode(errors="replace"), int.from_bytes(slot[:_WORD], "little")


def ledger_bytes(count: int) -> int:
    """Bytes of a ledger for so many messages: half a byte for each, and some 100 KiB."""
    words = (len(Count) + len(_Real) + _HOPS) * _WORD + _BUCKETS * _SMALL
    return words + LOAD.reasons * _SLOT + len(Mark) * _bytes_for(count)


def percentile(counts: Mapping[K, int], share: float) -> K | None:
    """Nearest rank: the smallest value that at least ``share`` of all do not exceed; None when there are none."""
    rank = max(1, ceil(share * sum(counts.values())))
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return None


def _bucket(seconds: float) -> int:
    if seconds <= LOAD.latency_min:
        return 0
    return min(_BUCKETS - 1, round(log(seconds / LOAD.latency_min) / _STEP))


def _seconds(bucket: int) -> float:
    return LOAD.latency_min * LOAD.latency_ratio**bucket


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8
