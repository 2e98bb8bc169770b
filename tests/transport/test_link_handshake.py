"""How links come to be, and how they are refused."""

from __future__ import annotations

import msgspec
import pytest

from cicada.errors import Unavailable
from cicada.events import LinkClosed, LinkOpened, PeerFaulted
from cicada.transport.linkio import Disconnected, Unreachable
from cicada.wire.codec import Message, encode
from cicada.wire.frames import LINK_ACK, PROTOCOL_VERSION, FrameType, Welcome
from tests.transport.linknet import LIMITS, Indexes, Network, Stranger, address, control, data


def test_a_first_message_dials_and_waits_for_the_welcome() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    assert a.kinds() == []
    network.settle()
    assert a.kinds() == [FrameType.HELLO, FrameType.DATA]
    assert b.received == [data(1)]
    assert a.events == [LinkOpened(remote=b.peer.address, dialled=True)]
    assert b.events == [LinkOpened(remote=a.peer.address, dialled=False)]


def test_an_inbound_link_carries_messages_both_ways_at_once() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    b.send(a, control(2))
    network.settle()
    assert a.received == [control(2)]
    assert FrameType.HELLO not in b.kinds()


def test_a_received_message_names_its_sender_and_the_link_the_sender_s_life() -> None:
    network = Network()
    a, b = network.host(1, incarnation=41), network.host(2, incarnation=42)
    a.send(b, data(1))
    network.settle()
    b.send(a, data(2))
    network.settle()
    assert b.senders == [a.peer]
    assert a.senders == [b.peer]
    assert [row.incarnation for row in b.links.snapshot().links] == [41]
    assert [row.incarnation for row in a.links.snapshot().links] == [42]


def test_messages_for_nobody_come_back_when_the_dial_fails() -> None:
    network = Network()
    a, b = network.pair()
    network.kill(b)
    messages: list[Message] = [data(1), control(2)]
    for message in messages:
        a.send(b, message)
    network.settle()
    (report,) = a.unreachable
    assert report.peer == b.peer
    assert report.reason == "refused"
    assert {id(message) for message in report.undelivered} == {id(message) for message in messages}


def test_a_dial_without_an_answer_ends_at_its_deadline() -> None:
    network = Network()
    a, b = network.pair()
    network.silent.add(b.peer.address)
    a.send(b, data(1))
    network.run(2 * LIMITS.dial_timeout - 0.01)
    assert a.unreachable == []
    network.run(0.02)
    assert a.unreachable == [Unreachable(b.peer, (data(1),), "timeout")]


def test_a_hello_without_a_welcome_ends_after_the_dial_timeout() -> None:
    network = Network()
    a = network.host(1)
    mute = Stranger(network, 2)
    a.feed_send(mute, data(1))
    network.run(LIMITS.dial_timeout - 0.01)
    assert [frame.type for frame in mute.heard] == [FrameType.HELLO]
    assert a.unreachable == []
    network.run(0.1)
    assert a.unreachable == [Unreachable(mute.peer, (data(1),), "timeout")]
    assert a.indexes.attached == set()
    assert a.released == [network.pipes[0].dialled]


def test_a_connection_that_comes_after_the_dial_ended_is_released() -> None:
    network = Network()
    a, b = network.pair()
    network.silent.add(b.peer.address)
    a.send(b, data(1))
    network.run(2 * LIMITS.dial_timeout + 0.1)
    a.connected(b)
    assert a.released == [network.pipes[0].dialled]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": PROTOCOL_VERSION + 1}, "version"),
        ({"swarm": "another"}, "swarm"),
        ({"dialled": address(8)}, "unknown-address"),
        ({"own": address(1)}, "self"),
    ],
)
def test_a_hello_that_does_not_fit_is_refused_with_the_reason(change: dict[str, str], reason: str) -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    stranger.dial(a)
    stranger.hello(a, **change)  # type: ignore[arg-type]
    assert stranger.refusal() == reason
    assert stranger.heard[-1].index == 77
    assert a.links.snapshot().links == ()
    assert a.links.counters()["refused"] == 1


