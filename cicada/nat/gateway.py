"""The default router, and this machine's address towards it."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec

from cicada.nat.requests import Gateway

_ROUTES: Final = Path("/proc/net/route")
_UP: Final = 0x1  # RTF_UP, linux/route.h
_GATEWAY: Final = 0x2  # RTF_GATEWAY
_COLUMNS: Final = 8
_ANY_PORT: Final = 9  # discard; nothing is sent to it


class Route(msgspec.Struct, frozen=True):
    """A line of the routing table. Without ``gateway`` the network is at the interface itself."""

    interface: str
    network: ipaddress.IPv4Network
    gateway: str
    metric: int


def find_gateway() -> Gateway | None:
    """The default router; None when there is none, or nothing that can tell."""
    routes = _linux_routes() if sys.platform == "linux" else []
    found = default_route(routes)
    address, interface = (found.gateway, found.interface) if found is not None else _by_netifaces()
    local = local_address(address) if address else ""
    if not local:
        return None
    return Gateway(
        address, local, interface, subnet_of(address, interface, routes) or _netmask(interface, local)
    )


def parse_routes(text: str) -> list[Route]:
    """The usable lines of /proc/net/route, whose addresses are hexadecimal numbers in this machine's byte order."""
    routes = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < _COLUMNS:
            continue
        try:
            flags, metric = int(fields[3], 16), int(fields[6])
            destination, gateway, mask = (_address(fields[column]) for column in (1, 2, 7))
            network = ipaddress.IPv4Network(f"{destination}/{mask}", strict=False)
        except (ValueError, OverflowError):
            continue
        if flags & _UP:
            routes.append(Route(fields[0], network, gateway if flags & _GATEWAY else "", metric))
    return routes


def default_route(routes: list[Route]) -> Route | None:
    """The default route through a router that has the lowest metric, the first of several.

    A default route without a router (``default dev tun0``) has nobody who could be asked.
    """
    defaults = [route for route in routes if route.network.prefixlen == 0 and route.gateway]
    return min(defaults, key=lambda route: route.metric, default=None)


def subnet_of(address: str, interface: str, routes: list[Route]) -> str:
    """The network in which an address is this interface's neighbour; empty when no route says so."""
    wanted = ipaddress.IPv4Address(address)
    near = [
        route.network
        for route in routes
        if not route.gateway and route.interface == interface and wanted in route.network
    ]
    best = max(near, key=lambda network: network.prefixlen, default=None)
    return "" if best is None else str(best)


def local_address(gateway: str) -> str:
    """The address that packets to the gateway leave from; empty when none can. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((gateway, _ANY_PORT))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return address


def _linux_routes() -> list[Route]:
    try:
        return parse_routes(_ROUTES.read_text("ascii", "replace"))
    except OSError:  # a container without /proc
        return []


def _address(number: str) -> str:
    return str(ipaddress.IPv4Address(int(number, 16).to_bytes(4, sys.byteorder)))


def _by_netifaces() -> tuple[str, str]:
    """Address and interface as netifaces-plus has them; empty texts when it has none or is not installed."""
    try:
        import netifaces
    except ImportError:
        return "", ""
    try:
        address, interface = netifaces.gateways()["default"][netifaces.AF_INET][:2]
    except (KeyError, ValueError, OSError):  # no default route
        return "", ""
    return str(address), str(interface)


def _netmask(interface: str, local: str) -> str:
    try:
        import netifaces

        for entry in netifaces.ifaddresses(interface).get(netifaces.AF_INET, ()):
            if entry.get("addr") == local:
                return str(ipaddress.IPv4Network(f"{local}/{entry['netmask']}", strict=False))
    except (
        ImportError,
        KeyError,
        ValueError,
        OSError,
    ):  # a subnet is a refinement: only the gateway is believed then
        return ""
    return ""
