"""Names of interfaces and hosts turned into numeric addresses, by asking this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

import psutil

from cicada.errors import Misuse
from cicada.nat.gateway import find_gateway
from launcher.script.binding import Binding
from launcher.script.statements import HostTarget

ANY: Final = "0.0.0.0"  # noqa: S104  # others come in by whichever interface faces them
LOOPBACK: Final = "127.0.0.1"


async def bound_host(binding: Binding, seeds: Sequence[HostTarget]) -> str:
    """The numeric address to bind to. Where none is named, the one by which the peers to join can reach this one: loopback when
    they are all there, or when there is no network. Raises Misuse for a name that means nothing."""
    if binding.host:
        return _one_of_many(await numeric(binding.host), binding)
    addresses = [await _address_or_none(seed.host) for seed in seeds]
    known = [address for address in addresses if address]
    if known and all(ipaddress.ip_address(address).is_loopback for address in known):
        return known[0]
    if binding.external or find_gateway() is not None:
        return ANY
    return LOOPBACK


def _one_of_many(host: str, binding: Binding) -> str:
    """The host. Raises Misuse when it is every interface, and nobody can tell by which address others come in."""
    ip = ipaddress.ip_address(host)
    if ip.is_unspecified and not binding.external and (ip.version == 6 or find_gateway() is None):
        raise Misuse(
            f"{host} means every interface: add the address that others dial, as --bind {binding}@ADDRESS"
        )
    return host


async def numeric(name: str) -> str:
    """The address of an interface or a host, IPv4 rather than IPv6. Raises Misuse when there is none."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    interfaces = psutil.net_if_addrs()
    if name in interfaces:
        return of_interface(name, [address.address for address in interfaces[name]])
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        there = ", ".join(sorted(interfaces))
        raise Misuse(
            f"{name!r} is neither a host whose name resolves nor an interface: interfaces are {there}"
        ) from None
    return str(min(found, key=lambda info: info[0])[4][0])


def of_interface(name: str, addresses: Sequence[str]) -> str:
    """An address of the interface that means the same on other machines, IPv4 first."""
    found = []
    for text in addresses:
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:  # of the hardware, or with a zone
            continue
        if not (ip.version == 6 and ip.is_link_local):
            found.append(ip)
    if not found:
        raise Misuse(f"the interface {name!r} has no address: name another, or an address")
    return str(min(found, key=lambda ip: ip.version))


async def _address_or_none(host: str) -> str | None:
    try:
        return await numeric(host)
    except Misuse:
        return None  # joining through it will say so
