"""What links say of the messages that pass over them: how many, and when one is told that its trip is followed."""

from __future__ import annotations

from cicada.limits import KIB
from cicada.transport.linkio import HopBegun
from cicada.wire.frames import FrameType
from cicada.wire.trips import FAMILIES
from tests.transport.linknet import LIMITS, Host, Network, control, data


def taken(host: Host) -> dict[str, dict[str, int]]:
    return {
        remote: {family: count for family, count in zip(FAMILIES, counts, strict=True) if count}
        for remote, counts in host.links.take_traffic().items()
    }


def test_what_a_link_transmits_is_counted_by_family_until_it_is_asked_for() -> None:
    network = Network()
    a, b = network.pair()
    for number in range(3):
        a.send(b, data(number))
    a.send(b, control(1))
    b.send(a, data(9))
    network.settle()
    assert taken(a) == {b.peer.address: {"data": 3, "ring": 1}}
    assert taken(b) == {a.peer.address: {"data": 1}}
    assert taken(a) == {}
    a.send(b, data(4))
    assert taken(a) == {b.peer.address: {"data": 1}}


def test_what_waits_above_the_window_is_counted_when_it_leaves() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(0))
    network.settle()
    for number in range(1, 20):
        a.send(b, data(number, 30 * KIB))
    first = taken(a)[b.peer.address]["data"]
    assert 0 < first < 20
    network.settle()
    assert first + taken(a)[b.peer.address]["data"] == 20
    assert sum(1 for _ in a.data_frames()) == 20


def test_pings_and_acks_are_no_messages() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    network.settle()
    a.keep(b)
    b.keep(a)
    network.run(LIMITS.ping_interval * 5)
    assert a.count(FrameType.PING) + b.count(FrameType.PING) > 0
    assert taken(a) == {b.peer.address: {"data": 1}}
    assert taken(b) == {}


def test_a_link_tells_of_the_hops_that_an_open_sample_holds_and_of_no_other() -> None:
    network = Network()
    a, b = network.pair()
    a.send(b, data(1))
    assert a.hops == []
    a.sample.is_open = True
    messages = [data(number) for number in range(64)]
    for message in messages:
        a.send(b, message)
    a.send(b, control(1))
    assert a.hops == [HopBegun(b.peer, message) for message in messages]
    a.hops.clear()
    a.sample.choose(8)
    for message in messages:
        a.send(b, message)
    assert a.hops == [HopBegun(b.peer, message) for message in messages if a.sample.holds(message)]
    assert len(a.hops) == 8
