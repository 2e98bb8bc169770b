"""Copies on the wire, counted at every peer that they pass: how many there are, and whether two ever share a relay."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from cicada.chord.io import RingInput, RingOutput
from cicada.ids import Address, Peer, place_to_bytes
from cicada.keys.trust import Trust
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.io import Fate, Forward, RouterInput, RouterOutput, Settled, Status
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start
from cicada.wire.routed import Data

Outputs = list[RingOutput] | list[RouterOutput]
SIX = 6


class Wiretap:
    """Every link that copies of application messages cross."""

    def __init__(self, swarm: Swarm) -> None:
        self.first: dict[tuple[Address, int, int], Counter[int]] = defaultdict(Counter)
        self.relays: dict[tuple[Address, int, int], dict[int, list[Peer]]] = defaultdict(
            lambda: defaultdict(list)
        )
        swarm.world.recorders.append(self._record)

    def _record(self, now: float, peer: Peer, input: RingInput | RouterInput, outputs: Outputs) -> None:
        for output in outputs:
            if isinstance(output, Forward) and isinstance(output.message, Data):
                data = output.message
                attempt = (Address(data.origin), data.index, data.counter)
                if data.origin == peer.address:
                    self.first[attempt][data.copy] += 1
                if place_to_bytes(output.peer.place) != data.target:
                    self.relays[attempt][data.copy].append(output.peer)

    def shared(self) -> Iterator[tuple[Address, int, int]]:
        """Attempts of which two copies passed one relay."""
        for attempt, copies in self.relays.items():
            visits = Counter(relay for relays in copies.values() for relay in set(relays))
            if any(times > 1 for times in visits.values()):
                yield attempt


def a_swarm(number: int, delivery: DeliveryLimits = DELIVERY) -> tuple[Swarm, list[Peer]]:
    swarm = Swarm(5, delivery=delivery)
    peers = [peer_number(place) for place in range(number)]
    warm_start(swarm, peers)
    return swarm, peers


def send_all(swarm: Swarm, pairs: list[tuple[Peer, Peer]], copies: int) -> list[Settled]:
    """One message for each pair, and how each of them ended."""
    for origin, target in pairs:
        swarm.introduce(origin, target)
    sent = [(origin, swarm.send(origin, target, b"hello", copies=copies)) for origin, target in pairs]
    swarm.run_for(5.0)
    return [swarm.peer(origin).settled[id] for origin, id in sent]


@pytest.mark.parametrize("direct", [True, pytest.param(False, marks=pytest.mark.prove)])
def test_duplicates_5_puts_six_copies_on_six_paths_that_share_no_relay(direct: bool) -> None:
    swarm, peers = a_swarm(200, DeliveryLimits(direct=direct))
    wire = Wiretap(swarm)
    pairs = [(peer, peers[(number * 7 + 3) % 200]) for number, peer in enumerate(peers)]
    settled = send_all(swarm, [pair for pair in pairs if pair[0] != pair[1]], SIX)
    assert len(wire.first) == len(settled) >= 195
    assert all(left == dict.fromkeys(range(SIX), 1) for left in wire.first.values())
    assert {(end.status, end.attempts) for end in settled} == {(Status.DELIVERED, 1)}
    assert all([copy.fate for copy in end.copies] == [Fate.INTACT] * SIX for end in settled)
    assert all(len({copy.via for copy in end.copies}) == SIX for end in settled if end.disjoint)
    assert not set(wire.shared())
    doubtful = sum(not end.disjoint for end in settled)
    assert doubtful <= len(settled) // 50, (
        "a relay had no peer of a colour: the copy strayed, and met no other"
    )
    if not direct:
        assert all(min(len(path) for path in copies.values()) >= 1 for copies in wire.relays.values())


def test_where_relays_are_too_few_the_receipt_says_so() -> None:
    swarm, peers = a_swarm(4)
    wire = Wiretap(swarm)
    (end,) = send_all(swarm, [(peers[0], peers[2])], SIX)
    assert end.status is Status.DELIVERED
    assert [copy.fate for copy in end.copies] == [Fate.INTACT] * SIX
    assert not end.disjoint
    assert wire.first.popitem()[1] == dict.fromkeys(range(SIX), 1), "as many as were asked for, all the same"


def test_two_peers_have_no_relay_at_all_and_still_send_what_was_asked_for() -> None:
    swarm, peers = a_swarm(2)
    (end,) = send_all(swarm, [(peers[0], peers[1])], 3)
    assert (end.status, len(end.copies), end.disjoint) == (Status.DELIVERED, 3, False)


def test_introduced_peers_need_no_first_contact() -> None:
    swarm, peers = a_swarm(20)
    (end,) = send_all(swarm, [(peers[0], peers[9])], 1)
    assert (end.status, end.trust) == (Status.DELIVERED, Trust.PINNED)
    assert not {"Contact", "ContactReply", "GetRecord"} & set(swarm.sent())
