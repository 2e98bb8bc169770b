"""`cicada load` asks for what was typed, shows what came of it on one screen, and ends with the exit code that fits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import Result

from cicada.commands import (
    AnyCommand,
    AnyReply,
    Done,
    GetLoad,
    Latency,
    LoadProgress,
    LoadResult,
    OpResult,
    Refused,
    RunLoad,
    Stage,
    StopLoad,
    Threshold,
    ThresholdResult,
)
from cicada.limits import CLI
from launcher.load.text import load_lines
from launcher.verbs.progress import ProgressLine, progress_line, sparkline

from .fake_launcher import ask

DONE = Done()
LOADED = LoadResult(
    sent=100,
    delivered=100,
    lost=0,
    failed=0,
    duplicated=0,
    altered=0,
    wrong_peer=0,
    rate=50.0,
    achieved_rate=49.0,
    seconds=2.0,
    latency_p50_s=0.001,
    latency_p99_s=0.004,
    latency_max_s=0.009,
    hops_mean=1.5,
    hops_p99=2.0,
    hops_max=3,
    failures={},
    acknowledged=100,
)

CONFIG = """
[swarm]
name = "small"
seed = 9

[[group]]
name = "core"
count = 2
address = "127.0.0.1:20000"

[load]
rate = 50
duration = "1m"
ops = { send = 9, lookup = 1 }

