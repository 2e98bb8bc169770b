"""What is looked at of the peers of a process while somebody subscribed to it. While nobody does, none of it is in any way."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, Protocol, get_args

import msgspec

from cicada.actors.family import Ref
from cicada.actors.pump import Handlers, Surroundings
from cicada.events import AnyEvent, CopiesTraced, EdgeCount, HopTaken, PeerMeasured, TrafficCounted
from cicada.ids import Address, place_to_bytes
from cicada.limits import BUS, BusLimits
from cicada.routing.io import Copy, Fate, Settled, Traced
from cicada.transport import linkio
from cicada.wire.ring import RingMessage
from cicada.wire.routed import Data, DataAck
from cicada.wire.trips import FAMILIES, KEYS, data_key, data_trip, hop_of, is_sampled

Wants = Callable[[type[AnyEvent]], bool]
"""Whether anybody subscribed to a kind of event."""

_COUNTED_AS: Final[dict[type, str]] = {**dict.fromkeys(get_args(RingMessage), "ring"), **FAMILIES}
_MOST_SAMPLED: Final = 1 << 15
_EVERYTHING: Final = (1 << 64) - 1


class Looked(msgspec.Struct, frozen=True):
    """To an actor that can be watched: what is looked at has changed."""


class Watched(Protocol):
    """An actor that can be watched."""

    around: Surroundings

    @property
    def actor_ref(self) -> Ref: ...


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer has done so far, and what waits in it now."""

    mailbox: int
    in_flight: int
    links: int
    sent: int
    delivered: int
    failed: int
    dropped: int
    round_trip_s: float


class Measured(Protocol):
    """A peer that can be measured."""

    @property
    def around(self) -> Surroundings: ...

    def figures(self) -> Figures:
        """As they are now."""
        ...


