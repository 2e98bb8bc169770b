"""Each protocol against routers on loopback, with the real libraries: what is granted, and what becomes of misbehaviour."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import msgspec
import pytest

from cicada.limits import NAT
from cicada.nat.client import Client
from cicada.nat.requests import (
    Check,
    Failed,
    Gateway,
    Granted,
    Inquire,
    Inquired,
    Knock,
    Knocked,
    Map,
    Target,
    Unmap,
    Unmapped,
    seed_of,
)
from cicada.nat.upnp import ports_to_try
from tests.nat.igd import Entry, Igd
from tests.nat.loopback import LOCAL, own_gateway
from tests.nat.portserver import PortServer

QUICK = msgspec.structs.replace(
    NAT,
    pcp_deadline=0.2,
    natpmp_deadline=0.2,
    unmap_deadline=0.2,
    knock=0.5,
    resend=0.02,
    search=0.3,
    search_more=0.01,
)
NONCE = b"abcdefghijkl"


@pytest.fixture
def client() -> Client:
    return Client(QUICK)


def target_of(gateway: Gateway, protocol: str, port: int = 40000) -> Target:
    return Target(gateway=gateway, protocol=protocol, port=port, nonce=NONCE, external_port=port)


def mapping(gateway: Gateway, protocol: str, lease_s: int = 600) -> Map:
    target = target_of(gateway, protocol)
    return Map(target=target, lease_s=lease_s, seed=seed_of(target))


def granted(answer: object) -> Granted:
    assert isinstance(answer, Granted), answer
    return answer


def reason(answer: object) -> str:
    assert isinstance(answer, Failed), answer
    return answer.reason


# PCP and NAT-PMP


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp"])
def test_what_a_router_grants_is_read_back(
    client: Client, gateway: Gateway, server: PortServer, protocol: str
) -> None:
    server.moves_ports, server.lease = 7, 100
    answer = granted(client.carry_out(mapping(gateway, protocol)))
    assert (answer.target.external_port, answer.lease_s, answer.external_ip) == (40007, 100.0, "8.8.4.4")
    assert answer.epoch == 1000
    assert server.mappings == {(protocol, 40000): 40007}


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp"])
def test_a_mapping_is_deleted_by_the_port_it_leads_to(
    client: Client, gateway: Gateway, server: PortServer, protocol: str
) -> None:
    target = granted(client.carry_out(mapping(gateway, protocol))).target
    assert client.carry_out(Unmap(target=target)) == Unmapped()
    assert server.mappings == {}


@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize(
    ("protocol", "result", "expected"),
    [
        ("pcp", 2, "refused"),
        ("pcp", 7, "no-wan"),
        ("pcp", 8, "no-resources"),
        ("pcp", 11, "conflict"),
        ("pcp", 200, "refused"),
        ("nat-pmp", 2, "refused"),
        ("nat-pmp", 3, "no-wan"),
        ("nat-pmp", 4, "no-resources"),
        ("nat-pmp", 500, "refused"),
    ],
)
def test_a_refusal_says_why_however_short_it_is(
    client: Client,
    gateway: Gateway,
    server: PortServer,
    protocol: str,
    result: int,
    expected: str,
    is_short: bool,
) -> None:
    server.result, server.is_short = result, is_short
    assert reason(client.carry_out(mapping(gateway, protocol))) == expected


@pytest.mark.parametrize(("asked", "spoken"), [("pcp", "nat-pmp"), ("nat-pmp", "pcp")])
def test_a_router_that_speaks_only_the_other_protocol_is_told_by_its_refusal(
    client: Client, gateway: Gateway, server: PortServer, asked: str, spoken: str
) -> None:
    server.speaks = {spoken}
    assert reason(client.carry_out(mapping(gateway, asked))) == "unsupported"
    assert granted(client.carry_out(mapping(gateway, spoken))).target.external_port == 40000


def test_an_answer_with_another_nonce_is_not_taken(
    client: Client, gateway: Gateway, server: PortServer
) -> None:
    server.wrong_nonce = True
    assert reason(client.carry_out(mapping(gateway, "pcp"))) == "timeout"
    assert server.asked > 2, "it was not asked again"


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp"])
def test_an_answer_to_another_request_is_not_taken(
    client: Client, gateway: Gateway, server: PortServer, protocol: str
) -> None:
    server.wrong_opcode = True
    assert reason(client.carry_out(mapping(gateway, protocol))) == "timeout"


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp"])
def test_junk_and_silence_end_at_the_deadline(
    client: Client, gateway: Gateway, server: PortServer, protocol: str
) -> None:
    server.junk = b"\x00"
    assert reason(client.carry_out(mapping(gateway, protocol))) == "timeout"
    server.junk, server.is_silent = b"", True
    assert reason(client.carry_out(mapping(gateway, protocol))) == "timeout"


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp"])
def test_a_closed_port_is_final_at_once(gateway: Gateway, protocol: str) -> None:
    patient = Client(msgspec.structs.replace(NAT, resend=30.0))
    assert reason(patient.carry_out(mapping(gateway, protocol))) == "closed"


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp"])
def test_a_grant_of_no_time_is_none(
    client: Client, gateway: Gateway, server: PortServer, protocol: str
) -> None:
    server.lease = 0
    assert reason(client.carry_out(mapping(gateway, protocol))) == "malformed"


def test_descriptors_beyond_1023_are_no_obstacle(
    client: Client, gateway: Gateway, server: PortServer
) -> None:
    with ExitStack() as held:
        while held.enter_context(socket.socket()).fileno() < 1100:
            pass
        assert granted(client.carry_out(mapping(gateway, "pcp"))).lease_s == 600.0
        assert granted(client.carry_out(mapping(gateway, "nat-pmp"))).lease_s == 600.0


def test_an_address_that_nobody_is_routed_to_is_unreachable(client: Client) -> None:
    nowhere = Gateway("255.255.255.255", LOCAL)
    assert reason(client.carry_out(mapping(nowhere, "pcp"))) == "unreachable"


# UPnP


def test_upnp_maps_with_a_lease_and_deletes(client: Client, gateway: Gateway, igd: Igd) -> None:
    answer = granted(client.carry_out(mapping(gateway, "upnp")))
    assert (answer.external_ip, answer.lease_s, answer.target.device) == ("8.8.4.4", 600.0, igd.url)
    assert igd.mappings == {(40000, "TCP"): Entry(LOCAL, 40000, 600)}
    assert client.carry_out(Unmap(target=answer.target)) == Unmapped()
    assert igd.mappings == {}
    assert client.carry_out(Unmap(target=answer.target)) == Unmapped(), "what is gone is gone"


def test_a_taken_port_718_leads_to_another_one_the_same_each_time(
    client: Client, gateway: Gateway, igd: Igd
) -> None:
    igd.taken = {40000}
    ask = mapping(gateway, "upnp")
    chosen = granted(client.carry_out(ask)).target.external_port
    assert chosen == ports_to_try(ask.target, ask.seed, QUICK)[1] != 40000
    assert granted(client.carry_out(ask)).target.external_port == chosen


def test_when_all_ports_are_taken_the_tries_end(client: Client, gateway: Gateway, igd: Igd) -> None:
    igd.taken = set(range(65536))
    assert reason(client.carry_out(mapping(gateway, "upnp"))) == "conflict"
    assert igd.calls.count("AddPortMapping") == QUICK.port_tries


def test_the_mapping_of_another_host_or_port_is_left_alone(
    client: Client, gateway: Gateway, igd: Igd
) -> None:
    others = {(40000, "TCP"): Entry("127.0.0.2", 40000, 0)}
    igd.mappings = dict(others)
    answer = granted(client.carry_out(mapping(gateway, "upnp")))
    assert answer.target.external_port != 40000
    other = msgspec.structs.replace(answer.target, external_port=40000)
    assert client.carry_out(Unmap(target=other)) == Unmapped()
    assert igd.mappings.items() >= others.items()


def test_a_router_with_permanent_leases_only_725_maps_until_it_is_deleted(
    client: Client, gateway: Gateway, igd: Igd
) -> None:
    igd.permanent_only = True
    answer = granted(client.carry_out(mapping(gateway, "upnp")))
    assert answer.lease_s == 0.0
    assert igd.mappings == {(40000, "TCP"): Entry(LOCAL, 40000, 0)}


@pytest.mark.parametrize(
    ("code", "expected"), [(606, "refused"), (501, "no-wan"), (728, "no-resources"), (899, "refused")]
)
def test_a_refusal_by_upnp_says_why(
    client: Client, gateway: Gateway, igd: Igd, code: int, expected: str
) -> None:
    igd.refused = code
    assert reason(client.carry_out(mapping(gateway, "upnp"))) == expected
    assert igd.mappings == {}


def test_a_router_without_a_connection_is_not_used(client: Client, gateway: Gateway, igd: Igd) -> None:
    igd.status = "Disconnected"
    assert reason(client.carry_out(mapping(gateway, "upnp"))) == "no-wan"
    assert "AddPortMapping" not in igd.calls


@pytest.mark.parametrize("said", ["", "0.0.0.0", "junk", "1.2.3.4.5", "::1", "224.0.0.1"])
def test_an_external_address_that_is_none_is_left_out(
    client: Client, gateway: Gateway, igd: Igd, said: str
) -> None:
    igd.external_ip = said
    assert granted(client.carry_out(mapping(gateway, "upnp"))).external_ip == ""


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 64,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"<root>" * 500,
        b"HTTP/1.1 -1 x\r\n\r\n\xff\xfe",
    ],
)
def test_junk_instead_of_a_description_fails_and_is_survived(
    client: Client, gateway: Gateway, igd: Igd, junk: bytes
) -> None:
    igd.junk = junk
    assert isinstance(client.carry_out(mapping(gateway, "upnp")), Failed)
    igd.junk = b""
    assert granted(client.carry_out(mapping(gateway, "upnp"))).lease_s == 600.0


def test_a_description_that_sends_elsewhere_is_not_followed(
    client: Client, gateway: Gateway, igd: Igd
) -> None:
    with Igd(own_gateway().address).running() as victim:
        igd.control = victim.url
        assert reason(client.carry_out(mapping(gateway, "upnp"))) == "malformed"
        assert victim.calls == []


def test_a_look_at_a_mapping_tells_a_new_address_and_that_it_is_gone(
    client: Client, gateway: Gateway, igd: Igd
) -> None:
    target = granted(client.carry_out(mapping(gateway, "upnp"))).target
    igd.external_ip = "8.8.8.8"
    seen = granted(client.carry_out(Check(target=target, lease_s=600)))
    assert (seen.external_ip, seen.renewed) == ("8.8.8.8", False)
    igd.forget()
    assert reason(client.carry_out(Check(target=target, lease_s=600))) == "gone"


def test_a_router_that_moved_to_another_description_is_found_again(client: Client, gateway: Gateway) -> None:
    with Igd(gateway.address).running():
        target = granted(client.carry_out(mapping(gateway, "upnp"))).target
    with Igd(gateway.address).running() as anew:
        assert isinstance(client.carry_out(Map(target=target, lease_s=600)), Failed)
        again = granted(client.carry_out(Map(target=target, lease_s=600)))
        assert again.target.device == anew.url


def test_no_router_that_speaks_upnp_is_no_device(client: Client, gateway: Gateway) -> None:
    assert reason(client.carry_out(mapping(gateway, "upnp"))) == "no-device"


# Knocking and asking


def test_a_knock_tells_who_is_there(client: Client, gateway: Gateway, server: PortServer, igd: Igd) -> None:
    assert client.carry_out(Knock(gateway=gateway)) == Knocked(answered=("pcp", "nat-pmp", "upnp"))
    server.speaks, igd.searchable = {"nat-pmp"}, False
    assert client.carry_out(Knock(gateway=gateway)) == Knocked(answered=("nat-pmp",))


def test_a_knock_at_nobody_is_answered_by_nobody(client: Client, gateway: Gateway) -> None:
    assert client.carry_out(Knock(gateway=gateway)) == Knocked(answered=())


def test_each_protocol_says_what_it_knows_without_mapping(
    client: Client, gateway: Gateway, server: PortServer, igd: Igd
) -> None:
    assert client.carry_out(Inquire(gateway=gateway, protocol="pcp")) == Inquired()
    assert client.carry_out(Inquire(gateway=gateway, protocol="nat-pmp")) == Inquired(external_ip="8.8.4.4")
    found = client.carry_out(Inquire(gateway=gateway, protocol="upnp"))
    assert found == Inquired(external_ip="8.8.4.4", device=igd.url, name="Connected")
    assert server.mappings == {}
    assert igd.mappings == {}
