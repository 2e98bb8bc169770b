"""``cicada watch`` and ``cicada demo --watch``: what is shown where, and what is said when it cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cicada.commands import Done
from cicada.keys.keytext import swarm_key_text
from cicada.keys.store import create_secret
from launcher.cli import app
from launcher.runfolder import is_running, running_swarms
from launcher.watching import subject_of
from visualizer.entry import Live

from .fake_launcher import fake_launcher
from .swarms import RunningSwarm, config, free_ports, running
from .terminal import CTRL_C, ROOT, terminal

PATIENCE = 40.0


def run(*words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = CliRunner().invoke(app, ["watch", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def without_a_display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    """Four peers, for the tests that come before those of a run that has ended."""
    with running(config(4, first_port=free_ports(4)), tmp_path_factory.mktemp("watched") / "run") as swarm:
        swarm.wait_for(lambda status: status.ring_proven)
        yield swarm


@pytest.fixture
def ended(swarm: RunningSwarm) -> Path:
    """The folder of a run that has ended."""
    swarm.end()
    return swarm.folder


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", "3x3"], "--size '3x3': write WIDTHxHEIGHT"),
        (["--size", "wide"], "--size 'wide': write WIDTHxHEIGHT"),
        (["run", "--peers", "3"], "RUN and --peers exclude each other"),
        (["--replay", "a", "--peers", "3"], "--peers and --replay exclude each other"),
        (["--shot", "last", "a.png", "--record", "a.gif"], "--shot and --record exclude each other"),
        (["tcp://127.0.0.1:1", "--shot", "last", "a.png"], "made of recordings"),
        (["tcp://127.0.0.1"], "is no address of a bus"),
        (["http://127.0.0.1:80"], "is no address of a bus"),
        (["tcp://127.0.0.1:65535"], "is no address of a bus"),
        (["tcp://127.0.0.1:0"], "is no address of a bus"),
        (["tcp://127.0.0.1:\u0661\u0662"], "is not an address"),
        (["tcp://127.0.0.1:5556"], "name the file of [watch] key_file with --watch-key"),
        (["--keys", "nothing.toml"], "nothing.toml cannot be read"),
        (["tcp://127.0.0.1:5556", "--watch-key", "no.key"], "no.key: no such file"),
        (["run", "--run", "other"], "RUN and --run exclude each other"),
        (["--run", "run", "--peers", "3"], "RUN and --peers exclude each other"),
        (["--peers", "0"], "--peers"),
        (["--speed", "99"], "--speed"),
    ],
)
def test_what_cannot_be_meant_is_one_message_and_exit_code_2(words: list[str], says: str) -> None:
    code, _, text = run(*words)
    assert code == 2
    assert says in text


def test_keys_that_cannot_be_are_told_with_their_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    for content, says in (
        ("kil = 'k'", "did you mean 'kill'?"),
        ("kill = ", "keys.toml: "),
        ("add = 'q'", "two things"),
    ):
        file.write_text(content)
        code, _, text = run("--keys", file)
        assert code == 2
        assert says in text


@pytest.mark.parametrize(
    "words",
    [[], ["nowhere"], ["--run", "nowhere"], ["--replay", "nowhere"], ["nowhere", "--shot", "last", "a.png"]],
)
def test_where_there_is_no_run_it_says_how_to_come_by_one(words: list[str]) -> None:
    code, _, text = run(*words)
    assert code == 1
    assert "cicada watch --peers 12" in text


def test_without_the_extra_it_is_one_sentence_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "pygame", None)
    with fake_launcher(tmp_path / "run", lambda _: Done()) as launcher:
        for words in ([launcher.folder], [launcher.folder, "--shot", "last", "a.png"], ["--peers", 3]):
            code, _, text = run(*words)
            assert code == 1
            assert text.splitlines()[-1] == (
                "the window needs pygame-ce: pip install 'cicada-swarm[viz]' (without it there is --text)"
            )
    assert not (tmp_path / "runs").exists(), "nothing was started"


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), pytest.param(CTRL_C, 130, marks=pytest.mark.prove)])
def test_on_a_terminal_it_draws_over_the_last_look_until_q_or_ctrl_c(
    swarm: RunningSwarm, tmp_path: Path, key: bytes, code: int
) -> None:
    with terminal("watch", "--text", swarm.folder, folder=tmp_path) as shown:
        shown.wait_for("4 member", times=2)
        assert "100.0% right" in shown.shown
        shown.press(key)
        assert shown.ended() == code
    assert "Traceback" not in shown.shown
    assert "pygame" not in shown.shown
    assert is_running(swarm.folder), "the swarm lives on"


def test_pictures_and_films_of_a_run_that_has_ended(ended: Path, tmp_path: Path) -> None:
    code, shown, text = run("--replay", ended, "--shot", "t=1s", "a.png", "--size", "640x360", "--light")
    assert (code, shown) == (0, "a.png\n"), text
    code, shown, text = run(ended, "--record", "a.gif", "--from", "50%", "--speed", 16, "--size", "320x320")
    assert (code, shown) == (0, "a.gif\n"), text
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.gif"}
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    code, _, text = run(ended, "--shot", "t=1h", "b.png")
    assert code == 0
    assert "its last instant is shown" in text
    for words in (("soon", "c.png"), ("last", "c.txt")):
        code, _, text = run(ended, "--shot", *words)
        assert code == 2
        assert "Traceback" not in text


def test_a_run_that_has_ended_is_replayed_as_text_where_there_is_no_display(ended: Path) -> None:
    code, shown, text = run(ended, "--speed", 16)
    assert code == 0
    assert text == "no display: showing text\n"
    assert "4 left" in shown.splitlines()[-1]


def test_a_display_that_cannot_be_used_is_none(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    code, shown, text = run(ended, "--speed", 16)
    assert code == 0
    assert text.startswith("no window can be opened: ")
    assert text.endswith(": showing text\n")
    assert "4 left" in shown.splitlines()[-1]


@pytest.mark.parametrize("host", ["10.0.0.7", "swarm.example", "[::1]"])
def test_an_address_is_that_of_the_events_with_the_snapshots_next_to_it(host: str, tmp_path: Path) -> None:
    key = tmp_path / "watch.key"
    create_secret(key, swarm_key_text(bytes(range(32))))
    found = subject_of(f"tcp://{host}:5556", read_only=False, watch_key=key)
    assert isinstance(found, Live)
    assert found._replace(keys=None) == Live(f"tcp://{host}:5556", f"tcp://{host}:5556", f"tcp://{host}:5557")
    assert repr(found.keys) == "WatchKeys()"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``cicada watch --peers 3``, which shows lines."""
    watching = subprocess.Popen(
        [sys.executable, "-u", "-m", "cicada", "watch", "--peers", "3"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield watching
    finally:
        watching.kill()
        watching.communicate(timeout=PATIENCE)


def until_three(watching: subprocess.Popen[str]) -> None:
    assert watching.stdout is not None
    if not any("3 member" in line for line in watching.stdout):
        pytest.fail(f"it ended first: {watching.communicate(timeout=PATIENCE)[1]}")


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.prove)])
def test_a_swarm_of_its_own_ends_with_it_however_that_comes(
    own: subprocess.Popen[str], tmp_path: Path, how: signal.Signals
) -> None:
    until_three(own)
    assert len(running_swarms(tmp_path / "runs")) == 1
    own.send_signal(how)
    _, text = own.communicate(timeout=PATIENCE)
    give_up = time.monotonic() + PATIENCE
    while running_swarms(tmp_path / "runs"):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    if how is signal.SIGINT:
        assert own.returncode == 130
        assert "the swarm has ended; its record is in" in text


def until_caught(pid: int, number: signal.Signals) -> None:
    """Wait until the process does something of its own when it gets the signal."""
    give_up = time.monotonic() + PATIENCE
    while True:
        text = Path(f"/proc/{pid}/status").read_text()
        caught = int(next(line.split()[1] for line in text.splitlines() if line.startswith("SigCgt")), 16)
        if caught >> (number - 1) & 1:
            return
        assert time.monotonic() < give_up, f"{number!r} is not caught"
        time.sleep(0.05)


@pytest.mark.prove
def test_the_demo_is_shown_in_a_window_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "cicada", "demo", "--watch"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert demo.stdout is not None
        shown = ""
        for line in demo.stdout:
            shown += line
            if "the tour is over" in line:
                break
        until_caught(demo.pid, signal.SIGTERM)  # which SDL makes the end of the window of, once there is one
        demo.send_signal(signal.SIGTERM)
        rest, _ = demo.communicate(timeout=PATIENCE)
        assert demo.returncode == 0, shown + rest
        assert "ring proven again" in shown
        assert "nothing of it is running" in rest
        assert not running_swarms(tmp_path / "runs")
    finally:
        demo.kill()
        demo.communicate(timeout=PATIENCE)
