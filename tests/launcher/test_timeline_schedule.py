"""The schedule of a timeline: pure, by time, complete, and the same for the same seed."""

from __future__ import annotations

import json
import math
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.commands import (
    Add,
    AnyCommand,
    Crash,
    Delay,
    Drop,
    Duplicate,
    Freeze,
    Heal,
    Kill,
    Partition,
    Restart,
    Scale,
    Stop,
    Thaw,
)
from cicada.config import Config, parse_config, to_toml
from cicada.config.timeline import Fault, Verb
from cicada.errors import ConfigError, ConfigErrors
from launcher.faults.draws import draws_of
from launcher.faults.schedule import Schedule, candidates, command_of, end_of, schedule
from launcher.faults.text import schedule_lines, timeline_lines, timeline_plan
from launcher.faults.traces import parse_trace, read_traces
from launcher.selectors import select
from tests.launcher.timelines import timeline

CHAOS = """
[[fault]]
at = "10s"
do = "kill"
select = "core:25%"
for = "5s"
every = "20s"
until = "60s"

[[fault]]
at = "2s"
do = "churn"
model = "poisson"
select = "edge"
failures = 0.5
for = "3s"
until = "60s"

[[fault]]
at = "2s"
do = "churn"
model = "pareto"
select = "core:50%"
lifetime = "20s"
for = "3s"
until = "60s"

[[fault]]
at = "50s"
do = "freeze"
select = "edge"
for = "30s"

[[expect]]
at = "70s"
check = "ring_proven"
"""


@st.composite
def entries(draw: st.DrawFn) -> dict[str, object]:
    """Entries that are right."""
    do = draw(st.sampled_from(["kill", "leave", "freeze", "restart", "partition", "delay", "drop", "churn"]))
    at = draw(st.integers(0, 20))
    fields: dict[str, object] = {"at": f"{at}s", "do": do}
    fields["select"] = draw(st.sampled_from(["core", "edge:50%", "core-3", "all", "7%", "edge-1,core"]))
    if do == "churn":
        fields |= {"model": "poisson", "failures": draw(st.floats(0.1, 5)), "until": f"{at + 10}s"}
    elif draw(st.booleans()):
        fields |= {"every": f"{draw(st.integers(1, 9))}s", "until": f"{at + draw(st.integers(1, 30))}s"}
    if do != "restart" and draw(st.booleans()):
        fields["for"] = f"{draw(st.integers(1, 5000))}ms"
    if do == "delay":
        fields["by"] = "20ms"
    if do == "drop":
        fields["percent"] = draw(st.floats(0.1, 100))
    return fields


def planned(text: str, seed: int = 7) -> Schedule:
    config = timeline(text, seed=seed)
    return schedule(config, config.swarm.seed)


def entry(*lines: str) -> str:
    return "\n".join(["[[fault]]", *lines, ""])


@settings(max_examples=25)
@given(st.integers(0, 2**63 - 1))
def test_the_same_seed_gives_the_same_schedule_down_to_the_peers(seed: int) -> None:
    assert planned(CHAOS, seed) == planned(CHAOS, seed)


@settings(max_examples=25)
@given(st.integers(0, 2**62))
def test_another_seed_gives_another_schedule(seed: int) -> None:
    assert planned(CHAOS, seed) != planned(CHAOS, seed + 1)


@settings(max_examples=25)
@given(st.integers(0, 2**63 - 1))
def test_a_schedule_is_in_order_and_every_occurrence_lies_within_its_entry(seed: int) -> None:
    config = timeline(CHAOS, seed=seed)
    found = schedule(config, seed)
    assert [one.due_s for one in found] == sorted(one.due_s for one in found)
    for one in found:
        fault = config.faults[one.entry]
        end = fault.at if fault.until is None else fault.until
        away = fault.for_ or 0.0 if one.do == "restart" else 0.0
        assert fault.at <= one.due_s <= end + away
    assert end_of(config, found) >= 80.0


@given(st.integers(1, 500), st.integers(1, 200), st.integers(1, 1000))
def test_every_repeats_as_often_as_fits_before_its_end(at: int, every: int, length: int) -> None:
    text = entry(
        f'at = "{at}ms"',
        'do = "freeze"',
        'select = "core"',
        f'every = "{every}ms"',
        f'until = "{at + length}ms"',
    )
    found = planned(text)
    assert len(found) == math.ceil(length / every)
    assert [one.number for one in found] == list(range(len(found)))
    assert [round(one.due_s * 1000) for one in found] == [at + number * every for number in range(len(found))]


