"""Hosts: which addresses count as one machine, so that nobody gains weight by opening more ports.

Whoever has a global address has its neighbours' as well, so the prefix that one user is commonly given counts: the /24 of
IPv4, the /48 of IPv6. Loopback, private and link-local addresses (all that ``ipaddress`` does not call global) say
nothing of that kind. There each peer is its own host, so that local swarms work; or, when they are grouped, each IP is
one with all its ports, so that 127.0.0.1 and 127.0.0.2 play two machines.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NewType

from cicada.ids import Address, is_hidden, split_address

Host = NewType("Host", str)
"""``203.0.114.0/24`` or ``2001:4860:1::/48``; of an address that is not global ``127.0.0.1`` when such are grouped, else
the address itself."""

HostOf = Callable[[Address], Host]
"""Names the host of a canonical address."""

IPV4_PREFIX: Final = 24
IPV6_PREFIX: Final = 48
_REMEMBERED: Final = 1 << 16


def host_of(address: Address, *, group_private: bool) -> Host:
    """The host of a canonical address. ``group_private``: addresses that are not global count by their IP."""
    return naming(group_private)(address)


def naming(group_private: bool) -> HostOf:
    """``host_of`` for one choice, for those who ask often."""
    return by_ip if group_private else by_peer


@lru_cache(_REMEMBERED)
def by_peer(address: Address) -> Host:
    """The host of an address, when each peer without a global address is its own."""
    return _network(address) if is_global(address) else Host(address)


@lru_cache(_REMEMBERED)
def by_ip(address: Address) -> Host:
    """The host of an address, when addresses that are not global count by their IP."""
    if is_hidden(address):
        return Host(address)
    return _network(address) if is_global(address) else Host(split_address(address)[0])


@lru_cache(_REMEMBERED)
def is_global(address: Address) -> bool:
    """Whether the address means the same machine everywhere."""
    return not is_hidden(address) and ipaddress.ip_address(split_address(address)[0]).is_global


def _network(address: Address) -> Host:
    ip = ipaddress.ip_address(split_address(address)[0])
    prefix = IPV4_PREFIX if ip.version == 4 else IPV6_PREFIX
    return Host(str(ipaddress.ip_network((ip, prefix), strict=False)))
