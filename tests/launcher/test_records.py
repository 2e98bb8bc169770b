"""What a record says: every event has its level and its words, and no record holds what was sent."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.events import (
    AnyEvent,
    ChildExited,
    ChildRestarted,
    Escalated,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    LinkClosed,
    LinkOpened,
    LookupFinished,
    MessageDropped,
    MessageSettled,
    PeerFaulted,
    PeerStarted,
    PhaseChanged,
    PredecessorChanged,
    SuccessorsChanged,
    WaveRestarted,
    WorkerExited,
)
from cicada.limits import LOG
from launcher.logs.events import ACTORS, RULES, SILENT
from launcher.logs.levels import Levels, LevelSetting
from launcher.logs.records import Filter, Level, Record, decoded, harmless, instant, level_at, readable

LOOKUP = LookupFinished(place="ab" * 32, owner="127.0.0.1:7", hops=2, seconds=0.0015, lookup=41)
FAILED = MessageSettled(
    message=9, status="failed", reason="no such peer", attempts=3, hops=0, round_trip_s=0.0
)
CUT = FaultStarted(
    fault=3,
    kind="partition",
    one="core:50%",
    other="",
    peers=("core-1", "core-2"),
    others=("core-3",),
    seconds=0.0,
    jitter=0.0,
    percent=0.0,
    lasts=30.0,
)


def record(**fields: object) -> Record:
    made = Record(
        time="2026-11-25T21:37:46.123Z",
        level="info",
        source="worker-0",
        event="PhaseChanged",
        text="phase member",
        peer="core-3",
        actor="ring",
    )
    return msgspec.structs.replace(made, **fields)


def test_every_kind_of_event_is_logged_or_is_silent_on_purpose() -> None:
    assert set(get_args(AnyEvent)) == RULES.keys() | SILENT
    assert not RULES.keys() & SILENT
    assert {rule.actor for rule in RULES.values()} == {*ACTORS, ""}


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        *((kind, Level.INFO) for kind in (PhaseChanged, SuccessorsChanged, PredecessorChanged, PeerStarted)),
        *((kind, Level.DEBUG) for kind in (LinkOpened, LinkClosed, FingersChanged, LookupFinished)),
        *((kind, Level.WARNING) for kind in (PeerFaulted, MessageDropped, ChildExited, ChildRestarted)),
        (Escalated, Level.ERROR),
    ],
)
def test_what_a_person_follows_is_info_and_what_went_wrong_is_more(
    kind: type[AnyEvent], level: Level
) -> None:
    assert RULES[kind].level is level


@pytest.mark.parametrize(
    ("event", "text", "fields"),
    [
        (
            LOOKUP,
            "lookup 41 of abababab found 127.0.0.1:7 over 2 hops after 1.5 ms",
            {"lookup": 41, "remote": "127.0.0.1:7"},
        ),
        (
            LookupFinished(place="ab" * 32, owner="", hops=0, seconds=1.0, reason="timed-out", lookup=42),
            "lookup 42 of abababab failed: timed-out after 1000.0 ms",
            {"lookup": 42, "remote": ""},
        ),
        (FAILED, "message 9 failed: no such peer, after 3 attempts", {"message": 9}),
        (MessageDropped(reason="hop-limit", count=2), "dropped 2 messages: hop-limit", {"message": None}),
        (
            LinkOpened(remote="a:1", dialled=True),
            "link with a:1 opened, dialled from here",
            {"remote": "a:1"},
        ),
        (LinkClosed(remote="a:1", reason=""), "link with a:1 closed", {"remote": "a:1"}),
        (SuccessorsChanged(successors=("a:1", "b:2")), "head a:1, 2 in the list", {"remote": "a:1"}),
        (SuccessorsChanged(successors=()), "no successors", {"remote": ""}),
        (CUT, "fault 3: partition core-1 core-2 against core-3, for 30 s", {"remote": ""}),
        (
            FaultEnded(fault=3, kind="partition", peers=("core-1", "core-2"), reason="expired"),
            "fault 3 (partition) ended for core-1 core-2: expired",
            {"remote": ""},
        ),
        (WaveRestarted(wave=2, waves=5, peers=("core-1",)), "wave 2 of 5 is back: core-1", {"remote": ""}),
        (PredecessorChanged(predecessor=""), "predecessor unknown", {"remote": ""}),
        (
            FingersChanged(added=("a", "b", "c"), removed=("d", "e")),
            "fingers +a +b +c -d and 1 more",
            {"remote": ""},
        ),
    ],
)
def test_an_event_has_words_for_people_and_fields_for_programs(
    event: AnyEvent, text: str, fields: dict[str, object]
) -> None:
    facts = RULES[type(event)].tell(event)
    assert facts.text == text
    assert {name: getattr(facts, name) for name in fields} == fields


def test_what_every_message_makes_is_skipped_and_what_failed_is_not() -> None:
    skips = RULES[MessageSettled].skips
    assert skips is not None
    assert skips(msgspec.structs.replace(FAILED, status="delivered"))
    assert not skips(FAILED)


def test_a_worker_that_was_told_to_end_is_no_warning() -> None:
    skips = RULES[WorkerExited].skips
    assert skips is not None
    assert skips(WorkerExited(worker="worker-1", pid=1, exit="exit 0", expected=True))
    assert not skips(WorkerExited(worker="worker-1", pid=1, exit="SIGKILL", expected=False))
    assert not skips(WorkerExited(worker="worker-1", pid=1, exit="SIGKILL", expected=True))


WORDS = st.text(st.characters(exclude_characters="'\"\\"), max_size=20)


@given(st.binary(max_size=80), WORDS, WORDS)
def test_no_bytes_pass_from_an_exception_into_a_text(payload: bytes, before: str, after: str) -> None:
    text = harmless(f"{before} {payload!r} {after}")
    assert text == harmless(f"{before} <bytes> {after}")
    assert text.isprintable()
    assert len(text) <= LOG.text


def test_bytes_are_left_out_quoted_escaped_nested_and_torn() -> None:
    assert harmless("""KeyError: b'it\\'s' and b"it's" """) == "KeyError: <bytes> and <bytes>"
    assert harmless("bytearray(b'secret')") == "bytearray(<bytes>)"
    assert harmless("cut off: b'secr") == "cut off: <bytes>"
    assert harmless("a verb's own words") == "a verb's own words"


