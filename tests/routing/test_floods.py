"""Everything a stranger can make a Router remember is bounded."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

import cicada
from cicada.chord.io import TableChanged
from cicada.ids import RING_SIZE, Address, Peer, Place, place_to_bytes
from cicada.keys.io import Answered, CheckStatement, FetchRecords, SessionKeys, SessionReady, StatementChecked
from cicada.keys.trust import Trust
from cicada.limits import KEYS, BroadcastLimits, DeliveryLimits
from cicada.routing.broadcasting import Broadcasts
from cicada.routing.contacts import Contacts
from cicada.routing.copies import Roll
from cicada.routing.detours import Detours
from cicada.routing.introductions import Introductions
from cicada.routing.io import Alarm, NextHopLost, RoutedReceived, SendBroadcast, SendMessage
from cicada.routing.paths import Ways
from cicada.routing.router import Router
from cicada.routing.sending import Sends
from cicada.routing.sessions import Sessions
from cicada.routing.table import Routes
from cicada.routing.tickets import Ticket, Tickets
from cicada.routing.timers import Timers
from cicada.wire.routed import (
    Broadcast,
    BroadcastAck,
    BroadcastDigest,
    BroadcastPull,
    BroadcastTaken,
    Contact,
    ContactReply,
    Data,
    DataAck,
    GetRecord,
    NoSuchPeer,
    NoSuchSession,
    RecordIs,
)
from cicada.wire.sealed import DataBody, encode_body
from tests.routing.swarm import peers_at

PEERS = peers_at(35000, 30)
OWN, HEAD, LAST = PEERS[0], PEERS[1], PEERS[-1]
LIMITS = DeliveryLimits(
    detours=10,
    tickets=10,
    broadcast=BroadcastLimits(
        ids=10, origins=10, checks=10, delegates=10, links=10, log_bytes=100, own=10, sample=0
    ),
    contacts=10,
    pending_sends=10,
    ticket_seconds=1e9,
    sessions=20,
    unconfirmed=10,
    acks_remembered=10,
    fetches=10,
)
TABLE = TableChanged(head=HEAD, predecessor=LAST, known=PEERS[1:])
ROUNDS = 3_000


def held() -> int:
    """Bytes that Cicada's own code holds, whatever threads of the test runner allocate meanwhile. While tracing only."""
    gc.collect()
    own = tracemalloc.Filter(inclusive=True, filename_pattern=f"{Path(cicada.__file__).parent}/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([own]).traces)


def data(number: int, origin: Peer = LAST, target: Peer = OWN) -> Data:
    return Data(
        target=place_to_bytes(target.place),
        origin=origin.address,
        hops=1,
        index=50,
        counter=number + 1,
        attempt=1,
        copy=0,
        body=encode_body(DataBody(origin_boot=5, message=number + 1, boot=7, payload=bytes(64))),
    )


def broadcast(number: int) -> Broadcast:
    return Broadcast(
        origin=LAST.address,
        origin_boot=number,
        message=number,
        expires_ms=1000 * number + 60_000,
        payload=b"all",
        record=b"",
        signature=b"",
        limit=place_to_bytes(PEERS[5].place),
        hops=1,
    )


def believe(broadcasts: Broadcasts | Router, number: int, now: float, peer_id: str = "") -> None:
    """A body arrives, and its signature is right: that of ``peer_id``."""
    message = broadcast(number)
    if isinstance(broadcasts, Router):
        outputs = broadcasts.handle(RoutedReceived(LAST, message), now)
    else:
        outputs = broadcasts.on_message(message, LAST, now)
    for output in outputs:
        if isinstance(output, CheckStatement):
            answer = StatementChecked(ticket=output.ticket, reason="", wall_ms=1000 * number, peer_id=peer_id)
            if isinstance(broadcasts, Router):
                broadcasts.handle(answer, now)
            else:
                broadcasts.checked(answer, now)


def session_keys(number: int = 0, initiated: bool = False) -> SessionKeys:
    return SessionKeys(
        peer=LAST,
        boot=5,
        index=50 + number,
        remote_index=60 + number,
        initiated=initiated,
        verified=False,
        trust=Trust.UNVERIFIED,
    )


def ways() -> Ways:
    return Ways(LIMITS, Random(1))


def routes() -> Routes:
    routes = Routes(OWN, LIMITS)
    routes.update(TABLE)
    return routes


def test_failed_hops_are_remembered_of_the_latest_messages_only() -> None:
    detours = Detours(LIMITS)
    for number in range(ROUNDS):
        detours.failed(data(number), HEAD)
    assert len(detours) == 10
    assert detours.failed(data(ROUNDS - 1), LAST) == {HEAD, LAST}
    assert detours.failed(data(0), LAST) == {LAST}


def test_tickets_broadcasts_and_contacts_are_bounded() -> None:
    tickets = Tickets(LIMITS, Random(1))
    session = Sessions(OWN, 7, LIMITS).add(session_keys(), 0.0)
    broadcasts = Broadcasts(OWN, 7, routes(), LIMITS, Random(1))
    of_many_keys = Broadcasts(OWN, 7, routes(), LIMITS, Random(1))
    contacts = Contacts(LIMITS)
    for number in range(ROUNDS):
        tickets.issue(Ticket(session, data(number), Roll()), 0.0)
        believe(broadcasts, number, 0.0)
        believe(of_many_keys, number, 0.0, f"key {number % 9}")
        contacts.measured(Place(number), 0.1)
    assert (len(tickets), len(broadcasts), len(of_many_keys), len(contacts)) == (10, 5, 9, 10)


def test_sessions_are_bounded_and_strangers_push_out_strangers_only() -> None:
    sessions = Sessions(OWN, 7, LIMITS)
    known = sessions.add(session_keys(1_000_000, initiated=True), 0.0)
    for number in range(ROUNDS):
        sessions.add(session_keys(number), 0.0)
    assert len(sessions) == 11
    assert sessions.to(LAST.place, 0.0) is known
    for number in range(ROUNDS):
        sessions.add(session_keys(number, initiated=True), 0.0)
    assert len(sessions) == 20
    sessions.expire(KEYS.session_reject)
    assert (len(sessions), sessions.next_deadline()) == (0, None)


def test_introductions_end_with_the_messages_that_wait_for_them() -> None:
    introductions = Introductions(OWN, routes(), Contacts(LIMITS), ways(), LIMITS, Random(1))
    for number in range(ROUNDS):
        introductions.ask(Place(number), Address(""), number, 0.0)
        introductions.drop(Place(number), number)
    assert len(introductions) == 0
    assert introductions.next_deadline() is None


def test_messages_that_settle_leave_nothing_behind() -> None:
    sends = Sends(OWN, 7, routes(), Sessions(OWN, 7, LIMITS), ways(), LIMITS, Random(1))
    for number in range(1, ROUNDS):
        message = SendMessage(id=number, place=LAST.place, payload=b"x", copies=1, deadline=number + 0.5)
        sends.submit(message, float(number))
        sends.fire(number + 0.6)
    assert len(sends) == 0
    assert sends.next_deadline() is None


def test_messages_that_expire_outside_a_ring_take_no_memory() -> None:
    sends = Sends(OWN, 7, Routes(OWN, LIMITS), Sessions(OWN, 7, LIMITS), ways(), LIMITS, Random(1))

    def expire(first: int) -> None:
        for number in range(first, first + ROUNDS):
            sends.submit(
                SendMessage(id=number, place=LAST.place, payload=b"x", copies=1, deadline=number + 0.5),
                float(number),
            )
            sends.fire(number + 0.6)

    tracemalloc.start()
    try:
        expire(1)
        before = held()
        expire(1 + ROUNDS)
        after = held()
    finally:
        tracemalloc.stop()
    assert after - before < 32 * 1024


def test_a_timer_that_is_set_again_and_again_takes_no_more_memory() -> None:
    timers = Timers()
    tracemalloc.start()
    try:
        for number in range(20_000):
            timers.set(number % 3, float(number))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(timers) == 3
    assert peak < 64 * 1024


def test_a_flood_of_every_kind_of_message_leaves_a_router_as_small_as_before() -> None:
    router = Router(OWN, 7, limits=LIMITS, rng=Random(1))
    router.handle(TABLE, 0.0)
    answer = ContactReply(
        target=place_to_bytes(LAST.place), origin=OWN.address, hops=0, request=1, handshake=b""
    )

    def flood(first: int) -> None:
        for number in range(first, first + 400):
            now = number * 0.001
            own = place_to_bytes(OWN.place)
            nowhere = place_to_bytes(Place((OWN.place + 1 + number) % RING_SIZE))
            relayed = data(number, target=PEERS[9])
            contact = Contact(
                target=own, origin=LAST.address, hops=1, request=number, selector=b"", handshake=bytes(96)
            )
            for message in (
                data(number),
                relayed,
                replace(data(number), index=number + 1),
                contact,
                replace(contact, target=nowhere),
                NoSuchSession(target=own, origin=HEAD.address, hops=1, index=60, counter=number),
                GetRecord(target=own, origin=HEAD.address, hops=1, request=number, about=nowhere),
                RecordIs(
                    target=own,
                    origin=HEAD.address,
                    hops=1,
                    request=number,
                    about=place_to_bytes(Place(number)),
                    record=b"",
                    succession=b"",
                ),
                replace(broadcast(number), payload=b"never looked into"),
                BroadcastAck(id=bytes(16), limit=own, reached=number, is_done=True),
                BroadcastDigest(ids=(number.to_bytes(16, "big"),), is_answer=False),
                BroadcastPull(ids=(number.to_bytes(16, "big"),)),
                BroadcastTaken(
                    target=own,
                    origin=HEAD.address,
                    hops=1,
                    id=number.to_bytes(16, "big"),
                    record=b"",
                    signature=b"",
                ),
                NoSuchPeer(
                    target=own,
                    origin=HEAD.address,
                    hops=1,
                    place=own,
                    request=number,
                    index=60,
                    counter=number,
                ),
                DataAck(
                    target=own,
                    origin=HEAD.address,
                    hops=1,
                    index=50,
                    counter=number + 1,
                    attempt=1,
                    copy=0,
                    body=bytes(64),
                ),
            ):
                router.handle(RoutedReceived(LAST, message), now)
            believe(router, number, now)
            announced = SendBroadcast(id=number + 1, payload=b"all", expires_ms=0, deadline=now + 0.005)
            router.handle(announced, now)
            router.handle(NextHopLost(PEERS[9], (relayed, replace(broadcast(number), hops=2))), now)
            router.handle(
                SendMessage(id=number + 1, place=Place(number), payload=b"x", copies=2, deadline=now + 0.005),
                now,
            )
            router.handle(FetchRecords(Place(number)), now)
            router.handle(Answered(answer, session_keys(number)), now)
            router.handle(SessionReady(session_keys(number + 1_000_000, initiated=True)), now)
            router.handle(Alarm(), now)

    tracemalloc.start()
    try:
        flood(0)
        before = held()
        for first in range(400, 2_400, 400):
            flood(first)
        after = held()
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024


@given(st.floats(0.0, 1e9))
@example(187.2881173598919)  # and 180 s more less it: below 180
def test_a_session_is_over_when_its_deadline_says_so_to_the_last_bit(born: float) -> None:
    """Otherwise whoever wakes then finds nothing to do, and is woken again at once."""
    sessions = Sessions(OWN, 7, LIMITS)
    sessions.add(session_keys(), born)
    deadline = sessions.next_deadline()
    assert deadline is not None
    sessions.expire(deadline)
    assert (len(sessions), sessions.next_deadline()) == (0, None)