def test_a_refused_dialler_reports_the_reason() -> None:
    network = Network()
    a, b = network.host(1, swarm="one"), network.host(2, swarm="two")
    a.send(b, data(1))
    network.settle()
    assert a.unreachable == [Unreachable(b.peer, (data(1),), "swarm")]


def test_a_welcome_of_another_version_fails_the_dial() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    a.feed_send(stranger, data(1))
    network.settle()
    index = stranger.hello_heard().index
    stranger.say(FrameType.WELCOME, index, 0, encode(Welcome(version=9, index=5, incarnation=1)))
    assert a.unreachable == [Unreachable(stranger.peer, (data(1),), "version")]


def test_a_malformed_welcome_fails_the_dial_and_is_a_fault() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    a.feed_send(stranger, data(1))
    network.settle()
    stranger.say(FrameType.WELCOME, stranger.hello_heard().index, 0, b"\xc1")
    assert a.unreachable == [Unreachable(stranger.peer, (data(1),), "malformed")]
    assert [type(event) for event in a.events] == [PeerFaulted]


def test_a_welcome_over_another_connection_is_stray() -> None:
    network = Network()
    a = network.host(1)
    stranger, other = Stranger(network, 2), Stranger(network, 3)
    a.feed_send(stranger, data(1))
    network.settle()
    other.dial(a)
    welcome = encode(Welcome(version=PROTOCOL_VERSION, index=5, incarnation=1))
    other.say(FrameType.WELCOME, stranger.hello_heard().index, 0, welcome)
    assert a.links.snapshot().links == ()
    assert a.links.counters()["stray"] == 1


def test_the_same_hello_again_gets_the_same_welcome() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    index = stranger.link(a)
    stranger.hello(a)
    assert [frame.body for frame in stranger.heard] == [stranger.heard[0].body] * 2
    assert a.indexes.attached == {index}
    assert len(a.events) == 1


def test_a_busy_peer_is_asked_again_until_it_has_time() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, handshakes_per_second=4.0))
    a, b = network.pair()
    for number in range(10, 14):
        stranger = Stranger(network, number)
        stranger.dial(b)
        stranger.hello(b, wait=0.0)
    a.send(b, data(1))
    network.settle(0.01)
    assert b.received == []
    network.run(1.0)
    assert b.received == [data(1)]
    assert a.unreachable == []
    assert a.count(FrameType.HELLO) >= 2


def test_a_flood_of_hellos_from_one_source_keeps_nobody_else_out() -> None:
    network = Network(
        limits=msgspec.structs.replace(LIMITS, handshakes_per_second=20.0, handshakes_per_source=5.0)
    )
    victim = network.host(1)
    flooder = Stranger(network, 9)
    flooder.dial(victim)
    honest = [network.host(number) for number in range(20, 30)]
    for turn in range(200):
        flooder.hello(victim, index=100 + turn, own=address(5000 + turn), wait=0.01)
        if turn % 20 == 10:
            honest[turn // 20].send(victim, data(turn))
    network.settle()
    assert [host.count(FrameType.HELLO) for host in honest] == [1] * 10
    assert len(victim.received) == 10
    assert victim.links.counters()["refused.busy"] == 200 - 5 - 9


@pytest.mark.parametrize(("source", "most"), [("203.0.113.7", 2), ("127.0.0.1", 4), ("local", 6)])
def test_the_share_of_a_source_depends_on_how_many_peers_may_be_there(source: str, most: int) -> None:
    limits = msgspec.structs.replace(
        LIMITS, handshakes_per_second=6.0, handshakes_per_source=2.0, handshakes_per_loopback=4.0
    )
    network = Network(limits=limits)
    victim = network.host(1, source=lambda _: source)
    strangers = [Stranger(network, number) for number in range(10, 30)]
    for stranger in strangers:
        stranger.dial(victim)
        stranger.hello(victim, wait=0.0)
    network.settle(0.01)
    assert len(victim.links.snapshot().links) == most


def test_handshakes_beyond_the_rate_are_refused_as_busy() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, handshakes_per_second=5.0))
    a = network.host(1)
    strangers = [Stranger(network, number) for number in range(10, 30)]
    for stranger in strangers:
        stranger.dial(a)
        stranger.hello(a, wait=0.0)
    network.settle()
    refused = [stranger for stranger in strangers if stranger.heard[-1].type == FrameType.REFUSED]
    assert len(refused) == 15
    assert {stranger.refusal() for stranger in refused} == {"busy"}


