"""Links of hidden peers: made by them, kept by both sides for as long as either needs them, and their end is told once."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, Reach, hidden_address, peer_at
from cicada.transport.linkio import Connect, DialBack, Forward, Need, Prove
from cicada.transport.links import Links
from cicada.wire.frames import FrameType
from cicada.wire.routed import LodgingRefused, LodgingRequest
from cicada.wire.security import Unsecured
from tests.transport.linknet import LIMITS, Host, Indexes, Network, Stranger, data

HIDDEN: Final = hidden_address("5e" * 32)
REQUEST: Final = LodgingRequest(request=7)


def lodged() -> tuple[Network, Host, Host]:
    """A hidden peer and a relay, which it asked over a link that both keep."""
    network = Network()
    hidden, relay = network.host(1, own=HIDDEN), network.host(2)
    hidden.feed(Forward(relay.peer, REQUEST, None))
    network.settle()
    hidden.keep(relay, need=Need.LODGING)
    relay.keep(hidden, need=Need.LODGING)
    return network, hidden, relay


def test_a_hidden_peers_hello_is_admitted_and_what_it_says_names_the_connection() -> None:
    _, hidden, relay = lodged()
    (heard,) = relay.lodging
    assert (heard.sender, heard.message) == (hidden.peer, REQUEST)
    assert heard.connection == relay.row().connection
    assert hidden.links.snapshot().proven == {relay.peer}
    assert relay.links.snapshot().proven == frozenset()


def test_the_answer_comes_back_over_the_same_link() -> None:
    network, hidden, relay = lodged()
    refused = LodgingRefused(request=7, reason="full", others=())
    relay.feed(Forward(hidden.peer, refused, None))
    relay.send(hidden, data(1))
    network.settle()
    assert [heard.message for heard in hidden.lodging] == [refused]
    assert hidden.received == [data(1)]
    assert len(list(network.open_pipes())) == 1


def test_a_hidden_peer_is_never_dialled() -> None:
    network = Network()
    hidden, relay = network.host(1, own=HIDDEN), network.host(2)
    for ask in (Forward(hidden.peer, data(1), None), Prove(hidden.peer), DialBack(hidden.peer)):
        relay.feed(ask)
    network.run(10.0)
    assert not network.pipes
    assert relay.undelivered == [data(1)]
    assert {report.peer for report in relay.unreachable} == {hidden.peer}


def test_a_hidden_peer_whose_link_broke_is_told_unreachable_and_not_dialled_back() -> None:
    network, hidden, relay = lodged()
    network.cut(network.pipes[0])
    relay.send(hidden, data(1))
    network.run(5.0)
    assert len(network.pipes) == 1
    assert relay.undelivered == [data(1)]


def test_the_link_is_kept_while_either_need_has_it() -> None:
    network, hidden, relay = lodged()
    for end in (hidden, relay):
        other = relay if end is hidden else hidden
        end.keep(other, need=Need.RING)
        end.keep(need=Need.LODGING)
    network.run(5 * LIMITS.idle_close)
    assert len(hidden.links.snapshot().links) == 1
    for end in (hidden, relay):
        end.keep(need=Need.RING)
    network.run(2 * LIMITS.idle_close)
    assert hidden.links.snapshot().links == relay.links.snapshot().links == ()
    assert hidden.lost == relay.lost == []


def test_a_link_that_the_relay_keeps_stands_until_it_does_so_no_more() -> None:
    network, hidden, relay = lodged()
    hidden.keep(need=Need.LODGING)
    network.run(3 * LIMITS.idle_close)
    assert len(relay.links.snapshot().links) == 1
    relay.keep(need=Need.LODGING)
    network.run(2 * LIMITS.idle_close)
    assert relay.links.snapshot().links == hidden.links.snapshot().links == ()
    assert hidden.lost == relay.lost == []


def test_the_end_of_the_last_kept_link_is_told_once_at_both_ends() -> None:
    network, hidden, relay = lodged()
    network.cut(network.pipes[0])
    network.run(5.0)
    assert (hidden.lost, relay.lost) == ([relay.peer], [hidden.peer])


def test_a_silent_relay_is_lost_within_a_ping_and_its_time_out() -> None:
    network, hidden, relay = lodged()
    network.frozen.add(relay.peer.address)
    network.run(LIMITS.ping_interval + 4 * LIMITS.timeout_ceiling)
    assert hidden.lost == [relay.peer]


def test_as_long_as_another_link_is_open_the_peer_is_not_lost() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    b.send(a, data(2))
    network.settle()
    first, second = (network.pipe_of(row.connection) for row in a.links.snapshot().links)
    a.keep(b, need=Need.LODGING)
    network.cut(first)
    assert a.lost == []
    network.cut(second)
    assert a.lost == [b.peer]


def test_a_link_that_nobody_keeps_ends_without_a_word() -> None:
    network, _, relay = lodged()
    relay.keep(need=Need.LODGING)
    network.cut(network.pipes[0])
    assert relay.lost == []


def test_a_stranger_that_claims_a_name_which_only_looks_hidden_gets_no_link() -> None:
    network = Network()
    host = network.host(2)
    stranger = Stranger(network, 3)
    stranger.dial(host)
    with pytest.raises(ValueError, match="not an address"):
        stranger.hello(host, own=Address("@5e"))
    assert host.links.snapshot().links == ()


def test_dialled_back_a_peer_gets_a_new_handshake_although_a_proof_is_kept() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    assert a.links.snapshot().proven == {b.peer}
    hellos = a.count(FrameType.HELLO)
    a.feed(DialBack(b.peer))
    network.settle()
    assert a.count(FrameType.HELLO) == hellos + 1
    assert b.count(FrameType.WELCOME) == 2
    assert a.received == []


def test_a_dial_back_to_nobody_is_tried_once_and_costs_nothing_else() -> None:
    network = Network()
    a = network.host(1)
    a.feed(DialBack(peer_at(Address("127.0.0.1:20009"))))
    network.run(10.0)
    assert a.links.snapshot().links == ()
    assert not network.pipes


@pytest.mark.parametrize(
    ("own", "reach", "remote", "is_dialled"),
    [
        (HIDDEN, Reach.NETWORK, "192.168.1.7:50000", True),
        (HIDDEN, Reach.NETWORK, "127.0.0.1:50000", False),
        (HIDDEN, Reach.WORLD, "192.168.1.7:50000", False),
        (HIDDEN, Reach.MACHINE, "127.0.0.1:50000", True),
        (HIDDEN, None, "127.0.0.1:50000", True),
        ("44.128.77.1:50000", Reach.NETWORK, "192.168.1.7:50000", True),
        ("44.128.77.1:50000", None, "192.168.1.7:50000", False),
        (HIDDEN, Reach.MACHINE, hidden_address("ab" * 32), False),
        (HIDDEN, None, "0.0.0.0:50000", False),
    ],
)
def test_what_is_dialled_is_of_no_less_reach_than_where_the_peer_is_bound(
    own: Address, reach: Reach | None, remote: Address, is_dialled: bool
) -> None:
    links = Links(
        own,
        1,
        swarm="",
        indexes=Indexes(1),
        entropy=Random(1),
        security=Unsecured(),
        limits=LIMITS,
        reach=reach,
    )
    outputs = links.handle(Prove(peer_at(remote)), 0.0)
    assert any(isinstance(output, Connect) for output in outputs) is is_dialled


calls = st.lists(
    st.tuples(st.sampled_from(Need), st.sets(st.integers(1, 4), max_size=4)), min_size=1, max_size=12
)


@given(calls)
def test_a_peer_is_kept_exactly_while_some_need_has_it(history: list[tuple[Need, set[int]]]) -> None:
    network = Network()
    center, others = network.host(0), {number: network.host(number) for number in range(1, 5)}
    for other in others.values():
        center.send(other, data(1))
    network.settle()
    needed: dict[Need, set[int]] = {}
    for need, numbers in history:
        needed[need] = numbers
        center.keep(*(others[number] for number in numbers), need=need)
    network.run(3 * LIMITS.idle_close)
    kept = set[int]().union(*needed.values())
    linked = {row.peer.address for row in center.links.snapshot().links}
    assert linked == {others[number].peer.address for number in kept}
