"""The gate between one peer's links and the endpoint while faults concern the peer: keeps, lets pass, times. Pure.

It stands behind the links and not in the endpoint, because only links know whose a frame is: workers share connections,
and one that was accepted carries frames for several peers, told apart by nothing but indexes. Every Transmit names its
peer, so dialled, accepted and worker-local connections are all the same here.

What a cut or a delay holds back leaves later, in order for each link, as TCP would have it: a partition that is healed
before links gave up costs nothing but time. What was held longer than ``patience`` is lost, all of its link together;
the link has timed out by then.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Iterable
from random import Random

import msgspec

from cicada.ids import Address
from cicada.limits import FAULT, FaultLimits
from cicada.transport.base import ConnectionId
from cicada.transport.faults import NO_FAULTS, FaultTable, Verdict
from cicada.transport.linkio import Connect, ConnectFailed, Release, Transmit
from cicada.wire.frames import PREFIXED


class Late(Transmit, frozen=True, gc=False):
    """A frame that leaves later than its link wanted, ``due`` at the latest."""

    due: float


Freed = Late | Connect | Release | ConnectFailed
"""What the gate lets go: outputs of the links, to be carried out, and the input that ends a dial into a void."""


class Admission(enum.Enum):
    """What becomes of a frame."""

    PASS = enum.auto()  # it leaves at once
    KEPT = enum.auto()  # it leaves later, or never
    FULL = enum.auto()  # the link must keep it, as when the endpoint does not take it


class _Kept(msgspec.Struct, frozen=True, gc=False):
    output: Transmit
    since: float
    due: float


class _Lane:
    """The frames of one link that are held back, in order. ``broken``: one was lost, so all that follow are too."""

    __slots__ = ("broken", "bytes", "queue", "remote")

    def __init__(self, remote: Address) -> None:
        self.remote = remote
        self.queue: deque[_Kept] = deque()
        self.bytes = 0
        self.broken = False

    def add(self, kept: _Kept) -> None:
        self.queue.append(kept)
        self.bytes += len(kept.output.frame)

    def take_due(self, now: float) -> list[Freed]:
        freed: list[Freed] = []
        while self.queue and self.queue[0].due <= now:
            kept = self.queue.popleft()
            self.bytes -= len(kept.output.frame)
            output = kept.output
            freed.append(Late(output.connection, output.frame, output.remote, kept.due))
        return freed

    def lose(self) -> None:
        self.queue.clear()
        self.bytes = 0
        self.broken = True

    def next_due(self, patience: float) -> float:
        if not self.queue:
            return math.inf
        first = self.queue[0]
        return first.since + patience if math.isinf(first.due) else first.due

    def reschedule(self, verdict: Verdict, now: float) -> None:
        """The verdict has changed. What was on its way when a cut came waits as well."""
        latest = math.inf if verdict.cut else now + verdict.delay + verdict.jitter
        self.queue = deque(
            _Kept(kept.output, kept.since, latest if verdict.cut else min(kept.due, latest))
            for kept in self.queue
        )


class FaultGate:
    """Of the peer at ``own``. ``rng`` draws what is lost and repeated, and the jitter."""

    def __init__(self, own: Address, rng: Random, limits: FaultLimits = FAULT) -> None:
        self._own = own
        self._rng = rng
        self._limits = limits
        self._table = NO_FAULTS
        self._verdicts: dict[Address, Verdict] = {}
        self._lanes: dict[tuple[ConnectionId, int], _Lane] = {}
        self._dials: dict[Address, float] = {}
        self._releases: dict[ConnectionId, None] = {}

    def change(self, table: FaultTable, now: float) -> None:
        """Other faults from now on. Ask ``due`` afterwards: what is cut off no longer leaves at once."""
        self._table = table
        self._verdicts.clear()
        for key, lane in list(self._lanes.items()):
            verdict = self.verdict(lane.remote)
            lane.reschedule(verdict, now)
            if lane.broken and not verdict.cut:
                del self._lanes[key]

    @property
    def is_needed(self) -> bool:
        """A fault concerns the peer, or something is still kept."""
        return bool(self._table.rules or self._lanes or self._dials or self._releases)

    def verdict(self, remote: Address) -> Verdict:
        """What happens to what is sent to ``remote``."""
        verdict = self._verdicts.get(remote)
        if verdict is None:
            verdict = self._verdicts[remote] = self._table.verdict(self._own, remote)
        return verdict

    # What the peer wants to send

    def copies(self, remote: Address) -> int:
        """How often a message to ``remote`` is given to its link: once, or 0 (lost) or 2 (repeated)."""
        verdict = self.verdict(remote)
        if verdict.drop and self._rng.random() < verdict.drop:
            return 0
        return 2 if verdict.duplicate and self._rng.random() < verdict.duplicate else 1

    def admit(self, output: Transmit, now: float) -> Admission:
        """What becomes of a frame. Of one link, none overtakes another."""
        key = _lane_of(output)
        lane = self._lanes.get(key)
        verdict = self.verdict(output.remote)
        self._releases.pop(output.connection, None)
        if lane is None:
            if not verdict.strikes_frames:
                return Admission.PASS
            lane = self._lanes[key] = _Lane(output.remote)
        if lane.broken:
            return Admission.KEPT
        if lane.bytes + len(output.frame) > self._limits.max_held:
            return Admission.FULL
        lane.add(_Kept(output, now, self._due(lane, verdict, now)))
        return Admission.KEPT

    def dial(self, remote: Address, now: float) -> bool:
        """Whether a dial may leave. False: it is one into a void, silent until it times out or the cut is healed."""
        if not self.verdict(remote).cut:
            return True
        self._dials.setdefault(remote, now + self._limits.void_dial)
        return False

    def release(self, connection: ConnectionId) -> bool:
        """Whether the connection may be released now. False: once what is kept for it has left."""
        if not self._holds(connection):
            return True
        self._releases[connection] = None
        return False

    # What happens later

    def forget(self, connection: ConnectionId) -> None:
        """The connection is gone, and what was kept for it."""
        self._releases.pop(connection, None)
        for key in [key for key in self._lanes if key[0] == connection]:
            del self._lanes[key]

    def due(self, now: float) -> list[Freed]:
        """What leaves, ends or fails by now, in this order: frames, dials, releases."""
        freed: list[Freed] = []
        for key, lane in list(self._lanes.items()):
            freed += lane.take_due(now)
            if lane.next_due(self._limits.patience) <= now:
                lane.lose()
            if not lane.queue and not lane.broken:
                del self._lanes[key]
        freed += self._due_dials(now)
        for connection in [c for c in self._releases if not self._holds(c)]:
            del self._releases[connection]
            freed.append(Release(connection))
        return freed

    def put_back(self, refused: Iterable[Late], now: float) -> None:
        """The endpoint did not take these, which ``due`` gave in this order: they are due again a little later, until
        it is clear that nobody will ever take them."""
        due = now + self._limits.retry
        for late in reversed(list(refused)):
            lane = self._lanes.setdefault(_lane_of(late), _Lane(late.remote))
            if late.due + self._limits.patience <= now:
                lane.lose()
            elif not lane.broken:
                lane.queue.appendleft(_Kept(late, now, due))
                lane.bytes += len(late.frame)

    def flush(self) -> list[Transmit]:
        """The peer ends: everything that is not cut off, at once, since nobody will ask later."""
        kept = [entry for lane in self._lanes.values() for entry in lane.queue]
        self._lanes.clear()
        return [entry.output for entry in kept if math.isfinite(entry.due)]

    def next_deadline(self) -> float | None:
        """When ``due`` has something to say; None: never, as things stand."""
        patience = self._limits.patience
        soonest = min((lane.next_due(patience) for lane in self._lanes.values()), default=math.inf)
        soonest = min(soonest, *self._dials.values()) if self._dials else soonest
        return soonest if math.isfinite(soonest) else None

    def _due(self, lane: _Lane, verdict: Verdict, now: float) -> float:
        if verdict.cut:
            return math.inf
        due = now + verdict.delay + verdict.jitter * self._rng.random()
        return max(due, lane.queue[-1].due) if lane.queue else due

    def _due_dials(self, now: float) -> list[Freed]:
        freed: list[Freed] = []
        for remote, deadline in list(self._dials.items()):
            if not self.verdict(remote).cut:
                freed.append(Connect(remote))
            elif deadline <= now:
                freed.append(ConnectFailed(remote, "timeout"))
            else:
                continue
            del self._dials[remote]
        return freed

    def _holds(self, connection: ConnectionId) -> bool:
        return any(key[0] == connection and lane.queue for key, lane in self._lanes.items())


def _lane_of(output: Transmit) -> tuple[ConnectionId, int]:
    _, _, index, _ = PREFIXED.unpack_from(output.frame)
    return output.connection, index