def test_who_is_killed_for_a_while_comes_back_and_who_is_frozen_for_a_while_is_thawed_by_the_fault() -> None:
    text = entry('at = "1s"', 'do = "kill"', 'select = "core:10%"', 'for = "5s"')
    kill, back = planned(text)
    assert (kill.do, kill.due_s, kill.lasts_s, kill.returns) == ("kill", 1.0, None, False)
    assert (back.do, back.due_s, back.returns, back.peers) == ("restart", 6.0, True, kill.peers)
    (freeze,) = planned(text.replace("kill", "freeze"))
    assert (freeze.lasts_s, freeze.end_s) == (5.0, 6.0)


def test_occurrences_of_the_same_time_come_in_the_order_of_the_file() -> None:
    text = "".join(
        entry('at = "1s"', f'do = "{do}"', 'select = "core-1"') for do in ("freeze", "thaw", "kill")
    )
    assert [one.do for one in planned(text)] == ["freeze", "thaw", "kill"]


@given(st.integers(0, 2**32), st.sets(st.integers(0, 19), max_size=15))
def test_a_draw_from_the_living_is_the_draw_from_everybody_but_for_the_dead(
    seed: int, dead: set[int]
) -> None:
    everyone = [c for c in candidates(timeline("")) if c.group == "core"]
    living = [c for number, c in enumerate(everyone) if number not in dead]
    foretold = select("core:25%", everyone, (), draws_of(seed, 0, 0)).peers
    drawn = select("core:25%", living, (), draws_of(seed, 0, 0)).peers
    alive = {c.name for c in living}
    assert len(drawn) <= len(foretold)
    missing = set(foretold) & alive - set(drawn)
    assert len(missing) == max(0, len(set(foretold) & alive) - len(drawn))


def test_draws_of_different_occurrences_differ() -> None:
    text = entry('at = "1s"', 'do = "kill"', 'select = "core:25%"', 'every = "1s"', 'until = "20s"')
    assert len({one.peers for one in planned(text)}) > 10


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        (('do = "kill"', 'select = "core-1"'), Kill(select="core-1", hard=True)),
        (('do = "kill"', 'select = "core-1"', "hard = false"), Stop(select="core-1")),
        (('do = "leave"', 'select = "core-1"'), Stop(select="core-1")),
        (('do = "restart"', 'select = "worker-1"'), Restart(select="worker-1")),
        (('do = "freeze"', 'select = "core-1"', 'for = "2s"'), Freeze(select="core-1", lasts=2.0)),
        (('do = "thaw"',), Thaw(select="all")),
        (('do = "partition"', 'select = "core"', 'for = "2s"'), Partition(one="core", lasts=2.0)),
        (
            ('do = "delay"', 'between = ["core", "edge"]', 'by = "10ms"', 'jitter = "5ms"'),
            Delay(one="core", other="edge", seconds=0.01, jitter=0.005),
        ),
        (
            ('do = "drop"', 'between = ["core", "edge"]', 'percent = "5%"'),
            Drop(one="core", other="edge", percent=5.0),
        ),
        (('do = "duplicate"', 'select = "edge"', 'percent = "5%"'), Duplicate(one="edge", percent=5.0)),
        (('do = "heal"',), Heal()),
        (('do = "heal"', 'between = ["core", "edge"]'), Heal(one="core", other="edge")),
        (('do = "crash"', 'select = "core-1"', 'actor = "router"'), Crash(select="core-1", actor="router")),
        (('do = "add"', 'select = "edge"', "count = 3"), Add(group="edge", count=3)),
        (('do = "scale"', 'select = "edge"', "count = 0"), Scale(group="edge", count=0)),
    ],
)
def test_an_entry_is_carried_out_by_the_command_of_the_same_name(
    lines: tuple[str, ...], command: AnyCommand
) -> None:
    config = timeline(entry(*lines))
    (occurrence,) = schedule(config, 7)
    assert command_of(config.faults[0], occurrence) == command


def test_a_trace_is_followed_from_the_time_of_its_entry_and_names_peers_or_their_numbers() -> None:
    config = timeline(entry('at = "10s"', 'do = "churn"', 'model = "trace"', 'file = "t"', 'select = "edge"'))
    trace = parse_trace("2 edge-1 D\n1.5 0 D  # the first\n\n# later\n4 edge-1 U\n", "t")
    found = schedule(config, 7, {"t": trace})
    assert [(one.due_s, one.do, one.select) for one in found] == [
        (11.5, "kill", "edge-0"),
        (12.0, "kill", "edge-1"),
        (14.0, "restart", "edge-1"),
    ]


def test_a_trace_of_peers_that_its_entry_does_not_select_is_refused_once_for_each() -> None:
    config = timeline(entry('do = "churn"', 'model = "trace"', 'file = "t"', 'select = "edge"'))
    trace = parse_trace("1 core-1 D\n2 core-1 U\n3 10 D\n", "t")
    with pytest.raises(ConfigErrors) as raised:
        schedule(config, 7, {"t": trace})
    assert [error.problem for error in raised.value.errors] == [
        "'core-1' is not among the 10 peers that the entry selects",
        "there is no peer 10: the entry selects 10, which count from 0",
    ]


