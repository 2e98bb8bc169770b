"""cicada sim: every scenario of the repository runs, what is missed is said, and a seed gives the same JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from launcher.cli import app
from launcher.sim.simulate import Choice, chosen

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "sim"
NAMES = (
    "kill-30",
    "kill-50",
    "joins-500",
    "halves",
    "freeze",
    "calm",
    "churn",
    "paths",
    "growth",
    "hosts",
    "bad-relays-10",
    "bad-relays-20",
    "bad-relays-30",
    "bad-neighbours",
    "exactly-once",
)

IMPOSSIBLE = """\
[sim]
name = "impossible"
about = "nobody heals in a blink"
peers = 30
seeds = 3
duration = "40s"

[[fault]]
at = "5s"
do = "kill"
select = "30%"

[[expect]]
check = "ideal"
within = "1ms"

[[expect]]
check = "heads"
within = "30s"
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["sim", *(str(argument) for argument in arguments)])


def small(name: str) -> list[object]:
    """Arguments that make a scenario of the repository small enough for the suite."""
    shorter = {"churn": "10s", "paths": "8s", "growth": "20s", "exactly-once": "20s"}
    shorter |= dict.fromkeys((name for name in NAMES if name.startswith("bad-")), "6s")
    settings = ["--set", f"sim.duration={shorter[name]}"] if name in shorter else []
    if name == "churn":
        settings += ["--case", "0.1"]
    if name == "exactly-once":
        settings += ["--set", "load.messages=50"]
    return [FOLDER / f"{name}.toml", "--peers", 40, "--seed", 1, *settings]


def test_the_repository_has_these_scenarios_and_no_other() -> None:
    assert sorted(NAMES) == sorted(file.stem for file in FOLDER.glob("*.toml"))
    for name in NAMES:
        scenario = chosen(Choice(file=FOLDER / f"{name}.toml"))
        assert scenario.sim.name == name
        assert scenario.expects
        assert scenario.settles_from < scenario.sim.duration


@pytest.mark.parametrize("name", ["calm", "kill-30", "freeze", "halves", "exactly-once"])
def test_a_scenario_of_the_repository_holds_with_few_peers(name: str) -> None:
    result = run(*small(name))
    assert result.exit_code == 0, result.stdout
    assert "missed" not in result.stdout
    assert f"{name} 1 of " in result.stderr


def test_churn_with_few_peers_makes_too_few_lookups_and_says_so() -> None:
    result = run(*small("churn"))
    assert result.exit_code == 3
    assert "missed: lookups at 0.1" in result.stdout


def test_a_missed_expectation_says_what_was_seen_with_which_seed_and_how_to_replay_it(tmp_path: Path) -> None:
    file = tmp_path / "impossible.toml"
    file.write_text(IMPOSSIBLE)
    result = run(file)
    assert result.exit_code == 3
    lines = [line.strip() for line in result.stdout.splitlines()]
    missed = lines[lines.index("missed: ideal") :]
    assert missed[1] == "expected  within 0.001 s, in each of 3 runs"
    assert missed[2].startswith("seen      ")
    seed = missed[3].removeprefix("worst     seed ")
    assert missed[4] == f"replay    cicada sim {file} --seed {seed}"
    assert any(line.startswith("ok      heads") for line in lines)
    again = json.loads(run(*missed[4].split()[3:], "--json").stdout)
    assert again["ok"] is False
    assert [entry["check"] for entry in again["missed"]] == ["ideal"]
    assert again["missed"][0]["seed"] == int(seed)
    assert f"{again['report']['expectations'][0]['seen']:.3g} s" in missed[2]


def test_a_seed_gives_the_same_json_again_and_progress_stays_out_of_it() -> None:
    one, same = run(*small("kill-30"), "--json"), run(*small("kill-30"), "--json")
    assert one.stdout == same.stdout
    found = json.loads(one.stdout)
    assert (found["ok"], found["missed"], found["report"]["seeds"]) == (True, [], [1])
    assert "virtual s in" in one.stderr


def test_the_table_of_a_sweep_shows_what_its_source_found() -> None:
    text = run(*small("paths")).stdout
    header = next(line for line in text.splitlines() if line.startswith("PEERS"))
    assert header.split("  ")[1] == "1/2 LOG2 N"
    assert [line.split()[1] for line in text.splitlines() if line[:2].strip().isdigit()] == [
        "1.5",
        "2",
        "2.5",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.toml"], "nowhere.toml: no such file"),
        ([FOLDER / "kil-30.toml"], "did you mean"),
        ([FOLDER / "paths.toml", "--peers", 4], "no case of at most 4 peers"),
        ([FOLDER / "churn.toml", "--case", 3], "no case 3: there is 0.01"),
        ([FOLDER / "kill-30.toml", "--plot", "k.gif"], "a picture ends in .svg"),
        ([FOLDER / "kill-30.toml", "--plot", "nowhere/k.svg"], "there is no folder nowhere"),
        ([FOLDER / "kill-30.toml", "--set", "sim.peer=3"], "did you mean 'peers'?"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(arguments: list[object], words: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_every_mistake_of_a_file_is_told_with_its_position(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        IMPOSSIBLE.replace('"kill"', '"kil"').replace("within", "whithin").replace("30%", "thirty")
    )
    result = run(file)
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{file}:10:6: fault[0].do: expected one of")
    assert all(line.startswith(f"{file}:") for line in lines)
    assert len(lines) == 6


@pytest.mark.parametrize(
    "name", ["kill-30", *(pytest.param(name, marks=pytest.mark.prove) for name in ("paths", "churn"))]
)
def test_a_picture_is_drawn_and_is_the_same_again(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for file in files:
        run(*small(name), "--plot", file)
    one, two = (file.read_text() for file in files)
    assert one == two
    assert "<svg" in one
    assert {"kill-30": "first successor", "paths": "hops", "churn": "lookups that failed"}[name] in one


def test_without_matplotlib_a_picture_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(*small("kill-30"), "--plot", "k.svg")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "pip install 'cicada-swarm[load]'" in result.stderr
    assert "virtual s" not in result.stderr


# What .ci/run has time for. 100 lookups a second make 100,000 in a fifth of the time.
SAMPLE: dict[str, list[object]] = {
    "kill-50": ["--set", "sim.seeds=3"],
    "halves": ["--peers", 300, "--seed", 1],
    "churn": ["--case", 0.1, "--set", "load.lookups=100", "--set", "sim.duration=1020s"],
    "paths": ["--peers", 1024],
    "growth": ["--peers", 256],
    "bad-neighbours": ["--peers", 500, "--seed", 1],
    "exactly-once": ["--set", "sim.duration=71s", "--set", "load.until=61s", "--set", "load.messages=400"],
}
SHORT_LOAD = ("--set", "sim.duration=31s", "--set", "load.until=21s", "--set", "delivery.beside=nothing")
for bad in ("bad-relays-10", "bad-relays-20"):
    SAMPLE[bad] = ["--peers", 300, *SHORT_LOAD]
SAMPLE["bad-relays-30"] = [*SHORT_LOAD]


@pytest.mark.prove
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_holds_in_full(name: str) -> None:
    is_sample = os.environ.get("CICADA_SCENARIOS") == "sample"
    arguments = SAMPLE.get(name, ["--seed", 1]) if is_sample else []
    result = run(FOLDER / f"{name}.toml", *arguments)
    assert result.exit_code == 0, result.stdout
