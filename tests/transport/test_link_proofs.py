"""Dialling is the proof: handshakes, and PROVE over a connection dialled back."""

from __future__ import annotations

import msgspec

from cicada.events import LinkClosed
from cicada.transport.linkio import Unreachable
from cicada.wire.codec import encode
from cicada.wire.frames import PROTOCOL_VERSION, FrameType, Welcome
from tests.transport.linknet import LIMITS, Host, Network, Stranger, data


def linked() -> tuple[Network, Host, Host]:
    """The first has dialled the second, and both have spoken."""
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    b.send(a, data(2))
    network.settle()
    return network, a, b


def test_a_handshake_over_a_dialled_connection_is_the_proof() -> None:
    network = Network()
    a, b = network.pair()
    a.prove(b)
    assert a.proven == []
    network.settle()
    assert a.proven == [b.peer]
    assert b.links.snapshot().proven == frozenset()


def test_a_link_made_for_a_proof_alone_is_closed_soon() -> None:
    network = Network()
    a, b = network.pair()
    a.prove(b)
    network.run(LIMITS.proof_linger + 0.1)
    assert a.links.snapshot().links == b.links.snapshot().links == ()
    assert LinkClosed(remote=a.peer.address, reason="closed by peer") in b.events
    assert a.unreachable == b.unreachable == []


def test_a_link_made_for_a_proof_lives_on_when_it_is_used() -> None:
    network = Network()
    a, b = network.pair()
    a.prove(b)
    network.settle()
    b.send(a, data(1))
    network.run(10.0)
    assert len(a.links.snapshot().links) == len(b.links.snapshot().links) == 1


def test_an_inbound_link_proves_nothing() -> None:
    _, a, b = linked()
    assert a.links.snapshot().proven == {b.peer}
    assert b.links.snapshot().proven == frozenset()


def test_the_reverse_proof_is_a_challenge_without_a_second_handshake() -> None:
    network, a, b = linked()
    b.prove(a)
    network.settle()
    assert b.proven == [a.peer]
    assert FrameType.HELLO not in b.kinds()
    (challenge,) = [entry for entry in b.sent if entry[1].type == FrameType.PROVE]
    (answer,) = [entry for entry in a.sent if entry[1].type == FrameType.PROVEN]
    back = network.pipe_of(challenge[0])
    assert (challenge[0], answer[0]) == (back.dialled, back.accepted)
    assert b.row().connection != back.dialled
    assert b.released == [back.dialled]
    assert b.links.counters()["proofs"] == 1


def test_proofs_never_use_a_counter_twice_nor_one_of_the_link() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_proofs=1))
    a, b, c = network.host(1), network.host(2), network.host(3)
    a.send(b, data(1))
    network.settle()
    for _ in range(3):
        b.prove(a)
        network.settle()
        b.prove(c)  # makes b forget the proof of a
        b.send(a, data(3))
        network.settle()
    (index,) = [row.index for row in a.links.snapshot().links]
    frames = [frame for _, frame in b.sent if frame.index == index]
    assert [frame.type for frame in frames].count(FrameType.PROVE) == 3
    counters = [frame.counter for frame in frames if frame.type not in (FrameType.HELLO, FrameType.WELCOME)]
    assert len(set(counters)) == len(counters)


def test_proving_twice_while_the_dial_runs_gets_one_answer() -> None:
    network = Network()
    a, b = network.pair()
    a.prove(b)
    a.prove(b)
    network.settle()
    assert a.proven == [b.peer]
    a.prove(b)
    assert a.proven == [b.peer, b.peer]


def test_a_peer_that_cannot_be_dialled_is_unreachable_though_its_own_link_works() -> None:
    network, a, b = linked()
    network.silent.add(a.peer.address)
    b.prove(a)
    network.run(5.0)
    assert b.unreachable == [Unreachable(a.peer, (), "timeout")]
    b.send(a, data(3))
    network.settle()
    assert a.received[-1] == data(3)


def test_an_answer_over_the_link_itself_is_no_proof() -> None:
    network = Network()
    b = network.host(2)
    liar = Stranger(network, 1)
    index = liar.link(b)
    its_connection = liar.connection
    b.feed_prove(liar)
    network.settle()
    challenge = liar.heard[-1]
    assert challenge.type == FrameType.PROVE
    liar.connection = its_connection
    liar.say(FrameType.PROVEN, index, 1 << 63, challenge.body)
    assert b.proven == []
    assert b.links.counters()["stray"] == 1


