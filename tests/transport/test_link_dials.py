"""Which addresses a peer dials because others name them, and how often."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from cicada.ids import Address, Peer, peer_at
from cicada.limits import LinkLimits
from cicada.transport.base import ConnectionId
from cicada.transport.linkio import (
    BUSY,
    Connect,
    Connected,
    ConnectFailed,
    FramesArrived,
    LinkOutput,
    Prove,
    Proven,
    SendMessage,
    Transmit,
    Unreachable,
)
from cicada.transport.links import Links
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import LENGTH, FrameType, Hello, Refusal, Welcome, decode_frame, encode_frame
from cicada.wire.security import Unsecured
from tests.transport.linknet import SWARM, Indexes, data

LIMITS = LinkLimits(max_dials=64, host_dials=4, host_dial_rate=1.0)
HOST = "203.0.113.7"


def links(own: str = "198.51.100.1:50000", *, limits: LinkLimits = LIMITS) -> Links:
    return Links(
        Address(own),
        1,
        swarm=SWARM,
        indexes=Indexes(0),
        entropy=random.Random(1),
        security=Unsecured(),
        limits=limits,
    )


def at(port: int, host: str = HOST) -> Peer:
    return peer_at(Address(f"{host}:{port}"))


def dialled(outputs: list[LinkOutput]) -> bool:
    return any(isinstance(output, Connect) for output in outputs)


def answer(core: Links, peer: Peer, now: float) -> list[LinkOutput]:
    """Somebody at the peer's address answers the dial under way."""
    connection = ConnectionId(int(peer.address.rpartition(":")[2]))
    (sent,) = core.handle(Connected(peer.address, connection), now)
    assert isinstance(sent, Transmit)
    hello = decode_body(decode_frame(sent.frame[LENGTH.size :]).body, Hello)
    welcome = encode(Welcome(version=1, index=7, incarnation=1))
    raw = encode_frame(FrameType.WELCOME, hello.index, 0, welcome)
    return core.handle(FramesArrived(connection, (decode_frame(raw[LENGTH.size :]),)), now)


def test_addresses_of_one_host_at_which_nobody_answers_are_dialled_so_often() -> None:
    core = links()
    tries = []
    for port in range(1, 11):
        tries.append(dialled(core.handle(Prove(at(port)), 0.0)))
        core.handle(ConnectFailed(at(port).address, "refused"), 0.0)
    assert tries == [True] * 4 + [False] * 6
    assert core.handle(Prove(at(10)), 0.5) == [Unreachable(at(10), (), "busy")]
    assert core.handle(SendMessage(at(10), data(1)), 0.5) == [Unreachable(at(10), (data(1),), "busy")]
    assert dialled(core.handle(Prove(at(1, "203.0.113.8")), 0.5))
    assert dialled(core.handle(Prove(at(10)), 1.0))
    assert not dialled(core.handle(Prove(at(11)), 1.0))


def test_addresses_at_which_peers_answer_are_dialled_as_often_as_needed() -> None:
    core = links()
    for port in range(1, 30):
        assert dialled(core.handle(Prove(at(port)), 0.0))
        assert Proven(at(port)) in answer(core, at(port), 0.0)


def test_who_is_proven_is_dialled_although_others_at_its_host_are_not_any_more() -> None:
    core = links()
    core.handle(Prove(at(99)), 0.0)
    answer(core, at(99), 0.0)
    core.handle(FramesArrived(ConnectionId(99), ()), 0.0)
    for port in range(1, 6):
        core.handle(Prove(at(port)), 0.0)
    core.handle(Connected(at(1).address, ConnectionId(1)), 0.0)
    lose_link(core)
    assert core.snapshot().links == ()
    assert dialled(core.handle(SendMessage(at(99), data(1)), 0.0))


def test_a_machines_own_peers_are_dialled_without_limit() -> None:
    core = links("127.0.0.1:50000")
    assert all(dialled(core.handle(Prove(at(port, "127.0.0.1")), 0.0)) for port in range(1, 30))


def lose_link(core: Links) -> None:
    """The other end of the only link restarted."""
    (link,) = core.snapshot().links
    unknown = encode_frame(FrameType.UNKNOWN, 7, 0, b"")
    core.handle(FramesArrived(link.connection, (decode_frame(unknown[LENGTH.size :]),)), 0.0)


def test_dials_to_addresses_that_others_name_keep_no_proven_peer_from_being_dialled() -> None:
    core = links()
    core.handle(Prove(at(99)), 0.0)
    answer(core, at(99), 0.0)
    lose_link(core)
    tries = [dialled(core.handle(Prove(at(7, f"203.0.{host}.1")), 0.0)) for host in range(120)]
    assert tries.count(True) == LIMITS.max_dials
    assert dialled(core.handle(SendMessage(at(99), data(1)), 0.0))


