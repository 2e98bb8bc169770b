"""``cicada nat`` against a real router: what it shows is so, and what it maps is reached."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any, NamedTuple

import pytest

from tests.nat.lab import NAT_PMP, PCP, UPNP, Lab
from tests.nat.programs import Program
from tests.nat.reaching import PORT, Listener, connects

EXTERNAL = 40001
CICADA = ("-m", "launcher", "nat")


class Done(NamedTuple):
    code: int
    said: str
    complained: str


def cicada(lab: Lab, *arguments: object) -> Done:
    """What a verb of ``cicada nat`` says on the LAN host."""
    program = Program(lab.lan, *CICADA, *map(str, arguments), errors=subprocess.PIPE)
    said, complained = program.process.communicate(timeout=40.0)
    return Done(program.process.returncode, said.decode(), complained.decode())


def shown(lab: Lab, *arguments: object, code: int = 0) -> dict[str, Any]:
    """The JSON that a verb prints."""
    done = cicada(lab, *arguments, "--json")
    assert done.code == code, done
    found: dict[str, Any] = json.loads(done.said)
    return found


def test_status_shows_what_a_mapping_would_look_like_and_makes_none(lab: Lab) -> None:
    lab.router.start_daemon()
    assert shown(lab, "status") == {
        "gateway": "192.168.77.1",
        "interface": "eth0",
        "local_ip": lab.lan.address,
        "protocol": PCP,
        "external_ip": lab.router.address,
        "is_global": True,
        "reason": "",
        "advice": "",
    }
    assert lab.router.mappings() == []


def test_status_without_a_mapping_protocol_says_what_to_do(lab: Lab) -> None:
    done = cicada(lab, "status")
    assert done.code == 1
    assert "enable UPnP, NAT-PMP or PCP in the router" in done.said
    assert "--bind HOST:PORT@EXTERNAL:PORT" in done.said


def test_probe_shows_which_protocol_answers_at_which_address_and_after_what_time(lab: Lab) -> None:
    lab.router.start_daemon(UPNP)
    pcp, nat_pmp, upnp = shown(lab, "probe", "--port", PORT)["protocols"]
    assert [each["protocol"] for each in (pcp, nat_pmp, upnp)] == [PCP, NAT_PMP, UPNP]
    assert (upnp["answers"], upnp["external_ip"], upnp["external_port"]) == (True, lab.router.address, PORT)
    assert 0.0 < upnp["seconds"] < 5.0
    assert [(each["answers"], each["reason"]) for each in (pcp, nat_pmp)] == [(False, "closed")] * 2
    assert lab.router.mappings() == []


@pytest.mark.parametrize(
    "protocol", [PCP, *(pytest.param(name, marks=pytest.mark.prove) for name in (NAT_PMP, UPNP))]
)
def test_what_map_maps_is_reached_until_unmap(lab: Lab, listener: Listener, protocol: str) -> None:
    lab.router.start_daemon()
    options = ("--external", EXTERNAL, "--protocol", protocol)
    mapped = shown(lab, "map", PORT, *options, "--lease", "10m")
    assert mapped["protocol"] == protocol
    assert 590 < mapped["lease_s"] <= 600  # by UPnP what is left of it is read back
    assert (mapped["external_ip"], mapped["external_port"]) == (lab.router.address, EXTERNAL)
    assert connects(lab.outside, lab.router.address, EXTERNAL)
    assert listener.caller() == lab.outside.address
    assert cicada(lab, "unmap", PORT, *options).code == 0
    assert lab.router.mappings() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_held_is_reached_until_it_is_ended_and_leaves_nothing(
    lab: Lab, listener: Listener, number: signal.Signals
) -> None:
    lab.router.start_daemon()
    with Program(lab.lan, *CICADA, "map", str(PORT), "--hold", "--json") as program:
        said = program.said()
        assert (said["what"], said["news"]["external_ip"]) == ("Mapped", lab.router.address)
        assert connects(lab.outside, lab.router.address, PORT)
        assert program.end(number, seconds=4.0) == 0
    assert lab.router.mappings() == []


@pytest.mark.prove
def test_what_could_not_be_held_until_it_was_ended_is_a_failure(lab: Lab) -> None:
    with Program(lab.lan, *CICADA, "map", str(PORT), "--hold", "--json") as program:
        said = program.said()
        assert (said["what"], "--bind" in said["news"]["advice"]) == ("NotMapped", True)
        assert program.end(signal.SIGINT, seconds=4.0) == 1


def test_a_refused_port_is_a_failure_that_says_why(lab: Lab) -> None:
    lab.router.start_daemon(UPNP)
    done = cicada(lab, "map", 80, "--protocol", UPNP)
    assert (done.code, done.said) == (1, "")
    assert "the router refuses to map this port" in done.complained
    assert "Traceback" not in done.complained


@pytest.mark.parametrize(
    "protocols", [pytest.param((), id="all"), pytest.param((NAT_PMP,), id=NAT_PMP, marks=pytest.mark.prove)]
)
def test_behind_two_routers_that_is_said_in_plain_words(lab: Lab, protocols: tuple[str, ...]) -> None:
    lab.router.set_wan_address("100.64.9.1")
    lab.router.start_daemon(*protocols)
    assert shown(lab, "status", code=1)["reason"] == "no-wan"
    done = cicada(lab, "map", PORT)
    assert done.code == 1
    assert "has no public address" in done.complained
    assert lab.router.mappings() == []
