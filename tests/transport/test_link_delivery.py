"""Acks, the window, time-outs, and what becomes of messages when a link ends."""

from __future__ import annotations

import msgspec

from cicada.events import LinkClosed
from cicada.ids import peer_at
from cicada.limits import KIB, WIRE
from cicada.transport.base import ConnectionId
from cicada.transport.link import MAX_MESSAGE, Link
from cicada.transport.linkio import Unreachable
from cicada.wire.codec import Message, encode
from cicada.wire.frames import LINK_ACK, Frame, FrameType
from cicada.wire.security import NOBODY, Established, PlainCipher
from tests.transport.linknet import LIMITS, SMALL, Network, Stranger, address, control, data

TIMEOUT = LIMITS.timeout_floor + LIMITS.ack_delay  # of a link with short round trips
IMPATIENT = msgspec.structs.replace(LIMITS, idle_close=1.5)


def test_one_delayed_ack_covers_many_frames() -> None:
    network = Network()
    a, b = network.pair()
    for number in range(50):
        a.send(b, data(number))
    network.settle()
    assert b.count(FrameType.ACK) == 1
    assert a.row().unacknowledged == 0


def test_an_ack_waits_for_its_delay_and_no_longer() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.run(LIMITS.ack_delay)
    assert b.received == [data(1)]
    assert b.count(FrameType.ACK) == 0
    network.run(0.01)
    assert b.count(FrameType.ACK) == 1


def test_much_data_is_acknowledged_without_delay() -> None:
    network = Network()
    a, b = network.pair()
    for number in range(3):
        a.send(b, data(number, 30 * KIB))
    network.run(0.01)
    assert b.count(FrameType.ACK) == 1
    a.send(b, data(3))
    network.run(0.01)
    assert b.count(FrameType.ACK) == 1


def test_acks_ride_on_data_when_there_is_any() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    acks = a.count(FrameType.ACK) + b.count(FrameType.ACK)
    for number in range(1, 100):
        a.send(b, data(number))
        b.send(a, data(number))
        network.run(0.01)
    assert a.count(FrameType.ACK) + b.count(FrameType.ACK) == acks
    assert a.row().unacknowledged < 20 * 200


def test_round_trips_do_not_count_how_long_the_ack_was_held() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    assert 0.0019 <= a.row().round_trip_s <= 0.0022
    assert a.row().timeout_s == TIMEOUT


def test_the_timeout_leaves_the_floor_for_stalls_beyond_the_longest_hold() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, ack_delay=0.28))
    a, b = network.pair()
    for number in range(10):
        a.send(b, data(number))
        network.run(0.5)
    accepted = b.row().connection
    network.latency = lambda connection: 0.1 if connection == accepted else 0.001
    a.send(b, data(10))
    network.run(1.0)
    assert a.unreachable == []


def test_the_timeout_follows_long_round_trips_up_to_its_ceiling() -> None:
    network = Network()
    a, b = network.pair()
    network.latency = lambda _: 0.2
    for number in range(30):
        a.send(b, data(number))
        network.run(0.6)
    assert 0.4 <= a.row().timeout_s <= 0.8
    assert a.unreachable == []


def test_the_timeout_ends_at_its_ceiling() -> None:
    network = Network()
    a, b = network.pair()
    a.prove(b)
    network.settle()
    for delay in (0.45, 1.25, 1.9):
        network.latency = lambda _, delay=delay: delay  # type: ignore[misc]
        a.send(b, data(1))
        network.run(2 * delay + 0.1)
    assert a.row().timeout_s == LIMITS.timeout_ceiling


def test_a_frozen_peer_is_given_up_after_the_first_timeout() -> None:
    network = Network()
    a, b = network.pair()
    b.prove(a)
    network.settle(0.1)
    network.frozen.add(b.peer.address)
    a.send(b, data(1))
    network.run(LIMITS.timeout_first - 0.01)
    assert a.unreachable == []
    network.run(0.02)
    assert a.unreachable == [Unreachable(b.peer, (data(1),), "timeout")]
    assert LinkClosed(remote=b.peer.address, reason="timeout") in a.events


def test_a_measured_peer_that_freezes_is_given_up_after_the_floor_and_needs_a_new_proof() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    assert a.links.snapshot().proven == {b.peer}
    network.frozen.add(b.peer.address)
    first, second = data(2), control(3)
    a.send(b, first)
    a.send(b, second)
    network.run(TIMEOUT + 0.01)
    (report,) = a.unreachable
    assert [id(message) for message in report.undelivered] == [id(first), id(second)]
    assert a.links.snapshot().proven == frozenset()


def test_a_peer_that_is_heard_is_slow_and_has_more_time_but_not_for_ever() -> None:
    link = Link(
        peer_at(address(2)),
        index=1,
        remote_index=2,
        connection=ConnectionId(3),
        dialled=True,
        incarnation=1,
        established=Established(PlainCipher(), NOBODY),
        limits=LIMITS,
        now=0.0,
    )
    link.send(data(1), encode(data(1)), None, 0.0, [])
    assert link.next_due() == LIMITS.timeout_first
    given_up = LIMITS.timeout_heard
    for counter in range(1, int(given_up / 0.5)):
        now = 0.5 * counter
        link.open(Frame(FrameType.DATA, 1, counter, b"", LINK_ACK.pack(0, 0)), now)
        assert not link.timed_out(now)
        assert link.next_due() == min(now + LIMITS.timeout_first, given_up)
    assert link.timed_out(given_up)


