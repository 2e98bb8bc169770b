"""``cicada status --watch`` on a terminal and elsewhere, until Ctrl-C or the end of the swarm."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cicada.commands import AnyCommand, AnyReply, GetStatus
from launcher.cli import app

from .fake_launcher import FakeLauncher, fake_launcher
from .terminal import CTRL_C, ROOT, terminal
from .test_cli_verbs import change
from .test_overview import NOW


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[FakeLauncher]:
    """Its status has another uptime each time."""
    looks = iter(range(10**6))

    def answer(_: AnyCommand) -> AnyReply:
        status: AnyReply = change(NOW, uptime_s=60.0 + next(looks))
        return status

    with fake_launcher(tmp_path / "run", answer) as launcher:
        yield launcher


def test_on_a_terminal_it_draws_over_the_last_look_until_ctrl_c(swarm: FakeLauncher, tmp_path: Path) -> None:
    with terminal(
        "status", "--watch", "--interval", "250ms", "--run", swarm.folder, folder=tmp_path
    ) as shown:
        began = time.monotonic()
        shown.wait_for("up 1 min", times=4)
        looked = len(swarm.asked)
        assert looked <= 4 * (time.monotonic() - began) + 1
        shown.press(CTRL_C)
        assert shown.ended() == 130
    assert "\x1b[1A" in shown.shown, "the cursor goes up to draw over the last look"
    assert "core      20      17        1        1     1" in shown.shown
    assert "Traceback" not in shown.shown
    assert set(swarm.asked) == {GetStatus(fresh=False)}


def test_elsewhere_each_look_is_a_line_and_the_end_of_the_swarm_is_exit_code_4(
    swarm: FakeLauncher, tmp_path: Path
) -> None:
    watching = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cicada",
            "status",
            "--watch",
            "--interval",
            "250ms",
            "--run",
            str(swarm.folder),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    lines = [watching.stdout.readline() for _ in range(2)]
    swarm.stop()
    swarm.end_run()
    out, err = watching.communicate(timeout=20)
    assert watching.returncode == 4
    assert all("27 of 30 joined" in line and "\x1b" not in line for line in [*lines, *out.splitlines()])
    assert err == (
        f"the swarm fake in {swarm.folder} is lost: its launcher (pid 12345) died; "
        "nothing of it runs, and what it recorded is in its folder; "
        f"start it again with `cicada up {swarm.folder}/config.resolved.toml -d`\n"
    )


def test_as_json_each_look_is_a_line_of_data(swarm: FakeLauncher) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "cicada", "status", "-w", "--json", "--run", str(swarm.folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=20)
    assert (watching.returncode, err) == (130, "")
    assert [look["uptime_s"] for look in looks] == [60.0, 61.0]
    assert looks[0]["groups"][1]["suspect"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--interval", "100ms"], "at least 250ms"), (["--wait", "proven"], "exclude each other")],
)
def test_what_cannot_be_watched_is_wrong_usage(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["status", "--watch", *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())
