"""Port mapping against a real router: what is granted leads an outside host to a listener, as long as it stands and no longer."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from tests.nat import rawclients as raw
from tests.nat.lab import NAT_PMP, PCP, UPNP, Lab, Standing
from tests.nat.namespaces import has_ended
from tests.nat.programs import Program
from tests.nat.reaching import PORT, Listener, comes_to_connect, connects

EACH_AND_ALL = [
    pytest.param((), id="all"),
    *(pytest.param((name,), id=name) for name in (PCP, NAT_PMP, UPNP)),
]
UPNP_AND_ALL = [
    *(pytest.param((name,), id=name, marks=pytest.mark.prove) for name in (PCP, NAT_PMP)),
    *(pytest.param((UPNP,), id=UPNP), pytest.param((), id="all")),
]
"""For what differs in that PCP and NAT-PMP announce what happened to the router, and UPnP does not. The others go without saying
much more, so they are left to the long proofs."""
MAPPING = """
import json
from cicada import PortMapping
with PortMapping({port}) as pm:
    names = ("port", "protocol", "local_address", "eport")
    print(json.dumps({{**{{name: getattr(pm, name) for name in names}}, "by": pm.mapper.protocol, "at": pm.mapper.external_ip}}))
    input()
"""
QUICK = ("check=1", "knock=0.3", "knock_pause=1", "gateway_look=1")
"""So that the logic is seen in seconds; how long it takes with the usual figures is for the long proofs."""


def holding(lab: Lab, *changes: str, port: int = PORT) -> Program:
    return Program(lab.lan, "-m", "tests.nat.holding", str(port), *changes)


def is_a(what: str, **values: object) -> Callable[[Any], bool]:
    """Whether a piece of news is of this kind and has these values."""

    def holds(said: Any) -> bool:
        return bool(said["what"] == what and values.items() <= said["news"].items())

    return holds


@pytest.mark.parametrize("protocols", EACH_AND_ALL)
def test_a_port_is_open_while_it_is_mapped_and_closed_afterwards(
    lab: Lab, listener: Listener, protocols: tuple[str, ...]
) -> None:
    lab.router.start_daemon(*protocols)
    with Program(lab.lan, "-c", MAPPING.format(port=PORT)) as program:
        said = program.said()
        assert said == {
            "port": PORT,
            "protocol": "tcp",
            "local_address": lab.lan.address,
            "eport": PORT,
            "by": protocols[0] if protocols else PCP,
            "at": lab.router.address,
        }
        for caller in (lab.outside, lab.elsewhere):
            assert comes_to_connect(caller, lab.router.address, PORT)
            assert listener.caller() == caller.address
        assert comes_to_connect(lab.far, lab.router.address, PORT)
        program.answer()
        assert program.process.wait(10.0) == 0
    assert lab.router.mappings() == []
    assert not connects(lab.outside, lab.router.address, PORT)


def test_short_leases_are_renewed_before_they_end_whatever_the_protocol(lab: Lab) -> None:
    lab.router.start_daemon()
    ports = {PORT: PCP, PORT + 1: NAT_PMP, PORT + 2: UPNP}
    with ExitStack() as programs:
        for port, protocol in ports.items():
            program = programs.enter_context(holding(lab, f"by={protocol}", "lease=6", port=port))
            program.said(is_a("Mapped", port=port, protocol=protocol, lease_s=6))
        until = time.monotonic() + 8.5
        while time.monotonic() < until:
            assert ports.keys() == seen_open(lab, ports.keys())


def seen_open(lab: Lab, ports: Collection[int]) -> set[int]:
    """Those that are open at some time of the next half second: for an instant while it renews, the router has no rule at all."""
    until, seen = time.monotonic() + 0.5, set[int]()
    while not seen.issuperset(ports) and time.monotonic() < until:
        seen |= open_ports(lab)
    return seen


def open_ports(lab: Lab) -> set[int]:
    return {mapping.external_port for mapping in lab.router.mappings()}


@pytest.mark.parametrize("protocols", UPNP_AND_ALL)
def test_after_a_reboot_of_the_router_the_port_is_mapped_again(
    lab: Lab, listener: Listener, protocols: tuple[str, ...]
) -> None:
    lab.router.start_daemon(*protocols)
    with holding(lab, *QUICK) as program:
        program.said(is_a("Mapped"))
        lab.router.reboot()
        lab.router.await_mappings(bool)
        assert comes_to_connect(lab.outside, lab.router.address, PORT)


@pytest.mark.parametrize("protocols", UPNP_AND_ALL)
def test_another_wan_address_is_told(lab: Lab, listener: Listener, protocols: tuple[str, ...]) -> None:
    lab.router.start_daemon(*protocols)
    with holding(lab, *QUICK) as program:
        program.said(is_a("Mapped", external_ip=lab.router.address))
        lab.router.set_wan_address("44.128.99.7")
        program.said(is_a("Mapped", external_ip="44.128.99.7", external_port=PORT))
        assert comes_to_connect(lab.outside, "44.128.99.7", PORT)


@pytest.mark.parametrize(
    "protocol", [PCP, *(pytest.param(name, marks=pytest.mark.prove) for name in (NAT_PMP, UPNP))]
)
def test_an_address_that_nobody_can_dial_any_more_is_not_told_as_global(lab: Lab, protocol: str) -> None:
    lab.router.start_daemon(protocol)
    with holding(lab, *QUICK) as program:
        program.said(is_a("Mapped", external_ip=lab.router.address, is_global=True))
        lab.router.set_wan_address("100.64.9.1")
        program.said(is_a("Mapped", is_global=False))
        lab.router.set_wan_address("44.128.99.7")
        program.said(is_a("Mapped", external_ip="44.128.99.7", is_global=True))


@pytest.mark.prove
@pytest.mark.parametrize("protocols", EACH_AND_ALL)
def test_reboots_and_new_addresses_are_over_within_30_seconds_each(
    lab: Lab, listener: Listener, protocols: tuple[str, ...]
) -> None:
    lab.router.start_daemon(*protocols)
    with holding(lab) as program:
        program.said(is_a("Mapped"))
        lab.router.reboot()
        lab.router.await_mappings(bool, seconds=30.0)
        assert comes_to_connect(lab.outside, lab.router.address, PORT)
        lab.router.set_wan_address("44.128.99.7")
        program.said(is_a("Mapped", external_ip="44.128.99.7"), seconds=30.0)
        assert comes_to_connect(lab.outside, "44.128.99.7", PORT)


@pytest.mark.prove
@pytest.mark.timeout(150)
def test_a_router_that_was_off_for_long_is_used_within_30_seconds(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    with holding(lab) as program:
        program.said(is_a("Mapped"))
        lab.router.power_off()
        assert program.said(is_a("MappingLost"), seconds=60.0)["news"]["reason"] == "silent"
        program.said(is_a("NotMapped"))
        lab.router.power_on()
        program.said(is_a("Mapped"), seconds=30.0)
        assert comes_to_connect(lab.outside, lab.router.address, PORT)


@pytest.mark.parametrize(
    "protocol", [UPNP, *(pytest.param(name, marks=pytest.mark.prove) for name in (PCP, NAT_PMP))]
)
def test_a_port_that_another_host_has_mapped_stays_his_and_another_is_granted(
    lab: Lab, listener: Listener, protocol: str
) -> None:
    lab.router.start_daemon()
    theirs = raw.upnp_map(lab.other, PORT, PORT, 600)
    lab.router.stop_daemon()
    lab.router.start_daemon(protocol)
    with holding(lab, *QUICK) as program:
        granted = program.said(is_a("Mapped", protocol=protocol))["news"]["external_port"]
        assert granted != theirs.external_port
        assert comes_to_connect(lab.outside, lab.router.address, granted)
        assert listener.caller() == lab.outside.address
        assert program.end() == 0
    assert lab.router.mappings() == [Standing("TCP", PORT, lab.other.address, PORT)]


def test_a_port_that_the_router_refuses_is_not_mapped_and_the_reason_is_told(lab: Lab) -> None:
    lab.router.start_daemon(UPNP)
    with holding(lab, *QUICK, port=80) as program:
        news = program.said(is_a("NotMapped"))["news"]
        assert news["reason"] == "refused"
        assert "--bind" in news["advice"]
    assert lab.router.mappings() == []


@pytest.mark.parametrize("address", ["10.9.9.1", pytest.param("100.64.9.1", marks=pytest.mark.prove)])
def test_behind_two_routers_nothing_is_mapped_and_that_is_told(lab: Lab, address: str) -> None:
    lab.router.start_daemon()
    lab.router.set_wan_address(address)
    with holding(lab, *QUICK) as program:
        news = program.said(is_a("NotMapped"))["news"]
        assert news["reason"] == "no-wan"
        assert "provider" in news["advice"]


@pytest.mark.prove
def test_a_frozen_router_is_told_and_used_within_30_seconds_of_its_thaw(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    lab.router.freeze()
    with holding(lab) as program:
        assert program.said()["what"] == "NotMapped"
        lab.router.thaw()
        program.said(is_a("Mapped"), seconds=30.0)
        assert comes_to_connect(lab.outside, lab.router.address, PORT)


def test_a_router_that_freezes_loses_nothing_that_it_still_forwards(lab: Lab, listener: Listener) -> None:
    lab.router.start_daemon()
    with holding(lab, *QUICK) as program:
        program.said(is_a("Mapped"))
        lab.router.freeze()
        assert comes_to_connect(lab.outside, lab.router.address, PORT)
        assert program.end(seconds=3.5) == 0
    lab.router.thaw()


@pytest.mark.parametrize("protocols", UPNP_AND_ALL)
def test_a_program_that_is_asked_to_end_leaves_no_mapping(lab: Lab, protocols: tuple[str, ...]) -> None:
    lab.router.start_daemon(*protocols)
    with holding(lab, *QUICK) as program:
        program.said(is_a("Mapped"))
        assert lab.router.mappings() != []
        assert program.end(signal.SIGTERM, seconds=3.5) == 0
    assert lab.router.mappings() == []


def test_the_mapping_of_a_program_that_is_killed_ends_with_its_lease_and_its_helper_at_once(lab: Lab) -> None:
    lab.router.start_daemon()
    with holding(lab, "lease=2", *QUICK) as program:
        program.said(is_a("Mapped"))
        helpers = psutil.Process(program.process.pid).children(recursive=True)
        assert helpers != []
        assert program.end(signal.SIGKILL) == -signal.SIGKILL
    assert all(has_ended(helper.pid) for helper in helpers)
    lab.router.await_mappings(lambda standing: not standing)
