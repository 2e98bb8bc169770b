"""What is looked at of the peers of a process while somebody subscribed to it. While nobody does, none of it is in any way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from cicada.actors.pump import Surroundings
from cicada.events import AnyEvent, CopiesTraced, EdgeCount, HopTaken, PeerMeasured, TrafficCounted
from cicada.ids import place_to_bytes
from cicada.limits import BUS, BusLimits
from cicada.routing.io import Fate, Settled, Traced
from cicada.transport import linkio
from cicada.transport.links import Links
from cicada.wire.trips import FAMILIES, Sample, data_key, data_trip, hop_of, is_sampled

Wants = Callable[[type[AnyEvent]], bool]
"""Whether anybody subscribed to a kind of event."""

_LARGEST_SHARE: Final = 1 << 15


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
    ``hops_told`` are told a second at most. All links of the process ask ``sample`` which trips those are.
    """

    def __init__(
        self, wants: Wants, *, limits: BusLimits = BUS, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._wants = wants
        self._limits = limits
        self.wall_ns = wall_ns
        self._measured: dict[Measured, Figures | None] = {}
        self._meters: dict[Meter, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._budget = int(limits.hops_told * limits.counted)
        self._told = 0
        self._counts = False
        self._measures = False
        self.copies = False
        self.sample = Sample()

    def measure(self, peer: Measured) -> None:
        """Measure this peer until ``forget``."""
        self._measured[peer] = None if self._timer is None else peer.figures()

    def forget(self, peer: Measured) -> None:
        """It ended."""
        self._measured.pop(peer, None)

    def add(self, meter: Meter) -> None:
        """Ask this one for its counts every period."""
        self._meters[meter] = None

    def remove(self, meter: Meter) -> None:
        """No more."""
        self._meters.pop(meter, None)

    def changed(self) -> None:
        """Subscriptions may be others now."""
        counted = self._counts
        self.sample.is_open, self._counts = self._wants(HopTaken), self._wants(TrafficCounted)
        self.copies, self._measures = self._wants(CopiesTraced), self._wants(PeerMeasured)
        if self._counts and not counted:
            for meter in self._meters:
                meter.begin()
        if self._is_on and self._timer is None:
            self._measured = {peer: peer.figures() for peer in self._measured}
            self._looked_at = asyncio.get_running_loop().time()
            self._arm()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def is_told(self) -> bool:
        """Whether one more hop of the sample is told, and counted among what is told in this period."""
        self._told += 1
        if self._told > 2 * self._budget and self.sample.share < _LARGEST_SHARE:
            self.sample.choose(self.sample.share * 2)  # a burst: do not wait for the end of the period
            self._told = self._budget
        return self.sample.is_open

    @property
    def _is_on(self) -> bool:
        return self.sample.is_open or self._counts or self.copies or self._measures

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._limits.counted, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._is_on:
            return
        now = asyncio.get_running_loop().time()
        seconds, self._looked_at = now - self._looked_at, now
        self._adapt(seconds)
        if self._counts:
            for meter in self._meters:
                meter.tell(seconds)
        if self._measures:
            for peer, before in self._measured.items():
                self._measured[peer] = _measure(peer, before, seconds)
        self._arm()

    def _adapt(self, seconds: float) -> None:
        rate, self._told = self._told / max(seconds, self._limits.counted), 0
        share = self.sample.share
        while rate > self._limits.hops_told and share < _LARGEST_SHARE:
            share, rate = share * 2, rate / 2
        if share > 1 and rate < self._limits.hops_told / 3:
            share //= 2
        self.sample.choose(share)


class Meter:
    """Tells what the links of one peer transmitted, and the hops of those trips that are told."""

    def __init__(self, around: Surroundings, watch: Watch, links: Links) -> None:
        self._around = around
        self._watch = watch
        self._links = links
        watch.add(self)

    def begin(self) -> None:
        """Count from here."""
        self._links.take_traffic()

    def tell(self, seconds: float) -> None:
        """What was transmitted since the last time."""
        traffic = self._links.take_traffic()
        if not traffic or self._around.publish is None:
            return
        edges = tuple(
            EdgeCount(
                remote=remote,
                counts={name: count for name, count in zip(FAMILIES, counts, strict=True) if count},
            )
            for remote, counts in traffic.items()
        )
        self._around.publish(self._around.name, TrafficCounted(seconds=seconds, edges=edges))

    def tell_hop(self, begun: linkio.HopBegun) -> None:
        """A hop of a trip that is told, within the budget."""
        hop = hop_of(begun.message, self._around.own.address, begun.peer.address)
        if hop is None or self._around.publish is None or not self._watch.is_told():
            return
        event = HopTaken(
            trip=hop.trip,
            kind=hop.kind,
            remote=begun.peer.address,
            origin=hop.origin,
            target=hop.target,
            hops=hop.hops,
            at_us=self._watch.wall_ns() // 1000,
            copy=hop.copy,
            attempt=hop.attempt,
            sampled=self._watch.sample.share,
        )
        self._around.publish(self._around.name, event)

    def close(self) -> None:
        """Tell no more."""
        self._watch.remove(self)


def tell_copies(around: Surroundings, watch: Watch, output: Settled | Traced) -> None:
    """What became of the copies of a message, once that is known, if its trip is told."""
    if not any(
        is_sampled(data_key(index, counter), watch.sample.share) for _, index, counter in output.frames
    ):
        return
    if around.publish is None or any(copy.fate is Fate.PENDING for copy in output.copies):
        return
    trips = [data_trip(around.own.address, index, counter) for _, index, counter in output.frames]
    if output.answer is not None:
        trips.append(data_trip(*output.answer))
    event = CopiesTraced(
        message=output.id,
        trip=trips[0],
        target=place_to_bytes(output.frames[0][0]).hex(),
        fates=tuple(copy.fate.value for copy in output.copies),
        trips=tuple(trips),
        attempts=tuple(copy.attempt for copy in output.copies),
        sampled=watch.sample.share,
    )
    around.publish(around.name, event)


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