def test_what_a_remote_says_cannot_move_the_cursor_or_fill_the_line() -> None:
    assert harmless("one\ntwo\x1b[2J") == "one two\N{REPLACEMENT CHARACTER}[2J"
    assert harmless("x" * 1000).endswith(" ...")


@given(
    st.builds(
        Record,
        time=st.just("2026-11-25T21:37:46.123Z"),
        level=st.sampled_from([level.word for level in Level]),
        source=st.text(max_size=5),
        event=st.text(max_size=5),
        text=st.text(max_size=20),
        lookup=st.none() | st.integers(0, 2**60),
        detail=st.dictionaries(st.text(max_size=5), st.integers(0, 9) | st.text(max_size=5), max_size=3),
    )
)
def test_a_record_is_read_as_it_was_written(made: Record) -> None:
    assert decoded(msgspec.json.encode(made)) == made


@pytest.mark.parametrize("line", [b"", b"{}", b"not json", b'{"time": 3}', b"\xff", b"[" * 5000])
def test_a_line_that_is_no_record_reads_as_none(line: bytes) -> None:
    assert decoded(line) is None


def test_a_record_reads_as_one_line_with_what_it_is_about() -> None:
    assert readable(record(), 6) == "2026-11-25 21:37:46.123  info     core-3  ring        phase member"
    assert readable(record(peer="", times=3)).endswith("worker-0  ring        phase member (3 times)")
    assert readable(record(detail={"trace": ("a.py:1 f", "b.py:2 g")})).endswith("phase member, at b.py:2 g")


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Filter(), True),
        (Filter(level=Level.INFO), True),
        (Filter(level=Level.WARNING), False),
        (Filter(actor="ring"), True),
        (Filter(actor="router"), False),
        (Filter(text="core-3  ring"), True),
        (Filter(text="core-4"), False),
    ],
)
def test_a_filter_takes_records_by_level_actor_and_text(wanted: Filter, taken: bool) -> None:
    assert wanted.takes(record()) is taken


@pytest.mark.parametrize(("number", "level"), [(5, "debug"), (20, "info"), (25, "info"), (50, "error")])
def test_levels_of_logging_become_ours(number: int, level: str) -> None:
    assert level_at(number).word == level


def test_the_level_of_one_peer_or_of_one_of_its_actors_changes_alone() -> None:
    levels = Levels(Level.INFO)
    assert (levels.floor, levels.wants("core-1", "ring", Level.DEBUG)) == (Level.INFO, False)
    levels.set([LevelSetting("core-1", "debug", "ring")])
    assert levels.floor <= Level.DEBUG
    assert levels.wants("core-1", "ring", Level.DEBUG)
    assert not levels.wants("core-1", "router", Level.DEBUG)
    assert not levels.wants("core-2", "ring", Level.DEBUG)
    levels.set([LevelSetting("core-1", "error")])
    assert not levels.wants("core-1", "ring", Level.WARNING)
    assert levels.wants("core-2", "ring", Level.INFO)
    assert levels.floor > Level.DEBUG, "nobody wants more any longer"


@given(
    st.lists(
        st.builds(
            LevelSetting,
            st.sampled_from(["core-1", "core-2"]),
            st.sampled_from(["debug", "info", "warning", "error"]),
            st.sampled_from(["", *ACTORS]),
        )
    )
)
def test_the_settings_of_levels_make_equal_levels(settings: list[LevelSetting]) -> None:
    levels, again = Levels(Level.INFO), Levels(Level.INFO)
    levels.set(settings)
    again.set(levels.settings())
    for name in ("core-1", "core-2", "core-3"):
        for actor in ("", *ACTORS):
            for level in Level:
                assert levels.wants(name, actor, level) == again.wants(name, actor, level)
                assert level >= levels.floor or not levels.wants(name, actor, level)


@pytest.mark.parametrize(
    ("written", "compares_as"),
    [
        ("2026-11-25", "2026-11-25"),
        (" 2026-11-25 18:40 ", "2026-11-25T18:40"),
        ("2026-11-25T18:40:01", "2026-11-25T18:40:01"),
        ("2026-11-25T18:40:01.5Z", "2026-11-25T18:40:01.5"),
        ("18:40", ""),
        ("30s", ""),
        ("", ""),
    ],
)
def test_a_time_of_day_compares_with_those_of_records(written: str, compares_as: str) -> None:
    assert instant(written) == compares_as
