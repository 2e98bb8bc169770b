"""Who may be connected without having finished a handshake, and for how long.

When there is no room the oldest stranger makes way, of the same source when that is what is full: an honest handshake
takes milliseconds, a silent connection stays, so a flood mostly displaces itself.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

from cicada.limits import ENDPOINT, EndpointLimits
from cicada.transport.base import ConnectionId

LOCAL: Final = "local"
"""Source of a connection whose two ends are hosted here. It holds no descriptor and no outsider can make one, so it meets
no limit but the time-out: displacing such connections made peers of one worker take each other for dead."""


def source_of(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address. Other text stands for itself."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.version == 6 and not ip.is_loopback:
        return str(ipaddress.ip_network((ip, ENDPOINT.ipv6_site_bits), strict=False))
    return str(ip)


def is_loopback(source: str) -> bool:
    """Whether the source is this machine: all its users, and each peer that another process hosts, are one source."""
    try:
        return ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False


class Strangers:
    """Connections that nobody authenticated yet, oldest first, in all and per source. Times in seconds."""

    def __init__(self, limits: EndpointLimits, most: int) -> None:
        self._limits = limits
        self._most = most
        self._deadlines: OrderedDict[ConnectionId, tuple[float, str]] = OrderedDict()
        self._of_source: dict[str, OrderedDict[ConnectionId, None]] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, connection: ConnectionId) -> bool:
        return connection in self._deadlines

    def admit(self, connection: ConnectionId, source: str, now: float) -> tuple[ConnectionId, str] | None:
        """Take in a stranger. Returns the one that must be closed to make room, if any, and the reason."""
        mine = self._of_source.setdefault(source, OrderedDict())
        displaced = None
        if len(mine) >= self._allowance(source):
            displaced = next(iter(mine)), "strangers-per-source"
        elif len(self._deadlines) >= self._most:
            displaced = next(iter(self._deadlines)), "strangers"
        mine[connection] = None
        self._deadlines[connection] = (now + self._limits.unauthenticated_seconds, source)
        if displaced is not None:
            self.remove(displaced[0])
        return displaced

    def oldest(self) -> ConnectionId | None:
        """Who is a stranger for longest."""
        return next(iter(self._deadlines), None)

    def remove(self, connection: ConnectionId) -> None:
        """Forget a connection: authenticated, or gone. Unknown ones are ignored."""
        entry = self._deadlines.pop(connection, None)
        if entry is not None:
            mine = self._of_source[entry[1]]
            del mine[connection]
            if not mine:
                del self._of_source[entry[1]]

    def expired(self, now: float) -> list[ConnectionId]:
        """Those whose time is over; they stay until removed."""
        found = []
        for connection, (deadline, _source) in self._deadlines.items():
            if deadline > now:
                break
            found.append(connection)
        return found

    def _allowance(self, source: str) -> int:
        if source == LOCAL:
            return self._limits.max_indexes
        limits = self._limits
        return (
            limits.unauthenticated_per_loopback if is_loopback(source) else limits.unauthenticated_per_source
        )
