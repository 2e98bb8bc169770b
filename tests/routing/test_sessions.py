"""Routers and negotiators on a bad network, encrypted: who may read, who is believed, and what becomes of what was altered."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.errors import PeerFault
from cicada.events import KeyChanged, KeyConflict
from cicada.ids import RING_SIZE, Address, Peer, Place, place_from_bytes
from cicada.keys.identity import Identity
from cicada.keys.record import sign_record
from cicada.keys.succession import sign_succession
from cicada.keys.trust import Trust
from cicada.limits import KEYS
from cicada.routing.io import Fate, Reason, Settled, Status
from cicada.wire.codec import encode
from cicada.wire.routed import (
    Contact,
    ContactReply,
    Data,
    DataAck,
    GetRecord,
    RecordIs,
    RouterMessage,
)
from tests.routing.swarm import Swarm
from tests.routing.test_swarm import assert_acknowledged_is_delivered_once, statuses

OTHER = Identity.derive(bytes(32), "somebody else")
WALL = 1_800_000_000_000


def exchange(swarm: Swarm, sender: Peer, target: Peer, require: Trust = Trust.UNVERIFIED) -> Settled:
    """One message to an address, until it settled."""
    number = swarm.send(sender, target.place, address=target.address, require=require)
    swarm.run_until_settled([number])
    return swarm.settled[number]


@pytest.mark.parametrize("number", [2, 3, 5, 40])
def test_everybody_reaches_everybody_by_address_or_place_and_trusts_at_first_contact(number: int) -> None:
    swarm = Swarm(number, encrypted=True, candidates=2)
    some = swarm.peers[:6]
    sent = {}
    for sender in some:
        for target in some:
            address = target.address if swarm.random.random() < 0.5 else Address("")
            sent[swarm.send(sender, target.place, address=address)] = (sender, target)
    swarm.run_until_settled(sent)
    assert statuses(swarm) == {(Status.DELIVERED, None)}
    assert_acknowledged_is_delivered_once(swarm, sent)
    for id, (sender, target) in sent.items():
        expected = Trust.PRE_SHARED if sender == target else Trust.FIRST_CONTACT
        assert (swarm.settled[id].trust, swarm.settled[id].conflict) == (expected, False)
    trusts = {
        mail.trust for node in swarm.nodes.values() for mail in node.mailbox if mail.origin != node.peer
    }
    assert trusts == {Trust.FIRST_CONTACT}


def test_no_message_between_two_others_shows_a_relay_its_payload_its_number_or_a_key() -> None:
    swarm = Swarm(30, encrypted=True, successors=4, candidates=1)
    sender, target = swarm.peers[0], swarm.peers[17]
    payload = b"the plaintext that nobody else may see"
    swarm.run_until_settled([swarm.send(sender, target.place, payload, copies=3, address=target.address)])
    seen = [message for _, receiver, message in swarm.wire if receiver not in (sender, target)]
    assert any(isinstance(message, Data) for message in seen)
    private = [
        secret
        for peer in (sender, target)
        for secret in (*swarm.identities[peer].seeds, swarm.identities[peer].static.private)
    ]
    for message in seen:
        raw = encode(message)
        assert not any(secret in raw for secret in (payload, payload[4:13], *private))


def test_no_application_data_is_in_message_1_and_the_first_payload_leaves_one_round_trip_later() -> None:
    swarm = Swarm(2, encrypted=True, pins=[(0, 1), (1, 0)])
    sender, target = swarm.peers
    swarm.run_until_settled([swarm.send(sender, target.place, b"payload", address=target.address)])
    kinds = [type(message) for _, _, message in swarm.wire]
    assert kinds == [Contact, ContactReply, Data, DataAck]


def test_a_pin_of_an_earlier_life_makes_a_session_pinned_and_asks_nobody() -> None:
    swarm = Swarm(20, encrypted=True, pins=[(0, 9), (9, 0)])
    sender, target = swarm.peers[0], swarm.peers[9]
    assert exchange(swarm, sender, target, Trust.PINNED).trust is Trust.PINNED
    assert swarm.nodes[target].mailbox[0].trust is Trust.PINNED
    assert swarm.sent(GetRecord) == []


def test_pre_shared_keys_make_it_pre_shared_on_both_sides() -> None:
    swarm = Swarm(10, encrypted=True, shared=[(0, 5)])
    sender, target = swarm.peers[0], swarm.peers[5]
    assert exchange(swarm, sender, target, Trust.PRE_SHARED).trust is Trust.PRE_SHARED
    assert exchange(swarm, target, sender).trust is Trust.PRE_SHARED
    assert swarm.nodes[target].mailbox[0].trust is Trust.PRE_SHARED


def test_whoever_lacks_the_pre_shared_key_gets_no_session_and_there_is_no_other_pattern() -> None:
    swarm = Swarm(10, encrypted=True, shared=[(0, 5)])
    sender, target = swarm.peers[0], swarm.peers[5]
    swarm.secrets[sender].clear()
    swarm.restart(sender)
    assert exchange(swarm, sender, target).reason is Reason.TIMED_OUT
    assert exchange(swarm, target, sender).reason is Reason.TIMED_OUT
    assert swarm.deliveries() == {}
    assert swarm.sent(Data) == []


@pytest.mark.parametrize("require", [Trust.PINNED, Trust.PRE_SHARED])
def test_what_requires_more_trust_than_first_contact_fails_and_never_leaves(require: Trust) -> None:
    swarm = Swarm(10, encrypted=True)
    settled = exchange(swarm, swarm.peers[0], swarm.peers[5], require)
    assert (settled.reason, settled.trust) == (Reason.UNTRUSTED, Trust.FIRST_CONTACT)
    assert swarm.sent(Data) == []


def test_first_use_makes_a_pin_that_is_given_out_to_be_kept() -> None:
    swarm = Swarm(10, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[5]
    exchange(swarm, sender, target)
    (pin,) = swarm.nodes[sender].learned
    assert (pin.address, pin.peer_id) == (target.address, swarm.identities[target].peer_id)
    assert swarm.nodes[target].learned == []  # the receiver did not dial anybody


def test_another_key_at_a_pinned_address_fails_as_key_changed_and_says_both() -> None:
    swarm = Swarm(10, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[5]
    exchange(swarm, sender, target)
    old = swarm.identities[target].peer_id
    swarm.kill(target)
    swarm.restart(target, OTHER)
    swarm.now += KEYS.session_reject
    settled = exchange(swarm, sender, target)
    assert (settled.status, settled.reason) == (Status.FAILED, Reason.KEY_CHANGED)
    event = KeyChanged(address=target.address, pinned=old, shown=OTHER.peer_id)
    assert (sender, event) in swarm.key_events
    assert swarm.deliveries()[target, sender, 2] == 0


def test_who_comes_with_another_key_than_the_pinned_one_is_refused() -> None:
    swarm = Swarm(10, encrypted=True, pins=[(5, 0)])
    sender, target = swarm.peers[0], swarm.peers[5]
    swarm.restart(sender, OTHER)
    assert exchange(swarm, sender, target).reason is Reason.TIMED_OUT
    assert swarm.deliveries() == {}
    assert any(isinstance(event, KeyChanged) for peer, event in swarm.key_events if peer == target)


def test_a_pin_follows_the_old_keys_signature_in_both_directions() -> None:
    swarm = Swarm(10, encrypted=True, pins=[(0, 5), (5, 0)])
    sender, target = swarm.peers[0], swarm.peers[5]
    succession = sign_succession(swarm.identities[target], OTHER.signing_public)
    swarm.restart(target, OTHER, succession)
    assert exchange(swarm, sender, target).trust is Trust.PINNED
    assert swarm.stores[sender].pin(target.address) == replace(
        swarm.pin_of(target),
        sequence=swarm.stores[sender].pin(target.address).sequence,  # type: ignore[union-attr]
    )
    assert exchange(swarm, target, sender).trust is Trust.PINNED


def lie_about(swarm: Swarm, victim: Peer, liars: int) -> bytes:
    """That many of the answers of neighbours name another key, with a higher sequence. Returns the false record."""
    false = sign_record(OTHER, victim.address, "", WALL, WALL + 100_000)
    count = [0]

    def tamper(sender: Peer, receiver: Peer, message: RouterMessage) -> RouterMessage:
        if not isinstance(message, RecordIs) or place_from_bytes(message.about) != victim.place:
            return message
        if message.hops != 1 or count[0] >= liars:
            return message
        count[0] += 1
        return replace(message, record=false)

    swarm.tampers = tamper
    return false


@pytest.mark.parametrize("liars", [1, 2, 10])
def test_lying_neighbours_are_surfaced_as_a_conflict_and_the_proven_key_wins(liars: int) -> None:
    swarm = Swarm(30, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[12]
    lie_about(swarm, target, liars)
    settled = exchange(swarm, sender, target)
    assert (settled.status, settled.conflict) == (Status.DELIVERED, True)
    proven = swarm.identities[target].peer_id
    assert swarm.key_events[0] == (
        sender,
        KeyConflict(address=target.address, proven=proven, named=(OTHER.peer_id,)),
    )


@pytest.mark.parametrize(("liars", "reason"), [(0, None), (1, Reason.CONFLICT), (10, Reason.CONFLICT)])
def test_a_peer_that_cannot_be_dialled_is_reached_only_when_its_neighbours_agree(
    liars: int, reason: Reason | None
) -> None:
    swarm = Swarm(30, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[12]
    swarm.undialable.add(target)
    lie_about(swarm, target, liars)
    settled = exchange(swarm, sender, target)
    assert settled.reason is reason
    assert settled.conflict is (reason is not None)


@pytest.mark.parametrize("number", [2, 30])
def test_a_place_that_nobody_owns_still_fails_as_no_such_peer(number: int) -> None:
    swarm = Swarm(number, encrypted=True)
    ids = [swarm.send(swarm.peers[0], Place((peer.place + 1) % RING_SIZE)) for peer in swarm.peers]
    swarm.run_until_settled(ids)
    assert statuses(swarm) == {(Status.FAILED, Reason.NO_SUCH_PEER)}
    assert swarm.now < 5.0


@pytest.mark.parametrize("field", ["body", "attempt", "counter"])
def test_a_relay_that_alters_a_copy_is_told_of_in_the_receipt_and_the_retry_goes_another_way(
    field: str,
) -> None:
    swarm = Swarm(30, encrypted=True, successors=4, candidates=1)
    sender, target = swarm.peers[0], swarm.peers[15]
    exchange(swarm, sender, target)
    liar = swarm.sent(Data)[0][1]
    assert liar != target

    def tamper(a: Peer, b: Peer, message: RouterMessage) -> RouterMessage:
        if a != liar or not isinstance(message, Data):
            return message
        if field == "body":
            return replace(message, body=message.body[:-1] + bytes([message.body[-1] ^ 1]))
        return replace(message, **{field: getattr(message, field) + 1})

    swarm.tampers = tamper
    settled = exchange(swarm, sender, target)
    assert (settled.status, settled.attempts) == (Status.DELIVERED, 2)
    assert settled.altered == (field == "body")
    fates = {"body": Fate.ALTERED, "attempt": Fate.UNATTRIBUTED, "counter": Fate.LOST}
    swarm.run(seconds=5.0)
    copy = swarm.settled[settled.id].copies[0]
    assert (copy.attempt, copy.via, copy.fate) == (1, liar.address, fates[field])
    assert swarm.nodes[target].router.counters()["dropped:altered"] == 1


def test_an_ack_that_a_relay_alters_or_makes_up_settles_nothing() -> None:
    swarm = Swarm(10, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[5]
    exchange(swarm, sender, target)
    swarm.tampers = lambda a, b, message: (
        replace(message, body=bytes(len(message.body))) if isinstance(message, DataAck) else message
    )
    assert exchange(swarm, sender, target).reason is Reason.TIMED_OUT
    assert swarm.nodes[sender].router.counters()["ignored:ack-seal"] >= 3
    assert set(swarm.deliveries().values()) == {1}


def test_copies_of_a_handshake_open_one_session_and_get_the_same_answer() -> None:
    swarm = Swarm(10, encrypted=True, duplication=1.0)
    sender, target = swarm.peers[0], swarm.peers[5]
    exchange(swarm, sender, target)
    swarm.run(seconds=1.0)
    replies = {m.handshake for _, _, m in swarm.sent(ContactReply) if isinstance(m, ContactReply)}
    contacts = {m.handshake for _, _, m in swarm.sent(Contact) if isinstance(m, Contact)}
    assert (len(replies), len(contacts)) == (1, 1)


def test_messages_of_one_session_mean_nothing_in_another() -> None:
    swarm = Swarm(4, encrypted=True)
    one, other, target = swarm.peers[:3]
    exchange(swarm, one, target)
    exchange(swarm, other, target)
    of_one, of_other = (
        next(m for a, _, m in swarm.sent(Data) if isinstance(m, Data) and m.origin == peer.address)
        for peer in (one, other)
    )
    delivered = swarm.deliveries()
    for crossed in (
        replace(of_one, index=of_other.index, origin=of_other.origin),
        replace(of_one, index=of_other.index, origin=of_other.origin, counter=77),
        replace(of_one, origin=of_other.origin),
    ):
        swarm.tampers = lambda a, b, message: message
        swarm._arrive(one, target, crossed)
    swarm.run(seconds=1.0)
    assert swarm.deliveries() == delivered
    counters = swarm.nodes[target].router.counters()
    assert counters["dropped:foreign-session"] == 1
    assert counters["dropped:altered"] == 2


def test_everything_replayed_changes_counters_only() -> None:
    swarm = Swarm(6, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[3]
    exchange(swarm, sender, target)
    exchange(swarm, target, sender)
    swarm.run(seconds=1.0)
    recorded = [(a, b, m) for a, b, m in swarm.wire if isinstance(m, Data | DataAck | Contact | ContactReply)]
    delivered, settled = swarm.deliveries(), dict(swarm.settled)
    swarm.now += KEYS.answer_seconds + 1
    for _ in range(20):
        for sent in recorded:
            swarm._arrive(*sent)
    swarm.run(seconds=2.0)
    assert (swarm.deliveries(), swarm.settled) == (delivered, settled)
    negotiator = swarm.nodes[target].negotiator
    assert negotiator.counts["refused:replayed"] + negotiator.counts["refused:rate"] >= 20  # type: ignore[union-attr]
    assert exchange(swarm, sender, target).status is Status.DELIVERED


def contacts_of(swarm: Swarm, origin: Peer) -> int:
    sent = [m for _, _, m in swarm.sent(Contact) if isinstance(m, Contact) and m.origin == origin.address]
    return len({m.handshake for m in sent})


def test_a_session_that_a_stranger_opened_carries_acks_and_no_message_of_the_other_side() -> None:
    swarm = Swarm(8, encrypted=True)
    stranger, peer = swarm.peers[0], swarm.peers[4]
    exchange(swarm, stranger, peer)
    assert contacts_of(swarm, peer) == 0
    exchange(swarm, peer, stranger)
    assert contacts_of(swarm, peer) == 1


def test_a_session_that_a_pinned_peer_opened_serves_both_sides_once_a_frame_came_in_it() -> None:
    swarm = Swarm(8, encrypted=True, pins=[(0, 4), (4, 0)])
    one, other = swarm.peers[0], swarm.peers[4]
    exchange(swarm, one, other)
    exchange(swarm, other, one)
    assert contacts_of(swarm, other) == 0


def test_a_session_without_a_frame_is_not_used_by_the_side_that_answered() -> None:
    swarm = Swarm(8, encrypted=True, pins=[(0, 4), (4, 0)])
    one, other = swarm.peers[0], swarm.peers[4]
    swarm.swallows = lambda a, b, message: isinstance(message, ContactReply) and a == other
    swarm.send(one, other.place, address=other.address, timeout=0.5)
    swarm.run(seconds=1.5)
    swarm.swallows = lambda a, b, message: False
    assert exchange(swarm, other, one).status is Status.DELIVERED
    assert contacts_of(swarm, other) == 1


def test_two_that_open_sessions_with_each_other_at_once_both_get_through() -> None:
    swarm = Swarm(5, encrypted=True, pins=[(0, 3), (3, 0)])
    one, other = swarm.peers[0], swarm.peers[3]
    ids = [
        swarm.send(one, other.place, address=other.address),
        swarm.send(other, one.place, address=one.address),
    ]
    swarm.run_until_settled(ids)
    assert statuses(swarm) == {(Status.DELIVERED, None)}
    assert swarm.now < 0.5
    sessions = {m.index for _, _, m in swarm.sent(Data) if isinstance(m, Data)}
    assert len(sessions) == 2  # the two ends of one: each knows it by an index of its own
    assert len(swarm.sent(ContactReply)) == 1


def test_a_negotiator_and_a_router_that_crash_again_and_again_lose_nothing() -> None:
    swarm = Swarm(12, encrypted=True, loss=0.05)
    sent = {}
    for step in range(60):
        sender, target = swarm.random.choice(swarm.peers), swarm.random.choice(swarm.peers)
        sent[swarm.send(sender, target.place, address=target.address)] = (sender, target)
        if step % 2:
            swarm.crash_router(swarm.peers[step % 12])
        else:
            swarm.crash_negotiator(swarm.peers[step % 12])
        swarm.run(seconds=0.05)
    swarm.run_until_settled(sent)
    assert_acknowledged_is_delivered_once(swarm, sent)
    assert statuses(swarm) == {(Status.DELIVERED, None)}


def test_sessions_are_renewed_while_messages_flow_and_none_is_lost() -> None:
    swarm = Swarm(6, encrypted=True)
    sender, target = swarm.peers[0], swarm.peers[3]
    for _ in range(80):
        assert exchange(swarm, sender, target).attempts == 1
        swarm.run(seconds=1e-9)
        swarm.now += 5.0
    contacts = {m.handshake for _, _, m in swarm.sent(Contact) if isinstance(m, Contact)}
    assert 3 <= len(contacts) <= 5  # 400 s, one each 120 s


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    number=st.integers(2, 12),
    loss=st.sampled_from([0.0, 0.1]),
    duplication=st.sampled_from([0.0, 0.3]),
    flips=st.sampled_from([0.0, 0.2]),
)
def test_whatever_the_network_does_what_is_delivered_is_what_was_sent(
    seed: int, number: int, loss: float, duplication: float, flips: float
) -> None:
    swarm = Swarm(number, seed=seed, loss=loss, duplication=duplication, encrypted=True, candidates=2)
    random = Random(seed)

    def tamper(a: Peer, b: Peer, message: RouterMessage) -> RouterMessage:
        field = {Data: "body", DataAck: "body", Contact: "handshake", ContactReply: "handshake"}.get(
            type(message)
        )
        if field is None or random.random() >= flips:
            return message
        raw = bytearray(getattr(message, field))
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        return replace(message, **{field: bytes(raw)})

    swarm.tampers = tamper
    sent: dict[int, tuple[Peer, Peer]] = {}
    payloads: dict[int, bytes] = {}
    for _ in range(15):
        sender, target = swarm.random.choice(swarm.peers), swarm.random.choice(swarm.peers)
        payload = swarm.random.randbytes(40)
        id = swarm.send(sender, target.place, payload, copies=2, address=target.address)
        sent[id], payloads[id] = (sender, target), payload
        swarm.run(seconds=swarm.random.uniform(0.0, 0.2))
    swarm.run_until_settled(sent)
    assert_acknowledged_is_delivered_once(swarm, sent)
    for node in swarm.nodes.values():
        assert all(mail.payload == payloads[mail.message] for mail in node.mailbox)


def test_a_record_of_nobody_is_refused_by_its_reader() -> None:
    swarm = Swarm(2, encrypted=True)
    memory = swarm.nodes[swarm.peers[0]].memory
    assert memory is not None
    with pytest.raises(PeerFault, match="record-address"):
        memory.read(swarm.record_of(swarm.peers[1]), swarm.peers[0].address)