def test_traces_of_several_entries_are_told_at_once() -> None:
    lines = ('do = "churn"', 'model = "trace"', 'select = "edge"')
    config = timeline(entry(*lines, 'file = "a"') + entry(*lines, 'file = "b"'))
    with pytest.raises(ConfigErrors) as raised:
        schedule(config, 7, {name: parse_trace("1 core-1 D\n", name) for name in "ab"})
    assert [error.file for error in raised.value.errors] == ["a", "b"]
    with pytest.raises(ConfigErrors) as raised:
        read_traces(config, lambda file: f"1 core-1 {file}\n")
    assert [error.file for error in raised.value.errors] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("1 core-1", "t:1:1", "2 words instead of 3"),
        ("\nsoon core-1 D", "t:2:1", "'soon' is not a number of seconds"),
        ("-1 core-1 D", "t:1:1", "a time is at least 0"),
        ("nan core-1 D", "t:1:1", "a time is at least 0"),
        ("1 core-1 X", "t:1:10", "write U for up or D for down"),
        ("# nothing", "t", "there is nothing in it"),
    ],
)
def test_a_wrong_line_of_a_trace_is_told_with_its_position(text: str, where: str, words: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_trace(text, "t")
    assert str(raised.value).startswith(f"{where}: ")
    assert words in str(raised.value)


def test_all_wrong_lines_of_a_trace_are_told_at_once() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_trace("x 1 D\n1 1 D\n1 1 x\n1\n", "t")
    assert [error.line for error in raised.value.errors] == [1, 3, 4]


WORDS = st.sampled_from(
    [
        *(
            "core",
            "edge",
            "core:10%",
            "core-1",
            "worker-1",
            "all",
            "5%",
            "core,edge-1",
            "nobody",
            "core:",
            "%",
            ",",
        ),
        *(
            "kill",
            "freeze",
            "churn",
            "poisson",
            "pareto",
            "trace",
            "ring",
            "1s",
            "250ms",
            "2m",
            "0s",
            "-1s",
            "x",
            "",
        ),
    ]
)
VALUES = st.one_of(
    WORDS,
    st.integers(-5, 50),
    st.floats(-5, 50),
    st.booleans(),
    st.lists(WORDS, max_size=3),
    st.text(max_size=5),
)
KEYS = st.sampled_from([field.alias or name for name, field in Fault.model_fields.items()])


@given(st.dictionaries(KEYS, VALUES, max_size=6), st.sampled_from(get_args(Verb)))
def test_any_entry_is_refused_with_its_position_or_scheduled_and_comes_back_from_toml(
    fields: dict[str, object], do: str
) -> None:
    text = entry(*(f"{key} = {json.dumps(value)}" for key, value in (fields | {"do": do}).items()))
    config, mistakes = read(text)
    assert all(error.line > 0 for error in mistakes)
    if config is None:
        return
    assert parse_config(to_toml(config)) == config
    for one in schedule(config, 7):
        command_of(config.faults[0], one)


def read(text: str) -> tuple[Config | None, tuple[ConfigError, ...]]:
    """The configuration with this timeline, or its mistakes."""
    try:
        return timeline(text), ()
    except ConfigErrors as errors:
        return None, errors.errors


@given(fields=entries())
def test_an_entry_with_what_it_needs_is_scheduled(fields: dict[str, object]) -> None:
    config = timeline(entry(*(f"{key} = {json.dumps(value)}" for key, value in fields.items())))
    assert parse_config(to_toml(config)) == config
    for one in schedule(config, 7):
        command_of(config.faults[0], one)
    assert list(timeline_lines(config, schedule(config, 7)))


def test_a_timeline_reads_entry_by_entry_and_occurrence_by_occurrence() -> None:
    config = timeline(CHAOS)
    found = schedule(config, 7)
    entries = list(timeline_lines(config, found))
    assert f"{len(found)} occurrences of 4 faults in 80 s, 1 expectation" in entries[0]
    assert "at 10 s: kill core:25% for 5 s, every 20 s until 60 s" in entries[3]
    assert entries[-1].strip() == "expected: ring_proven at 70 s"
    listed = list(schedule_lines(timeline_plan(config, found)))
    assert listed[0] == f"seed 7: {len(found)} occurrences in 80 s"
    assert len(listed) == 1 + len(found) + 1
    kill = next(one for one in found if one.do == "kill" and one.entry == 0)
    assert any(f"kill core:25%: {', '.join(kill.peers)}" in line for line in listed)