def test_any_progress_of_acks_restarts_the_timeout() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    for number in range(20):
        a.send(b, data(number))
        network.run(0.1)
    assert a.unreachable == []


def test_the_window_bounds_what_is_under_way_and_the_queue_drains_with_the_acks() -> None:
    network = Network(limits=SMALL)
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    for number in range(1, 60):
        a.send(b, data(number, 100))
        assert a.row().unacknowledged <= SMALL.max_unacknowledged
    assert a.row().queued > 0
    network.settle()
    assert b.received == [data(0), *(data(number, 100) for number in range(1, 60))]
    assert a.row().queued == a.row().unacknowledged == 0


def test_a_message_larger_than_the_window_goes_alone() -> None:
    network = Network(limits=SMALL)
    a, b = network.pair()
    a.send(b, data(1, 8 * KIB))
    a.send(b, data(2))
    network.settle()
    assert b.received == [data(1, 8 * KIB), data(2)]


def test_an_overflowing_queue_drops_and_counts() -> None:
    network = Network(limits=SMALL)
    a, b = network.pair()
    for number in range(40):
        a.send(b, data(number, KIB))
    network.settle(1.0)
    dropped = sum(drop.count for drop in a.dropped)
    assert {drop.reason for drop in a.dropped} == {"queue-full"}
    assert len(b.received) == 40 - dropped
    assert 20 <= dropped <= 30
    assert a.links.counters()["dropped.queue-full"] == dropped


def test_relayed_floods_leave_room_for_others_on_the_same_link() -> None:
    network = Network(limits=SMALL)
    a, b = network.pair()
    flooder, modest = peer_at(address(8)), peer_at(address(9))
    a.send(b, data(0))
    network.settle()
    for number in range(1, 400):
        a.send(b, data(number, 200), flooder)
        if number % 40 == 0:
            a.send(b, data(1000 + number, 200), modest)
    network.settle(1.0)
    carried = {message.counter for message in b.received if isinstance(message, type(data(0)))}
    assert carried >= {1000 + number for number in range(40, 400, 40)}
    assert sum(drop.count for drop in a.dropped) > 200


def test_control_overtakes_waiting_data() -> None:
    network = Network(limits=SMALL)
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    for number in range(60):
        a.send(b, data(number, 100))
    a.send(b, control(1))
    network.settle()
    assert b.received.index(control(1)) < 40


def test_a_message_that_fits_no_frame_is_dropped_and_counted() -> None:
    network = Network()
    a, b = network.pair()
    long = msgspec.structs.replace(control(1), extra=bytes(WIRE.max_frame))
    assert len(encode(long)) > MAX_MESSAGE
    a.send(b, long)
    assert [(drop.reason, drop.count) for drop in a.dropped] == [("too-large", 1)]
    a.send(b, data(1, WIRE.max_payload))
    network.settle()
    assert b.received == [data(1, WIRE.max_payload)]


def test_frames_the_endpoint_does_not_take_are_sent_later_in_order() -> None:
    network = Network(limits=SMALL)
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    network.choked.add(a.row().connection)
    for number in range(1, 30):
        a.send(b, data(number))
    b.send(a, data(99))
    network.run(0.1)
    assert b.received == [data(0)]
    network.choked.clear()
    a.send(b, data(30))
    network.settle()
    assert b.received == [data(number) for number in range(31)]
    assert a.received == [data(99)]
    assert a.unreachable == b.unreachable == []


def test_a_frame_that_was_not_taken_is_not_overtaken_when_there_is_room_again() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    network.choked.add(a.row().connection)
    a.send(b, data(1))
    network.choked.clear()
    a.send(b, data(2))
    network.settle()
    assert b.received == [data(0), data(1), data(2)]
    assert b.unreachable == []


def test_a_connection_that_takes_nothing_ends_in_the_timeout() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    network.choked.add(a.row().connection)
    a.send(b, data(1))
    network.run(TIMEOUT + 0.1)
    assert a.unreachable == [Unreachable(b.peer, (data(1),), "timeout")]


def test_a_lost_connection_hands_back_what_was_not_acknowledged() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    a.send(b, data(2))
    network.cut(network.pipes[0])
    assert a.unreachable == [Unreachable(b.peer, (data(2),), "reset")]
    assert b.unreachable == [Unreachable(a.peer, (), "reset")]
    assert a.indexes.attached == b.indexes.attached == set()


def test_a_connection_closed_as_idle_by_our_endpoint_is_no_failure() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    a.send(b, data(2))
    network.run(0.01)
    network.cut(network.pipes[0], "idle")
    network.settle()
    assert a.unreachable == b.unreachable == []
    assert a.links.snapshot().proven == {b.peer}
    assert [message for message in b.received if message == data(2)]


