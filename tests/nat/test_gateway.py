"""The default gateway, out of routing tables as Linux writes them, and out of netifaces elsewhere."""

from __future__ import annotations

import builtins
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.nat import gateway
from cicada.nat.gateway import Route, default_route, parse_routes, subnet_of

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the samples are from such a machine")


def table(*lines: str) -> str:
    return HEADER + "".join("\t".join(line.split()) + "\n" for line in lines)


def chosen(text: str) -> str:
    found = default_route(parse_routes(text))
    return "" if found is None else f"{found.gateway} {found.interface}"


LAN = "eth0 0001A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0"


@little_endian
def test_the_default_route_is_the_gateway() -> None:
    assert chosen(table("eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0", LAN)) == "192.168.1.1 eth0"


@little_endian
def test_of_several_default_routes_the_lowest_metric_counts() -> None:
    wifi = "wlan0 00000000 0102A8C0 0003 0 0 600 00000000 0 0 0"
    cable = "eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0"
    assert chosen(table(wifi, cable)) == chosen(table(cable, wifi)) == "192.168.1.1 eth0"


@little_endian
@pytest.mark.parametrize(
    "line",
    [
        "tun0 00000000 00000000 0001 0 0 0 00000000 0 0 0",  # a device, nobody to ask
        "eth0 00000000 0101A8C0 0002 0 0 0 00000000 0 0 0",  # down
        "tun0 00000000 0100080A 0003 0 0 0 00000080 0 0 0",  # half the internet, as a VPN has it
        LAN,
        "eth0 junk",
        "eth0 xyz 0101A8C0 0003 0 0 100 00000000 0 0 0",
        "eth0 00000000 FFFFFFFFFF 0003 0 0 100 00000000 0 0 0",
        "eth0 00000000 0101A8C0 0003 0 0 100 00FF00FF 0 0 0",
    ],
)
def test_what_is_no_default_route_is_none(line: str) -> None:
    assert chosen(table(line)) == ""


@little_endian
def test_the_subnet_is_that_of_the_interface() -> None:
    routes = parse_routes(table(LAN, "eth1 0001A8C0 00000000 0001 0 0 0 0000FFFF 0 0 0"))
    assert subnet_of("192.168.1.1", "eth0", routes) == "192.168.1.0/24"
    assert subnet_of("192.168.1.1", "eth2", routes) == ""


@given(st.text(max_size=300))
def test_whatever_stands_in_the_table_reading_it_fails_at_nothing(text: str) -> None:
    assert all(isinstance(route, Route) for route in parse_routes(HEADER + text))


def elsewhere(patch: pytest.MonkeyPatch, netifaces: Any) -> None:
    """A machine that is not Linux, with or without netifaces."""
    patch.setattr(gateway, "sys", SimpleNamespace(platform="darwin", byteorder=sys.byteorder))
    if netifaces is not None:
        patch.setitem(sys.modules, "netifaces", netifaces)
        return
    patch.delitem(sys.modules, "netifaces", raising=False)
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "netifaces":
            raise ImportError(name)
        return found(name, *rest)

    patch.setattr(builtins, "__import__", without)


def fake_netifaces(gateways: dict[Any, Any]) -> SimpleNamespace:
    address = {"addr": "127.0.0.1", "netmask": "255.0.0.0"}
    return SimpleNamespace(AF_INET=2, gateways=lambda: gateways, ifaddresses=lambda _: {2: [address]})


def test_elsewhere_netifaces_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch, fake_netifaces({"default": {2: ("127.0.0.9", "lo0")}}))
    found = gateway.find_gateway()
    assert found is not None
    assert (found.address, found.local, found.interface, found.subnet) == (
        "127.0.0.9",
        "127.0.0.1",
        "lo0",
        "127.0.0.0/8",
    )


@pytest.mark.parametrize("gateways", [{"default": {}}, {2: []}])
def test_elsewhere_without_a_default_route_there_is_no_gateway(
    monkeypatch: pytest.MonkeyPatch, gateways: dict[Any, Any]
) -> None:
    elsewhere(monkeypatch, fake_netifaces(gateways))
    assert gateway.find_gateway() is None


def test_elsewhere_without_netifaces_there_is_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch, None)
    assert gateway.find_gateway() is None
