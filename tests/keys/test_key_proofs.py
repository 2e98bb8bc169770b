"""Great numbers of forged frames, handshake messages and records: none is accepted, none changes anything."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import pytest

from cicada.errors import PeerFault
from cicada.ids import Address, is_canonical
from cicada.keys.ciphers import LinkCipher, SessionCipher
from cicada.keys.identity import SIGNATURE_BYTES, Identity
from cicada.keys.noise import Handshake
from cicada.keys.record import Record, read_record, sign_record
from cicada.limits import KEYS
from tests.keys.fuzzing import ROUNDS, SEED, Costs, Read, flip_bit, mutated
from tests.keys.parties import MESSAGES, about_to_read, is_first_open, payload_of, secret, side, state_of

FRAMES: Final = 1000
NEXT: Final = FRAMES + 1
COUNTER_BYTES: Final = 8


class Frame(NamedTuple):
    """What a receiver is shown: the counter, the authenticated header, the sealed body."""

    counter: int
    header: bytes
    body: bytes


Cipher = SessionCipher | LinkCipher
Forge = Callable[[random.Random], Frame]


def session(name: str) -> tuple[SessionCipher, SessionCipher]:
    one, other = secret(f"{name} one"), secret(f"{name} other")
    return SessionCipher(one, other), SessionCipher(other, one)


def link(name: str) -> tuple[LinkCipher, LinkCipher]:
    one, other, proof_one, proof_other = (
        secret(f"{name} {key}") for key in ("one", "other", "proof one", "proof other")
    )
    return LinkCipher(one, other, proof_one, proof_other), LinkCipher(other, one, proof_other, proof_one)


def header_of(counter: int) -> bytes:
    return b"\x04\x00\x00\x00\x07" + counter.to_bytes(COUNTER_BYTES, "big")


def seal_next(cipher: Cipher, counter: int, body: bytes) -> Frame:
    if isinstance(cipher, LinkCipher):
        return Frame(counter, header_of(counter), cipher.seal(counter, header_of(counter), body))
    sealed_under, sealed = cipher.seal(header_of(counter), body)
    assert sealed_under == counter
    return Frame(counter, header_of(counter), sealed)


def conversation(sender: Cipher, receiver: Cipher) -> tuple[list[Frame], Frame]:
    """Frames that were opened, and one that is still on its way."""
    bodies = [secret(f"body {number}")[: number % 33] * (1 + number % 9) for number in range(NEXT)]
    frames = [seal_next(sender, number + 1, body) for number, body in enumerate(bodies)]
    for frame, body in zip(frames[:-1], bodies, strict=False):
        assert receiver.open(*frame) == body
    return frames[:-1], frames[-1]


def refuse_all(receiver: Cipher, forge: Forge, honest: Frame) -> None:
    rng = random.Random(SEED)
    before = state_of(receiver)
    accepted = 0
    for _ in range(ROUNDS):
        try:
            receiver.open(*forge(rng))
        except PeerFault:
            pass
        else:
            accepted += 1
        assert state_of(receiver) == before
    assert accepted == 0
    assert receiver.open(*honest) is not None
    assert isinstance(receiver, LinkCipher) or state_of(receiver) != before, "the comparison sees no change"


def flipped(frame: Frame, rng: random.Random) -> Frame:
    """One bit of what travels: the counter, wherever it stands in the header, and so the nonce; the rest of it; the body."""
    raw = flip_bit(rng, frame.header + frame.body)
    header = raw[: len(frame.header)]
    return Frame(int.from_bytes(header[-COUNTER_BYTES:], "big"), header, raw[len(frame.header) :])


def foreign_frames(make: Callable[[str], tuple[Cipher, Cipher]], receiver: Cipher) -> list[Frame]:
    """Honest frames of others, and of the receiver itself sent back to it, each with the counter that is due."""
    frames = []
    for name in ("another", "a third", "a fourth"):
        for cipher in make(name):
            frames += [seal_next(cipher, number, b"text") for number in range(1, NEXT + 1)][-50:]
    frames += [seal_next(receiver, number, b"text") for number in range(1, NEXT + 1)][-50:]
    return [frame for frame in frames if frame.counter >= NEXT] + [
        Frame(NEXT, header_of(NEXT), frame.body) for frame in frames
    ]


@pytest.mark.sized
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", [session, link])
def test_bit_flipped_frames_are_all_refused(make: Callable[[str], tuple[Cipher, Cipher]]) -> None:
    sender, receiver = make("ours")
    _, honest = conversation(sender, receiver)
    refuse_all(receiver, partial(flipped, honest), honest)


@pytest.mark.sized
@pytest.mark.timeout(1800)
def test_replayed_frames_of_a_session_are_all_refused() -> None:
    sender, receiver = session("ours")
    opened, honest = conversation(sender, receiver)
    refuse_all(receiver, lambda rng: rng.choice(opened), honest)


@pytest.mark.sized
@pytest.mark.timeout(1800)
def test_replayed_frames_of_a_link_are_all_refused_at_the_counter_that_is_due() -> None:
    """The link lets no other counter reach its cipher; so what is replayed comes under that one, in either header."""
    sender, receiver = link("ours")
    opened, honest = conversation(sender, receiver)

    def replay(rng: random.Random) -> Frame:
        old = rng.choice(opened)
        return Frame(NEXT, rng.choice((old.header, honest.header)), old.body)

    refuse_all(receiver, replay, honest)


@pytest.mark.sized
@pytest.mark.timeout(1800)
def test_frames_from_before_a_link_rekeyed_are_all_refused() -> None:
    sender, receiver = link("ours")
    opened, _ = conversation(sender, receiver)
    for cipher in (sender.rekey_seal, receiver.rekey_open):
        cipher()
    refuse_all(receiver, lambda rng: rng.choice(opened), seal_next(sender, NEXT + 1, b"text"))


@pytest.mark.sized
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", [session, link])
def test_frames_of_other_sessions_and_links_are_all_refused(
    make: Callable[[str], tuple[Cipher, Cipher]],
) -> None:
    sender, receiver = make("ours")
    _, honest = conversation(sender, receiver)
    foreign = foreign_frames(make, receiver)
    refuse_all(receiver, lambda rng: rng.choice(foreign), honest)


# Handshake messages.


class Target:
    """A side of a handshake that waits for one message, and the honest one."""

    def __init__(self, pattern: str, number: int) -> None:
        self.pattern, self.number = pattern, number
        writer, self.reader = about_to_read(pattern, number)
        self.honest = writer.write(payload_of(number))
        self.before = state_of(self.reader)

    def fresh_reader(self) -> Handshake:
        if self.number == 0:
            return side(self.pattern, initiator=False)
        return about_to_read(self.pattern, self.number)[1]

    def read_anew(self) -> Read:
        return self.fresh_reader().read

    def is_acceptable(self, raw: bytes) -> bool:
        """Nothing is authentic about the first message of XX before the second: whatever is long enough begins one."""
        return len(raw) >= 32 if is_first_open(self.pattern, self.number) else raw == self.honest

    def check(self, costs: Costs, raw: bytes) -> None:
        assert costs.is_accepted(self.read_anew, self.reader.read, raw) == (
            self.is_acceptable(raw) and len(raw) <= 65_535
        )
        if self.is_acceptable(raw):
            self.reader = self.fresh_reader()
        else:
            assert state_of(self.reader) == self.before


@pytest.mark.sized
@pytest.mark.timeout(3000)
def test_fuzzed_handshake_messages_are_refused_and_change_nothing() -> None:
    rng = random.Random(SEED)
    targets = [Target(pattern, number) for pattern, number in MESSAGES]
    costs = Costs()
    with costs.within_limits("handshake messages"):
        for _ in range(ROUNDS):
            target = rng.choice(targets)
            target.check(costs, mutated(rng, target.honest))
        for target in targets:
            target.check(costs, target.honest)
    assert costs.refused > ROUNDS / 2


# Records.

NOW: Final = 1_790_000_000_000
SWARM: Final = "meadow"
IDENTITY: Final = Identity(secret("signing"), secret("static"))


def honest_records() -> Iterator[bytes]:
    for address in ("192.0.2.7:50000", "[2001:db8::7]:50000"):
        yield sign_record(IDENTITY, Address(address), SWARM, NOW, NOW)


def signed_by_an_attacker(rng: random.Random, raw: bytes) -> bytes:
    """A body that was tampered with before it was signed: everything but the signature may be wrong."""
    body = mutated(rng, raw[SIGNATURE_BYTES:])
    return IDENTITY.sign(b"cicada-record-1" + body) + body


@pytest.mark.sized
@pytest.mark.timeout(3000)
def test_fuzzed_records_are_refused_unless_they_are_what_was_signed() -> None:
    rng = random.Random(SEED)
    honest = list(honest_records())
    costs = Costs()
    read: Read = partial(read_record, now_ms=NOW, swarm=SWARM)
    with costs.within_limits("records"):
        for number in range(ROUNDS):
            forge = signed_by_an_attacker if number % 4 == 0 else mutated
            raw = forge(rng, rng.choice(honest))
            if costs.is_accepted(lambda: read, read, raw) and raw not in honest:
                assert forge is signed_by_an_attacker, raw
                check_what_was_taken(read_record(raw, NOW, SWARM))
    assert 0 < costs.accepted < ROUNDS / 4


def check_what_was_taken(record: Record) -> None:
    assert is_canonical(record.address)
    assert record.signing_key == IDENTITY.signing_public
    assert len(record.static_key) == 32
    assert record.swarm == SWARM
    assert record.expires_ms > NOW
    assert record.sequence <= NOW + KEYS.clock_skew * 1000
