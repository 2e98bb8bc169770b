"""Statements: whoever has the record can check who signed, and for what; nothing else passes, and nothing is pinned."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.ids import Address, Peer, peer_at
from cicada.keys.identity import Identity
from cicada.keys.io import CheckStatement, Purpose, SignStatement, StatementChecked
from cicada.keys.memory import Memory
from cicada.keys.pins import USER, Pin
from cicada.keys.statements import check, sign
from cicada.keys.trust import Trust, TrustStore
from cicada.limits import KEYS

ALICE, BOB = peer_at(Address("127.0.0.1:7001")), peer_at(Address("127.0.0.1:7002"))
NOW = 1_800_000_000_000
DIGEST = bytes(range(32))


def memory(peer: Peer, swarm: str = "swarm", wall_ms: int = NOW, seed: int = 1, *pins: Pin) -> Memory:
    identity = Identity.derive(bytes([seed]) * 32, peer.address)
    return Memory(peer, identity, swarm=swarm, wall_ms=lambda: wall_ms, trust=TrustStore.load(pins))


def pin_of(holder: Memory) -> Pin:
    return Pin(
        address=holder.own.address,
        signing_key=holder.identity.signing_public,
        static_key=holder.identity.static.public,
        sequence=0,
        by=USER,
    )


def statement(signer: Memory, purpose: Purpose = Purpose.BROADCAST, digest: bytes = DIGEST) -> CheckStatement:
    """What the signer says of itself, as it is put to others."""
    answer = sign(signer, SignStatement(5, purpose, digest))
    assert answer.ticket == 5
    return CheckStatement(
        ticket=7,
        purpose=purpose,
        digest=digest,
        origin=signer.own.address,
        record=answer.record,
        signature=answer.signature,
    )


def test_a_statement_is_believed_at_first_contact_and_pins_nobody() -> None:
    bob = memory(BOB)
    assert check(bob, statement(memory(ALICE))) == StatementChecked(
        ticket=7,
        reason="",
        wall_ms=NOW,
        trust=Trust.FIRST_CONTACT,
        peer_id=memory(ALICE).identity.peer_id,
        origin=memory(ALICE).own.address,
    )
    assert len(bob.trust) == 0
    assert len(bob.neighbours) == 0


def test_a_pinned_key_is_pinned_and_another_one_at_its_address_is_refused() -> None:
    bob = memory(BOB, "swarm", NOW, 1, pin_of(memory(ALICE)))
    assert check(bob, statement(memory(ALICE))).trust is Trust.PINNED
    assert check(bob, statement(memory(ALICE, seed=2))).reason == "key-changed"


@pytest.mark.parametrize("field", ["digest", "record", "signature"])
@pytest.mark.parametrize("position", [0, 20, -1])
def test_no_byte_of_it_can_be_changed(field: str, position: int) -> None:
    asked = statement(memory(ALICE))
    raw = bytearray(getattr(asked, field))
    raw[position] ^= 1
    assert check(memory(BOB), replace(asked, **{field: bytes(raw)})).reason


@pytest.mark.parametrize("field", ["record", "signature"])
def test_nothing_in_its_place_does_not_pass(field: str) -> None:
    assert check(memory(BOB), replace(statement(memory(ALICE)), **{field: b""})).reason


def test_a_statement_for_one_purpose_is_none_for_another() -> None:
    asked = statement(memory(ALICE), Purpose.TAKEN)
    assert check(memory(BOB), asked).reason == ""
    assert check(memory(BOB), replace(asked, purpose=Purpose.BROADCAST)).reason == "signature"


def test_a_statement_in_anothers_name_or_swarm_or_with_an_old_record_is_refused() -> None:
    asked = statement(memory(ALICE))
    assert check(memory(BOB), replace(asked, origin=BOB.address)).reason == "record-address"
    assert check(memory(BOB, "other"), asked).reason == "record-swarm"
    later = NOW + int(KEYS.record_seconds * 1000)
    assert check(memory(BOB, wall_ms=later), asked).reason == "record-expired"


def test_another_swarm_of_the_same_key_gives_another_signature() -> None:
    """The record names its swarm too; the signature would not hold even if it did not."""
    signatures = {statement(memory(ALICE, swarm)).signature for swarm in ("one", "two")}
    assert len(signatures) == 2


def test_the_same_statement_signed_again_is_the_same() -> None:
    alice = memory(ALICE)
    assert statement(alice) == statement(alice)
