"""Addresses have one spelling, and places follow from it."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cicada.errors import Misuse
from cicada.ids import (
    LONGEST_ADDRESS,
    LONGEST_NAME,
    RING_SIZE,
    Address,
    Peer,
    Place,
    Reach,
    canonical_address,
    hidden_address,
    is_address,
    is_canonical,
    is_hidden,
    is_loopback,
    peer_at,
    place_from_bytes,
    place_of,
    place_to_bytes,
    reach_of,
    split_address,
)

ports = st.integers(1, 65535)
places = st.integers(0, RING_SIZE - 1).map(Place)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("127.0.0.1", "127.0.0.1:20"),
        ("::1", "[::1]:20"),
        ("2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:20"),
        ("2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:20"),
        ("::ffff:10.0.0.1", "10.0.0.1:20"),
        ("::FFFF:a00:1", "10.0.0.1:20"),
    ],
)
def test_every_spelling_of_an_ip_address_has_one_canonical_text(host: str, text: str) -> None:
    assert canonical_address(host, 20) == text
    assert is_canonical(text)


@given(st.ip_addresses(), ports)
@example(ipaddress.ip_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 65535)
def test_canonical_text_is_stable_bounded_and_can_be_split(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    text = canonical_address(str(ip), port)
    host, again = split_address(text)
    assert again == port
    assert canonical_address(host, port) == text
    assert is_canonical(text)
    assert len(text) <= LONGEST_ADDRESS


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_misuse_that_names_the_range(port: int) -> None:
    with pytest.raises(Misuse, match=f"{port} .*1 to 65535"):
        canonical_address("127.0.0.1", port)


@pytest.mark.parametrize(
    "host", ["", "localhost", "example.org", "127.1", "127.0.0.01", "1.2.3.4.5", "[::1]", " ::1"]
)
def test_a_host_that_is_not_a_numeric_ip_address_is_misuse(host: str) -> None:
    with pytest.raises(Misuse, match="numeric"):
        canonical_address(host, 20)


def test_an_address_with_a_zone_is_misuse_because_it_names_different_hosts_on_different_machines() -> None:
    with pytest.raises(Misuse, match="zone"):
        canonical_address("fe80::1%eth0", 20)
    assert not is_canonical("[fe80::1%eth0]:20")


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "a:\u0663", "a:123456"]
)
def test_text_without_a_decimal_port_is_misuse(text: str) -> None:
    with pytest.raises(Misuse, match="host:port"):
        split_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:020",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "::1:20",
        "[::01]:20",
        "[127.0.0.1]:20",
        "127.0.0.1:20\n",
    ],
)
def test_other_spellings_are_not_canonical(text: str) -> None:
    assert not is_canonical(text)


@given(st.text(max_size=60))
def test_whether_text_is_canonical_can_be_asked_of_any_text(text: str) -> None:
    assert is_canonical(text) in (True, False)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:20", True),
        ("127.9.8.7:20", True),
        ("[::1]:20", True),
        ("10.0.0.1:20", False),
        ("[fe80::1]:2", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(text: str, loopback: bool) -> None:
    assert is_loopback(Address(text)) is loopback


def test_a_place_is_the_sha256_of_the_address_text_as_an_unsigned_integer() -> None:
    digest = hashlib.sha256(b"127.0.0.1:20000").hexdigest()
    assert place_of(Address("127.0.0.1:20000")) == int(digest, 16)


@given(places)
def test_a_place_survives_its_32_bytes(place: Place) -> None:
    raw = place_to_bytes(place)
    assert len(raw) == 32
    assert place_from_bytes(raw) == place


def test_peers_are_equal_when_their_addresses_are_and_live_in_sets() -> None:
    one, same, other = (
        Peer(Address("127.0.0.1:1")),
        Peer(Address("127.0.0.1:1")),
        Peer(Address("127.0.0.1:2")),
    )
    assert one == same
    assert one != other
    assert {one, same, other} == {one, other}
    assert one.place == place_of(one.address)


def test_a_peer_cannot_be_changed_and_survives_copying_and_pickling() -> None:
    peer = peer_at(Address("127.0.0.1:1"))
    with pytest.raises(AttributeError, match="can't set"):
        peer.address = Address("127.0.0.1:2")  # type: ignore[misc]
    assert copy.deepcopy(peer) == peer
    assert pickle.loads(pickle.dumps(peer)) == peer


def test_one_address_gives_one_shared_peer() -> None:
    assert peer_at(Address("127.0.0.1:1")) is peer_at(Address("127.0.0.1:1"))


def test_what_is_not_a_text_and_a_number_is_no_address() -> None:
    with pytest.raises(Misuse, match="not an address"):
        canonical_address(["127.0.0.1"], 5000)  # type: ignore[arg-type]
    with pytest.raises(Misuse, match="not an address"):
        canonical_address("127.0.0.1", "5000")  # type: ignore[arg-type]


PEER_ID = "0123456789abcdef" * 4


@given(st.binary(min_size=32, max_size=32))
def test_a_hidden_address_names_a_peer_id_and_nothing_that_can_be_dialled(raw: bytes) -> None:
    address = hidden_address(raw.hex())
    assert address == "@" + raw.hex()
    assert len(address) == LONGEST_NAME
    assert is_hidden(address)
    assert is_address(address)
    assert not is_canonical(address)
    assert not is_loopback(address)
    assert reach_of(address) is Reach.NOWHERE
    assert place_of(address) == int.from_bytes(hashlib.sha256(address.encode()).digest(), "big")
    assert peer_at(address) == Peer(address)
    with pytest.raises(Misuse):
        canonical_address(*split_address(f"{address}:20000"))


@given(st.ip_addresses(), ports)
def test_an_address_that_can_be_dialled_is_not_hidden(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    address = canonical_address(str(ip), port)
    assert is_address(address)
    assert not is_hidden(address)


@pytest.mark.parametrize(
    "peer_id",
    [
        "",
        PEER_ID[:-1],
        PEER_ID + "0",
        PEER_ID.upper(),
        PEER_ID[:-1] + "g",
        PEER_ID[:-1] + "\uff11",
        "@" + PEER_ID,
        " " + PEER_ID[1:],
    ],
)
def test_only_a_peer_id_makes_a_hidden_address(peer_id: str) -> None:
    with pytest.raises(Misuse, match="not a peer id"):
        hidden_address(peer_id)
    assert not is_address("@" + peer_id)


@given(st.text(max_size=80) | st.text("@0123456789abcdef:.[]", max_size=80))
def test_whatever_else_is_no_address(text: str) -> None:
    assert is_address(text) == (is_canonical(text) or (is_hidden(text) and len(text) == LONGEST_NAME))