def test_beyond_the_limit_the_oldest_inbound_link_of_a_peer_that_is_not_proven_makes_way() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_links=3))
    a = network.host(1)
    strangers = [Stranger(network, number) for number in range(10, 15)]
    for stranger in strangers:
        stranger.dial(a)
        stranger.hello(a)
    assert {row.peer for row in a.links.snapshot().links} == {stranger.peer for stranger in strangers[2:]}
    assert [stranger.heard[-1].type for stranger in strangers[:2]] == [FrameType.CLOSE] * 2


def test_when_all_inbound_links_are_of_proven_peers_the_next_is_refused_as_busy() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_links=2))
    a, *friends = (network.host(number) for number in (1, 2, 3))
    for friend in friends:
        friend.send(a, data(1))
        network.settle()
        a.prove(friend)
        network.settle()
    stranger = Stranger(network, 10)
    stranger.dial(a)
    stranger.hello(a)
    assert stranger.refusal() == "busy"
    assert len(a.links.snapshot().links) == 2


def test_strangers_links_do_not_use_up_our_own_dials() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_links=3))
    a, b = network.pair()
    for number in range(10, 14):
        stranger = Stranger(network, number)
        stranger.dial(a)
        stranger.hello(a)
    a.send(b, data(1))
    network.settle()
    assert b.received == [data(1)]


def test_dials_beyond_the_limit_hand_their_messages_back() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_dials=2))
    a = network.host(1)
    others = [network.host(number) for number in range(2, 6)]
    for number, other in enumerate(others):
        a.send(other, data(number))
    assert a.unreachable == [
        Unreachable(others[2].peer, (data(2),), "busy"),
        Unreachable(others[3].peer, (data(3),), "busy"),
    ]
    network.settle()
    assert others[0].received == [data(0)]
    a.send(others[2], data(4))
    network.settle()
    assert others[2].received == [data(4)]


def test_without_indexes_a_dial_fails_and_a_hello_is_refused() -> None:
    class NoIndexes(Indexes):
        def attach(self) -> int:
            raise Unavailable("too many indexes")

    network = Network()
    a, b = network.host(1), network.host(2, indexes=NoIndexes(0))
    a.send(b, data(1))
    network.settle()
    assert a.count(FrameType.HELLO) == 1
    assert b.links.counters()["refused"] == 1
    b.send(a, data(2))
    network.settle()
    assert b.unreachable == [Unreachable(a.peer, (data(2),), "busy")]


def test_a_malformed_hello_costs_a_connection_that_nobody_uses() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    stranger.dial(a)
    stranger.say(FrameType.HELLO, 0, 0, b"\xc1garbage")
    assert isinstance(stranger.inputs[-1], Disconnected)
    assert a.links.counters()["faults"] == 1


def test_a_malformed_hello_on_a_connection_with_a_link_costs_nothing_else() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    stranger.link(a)
    stranger.say(FrameType.HELLO, 0, 0, b"\xc1garbage")
    assert len(a.links.snapshot().links) == 1
    assert not any(isinstance(event, Disconnected) for event in stranger.inputs)


def test_both_sides_dialling_at_once_settle_on_the_link_of_the_lower_address() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    b.send(a, data(2))
    network.settle()
    assert (a.received, b.received) == ([data(2)], [data(1)])
    assert len(a.links.snapshot().links) == len(b.links.snapshot().links) == 2
    for number in range(10, 20):
        a.send(b, data(number))
        b.send(a, data(number))
        network.settle(0.5)
    dialled_by_a = network.pipes[0]
    assert {connection for connection, _ in a.data_frames()[-9:]} == {dialled_by_a.dialled}
    assert {connection for connection, _ in b.data_frames()[-9:]} == {dialled_by_a.accepted}
    network.run(LIMITS.idle_close - 2)
    assert len(a.links.snapshot().links) == len(b.links.snapshot().links) == 1
    assert a.row().dialled


