"""What a command answered, as the window says it."""

from __future__ import annotations

import pytest

from cicada.commands import (
    Add,
    AnyCommand,
    AnyReply,
    BroadcastResult,
    Done,
    FaultList,
    FaultRow,
    Heal,
    Kill,
    Lookup,
    LookupResult,
    Refused,
    Send,
    SendResult,
    SendToAll,
)
from visualizer.limits import WINDOW
from visualizer.model.state import Kind, SwarmState, Trip
from visualizer.outcomes import Outcome, outcome_lines, sets_off_a_trip, trip_of, verdict

from .desks import swarm

LOOKUP = Lookup(value="core-4", via="core-1", iterative=True)
SEND = Send(target="core-4", payload=b"hello", via="core-1", duplicates=2)


def found(hops: int = 2, **changes: object) -> LookupResult:
    fields: dict[str, object] = {
        "owner": "127.0.0.1:20004",
        "owner_name": "core-4",
        "place": "0",
        "route": tuple(f"127.0.0.1:{20000 + hop}" for hop in range(hops)),
        "hops": hops,
        "seconds": 0.0123,
        "right": True,
    }
    return LookupResult(**(fields | changes))  # type: ignore[arg-type]


def receipt(status: str, **changes: object) -> SendResult:
    fields: dict[str, object] = {
        "status": status,
        "reason": "",
        "attempts": 1,
        "hops": 3,
        "round_trip_s": 0.01,
    }
    return SendResult(**(fields | changes))  # type: ignore[arg-type]


def fault(others: tuple[str, ...]) -> FaultRow:
    return FaultRow(
        fault=2,
        kind="partition",
        one="core-1",
        other="",
        peers=("core-1",),
        others=others,
        seconds=0,
        jitter=0,
        percent=0,
        age_s=0,
        left_s=None,
    )


@pytest.mark.parametrize(
    ("command", "reply", "bad", "says"),
    [
        (Kill(select="core-1"), Done(peers=("core-1",)), False, "done: core-1"),
        (Kill(select="core-1"), Done(peers=tuple("abcdefgh")), False, "a, b, c, d, e, f and 2 more"),
        (Kill(select="core-1"), Done(), False, "nobody"),
        (Kill(select="core-1"), Refused(reason="core-1 is killed"), True, "core-1 is killed"),
        (
            LOOKUP,
            found(),
            False,
            "core-4, right\n  2 hops in 12.3 ms\n  0. 127.0.0.1:20000\n  1. 127.0.0.1:20001",
        ),
        (LOOKUP, found(hops=1), False, "1 hop in"),
        (LOOKUP, found(right=False), True, "WRONG"),
        (LOOKUP, found(failure="no answer"), True, "not found: no answer"),
        (SEND, receipt("delivered"), False, "delivered in 10.0 ms over 3 hops, 1 attempt"),
        (SEND, receipt("failed", reason="time-out", attempts=4), True, "failed: time-out, 4 attempts"),
        (
            SendToAll(payload=b"x"),
            BroadcastResult(reached=11, expected=11, seconds=0.2),
            False,
            "reached 11 of 11",
        ),
        (
            SendToAll(payload=b"x"),
            BroadcastResult(reached=9, expected=11, seconds=5),
            True,
            "reached 9 of 11",
        ),
        (Heal(), FaultList(rows=(fault(("core-2",)),)), False, "#2 partition: core-1 and core-2"),
        (Heal(), FaultList(rows=()), False, "no fault"),
    ],
)
def test_every_answer_is_told_in_lines(command: AnyCommand, reply: AnyReply, bad: bool, says: str) -> None:
    outcome = Outcome(command, "title", reply)
    lines = outcome_lines(outcome)
    assert lines[0] == "title"
    assert says in "\n".join(lines)
    assert outcome.is_bad == bad


def test_the_route_of_a_lookup_has_names_and_the_milliseconds_of_each_hop() -> None:
    reply = found(hops=3, seconds_per_hop=(0.0041, 0.0052))
    lines = outcome_lines(
        Outcome(LOOKUP, "title", reply), {"127.0.0.1:20000": "core-0", "127.0.0.1:20002": "core-2"}
    )
    assert lines[3:] == ("  0. core-0", "  1. 127.0.0.1:20001  4.1 ms", "  2. core-2  5.2 ms")


def test_what_became_of_copies_is_told() -> None:
    reply = receipt("delivered", copies=("intact", "altered", "lost"), disjoint=False)
    lines = outcome_lines(Outcome(SEND, "title", reply))
    assert lines[2:] == (
        "  some copies shared a relay",
        "  copy 0: intact",
        "  copy 1: altered",
        "  copy 2: lost",
    )


def test_no_answer_is_bad_and_says_why() -> None:
    outcome = Outcome(Heal(), "heal", None, "the launcher is gone")
    assert outcome.is_bad
    assert verdict(outcome) == "heal: the launcher is gone"


def test_in_one_sentence_it_says_what_is_new() -> None:
    assert (
        verdict(Outcome(Kill(select="core-1"), "kill core-1", Done(peers=("core-1",)))) == "kill core-1: done"
    )
    assert (
        verdict(Outcome(Add(group="core"), "one more", Done(peers=("core-9",)))) == "one more: done: core-9"
    )


def test_long_answers_are_cut_and_counted() -> None:
    lines = outcome_lines(Outcome(LOOKUP, "title", found(hops=40)))
    assert len(lines) == WINDOW.results
    assert lines[-1] == f"  and {40 + 3 - WINDOW.results + 1} more"


def trips(state: SwarmState, *made: tuple[str, Kind, str]) -> SwarmState:
    for name, kind, origin in made:
        state.trips[name] = Trip(name, kind, origin, "")
    return state


def test_the_trip_of_a_request_is_the_first_new_one_of_its_kind_and_peer() -> None:
    state = trips(
        swarm(),
        ("old", Kind.LOOKUP, "127.0.0.1:20001"),
        ("data", Kind.DATA, "127.0.0.1:20001"),
        ("other", Kind.LOOKUP, "127.0.0.1:20002"),
    )
    assert trip_of(state, LOOKUP, {"old"}) == ""
    assert trip_of(state, SEND, {"old"}) == "data"
    trips(state, ("mine", Kind.LOOKUP, "core-1"), ("later", Kind.LOOKUP, "127.0.0.1:20001"))
    assert trip_of(state, LOOKUP, {"old"}) == "mine", "whether the origin is told by name or by address"
    assert trip_of(state, Lookup(value="core-4"), {"old"}) == "other", "from whomever"
    assert trip_of(state, Heal(), set()) == ""
    assert not sets_off_a_trip(Heal())
