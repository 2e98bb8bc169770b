"""The RingActor of a peer that a router maps notices members behind the same router that it cannot dial."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from itertools import count
from typing import Any, Final

import pytest

from cicada.actors.family import Ref, TakeSnapshot, Unreached, Wired
from cicada.actors.loop import LoopDispatcher
from cicada.actors.pump import Surroundings
from cicada.actors.ring import RingActor
from cicada.chord import io
from cicada.ids import Peer, Reach, canonical_address, peer_at
from cicada.limits import NAT
from cicada.wire.ring import Notify, State
from tests.actors.probes import Probe, stop

OWN: Final = peer_at(canonical_address("44.128.77.1", 50000))
BESIDE: Final = peer_at(canonical_address("44.128.77.1", 50001))
STRANGER: Final = peer_at(canonical_address("9.9.9.9", 50000))
UNREACHABLE: Final = io.PeerUnreachable(BESIDE, reason="refused")


class HandClock:
    """Runs as a test has it run."""

    def __init__(self) -> None:
        self.instant = 0.0

    def now(self) -> float:
        return self.instant

    def wall_ms(self) -> int:
        return int(self.instant * 1000)


class NoAlarms:
    """Nothing is ever due."""

    def arm(self, ref: Ref, at: float, /) -> None:
        """It is not."""

    def cancel(self, ref: Ref, /) -> None:
        """Nor any more."""


def named(*peers: Peer, by: Peer = STRANGER) -> io.MessageReceived:
    addresses = tuple(peer.address for peer in peers)
    return io.MessageReceived(by, State(incarnation=1, request=1, predecessor="", successors=addresses))


async def unreached(
    *history: tuple[float, io.RingInput], own: Peer = OWN, reach: Reach | None = Reach.NETWORK
) -> list[Peer]:
    """Whom a RingActor calls unreached that hears this, at these times, after it has proven the only other member."""
    clock, dispatcher = HandClock(), LoopDispatcher()
    heard: list[Any] = []
    around = Surroundings(
        own=own,
        name="",
        dispatcher=dispatcher,
        clock=clock,
        alarms=NoAlarms(),
        publish=None,
        tally=Counter(),
        refusals=Counter(),
        entropy=random.Random(1),
        reach=reach,
    )
    ring = RingActor.start(around, count(1))
    listener = Probe.start(dispatcher, heard=heard)
    ring.tell(Wired(listener, listener, ring, listener, listener))
    entering = (io.CreateRing(), io.MessageReceived(STRANGER, Notify(incarnation=1)), io.PeerProven(STRANGER))
    for at, input in (*((0.0, input) for input in entering), *history):
        clock.instant = at
        ring.tell(input)
        done = asyncio.get_running_loop().create_future()
        ring.tell(TakeSnapshot(done))
        await done
    await stop(ring, listener)
    return [told.peer for told in heard if isinstance(told, Unreached)]


SPAN: Final = NAT.beside_span
HISTORY: Final = ((0.0, UNREACHABLE), (SPAN, named(STRANGER, BESIDE)), (SPAN + 1, UNREACHABLE))


async def test_a_member_behind_the_same_router_that_a_proven_one_still_names_is_called_unreached() -> None:
    assert await unreached(*HISTORY) == [BESIDE]


async def test_the_word_of_who_is_not_proven_counts_for_nothing() -> None:
    stranger = peer_at(canonical_address("8.8.8.8", 1))
    history = (HISTORY[0], (SPAN, named(BESIDE, by=stranger)), HISTORY[2])
    assert await unreached(*history) == []


async def test_who_can_be_dialled_after_all_is_not_called_unreached() -> None:
    assert await unreached(*HISTORY[:2], (SPAN, io.PeerProven(BESIDE)), HISTORY[2]) == []


@pytest.mark.parametrize(
    ("own", "reach"), [(OWN, None), (OWN, Reach.WORLD), (peer_at(canonical_address("10.0.0.1", 1)), None)]
)
async def test_only_a_peer_that_a_router_maps_looks_for_others_behind_it(
    own: Peer, reach: Reach | None
) -> None:
    assert await unreached(*HISTORY, own=own, reach=reach) == []
