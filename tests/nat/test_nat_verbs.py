"""``cicada nat`` against routers on loopback: what it says of addresses nobody can dial, and its exit codes."""

from __future__ import annotations

import functools
import json

import pytest
from typer.testing import CliRunner, Result

from cicada.nat import manual
from cicada.nat.manual import Probe
from cicada.nat.requests import NAT_PMP, PCP, UPNP, Gateway
from launcher.cli import app
from launcher.nat import work as natwork
from tests.nat.igd import Igd
from tests.nat.loopback import own_gateway
from tests.nat.portserver import PortServer

PORT = 5000


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["nat", *map(str, arguments)])


def ok(*arguments: object) -> Result:
    result = run(*arguments)
    assert (result.exit_code, result.exception) == (0, None), result.stderr
    return result


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A router of this test's own, in place of the default route's."""
    found = own_gateway()
    for name in ("probe", "map_port", "unmap_port"):
        monkeypatch.setattr(manual, name, functools.partial(getattr(manual, name), gateway=found))
    return found


@pytest.mark.parametrize("verb", ["status", "probe", "map", "unmap"])
def test_the_help_of_every_verb_leads_with_an_example(verb: str) -> None:
    text = ok(verb, "--help").stdout.partition("Usage")[2]
    assert text.index(f"cicada nat {verb}", 30) < text.index("Options")


def test_status_names_the_first_protocol_that_answers_and_the_address(
    server: PortServer, gateway: Gateway
) -> None:
    server.speaks = {"nat-pmp"}
    found = json.loads(ok("status", "--json").stdout)
    assert (found["gateway"], found["local_ip"]) == (gateway.address, gateway.local)
    assert (found["protocol"], found["external_ip"], found["is_global"]) == (NAT_PMP, "8.8.4.4", True)
    assert server.mappings == {}


def test_status_with_pcp_alone_does_not_make_up_an_address(server: PortServer) -> None:
    server.speaks = {"pcp"}
    found = json.loads(ok("status", "--json").stdout)
    assert (found["protocol"], found["external_ip"], found["is_global"]) == (PCP, "", None)
    assert "not known before a port is mapped" in ok("status").stdout


def test_status_of_a_router_that_names_no_external_address_fails(igd: Igd) -> None:
    igd.external_ip = ""
    result = run("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["reason"] == "no-wan"


def test_status_without_an_answer_fails_with_advice(gateway: Gateway) -> None:
    result = run("status")
    assert result.exit_code == 1
    assert "enable UPnP, NAT-PMP or PCP in the router" in result.stdout


@pytest.mark.parametrize(("address", "word"), [("10.1.2.3", "double NAT"), ("100.64.1.2", "CGNAT")])
def test_an_external_address_that_nobody_can_dial_is_said_in_plain_words(
    server: PortServer, address: str, word: str
) -> None:
    server.speaks, server.external_ip = {"nat-pmp"}, address
    assert word in ok("status").stdout
    result = ok("map", PORT, "--json")
    assert word in result.stderr
    assert json.loads(result.stdout)["is_global"] is False


def test_probe_says_of_each_protocol_whether_it_answers_and_why_not(server: PortServer) -> None:
    server.speaks = {"nat-pmp"}
    result = ok("probe", "--json")
    rows = {each["protocol"]: each for each in json.loads(result.stdout)["protocols"]}
    assert {name: each["reason"] for name, each in rows.items()} == {
        PCP: "unsupported",
        NAT_PMP: "",
        UPNP: "no-device",
    }
    assert rows[UPNP]["seconds"] > rows[NAT_PMP]["seconds"] > 0.0


def test_map_shows_the_port_and_the_lease_that_were_granted_and_unmap_deletes_it(server: PortServer) -> None:
    server.lease, server.moves_ports = 60, 3
    text = ok("map", PORT, "--protocol", "pcp").stdout
    assert f"8.8.4.4:{PORT + 3} leads to 127.0.0.1:{PORT}, by pcp" in text
    assert "for 60 s" in text
    assert server.mappings != {}
    ok("unmap", PORT, "--protocol", "pcp")
    assert server.mappings == {}


def test_a_lease_that_only_ends_when_it_is_deleted_is_said(igd: Igd) -> None:
    igd.permanent_only = True
    assert "until it is deleted" in ok("map", PORT, "--protocol", "upnp").stdout
    ok("unmap", PORT, "--protocol", "upnp")
    assert igd.mappings == {}


def test_a_mapping_without_an_external_address_is_shown_with_a_warning(igd: Igd) -> None:
    igd.external_ip = ""
    result = ok("map", PORT, "--protocol", "upnp")
    assert f"external port {PORT} leads to 127.0.0.1:{PORT}" in result.stdout
    assert "names no external address" in result.stderr


def test_a_refused_port_fails_and_says_why(igd: Igd) -> None:
    igd.refused = 606
    result = run("map", PORT, "--protocol", "upnp")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "refuses to map this port" in result.stderr
    assert "--bind HOST:PORT@EXTERNAL:PORT" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("map", 70000),
        ("map", 0),
        ("map",),
        ("map", PORT, "--protocol", "stun"),
        ("map", PORT, "--lease", "-1"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_asked(arguments: tuple[object, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("gateway", "reason"),
    [(None, "no-gateway"), (Gateway("8.8.4.1", "8.8.4.4", "eth0"), "not-needed")],
)
def test_where_there_is_nothing_to_map_at_the_reason_is_given(gateway: Gateway | None, reason: str) -> None:
    found = natwork.outlook(Probe(gateway=gateway, protocols=()))
    assert (found.protocol, found.reason) == ("", reason)
    assert found.advice in "".join(natwork.outlook_lines(found))
