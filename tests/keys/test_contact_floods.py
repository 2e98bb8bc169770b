"""First contacts of honest peers while strangers send messages 1 that are good for nothing, or too many that are good."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from cicada.events import HandshakeRefused, KeyChanged
from cicada.ids import Address, Peer, canonical_address, peer_at, place_to_bytes
from cicada.keys.identity import Identity
from cicada.keys.io import Answer, Answered, Emit, NotTaken
from cicada.keys.memory import Memory, host_bucket
from cicada.keys.negotiator import Negotiator
from cicada.limits import KEYS
from cicada.wire.routed import Contact
from tests.keys.people import ALICE, BOB, EVE, HIGH, LOW, WALL, Person, peers, pin

FLOODER, NEIGHBOUR = (peer_at(canonical_address("127.0.0.1", port)) for port in (25001, 25002))


def garbage(target: Peer, rng: Random) -> Contact:
    return Contact(
        target=place_to_bytes(target.place),
        origin=f"10.{rng.randrange(1, 250)}.1.1:99",
        hops=1,
        request=1,
        selector=b"",
        handshake=rng.randbytes(96),
    )


def stranger(number: int, victim: Peer = HIGH, identity: Identity = BOB) -> Contact:
    """The message 1 of a peer with a key of its own."""
    peer = peer_at(canonical_address("127.0.0.1", 30000 + number))
    person = Person(peer, Identity.derive(bytes(32), f"stranger {number}"), pins=(pin(victim, identity),))
    return person.opening(victim)


def is_answered(negotiator: Negotiator, contact: Contact, link: Peer, now: float) -> bool:
    return any(isinstance(output, Answered) for output in negotiator.handle(Answer(contact, link), now))


def test_garbage_for_some_peers_of_a_process_takes_no_first_contact_from_another() -> None:
    others = peers(5)[3:]
    shared = host_bucket()
    rng = Random(1)
    flooded = [
        Negotiator(
            Memory(
                peer,
                Identity.derive(bytes(32), peer.address),
                swarm="",
                wall_ms=lambda: WALL,
                accepting=shared,
            ),
            7,
            entropy=rng,
        )
        for peer in others
    ]
    memory = Memory(HIGH, BOB, swarm="", wall_ms=lambda: WALL, accepting=shared)
    victim = Negotiator(memory, 7, entropy=rng)
    answered = 0
    for tick in range(800):
        now = tick * 0.001
        for negotiator, peer in zip(flooded, others, strict=True):
            negotiator.handle(Answer(garbage(peer, rng), FLOODER), now)
        if tick % 40 == 0:
            answered += is_answered(victim, stranger(tick), NEIGHBOUR, now)
    assert answered == 20


def test_garbage_over_one_link_takes_nothing_from_those_who_come_over_another() -> None:
    victim, rng = Person(HIGH, BOB), Random(1)
    answered = 0
    for tick in range(1500):
        now = tick * 0.001
        for _ in range(2):
            victim.negotiator.handle(Answer(garbage(HIGH, rng), FLOODER), now)
        if tick >= 1000 and tick % 50 == 0:
            answered += is_answered(victim.negotiator, stranger(tick), NEIGHBOUR, now)
    assert answered == 10


def test_many_keys_over_one_link_take_nothing_from_those_who_come_over_another() -> None:
    limits = replace(KEYS, accept_link_burst=8, accept_burst=16)
    victim = Person(HIGH, BOB, limits=limits)
    taken = [is_answered(victim.negotiator, stranger(number), FLOODER, 0.0) for number in range(40)]
    assert taken.count(True) == 8
    assert is_answered(victim.negotiator, stranger(50), NEIGHBOUR, 0.0)


def test_all_refusals_are_counted_and_few_are_told_of() -> None:
    victim, rng = Person(HIGH, BOB), Random(1)
    outputs = [
        output
        for _ in range(200)
        for output in victim.negotiator.handle(Answer(garbage(HIGH, rng), FLOODER), 0.0)
    ]
    told = [output.event for output in outputs if isinstance(output, Emit)]
    assert sum(isinstance(output, NotTaken) for output in outputs) == 200
    assert sum(victim.refusals.values()) == 200
    assert len(told) == KEYS.told_burst
    assert {type(event) for event in told} == {HandshakeRefused}


def test_whoever_claims_a_pinned_address_with_one_key_after_another_is_told_of_a_few_times() -> None:
    claimed = peer_at(Address("127.0.0.1:30001"))
    victim = Person(HIGH, BOB, pins=(pin(claimed, EVE), pin(LOW, ALICE)))
    for number in range(40):
        liar = Person(claimed, Identity.derive(bytes(32), f"liar {number}"), pins=(pin(HIGH, BOB),))
        assert victim.answer(liar.opening(HIGH)) is None
    changed = [event for event in victim.events if isinstance(event, KeyChanged)]
    assert len(changed) == KEYS.told_burst
    assert victim.refusals["key-changed"] == 40
