"""An open-loop load and the account of what became of it: what is sent when, and what arrived where, how often, intact.

Every worker is given the same plan, sends its share of it and accounts for what its own peers receive. Nothing here
sends, waits or reads a clock. Latencies count from the intended start, so a stalled sender cannot hide its stall.
"""

from __future__ import annotations

import hashlib
import random
import struct
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from math import ceil
from typing import Final

import msgspec

from cicada.commands import LoadResult, RunLoad
from cicada.errors import Misuse, PayloadTooLarge
from cicada.ids import Address
from cicada.limits import LOAD, WIRE

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
    if command.payload > WIRE.max_payload:
        raise PayloadTooLarge(command.payload, WIRE.max_payload)
    if command.timeout <= 0:
        raise Misuse("the time-out must be more than 0 s")
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
    """Keeps one worker's account of a load: of what its peers sent, and of what they received."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._index = {peer.name: index for index, peer in enumerate(plan.peers)}
        self._received = bytearray(_bytes_for(plan.count))
        self._acknowledged = bytearray(_bytes_for(plan.count))
        self._latencies = array("f")
        self._hops: Counter[int] = Counter()
        self._failures: Counter[str] = Counter()
        self._sent = 0
        self._late = 0
        self._duplicated = 0
        self._altered = 0
        self._wrong_peer = 0
        self._foreign = 0

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

    def sent(self, behind: float) -> None:
        """A message left, ``behind`` seconds after its intended start."""
        self._sent += 1
        self._late += behind > LOAD.late

    def acknowledged(self, number: int, *, hops: int, latency: float) -> None:
        """The receipt of a message says delivered, ``latency`` seconds after its intended start."""
        _set(self._acknowledged, number)
        self._hops[hops] += 1
        self._latencies.append(latency)

    def failed(self, reason: str) -> None:
        """The receipt of a message says failed."""
        self._failures[reason] += 1

    def received(self, peer: str, source: Address, payload: bytes) -> None:
        """Hosted ``peer`` took this message, which came from ``source``, out of its mailbox."""
        if not payload.startswith(_MAGIC):
            self._foreign += 1
            return
        letter = _read(payload)
        if letter is None:
            self._altered += 1
        elif not self._is_planned(letter):
            self._foreign += 1
        elif self._plan.peers[letter.target].name != peer:
            self._wrong_peer += 1
        elif self._plan.peers[letter.source].address != source:
            self._altered += 1
        elif _is_set(self._received, letter.number):
            self._duplicated += 1
        else:
            _set(self._received, letter.number)

    def part(self, seconds: float) -> LoadPart:
        """The account so far; ``seconds`` have passed since the start of the load."""
        return LoadPart(
            sent=self._sent,
            late=self._late,
            received=bytes(self._received),
            acknowledged=bytes(self._acknowledged),
            duplicated=self._duplicated,
            altered=self._altered,
            wrong_peer=self._wrong_peer,
            foreign=self._foreign,
            failures=dict(self._failures),
            hops=dict(self._hops),
            latencies=self._latencies.tobytes(),
            seconds=seconds,
        )

    def _is_planned(self, letter: Letter) -> bool:
        size = len(self._plan.peers)
        known = letter.number < self._plan.count and letter.source < size and letter.target < size
        return known and letter.run == self._plan.run


class LoadPart(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's account. ``received`` and ``acknowledged`` have one bit for each message of the load.

    ``latencies`` are 32-bit floats, in seconds; ``foreign`` counts messages of no load, or of another.
    """

    sent: int
    late: int
    received: bytes
    acknowledged: bytes
    duplicated: int
    altered: int
    wrong_peer: int
    foreign: int
    failures: dict[str, int]
    hops: dict[int, int]
    latencies: bytes
    seconds: float


def merge(plan: LoadPlan, parts: Iterable[LoadPart], missing: tuple[str, ...] = ()) -> LoadResult:
    """The account of the whole load. A message received at two workers counts as delivered once and duplicated once.

    ``missing`` names the workers that have no part any more.
    """
    every = tuple(parts)
    received, twice = _union(part.received for part in every)
    acknowledged, _ = _union(part.acknowledged for part in every)
    failures: Counter[str] = Counter()
    hops: Counter[int] = Counter()
    for part in every:
        failures.update(part.failures)
        hops.update(part.hops)
    sent = sum(part.sent for part in every)
    seconds = max((part.seconds for part in every), default=0.0)
    latencies = _sorted_latencies(every)
    steps = sorted(hops.elements())
    return LoadResult(
        sent=sent,
        delivered=received.bit_count(),
        lost=max(0, sent - received.bit_count()),
        failed=failures.total(),
        duplicated=twice + sum(part.duplicated for part in every),
        altered=sum(part.altered for part in every),
        wrong_peer=sum(part.wrong_peer for part in every),
        acknowledged=acknowledged.bit_count(),
        acknowledged_lost=(acknowledged & ~received).bit_count(),
        late_starts=sum(part.late for part in every),
        rate=plan.rate,
        achieved_rate=sent / seconds if seconds else 0.0,
        seconds=seconds,
        latency_p50_s=_percentile(latencies, 0.50),
        latency_p99_s=_percentile(latencies, 0.99),
        latency_max_s=latencies[-1] if latencies else 0.0,
        hops_mean=sum(steps) / len(steps) if steps else 0.0,
        hops_p99=_percentile(steps, 0.99),
        hops_max=steps[-1] if steps else 0,
        failures=dict(failures),
        missing=missing,
    )


def _union(bitmaps: Iterable[bytes]) -> tuple[int, int]:
    """All bits of the bitmaps, and how many were set in one after another had set them."""
    union, twice = 0, 0
    for raw in bitmaps:
        bits = int.from_bytes(raw, "little")
        twice += (union & bits).bit_count()
        union |= bits
    return union, twice


def _sorted_latencies(parts: Iterable[LoadPart]) -> array[float]:
    every = array("f")
    for part in parts:
        every.frombytes(part.latencies)
    return array("f", sorted(every))


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least ``share`` of all do not exceed."""
    return float(ordered[max(0, ceil(share * len(ordered)) - 1)]) if ordered else 0.0


def _read(payload: bytes) -> Letter | None:
    """What the payload says; None when it is not what was sent."""
    body, digest = payload[:-_DIGEST_BYTES], payload[-_DIGEST_BYTES:]
    if len(payload) < MIN_PAYLOAD or digest != _digest(body):
        return None
    _, run, number, source, target, at = _HEAD.unpack_from(body)
    return Letter(run, number, source, target, at)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8


def _set(bitmap: bytearray, bit: int) -> None:
    bitmap[bit >> 3] |= 1 << (bit & 7)


def _is_set(bitmap: bytearray, bit: int) -> bool:
    return bool(bitmap[bit >> 3] >> (bit & 7) & 1)
