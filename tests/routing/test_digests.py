"""Digests: who is told, who pulls, what is sent, and when all is quiet."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.ids import Peer, hidden_address, peer_at, place_to_bytes
from cicada.limits import BroadcastLimits, DeliveryLimits
from cicada.routing.broadcastlog import BroadcastLog, id_of
from cicada.routing.digests import Digests
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.table import Routes
from cicada.tokens import Shares
from cicada.wire.routed import Broadcast, BroadcastDigest, BroadcastPull
from tests.routing.swarm import Swarm, peers_at

PEERS = peers_at(36000, 8)
OWN = PEERS[0]
LIMITS = BroadcastLimits(digest_ids=4, pull_bytes=250, quiet_rounds=3, digest_burst=5, digest_rate=1.0)


def body(number: int, size: int = 100) -> Broadcast:
    return Broadcast(
        origin=PEERS[7].address,
        origin_boot=1,
        message=number,
        expires_ms=0,
        payload=bytes(size),
        record=b"",
        signature=b"",
        limit=bytes(32),
        hops=3,
    )


LODGER = peer_at(hidden_address("0d" * 32))


class Bench:
    """The digests of one peer."""

    def __init__(self, known: int = 7, limits: BroadcastLimits = LIMITS) -> None:
        routes = Routes(OWN, DeliveryLimits())
        others = PEERS[1 : 1 + known]
        routes.update(TableChanged(head=others[0] if others else OWN, predecessor=PEERS[-1], known=others))
        self.counts: Counter[str] = Counter()
        self.log = BroadcastLog(limits)
        self.lodgers: tuple[Peer, ...] = ()
        self.digests = Digests(self.log, routes, limits, Random(1), self.counts, lambda: self.lodgers)

    def take(self, number: int, now: float = 0.0, size: int = 100) -> bytes:
        message = body(number, size)
        id = id_of(message)
        self.digests.begin(self.log.take(id, message, "", b"", now + 100.0, now), now)
        return id

    def round(self) -> tuple[float, list[Forward]]:
        """The next round, and when it was."""
        due = self.digests.next_deadline()
        assert due is not None
        return due, forwards(self.digests.fire(due))


def forwards(outputs: list[RouterOutput]) -> list[Forward]:
    assert all(isinstance(output, Forward) for output in outputs)
    return [output for output in outputs if isinstance(output, Forward)]


def test_whoever_has_nothing_recent_says_nothing_and_waits_for_nothing() -> None:
    bench = Bench()
    assert bench.digests.next_deadline() is None
    assert bench.digests.fire(1000.0) == []


def test_rounds_tell_a_successor_and_a_finger_until_nobody_lacked_it_for_a_while() -> None:
    bench = Bench()
    id = bench.take(1)
    rounds, last = [], 0.0
    while bench.digests.next_deadline() is not None:
        at, told = bench.round()
        assert 0.75 * LIMITS.round <= at - last <= 1.25 * LIMITS.round
        last = at
        if told:
            rounds.append(told)
    assert len(rounds) == LIMITS.quiet_rounds
    assert {forward.message for told in rounds for forward in told} == {
        BroadcastDigest(ids=(id,), is_answer=False)
    }
    assert all(1 <= len({forward.peer for forward in told}) == len(told) <= 2 for told in rounds)
    assert [told[0].peer for told in rounds] == list(PEERS[1:4])  # another successor each time


def test_who_pulls_keeps_it_in_digests_for_at_most_two_log_n_rounds() -> None:
    bench = Bench()
    id = bench.take(1)
    rounds = 0
    while bench.digests.next_deadline() is not None:
        at, told = bench.round()
        rounds += bool(told)
        bench.digests.on_pull(BroadcastPull(ids=(id,)), PEERS[1], at)
    assert rounds == 2 * 3


def test_what_is_lacking_is_pulled_once_a_round_whoever_else_has_it() -> None:
    bench = Bench()
    had = bench.take(1)
    digest = BroadcastDigest(ids=(had, bytes(16)), is_answer=False)
    (pull,) = forwards(bench.digests.on_digest(digest, PEERS[3], 0.0))
    assert (pull.peer, pull.message) == (PEERS[3], BroadcastPull(ids=(bytes(16),)))
    assert bench.digests.on_digest(digest, PEERS[4], 1.0) == []
    assert forwards(bench.digests.on_digest(digest, PEERS[4], 2.0))


def test_who_announces_and_does_not_give_is_not_asked_again_before_others() -> None:
    bench = Bench()
    digest = BroadcastDigest(ids=(bytes(16),), is_answer=False)
    assert forwards(bench.digests.on_digest(digest, PEERS[3], 0.0))
    assert bench.digests.on_digest(digest, PEERS[3], LIMITS.round) == []
    assert forwards(bench.digests.on_digest(digest, PEERS[4], LIMITS.round))
    assert forwards(bench.digests.on_digest(digest, PEERS[3], LIMITS.ask_again))


def test_what_can_never_be_taken_is_not_pulled_again() -> None:
    bench = Bench()
    bench.digests.refuse(bytes(16), 0.0)
    digest = BroadcastDigest(ids=(bytes(16),), is_answer=False)
    assert bench.digests.on_digest(digest, PEERS[3], LIMITS.log_seconds - 1) == []


def test_who_lacks_something_is_told_but_an_answer_is_not_answered() -> None:
    bench = Bench()
    one, other = bench.take(1), bench.take(2)
    digest = BroadcastDigest(ids=(one,), is_answer=False)
    assert bench.digests.on_digest(digest, PEERS[3], 0.0) == []  # it may be on its way down the tree
    (answer,) = forwards(bench.digests.on_digest(digest, PEERS[3], LIMITS.settled))
    assert answer.message == BroadcastDigest(ids=(other,), is_answer=True)
    assert bench.digests.on_digest(replace(digest, is_answer=True), PEERS[3], LIMITS.settled) == []


def test_a_pull_is_answered_with_bodies_that_leave_nothing_to_serve_up_to_so_many_bytes() -> None:
    bench = Bench()
    ids = tuple(bench.take(number) for number in (1, 2, 3))
    given = forwards(bench.digests.on_pull(BroadcastPull(ids=(*ids, ids[0], bytes(16))), PEERS[3], 0.0))
    bodies = [forward.message for forward in given]
    assert [(b.message, b.limit, b.hops) for b in bodies if isinstance(b, Broadcast)] == [
        (number, place_to_bytes(PEERS[3].place), 4) for number in (1, 2)
    ]


def test_a_body_that_made_way_is_in_no_digest_and_in_no_answer() -> None:
    bench = Bench(limits=BroadcastLimits(log_bytes=150))
    gone, kept = bench.take(1), bench.take(2)
    _, told = bench.round()
    assert {forward.message for forward in told} == {BroadcastDigest(ids=(kept,), is_answer=False)}
    assert bench.digests.on_pull(BroadcastPull(ids=(gone,)), PEERS[3], 0.0) == []


def test_a_digest_names_the_newest_and_no_more_than_fit() -> None:
    bench = Bench()
    ids = [bench.take(number, size=1) for number in range(6)]
    _, told = bench.round()
    assert {forward.message for forward in told} == {
        BroadcastDigest(ids=tuple(reversed(ids[-4:])), is_answer=False)
    }


@pytest.mark.parametrize("is_pull", [True, False])
def test_a_link_that_asks_too_often_is_not_answered_and_others_are(is_pull: bool) -> None:
    bench = Bench()
    id = bench.take(1)

    def ask(peer: Peer, now: float) -> list[RouterOutput]:
        if is_pull:
            return bench.digests.on_pull(BroadcastPull(ids=(id,)), peer, now)
        return bench.digests.on_digest(BroadcastDigest(ids=(), is_answer=False), peer, now)

    start = LIMITS.settled

    answers = [bool(ask(PEERS[3], start)) for _ in range(LIMITS.digest_burst + 2)]
    assert answers == [True] * LIMITS.digest_burst + [False] * 2
    assert bench.counts["dropped:broadcast-digest-rate"] == 2
    assert ask(PEERS[4], start)
    assert ask(PEERS[3], start + 1.5)


def test_a_ring_of_one_has_nobody_to_tell() -> None:
    bench = Bench(known=0)
    bench.take(1)
    while bench.digests.next_deadline() is not None:
        _, told = bench.round()
        assert told == []


def test_only_the_links_heard_last_have_shares_of_their_own() -> None:
    shares = Shares(rate=1.0, burst=1, number=2)
    assert shares.take(PEERS[0], 0.0)
    assert not shares.take(PEERS[0], 0.0)
    shares.give_back(PEERS[0])
    assert shares.take(PEERS[0], 0.0)
    assert shares.take(PEERS[1], 0.0)
    assert shares.take(PEERS[2], 0.0)
    assert shares.take(PEERS[0], 0.0)
    shares.give_back(PEERS[7])


def test_a_peer_that_every_delegate_keeps_it_from_pulls_it() -> None:
    swarm = Swarm(40)
    origin, victim = swarm.peers[0], swarm.peers[7]
    swarm.swallows = lambda sender, receiver, message: (
        receiver == victim
        and isinstance(message, Broadcast)
        and message.limit != place_to_bytes(victim.place)
    )
    swarm.broadcast(origin)
    swarm.run()
    assert [len(node.broadcasts) for peer, node in swarm.nodes.items() if peer != origin] == [1] * 39
    assert swarm.nodes[victim].router.counters()["pulls"] >= 1


def test_hidden_peers_that_lodge_here_are_told_in_every_round_beside_the_partners() -> None:
    bench = Bench()
    bench.lodgers = (LODGER,)
    id = bench.take(1)
    for _ in range(3):
        _, told = bench.round()
        assert [forward.peer for forward in told].count(LODGER) == 1
        assert len(told) > 1
        assert {forward.message for forward in told} == {BroadcastDigest(ids=(id,), is_answer=False)}
