"""What the helper process is asked, and what it answers. Small frozen values in closed families.

Seconds are floats; addresses are texts.
"""

from __future__ import annotations

import ipaddress
import zlib
from random import Random
from typing import Final

import msgspec

from cicada.errors import CicadaError, Misuse
from cicada.ids import MAX_PORT
from cicada.limits import NatLimits

PCP: Final = "pcp"
NAT_PMP: Final = "nat-pmp"
UPNP: Final = "upnp"
PROTOCOLS: Final = (PCP, NAT_PMP, UPNP)
"""In the order in which they are tried: the quicker and stricter first."""

NONCE_BYTES: Final = 12  # of PCP, RFC 6887 section 11.1
LEAVE: Final = "leave"
"""The helper's second argument: what it mapped stays when it ends."""

TCP: Final = "tcp"
UDP: Final = "udp"


class Gateway(msgspec.Struct, frozen=True):
    """The default router and this machine's address towards it (IPv4)."""

    address: str
    local: str
    interface: str = ""
    subnet: str = ""  # of the interface, as 192.168.1.0/24; empty: not known


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One mapping. Whoever repeats it renews; ``nonce`` (12 bytes) shows PCP servers that it is the same client."""

    gateway: Gateway
    protocol: str
    port: int
    nonce: bytes
    external_port: int = 0  # the one that is wished for, or was granted; 0: any
    transport: str = TCP
    device: str = ""  # UPnP: where the router's description is; empty: to be searched for


class Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask"):
    """Base of all requests. The tag is the class name."""


class FindGateway(Request, frozen=True, kw_only=True, tag=True):
    """Answered by GatewayFound, or Failed (``no-gateway``)."""


class Knock(Request, frozen=True, kw_only=True, tag=True):
    """Is anybody there? Answered by Knocked, within NAT.knock seconds."""

    gateway: Gateway


class Inquire(Request, frozen=True, kw_only=True, tag=True):
    """What the router says of itself in one protocol, changing nothing. Answered by Inquired or Failed."""

    gateway: Gateway
    protocol: str


class Map(Request, frozen=True, kw_only=True, tag=True):
    """Make or renew a mapping. Answered by Granted or Failed. ``seed`` picks the other ports that UPnP tries."""

    target: Target
    lease_s: int
    seed: int = 0


class Check(Request, frozen=True, kw_only=True, tag=True):
    """Is the mapping there, and what is the external address? Answered by Granted or Failed (``gone``).

    With PCP and NAT-PMP a renewal is the cheapest way to ask; with UPnP nothing is renewed, as Granted says.
    """

    target: Target
    lease_s: int


class Unmap(Request, frozen=True, kw_only=True, tag=True):
    """Delete a mapping. Answered by Unmapped, also when there was none, or Failed."""

    target: Target


AnyRequest = FindGateway | Knock | Inquire | Map | Check | Unmap


# Answers


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="say"):
    """Base of all answers. The tag is the class name."""


class GatewayFound(Answer, frozen=True, kw_only=True, tag=True):
    """Answer to FindGateway."""

    gateway: Gateway


class Knocked(Answer, frozen=True, kw_only=True, tag=True):
    """The protocols in which something answered."""

    answered: tuple[str, ...]


class Inquired(Answer, frozen=True, kw_only=True, tag=True):
    """``external_ip`` is empty with PCP, which tells it of a mapping only."""

    external_ip: str = ""
    device: str = ""
    name: str = ""  # how the device calls its connection


class Granted(Answer, frozen=True, kw_only=True, tag=True):
    """A mapping stands. ``target`` is the asked one with the port and device that it has now."""

    target: Target
    external_ip: str
    lease_s: float  # 0: until it is deleted
    renewed: bool = True  # False: the lease goes on as it was
    epoch: int | None = None  # seconds since the router lost its mappings, where the protocol says it


class Unmapped(Answer, frozen=True, kw_only=True, tag=True):
    """A mapping stands no more."""


class Failed(Answer, frozen=True, kw_only=True, tag=True):
    """``reason``: see advice.REASONS; ``text``: what exactly happened, for people."""

    reason: str
    text: str = ""


class Fault(CicadaError):
    """A router refused or failed, as ``failed`` says. Within the helper only; ``code`` is UPnP's, 0 when there is none."""

    def __init__(self, reason: str, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.failed = Failed(reason=reason, text=text)
        self.code = code


AnyAnswer = GatewayFound | Knocked | Inquired | Granted | Unmapped | Failed


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """A router said, unasked, that it has started anew or has another address (RFC 6887, 14.1; RFC 6886, 3.2.1)."""

    gateway: str
    epoch: int


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A request on its way to the helper."""

    id: int
    request: AnyRequest


class Said(msgspec.Struct, frozen=True, array_like=True):
    """An answer on its way back; or, with id 0, what a router announced."""

    id: int
    answer: AnyAnswer | None = None
    announced: Announced | None = None


def deadline_of(request: AnyRequest, limits: NatLimits) -> float:
    """Seconds within which a request is to be answered."""
    match request:
        case FindGateway():
            return limits.gateway_deadline
        case Knock():
            return limits.knock
        case Unmap():
            return limits.unmap_deadline
        case Map(target=target):
            return _protocol_deadline(target.protocol, limits)
        case Check(target=target):
            return min(_protocol_deadline(target.protocol, limits), limits.check_deadline)
        case Inquire(protocol=protocol):
            return _protocol_deadline(protocol, limits)


def _protocol_deadline(protocol: str, limits: NatLimits) -> float:
    return {PCP: limits.pcp_deadline, NAT_PMP: limits.natpmp_deadline}.get(protocol, limits.upnp_deadline)


def checked_port(port: int) -> int:
    """The port. Raises Misuse when it is none: C libraries take 70000 for 4464."""
    if not 1 <= port <= MAX_PORT:
        raise Misuse(f"port {port!r} is out of range: use 1 to {MAX_PORT}")
    return port


def checked_transport(transport: str) -> str:
    """``tcp`` or ``udp``, however it was written. Raises Misuse when it is neither."""
    if transport.lower() not in (TCP, UDP):
        raise Misuse(f"{transport!r} cannot be mapped: use {TCP} or {UDP}")
    return transport.lower()


def checked_protocol(protocol: str) -> str:
    """One of PROTOCOLS. Raises Misuse when it is none."""
    if protocol not in PROTOCOLS:
        raise Misuse(f"{protocol!r} is no protocol for port mapping: use {', '.join(PROTOCOLS)}")
    return protocol


def seed_of(target: Target) -> int:
    """Picks the other external ports that UPnP tries: the same after a restart, others on another machine."""
    return zlib.crc32(f"{target.gateway.local} {target.transport} {target.port}".encode())


def new_nonce(rng: Random) -> bytes:
    """For a new mapping. ``rng`` should be one that nobody can foretell."""
    return rng.randbytes(NONCE_BYTES)


def is_global(address: str) -> bool:
    """Whether a text is the address of a host that all of the internet can dial; nonsense is not."""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast


def clean_address(address: object) -> str:
    """An address as a router said it, or an empty text when it is none, or none of a host."""
    if not isinstance(address, str):
        return ""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return ""
    return "" if parsed.is_unspecified or parsed.is_multicast else str(parsed)
