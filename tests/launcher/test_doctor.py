"""What the doctor says about machines that were made up, about this one, and about configurations on it."""

from __future__ import annotations

import json
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cicada.config import Config, parse_config, to_toml
from launcher.cli import app
from launcher.doctor.judgement import EXTRAS, Finding, Level, Machine, Taken, examine
from launcher.doctor.machine import measure
from launcher.needs import Needs, needs_of
from launcher.plan import plan_swarm
from launcher.ports import NOT_HERE

from .swarms import config, free_ports

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
FIT = Machine(
    system="Linux 6, Python 3.11",
    cores=2,
    memory_bytes=4096 * MIB,
    free_memory_bytes=2048 * MIB,
    descriptors=1024,
    most_descriptors=4096,
    ephemeral=(32768, 60999),
    taken=(),
    display="DISPLAY=:0",
    missing=dict.fromkeys(EXTRAS, ()),
    runs="runs",
    runs_problem="",
    free_disk_bytes=4096 * MIB,
    sockets_problem="",
    wall_clock=1_790_000_000.0,
    resolution=1e-9,
    start_methods=("fork", "spawn", "forkserver"),
)
SWARM = config(200, first_port=21000)
MEASURED = parse_config(
    to_toml(SWARM),
    overrides=[
        ("metrics.listen", "127.0.0.1:9610"),
        ("load.rate", "10"),
        ("load.duration", "5s"),
    ],
)


def needs(made: Config = SWARM, cores: int = 2) -> Needs:
    return needs_of(made, plan_swarm(made, cores))


def machine(**fields: object) -> Machine:
    return msgspec.structs.replace(FIT, **fields)


def finding(about: str, seen: Machine, wanted: Needs | None) -> Finding:
    """What was found, the worst of it when there is more."""
    order = list(Level)
    return max((f for f in examine(seen, wanted) if f.about == about), key=lambda f: order.index(f.level))


@pytest.mark.parametrize("wanted", [None, needs()])
def test_a_machine_that_is_fit_has_nothing_to_change(wanted: Needs | None) -> None:
    assert {found.level for found in examine(FIT, wanted)} == {Level.OK}


@pytest.mark.parametrize(
    ("about", "fields", "wanted", "level", "words"),
    [
        ("processes", {"start_methods": ("spawn",)}, None, Level.FAIL, "WSL"),
        ("descriptors", {"most_descriptors": 300}, needs(), Level.FAIL, "peers_per_worker = 86"),
        ("descriptors", {"most_descriptors": 300}, None, Level.WARN, "ulimit -Hn 528"),
        ("descriptors", {"most_descriptors": None}, needs(), Level.OK, ""),
        ("descriptors", {"descriptors": 64}, needs(), Level.OK, ""),  # a worker raises it itself
        (
            "ports",
            {"taken": (Taken(address="127.0.0.1:21005", peer="core-5", reason="in use"),)},
            needs(),
            Level.FAIL,
            "change [[group]] address",
        ),
        (
            "ports",
            {"taken": (Taken(address="10.9.9.9:1", peer="[watch]", reason=NOT_HERE),)},
            needs(),
            Level.FAIL,
            "change [watch] listen to an address of this machine",
        ),
        ("ports", {"ephemeral": (21100, 60999)}, needs(), Level.WARN, "below 21100"),
        ("ports", {"ephemeral": None}, needs(), Level.OK, ""),
        ("memory", {"free_memory_bytes": 100 * MIB}, needs(), Level.FAIL, "fewer peers"),
        ("memory", {"free_memory_bytes": 200 * MIB}, needs(), Level.WARN, "fewer peers"),
        ("memory", {"free_memory_bytes": 0}, None, Level.WARN, "other programs"),
        ("cores", {"cores": 1}, needs(config(501, first_port=21000)), Level.WARN, "at most 500 peers"),
        ("cores", {"cores": 1}, needs(cores=8), Level.OK, ""),
        ("run folder", {"runs_problem": "Read-only file system"}, None, Level.FAIL, "--run"),
        ("disk", {"free_disk_bytes": MIB}, None, Level.FAIL, "--run"),
        ("disk", {"free_disk_bytes": 100 * MIB}, needs(), Level.WARN, "old folders"),
        ("disk", {"free_disk_bytes": 100 * MIB}, None, Level.OK, ""),
        ("sockets", {"sockets_problem": "/tmp: Permission denied"}, None, Level.FAIL, "TMPDIR"),
        ("clock", {"wall_clock": 0.0}, None, Level.FAIL, "set it"),
        ("clock", {"resolution": 0.016}, None, Level.WARN, "clock source"),
        ("display", {"display": ""}, None, Level.WARN, "DISPLAY"),
        ("extra metrics", {"missing": {"metrics": ("prometheus_client",)}}, needs(), Level.WARN, "pip install"),
        ("extra metrics", {"missing": {"metrics": ("prometheus_client",)}}, needs(MEASURED), Level.FAIL, "pip install"),
        ("extra load", {"missing": {"load": ("hdrh", "matplotlib")}}, needs(MEASURED), Level.FAIL, "pip install"),
        ("extra load", {"missing": {"load": ("matplotlib",)}}, needs(MEASURED), Level.WARN, "pip install"),
        ("extra metrics", {"missing": {"metrics": ("x",)}}, None, Level.WARN, "pip install 'cicada-swarm[metrics]'"),
    ],
)  # fmt: skip
def test_what_is_not_fit_is_said_with_what_to_change(
    about: str, fields: dict[str, object], wanted: Needs | None, level: Level, words: str
) -> None:
    found = finding(about, machine(**fields), wanted)
    assert found.level is level
    assert words in found.advice


