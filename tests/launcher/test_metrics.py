"""Metrics: what a scraper reads, over HTTP and as text, labelled by group and worker and never by peer."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from cicada.commands import FaultRow, GetStatus, GroupStatus, MessageCounts, Status, WorkerStatus
from cicada.config import parse_config
from cicada.errors import ConfigErrors, Unavailable
from launcher.cli import app
from launcher.metrics.endpoint import MetricsEndpoint, exposition
from launcher.metrics.families import families
from launcher.monitor import RunState

from .fake_launcher import fake_launcher
from .swarms import config, free_ports
from .test_cli_verbs import STATUS, change
from .test_overview import CORE, EDGE

ROOT = Path(__file__).parents[2]
WORKER = WorkerStatus(
    name="worker-0",
    pid=8,
    peers=19,
    restarts=2,
    rss_bytes=3 << 20,
    state="running",
    cpu_s=1.5,
    messages=MessageCounts(sent=5, delivered=4, failed=1, dropped={"hop-limit": 3}),
    traffic={"frames.sent": 12, "dial-failed.refused": 1},
    refused={"crossed": 2},
)
FAULT = FaultRow(
    fault=1,
    kind="partition",
    one="a",
    other="",
    peers=(),
    others=(),
    seconds=0,
    jitter=0,
    percent=0,
    age_s=2.0,
    left_s=None,
)
NOW: Status = change(STATUS, groups=(CORE, EDGE), workers=(WORKER,), faults=(FAULT, FAULT))
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Values:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, metric: str, /, **labels: str) -> float:
    return values[metric, frozenset(labels.items())]


def test_a_scraper_reads_the_figures_of_the_status() -> None:
    values = parsed(exposition(NOW))
    assert value(values, "cicada_swarm", name="fake", run="run-1") == 1
    assert value(values, "cicada_ring_proven") == 1
    assert value(values, "cicada_state", state="proven") == 1
    assert value(values, "cicada_state", state="degraded") == 0
    assert value(values, "cicada_peers", group="core", state="joined") == 17
    assert value(values, "cicada_peers", group="core", state="suspect") == 1
    assert value(values, "cicada_actor_restarts", group="core") == 2
    assert value(values, "cicada_faults", kind="partition") == 2
    assert value(values, "cicada_worker_up", worker="worker-0") == 1
    assert value(values, "cicada_worker_cpu_seconds_total", worker="worker-0") == 1.5
    assert value(values, "cicada_worker_restarts_total", worker="worker-0") == 2
    assert value(values, "cicada_messages_sent_total", worker="worker-0") == 5
    assert value(values, "cicada_messages_dropped_total", worker="worker-0", reason="hop-limit") == 3
    assert value(values, "cicada_refused_total", worker="worker-0", reason="crossed") == 2
    assert value(values, "cicada_endpoint_frames_total", worker="worker-0", kind="sent") == 12
    assert value(values, "cicada_endpoint_dial_failed_total", worker="worker-0", kind="refused") == 1


@given(peers=st.integers(1, 10**6), groups=st.integers(1, 20), workers=st.integers(1, 20))
def test_there_are_as_many_series_for_a_million_peers_as_for_one(
    peers: int, groups: int, workers: int
) -> None:
    def series(count: int) -> Any:
        each = tuple(
            GroupStatus(name=f"g{i}", peers=count, joined=count, joining=0, suspect=0, dead=0)
            for i in range(groups)
        )
        hosts = tuple(
            msgspec.structs.replace(WORKER, name=f"worker-{i}", peers=count) for i in range(workers)
        )
        status = change(NOW, groups=each, workers=hosts, problems=("core-1: gave up",) * min(count, 9))
        return {(family.name, sample.labels) for family in families(status) for sample in family.samples}

    assert series(peers) == series(1)


def test_every_state_of_a_run_has_its_sample() -> None:
    states = next(family for family in families(NOW) if family.name == "cicada_state")
    assert {sample.labels[0] for sample in states.samples} == {state.value for state in RunState}


def test_the_endpoint_serves_the_last_snapshot_and_is_gone_afterwards() -> None:
    port = free_ports(1)
    url = f"http://127.0.0.1:{port}/metrics"
    with MetricsEndpoint(f"127.0.0.1:{port}") as endpoint:
        assert scraped(url) == {}
        endpoint.show(NOW)
        assert value(scraped(url), "cicada_uptime_seconds") == NOW.uptime_s
        endpoint.show(change(NOW, uptime_s=1.0))
        assert value(scraped(url), "cicada_uptime_seconds") == 1.0
    with pytest.raises(OSError, match="refused"):
        scraped(url)


def test_a_scraper_that_says_nothing_is_cut_off_and_the_next_is_served(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("launcher.metrics.endpoint._Handler.timeout", 0.2)
    port = free_ports(1)
    with MetricsEndpoint(f"127.0.0.1:{port}") as endpoint:
        endpoint.show(NOW)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            assert value(scraped(f"http://127.0.0.1:{port}/"), "cicada_ring_proven") == 1
    assert capfd.readouterr() == ("", "")


def test_an_address_that_is_taken_is_one_clear_message() -> None:
    port = free_ports(1)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Unavailable, match=rf"served at 127.0.0.1:{port}: address already in use: free it"),
        MetricsEndpoint(f"127.0.0.1:{port}"),
    ):
        pass


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["metrics"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "metrics need an extra: pip install 'cicada-swarm[metrics]'\n"


def test_the_verb_prints_the_metrics_of_a_running_swarm(tmp_path: Path) -> None:
    with fake_launcher(tmp_path / "run", lambda _: NOW) as launcher:
        result = CliRunner().invoke(app, ["metrics", "--run", str(launcher.folder)])
        assert launcher.asked == [GetStatus(fresh=False)]
    assert (result.exit_code, result.stderr) == (0, "")
    assert parsed(result.stdout) == parsed(exposition(NOW))


def test_the_verb_serves_them_until_ctrl_c(tmp_path: Path) -> None:
    port = free_ports(1)
    with fake_launcher(tmp_path / "run", lambda _: NOW) as launcher:
        command = [sys.executable, "-m", "cicada", "metrics", "--listen", f"127.0.0.1:{port}"]
        with subprocess.Popen(
            [*command, "--run", str(launcher.folder)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        ) as serving:
            assert serving.stderr is not None
            assert serving.stderr.readline() == f"metrics at http://127.0.0.1:{port}/metrics until Ctrl-C\n"
            values: Values = {}
            while not values:
                values = scraped(f"http://127.0.0.1:{port}/metrics")
            assert value(values, "cicada_ring_proven") == 1
            serving.send_signal(signal.SIGINT)
            assert serving.wait(20) == 130
            assert serving.stderr.read() == ""


@pytest.mark.parametrize("address", ["9610", "localhost:9610", "127.0.0.1:x"])
def test_an_address_that_is_none_is_wrong_usage(address: str) -> None:
    result = CliRunner().invoke(app, ["metrics", "--listen", address])
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_port_of_a_peer_cannot_be_that_of_the_metrics() -> None:
    with pytest.raises(ConfigErrors) as caught:
        config(3, first_port=20000, extra='\n[metrics]\nlisten = "127.0.0.1:20002"\n')
    assert [error.problem for error in caught.value.errors] == [
        "metrics.listen: port 20002 is core-2's: choose another one"
    ]
    assert (
        parse_config('[swarm]\nname="s"\n[[group]]\nname="a"\ncount=1\naddress="127.0.0.1:1"').metrics.listen
        is None
    )


def scraped(url: str) -> Values:
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return parsed(answer.read().decode())
