"""An open-loop load and the account of what became of it: what is sent when, and what arrived where, how often, intact.

Every worker is given the same plan, sends its share of it and accounts for what its own peers receive. Nothing here
sends, waits or reads a clock. Latencies count from the intended start, so a stalled sender cannot hide its stall.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from cicada.commands import LoadProgress, LoadResult, RunLoad
from cicada.errors import Misuse, PayloadTooLarge
from cicada.ids import Address
from cicada.limits import DELIVERY, LOAD, WIRE
from cicada.routing.io import Fate
from launcher.load.ledger import Count, Ledger, Mark, percentile

K = TypeVar("K")

_MAGIC: Final = b"CLD1"
_HEAD: Final = struct.Struct(
    ">4sQQIId"
)  # magic, run, number, index of source, index of target, intended start
_DIGEST_BYTES: Final = 16

MIN_PAYLOAD: Final = _HEAD.size + _DIGEST_BYTES
"""Bytes of the smallest payload that can be accounted for."""


class LoadPeer(msgspec.Struct, frozen=True):
    """A peer that sends and receives."""

    name: str
    address: Address


class Shot(msgspec.Struct, frozen=True):
    """One message of a load. ``number`` counts from 0 over the whole load, ``at`` is in seconds from its start."""

    number: int
    at: float
    source: LoadPeer
    target: LoadPeer


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole load. ``run`` tells its messages from those of other loads; ``timeout`` in seconds is each send's."""

    run: int
    rate: float
    count: int
    payload: int
    seed: int
    timeout: float
    peers: tuple[LoadPeer, ...]
    duplicates: int | None = None

    @property
    def duration(self) -> float:
        """Seconds from the first intended start to the last."""
        return (self.count - 1) / self.rate

    def shots(self, sources: Collection[str] | None = None) -> Iterator[Shot]:
        """All messages in order of time, or those that the named ``sources`` send. The same for the same seed."""
        chance = random.Random(self.seed)
        size = len(self.peers)
        for number in range(self.count):
            source = chance.randrange(size)
            target = (source + chance.randrange(1, size)) % size
            if sources is None or self.peers[source].name in sources:
                yield Shot(number, number / self.rate, self.peers[source], self.peers[target])


class LoadShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker sends: the messages whose source is among ``sources``."""

    plan: LoadPlan
    sources: tuple[str, ...]

    def shots(self) -> Iterator[Shot]:
        """This worker's messages, in order of time."""
        return self.plan.shots(frozenset(self.sources))


def check_load(command: RunLoad) -> int:
    """How many messages the command means. Raises Misuse when no swarm could carry it out, saying what to change."""
    count = _count(command)
    if command.payload < MIN_PAYLOAD:
        raise Misuse(
            f"a payload of {command.payload} bytes cannot be accounted for: use at least {MIN_PAYLOAD}"
        )
    if command.payload > WIRE.max_message:
        raise PayloadTooLarge(command.payload, WIRE.max_message)
    if command.timeout <= 0:
        raise Misuse("the time-out must be more than 0 s")
    if command.duplicates is not None and not 0 <= command.duplicates < DELIVERY.copies_max:
        raise Misuse(f"{command.duplicates} duplicates: use 0 to {DELIVERY.copies_max - 1}")
    return count


def plan_load(command: RunLoad, peers: Sequence[LoadPeer], run: int) -> LoadPlan:
    """The plan for a command. Raises Misuse when it cannot be carried out, saying what to change."""
    count = check_load(command)
    if len(peers) < 2:
        raise Misuse(f"a load needs two peers in the ring, there are {len(peers)}: join some first")
    return LoadPlan(
        run=run,
        rate=command.rate,
        count=count,
        payload=command.payload,
        seed=command.seed,
        timeout=command.timeout,
        peers=tuple(peers),
        duplicates=command.duplicates,
    )


def _count(command: RunLoad) -> int:
    if not 0 < command.rate < float("inf"):
        raise Misuse("the rate must be a number of messages a second above 0")
    if command.count is not None and command.duration is not None:
        raise Misuse("give a count or a duration, not both")
    count = command.count
    if count is None:
        count = round(
            command.rate * (LOAD.default_duration if command.duration is None else command.duration)
        )
    if not 1 <= count <= LOAD.max_messages:
        raise Misuse(f"a load of {count} messages: use 1 to {LOAD.max_messages}")
    return count


