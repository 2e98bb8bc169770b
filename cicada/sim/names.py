"""Addresses for simulated peers."""

from __future__ import annotations

from cicada.errors import Misuse
from cicada.ids import Peer, canonical_address, peer_at

FIRST_PORT = 20000
PORTS = 40000
"""Of one host; the next ones are on the next host."""
MOST_HOSTS = 1 << 16


def peer_number(number: int) -> Peer:
    """The simulated peer with this number, from 0. Its place is as good as random."""
    host, port = divmod(number, PORTS)
    if not 0 <= host < 1 << 16:
        raise Misuse(f"there is no simulated peer {number}")
    return peer_at(canonical_address(f"127.0.{host >> 8}.{1 + host & 0xFF}", FIRST_PORT + port))


def peer_on(host: int, number: int) -> Peer:
    """The simulated peer with this number among those at one IP, both from 0. With hosts grouped, an IP is a host."""
    if not (0 <= host < MOST_HOSTS and 0 <= number < PORTS):
        raise Misuse(f"there is no simulated peer {number} on a host {host}")
    return peer_at(canonical_address(f"127.1.{host >> 8}.{host & 0xFF}", FIRST_PORT + number))


def spread(number: int, hosts: int) -> Peer:
    """The simulated peer with this number when all are dealt out to so many hosts in turn."""
    return peer_on(number % hosts, number // hosts)
