"""The command line without a swarm: help, wrong usage, configurations, run folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import BadParameter
from typer.testing import CliRunner, Result

from cicada.errors import CicadaError, ConfigError, DeliveryTimeout, Misuse, Unavailable
from launcher.cli import app
from launcher.exits import Exit, SwarmLost, exit_code
from launcher.runfolder import open_run_folder
from launcher.verbs.options import seconds

from .fake_launcher import info

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "swarm-20.toml"
CHAOS = ROOT / "configs" / "chaos-200.toml"
VERBS = (
    *("demo", "up", "check", "status", "peers", "down", "join", "lookup"),
    *(
        "send",
        "broadcast",
        "load",
        "logs",
        "kill",
        "stop",
        "restart",
        "add",
        "scale",
        "sim",
        "fault",
        "keys",
        "nat",
        "schema",
        "doctor",
        "metrics",
    ),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_names_every_verb_and_leads_with_an_example() -> None:
    text = run("--help").output
    assert all(f" {verb} " in text for verb in VERBS)
    assert text.index("cicada demo") < text.index("Options")


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_leads_with_an_example(verb: str) -> None:
    text = run(verb, "--help").output.partition(f" {verb} ")[2]  # after the line of its usage
    assert text.index(f"cicada {verb}") < text.index("Options")


def test_help_loads_neither_sockets_nor_peers_nor_the_checker_of_configurations() -> None:
    program = (
        "import sys\n"
        "from launcher.cli import app\n"
        "print([name for name in ('zmq', 'pydantic', 'pykka', 'cicada.aio', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_arguments_show_the_help() -> None:
    assert "cicada demo" in run().output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chek"], "Did you mean 'check'"),
        (["up"], "Missing argument"),
        (["up", CONFIG, "--wait", "soon"], "is not a time"),
        (["up", CONFIG, "--wait", "0"], "is not a time"),
        (["up", CONFIG, "-n", "core"], "write GROUP=COUNT"),
        (["up", CONFIG, "-n", "core=x"], "must be a whole number"),
        (["up", CONFIG, "--set", "seed"], "write KEY=VALUE"),
        (["up", CONFIG, "-n", "cor=3"], "did you mean 'core'?"),
        (["up", "nowhere.toml"], "nowhere.toml: no such file"),
        (["up", CONFIG, "--json"], "--json is for --dry-run"),
        (["doctor", "-n", "core=3"], "name it"),
        (["status", "--wait", "ready"], "not for 'ready'"),
        (["load", "--payload", "3"], "at least 52"),
        (["load", "--rate", "0"], "load.rate: must be more than 0"),
        (["load", "--count", "5", "--duration", "1s"], "not both"),
        (["crash", "core-1", "brain"], "'transport', 'ring', 'router', 'crypto'"),
        (["add", "core", "0"], "greater than or equal to 1"),
        (["broadcast", "x" * 40_000], "too large"),
        (["load", "--payload", str((16 << 20) + 1)], "too large"),
        (["send", "core-1", ""], "nothing to send"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(arguments: list[object], words: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


def test_check_says_what_a_right_configuration_starts() -> None:
    result = run("check", CONFIG, "-n", "core=3", "--set", "swarm.workers=2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "3 peers in 2 workers" in result.stdout
    assert "127.0.0.1:20000 to 127.0.0.1:20002" in result.stdout


def test_check_as_json_is_data() -> None:
    summary = json.loads(run("check", CONFIG, "--json").stdout)
    assert (summary["name"], summary["seed"], summary["peers"]) == ("swarm-20", 7, 20)
    assert summary["groups"][0]["last"] == "127.0.0.1:20019"


def test_a_dry_run_starts_nothing_and_shows_what_would_be_started(tmp_path: Path) -> None:
    result = run(
        "up", CONFIG, "-n", "core=3", "--set", "swarm.workers=2", "--dry-run", "--run", tmp_path / "run"
    )
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        *(str(CONFIG), "core:", "processes", "ports", "descriptors", "memory", "disk", "key"),
    ]
    assert "3 TCP: 127.0.0.1 20000 to 20002" in result.stdout
    assert f"cicada doctor {CONFIG}" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_as_json_is_data() -> None:
    plan = json.loads(run("up", CONFIG, "--set", "swarm.workers=4", "--dry-run", "--json").stdout)
    assert (plan["name"], plan["peers"], plan["workers"], plan["also"]) == ("swarm-20", 20, 4, {})
    assert plan["needs"]["processes"] == 7
    assert plan["needs"]["ports"] == [{"group": "core", "host": "127.0.0.1", "first": 20000, "last": 20019}]


def test_the_schema_is_printed_as_json() -> None:
    printed = json.loads(run("schema").stdout)
    assert printed["properties"]["group"]["items"] == {"$ref": "#/$defs/Group"}


def test_check_shows_the_timeline_and_its_schedule_which_the_seed_decides() -> None:
    text = run("check", CHAOS).stdout
    assert "at 30 s: kill core:10% for 30 s" in text
    assert "expected: ring_proven at the end within 90 s" in text
    listed = [run("check", CHAOS, "--schedule", "--set", f"swarm.seed={seed}").stdout for seed in (1, 1, 2)]
    assert listed[0] == listed[1] != listed[2]
    plan = json.loads(run("check", CHAOS, "--schedule", "--json").stdout)
    assert (plan["seed"], len(plan["expectations"])) == (7, 12)
    first = plan["occurrences"][0]
    assert (first["do"], first["due_s"], len(first["peers"])) == ("kill", 30.0, 15)


def test_check_reads_the_traces_that_a_timeline_names(tmp_path: Path) -> None:
    path = tmp_path / "traced.toml"
    entry = '[[fault]]\ndo = "churn"\nmodel = "trace"\nfile = "day.churn"\n'
    path.write_text(f"{CONFIG.read_text()}\n{entry}")
    for asked in (("check", path), ("up", path, "--dry-run")):
        result = run(*asked)
        assert (result.exit_code, "day.churn: no such file" in result.stderr) == (2, True)
    (tmp_path / "day.churn").write_text("1 core-0 D\n2 core-0 up\n")
    result = run("check", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path / 'day.churn'}:2:10: 'up': write U for up" in result.stderr


def test_check_shows_every_mistake_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(CONFIG.read_text().replace("count = 20", "count = 0").replace("seed", "sead"))
    result = run("check", path)
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, len(lines)) == (2, "", 2)
    assert lines[0].startswith(f"{path}:5:1: swarm.sead: unknown key: did you mean 'seed'?")
    assert lines[1].startswith(f"{path}:10:9: group[0].count: must be at least 1, got 0")


def test_a_run_folder_without_a_swarm_says_how_to_start_one(tmp_path: Path) -> None:
    result = run("status", "--run", tmp_path / "none")
    assert result.exit_code == 1
    assert "no swarm in" in result.stderr
    assert "cicada up" in result.stderr


@pytest.mark.parametrize("verb", ["status", "peers", "down", "join", "broadcast hi", "kill all", "load"])
def test_every_verb_refuses_a_swarm_that_has_ended(tmp_path: Path, verb: str) -> None:
    with open_run_folder("fake", tmp_path / "run") as folder:
        folder.write_info(info("/nowhere/launcher", ended="2026"))
    result = run(*verb.split(), "--run", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (1, "")
    again = f"start it again with `cicada up {tmp_path}/run/config.resolved.toml -d`"
    assert "has ended" in result.stderr
    assert again in result.stderr


def test_a_swarm_whose_launcher_died_is_lost(tmp_path: Path) -> None:
    with open_run_folder("fake", tmp_path / "run") as folder:
        folder.write_info(info("/nowhere/launcher"))
    result = run("status", "--run", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "is lost: its launcher (pid 12345) died" in result.stderr


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    result = run("--debug", "status", "--run", tmp_path / "none")
    assert isinstance(result.exception, Unavailable)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["schema"], ["check", str(CONFIG)], ["--help"]])
def test_a_standard_output_that_is_full_is_one_line_and_no_defect(
    arguments: list[str], unbuffered: str
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cicada", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    words = "what is printed cannot be written: no space left on device\n"
    assert (done.returncode, done.stderr) == (1, words)


def test_a_defect_is_one_line_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "cicada_defect.py").write_text(
        "import launcher.cli, launcher.verbs.up\nlauncher.verbs.up._load = None\nlauncher.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "cicada_defect.py"), "check", str(CONFIG)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("defect: TypeError")
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_standard_input_is_as_an_empty_one(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" <&-', sys.executable, "-m", "cicada", "peer", "--bind", "localhost:0"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), Exit.USAGE),
        (Misuse("x"), Exit.USAGE),
        (Unavailable("x"), Exit.FAILURE),
        (DeliveryTimeout("x"), Exit.FAILURE),
        (CicadaError("x"), Exit.FAILURE),
        (SwarmLost("x"), Exit.SWARM_LOST),
    ],
)
def test_exit_codes_say_who_is_to_blame(error: CicadaError, code: Exit) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("text", "value"),
    [("250ms", 0.25), ("60s", 60.0), ("1.5", 1.5), ("2m", 120.0), (" 1 h ", 3600.0), (3.0, 3.0)],
)
def test_times_are_read_with_their_unit(text: str | float, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["876001h", "9" * 20 + "h", "9" * 400])
def test_a_time_has_an_end(text: str) -> None:
    with pytest.raises(BadParameter, match="write at most 876000h"):
        seconds(text)


@given(st.text(alphabet="0123456789.-+e smhinfa", max_size=8))
def test_any_other_time_is_refused_or_above_zero(text: str) -> None:
    try:
        assert seconds(text) > 0
    except BadParameter:
        assert text.strip() not in ("1", "1s")
