"""What a watched swarm looks like: rates from two looks, and a screen that does not grow with the peers."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import FaultRow, GroupStatus, MessageCounts, WorkerStatus
from cicada.limits import CLI
from launcher.output import fault_lines
from launcher.plaintext import duration
from launcher.report.model import Fault
from launcher.report.text import fault_text
from launcher.status.overview import Rates, overview
from launcher.status.text import calm_line, screen_lines

from .test_cli_verbs import STATUS, change

CORE = GroupStatus(name="core", peers=20, joined=17, joining=1, suspect=1, dead=1, restarts=2)
EDGE = GroupStatus(name="edge", peers=10, joined=10, joining=0, suspect=0, dead=0)
NOW = change(STATUS, groups=(EDGE, CORE), worst=("core-3: gave up",), uptime_s=60.0)


def later(seconds: float, **fields: object) -> Any:
    return change(NOW, uptime_s=NOW.uptime_s + seconds, **fields)


def plain(lines: Any) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


def test_rates_are_those_since_the_look_before() -> None:
    messages = MessageCounts(sent=105, delivered=54, failed=2)
    assert overview(later(10.0, messages=messages), NOW).rates == Rates(sent=10.0, delivered=5.0, failed=0.1)
    assert overview(NOW).rates is None


def test_counts_that_went_with_their_worker_make_no_rate() -> None:
    seen = overview(later(1.0, messages=MessageCounts(), restarts=1), NOW)
    assert seen.rates == Rates(sent=0, delivered=0, failed=0)
    assert seen.fresh_restarts == 0


def test_two_looks_at_the_same_instant_divide_by_nothing() -> None:
    assert overview(NOW, NOW).rates == Rates(sent=0, delivered=0, failed=0)


def test_a_worker_shows_what_it_used_of_a_core_since_the_look_before() -> None:
    worker = msgspec.structs.replace(NOW.workers[0], cpu_s=7.0)
    again = msgspec.structs.replace(worker, pid=9, cpu_s=1.0)  # a new process: its clock began again
    before = change(NOW, workers=(worker,))
    busy = msgspec.structs.replace(worker, cpu_s=9.0)
    assert overview(later(4.0, workers=(busy,)), before).workers[0].cpu == 0.5
    assert overview(later(4.0, workers=(again,)), before).workers[0].cpu == 0.25


def test_the_screen_has_the_worst_group_first_and_their_sum() -> None:
    lines = plain(screen_lines(overview(later(2.0, restarts=3), NOW)))
    assert lines == [
        "fake  proven  up 1 min 2 s",
        "  ring      proven 1.2 s after the start",
        "  group  peers  joined  joining  suspect  dead  restarts",
        "  core      20      17        1        1     1         2",
        "  edge      10      10        0        0     0         0",
        "  all       30      27        1        1     1         2",
        "  messages  0.0/s sent, 0.0/s delivered",
        "  workers   1 of 1 running, 3 MiB, 0% of a core",
        "            worker-0  19 peers, 3 MiB, 0%, 2 restarts",
        "  restarts  3, 1 just now",
        "  worst     core-3: gave up",
    ]


def test_faults_in_force_are_on_the_screen_and_counted_on_the_line() -> None:
    row = FaultRow(
        fault=1,
        kind="partition",
        one="core:50%",
        other="",
        peers=("core-0",) * 10,
        others=("core-1",) * 10,
        seconds=0,
        jitter=0,
        percent=0,
        age_s=2.0,
        left_s=18.0,
    )
    seen = overview(change(NOW, faults=(row,), ring_proven=False, unproven="of 27 peers: 1 not answering"))
    assert (
        "  faults    #1 partition  core:50% (10 peers) and the rest (10 peers), for 2 s, 18 s left"
        in plain(screen_lines(seen))
    )
    assert calm_line(seen) == (
        "1 min: proven, ring not proven: of 27 peers: 1 not answering; "
        "27 of 30 joined, 1 joining, 1 suspect, 1 dead; 5 sent, 4 delivered, 1 failed so far; "
        "2 restarts, 1 fault in force; worst: core-3: gave up"
    )


@pytest.mark.parametrize(
    ("kind", "much", "words"),
    [
        ("partition", {}, "#4 partition  core:50% (1,200 peers) and the rest (1 peer)"),
        ("drop", {"percent": 12.5}, "#4 drop 12.5%  core:50% (1,200 peers) and the rest (1 peer)"),
        ("delay", {"seconds": 0.1}, "#4 delay by 100 ms  core:50% (1,200 peers) and the rest (1 peer)"),
        (
            "delay",
            {"seconds": 0.1, "jitter": 0.2},
            "#4 delay by 100 to 300 ms  core:50% (1,200 peers) and the rest (1 peer)",
        ),
    ],
)
def test_a_status_and_a_report_say_the_same_of_a_fault(kind: str, much: dict[str, float], words: str) -> None:
    same: Any = {"fault": 4, "kind": kind, "one": "core:50%", "other": ""}
    amount: Any = {"seconds": 0.0, "jitter": 0.0, "percent": 0.0} | much
    row = FaultRow(**same, **amount, peers=("core-0",) * 1200, others=("core-1",), age_s=2.0, left_s=None)
    told = Fault(**same, **amount, peers=1200, others=1, at_s=1.0, until_s=3.0, ended="healed")
    assert list(fault_lines([row])) == [f"{words}, for 2 s"]
    assert fault_text(told) == f"{words}, 1.0 to 3.0 s (healed)"


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0.4 s"), (3599.7, "1 h"), (3600.0, "1 h")])
def test_a_status_says_how_long_a_swarm_has_been_up_as_a_report_does(seconds: float, words: str) -> None:
    assert calm_line(overview(change(NOW, uptime_s=seconds))).startswith(f"{words}: ")
    assert duration(seconds) == words


@given(groups=st.integers(1, 300), peers=st.integers(1, 10**6), workers=st.integers(1, 256))
def test_the_screen_is_as_long_for_a_million_peers_as_for_ten(groups: int, peers: int, workers: int) -> None:
    many = tuple(
        GroupStatus(name=f"g{i}", peers=peers, joined=peers - i % 2, joining=i % 2, suspect=0, dead=0)
        for i in range(groups)
    )
    hosts = tuple(
        WorkerStatus(name=f"worker-{i}", pid=i + 1, peers=peers, restarts=i, rss_bytes=1, state="running")
        for i in range(workers)
    )
    seen = overview(change(NOW, groups=many, workers=hosts))
    assert len(list(screen_lines(seen))) <= 10 + CLI.watch_groups + CLI.watch_workers + len(NOW.worst)
    assert (seen.total.peers, seen.running_workers) == (groups * peers, workers)
    assert len(seen.groups) + seen.hidden_groups == groups


def test_workers_that_do_not_run_come_first() -> None:
    hosts = tuple(
        WorkerStatus(name=f"worker-{i}", pid=i, peers=1, restarts=0, rss_bytes=0, state=state)
        for i, state in enumerate(("running", "running", "running", "frozen", "ended"))
    )
    lines = plain(screen_lines(overview(change(NOW, workers=hosts))))
    assert "  workers   3 of 5 running, 0 MiB, 0% of a core" in lines
    assert [line.split()[0] for line in lines if "worker-" in line] == ["worker-3", "worker-4", "worker-0"]
    assert "            and 2 more" in lines
