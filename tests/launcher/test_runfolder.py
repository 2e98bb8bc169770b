"""Run folders and ports: what is checked before a swarm starts."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicada.config import parse_config
from cicada.errors import Misuse, Unavailable
from cicada.ids import canonical_address
from cicada.limits import LAUNCHER
from launcher.plan import PlannedPeer
from launcher.ports import (
    IN_USE,
    NOT_HERE,
    REFUSED,
    advice_on,
    endpoints_of,
    port_problems,
    require_free,
)
from launcher.runfolder import (
    ControlFolder,
    RunInfo,
    is_running,
    open_run_folder,
    read_info,
    running_swarms,
)


def info(pid: int = 1) -> RunInfo:
    return RunInfo(
        run="run",
        name="test",
        control="/somewhere/launcher",
        events="ipc:///somewhere/bus-out",
        launcher_pid=pid,
        started="2026-01-01T00:00:00",
        version="0",
        git="",
        python="3",
        host="here",
        seed=7,
        argv=("cicada", "up"),
    )


def test_a_new_run_folder_is_private_and_latest_points_at_it(tmp_path: Path) -> None:
    with open_run_folder("core", runs=tmp_path / "runs") as folder:
        assert folder.path.name.startswith("core-")
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert (tmp_path / "runs" / "latest").resolve() == folder.path


def test_latest_moves_on_to_the_newest_run(tmp_path: Path) -> None:
    with open_run_folder("core", runs=tmp_path) as first, open_run_folder("core", runs=tmp_path) as second:
        assert first.path != second.path
        assert (tmp_path / "latest").resolve() == second.path


def test_a_real_file_called_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").write_text("mine")
    with open_run_folder("core", runs=tmp_path):
        assert (tmp_path / "latest").read_text() == "mine"


def test_a_folder_in_use_is_refused_until_its_run_ends(tmp_path: Path) -> None:
    chosen = tmp_path / "run"
    with open_run_folder("core", chosen):
        assert is_running(chosen)
        with pytest.raises(Misuse, match=f"already running in {chosen}"):
            open_run_folder("core", chosen)
    assert not is_running(chosen)
    open_run_folder("core", chosen).close()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"run": "\xff\xfe"}', b'{"other": ' + b"[" * 100_000, b"\x00" * 64],
    ids=["empty", "a list", "no fields", "no UTF-8", "nested", "zeros"],
)
def test_a_run_file_that_is_not_ours_says_nothing(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_bytes(content)
    assert read_info(folder) is None
    assert running_swarms(tmp_path) == {}


def test_all_records_of_an_earlier_run_are_kept_under_other_names(tmp_path: Path) -> None:
    with open_run_folder("core", tmp_path / "run") as first:
        first.events.write_text("old\n")
        first.write_config("# old\n")
        first.write_info(info())
        told = (first.path / "run.json").read_text()
    with open_run_folder("core", tmp_path / "run") as second:
        assert not second.events.exists()
        assert read_info(second.path) is None
        second.write_config("# new\n")
        (events,) = second.path.glob("events.before-*.jsonl")
        (config,) = second.path.glob("config.resolved.before-*.toml")
        (run,) = second.path.glob("run.before-*.json")
        assert events.read_text() == "old\n"
        assert config.read_text() == "# old\n"
        assert run.read_text() == told


def test_a_folder_of_somebody_elses_files_is_refused_and_nothing_in_it_is_touched(tmp_path: Path) -> None:
    mine = tmp_path / "project"
    (mine / "logs").mkdir(parents=True)
    (mine / "run.json").write_text("mine")
    with pytest.raises(Misuse, match=f"{mine} is not a run folder: it has logs; name an empty"):
        open_run_folder("core", mine)
    assert sorted(path.name for path in mine.iterdir()) == ["logs", "run.json"]
    assert (mine / "run.json").read_text() == "mine"
    assert not (tmp_path / "latest").is_symlink()


def test_a_lock_file_that_is_not_cicadas_makes_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("process 17")
    with pytest.raises(Misuse, match="not a run folder"):
        open_run_folder("core", tmp_path)


def test_an_empty_folder_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with open_run_folder("core", tmp_path / "run") as folder:
        assert folder.logs.is_dir()


def test_a_folder_that_was_locked_and_no_more_may_be_named_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.lock").touch()
    open_run_folder("core", tmp_path / "run").close()


def test_a_link_called_latest_that_leads_to_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "release-7").mkdir()
    (tmp_path / "latest").symlink_to("release-7")
    open_run_folder("core", tmp_path / "run").close()
    assert (tmp_path / "latest").readlink() == Path("release-7")


def test_latest_moves_on_from_a_run_that_was_removed(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("removed")
    open_run_folder("core", tmp_path / "run").close()
    assert (tmp_path / "latest").readlink() == Path("run")


def test_an_earlier_runs_report_is_not_taken_for_that_of_this_run(tmp_path: Path) -> None:
    with open_run_folder("core", tmp_path / "run") as first:
        (first.path / "report").mkdir()
    with open_run_folder("core", tmp_path / "run") as second:
        assert [path.name.partition("-")[0] for path in second.path.glob("report*")] == ["report.before"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot make the run folder"):
        open_run_folder("core", tmp_path / "file" / "run")


def test_run_info_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    with open_run_folder("core", tmp_path / "run") as folder:
        folder.write_info(info())
        assert read_info(folder.path) == info()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1, 2"])
def test_a_damaged_run_file_reads_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    assert read_info(tmp_path) is None


def test_only_locked_folders_count_as_running_swarms(tmp_path: Path) -> None:
    open_run_folder("core", tmp_path / "dead").close()
    with open_run_folder("core", tmp_path / "live") as live:
        live.write_info(info(pid=4321))
        assert running_swarms(tmp_path) == {4321: str(live.path)}


def test_a_control_folder_is_private_short_enough_for_sockets_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = ControlFolder()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert len(folder.socket("worker-255-of-many").encode()) < 107
    folder.close()
    folder.close()
    assert not folder.path.exists()


def planned(port: int, number: int = 0) -> PlannedPeer:
    return PlannedPeer(
        name=f"core-{number}",
        group="core",
        number=number,
        address=canonical_address("127.0.0.1", port),
        worker="worker-0",
    )


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        yield taken


def test_a_port_in_use_is_named_with_its_peer_and_its_process(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    (problem,) = port_problems([planned(port)])
    assert (problem.peer, problem.address, problem.reason) == ("core-0", f"127.0.0.1:{port}", "in use")
    assert problem.pid == os.getpid()


def test_all_ports_in_use_are_reported_at_once_and_long_lists_are_cut(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    peers = [planned(port, number) for number in range(LAUNCHER.port_problems + 5)]
    with pytest.raises(Unavailable) as refused:
        require_free(peers, {})
    text = str(refused.value)
    assert text.startswith(f"{len(peers)} of the swarm's addresses")
    assert "... and 5 more" in text
    assert "change [[group]] address" in text


def test_a_port_of_a_running_swarm_names_its_run_folder(listener: socket.socket) -> None:
    with pytest.raises(Unavailable, match="cicada down --run /runs/other"):
        require_free([planned(listener.getsockname()[1])], {os.getpid(): "/runs/other"})


def test_free_ports_are_no_problem(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert port_problems([planned(port)]) == []


def test_an_address_of_another_machine_cannot_be_listened_at_and_its_advice_ends_nothing() -> None:
    stranger = PlannedPeer(
        name="core-0",
        group="core",
        number=0,
        address=canonical_address("192.0.2.1", 20000),
        worker="worker-0",
    )
    (problem,) = port_problems([stranger])
    assert problem.reason == NOT_HERE
    with pytest.raises(Unavailable) as refused:
        require_free([stranger], {})
    assert str(refused.value).endswith("\nchange [[group]] address to an address of this machine")


def test_the_endpoints_of_metrics_and_of_watchers_are_tried_before_the_start(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    text = f"""
        [swarm]
        name = "s"
        [[group]]
        name = "core"
        count = 1
        address = "127.0.0.1:1"
        [metrics]
        listen = "127.0.0.2:{port}"
        [watch]
        listen = "127.0.0.1:{port - 1}"
        key_file = "k"
    """
    endpoints = endpoints_of(parse_config(text))
    assert [(one.name, one.address) for one in endpoints] == [
        ("[metrics]", f"127.0.0.2:{port}"),
        ("[watch]", f"127.0.0.1:{port - 1}"),
        ("[watch]", f"127.0.0.1:{port}"),
    ]
    with pytest.raises(Unavailable) as refused:
        require_free(endpoints[2:], {})
    assert f"127.0.0.1:{port} ([watch]): in use" in str(refused.value)
    assert "change [watch] listen" in str(refused.value)


@pytest.mark.parametrize(
    ("reason", "names", "advice"),
    [
        (IN_USE, ["core-1"], "end what listens there (`cicada down`?), or change [[group]] address"),
        (NOT_HERE, ["[watch]", "core-1"], "change [[group]] address and [watch] listen to an address of this machine"),
        (REFUSED, ["[metrics]"], "change [metrics] listen to a port from 1024 on, which anybody may use"),
        ("too many open files", ["core-1"], "change [[group]] address"),
    ],
)  # fmt: skip
def test_each_reason_has_its_own_advice(reason: str, names: list[str], advice: str) -> None:
    assert advice_on({reason}, names) == advice
