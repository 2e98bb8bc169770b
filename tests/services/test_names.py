"""One peer's part of the directory: what it asks, what it waits for, and what it makes of answers and of none."""

from __future__ import annotations

from random import Random
from typing import TypeVar

import pytest
from msgspec.structs import replace

from cicada.ids import Peer
from cicada.keys.identity import Identity
from cicada.limits import NAMES, NameLimits
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired
from cicada.services.nameio import (
    Lost,
    NameInput,
    NameOutput,
    Refused,
    Register,
    Registered,
    Release,
    Released,
    Resolve,
    Resolved,
    RingChanged,
)
from cicada.services.namerecords import NameRecord, SignedRecord, place_of_name, read_name, sign_name
from cicada.services.names import Names
from cicada.sim.names import peer_number
from cicada.wire.names import GetName, NameHeld, NameKept, PutName, Verdict

ME, ONE, OTHER, THIRD, STRANGER = (peer_number(number) for number in range(5))
REPLICAS = (ONE, OTHER, THIRD)
ALICE = Identity(bytes(range(32)), bytes(range(1, 33)))
EVE = Identity(bytes(range(5, 37)), bytes(range(6, 38)))
WALL_MS = 1_790_000_000_000
T = TypeVar("T")


class Desk:
    """Names with its clock, and what it said last."""

    def __init__(self, limits: NameLimits = NAMES) -> None:
        self.now = 100.0
        self.names = Names(ME, ALICE, "meadow", self.wall_ms, limits)
        self.outputs: list[NameOutput] = []

    def wall_ms(self) -> int:
        return WALL_MS + int(self.now * 1000)

    def feed(self, input: NameInput) -> list[NameOutput]:
        self.outputs = self.names.handle(input, self.now)
        return self.outputs

    def said(self, kind: type[T]) -> list[T]:
        return [output for output in self.outputs if isinstance(output, kind)]

    def tell(self, peer: Peer, message: GetName | NameHeld | PutName | NameKept) -> list[NameOutput]:
        return self.feed(Received(peer, peer.address, message))

    def place(self, owners: tuple[Peer, ...] = REPLICAS) -> list[Send]:
        """Answer the lookup that is open; what is sent then."""
        (find,) = self.said(Find)
        self.feed(FoundOwner(find.number, owners))
        return self.said(Send)

    def sleep(self, seconds: float) -> list[NameOutput]:
        """Time passes, and whatever is due happens."""
        end, outputs = self.now + seconds, list[NameOutput]()
        while (deadline := self.names.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            outputs += self.feed(TimerFired())
        self.now, self.outputs = end, outputs
        return outputs


@pytest.fixture
def desk() -> Desk:
    return Desk()


def record(
    desk: Desk,
    who: Identity = EVE,
    name: str = "alice",
    sequence: int = 1,
    lease: float = 600.0,
    swarm: str = "meadow",
) -> SignedRecord:
    now_ms = desk.wall_ms()
    return sign_name(
        who,
        name,
        "10.0.0.9:5000",
        swarm,
        sequence=sequence,
        now_ms=now_ms,
        expires_ms=now_ms + int(lease * 1000),
    )


def messages(sends: list[Send], kind: type[T]) -> list[T]:
    return [send.message for send in sends if isinstance(send.message, kind)]


def test_to_resolve_a_name_its_place_is_looked_up_and_all_its_replicas_are_asked_at_once(desk: Desk) -> None:
    (find,) = desk.feed(Resolve(1, "Alice"))
    assert isinstance(find, Find)
    assert find.place == place_of_name("alice")
    sends = desk.place((*REPLICAS, STRANGER))
    assert [send.peer for send in sends] == list(REPLICAS)
    assert [message.name for message in messages(sends, GetName)] == ["alice"] * 3
    held = record(desk)
    for send in sends:
        assert desk.said(Resolved) == []
        desk.tell(send.peer, NameHeld(send.number, held.raw))
    assert desk.said(Resolved) == [Resolved(1, held.record)]


def test_a_replica_that_cannot_be_reached_or_says_nothing_is_not_waited_for_long(desk: Desk) -> None:
    desk.feed(Resolve(1, "alice"))
    first, second, _ = desk.place()
    held = record(desk)
    desk.tell(first.peer, NameHeld(first.number, held.raw))
    desk.feed(Sent(second.number, False))
    assert desk.sleep(NAMES.ask - 0.01) == []
    desk.sleep(0.01)
    assert desk.said(Resolved) == [Resolved(1, held.record)]
    told = messages(desk.said(Send), PutName)
    assert told == []  # only who said that it has none is told


def test_a_lookup_that_fails_or_never_ends_is_no_answer(desk: Desk) -> None:
    desk.feed(Resolve(1, "alice"))
    desk.place(())
    desk.place(())
    assert desk.said(Resolved) == [Resolved(1, None, "no-answer")]
    desk.feed(Resolve(2, "alice"))
    desk.sleep(2 * NAMES.find)
    assert desk.said(Resolved) == [Resolved(2, None, "no-answer")]
    assert desk.names.next_deadline() is None


def test_that_there_is_no_such_name_is_believed_when_all_say_so_and_else_asked_once_more(desk: Desk) -> None:
    desk.feed(Resolve(1, "alice"))
    first, second, third = desk.place()
    desk.tell(first.peer, NameHeld(first.number, b""))
    desk.tell(second.peer, NameHeld(second.number, b""))
    desk.feed(Sent(third.number, False))
    held = record(desk)
    for send in desk.place((OTHER, THIRD, STRANGER)):
        desk.tell(send.peer, NameHeld(send.number, held.raw if send.peer == STRANGER else b""))
    assert desk.said(Resolved) == [Resolved(1, held.record)]


def test_answers_that_nobody_asked_for_or_from_others_change_nothing(desk: Desk) -> None:
    desk.feed(Resolve(1, "alice"))
    sends = desk.place((ONE,))
    lie = record(desk)
    number = sends[0].number
    assert desk.tell(STRANGER, NameHeld(number, lie.raw)) == []
    assert desk.tell(ONE, NameHeld(number + 1, lie.raw)) == []
    assert desk.tell(ONE, NameKept(number, Verdict.KEPT)) == []
    assert desk.names.counted["name-unasked"] == 3
    desk.tell(ONE, NameHeld(number, b""))
    assert desk.said(Resolved) == [Resolved(1, None, "no-such-name")]


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        ("name-malformed", lambda desk: b"\x00" * 100),
        ("name-signature", lambda desk: bytes(64) + record(desk).raw[64:]),
        ("name-other", lambda desk: record(desk, name="bob").raw),
        ("name-expired", lambda desk: record(desk, lease=0.0).raw),
        ("name-swarm", lambda desk: record(desk, swarm="marsh").raw),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_a_valid_record_of_the_name_counts_as_none(
    desk: Desk, reason: str, make: object
) -> None:
    desk.feed(Resolve(1, "alice"))
    honest = record(desk)
    raw = make(desk)  # type: ignore[operator]
    for send in desk.place():
        desk.tell(send.peer, NameHeld(send.number, honest.raw if send.peer == THIRD else raw))
    assert desk.said(Resolved) == [Resolved(1, honest.record)]
    assert desk.names.counted[reason] == 2


def test_what_was_resolved_is_remembered_for_a_moment_and_that_there_is_none_is_not(desk: Desk) -> None:
    def ask(held: bytes) -> None:
        for send in desk.place():
            desk.tell(send.peer, NameHeld(send.number, held))

    desk.feed(Resolve(1, "alice"))
    ask(b"")
    desk.feed(Resolve(2, "alice"))
    assert len(desk.said(Find)) == 1
    held = record(desk)
    ask(held.raw)
    assert desk.feed(Resolve(3, "ALICE")) == [Resolved(3, held.record)]
    desk.now += NAMES.cached
    desk.feed(Resolve(4, "alice"))
    assert len(desk.said(Find)) == 1


def test_what_is_remembered_is_forgotten_when_its_lease_ends(desk: Desk) -> None:
    desk.feed(Resolve(1, "alice"))
    held = record(desk, lease=2.0)
    for send in desk.place():
        desk.tell(send.peer, NameHeld(send.number, held.raw))
    desk.now += 1.999
    assert desk.feed(Resolve(2, "alice")) == [Resolved(2, held.record)]
    desk.now += 0.001
    assert isinstance(desk.feed(Resolve(3, "alice"))[0], Find)


def test_those_who_ask_for_a_name_at_the_same_time_share_the_answer(desk: Desk) -> None:
    desk.feed(Resolve(1, "alice"))
    find = desk.said(Find)[0]
    assert desk.feed(Resolve(2, "alice")) == []
    desk.feed(FoundOwner(find.number, (ONE,)))
    send = desk.said(Send)[0]
    desk.tell(ONE, NameHeld(send.number, b""))
    assert [answer.request for answer in desk.said(Resolved)] == [1, 2]


def test_no_more_is_asked_at_once_than_may_wait_and_every_request_is_answered() -> None:
    desk = Desk(replace(NAMES, waiting=4))
    answered = 0
    for number in range(10):
        desk.feed(Resolve(number, f"n{number}"))
        answered += len(desk.said(Resolved))
    assert answered == 6
    desk.sleep(2 * NAMES.find)
    assert len(desk.said(Resolved)) == 4


def test_to_register_a_name_most_replicas_have_to_keep_it(desk: Desk) -> None:
    desk.feed(Register(1, "Alice", 600.0))
    sends = desk.place()
    signed = read_name(messages(sends, PutName)[0].record, desk.wall_ms(), "meadow").record
    assert (signed.name, signed.peer_id, signed.peer) == ("alice", ALICE.peer_id, ME)
    assert signed.expires_ms - signed.issued_ms == 600_000
    desk.tell(ONE, NameKept(sends[0].number, Verdict.KEPT))
    desk.feed(Sent(sends[1].number, False))
    assert desk.said(Registered) == []
    desk.tell(THIRD, NameKept(sends[2].number, Verdict.KEPT))
    assert desk.said(Registered) == [Registered(1, signed)]


def test_a_replica_that_says_so_late_keeps_the_name_all_the_same(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    first = desk.place()
    desk.sleep(NAMES.ask)
    assert desk.said(Refused) == []
    desk.tell(ONE, NameKept(first[0].number, Verdict.KEPT))
    desk.tell(STRANGER, NameKept(first[1].number, Verdict.KEPT))
    desk.tell(THIRD, NameKept(first[2].number, Verdict.FULL))
    assert desk.said(Registered) == []
    desk.sleep(NAMES.repair_tries)
    second = desk.place()
    desk.feed(Sent(second[0].number, False))  # ONE has it already
    desk.tell(OTHER, NameKept(second[1].number, Verdict.KEPT))
    desk.tell(THIRD, NameKept(second[2].number, Verdict.FULL))
    assert [registered.request for registered in desk.said(Registered)] == [1]


def test_most_replicas_may_say_so_late_and_then_nothing_more_is_waited_for(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    sends = desk.place()
    desk.sleep(NAMES.ask)
    desk.tell(ONE, NameKept(sends[0].number, Verdict.KEPT))
    desk.tell(OTHER, NameKept(sends[1].number, Verdict.KEPT))
    assert [registered.request for registered in desk.said(Registered)] == [1]
    desk.tell(THIRD, NameKept(sends[2].number, Verdict.KEPT))
    assert desk.outputs == []


def test_a_late_word_of_a_name_that_was_given_back_means_nothing(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    sends = desk.place()
    desk.sleep(NAMES.ask)
    desk.feed(Release("alice"))
    for send in sends:
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
        assert desk.said(Registered) == []


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        ((Verdict.TAKEN, Verdict.TAKEN, Verdict.KEPT), "taken"),
        ((Verdict.TAKEN, Verdict.KEPT, None), "taken"),
        ((Verdict.FULL, Verdict.BUSY, Verdict.KEPT), "full"),
        ((Verdict.BUSY, Verdict.ELSEWHERE, None), "busy"),
        ((Verdict.ELSEWHERE, Verdict.INVALID, None), "elsewhere"),
        ((Verdict.INVALID, None, None), "invalid"),
        ((None, None, None), "no-answer"),
        ((None, None, Verdict.KEPT), "no-answer"),
    ],
)
def test_a_registration_that_fails_says_why_and_is_undone_where_it_was_kept(
    desk: Desk, verdicts: tuple[Verdict | None, ...], reason: str
) -> None:
    rival = record(desk)
    said = desk.feed(Register(1, "alice"))
    while not any(isinstance(output, Refused) for output in said):
        if not desk.said(Find):
            desk.sleep(NAMES.repair_tries)
        sends, said = desk.place(), list[NameOutput]()
        for send, verdict in zip(sends, verdicts, strict=True):
            if verdict is None:
                said += desk.feed(Sent(send.number, False))
            else:
                shown = rival.raw if verdict is Verdict.TAKEN else b""
                said += desk.tell(send.peer, NameKept(send.number, verdict, shown))
    (refused,) = (output for output in said if isinstance(output, Refused))
    assert (refused.request, refused.reason) == (1, reason)
    assert refused.holder == (rival.record if reason == "taken" else None)
    undone = {output.peer for output in said if isinstance(output, Send)}
    assert undone == {
        send.peer for send, verdict in zip(sends, verdicts, strict=True) if verdict in (None, Verdict.KEPT)
    }
    for message in messages([output for output in said if isinstance(output, Send)], PutName):
        assert read_name(message.record, desk.wall_ms(), "meadow").record.is_release


@pytest.mark.parametrize("verdict", [None, Verdict.BUSY, Verdict.ELSEWHERE, Verdict.FULL])
def test_a_name_that_was_held_before_is_tried_until_the_replicas_have_it(
    desk: Desk, verdict: Verdict | None
) -> None:
    said = desk.feed(Register(0, "alice", again=True))
    for _ in range(10):
        for send in desk.place():
            if verdict is None:
                said += desk.feed(Sent(send.number, False))
            else:
                said += desk.tell(send.peer, NameKept(send.number, verdict))
        said += desk.sleep(NAMES.repair_tries)
    for send in desk.place():
        said += desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    assert not [output for output in said if not isinstance(output, Find | Send)], (
        "nobody waits for an answer"
    )
    desk.feed(Register(2, "alice"))
    for send in desk.place():
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    assert [answer.request for answer in desk.said(Registered)] == [2]


def test_a_name_that_was_held_before_and_is_anothers_now_is_lost(desk: Desk) -> None:
    rival = record(desk)
    said = desk.feed(Register(0, "alice", again=True))
    for send, verdict in zip(desk.place(), (Verdict.KEPT, Verdict.TAKEN, Verdict.KEPT), strict=True):
        if send.peer == ONE:
            said += desk.feed(Sent(send.number, False))
        else:
            said += desk.tell(
                send.peer, NameKept(send.number, verdict, rival.raw if verdict is Verdict.TAKEN else b"")
            )
    assert [output for output in said if isinstance(output, Lost | Refused)] == [
        Lost("alice", "taken", rival.record)
    ]


def test_a_registration_that_is_asked_twice_is_answered_once(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    sends = desk.place()
    assert desk.feed(Register(1, "alice")) == []
    assert desk.feed(Register(2, "alice")) == [Refused(2, "busy")]
    for send in sends:
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    assert [answer.request for answer in desk.said(Registered)] == [1]


def test_that_it_was_held_before_changes_nothing_of_a_name_that_was_asked_for_meanwhile(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    sends = desk.place()
    assert desk.feed(Register(0, "alice", again=True)) == []
    for send in sends:
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    assert [answer.request for answer in desk.said(Registered)] == [1]


def test_a_name_is_released_when_the_replicas_know_it_or_had_their_time(desk: Desk) -> None:
    assert desk.feed(Release("nobodys")) == [Released("nobodys")]
    for answers in (True, False):
        desk.feed(Register(1, "alice"))
        for send in desk.place():
            desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
        desk.feed(Release("Alice"))
        sends = desk.place()
        assert len(sends) == len(REPLICAS)
        for send in sends:
            assert desk.said(Released) == []
            if answers:
                desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
        if not answers:
            desk.sleep(NAMES.ask)
        assert desk.said(Released) == [Released("alice")]


def put_of(desk: Desk, sends: list[Send]) -> NameRecord:
    return read_name(messages(sends, PutName)[0].record, desk.wall_ms(), "meadow").record


def test_a_release_whose_lookup_takes_long_makes_no_later_registration_void(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    for send in desk.place():
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    (slow,) = (output for output in desk.feed(Release("alice")) if isinstance(output, Find))
    desk.now += 0.5
    desk.feed(Register(2, "alice"))
    registered = put_of(desk, desk.place())
    desk.now += 0.5
    desk.feed(FoundOwner(slow.number, REPLICAS))
    released = put_of(desk, desk.said(Send))
    assert released.is_release
    assert released.sequence < registered.sequence


def test_a_release_of_a_name_that_an_earlier_machine_held_counts_as_long_as_its_records_may(
    desk: Desk,
) -> None:
    before = record(desk, ALICE, sequence=desk.wall_ms())
    desk.now += 60.0
    assert desk.feed(Release("Alice", 600.0)) == desk.said(Find), "it is released when the replicas know it"
    sends = desk.place()
    released = put_of(desk, sends)
    assert released.is_release
    assert released.sequence > before.record.sequence
    assert released.expires_ms >= before.record.expires_ms
    for send in sends:
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    assert desk.said(Released) == [Released("alice")]


@pytest.mark.parametrize("lease", [float("nan"), -1.0, float("inf"), 1e12])
def test_a_release_counts_no_longer_than_any_record(desk: Desk, lease: float) -> None:
    if desk.feed(Release("alice", lease)) != [Released("alice")]:
        released = put_of(desk, desk.place())  # read_name refuses a lease that is longer than anybody's
        assert released.expires_ms - released.issued_ms == NAMES.lease_max * 1000


def test_a_sequence_of_an_earlier_life_is_exceeded(desk: Desk) -> None:
    desk.feed(Register(1, "alice"))
    ahead = record(desk, ALICE, sequence=desk.wall_ms() + 200_000)
    for send in desk.place():
        desk.tell(send.peer, NameKept(send.number, Verdict.STALE, ahead.raw))
    sends = desk.place()
    signed = read_name(messages(sends, PutName)[0].record, desk.wall_ms(), "meadow").record
    assert signed.sequence == ahead.record.sequence + 1
    for send in sends:
        desk.tell(send.peer, NameKept(send.number, Verdict.KEPT))
    assert desk.said(Registered) == [Registered(1, signed)]


def test_what_cannot_be_registered_is_refused_at_once() -> None:
    desk = Desk(replace(NAMES, own=1))
    assert desk.feed(Register(1, "a b")) == [Refused(1, "name-invalid")]
    assert desk.feed(Register(2, "alice", NAMES.lease_min - 1)) == [Refused(2, "lease-invalid")]
    assert desk.feed(Register(3, "alice", NAMES.lease_max + 1)) == [Refused(3, "lease-invalid")]
    assert desk.feed(Register(3, "alice", float("nan"))) == [Refused(3, "lease-invalid")]
    assert desk.feed(Resolve(4, "\ud800")) == [Resolved(4, None, "name-invalid")]
    desk.feed(Register(5, "alice"))
    assert desk.feed(Register(6, "bob")) == [Refused(6, "too-many-names")]
    assert desk.feed(Register(7, "alice")) == [Refused(7, "busy")]
    released = desk.feed(Release("alice"))
    assert released[0] == Refused(5, "released")


def test_what_does_not_belong_here_is_not_kept(desk: Desk) -> None:
    desk.tell(ONE, PutName(7, record(desk).raw))
    (send,) = desk.place(REPLICAS)
    assert send == Send(0, ONE, NameKept(7, Verdict.ELSEWHERE))
    desk.tell(ONE, PutName(8, record(desk).raw))
    (send,) = desk.place(())
    assert send.message == NameKept(8, Verdict.BUSY)
    assert len(desk.names) == 0
    assert desk.names.counted == {"name-put-elsewhere": 1, "name-put-busy": 1}


def test_what_belongs_here_is_kept_and_shown(desk: Desk) -> None:
    held = record(desk)
    desk.tell(ONE, PutName(7, held.raw))
    (send,) = desk.place((ONE, ME))
    assert send.message == NameKept(7, Verdict.KEPT)
    assert desk.tell(STRANGER, GetName(9, "alice")) == [Send(0, STRANGER, NameHeld(9, held.raw))]
    assert desk.tell(STRANGER, GetName(9, "bob")) == [Send(0, STRANGER, NameHeld(9, b""))]
    newer = record(desk, sequence=2)
    assert desk.tell(STRANGER, PutName(1, newer.raw)) == [Send(0, STRANGER, NameKept(1, Verdict.KEPT))]
    stale = desk.tell(STRANGER, PutName(2, held.raw))
    assert stale == [Send(0, STRANGER, NameKept(2, Verdict.STALE, newer.raw))]


def test_a_flood_of_records_costs_no_more_signatures_than_its_sender_may_bring() -> None:
    desk = Desk(replace(NAMES, put_burst=3, put_rate=1.0))
    rng = Random(1)
    verdicts = []
    for number in range(6):
        (send,) = desk.tell(ONE, PutName(number, rng.randbytes(200)))
        assert isinstance(send, Send)
        assert isinstance(send.message, NameKept)
        verdicts.append(send.message.verdict)
    assert verdicts == [Verdict.INVALID] * 3 + [Verdict.BUSY] * 3
    (other,) = desk.tell(OTHER, PutName(0, b""))
    assert isinstance(other, Send)
    assert other.message == NameKept(0, Verdict.INVALID)


def test_lookups_for_records_that_others_bring_are_bounded() -> None:
    desk = Desk(replace(NAMES, puts_waiting=2))
    for number in range(5):
        desk.tell(ONE, PutName(number, record(desk, name=f"n{number}").raw))
    assert desk.names.counted["name-put-busy"] == 3


def test_a_change_of_the_ring_has_all_names_looked_at_soon(desk: Desk) -> None:
    desk.tell(ONE, PutName(7, record(desk).raw))
    desk.place((ONE, ME))
    desk.feed(RingChanged())
    desk.feed(RingChanged())
    desk.sleep(NAMES.repair / 4)
    assert len(desk.said(Find)) == 1


def test_a_node_that_keeps_many_names_looks_at_each_more_rarely() -> None:
    desk = Desk(replace(NAMES, look_rate=1.0))
    for number in range(60):
        desk.now += 1.0
        desk.tell(
            ONE, PutName(number, record(desk, Identity(bytes([number]) * 32, bytes(32)), f"n{number}").raw)
        )
        for find in desk.said(Find):
            desk.feed(FoundOwner(find.number, (ME,)))
    assert len(desk.names) > 40
    looks = 0
    for _ in range(120):
        desk.sleep(1.0)
        for find in desk.said(Find):
            looks += 1
            desk.feed(FoundOwner(find.number, (ME,)))
    assert 100 <= looks <= 140


def test_whatever_strangers_say_raises_nothing_and_keeps_every_table_bounded() -> None:
    desk = Desk(replace(NAMES, held=16, metered=8))
    rng = Random(20261127)
    people = [Identity(bytes([n]) * 32, bytes([n + 1]) * 32) for n in range(1, 9)]
    raws = [
        record(desk, rng.choice(people), f"n{rng.randrange(40)}", rng.randrange(5)).raw for _ in range(100)
    ]
    for _ in range(3000):
        desk.now += rng.random() / 10
        peer, number = peer_number(rng.randrange(50)), rng.randrange(60)
        raw = rng.choice((b"", rng.randbytes(80), rng.choice(raws)))
        kind = rng.choice((GetName, NameHeld, PutName, NameKept))
        if kind is GetName:
            desk.tell(peer, GetName(number, rng.choice(("alice", "A b", "n1", "\x00"))))
        elif kind is NameKept:
            desk.tell(peer, NameKept(number, rng.choice(list(Verdict)), raw))
        elif kind is PutName:
            desk.tell(peer, PutName(number, raw))
        else:
            desk.tell(peer, NameHeld(number, raw))
        for find in desk.said(Find):
            owners = rng.choice(((), (ME,), (ONE, ME, OTHER), REPLICAS))
            desk.feed(FoundOwner(find.number, owners))
        assert len(desk.names) <= 16
    assert len(desk.names) > 4
