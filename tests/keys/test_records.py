"""A record is taken only as it was signed, while it lives, and for the swarm that it names."""

from __future__ import annotations

from typing import Any, Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage, PeerFault
from cicada.ids import LONGEST_ADDRESS, LONGEST_NAME, Address, hidden_address
from cicada.keys.identity import SIGNATURE_BYTES, Identity, verify
from cicada.keys.record import Record, read_record, sign_record
from cicada.keys.vouchers import sign_voucher
from cicada.limits import KEYS, LODGING, WIRE
from tests.keys.parties import secret

NOW: Final = 1_790_000_000_000
SWARM: Final = "meadow"
ADDRESS: Final = Address("192.0.2.7:50000")
IDENTITY: Final = Identity(secret("signing"), secret("static"))
HIDDEN: Final = hidden_address(IDENTITY.peer_id)
RAW: Final = sign_record(IDENTITY, ADDRESS, SWARM, NOW, NOW)
BODY: Final = RAW[SIGNATURE_BYTES:]
FIELDS: Final = msgpack.unpackb(BODY)
ADDRESS_AT, SIGNING_AT, STATIC_AT, SEQUENCE_AT, EXPIRES_AT, SWARM_AT, VOUCHERS_AT = range(7)
DOMAIN: Final = b"cicada-record-1"
ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER: Final = [
    bytes.fromhex(text)
    for text in (
        "01" + "00" * 31,
        "01" + "00" * 30 + "80",
        "00" * 32,
        "00" * 31 + "80",
        "ec" + "ff" * 30 + "7f",
        "ec" + "ff" * 31,
        "ed" + "ff" * 30 + "7f",
        "ed" + "ff" * 31,
        "ee" + "ff" * 30 + "7f",
        "ee" + "ff" * 31,
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    )
]
"""Ed25519 keys of small order, with which a signature of zeros fits many messages."""


def signed(fields: list[Any], domain: bytes = DOMAIN, signer: Identity = IDENTITY) -> bytes:
    """A record of any fields, encoded by another library than the product's."""
    body: bytes = msgpack.packb(fields)
    return signer.sign(domain + body) + body


def altered(at: int, value: Any) -> list[Any]:
    return [value if number == at else field for number, field in enumerate(FIELDS)]


def refused(raw: bytes, now_ms: int = NOW, swarm: str = SWARM) -> str:
    with pytest.raises(PeerFault) as caught:
        read_record(raw, now_ms, swarm)
    assert not isinstance(caught.value, MalformedMessage)
    return caught.value.reason


@given(
    port=st.integers(1, 65535),
    swarm=st.text(st.characters(codec="utf-8"), max_size=WIRE.max_text),
    now_ms=st.integers(0, 2**52),
    ahead_ms=st.integers(0, int(KEYS.clock_skew * 1000)),
)
def test_what_was_signed_is_read(port: int, swarm: str, now_ms: int, ahead_ms: int) -> None:
    address = Address(f"[2001:db8::7]:{port}")
    record = read_record(sign_record(IDENTITY, address, swarm, now_ms, now_ms + ahead_ms), now_ms, swarm)
    assert record == Record(
        address=address,
        signing_key=IDENTITY.signing_public,
        static_key=IDENTITY.static.public,
        sequence=now_ms + ahead_ms,
        expires_ms=now_ms + int(KEYS.record_seconds * 1000),
        swarm=swarm,
    )
    assert record.peer_id == IDENTITY.peer_id


def test_the_body_is_plain_messagepack_in_the_order_of_the_fields() -> None:
    assert [
        ADDRESS,
        IDENTITY.signing_public,
        IDENTITY.static.public,
        NOW,
        NOW + int(KEYS.record_seconds * 1000),
        SWARM,
        [],
    ] == FIELDS
    assert read_record(signed(FIELDS), NOW, SWARM) == read_record(RAW, NOW, SWARM)


def test_every_bit_flipped_is_refused() -> None:
    reasons = {
        refused(RAW[:at] + bytes([RAW[at] ^ 1 << bit]) + RAW[at + 1 :])
        for at in range(len(RAW))
        for bit in range(8)
    }
    assert reasons == {"record-signature", "record-malformed"}


def test_every_beginning_is_refused() -> None:
    assert {refused(RAW[:end]) for end in range(len(RAW))} == {"record-malformed"}