class Letter(msgspec.Struct, frozen=True):
    """What an intact payload says. ``source`` and ``target`` index the plan's peers."""

    run: int
    number: int
    source: int
    target: int
    at: float


class Accountant:
    """Keeps one worker's account of a load in a ledger: of what its peers sent, and of what they received."""

    def __init__(self, plan: LoadPlan, ledger: Ledger) -> None:
        self._plan = plan
        self._index = {peer.name: index for index, peer in enumerate(plan.peers)}
        self._ledger = ledger

    def payload_of(self, shot: Shot) -> bytes:
        """The bytes to send: they say which message they are, and carry a hash of themselves."""
        head = _HEAD.pack(
            _MAGIC,
            self._plan.run,
            shot.number,
            self._index[shot.source.name],
            self._index[shot.target.name],
            shot.at,
        )
        body = head + bytes(self._plan.payload - MIN_PAYLOAD)
        return body + _digest(body)

    def sent(self, shot: Shot, behind: float) -> None:
        """A message leaves, ``behind`` seconds after its intended start. Say so before it can arrive."""
        ledger = self._ledger
        ledger.mark(Mark.SENT, shot.number)
        ledger.count(Count.SENT)
        ledger.sent_at(shot.at + behind)
        if behind > LOAD.late:
            ledger.count(Count.LATE)

    def acknowledged(self, number: int, *, hops: int, latency: float) -> None:
        """The receipt of a message says delivered, ``latency`` seconds after its intended start."""
        ledger = self._ledger
        ledger.mark(Mark.ACKNOWLEDGED, number)
        ledger.count(Count.ACKNOWLEDGED)
        ledger.took(latency, hops)

    def failed(self, number: int, reason: str) -> None:
        """The receipt of a message says failed."""
        ledger = self._ledger
        ledger.mark(Mark.FAILED, number)
        ledger.count(Count.FAILED)
        ledger.failed_because(reason)

    def copy(self, fate: Fate) -> None:
        """What became of one copy of a message, as its receipt says."""
        self._ledger.count(_FATES[fate])

    def received(self, peer: str, source: Address, payload: bytes) -> None:
        """Hosted ``peer`` took this message, which came from ``source``, out of its mailbox."""
        what = self._judge(peer, source, payload)
        if what is not None:
            self._ledger.count(what)

    def _judge(self, peer: str, source: Address, payload: bytes) -> Count | None:
        """What is wrong with a message; None: nothing, and now it is marked as received."""
        if not payload.startswith(_MAGIC):
            return Count.FOREIGN
        letter = _read(payload)
        if letter is None:
            return Count.ALTERED
        if not self._is_planned(letter):
            return Count.FOREIGN
        if self._plan.peers[letter.target].name != peer:
            return Count.WRONG_PEER
        if self._plan.peers[letter.source].address != source:
            return Count.ALTERED
        return None if self._ledger.mark(Mark.RECEIVED, letter.number) else Count.DUPLICATED

    def _is_planned(self, letter: Letter) -> bool:
        size = len(self._plan.peers)
        known = letter.number < self._plan.count and letter.source < size and letter.target < size
        return known and letter.run == self._plan.run


def progress(plan: LoadPlan, ledgers: Iterable[Ledger], seconds: float) -> LoadProgress:
    """How far a load is that began ``seconds`` ago."""
    every = tuple(ledgers)
    return LoadProgress(
        planned=plan.count,
        sent=sum(ledger[Count.SENT] for ledger in every),
        acknowledged=sum(ledger[Count.ACKNOWLEDGED] for ledger in every),
        failed=sum(ledger[Count.FAILED] for ledger in every),
        seconds=seconds,
    )