def test_a_wrong_answer_is_no_proof() -> None:
    network = Network()
    b = network.host(2)
    liar = Stranger(network, 1)
    index = liar.link(b)
    b.feed_prove(liar)
    network.settle()
    liar.say(FrameType.PROVEN, index, 1 << 63, bytes(16))
    liar.say(FrameType.PROVEN, index, (1 << 63) + 1, b"short")
    liar.say(FrameType.PROVEN, index, 1, liar.heard[-1].body)
    assert b.proven == []
    network.run(3.0)
    assert b.unreachable == [Unreachable(liar.peer, (), "timeout")]


def test_whoever_claims_another_s_address_loses_the_link_when_the_address_disowns_it() -> None:
    network = Network()
    a, b = network.pair()
    liar = Stranger(network, 3)
    network.hosts[a.peer.address] = a
    liar.dial(b)
    liar.hello(b, own=a.peer.address)
    b.send(a, data(1))
    network.settle(0.01)
    b.prove(a)
    network.settle()
    assert b.proven == [a.peer]
    assert LinkClosed(remote=a.peer.address, reason="disowned") in b.events
    assert a.received == [data(1)]
    assert b.row().dialled


def test_garbage_proofs_do_not_cost_the_link() -> None:
    network, a, _ = linked()
    stranger = Stranger(network, 5)
    stranger.dial(a)
    index = a.row().index
    stranger.say(FrameType.PROVE, index, 1, bytes(16))
    stranger.say(FrameType.PROVE, index, 1 << 63, bytes(3))
    stranger.say(FrameType.PROVEN, index, 1 << 63, bytes(16))
    assert [(frame.type, frame.index) for frame in stranger.heard] == [(FrameType.UNKNOWN, index)] * 2
    assert len(a.links.snapshot().links) == 1
    assert a.links.counters()["bad_proof"] == 2


def test_a_link_that_dies_during_its_proof_is_replaced_by_a_handshake() -> None:
    network, a, b = linked()
    b.prove(a)
    network.run(0.0015)
    assert b.count(FrameType.PROVE) == 1
    network.cut(network.pipes[0])
    network.settle()
    assert b.proven == [a.peer]
    assert b.count(FrameType.HELLO) == 1
    assert b.unreachable == []


def test_a_proof_is_forgotten_when_a_dial_fails() -> None:
    network = Network()
    a, b = network.pair()
    a.prove(b)
    network.run(2.0)
    network.kill(b)
    a.send(b, data(1))
    network.settle()
    assert a.undelivered == [data(1)]
    assert a.links.snapshot().proven == frozenset()


def test_the_oldest_proof_goes_when_there_are_too_many() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_proofs=2))
    a = network.host(1)
    others = [network.host(number) for number in range(2, 5)]
    for other in others:
        a.prove(other)
        network.settle()
    assert a.links.snapshot().proven == {others[1].peer, others[2].peer}


def test_a_connection_that_comes_when_the_peer_has_linked_meanwhile_serves_only_a_proof() -> None:
    network = Network()
    a, b = network.pair()
    network.silent.add(b.peer.address)
    a.send(b, data(1))
    b.send(a, data(2))
    network.settle()
    assert b.received == [data(1)]
    a.connected(b)
    network.settle()
    assert a.count(FrameType.HELLO) == 0
    assert a.released == [network.connection(a, b).dialled]
    a.prove(b)
    a.connected(b)
    network.settle()
    assert a.proven == [b.peer]
    assert a.count(FrameType.PROVE) == 1


def test_a_second_welcome_for_an_open_link_changes_nothing() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    a.feed_send(stranger, data(1))
    network.settle()
    index = stranger.hello_heard().index
    for remote_index in (5, 6):
        welcome = Welcome(version=PROTOCOL_VERSION, index=remote_index, incarnation=1)
        stranger.say(FrameType.WELCOME, index, 0, encode(welcome))
    a.feed_send(stranger, data(2))
    network.settle()
    assert [frame.index for _, frame in a.data_frames()] == [5, 5]