@pytest.mark.parametrize("tail", [b"\0", b"\xc0", RAW, BODY], ids=["zero", "nil", "record", "body"])
def test_bytes_behind_the_record_are_refused(tail: bytes) -> None:
    assert refused(RAW + tail) == "record-malformed"
    assert refused(IDENTITY.sign(DOMAIN + BODY + tail) + BODY + tail) == "record-malformed"


def test_the_longest_record_fits_and_what_is_longer_is_refused() -> None:
    swarm = "\N{BUG}" * WIRE.max_text
    relay = Address("[2001:fdb8:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
    assert len(relay) == LONGEST_ADDRESS
    assert len(HIDDEN) == LONGEST_NAME
    voucher = sign_voucher(IDENTITY, relay, swarm, HIDDEN, NOW)
    longest = sign_record(IDENTITY, HIDDEN, swarm, NOW, NOW, (voucher,) * LODGING.relays)
    assert (len(voucher), len(longest)) == (159, 961)
    assert read_record(longest, NOW, swarm).vouchers == (voucher,) * LODGING.relays
    room = KEYS.record_bytes - len(signed([*FIELDS, bytes(256)])) + 256
    assert read_record(signed([*FIELDS, bytes(room)]), NOW, SWARM).address == ADDRESS
    assert refused(signed([*FIELDS, bytes(room + 1)])) == "record-malformed"


def test_a_record_lives_until_it_expires() -> None:
    end = NOW + int(KEYS.record_seconds * 1000)
    assert read_record(RAW, end - 1, SWARM).address == ADDRESS
    assert refused(RAW, now_ms=end) == "record-expired"
    assert refused(RAW, now_ms=end + 10**9) == "record-expired"


def test_a_record_from_the_future_is_refused_beyond_the_difference_of_clocks() -> None:
    skew = int(KEYS.clock_skew * 1000)
    assert read_record(RAW, NOW - skew, SWARM).sequence == NOW
    assert refused(RAW, now_ms=NOW - skew - 1) == "record-sequence"


@pytest.mark.parametrize("swarm", ["", "Meadow", "meadow ", "meadows"])
def test_a_record_of_another_swarm_is_refused(swarm: str) -> None:
    assert read_record(RAW, NOW, SWARM).swarm == SWARM
    assert refused(RAW, swarm=swarm) == "record-swarm"


@pytest.mark.parametrize("domain", [b"", b"cicada-record-2", b"cicada-record-", b"cicada-succession-1"])
def test_a_signature_for_another_purpose_is_refused(domain: bytes) -> None:
    assert refused(signed(FIELDS, domain)) == "record-signature"


def test_a_signature_by_another_key_is_refused() -> None:
    other = Identity(secret("other signing"), secret("static"))
    assert refused(signed(FIELDS, signer=other)) == "record-signature"
    assert refused(signed(altered(SIGNING_AT, other.signing_public))) == "record-signature"


def test_a_second_form_of_the_same_signature_is_refused() -> None:
    point, scalar = RAW[:32], int.from_bytes(RAW[32:SIGNATURE_BYTES], "little")
    raised = (scalar + ED25519_ORDER).to_bytes(32, "little")
    assert refused(point + raised + BODY) == "record-signature"


@pytest.mark.parametrize("public", SMALL_ORDER, ids=bytes.hex)
def test_a_signing_key_with_which_anybody_could_sign_is_refused(public: bytes) -> None:
    for number in range(8):
        body = msgpack.packb([*altered(SIGNING_AT, public), number])
        for point in SMALL_ORDER:
            assert refused(point + bytes(32) + body) == "record-signature"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "192.0.2.7",
        "192.0.2.7:0",
        "192.0.2.7:050000",
        "192.0.2.7:65536",
        "192.0.2.07:50000",
        "host:50000",
        "[::ffff:192.0.2.7]:50000",
        "[2001:DB8::7]:50000",
        "2001:db8::7:50000",
        "[fe80::1%eth0]:50000",
        "@",
        HIDDEN[:-1],
        HIDDEN + "0",
        HIDDEN.upper(),
        HIDDEN + ":50000",
        HIDDEN[1:],
    ],
)
def test_an_address_in_another_form_is_refused_although_signed(address: str) -> None:
    assert refused(signed(altered(ADDRESS_AT, address))) == "record-malformed"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (ADDRESS_AT, None),
        (ADDRESS_AT, b"192.0.2.7:50000"),
        (SIGNING_AT, IDENTITY.signing_public[:31]),
        (SIGNING_AT, IDENTITY.signing_public + b"\0"),
        (SIGNING_AT, IDENTITY.signing_public.hex()),
        (STATIC_AT, b""),
        (STATIC_AT, bytes(33)),
        (SEQUENCE_AT, -1),
        (SEQUENCE_AT, 2**63),
        (SEQUENCE_AT, float(NOW)),
        (EXPIRES_AT, -1),
        (EXPIRES_AT, True),
        (EXPIRES_AT, str(NOW)),
        (SWARM_AT, "m" * (WIRE.max_text + 1)),
        (SWARM_AT, None),
    ],
)
def test_a_field_of_another_type_or_range_is_refused_although_signed(at: int, value: Any) -> None:
    assert refused(signed(altered(at, value))) == "record-malformed"


