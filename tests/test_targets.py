"""Whom an application means, in every form that it may be written in, and what is wrong with the others."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.actors.mailbox import HostPort
from cicada.errors import Misuse
from cicada.ids import RING_SIZE, Address, Place, canonical_address, hidden_address, peer_at
from cicada.targets import Addressed, peer_meant, place_looked_up, place_within, resolved

HIDDEN: Final = hidden_address("5e" * 32)
HERE: Final = canonical_address("127.0.0.1", 50000)
SIX: Final = canonical_address("2001:db8::7", 50000)


class Somebody:
    """As a SwarmPeer, it has an address."""

    def __init__(self, address: Address) -> None:
        self.address = address


FORMS: Final[list[tuple[Any, Address]]] = [
    (("127.0.0.1", 50000), HERE),
    ("127.0.0.1:50000", HERE),
    (HostPort("127.0.0.1", 50000), HERE),
    (HostPort.of(HERE), HERE),
    (Somebody(HERE), HERE),
    (("::ffff:127.0.0.1", 50000), HERE),
    (("2001:DB8:0::7", 50000), SIX),
    ("[2001:db8::7]:50000", SIX),
    (HIDDEN, HIDDEN),
    ((HIDDEN, 0), HIDDEN),
    (HostPort.of(HIDDEN), HIDDEN),
    (Somebody(HIDDEN), HIDDEN),
]


@pytest.mark.parametrize(("target", "address"), FORMS, ids=lambda value: repr(value)[:40])
async def test_every_form_of_a_target_means_the_peer_at_its_canonical_address(
    target: Any, address: Address
) -> None:
    assert peer_meant(target) == peer_at(address)
    assert await resolved(target) == peer_at(address)


@pytest.mark.parametrize("target", [("localhost", 50000), "localhost:50000"])
async def test_the_name_of_a_host_is_resolved_first(target: Any) -> None:
    assert peer_meant(target) is None
    assert await resolved(target) in (peer_at(HERE), peer_at(canonical_address("::1", 50000)))
    assert await place_looked_up(("localhost", 50000)) == (await resolved(target)).place


async def test_a_host_that_nobody_knows_is_named_in_the_error() -> None:
    with pytest.raises(Misuse, match=r"'no-such-host\.invalid' cannot be resolved"):
        await resolved(("no-such-host.invalid", 50000))


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.invalid"])
async def test_a_name_that_no_host_can_have_is_named_in_the_error_too(host: str) -> None:
    with pytest.raises(Misuse, match="cannot be resolved: a part of its name"):
        await resolved((host, 50000))


@pytest.mark.parametrize(
    "target",
    ["@", "@5e", HIDDEN[:-1], HIDDEN + "0", HIDDEN.upper(), ("@somebody", 50000), HIDDEN + ":50000"],
)
def test_what_only_begins_like_a_hidden_peer_is_refused_with_advice(target: Any) -> None:
    with pytest.raises(Misuse, match="write @ and the 64 digits"):
        peer_meant(target)


@pytest.mark.parametrize(
    "target",
    [
        None,
        1.5,
        b"127.0.0.1:50000",
        (),
        ("127.0.0.1",),
        ("127.0.0.1", 50000, 1),
        ("127.0.0.1", "50000"),
        (b"127.0.0.1", 50000),
        ["127.0.0.1", 50000],
        {"host": "127.0.0.1"},
    ],
    ids=repr,
)
def test_anything_else_is_refused_and_the_error_says_what_to_use(target: Any) -> None:
    with pytest.raises(Misuse, match="no address: use"):
        peer_meant(target)


@pytest.mark.parametrize("target", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:123456"])
def test_a_text_without_a_port_is_no_address(target: str) -> None:
    with pytest.raises(Misuse, match="write host:port"):
        peer_meant(target)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused_whatever_the_host(port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(Misuse, match="out of range"):
            peer_meant((host, port))


@given(st.integers(0, RING_SIZE - 1))
async def test_a_place_is_within_the_ring(place: int) -> None:
    assert place_within(place) == place
    assert await place_looked_up(place) == place


@pytest.mark.parametrize("place", [-1, RING_SIZE, 1 << 300])
async def test_a_number_outside_the_ring_is_no_place(place: int) -> None:
    with pytest.raises(Misuse, match="outside the ring"):
        place_within(place)
    with pytest.raises(Misuse, match="outside the ring"):
        await place_looked_up(place)


@pytest.mark.parametrize(("target", "address"), FORMS, ids=lambda value: repr(value)[:40])
async def test_a_peer_is_looked_up_at_its_place(target: Any, address: Address) -> None:
    if not isinstance(target, str) or target == address:
        assert await place_looked_up(target) == peer_at(address).place


@pytest.mark.parametrize("value", ["some text", "", "localhost:50000", "127.0.0.1:050000", "@5e"])
async def test_any_other_text_and_bytes_are_hashed(value: str) -> None:
    hashed = Place(int.from_bytes(hashlib.sha256(value.encode()).digest(), "big"))
    assert await place_looked_up(value) == hashed
    assert await place_looked_up(value.encode()) == hashed


def test_what_has_an_address_is_addressed() -> None:
    assert isinstance(Somebody(HERE), Addressed)
    assert not isinstance("127.0.0.1:50000", Addressed)