def test_a_newer_inbound_link_takes_over_when_its_other_end_has_sealed_a_frame() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    old = stranger.link(a, index=71)
    old_connection = stranger.connection
    new = stranger.link(a, index=72, incarnation=2)
    a.feed_send(stranger, data(1))
    network.settle()
    assert stranger.heard[-1].index == 71
    stranger.connection = next(pipe.dialled for pipe in network.pipes if pipe.dialled != old_connection)
    stranger.say(FrameType.DATA, new, 1, LINK_ACK.pack(0, 0) + encode(data(2)))
    assert a.received == [data(2)]
    assert a.indexes.attached == {new}
    assert LinkClosed(remote=stranger.peer.address, reason="replaced", left=1) in a.events
    moved = [frame for frame in stranger.heard if frame.type == FrameType.DATA and frame.index == 72]
    assert [frame.counter for frame in moved] == [1]
    assert old not in a.indexes.attached


def test_a_hello_of_an_older_life_is_refused_as_stale() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    stranger.link(a, index=71, incarnation=5)
    stranger.dial(a)
    stranger.hello(a, index=72, incarnation=4)
    assert stranger.refusal() == "stale"


def test_a_peer_does_not_link_with_itself() -> None:
    network = Network()
    a = network.host(1)
    a.send(a, data(1))
    a.prove(a)
    network.settle()
    assert a.sent == []
    assert [(drop.reason, drop.count) for drop in a.dropped] == [("self", 1)]
    assert a.unreachable == [Unreachable(a.peer, (), "self")]


def test_a_garbled_refusal_fails_the_dial() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    a.feed_send(stranger, data(1))
    network.settle()
    stranger.say(FrameType.REFUSED, stranger.hello_heard().index, 0, b"")
    assert a.unreachable == [Unreachable(stranger.peer, (data(1),), "malformed")]


def test_a_connection_lost_during_the_handshake_hands_the_messages_back() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    a.feed_send(stranger, data(1))
    network.settle()
    network.cut(network.pipes[0])
    assert a.unreachable == [Unreachable(stranger.peer, (data(1),), "reset")]
    assert a.indexes.attached == set()


def test_a_hello_the_endpoint_does_not_take_is_said_again() -> None:
    network = Network()
    a, b = network.pair()
    network.choked.add(network.connection(a, b).dialled)
    a.send(b, data(1))
    network.settle(0.1)
    network.choked.clear()
    network.settle(0.5)
    assert b.received == [data(1)]


def test_closing_all_says_farewell_and_gives_everything_back() -> None:
    network = Network()
    a, b, c = network.host(1), network.host(2), network.host(3)
    a.send(b, data(1))
    network.settle()
    network.silent.add(c.peer.address)
    a.send(c, data(2))
    a.close_all()
    network.settle()
    assert a.indexes.attached == set()
    assert b.indexes.attached == set()
    assert LinkClosed(remote=a.peer.address, reason="closed by peer") in b.events
    assert [(drop.reason, drop.count) for drop in a.dropped] == [("closed", 1)]
    assert a.links.next_deadline() is None
    assert b.unreachable == []


def test_a_shared_connection_that_its_other_end_just_closed_is_dialled_once_more() -> None:
    """It was unused by all others, so its other end let it go: that says nothing about the peer."""
    network = Network()
    a, b = network.host(1), network.host(2)
    a.send(b, data(1))
    network.run(0.0015)  # connected, HELLO on its way
    (pipe,) = network.open_pipes()
    network.cut(pipe, "closed")
    network.settle()
    assert a.unreachable == []
    assert b.received == [data(1)]
    assert a.links.counters()["dials_restarted"] == 1


def test_a_peer_that_closes_every_connection_is_unreachable_after_the_second() -> None:
    network = Network()
    a, b = network.host(1), network.host(2)
    a.send(b, data(1))
    for _ in range(2):
        network.run(0.0015)
        (pipe,) = network.open_pipes()
        network.cut(pipe, "closed")
    network.settle()
    assert [lost.undelivered for lost in a.unreachable] == [(data(1),)]
    assert b.received == []