def test_a_peer_that_cannot_dial_just_now_hands_messages_back_and_keeps_the_proof() -> None:
    core = links(limits=replace(LIMITS, dials_to_proven=0))
    core.handle(Prove(at(99)), 0.0)
    answer(core, at(99), 0.0)
    lose_link(core)
    for host in range(LIMITS.max_dials):
        core.handle(Prove(at(7, f"203.0.{host}.1")), 0.0)
    assert core.handle(SendMessage(at(99), data(1)), 0.0) == [Unreachable(at(99), (data(1),), BUSY)]
    assert core.snapshot().proven == {at(99)}


def test_what_a_forgotten_link_had_not_finished_comes_back_as_busy_when_there_is_no_room_for_a_dial() -> None:
    core = links(limits=replace(LIMITS, dials_to_proven=0))
    core.handle(SendMessage(at(99), data(1)), 0.0)
    answer(core, at(99), 0.0)
    for host in range(LIMITS.max_dials):
        core.handle(Prove(at(7, f"203.0.{host}.1")), 0.0)
    (link,) = core.snapshot().links
    unknown = encode_frame(FrameType.UNKNOWN, 7, 0, b"")
    outputs = core.handle(FramesArrived(link.connection, (decode_frame(unknown[LENGTH.size :]),)), 0.0)
    assert Unreachable(at(99), (data(1),), BUSY) in outputs
    assert core.snapshot().proven == {at(99)}


def test_a_peer_cannot_call_itself_not_in_doubt_by_refusing_a_finished_handshake_as_busy() -> None:
    core = links()
    core.handle(SendMessage(at(99), data(1)), 0.0)
    answer(core, at(99), 0.0)
    (link,) = core.snapshot().links
    raw = encode_frame(FrameType.REFUSED, link.index, 0, encode(Refusal(reason=BUSY)))
    outputs = core.handle(FramesArrived(link.connection, (decode_frame(raw[LENGTH.size :]),)), 0.0)
    assert Unreachable(at(99), (data(1),), "refused") in outputs
    assert core.snapshot().proven == frozenset()


def test_a_machine_that_is_out_of_descriptors_doubts_nobody() -> None:
    core = links()
    core.handle(Prove(at(99)), 0.0)
    answer(core, at(99), 0.0)
    lose_link(core)
    core.handle(SendMessage(at(99), data(1)), 0.0)
    failed = core.handle(ConnectFailed(at(99).address, "descriptors"), 0.0)
    assert failed == [Unreachable(at(99), (data(1),), BUSY)]
    assert core.snapshot().proven == {at(99)}


@pytest.mark.parametrize(
    ("own", "other", "is_dialled"),
    [
        ("127.0.0.1", "127.0.0.9", True),
        ("127.0.0.1", "10.0.0.9", True),
        ("10.0.0.1", "10.0.0.9", True),
        ("10.0.0.1", "8.8.8.8", True),
        ("8.8.8.8", "1.1.1.1", True),
        ("[2606:4700::1]", "8.8.8.8", True),
        ("10.0.0.1", "127.0.0.1", False),
        ("8.8.8.8", "10.0.0.9", False),
        ("8.8.8.8", "127.0.0.1", False),
        ("8.8.8.8", "169.254.169.254", False),
        ("[2606:4700::1]", "[fe80::1]", False),
        ("127.0.0.1", "0.0.0.0", False),
        ("127.0.0.1", "[::]", False),
        ("127.0.0.1", "224.0.0.1", False),
        ("127.0.0.1", "255.255.255.255", False),
    ],
)
def test_nobody_has_a_peer_dial_an_address_of_narrower_reach_than_its_own(
    own: str, other: str, is_dialled: bool
) -> None:
    core = links(f"{own}:50000")
    peer = at(6379, other)
    assert dialled(core.handle(Prove(peer), 0.0)) is is_dialled
    hello = Hello(
        version=1,
        swarm=SWARM,
        dialled=Address(f"{own}:50000"),
        own=peer.address,
        index=5,
        incarnation=1,
    )
    raw = encode_frame(FrameType.HELLO, 0, 0, encode(hello))
    outputs = core.handle(FramesArrived(ConnectionId(1), (decode_frame(raw[LENGTH.size :]),)), 0.0)
    said = next(output.frame for output in outputs if isinstance(output, Transmit))
    frame = decode_frame(said[LENGTH.size :])
    if is_dialled:
        assert frame.type is FrameType.WELCOME
    else:
        assert decode_body(frame.body, Refusal).reason == "unusable-address"
