"""A voucher is good for one hidden peer, from one relay, in one swarm, and for a while."""

from __future__ import annotations

from typing import Any, Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import PeerFault
from cicada.ids import Address, hidden_address
from cicada.keys.identity import Identity
from cicada.keys.vouchers import read_voucher, sign_voucher
from cicada.limits import LODGING
from tests.keys.parties import secret
from tests.keys.people import ALICE, BOB, EVE

NOW: Final = 1_790_000_000_000
SWARM: Final = "meadow"
RELAY: Final = Address("192.0.2.7:50000")
LODGER: Final = hidden_address(ALICE.peer_id)
RAW: Final = sign_voucher(BOB, RELAY, SWARM, LODGER, NOW)
LIFE_MS: Final = int(LODGING.voucher_seconds * 1000)
RELAY_AT, KEY_AT, EXPIRES_AT, SIGNATURE_AT = range(4)


def refused(raw: bytes, lodger: Address = LODGER, swarm: str = SWARM, now_ms: int = NOW) -> str:
    with pytest.raises(PeerFault) as caught:
        read_voucher(raw, lodger, swarm, now_ms)
    return caught.value.reason


def altered(at: int, value: Any) -> bytes:
    """The voucher with another field, encoded by another library than the product's."""
    fields = msgpack.unpackb(RAW)
    fields[at] = value
    packed: bytes = msgpack.packb(fields)
    return packed


def test_what_a_relay_signed_is_read_until_it_expires() -> None:
    voucher = read_voucher(RAW, LODGER, SWARM, NOW)
    assert (voucher.relay, voucher.signing_key) == (RELAY, BOB.signing_public)
    assert voucher.expires_ms == NOW + LIFE_MS
    assert read_voucher(RAW, LODGER, SWARM, NOW + LIFE_MS - 1) == voucher
    assert refused(RAW, now_ms=NOW + LIFE_MS) == "voucher-expired"


def test_no_clock_makes_a_voucher_good_for_long() -> None:
    ahead = int(LODGING.voucher_longest * 1000) - LIFE_MS
    assert read_voucher(RAW, LODGER, SWARM, NOW - ahead).relay == RELAY
    assert refused(RAW, now_ms=NOW - ahead - 1) == "voucher-expired"


def test_the_signed_bytes_are_those_of_the_document() -> None:
    fields = msgpack.unpackb(RAW)
    signed = b"cicada-voucher-1" + msgpack.packb([SWARM, RELAY, LODGER, fields[EXPIRES_AT]])
    assert fields[SIGNATURE_AT] == BOB.sign(signed)


@pytest.mark.parametrize(
    ("lodger", "swarm"),
    [
        (hidden_address(EVE.peer_id), SWARM),
        (Address("192.0.2.9:50000"), SWARM),
        (LODGER, "meadows"),
        (LODGER, ""),
    ],
)
def test_a_voucher_for_another_peer_or_swarm_is_refused(lodger: Address, swarm: str) -> None:
    assert refused(RAW, lodger, swarm) == "voucher-signature"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (RELAY_AT, "192.0.2.8:50000"),
        (KEY_AT, EVE.signing_public),
        (EXPIRES_AT, NOW + LIFE_MS + 1),
        (SIGNATURE_AT, bytes(64)),
        (SIGNATURE_AT, b""),
    ],
)
def test_a_voucher_of_another_relay_or_time_than_was_signed_is_refused(at: int, value: Any) -> None:
    assert refused(altered(at, value)) == "voucher-signature"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (RELAY_AT, LODGER),
        (RELAY_AT, ""),
        (RELAY_AT, "192.0.2.07:50000"),
        (RELAY_AT, None),
        (KEY_AT, BOB.signing_public[:31]),
        (EXPIRES_AT, -1),
        (EXPIRES_AT, float(NOW)),
        (EXPIRES_AT, 2**63),
        (SIGNATURE_AT, bytes(65)),
    ],
)
def test_a_field_of_another_type_or_range_is_refused(at: int, value: Any) -> None:
    assert refused(altered(at, value)) == "voucher-malformed"


@given(at=st.integers(0, len(RAW) - 1), other=st.integers(1, 255))
def test_every_byte_changed_is_refused(at: int, other: int) -> None:
    raw = RAW[:at] + bytes([RAW[at] ^ other]) + RAW[at + 1 :]
    assert refused(raw) in {"voucher-signature", "voucher-malformed", "voucher-expired"}


@pytest.mark.parametrize("end", range(0, len(RAW), 7))
def test_every_beginning_and_whatever_follows_is_refused(end: int) -> None:
    assert refused(RAW[:end]) == "voucher-malformed"
    assert refused(RAW + RAW[: end + 1]) == "voucher-malformed"


@given(st.binary(max_size=LODGING.voucher_bytes + 8))
def test_whatever_a_stranger_calls_a_voucher_is_refused(raw: bytes) -> None:
    assert refused(raw) == "voucher-malformed"


def test_a_signature_for_another_purpose_is_refused() -> None:
    fields = msgpack.unpackb(RAW)
    body = msgpack.packb([SWARM, RELAY, LODGER, fields[EXPIRES_AT]])
    for domain in (b"", b"cicada-record-1", b"cicada-voucher-2"):
        assert refused(altered(SIGNATURE_AT, BOB.sign(domain + body))) == "voucher-signature"


def test_a_voucher_does_not_say_who_lives_at_the_relays_address() -> None:
    """Its key is the signer's; that it lives there is shown by dialling it: whoever routes by this reaches the relay or nobody."""
    stranger = Identity(secret("stranger"), secret("static"))
    raw = sign_voucher(stranger, RELAY, SWARM, LODGER, NOW)
    assert read_voucher(raw, LODGER, SWARM, NOW).signing_key == stranger.signing_public