def test_more_workers_than_cores_are_a_waste() -> None:
    made = config(40, first_port=21000)
    many = made.model_copy(update={"swarm": made.swarm.model_copy(update={"workers": 9})})
    assert finding("cores", FIT, needs(many)).advice.endswith('swarm.workers = "auto"')


@given(
    st.fixed_dictionaries(
        {
            "cores": st.integers(1, 64),
            "free_memory_bytes": st.integers(0, 2**36),
            "most_descriptors": st.none() | st.integers(1, 2**20),
            "ephemeral": st.none() | st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
            "free_disk_bytes": st.integers(0, 2**36),
            "display": st.sampled_from(["", ":0"]),
        }
    ),
    st.none() | st.just(needs()),
)
def test_whatever_the_machine_only_what_is_not_fit_comes_with_advice(
    fields: dict[str, Any], wanted: Needs | None
) -> None:
    for found in examine(machine(**fields), wanted):
        assert bool(found.advice) == (found.level is not Level.OK)
        assert found.found


def test_it_knows_every_extra_of_the_distribution() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"all"}
    assert extras["all"][0].startswith("cicada-swarm[")
    assert set(extras["all"][0].partition("[")[2].rstrip("]").split(",")) == set(EXTRAS)


def test_this_machine_is_measured_and_nothing_of_that_is_left(tmp_path: Path) -> None:
    seen = measure(tmp_path / "runs")
    assert seen.cores >= 1
    assert 0 < seen.free_memory_bytes <= seen.memory_bytes < 2**50
    assert (seen.runs_problem, seen.sockets_problem) == ("", "")
    assert seen.free_disk_bytes > 0
    assert list(tmp_path.iterdir()) == []
    if sys.platform == "linux":
        assert "forkserver" in seen.start_methods
        assert seen.ephemeral is not None


def test_a_folder_that_cannot_be_written_and_one_on_a_full_disk_are_noticed() -> None:
    assert measure(Path("/proc/runs")).runs_problem  # no file can be made there, even by root


@pytest.mark.parametrize("runs", ["runs", "runs/deeper"])
def test_a_file_where_run_folders_go_is_noticed(tmp_path: Path, runs: str) -> None:
    (tmp_path / "runs").write_text("")
    assert measure(tmp_path / runs).runs_problem == f"{tmp_path}/runs is not a folder"


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


@pytest.fixture
def swarm_file(tmp_path: Path) -> Path:
    path = tmp_path / "swarm.toml"
    first = free_ports(4)
    path.write_text(
        f'[swarm]\nname = "s"\n[[group]]\nname = "core"\ncount = 4\naddress = "127.0.0.1:{first}"\n'
    )
    return path


def test_a_swarm_that_can_be_started_here_is_exit_code_0(swarm_file: Path) -> None:
    result = doctor(swarm_file)
    assert result.exit_code == 0, result.output
    assert "all 4 are free" in result.stdout
    assert not any(line.startswith("fail") for line in result.stdout.splitlines())


def test_the_port_of_metrics_is_looked_at_too(swarm_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = doctor(swarm_file, "--set", f"metrics.listen=127.0.0.1:{port}")
    assert result.exit_code == 1
    assert f"1 of 5 are taken: 127.0.0.1:{port} ([metrics]): in use" in result.stdout
    assert "change [metrics] listen" in result.stdout


def test_a_port_that_is_taken_is_exit_code_1_and_named(swarm_file: Path) -> None:
    port = int(swarm_file.read_text().rpartition(":")[2].strip().strip('"')) + 2
    with socket.create_server(("127.0.0.1", port)):
        result = doctor(swarm_file, "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    failed = [found for found in said["findings"] if found["level"] == "fail"]
    assert [found["about"] for found in failed] == ["ports"]
    assert f"1 of 4 are taken: 127.0.0.1:{port} (core-2): in use" in failed[0]["found"]
    assert said["needs"]["peers"] == 4
    assert said["machine"]["taken"][0]["peer"] == "core-2"


def test_a_configuration_that_is_wrong_is_exit_code_2(swarm_file: Path) -> None:
    result = doctor(swarm_file, "-n", "cor=3")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'core'?" in result.stderr
