"""What a peer that breaks the rules can cost: its link, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.events import LinkClosed, PeerFaulted
from cicada.transport.linkio import Disconnected
from cicada.wire.codec import encode
from cicada.wire.frames import LINK_ACK, FrameType
from tests.transport.linknet import Host, Network, Stranger, data

ACK_ALONE = LINK_ACK.pack(0, 0)


def sealed(message: int) -> bytes:
    """The body of a DATA frame."""
    return ACK_ALONE + encode(data(message))


def with_stranger() -> tuple[Network, Host, Stranger, int]:
    """A host linked with a stranger and with an honest peer, and the host's index for the stranger's link."""
    network = Network()
    host, honest = network.host(1), network.host(2)
    stranger = Stranger(network, 3)
    index = stranger.link(host)
    honest.send(host, data(0))
    network.settle()
    return network, host, stranger, index


def assert_only_the_link_was_lost(network: Network, host: Host, stranger: Stranger, reason: str) -> None:
    assert PeerFaulted(remote=stranger.peer.address, reason=reason) in host.events
    assert LinkClosed(remote=stranger.peer.address, reason=reason) in host.events
    assert [report.peer for report in host.unreachable] == [stranger.peer]
    assert len(host.links.snapshot().links) == 1
    assert stranger.heard[-1].type == FrameType.CLOSE
    assert not any(isinstance(event, Disconnected) for event in stranger.inputs)
    (honest,) = [party for party in network.hosts.values() if isinstance(party, Host) and party is not host]
    honest.send(host, data(1))
    network.settle()
    assert host.received[-1] == data(1)


def test_frames_in_order_are_accepted() -> None:
    _, host, stranger, index = with_stranger()
    stranger.say(FrameType.DATA, index, 1, sealed(7))
    stranger.say(FrameType.DATA, index, 2, sealed(8))
    assert host.received == [data(0), data(7), data(8)]
    assert len(host.links.snapshot().links) == 2


@pytest.mark.parametrize("counter", [0, 1, 3, 1 << 63])
def test_a_replayed_or_reordered_or_skipped_counter_closes_the_link(counter: int) -> None:
    network, host, stranger, index = with_stranger()
    stranger.say(FrameType.DATA, index, 1, sealed(7))
    stranger.say(FrameType.DATA, index, counter, sealed(8))
    assert host.received == [data(0), data(7)]
    assert_only_the_link_was_lost(network, host, stranger, "counter")


def test_a_malformed_message_closes_the_link_and_is_not_acknowledged() -> None:
    network, host, stranger, index = with_stranger()
    stranger.say(FrameType.DATA, index, 1, ACK_ALONE + b"\xc1")
    assert stranger.heard[-1].body == ACK_ALONE
    (fault,) = [event for event in host.events if isinstance(event, PeerFaulted)]
    assert fault.reason.startswith("message")
    assert_only_the_link_was_lost(network, host, stranger, fault.reason)


def test_a_body_too_short_for_its_ack_closes_the_link() -> None:
    network, host, stranger, index = with_stranger()
    stranger.say(FrameType.ACK, index, 1, ACK_ALONE[:-1])
    assert_only_the_link_was_lost(network, host, stranger, "short-body")


def test_an_ack_of_what_was_never_sent_closes_the_link() -> None:
    network, host, stranger, index = with_stranger()
    stranger.say(FrameType.ACK, index, 1, LINK_ACK.pack(1, 0))
    assert_only_the_link_was_lost(network, host, stranger, "ack-of-unsent")


def test_what_was_not_acknowledged_by_a_faulty_peer_comes_back() -> None:
    _, host, stranger, index = with_stranger()
    host.feed_send(stranger, data(5))
    stranger.say(FrameType.DATA, index, 9, sealed(7))
    assert host.undelivered == [data(5)]


def test_an_ack_that_claims_to_have_been_held_for_hours_does_no_harm() -> None:
    _, host, stranger, index = with_stranger()
    host.feed_send(stranger, data(5))
    stranger.say(FrameType.ACK, index, 1, LINK_ACK.pack(1, (1 << 32) - 1))
    (row,) = [row for row in host.links.snapshot().links if row.peer == stranger.peer]
    assert row.round_trip_s == 0.0
    assert row.unacknowledged == 0


def test_a_frame_over_another_connection_than_its_link_s_is_refused_and_counted() -> None:
    network, host, stranger, index = with_stranger()
    other = Stranger(network, 4)
    other.dial(host)
    other.say(FrameType.DATA, index, 1, sealed(7))
    other.say(FrameType.CLOSE, index, 1, ACK_ALONE)
    assert host.received == [data(0)]
    assert host.links.counters()["stray"] == 2
    stranger.say(FrameType.DATA, index, 1, sealed(8))
    assert host.received == [data(0), data(8)]


def test_frames_before_the_handshake_ends_are_stray() -> None:
    network = Network()
    host = network.host(1)
    stranger = Stranger(network, 2)
    host.feed_send(stranger, data(1))
    network.settle()
    stranger.say(FrameType.DATA, stranger.hello_heard().index, 1, sealed(7))
    assert host.received == []
    assert host.links.counters()["stray"] == 1


ANY_FRAME = st.tuples(
    st.sampled_from(list(FrameType)),
    st.sampled_from(["link", "dial", "zero", "random"]),
    st.integers(0, 4) | st.sampled_from([1 << 63, (1 << 64) - 1]),
    st.binary(max_size=60) | st.just(sealed(7)) | st.just(ACK_ALONE),
)


@given(st.lists(ANY_FRAME, max_size=12))
def test_random_frames_never_raise_and_cost_only_the_stranger(
    frames: list[tuple[FrameType, str, int, bytes]],
) -> None:
    network, host, stranger, index = with_stranger()
    host.feed_send(stranger, data(5))
    host.feed_prove(stranger)
    network.settle()
    connection = stranger.connection
    dials = [number for number in host.links.indexes() if number != index]
    for kind, target, counter, body in frames:
        stranger.connection = connection
        number = {"link": index, "dial": dials[-1], "zero": 0, "random": 123456}[target]
        if network.pipe_of(connection).is_open:
            stranger.say(kind, number, counter, body, wait=0.002)
    network.run(10.0)
    honest = next(party for party in network.hosts.values() if isinstance(party, Host) and party is not host)
    assert honest.peer in {row.peer for row in host.links.snapshot().links}
    assert honest.peer not in {report.peer for report in host.unreachable}
    assert host.indexes.attached == set(host.links.indexes())
    honest.send(host, data(99))
    network.settle()
    assert host.received[-1] == data(99)