def merge(
    plan: LoadPlan,
    ledgers: Iterable[Ledger],
    died: tuple[str, ...] = (),
    bereft: Mapping[str, float] = MappingProxyType({}),
) -> LoadResult:
    """The account of the whole load. A message received at two workers counts as delivered once and duplicated once.

    ``died`` names the workers whose processes ended meanwhile, ``bereft`` the peers that they hosted, and when, in
    seconds from the start, that was over: what was for them until then, was acknowledged and was not read is reported
    apart. Takes some seconds for millions of messages.
    """
    every = tuple(ledgers)
    fates = _fates(plan, every, bereft)
    failures = _sum(ledger.failures() for ledger in every)
    hops = _sum(ledger.hops() for ledger in every)
    latencies = _sum(ledger.latencies() for ledger in every)
    longest = max((ledger.longest for ledger in every), default=0.0)
    sent = fates.sent.bit_count()
    seconds = max((ledger.seconds for ledger in every), default=0.0)
    return LoadResult(
        planned=plan.count,
        sent=sent,
        delivered=fates.received.bit_count(),
        lost=fates.lost.bit_count(),
        failed=failures.total(),
        duplicated=fates.twice + sum(ledger[Count.DUPLICATED] for ledger in every),
        altered=sum(ledger[Count.ALTERED] for ledger in every),
        wrong_peer=sum(ledger[Count.WRONG_PEER] for ledger in every),
        acknowledged=fates.acknowledged.bit_count(),
        acknowledged_lost=(fates.lost & fates.acknowledged).bit_count(),
        died_with_worker=fates.died.bit_count(),
        unfinished=fates.unfinished.bit_count(),
        late_starts=sum(ledger[Count.LATE] for ledger in every),
        rate=plan.rate,
        achieved_rate=sent / seconds if seconds else 0.0,
        seconds=seconds,
        latency_p50_s=min(longest, percentile(latencies, 0.50) or 0.0),
        latency_p99_s=min(longest, percentile(latencies, 0.99) or 0.0),
        latency_max_s=longest,
        hops_mean=sum(step * times for step, times in hops.items()) / hops.total() if hops else 0.0,
        hops_p99=float(percentile(hops, 0.99) or 0),
        hops_max=max(hops, default=0),
        failures=dict(failures),
        died=died,
        copies={fate.value: total for fate in _FATES if (total := _copies(every, fate))},
    )


_FATES: Final = {
    Fate.INTACT: Count.COPY_INTACT,
    Fate.ALTERED: Count.COPY_ALTERED,
    Fate.LOST: Count.COPY_LOST,
    Fate.UNATTRIBUTED: Count.COPY_UNATTRIBUTED,
}


def _copies(ledgers: Iterable[Ledger], fate: Fate) -> int:
    return sum(ledger[_FATES[fate]] for ledger in ledgers)


class _Fates(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages, each a set of numbers as bits; ``twice`` were received at two workers."""

    sent: int
    acknowledged: int
    unfinished: int
    received: int
    died: int
    lost: int
    twice: int


def _fates(plan: LoadPlan, ledgers: Sequence[Ledger], bereft: Mapping[str, float]) -> _Fates:
    received, twice = _union(ledger.marks(Mark.RECEIVED) for ledger in ledgers)
    sent, _ = _union(ledger.marks(Mark.SENT) for ledger in ledgers)
    acknowledged, _ = _union(ledger.marks(Mark.ACKNOWLEDGED) for ledger in ledgers)
    failed, _ = _union(ledger.marks(Mark.FAILED) for ledger in ledgers)
    unfinished = sent & ~acknowledged & ~failed
    unread = acknowledged & ~received
    died = unread & _bound_for(plan, bereft) if unread and bereft else 0
    return _Fates(
        sent=sent,
        acknowledged=acknowledged,
        unfinished=unfinished,
        received=received,
        died=died,
        lost=sent & ~received & ~unfinished & ~died,
        twice=twice,
    )


def _bound_for(plan: LoadPlan, targets: Mapping[str, float]) -> int:
    """The messages that were to leave for one of these peers until the time beside it, as bits."""
    bitmap = bytearray(plan.count // 8 + 1)
    for shot in plan.shots():
        if shot.at <= targets.get(shot.target.name, -1.0):
            bitmap[shot.number >> 3] |= 1 << (shot.number & 7)
    return int.from_bytes(bitmap, "little")


def _union(bitmaps: Iterable[int]) -> tuple[int, int]:
    """All bits of the bitmaps, and how many were set in one after another had set them."""
    union, twice = 0, 0
    for bits in bitmaps:
        twice += (union & bits).bit_count()
        union |= bits
    return union, twice


def _sum(parts: Iterable[Counter[K]]) -> Counter[K]:
    return sum(parts, Counter())


def _read(payload: bytes) -> Letter | None:
    """What the payload says; None when it is not what was sent."""
    body, digest = payload[:-_DIGEST_BYTES], payload[-_DIGEST_BYTES:]
    if len(payload) < MIN_PAYLOAD or digest != _digest(body):
        return None
    _, run, number, source, target, at = _HEAD.unpack_from(body)
    return Letter(run, number, source, target, at)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
