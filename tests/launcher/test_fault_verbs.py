"""The verbs of ``cicada fault`` ask the launcher for the right thing, show its answer, and refuse what cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cicada.commands import (
    AnyCommand,
    AnyReply,
    Delay,
    Done,
    Drop,
    Duplicate,
    FaultList,
    FaultRow,
    Freeze,
    GetFaults,
    Heal,
    Partition,
    Refused,
    Restart,
    Thaw,
)
from launcher.cli import app

from .fake_launcher import Answer, fake_launcher
from .test_cli_verbs import STATUS, change

ROW = FaultRow(
    fault=3,
    kind="delay",
    one="worker-0",
    other="",
    peers=("core-0", "core-2"),
    others=("core-1",),
    seconds=0.1,
    jitter=0.02,
    percent=0.0,
    age_s=4.2,
    left_s=25.8,
)
FAULTS = FaultList(rows=(ROW,))
DONE = Done(peers=("core-1",))
VERBS = ("freeze", "thaw", "partition", "delay", "drop", "duplicate", "heal", "list")


def ask(run: Path, reply: AnyReply | Answer, *arguments: str) -> tuple[Result, list[AnyCommand]]:
    answer: Answer = reply if callable(reply) else lambda _: reply
    with fake_launcher(run, answer) as launcher:
        result = CliRunner().invoke(app, [*arguments, "--run", str(launcher.folder)])
        return result, launcher.asked


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("line", "reply", "command"),
    [
        ("freeze core-3", FAULTS, Freeze(select="core-3")),
        ("freeze worker-1 --for 30s", FAULTS, Freeze(select="worker-1", lasts=30.0)),
        ("thaw all", DONE, Thaw(select="all")),
        ("partition core:50%", FAULTS, Partition(one="core:50%")),
        ("partition a b --for 2m", FAULTS, Partition(one="a", other="b", lasts=120.0)),
        ("delay a b 100ms", FAULTS, Delay(one="a", other="b", seconds=0.1)),
        ("delay a b 0 --jitter 20ms", FAULTS, Delay(one="a", other="b", seconds=0.0, jitter=0.02)),
        ("drop a b 5%", FAULTS, Drop(one="a", other="b", percent=5.0)),
        ("drop a b 0.5 --for 1s", FAULTS, Drop(one="a", other="b", percent=0.5, lasts=1.0)),
        ("duplicate a b 100%", FAULTS, Duplicate(one="a", other="b", percent=100.0)),
        ("heal", FAULTS, Heal()),
        ("heal a", FAULTS, Heal(one="a")),
        ("heal a b", FAULTS, Heal(one="a", other="b")),
        ("list", FAULTS, GetFaults()),
    ],
)
def test_a_verb_asks_for_what_was_typed(run: Path, line: str, reply: AnyReply, command: AnyCommand) -> None:
    result, asked = ask(run, reply, "fault", *line.split())
    assert (asked, result.exit_code) == ([command], 0), result.stderr
    assert result.stdout


def test_a_rolling_restart_asks_for_its_waves_and_its_time_out(run: Path) -> None:
    line = "restart all --rolling --at-once 3 --timeout 20s"
    result, asked = ask(run, DONE, *line.split())
    assert asked == [Restart(select="all", rolling=True, at_once=3, timeout=20.0)]
    assert result.exit_code == 0


def test_a_fault_reads_as_a_sentence(run: Path) -> None:
    text = ask(run, FAULTS, "fault", "list")[0].stdout
    assert text == (
        "#3 delay by 100 to 120 ms  worker-0 (2 peers) and the rest (1 peer), for 4 s, 26 s left\n"
    )


def test_the_list_as_json_is_data(run: Path) -> None:
    result, _ = ask(run, FAULTS, "fault", "list", "--json")
    assert json.loads(result.stdout) == [json.loads(msgspec.json.encode(ROW))]


def test_no_faults_are_no_data_and_a_word_on_standard_error(run: Path) -> None:
    result, _ = ask(run, FaultList(rows=()), "fault", "list")
    assert (result.stdout, result.exit_code) == ("", 0)
    assert "no fault" in result.stderr
    assert "nothing to heal" in ask(run, FaultList(rows=()), "fault", "heal")[0].stderr


def test_the_status_shows_faults_and_how_many_are_frozen(run: Path) -> None:
    status = change(STATUS, faults=(ROW, ROW), frozen=2)
    text = ask(run, status, "status")[0].stdout
    assert "19 of 20 joined, 1 dead, 2 frozen" in text
    assert "faults    #3 delay by 100 to 120 ms" in text
    assert text.count("and the rest") == 2
    found = json.loads(ask(run, status, "status", "--json")[0].stdout)
    assert (found["frozen"], found["faults"][0]["kind"]) == (2, "delay")


@pytest.mark.parametrize(("misuse", "code"), [(True, 2), (False, 1)])
def test_a_refusal_is_one_message_and_its_exit_code_says_whose_fault_it_was(
    run: Path, misuse: bool, code: int
) -> None:
    refused = Refused(reason="no peer to act on is called 'nobody'", misuse=misuse)
    result, _ = ask(run, refused, "fault", "freeze", "nobody")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == "no peer to act on is called 'nobody'\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("freeze", "Missing argument"),
        ("freeze a --for soon", "is not a time"),
        ("freeze a --for 0", "is not a time"),
        ("delay a b", "Missing argument"),
        ("delay a b fast", "is not a time"),
        ("delay a b -1s", "No such option"),
        ("drop a b 0%", "is not a share"),
        ("drop a b 101%", "is not a share"),
        ("duplicate a b some", "is not a share"),
        ("freze a", "Did you mean 'freeze'?"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(line: str, words: str) -> None:
    result = CliRunner().invoke(app, ["fault", *line.split()])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_leads_with_an_example(verb: str) -> None:
    text = CliRunner().invoke(app, ["fault", verb, "--help"]).output.partition(f" {verb} ")[2]
    assert text.index(f"cicada fault {verb}") < text.index("Options")
