"""The tools themselves, run as a user runs them: interrupted once and twice, killed, without room on the disk, without a port."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cicada.bus.recording import read_recording
from cicada.events import PeerStarted, WorkerExited
from launcher.runfolder import is_running, read_info

from .swarms import config, free_ports, running, still_running
from .terminal import CTRL_C, terminal

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
GONE_WITHIN = 5.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def swarm_file(tmp_path: Path) -> Path:
    path = tmp_path / "swarm.toml"
    path.write_text(
        f'[swarm]\nname = "s"\nworkers = 2\n[[group]]\nname = "core"\ncount = 4\naddress = "127.0.0.1:{free_ports(4)}"\n'
    )
    return path


def cicada(folder: Path, *arguments: object, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command, where no file may grow beyond ``limit`` bytes."""

    def before() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "cicada", *map(str, arguments)],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=before,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@contextmanager
def nothing_is_left(pid: int, run: Path) -> Iterator[None]:
    """Whatever the launcher ``pid`` started is gone within seconds: processes, sockets, the lock of its run folder."""
    launcher = psutil.Process(pid)
    processes = [launcher, *launcher.children(recursive=True)]
    info = read_info(run)
    assert info is not None
    assert len(processes) == 5  # launcher, fork server, resource tracker, two workers
    yield
    assert not still_running(processes, GONE_WITHIN)
    assert not Path(info.control).parent.exists()
    assert not is_running(run)


def test_ctrl_c_ends_a_swarm_gracefully_with_130_and_leaves_nothing(swarm_file: Path, tmp_path: Path) -> None:
    with terminal("up", swarm_file, "--run", "run", folder=tmp_path) as shown:
        shown.wait_for("ring proven")
        shown.wait_for("running in")
        with nothing_is_left(shown.process.pid, tmp_path / "run"):
            shown.press(CTRL_C)
            assert shown.ended() == 130
    assert "ending the swarm; Ctrl-C again ends it at once" in shown.shown
    assert "Traceback" not in shown.shown
    assert exits(tmp_path / "run") == ["exit 0", "exit 0"]
    after = cicada(tmp_path, "status", "--run", "run")
    assert (after.returncode, after.stdout) == (1, "")
    assert "has ended" in after.stderr


@pytest.mark.prove
def test_ctrl_c_twice_does_not_wait_for_workers_that_do_not_end(swarm_file: Path, tmp_path: Path) -> None:
    with terminal("up", swarm_file, "--run", "run", folder=tmp_path) as shown:
        shown.wait_for("running in")
        launcher = psutil.Process(shown.process.pid)
        workers = [child for child in launcher.children(recursive=True) if child.num_threads() > 1]
        assert len(workers) == 2
        with nothing_is_left(shown.process.pid, tmp_path / "run"):
            shown.press(CTRL_C)
            began = time.monotonic()
            while "Ctrl-C again" not in shown.shown or time.monotonic() < began + 0.3:
                for (
                    worker
                ) in workers:  # the launcher lets stopped ones go on, once; they must not get to their end
                    worker.suspend()
                shown.look()
            shown.press(CTRL_C)
            assert shown.ended() == 130
    assert exits(tmp_path / "run") == ["SIGKILL", "SIGKILL"]


@pytest.mark.prove
def test_ctrl_c_while_a_detached_swarm_rises_ends_it_too(swarm_file: Path, tmp_path: Path) -> None:
    several = ["-n", "core=20", "--set", f"group.core.address=127.0.0.1:{free_ports(20)}"]
    with terminal(
        "up", swarm_file, *several, "-d", "--wait", "30s", "--run", "run", folder=tmp_path
    ) as shown:
        wait_until(lambda: read_info(tmp_path / "run") is not None)
        shown.press(CTRL_C)
        assert shown.ended() == 130
    assert not is_running(tmp_path / "run")
    info = read_info(tmp_path / "run")
    assert info is not None
    assert info.ended
    if psutil.pid_exists(info.launcher_pid):
        assert not still_running([psutil.Process(info.launcher_pid)], GONE_WITHIN)