class Watch:
    """Of one process, on its event loop. ``wants`` says what is subscribed to; call ``changed`` when that may be otherwise.

    Every ``counted`` seconds it counts, measures, and chooses how large a share of all trips is told hop by hop, so that
    ``hops_told`` are told a second at most.
    """

    def __init__(
        self, wants: Wants, *, limits: BusLimits = BUS, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._wants = wants
        self._limits = limits
        self.wall_ns = wall_ns
        self._actors: dict[Watched, None] = {}
        self._measured: dict[Measured, Figures | None] = {}
        self._meters: dict[Meter, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._budget = int(limits.hops_told * limits.counted)
        self._told = 0
        self.hops = False
        self.counts = False
        self.copies = False
        self.measures = False
        self.sampled = 1
        self.left_out = _EVERYTHING
        """Trips whose key has one of these bits are not told."""

    @property
    def needs_meters(self) -> bool:
        """Whether what passes links is looked at."""
        return self.hops or self.counts

    def enter(self, actor: Watched) -> None:
        """An actor begins its work: it is told Looked whenever something changes."""
        self._actors[actor] = None

    def leave(self, actor: Watched) -> None:
        """It ends."""
        self._actors.pop(actor, None)

    def measure(self, peer: Measured) -> None:
        """Measure this peer until ``forget``."""
        self._measured[peer] = None if self._timer is None else peer.figures()

    def forget(self, peer: Measured) -> None:
        """It ended."""
        self._measured.pop(peer, None)

    def changed(self) -> None:
        """Subscriptions may be others now."""
        before = (self.needs_meters, self.copies)
        self.hops, self.counts = self._wants(HopTaken), self._wants(TrafficCounted)
        self.copies, self.measures = self._wants(CopiesTraced), self._wants(PeerMeasured)
        self._sample(self.sampled)
        if before != (self.needs_meters, self.copies):
            for actor in self._actors:
                actor.actor_ref.tell(Looked())
        if self._is_on and self._timer is None:
            self._measured = {peer: peer.figures() for peer in self._measured}
            self._looked_at = asyncio.get_running_loop().time()
            self._arm()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def is_told(self, key: int) -> bool:
        """Whether what happens on the trip with this key is told, and counted among what is told in this period."""
        if key & self.left_out:
            return False  # as is_sampled says
        self._told += 1
        if self._told > 2 * self._budget and self.sampled < _MOST_SAMPLED:
            self._sample(self.sampled * 2)  # a burst: do not wait for the end of the period
            self._told = self._budget
        return self.hops

    def add(self, meter: Meter) -> None:
        """Ask this one for its counts every period."""
        self._meters[meter] = None

    def remove(self, meter: Meter) -> None:
        """No more."""
        self._meters.pop(meter, None)

    @property
    def _is_on(self) -> bool:
        return self.hops or self.counts or self.copies or self.measures

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._limits.counted, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._is_on:
            return
        now = asyncio.get_running_loop().time()
        seconds, self._looked_at = now - self._looked_at, now
        self._adapt(seconds)
        for meter in self._meters:
            meter.tell(seconds, counts=self.counts)
        if self.measures:
            for peer, before in self._measured.items():
                self._measured[peer] = _measure(peer, before, seconds)
        self._arm()

    def _adapt(self, seconds: float) -> None:
        rate, self._told = self._told / max(seconds, self._limits.counted), 0
        sampled = self.sampled
        while rate > self._limits.hops_told and sampled < _MOST_SAMPLED:
            sampled, rate = sampled * 2, rate / 2
        if sampled > 1 and rate < self._limits.hops_told / 3:
            sampled //= 2
        self._sample(sampled)

    def _sample(self, sampled: int) -> None:
        self.sampled = sampled
        self.left_out = sampled - 1 if self.hops else _EVERYTHING


class Meter:
    """Counts what one peer hands to its links, and tells the hops of those trips that are told."""

    def __init__(self, around: Surroundings, watch: Watch) -> None:
        self._around = around
        self._own = around.own.address
        self._watch = watch
        self._counts: defaultdict[tuple[Address, type], int] = defaultdict(int)
        watch.add(self)

    def specials(self, then: Handlers) -> Handlers:
        """Which inputs of the links come here first, and go where they went before."""
        return {kind: self._metered(then[kind]) for kind in (linkio.Forward, linkio.SendMessage)}

    def tell(self, seconds: float, *, counts: bool) -> None:
        """What was counted since the last time."""
        counted = dict(self._counts)
        self._counts.clear()
        if not counted or not counts or self._around.publish is None:
            return
        edges: defaultdict[Address, dict[str, int]] = defaultdict(dict)
        for (remote, form), count in counted.items():
            edge, family = edges[remote], _COUNTED_AS.get(form, "other")
            edge[family] = edge.get(family, 0) + count
        told = tuple(EdgeCount(remote=remote, counts=edge) for remote, edge in edges.items())
        self._around.publish(self._around.name, TrafficCounted(seconds=seconds, edges=told))

    def close(self) -> None:
        """Count no more."""
        self._watch.remove(self)

    def _metered(self, go_on: Callable[[Any], object]) -> Callable[[Any], None]:
        # Every message comes through here. Nothing is kept of what is not told: what outlives its turn costs more than all
        # that is done here. Most are Data and their acks, whose key is spelled out.
        counts, keys, watch = self._counts, KEYS, self._watch

        def meter(sending: linkio.SendMessage) -> None:
            message: Any = sending.message
            form = type(message)
            counts[sending.peer.address, form] += 1
            if form is Data or form is DataAck:
                if not (message.index ^ message.counter) & watch.left_out:
                    self._tell_hop(sending)
            elif form in keys and not keys[form](message) & watch.left_out:
                self._tell_hop(sending)
            go_on(sending)

        return meter

    def _tell_hop(self, sending: linkio.SendMessage) -> None:
        hop = hop_of(sending.message, self._own, sending.peer.address)
        if (
            hop is None
            or self._around.publish is None
            or not self._watch.is_told(KEYS[type(sending.message)](sending.message))
        ):
            return
        event = HopTaken(
            trip=hop.trip,
            kind=hop.kind,
            remote=sending.peer.address,
            origin=hop.origin,
            target=hop.target,
            hops=hop.hops,
            at_us=self._watch.wall_ns() // 1000,
            copy=hop.copy,
            attempt=hop.attempt,
            sampled=self._watch.sampled,
        )
        self._around.publish(self._around.name, event)


class Tracer:
    """Tells what became of the copies of this peer's messages, of those whose trips are told."""

    def __init__(self, around: Surroundings, watch: Watch) -> None:
        self._around = around
        self._watch = watch

    def carriers(self, then: Handlers) -> Handlers:
        """Which outputs of the Router come here first, and go where they went before."""
        return {kind: self._traced(then[kind]) for kind in (Settled, Traced)}

    def _traced(self, go_on: Callable[[Any], object]) -> Callable[[Any], None]:
        watch = self._watch

        def trace(output: Settled | Traced) -> None:
            for _, index, counter in output.frames:
                if is_sampled(data_key(index, counter), watch.sampled):
                    self._tell(output)
                    break
            go_on(output)

        return trace

    def _tell(self, output: Settled | Traced) -> None:
        if self._around.publish is None or any(copy.fate is Fate.PENDING for copy in output.copies):
            return
        own = self._around.own.address
        trips = [data_trip(own, index, counter) for _, index, counter in output.frames]
        if output.answer is not None:
            trips.append(data_trip(*output.answer))
        copies: tuple[Copy, ...] = output.copies
        event = CopiesTraced(
            message=output.id,
            trip=trips[0],
            target=place_to_bytes(output.frames[0][0]).hex(),
            fates=tuple(copy.fate.value for copy in copies),
            trips=tuple(trips),
            attempts=tuple(copy.attempt for copy in copies),
            sampled=self._watch.sampled,
        )
        self._around.publish(self._around.name, event)


def _measure(peer: Measured, before: Figures | None, seconds: float) -> Figures:
    """Tell how busy it was, if it was measured before, and return how it is now."""
    around, now = peer.around, peer.figures()
    if before is not None and around.publish is not None and seconds > 0:
        event = PeerMeasured(
            seconds=seconds,
            mailbox=now.mailbox,
            in_flight=now.in_flight,
            links=now.links,
            sent=(now.sent - before.sent) / seconds,
            delivered=(now.delivered - before.delivered) / seconds,
            failed=(now.failed - before.failed) / seconds,
            dropped=(now.dropped - before.dropped) / seconds,
            round_trip_s=now.round_trip_s,
        )
        around.publish(around.name, event)
    return now