[[threshold]]
that = "send.p99 < 50ms"
abort_on_fail = true
after = "10s"
"""
FROM_CONFIG = RunLoad(
    rate=50.0,
    duration=60.0,
    seed=9,
    ops={"send": 9.0, "lookup": 1.0},
    thresholds=(Threshold("send.p99 < 50ms", abort_on_fail=True, after=10.0),),
)


def change(reply: Any, **fields: object) -> Any:
    return msgspec.structs.replace(reply, **fields)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("line", "reply", "command"),
    [
        ("load --count 10 --rate 5", LOADED, RunLoad(rate=5.0, count=10)),
        (
            "load --duration 500ms --payload 100 --timeout 2s --seed 3",
            LOADED,
            RunLoad(duration=0.5, payload=100, timeout=2.0, seed=3),
        ),
        (
            "load --ops send=80,lookup=15,broadcast=5 --stage 50..500:1m --stage 500:30s --warmup 5s --payload 64..1KiB",
            LOADED,
            RunLoad(
                ops={"send": 80.0, "lookup": 15.0, "broadcast": 5.0},
                stages=(Stage(60.0, 50.0, 500.0), Stage(30.0, 500.0, 500.0)),
                warmup=5.0,
                payload=64,
                payload_max=1024,
            ),
        ),
        (
            "load --model closed --users 50 --think 100ms --targets zipf:1.2 --ordered --duplicates 2 --group core",
            LOADED,
            RunLoad(
                model="closed",
                users=50,
                think=0.1,
                targets="zipf",
                skew=1.2,
                ordered=True,
                duplicates=2,
                group="core",
            ),
        ),
        ("load --threshold lost==0", LOADED, RunLoad(thresholds=(Threshold("lost==0"),))),
        ("load --i-own-this-network", LOADED, RunLoad(own_network=True)),
        ("load --stop", DONE, StopLoad()),
    ],
)
def test_a_load_asks_for_what_was_typed(run: Path, line: str, reply: AnyReply, command: AnyCommand) -> None:
    result, asked = ask(run, reply, *line.split())
    assert (asked, result.exit_code) == ([command], 0), result.stderr
    assert result.output


def test_a_configuration_describes_the_load_and_options_win_over_it(run: Path, config: str) -> None:
    assert ask(run, LOADED, "load", config)[1] == [FROM_CONFIG]
    options = ("--count", "7", "--seed", "3", "--threshold", "lost == 0")
    assert ask(run / "b", LOADED, "load", config, *options)[1] == [
        change(FROM_CONFIG, duration=None, count=7, seed=3, thresholds=(Threshold("lost == 0"),))
    ]
    staged = ask(run / "c", LOADED, "load", config, "--stage", "5:2s")[1]
    assert staged == [change(FROM_CONFIG, rate=None, duration=None, stages=(Stage(2.0, 5.0, 5.0),))]
    closed = ask(run / "d", LOADED, "load", config, "--model", "closed", "--users", "3")[1]
    assert closed == [change(FROM_CONFIG, rate=None, model="closed", users=3)]


def test_all_that_is_wrong_with_options_is_said_at_once_each_with_its_option(run: Path, config: str) -> None:
    bad = "--payload 3q --stage 5..x:1s --ops sned=1 --timeout soon --users many --threshold lost=0"
    result, asked = ask(run, LOADED, "load", config, *bad.split())
    assert (result.exit_code, asked) == (2, [])
    assert sorted(result.stderr.splitlines()) == [
        "--ops sned=1: load.ops: there is no operation 'sned': did you mean 'send'?",
        "--payload 3q: load.payload: '3q' is not a size: write 256B, 4KiB or 1MiB",
        "--stage: load.stage[0].rate: 'x' is not a rate: write 200, or 100..500 for a ramp",
        "--threshold: threshold[0].that: 'lost=0' is not a threshold: write \"send.p99 < 50ms\", "
        '"delivered.rate >= 0.999" or "lost == 0"',
        '--timeout soon: load.timeout: expected a time such as "10s", "250ms" or "2m", got "soon"',
        '--users many: load.users: expected a whole number, got "many"',
    ]


def test_json_has_every_field_of_the_answer(run: Path) -> None:
    result, _ = ask(run, LOADED, "load", "--count", "10", "--json")
    assert json.loads(result.stdout) | {"type": "LoadResult"} == json.loads(msgspec.json.encode(LOADED))


def test_a_load_while_another_runs_is_refused_with_a_remedy(run: Path) -> None:
    refused = Refused(
        reason="a load runs already: wait for its end, or end it with `cicada load --stop`", misuse=True
    )
    result, _ = ask(run, refused, "load", "--count", "10", "--quiet")
    assert (result.exit_code, result.stderr) == (2, f"{refused.reason}\n")


@pytest.mark.parametrize(
    ("line", "reply", "code"),
    [
        ("load --count 100", change(LOADED, delivered=99, lost=1), 3),
        ("load --count 100", change(LOADED, failed=1), 3),
        ("load --count 100", change(LOADED, duplicated=1), 3),
        ("load --count 100", change(LOADED, altered=1), 3),
        ("load --count 100", change(LOADED, wrong_peer=1), 3),
        ("load --count 100", change(LOADED, sent=0, delivered=0), 3),
        ("load --count 100", change(LOADED, planned=101), 3),
        ("load --count 100", change(LOADED, unfinished=1), 3),
        ("load --count 100", change(LOADED, died_with_worker=1), 3),
        ("load", change(LOADED, outcome="failed"), 1),
        ("load", change(LOADED, out_of_order=1), 0),
        ("load", change(LOADED, out_of_order=1, is_ordered=True), 3),
        ("load", change(LOADED, lookups={"wrong": 1, "right": 3, "unsure": 0, "failed": 0}), 3),
    ],
)
def test_what_went_wrong_shows_in_the_exit_code(run: Path, line: str, reply: AnyReply, code: int) -> None:
    result, _ = ask(run, reply, *line.split())
    assert result.exit_code == code


def test_a_load_shows_its_verdict_and_thresholds_first(run: Path) -> None:
    thresholds = (
        ThresholdResult(that="send.p99 < 50ms", value=0.0042, held=True),
        ThresholdResult(that="delivered.rate >= 0.999", value=0.95, held=False),
        ThresholdResult(that="lookup.p99 < 50ms", value=None, held=False),
    )
    reply = change(LOADED, verdict="results unreliable: the generator was late", thresholds=thresholds)
    result, _ = ask(run, reply, "load", "--count", "100")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "held    send.p99 < 50ms  (4.2 ms)",
        "missed  delivered.rate >= 0.999  (0.95)",
        "missed  lookup.p99 < 50ms  (no figure)",
    ]
    assert "unreliable" in lines[-1]
    assert "unreliable" not in ask(run, LOADED, "load", "--count", "100")[0].stdout


def test_with_thresholds_they_alone_decide_the_exit_code(run: Path) -> None:
    held = (ThresholdResult(that="lost < 5", value=1.0, held=True),)
    reply = change(LOADED, lost=1, delivered=99, thresholds=held)
    assert ask(run, reply, "load", "--count", "100")[0].exit_code == 0


def test_a_load_shows_each_kind_of_operation_on_one_screen(run: Path) -> None:
    times = Latency(p50=0.001, p75=0.002, p90=0.003, p95=0.004, p99=0.0055, p99_9=0.5, max=12.5)
    ops = (
        op_result("send", response=times, service=times),
        op_result("lookup", failed=2, failures={"timed out": 2}),
        op_result("broadcast", dropped=1, drops={"its source does not run": 1}),
    )
    spread = {"spread_p50_us": 1500, "spread_p99_us": 20_000, "spread_max_us": 31_000}
    reply = change(
        LOADED,
        ops=ops,
        out_of_order=4,
        lookups={"right": 8, "wrong": 1, "unsure": 3, "failed": 2},
        broadcasts={"sent": 2, "reached": 36, "expected": 38, "complete": 1, "duplicated": 0, **spread},
    )
    result, _ = ask(run, reply, "load", "--count", "100")
    text = result.stdout
    row = next(line for line in text.splitlines() if line.startswith("  send "))
    assert row.split() == ["send", "response", "10", "0", "1.0", "2.0", "3.0", "4.0", "5.5", "500.0", "12500"]
    assert "8 right, 1 wrong, 3 while the ring changed, 2 failed" in text
    assert "36 of 38 peers reached, 1 of 2 reached all; half within 1.5 ms, 99% within 20.0 ms" in text
    assert "lookup    2 failed: 2 timed out" in text
    assert "broadcast 1 never began: 1 its source does not run" in text
    assert "4 out of order" in text
    assert len(text.splitlines()) < 24
    assert result.exit_code == 3


def op_result(op: str, **fields: Any) -> OpResult:
    figures = {"late": 0, "dropped": 0, "succeeded": 10, "failed": 0, "failures": {}, "drops": {}, **fields}
    return OpResult(op=op, started=10, rate=5.0, **{"response": Latency(), "service": Latency(), **figures})


PROGRESS = LoadProgress(
    planned=100,
    sent=40,
    acknowledged=38,
    failed=1,
    seconds=0.8,
    duration=2.0,
    target=50.0,
    rate=48.0,
    p50_s=0.001,
    p99_s=0.009,
    failures={"timed out": 1},
)


def slow_load(run: Path, *arguments: str) -> tuple[Result, list[AnyCommand]]:
    """A load that ends once its progress was asked for twice, or after a while if it never is."""

    class Running:
        looks = 0
        over: asyncio.Event

    async def ended() -> AnyReply:
        Running.over = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(Running.over.wait(), 1.0)
        return LOADED

    def answer(command: AnyCommand) -> AnyReply | Awaitable[AnyReply]:
        if isinstance(command, RunLoad):
            return ended()
        assert command == GetLoad()
        Running.looks += 1
        if Running.looks == 2:
            Running.over.set()
        return PROGRESS

    return ask(run, answer, "load", "--count", "100", *arguments)


def test_a_load_shows_calmly_how_far_it_is_where_standard_error_is_no_terminal(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.verbs.progress.CLI", msgspec.structs.replace(CLI, progress_lines=0.3))
    result, asked = slow_load(run, "--json")
    assert result.exit_code == 0
    assert asked[1:] == [GetLoad(), GetLoad()]
    assert json.loads(result.stdout)["sent"] == 100
    line = "  1 of 2 s, 48 of 50/s, p50 1.0 ms, p99 9.0 ms, 40 of 100 begun, 38 ok, 1 failed, 1 timed out"
    assert result.stderr.splitlines().count(line) == 1, "lines that cannot be written over come seldom"


def test_a_quiet_load_shows_nothing_but_its_result(run: Path) -> None:
    result, _ = slow_load(run, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")


def test_ctrl_c_ends_the_load_and_shows_what_it_did_so_far(run: Path) -> None:
    over: asyncio.Future[AnyReply] | None = None

    async def until_stopped() -> AnyReply:
        nonlocal over
        over = asyncio.get_running_loop().create_future()
        signal.raise_signal(signal.SIGINT)
        return await asyncio.wait_for(over, 10.0)

    def answer(command: AnyCommand) -> AnyReply | Awaitable[AnyReply]:
        if isinstance(command, RunLoad):
            return until_stopped()
        if isinstance(command, StopLoad) and over is not None:
            over.set_result(change(LOADED, outcome="stopped", sent=40, delivered=40))
        return DONE

    result, asked = ask(run, answer, "load", "--duration", "1h")
    assert StopLoad() in asked
    assert result.exit_code == 130
    assert "40 of 40 messages" in result.stdout
    assert "the load was stopped before its end" in result.stdout


def test_on_a_terminal_progress_is_one_line_that_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("launcher.verbs.progress.CLI", msgspec.structs.replace(CLI, progress=0.0))
    with ProgressLine() as line:
        for sent in (1, 2):
            line.show(LoadProgress(planned=2, sent=sent, acknowledged=0, failed=0, seconds=0.1, duration=1.0))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\n" not in shown.err
    assert shown.err.endswith("2 of 2 begun, 0 ok, 0 failed\r\x1b[K")


def test_failures_are_shown_by_group_where_there_are_several(run: Path) -> None:
    groups = {"core": (90, 0), "edge": (5, 5)}
    reply = change(LOADED, failed=5, failures={"timed out": 5}, groups=groups)
    assert "by the group of their targets: edge: 5" in ask(run, reply, "load")[0].stdout
    assert progress_line(change(PROGRESS, groups=groups)).endswith("1 timed out, failed to edge: 5")
    assert "failed to" not in progress_line(change(PROGRESS, groups={"core": (1, 2)}))


def test_rates_are_drawn_as_bars_the_highest_one_full() -> None:
    assert sparkline([0.0, 50.0, 100.0]).strip() == "▄█"
    assert sparkline([5.0]) == sparkline([]) == sparkline([0.0, 0.0]) == ""


def test_a_load_during_which_a_worker_died_says_what_that_means(run: Path) -> None:
    reply = change(LOADED, planned=120, died=("worker-1",), unfinished=7, died_with_worker=3)
    text = ask(run, reply, "load", "--count", "120")[0].stdout
    assert (
        "worker-1, so 20 operations never began, 7 messages have no receipt, and 3 were acknowledged" in text
    )


def test_a_load_shows_why_receipts_failed(run: Path) -> None:
    reply = change(LOADED, failed=2, failures={"timed out": 2})
    assert "2 failed: 2 timed out" in ask(run, reply, "load", "--count", "100")[0].stdout


@pytest.mark.parametrize(
    ("duplicated", "words"), [(0, "delivered exactly once and intact"), (3, "delivered intact")]
)
def test_nobody_is_told_exactly_once_when_messages_came_twice(duplicated: int, words: str) -> None:
    told = "\n".join(load_lines(change(LOADED, duplicated=duplicated)))
    assert f"100 of 100 messages {words}" in told