def test_with_two_links_the_loss_of_one_moves_its_messages_to_the_other() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    b.send(a, data(2))
    network.settle()
    (used,) = {connection for connection, _ in a.data_frames()}
    a.send(b, data(3))
    network.cut(network.pipe_of(used))
    network.settle()
    assert b.received == [data(1), data(3)]
    assert a.unreachable == []


def test_a_better_link_waits_until_nothing_can_be_overtaken() -> None:
    network = Network()
    a, b = network.pair()
    slow = {network.connection(a, b).dialled}
    network.latency = lambda connection: 0.05 if connection in slow else 0.001
    a.send(b, data(0))
    b.send(a, data(1))
    network.run(0.03)
    (own,) = {connection for connection, _ in b.data_frames()}
    slow.add(own)
    b.send(a, data(2))
    network.run(0.025)
    slow.clear()
    assert len(b.links.snapshot().links) == 2
    b.send(a, data(3))
    network.settle()
    assert a.received == [data(1), data(2), data(3)]
    b.send(a, data(4))
    assert b.data_frames()[-1][0] != own


def test_a_dead_worker_is_reported_once_for_each_peer() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    a.prove(b)
    b.prove(a)
    network.settle()
    network.kill(b)
    assert a.unreachable == [Unreachable(b.peer, (), "reset")]


def test_an_idle_link_is_closed_and_its_proof_kept() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.run(LIMITS.idle_close - 1)
    assert len(a.links.snapshot().links) == 1
    network.run(2)
    assert a.links.snapshot().links == b.links.snapshot().links == ()
    assert a.unreachable == b.unreachable == []
    frames = len(a.sent)
    a.prove(b)
    assert a.proven == [b.peer]
    assert len(a.sent) == frames
    assert a.released == [network.pipes[0].dialled]
    assert b.released == [network.pipes[0].accepted]


def test_a_message_that_crosses_a_close_is_delivered_once_over_a_new_link() -> None:
    network = Network()
    a, b = network.host(1), network.host(2, limits=IMPATIENT)
    a.send(b, data(1))
    while b.count(FrameType.CLOSE) == 0:
        network.run(0.0002)
    assert a.row().peer == b.peer
    a.send(b, data(2))
    network.settle()
    assert a.count(FrameType.HELLO) == 2
    assert b.received == [data(1), data(2)]
    assert a.unreachable == []


def test_a_close_carries_the_last_ack() -> None:
    network = Network()
    a = network.host(1)
    stranger = Stranger(network, 2)
    index = stranger.link(a)
    a.feed_send(stranger, data(1))
    a.feed_send(stranger, data(2))
    network.settle()
    network.silent.add(stranger.peer.address)
    stranger.say(FrameType.CLOSE, index, 1, LINK_ACK.pack(1, 0))
    network.run(5.0)
    assert a.undelivered == [data(2)]


def test_marked_links_stay_open_and_are_pinged() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    a.keep(b)
    network.run(10 * LIMITS.ping_interval)
    assert len(a.links.snapshot().links) == 1
    assert 8 <= a.count(FrameType.PING) <= 10
    assert b.count(FrameType.PING) == 0
    a.keep()
    network.run(LIMITS.idle_close + 1)
    assert a.links.snapshot().links == ()


def test_a_marked_peer_that_is_silent_is_found_dead_by_a_ping() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    a.keep(b)
    network.settle()
    network.frozen.add(b.peer.address)
    network.run(LIMITS.ping_interval + TIMEOUT + 0.1)
    assert a.unreachable == [Unreachable(b.peer, (), "timeout")]


def test_an_unknown_index_makes_one_new_dial_that_carries_what_was_lost() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    reborn = network.host(2, incarnation=2)
    messages: list[Message] = [data(2), control(3)]
    for message in messages:
        a.send(reborn, message)
    network.settle()
    assert sorted(reborn.received, key=repr) == sorted(messages, key=repr)
    assert a.count(FrameType.HELLO) == 2
    assert a.unreachable == []
    assert a.row().incarnation == 2


def test_a_peer_that_keeps_forgetting_its_links_is_dialled_once_a_second_at_most() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    for life in range(2, 4):
        b = network.host(2, incarnation=life)
        a.send(b, data(life))
        network.settle()
    assert a.unreachable == [Unreachable(b.peer, (data(3),), "unknown to peer")]
    assert a.count(FrameType.HELLO) == 2


def test_a_hint_that_names_no_link_of_its_connection_changes_nothing() -> None:
    network = Network()
    a = network.host(1)
    stranger, other = Stranger(network, 2), Stranger(network, 3)
    stranger.link(a, index=71)
    other.dial(a)
    other.say(FrameType.UNKNOWN, 71, 0, b"")
    assert len(a.links.snapshot().links) == 1


def test_counters_and_snapshot_tell_what_happened() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, idle_close=1.0))
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    assert a.row().peer == b.peer
    assert (a.row().sent, a.row().received) == (1, 1)
    network.run(2.0)
    counters = a.links.counters()
    assert (counters["opened"], counters["closed"], counters["dials"]) == (1, 1, 1)
    assert counters["frames_sent"] + counters["frames_received"] == 3
    assert a.links.indexes() == ()
