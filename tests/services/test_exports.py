"""Who may ask an exported actor, how much of that one peer may have open, and what is said when it comes to nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import canonical_address, peer_at
from cicada.keys.trust import Trust
from cicada.limits import ActorsLimits
from cicada.services.exports import (
    Accepted,
    Caller,
    Carry,
    ExportOutput,
    Exports,
    Offered,
    Refused,
    Replied,
    Requested,
    Respond,
    TimerFired,
    Withdrawn,
)
from cicada.wire.actors import (
    ActorEnded,
    ActorFailed,
    ActorReplied,
    ActorTook,
    AskActor,
    TellActor,
    WatchActor,
    decode_actor,
    encode_actor,
)

SMALL = ActorsLimits(pending=9, watchers=9)
CALLERS: list[Caller] = [(peer_at(canonical_address("127.0.0.1", 1000 + n)), f"id{n}") for n in range(3)]
ANNA, BERT, _ = CALLERS


def exports(require: Trust = Trust.UNVERIFIED, limits: ActorsLimits = SMALL) -> Exports:
    made = Exports(limits)
    assert made.handle(Offered("a", 7, require), 0.0) == []
    return made


def ask(number: int, caller: Caller = ANNA, trust: Trust = Trust.PINNED, ms: int = 5000) -> Requested:
    return Requested(caller, trust, AskActor(number, "a", b"body", ms))


def ticket(outputs: list[ExportOutput]) -> int:
    (carry,) = outputs
    assert isinstance(carry, Carry)
    return carry.ticket


def failure(outputs: list[ExportOutput]) -> str:
    (respond,) = outputs
    assert isinstance(respond, Respond)
    assert isinstance(respond.response, ActorFailed)
    return respond.response.kind


def test_an_ask_is_carried_and_its_reply_goes_to_who_asked_once() -> None:
    made = exports()
    opened = ticket(made.handle(ask(3), 1.0))
    assert len(made) == 1
    assert made.handle(Replied(opened, b"yes"), 2.0) == [Respond(ANNA[0], ActorReplied(3, b"yes"))]
    assert made.handle(Replied(opened, b"yes"), 2.0) == []
    assert made.refusals == {"late-reply": 1}
    assert made.next_deadline() is None


def test_a_tell_is_answered_when_it_lies_in_the_inbox() -> None:
    made = exports()
    opened = ticket(made.handle(Requested(ANNA, Trust.PINNED, TellActor(3, "a", b"")), 1.0))
    assert made.handle(Accepted(opened), 1.0) == [Respond(ANNA[0], ActorTook(3, 7))]


def test_who_is_trusted_less_hears_the_same_as_who_asks_for_what_is_not_there() -> None:
    made = exports(Trust.PINNED)
    assert failure(made.handle(ask(1, trust=Trust.FIRST_CONTACT), 0.0)) == "refused"
    missing = Requested(ANNA, Trust.PINNED, AskActor(1, "b", b"", 1))
    assert failure(made.handle(missing, 0.0)) == "refused"
    assert made.refusals == {"refused": 2}
    assert isinstance(made.handle(ask(1), 0.0)[0], Carry)


def test_one_peer_leaves_room_for_others() -> None:
    made = exports()
    outputs = [made.handle(ask(number), 0.0) for number in range(20)]
    carried = [out for out in outputs if isinstance(out[0], Carry)]
    assert len(carried) == 8
    assert failure(outputs[-1]) == "full"
    assert isinstance(made.handle(ask(1, BERT), 0.0)[0], Carry)
    assert failure(made.handle(ask(2, BERT), 0.0)) == "full"
    made.handle(Replied(ticket(carried[0]), b""), 0.0)
    assert isinstance(made.handle(ask(3, BERT), 0.0)[0], Carry)


def test_what_nobody_waits_for_any_more_makes_room() -> None:
    made = exports()
    opened = ticket(made.handle(ask(1, ms=2000), 10.0))
    assert made.next_deadline() == 12.0
    assert made.handle(TimerFired(), 11.9) == []
    assert len(made) == 1
    made.handle(TimerFired(), 12.0)
    assert len(made) == 0
    assert made.handle(Replied(opened, b""), 13.0) == []


def test_the_end_of_an_actor_is_told_to_those_who_wait_and_watch() -> None:
    made = exports()
    made.handle(ask(1), 0.0)
    assert made.handle(Requested(BERT, Trust.PINNED, WatchActor(5, "a")), 0.0) == [
        Respond(BERT[0], ActorTook(5, 7))
    ]
    made.handle(Requested(BERT, Trust.PINNED, WatchActor(6, "a")), 0.0)
    assert made.watchers == 1
    outputs = made.handle(Withdrawn("a", True, "broke"), 1.0)
    assert outputs == [
        Respond(ANNA[0], ActorFailed(1, "ended", "broke")),
        Respond(BERT[0], ActorEnded(6, True, "broke")),
    ]
    assert made.handle(Withdrawn("a", True, "broke"), 1.0) == []
    assert (len(made), made.watchers) == (0, 0)


def test_who_does_not_look_again_watches_no_more() -> None:
    made = exports()
    made.handle(Requested(BERT, Trust.PINNED, WatchActor(5, "a")), 0.0)
    made.handle(TimerFired(), SMALL.watch_expiry)
    assert made.watchers == 0
    assert made.handle(Withdrawn("a", False, "gone"), 1.0) == []


def test_who_looks_again_watches_on_behind_those_who_began_later() -> None:
    made = exports()
    for number, (caller, now) in enumerate([(ANNA, 0.0), (BERT, 1.0), (ANNA, 2.0)]):
        made.handle(Requested(caller, Trust.PINNED, WatchActor(number, "a")), now)
    assert made.next_deadline() == 1.0 + SMALL.watch_expiry
    made.handle(TimerFired(), 1.0 + SMALL.watch_expiry)
    assert (made.watchers, made.next_deadline()) == (1, 2.0 + SMALL.watch_expiry)


class Counted(dict[Any, Any]):
    """Counts which of its values somebody looks at one after the other."""

    looked = 0

    def values(self) -> Any:
        for value in super().values():
            self.looked += 1
            yield value


def test_the_first_deadline_is_known_without_a_look_at_all_that_is_open() -> None:
    made = exports(limits=ActorsLimits())
    open, watchers = Counted(), Counted()
    made._open, made._watchers = open, watchers
    for number in range(800):
        made.handle(ask(number, ms=9000 - number), 0.0)
        caller = (ANNA[0], str(number))
        made.handle(Requested(caller, Trust.PINNED, WatchActor(number, "a")), 0.0)
    assert (len(made), made.watchers) == (800, 800)
    assert made.next_deadline() == 9.0 - 0.799
    assert open.looked + watchers.looked < 10


def test_a_long_reason_is_cut() -> None:
    made = exports()
    opened = ticket(made.handle(ask(1), 0.0))
    (respond,) = made.handle(Refused(opened, "failed", "x" * 9999), 0.0)
    assert isinstance(respond, Respond)
    assert decode_actor(encode_actor(respond.response)) == ActorFailed(1, "failed", "x" * SMALL.max_reason)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(0, 3)), max_size=60))
def test_nothing_is_open_when_everything_has_ended_and_each_request_is_answered_at_most_once(
    steps: list[tuple[int, int, float]],
) -> None:
    made, now = exports(), 0.0
    tickets: list[int] = []
    answered: list[tuple[object, int]] = []
    for number, (who, what, wait) in enumerate(steps):
        now += wait
        made.handle(TimerFired(), now)
        if what < 2:
            outputs = made.handle(ask(number, CALLERS[who], ms=1 + 1000 * what), now)
        elif what == 2 and tickets:
            outputs = made.handle(Replied(tickets.pop(), b""), now)
        else:
            outputs = made.handle(Requested(CALLERS[who], Trust.PINNED, WatchActor(number, "a")), now)
        tickets += [output.ticket for output in outputs if isinstance(output, Carry)]
        answered += [(output.to, output.response.id) for output in outputs if isinstance(output, Respond)]
        assert len(made) <= SMALL.pending
        deadlines = [*made._due._deadlines.values(), *(each.deadline for each in made._watchers.values())]
        assert len(made._due) == len(made)
        assert made.next_deadline() == min(deadlines, default=None)
    assert len(answered) == len(set(answered))
    made.handle(Withdrawn("a", False, "over"), now)
    assert (len(made), made.watchers, made.next_deadline()) == (0, 0, None)
