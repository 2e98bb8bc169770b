"""Who may begin a handshake with whom, for every combination of what both hold."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.errors import Misuse, PeerFault
from cicada.ids import Address
from cicada.keys.noise import Handshake
from cicada.keys.psks import OPEN, SELECTOR_BYTES, PreShared, Secrets, SwarmKeys, Terms, Use
from tests.keys.parties import STATICS, key, secret

A, B, C = (Address(f"192.0.2.{number}:50000") for number in (1, 2, 3))
ID_A, ID_B, ID_C = (secret(name).hex() for name in ("id a", "id b", "id c"))
OLD, NEW, WRONG = (secret(name) for name in ("old swarm", "new swarm", "wrong swarm"))
OUT, IN, OTHER = (secret(name) for name in ("out", "in", "other"))
EPHEMERAL: Final = secret("ephemeral")


def closed(dial: bytes = OLD, *accept: bytes) -> SwarmKeys:
    return SwarmKeys(dial, accept or (dial,))


def at(address: Address, outbound: bytes = OUT, inbound: bytes = IN) -> PreShared:
    return PreShared(outbound=outbound, inbound=inbound, address=address)


def of(peer_id: str, outbound: bytes = OUT, inbound: bytes = IN) -> PreShared:
    return PreShared(outbound=outbound, inbound=inbound, peer_id=peer_id)


class Party(NamedTuple):
    """Where a peer is, who it is, and what it holds."""

    address: Address
    peer_id: str
    secrets: Secrets


def a_with(swarm: SwarmKeys = OPEN, *shared: PreShared) -> Party:
    return Party(A, ID_A, Secrets(swarm, shared))


def b_with(swarm: SwarmKeys = OPEN, *shared: PreShared) -> Party:
    return Party(B, ID_B, Secrets(swarm, shared))


def outcome(a: Party, b: Party, use: Use = Use.LINK, *, a_knows_id: bool = False, base: str = "XX") -> str:
    """What becomes of a handshake that ``a`` begins: the pattern they agree on, or who refuses it and why."""
    offered = a.secrets.offer(use, b.address, b.peer_id if a_knows_id else "")
    begun = key("ephemeral of a")
    try:
        found = b.secrets.find(use, offered.selector(begun.public), begun.public, a.address)
    except PeerFault as fault:
        return f"b: {fault.reason}"
    assert found.first == offered.first, "found what the other side does not hold"
    try:
        shake_hands(offered, found, base)
    except PeerFault:
        return "handshake"
    for name, party, other, terms in (("b", b, a, found), ("a", a, b, offered)):
        try:
            party.secrets.check(terms, other.address, other.peer_id)
        except PeerFault as fault:
            return f"{name} checks: {fault.reason}"
    return offered.pattern(base)


def shake_hands(offered: Terms, found: Terms, base: str) -> None:
    """A real handshake on what each side takes for the terms."""
    first, second = (
        Handshake(
            terms.pattern(base),
            initiator=initiator,
            prologue=b"",
            ephemeral=key(f"ephemeral of {'a' if initiator else 'b'}"),
            static=STATICS[initiator],
            remote_static=STATICS[False].public if initiator and base == "IK" else b"",
            psks=terms.psks,
        )
        for terms, initiator in ((offered, True), (found, False))
    )
    while not first.is_finished:
        second.read(first.write())
        if not first.is_finished:
            first.read(second.write())


MIRRORED: Final = at(A, IN, OUT)
"""What ``b`` holds for ``a`` when ``a`` holds ``at(B)``."""

LINKS: Final = {
    "both open": (a_with(), b_with(), "XX"),
    "one swarm key": (a_with(closed()), b_with(closed()), "XXpsk0"),
    "the swarm of b is closed": (a_with(), b_with(closed()), "b: swarm-key"),
    "the swarm of a is closed": (a_with(closed()), b_with(), "b: pre-shared-key"),
    "another swarm key": (a_with(closed(WRONG)), b_with(closed()), "b: swarm-key"),
    "rotation: a is behind": (a_with(closed(OLD)), b_with(closed(NEW, NEW, OLD)), "XXpsk0"),
    "rotation: a is ahead": (a_with(closed(NEW, NEW, OLD)), b_with(closed(OLD, OLD, NEW)), "XXpsk0"),
    "rotation is over": (a_with(closed(OLD)), b_with(closed(NEW)), "b: swarm-key"),
    "a key that is only dialled with": (a_with(closed(NEW, OLD)), b_with(closed(OLD)), "b: swarm-key"),
    "shared keys": (a_with(OPEN, at(B)), b_with(OPEN, MIRRORED), "XXpsk0+psk3"),
    "shared keys in a closed swarm": (
        a_with(closed(), at(B)),
        b_with(closed(), MIRRORED),
        "XXpsk0+psk3",
    ),
    "shared keys during a rotation": (
        a_with(closed(OLD), at(B)),
        b_with(closed(NEW, NEW, OLD), MIRRORED),
        "XXpsk0+psk3",
    ),
    "shared keys do not open a closed swarm": (
        a_with(OPEN, at(B)),
        b_with(closed(), MIRRORED),
        "b: pre-shared-key",
    ),
    "the wrong swarm key with the right shared ones": (
        a_with(closed(WRONG), at(B)),
        b_with(closed(), MIRRORED),
        "b: pre-shared-key",
    ),
    "only a shares": (a_with(OPEN, at(B)), b_with(), "b: pre-shared-key"),
    "only b shares, by address": (a_with(), b_with(OPEN, MIRRORED), "b: pre-shared-key"),
    "only b shares, by id": (a_with(), b_with(OPEN, of(ID_A, IN, OUT)), "b checks: pre-shared-key"),
    "only b shares, by address, closed": (
        a_with(closed()),
        b_with(closed(), MIRRORED),
        "b: pre-shared-key",
    ),
    "a dials with a wrong outbound key": (
        a_with(OPEN, at(B, outbound=OTHER)),
        b_with(OPEN, MIRRORED),
        "b: pre-shared-key",
    ),
    "a expects a wrong inbound key": (
        a_with(OPEN, at(B, inbound=OTHER)),
        b_with(OPEN, MIRRORED),
        "handshake",
    ),
    "not mirrored": (a_with(OPEN, at(B)), b_with(OPEN, at(A)), "b: pre-shared-key"),
    "b knows a by its id": (a_with(OPEN, at(B)), b_with(OPEN, of(ID_A, IN, OUT)), "XXpsk0+psk3"),
    "the keys of b are shared with c's id": (
        a_with(OPEN, at(B)),
        b_with(OPEN, of(ID_C, IN, OUT)),
        "b checks: pre-shared-key",
    ),
    "the keys of b are shared with c's address": (
        a_with(OPEN, at(B)),
        b_with(OPEN, at(C, IN, OUT)),
        "b: pre-shared-key",
    ),
    "b has the same keys for a's id and address": (
        a_with(OPEN, at(B)),
        b_with(OPEN, MIRRORED, of(ID_A, IN, OUT)),
        "XXpsk0+psk3",
    ),
    "b has other keys for a's id than for its address": (
        a_with(OPEN, at(B)),
        b_with(OPEN, MIRRORED, of(ID_A, IN, OTHER)),
        "b checks: pre-shared-key",
    ),
    "a shares with b's id, which it does not know yet": (
        a_with(OPEN, of(ID_B)),
        b_with(),
        "a checks: pre-shared-key",
    ),
}


@pytest.mark.parametrize(("a", "b", "expected"), LINKS.values(), ids=LINKS.keys())
def test_a_link_is_agreed_on_or_refused(a: Party, b: Party, expected: str) -> None:
    assert outcome(a, b) == expected


SESSIONS: Final = {
    "nothing is shared": (a_with(), b_with(), "IK"),
    "swarm keys do not matter": (a_with(closed(WRONG)), b_with(closed()), "IK"),
    "shared by id": (a_with(OPEN, of(ID_B)), b_with(OPEN, of(ID_A, IN, OUT)), "IKpsk0+psk2"),
    "shared by address here and by id there": (
        a_with(closed(), at(B)),
        b_with(closed(), of(ID_A, IN, OUT)),
        "IKpsk0+psk2",
    ),
    "only a shares": (a_with(OPEN, of(ID_B)), b_with(), "b: pre-shared-key"),
    "only b shares, by id": (a_with(), b_with(OPEN, of(ID_A, IN, OUT)), "b checks: pre-shared-key"),
    "only b shares, by address": (a_with(), b_with(closed(), MIRRORED), "b: pre-shared-key"),
    "an id counts more than an address": (
        a_with(OPEN, at(B, outbound=OTHER), of(ID_B)),
        b_with(OPEN, MIRRORED),
        "IKpsk0+psk2",
    ),
}


@pytest.mark.parametrize(("a", "b", "expected"), SESSIONS.values(), ids=SESSIONS.keys())
def test_a_session_is_agreed_on_or_refused(a: Party, b: Party, expected: str) -> None:
    assert outcome(a, b, Use.SESSION, a_knows_id=True, base="IK") == expected


# Whatever both hold.

PAIRS: Final = [(OUT, IN), (IN, OUT), (OTHER, WRONG), (WRONG, OTHER)]
maybe_pair = st.none() | st.sampled_from(PAIRS)
swarms = st.sampled_from(
    [OPEN, closed(OLD), closed(NEW), closed(OLD, OLD, NEW), closed(NEW, NEW, OLD), closed(NEW, OLD)]
)
Pair = tuple[bytes, bytes] | None


class Held(NamedTuple):
    """The keys, outbound and inbound, that one peer holds for another's address and for its id, and for a third peer's."""

    swarm: SwarmKeys
    address: Pair
    peer_id: Pair
    third: Pair

    @property
    def due(self) -> Pair:
        return self.peer_id or self.address

    def secrets(self, address: Address, peer_id: str) -> Secrets:
        by_address = [(address, self.address), (C, self.third)]
        by_id = [(peer_id, self.peer_id), (ID_C, self.third)]
        return Secrets(
            self.swarm,
            (
                *(at(whose, *pair) for whose, pair in by_address if pair),
                *(of(whose, *pair) for whose, pair in by_id if pair),
            ),
        )


held = st.builds(Held, swarms, maybe_pair, maybe_pair, maybe_pair)


@settings(max_examples=400)
@given(held, held, st.sampled_from(Use), st.booleans())
def test_a_handshake_comes_about_exactly_if_both_hold_the_same(
    by_a: Held, by_b: Held, use: Use, a_knows_id: bool
) -> None:
    a, b = Party(A, ID_A, by_a.secrets(B, ID_B)), Party(B, ID_B, by_b.secrets(A, ID_A))
    result = outcome(a, b, use, a_knows_id=a_knows_id)
    is_open = not (by_a.swarm.is_closed or by_b.swarm.is_closed)
    same_swarm = use is Use.SESSION or is_open or by_a.swarm.dial in by_b.swarm.accept
    used = by_a.due if a_knows_id else by_a.address
    mirrored = by_b.due and (by_b.due[1], by_b.due[0])
    assert result.startswith("XX") == (same_swarm and used == by_a.due == mirrored)


@given(
    swarms, maybe_pair, st.binary(max_size=2 * SELECTOR_BYTES), st.sampled_from(Use), st.sampled_from([A, C])
)
def test_a_selector_that_was_guessed_finds_nothing(
    swarm: SwarmKeys, pair: Pair, selector: bytes, use: Use, claimed: Address
) -> None:
    secrets = Secrets(swarm, (at(A, *pair), of(ID_B, *pair)) if pair else ())
    needs_none = not selector and (use is Use.SESSION or not swarm.is_closed) and not (pair and claimed == A)
    if needs_none:
        assert secrets.find(use, selector, EPHEMERAL, claimed) == Terms()
        return
    with pytest.raises(PeerFault, match=r"^(pre-shared-key|swarm-key)$"):
        secrets.find(use, selector, EPHEMERAL, claimed)


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=2, max_size=20), swarms, maybe_pair)
def test_selectors_differ_from_handshake_to_handshake(
    ephemerals: set[bytes], swarm: SwarmKeys, pair: Pair
) -> None:
    terms = Secrets(swarm, (at(B, *pair),) if pair else ()).offer(Use.LINK, B)
    selectors = {terms.selector(ephemeral) for ephemeral in ephemerals}
    if terms.first:
        assert {len(selector) for selector in selectors} == {SELECTOR_BYTES}
        assert len(selectors) == len(ephemerals)
    else:
        assert selectors == {b""}


def test_a_selector_of_another_handshake_finds_nothing() -> None:
    a, b = Secrets(closed(), (at(B),)), Secrets(closed(), (MIRRORED,))
    selector = a.offer(Use.LINK, B).selector(EPHEMERAL)
    assert b.find(Use.LINK, selector, EPHEMERAL, A).first
    with pytest.raises(PeerFault):
        b.find(Use.LINK, selector, secret("other ephemeral"), A)


def test_neither_the_swarm_key_nor_the_shared_one_alone_is_the_first_secret() -> None:
    both = Secrets(closed(), (at(B),)).offer(Use.LINK, B).first
    others = [
        Secrets(closed()).offer(Use.LINK, B).first,
        Secrets(OPEN, (at(B),)).offer(Use.LINK, B).first,
        Secrets(closed(NEW), (at(B),)).offer(Use.LINK, B).first,
        Secrets(closed(), (at(B, outbound=OTHER),)).offer(Use.LINK, B).first,
    ]
    assert both not in others
    assert len(set(others)) == 4


# What the user may not write.


@pytest.mark.parametrize(("outbound", "inbound"), [(b"", IN), (OUT, b""), (OUT[:31], IN), (OUT, IN + b"\0")])
def test_a_shared_key_of_another_length_is_misuse(outbound: bytes, inbound: bytes) -> None:
    with pytest.raises(Misuse, match="32 bytes"):
        at(A, outbound, inbound)


def test_shared_keys_belong_to_one_address_or_one_peer_id() -> None:
    for address, peer_id in ((Address(""), ""), (A, ID_A)):
        with pytest.raises(Misuse, match="name one of them"):
            PreShared(outbound=OUT, inbound=IN, address=address, peer_id=peer_id)


@pytest.mark.parametrize("entries", [(at(A), at(A)), (of(ID_A), of(ID_A, OTHER, IN)), (at(A), at(B), at(A))])
def test_a_peer_that_stands_twice_among_the_shared_keys_is_misuse(entries: tuple[PreShared, ...]) -> None:
    with pytest.raises(Misuse, match="twice"):
        Secrets(OPEN, entries)


@pytest.mark.parametrize(
    ("dial", "accept"), [(b"", (OLD,)), (OLD[:31], (OLD,)), (OLD, (b"",)), (OLD, (OLD, OLD + b"\0"))]
)
def test_a_swarm_key_that_is_missing_or_of_another_length_is_misuse(
    dial: bytes, accept: tuple[bytes, ...]
) -> None:
    with pytest.raises(Misuse, match="32 bytes"):
        SwarmKeys(dial, accept)


def test_nothing_that_is_printed_shows_a_key() -> None:
    secrets = Secrets(closed(NEW, OLD), (at(A), of(ID_B, OTHER, WRONG)))
    terms = secrets.offer(Use.LINK, A)
    printed = " ".join(map(repr, (secrets, secrets.swarm, terms, terms.shared, at(A), of(ID_B))))
    hidden = [OLD, NEW, OUT, IN, OTHER, WRONG, *terms.psks]
    assert [one for one in hidden if one.hex() in printed or repr(one)[2:-1] in printed] == []
    assert A in printed