def test_a_launcher_that_was_killed_leaves_nothing_and_status_says_what_remains(tmp_path: Path) -> None:
    with running(config(4, first_port=free_ports(4)), tmp_path / "run") as swarm:
        events = swarm.folder / "events.jsonl"
        wait_until(lambda: any(isinstance(found.event, PeerStarted) for found in read_recording(events)))
        with nothing_is_left(swarm.launcher.pid, swarm.folder):
            swarm.launcher.kill()
        after = cicada(tmp_path, "status", "--run", "run")
    assert (after.returncode, after.stdout) == (4, "")
    assert after.stderr == (
        f"the swarm test in run is lost: its launcher (pid {swarm.launcher.pid}) died; nothing of it runs, and what it "
        "recorded is in its folder; start it again with `cicada up run/config.resolved.toml -d`\n"
    )
    assert any(isinstance(found.event, PeerStarted) for found in read_recording(events))


@pytest.mark.parametrize("detached", [(), ("-d",)])
def test_no_room_for_a_run_folder_is_one_message_and_exit_code_1(
    swarm_file: Path, tmp_path: Path, detached: tuple[str, ...]
) -> None:
    done = cicada(tmp_path, "up", swarm_file, "--run", "run", *detached, limit=128)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == [
        f"cannot write {tmp_path}/run/config.resolved.toml: file too large; make room, or name another folder with --run"
    ]
    assert not is_running(tmp_path / "run")


def test_no_room_for_temporary_files_is_one_message_too(swarm_file: Path, tmp_path: Path) -> None:
    done = cicada(tmp_path, "up", swarm_file, "--run", "run", limit=0)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 2), done.stderr
    assert "No usable temporary directory" in done.stderr


@pytest.mark.prove
def test_a_disk_that_fills_up_ends_the_recording_and_the_swarm_says_so_at_its_end(
    swarm_file: Path, tmp_path: Path
) -> None:
    limit = 2048  # bytes of one file: room for the configuration, not for the events
    with subprocess.Popen(
        [sys.executable, "-m", "cicada", "up", str(swarm_file), "--run", "run"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    ) as launcher:
        assert launcher.stderr is not None
        said = ""
        while "running in" not in said or "no longer recorded" not in said:
            line = launcher.stderr.readline()
            assert line, said
            said += line
        shown = cicada(tmp_path, "status", "--run", "run")
        launcher.send_signal(signal.SIGINT)
        assert launcher.wait(PATIENCE) == 1
        last = launcher.stderr.read().splitlines()[-1]
    assert shown.returncode == 0
    assert "events are missing from" in shown.stdout
    assert last.startswith("the swarm has ended; ")
    assert last.endswith(f"events are missing from {tmp_path}/run/events.jsonl: file too large")
    info = read_info(tmp_path / "run")
    assert info is not None
    assert info.ended
    list(read_recording(tmp_path / "run" / "events.jsonl"))  # what is there can be read


def test_a_folder_that_cannot_be_made_is_one_message_and_exit_code_1(
    swarm_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = cicada(tmp_path, "up", swarm_file, "--run", "file/run")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == [
        "cannot make the run folder file/run: not a directory; make room, or name another folder with --run"
    ]


def test_a_port_that_is_taken_is_one_message_and_exit_code_1(swarm_file: Path, tmp_path: Path) -> None:
    port = int(swarm_file.read_text().rpartition(":")[2].strip().strip('"')) + 1
    with socket.create_server(("127.0.0.1", port)):
        done = cicada(tmp_path, "up", swarm_file, "--run", "run")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{port} (core-1): in use by " in done.stderr
    assert done.stderr.count("cannot be listened at") == 1
    assert not (tmp_path / "run").exists()


def exits(run: Path) -> list[str]:
    return [
        envelope.event.exit
        for envelope in read_recording(run / "events.jsonl")
        if isinstance(envelope.event, WorkerExited)
    ]