@pytest.mark.parametrize("missing", [2, 3, 7])
def test_missing_fields_are_refused(missing: int) -> None:
    assert refused(signed(FIELDS[: len(FIELDS) - missing])) == "record-malformed"


def test_a_record_without_the_field_of_vouchers_has_none() -> None:
    assert read_record(signed(FIELDS[:VOUCHERS_AT]), NOW, SWARM).vouchers == ()


def test_the_record_of_a_hidden_address_is_signed_by_the_key_that_the_address_hashes() -> None:
    raw = sign_record(IDENTITY, HIDDEN, SWARM, NOW, NOW)
    assert read_record(raw, NOW, SWARM).address == HIDDEN == hidden_address(IDENTITY.peer_id)
    thief = Identity(secret("other signing"), secret("static"))
    fields = altered(ADDRESS_AT, HIDDEN)
    assert refused(sign_record(thief, HIDDEN, SWARM, NOW, NOW)) == "record-malformed"
    assert refused(signed(fields, signer=thief)) == "record-signature"
    fields[SIGNING_AT] = thief.signing_public
    assert refused(signed(fields, signer=thief)) == "record-malformed"


def test_an_address_that_can_be_dialled_has_no_vouchers() -> None:
    voucher = sign_voucher(IDENTITY, ADDRESS, SWARM, ADDRESS, NOW)
    assert refused(sign_record(IDENTITY, ADDRESS, SWARM, NOW, NOW, (voucher,))) == "record-malformed"
    assert refused(signed(altered(VOUCHERS_AT, [b""]))) == "record-malformed"


@pytest.mark.parametrize(
    "vouchers",
    [[b""] * (LODGING.relays + 1), [bytes(LODGING.voucher_bytes + 1)], ["x"], [None], b"x", None, 3],
    ids=lambda value: repr(value)[:20],
)
def test_vouchers_of_another_number_size_or_type_are_refused_although_signed(vouchers: Any) -> None:
    fields = altered(VOUCHERS_AT, vouchers)
    fields[ADDRESS_AT] = HIDDEN
    assert refused(signed(fields)) == "record-malformed"


@pytest.mark.parametrize("later", [[0], [None, "later", b"later"], [[1, [2]], {"a": {"b": 1.5}}]], ids=str)
def test_fields_of_a_later_version_are_signed_with_the_rest_and_ignored(later: list[Any]) -> None:
    raw = signed([*FIELDS, *later])
    assert read_record(raw, NOW, SWARM) == read_record(RAW, NOW, SWARM)
    assert refused(raw[:-1] + bytes([raw[-1] ^ 1])) in {"record-signature", "record-malformed"}
    assert refused(RAW[:SIGNATURE_BYTES] + raw[SIGNATURE_BYTES:]) == "record-signature"


def test_a_record_that_was_verified_before_is_still_held_to_its_time_and_swarm() -> None:
    for _ in range(2):
        assert read_record(RAW, NOW, SWARM).swarm == SWARM
        assert refused(RAW, swarm="other") == "record-swarm"
        assert refused(RAW, now_ms=NOW + 10**12) == "record-expired"


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(PeerFault, match="signature"):
        verify(IDENTITY.signing_public, b"message", bytes(size))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_signing_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(PeerFault, match="signature"):
        verify(bytes(size), b"message", IDENTITY.sign(b"message"))
