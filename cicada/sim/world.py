"""What all simulated peers of one run share."""

from __future__ import annotations

from collections.abc import Callable

from cicada.chord.io import RingInput, RingOutput
from cicada.hosts import naming
from cicada.ids import Peer
from cicada.limits import DeliveryLimits, RingLimits, RingTimings
from cicada.routing.io import RouterInput, RouterOutput
from cicada.sim.agenda import Agenda

Observer = Callable[[float, Peer, RingOutput | RouterOutput], None]
"""Told (virtual seconds, peer, output) for each output that is not for the network: answers, events, deliveries (those
that entered the mailbox), receipts. Must not change the swarm."""

Recorder = Callable[[float, Peer, RingInput | RouterInput, list[RingOutput] | list[RouterOutput]], None]
"""Told (virtual seconds, peer, input, outputs) each time a core handles an input. Must not change the swarm."""


class World:
    """Time, seed, limits, and who watches."""

    __slots__ = (
        *(
            "agenda",
            "delivery",
            "host_of",
            "limits",
            "observers",
            "recorders",
            "seals",
            "seed",
            "timings",
            "version",
        ),
    )

    def __init__(
        self,
        seed: int,
        limits: RingLimits,
        timings: RingTimings,
        delivery: DeliveryLimits,
        *,
        seals: bool = False,
    ) -> None:
        self.agenda = Agenda()
        self.seed = seed
        self.limits = limits
        self.host_of = naming(limits.group_hosts)
        self.timings = timings
        self.delivery = delivery
        self.seals = seals
        """Whether sessions seal what they carry, so that alterations are noticed."""
        self.observers: list[Observer] = []
        self.recorders: list[Recorder] = []
        self.version = 0
        """Rises whenever a list, a predecessor, a phase or the set of live peers may have changed."""
