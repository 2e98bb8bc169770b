"""The laboratory itself: what it claims to be, a real router with real protocols, it is, and nothing of it stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.nat import rawclients as raw
from tests.nat.lab import ALL, MAPPING_PORT, NAT_PMP, PCP, UPNP, Host, Lab, Standing
from tests.nat.namespaces import FOLDER, has_ended, pids_in, remove_leftovers
from tests.nat.programs import Program
from tests.nat.reaching import PORT, Listener, connects

EXTERNAL = 40001
Map = Callable[[Host, int, int, int], raw.Granted]
PROTOCOLS: dict[str, Map] = {PCP: raw.pcp_map, NAT_PMP: raw.nat_pmp_map, UPNP: raw.upnp_map}


def test_a_lan_host_reaches_the_internet_as_its_router(lab: Lab) -> None:
    with closing(Listener(lab.outside, PORT)) as listening:
        assert connects(lab.lan, lab.outside.address, PORT)
        assert listening.caller() == lab.router.address
        assert connects(lab.far, lab.outside.address, PORT)
        assert listening.caller() == lab.far_router.address


def test_the_internet_sees_nothing_of_a_lan_before_something_is_mapped(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    assert connects(lab.other, lab.lan.address, PORT)
    for port in (PORT, EXTERNAL, MAPPING_PORT):
        assert not connects(lab.outside, lab.router.address, port)
    assert lab.router.mappings() == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_router_of_one_protocol_opens_and_closes_a_port_by_it_and_does_not_answer_others(
    lab: Lab, listener: Listener, protocol: str
) -> None:
    lab.router.start_daemon(protocol)
    assert any(
        _answers(lab.lan, protocol) for _ in range(5)
    )  # a machine that stood still may have missed the first
    assert not {name for name in ALL if name != protocol and _answers(lab.lan, name)}
    granted = PROTOCOLS[protocol](lab.lan, PORT, EXTERNAL, 600)
    assert (granted.external_port, granted.lease) == (EXTERNAL, 600)
    assert lab.router.mappings() == [Standing("TCP", EXTERNAL, lab.lan.address, PORT)]
    for caller in (lab.outside, lab.elsewhere):
        assert connects(caller, lab.router.address, EXTERNAL)
        assert listener.caller() == caller.address
    assert connects(lab.far, lab.router.address, EXTERNAL)
    assert listener.caller() == lab.far_router.address
    PROTOCOLS[protocol](lab.lan, PORT, EXTERNAL if protocol == UPNP else 0, 0)
    assert lab.router.mappings() == []
    assert not connects(lab.outside, lab.router.address, EXTERNAL)


def test_a_router_of_all_protocols_answers_all_and_one_of_none_answers_none(lab: Lab) -> None:
    assert {name for name in ALL if _answers(lab.lan, name)} == set()
    lab.router.start_daemon()
    assert {name for name in ALL if _answers(lab.lan, name)} == ALL
    assert {name for name in ALL if _answers(lab.far, name)} == set()


def _answers(host: Host, protocol: str) -> bool:
    try:
        match protocol:
            case "pcp":
                raw.pcp_announce(host, raw.SILENCE_SECONDS)
            case "nat-pmp":
                raw.nat_pmp_address(host, raw.SILENCE_SECONDS)
            case _:
                raw.upnp_location(host, raw.SILENCE_SECONDS)
    except (TimeoutError, ConnectionRefusedError):
        return False
    return True


@pytest.mark.prove
def test_a_lease_that_nobody_renews_ends(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    for external, protocol in enumerate(PROTOCOLS, EXTERNAL):
        assert PROTOCOLS[protocol](lab.lan, PORT, external, 2).lease == 2
    assert len(lab.router.mappings()) == 3
    lab.router.await_mappings(lambda standing: not standing)
    assert not connects(lab.outside, lab.router.address, EXTERNAL)


def test_a_reboot_loses_every_mapping_and_begins_a_new_epoch(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    raw.nat_pmp_map(lab.lan, PORT, EXTERNAL, 600)
    with closing(raw.announcements(lab.lan)) as heard:
        lab.router.reboot()
        assert raw.announced_epoch(heard) <= 1
    assert lab.router.mappings() == []
    assert not connects(lab.outside, lab.router.address, EXTERNAL)
    assert raw.nat_pmp_map(lab.lan, PORT, EXTERNAL, 600).epoch <= 1
    assert connects(lab.outside, lab.router.address, EXTERNAL)


@pytest.mark.prove
def test_another_wan_address_is_told_and_leads_to_the_same_port(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    raw.pcp_map(lab.lan, PORT, EXTERNAL, 600)
    was, now = lab.router.address, "44.128.99.7"
    lab.router.set_wan_address(now)
    assert raw.nat_pmp_address(lab.lan) == raw.upnp_address(lab.lan) == now
    assert raw.pcp_map(lab.lan, PORT, EXTERNAL, 600).address == now
    assert connects(lab.outside, now, EXTERNAL)
    assert not connects(lab.outside, was, EXTERNAL)


@pytest.mark.parametrize("address", ["10.9.9.1", "100.64.9.1"])
def test_a_router_behind_another_one_maps_nothing(lab: Lab, address: str) -> None:
    lab.router.start_daemon()
    lab.router.set_wan_address(address)
    assert upnp_code(lab.lan, EXTERNAL) == 501
    assert raw.upnp_address(lab.lan) == ""
    with pytest.raises(raw.Refused) as refused:
        raw.nat_pmp_map(lab.lan, PORT, EXTERNAL, 600)
    assert refused.value.code == 3


@pytest.mark.prove
def test_a_port_of_another_host_conflicts_and_a_low_one_is_refused(lab: Lab) -> None:
    lab.router.start_daemon()
    raw.upnp_map(lab.other, PORT, EXTERNAL, 600)
    assert upnp_code(lab.lan, EXTERNAL) == 718
    assert upnp_code(lab.lan, 80) == 606
    assert raw.pcp_map(lab.lan, PORT, EXTERNAL, 600).external_port != EXTERNAL


def upnp_code(host: Host, external_port: int) -> int:
    with pytest.raises(raw.Refused) as refused:
        raw.upnp_map(host, PORT, external_port, 600)
    return refused.value.code


@pytest.mark.prove
def test_a_frozen_router_takes_connections_and_answers_nothing_until_it_thaws(lab: Lab) -> None:
    lab.router.start_daemon()
    lab.router.freeze()
    assert connects(lab.lan, raw.GATEWAY, 5000)
    assert not any(_answers(lab.lan, protocol) for protocol in ALL)
    lab.router.thaw()
    assert all(_answers(lab.lan, protocol) for protocol in ALL)


@pytest.mark.prove
def test_who_is_blocked_reaches_nobody_and_is_reached_by_nobody(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    raw.pcp_map(lab.lan, PORT, EXTERNAL, 600)
    for blocked in (lab.lan, lab.outside, lab.router):
        blocked.block()
        assert not connects(lab.outside, lab.router.address, EXTERNAL)
        blocked.unblock()
        assert connects(lab.outside, lab.router.address, EXTERNAL)


def test_a_program_runs_inside_under_its_own_pid_and_ends_with_the_lab(lab: Lab) -> None:
    program = Program(lab.lan, "-c", "import os; print(os.getpid()); input()")
    assert int(program.line()) == program.process.pid
    assert pids_in(lab.lan.namespace.name) == [program.process.pid]
    lab.close()
    assert program.process.returncode == -signal.SIGKILL
    assert list(FOLDER.glob(f"{lab.name}-*")) == []


BUILD_AND_WAIT = """
import sys
from pathlib import Path
from tests.nat.lab import laboratory
with laboratory(Path(sys.argv[1])) as lab:
    lab.router.start_daemon()
    program = lab.lan.python("-c", "input()", stdin=-1)
    print(lab.name, lab.router.daemon_pid, program.pid, flush=True)
    input()
"""


def test_what_a_killed_test_run_leaves_is_dead_at_once_and_removed_by_the_next(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "inner").mkdir()
    argv = [sys.executable, "-c", BUILD_AND_WAIT, str(tmp_path / "inner")]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as builder:
        assert builder.stdout is not None
        name, *pids = builder.stdout.readline().split()
        remove_leftovers()
        assert len(list(FOLDER.glob(f"{name}-*"))) > 5, "a lab of a living process was removed"
        builder.kill()
    assert all(has_ended(int(pid)) for pid in pids)
    remove_leftovers()
    assert list(FOLDER.glob(f"{name}-*")) == []
    assert list(FOLDER.glob(f"{lab.name}-*")) != []
