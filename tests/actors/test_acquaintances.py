"""Whom a peer has met."""

from __future__ import annotations

from msgspec.structs import replace

from cicada.actors.acquaintances import Acquaintances
from cicada.limits import ACTOR, RING
from tests.routing.swarm import peers_at

OWN, *OTHERS = peers_at(34000, 40)
FEW = replace(ACTOR, acquaintances=8)


def test_each_peer_is_new_once_and_oneself_never() -> None:
    met = Acquaintances(OWN)
    assert met.meet(OTHERS[:3]) == OTHERS[:3]
    assert met.meet([OWN, *OTHERS[:5]]) == OTHERS[3:5]
    assert met.meet(OTHERS[:1]) == []


def test_however_many_come_and_go_it_remembers_a_bounded_number_and_all_that_are_present() -> None:
    met = Acquaintances(OWN, FEW)
    stays, *passers = OTHERS
    for passer in passers:
        assert passer in met.meet([passer, stays])
        assert len(met) <= FEW.acquaintances
    assert met.meet([stays]) == []
    assert met.meet(passers[:1]) == passers[:1]


def test_it_remembers_all_that_a_peer_can_know_at_once() -> None:
    assert ACTOR.acquaintances >= RING.known_peers
