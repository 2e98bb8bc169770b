"""UPnP IGD: the conversation with one router, through miniupnpc, whose errors are bare texts.

What a router answers is not believed before it was checked, and nothing is handed to the C library that it does not check itself:
it takes port 70000 for 4464, and does not escape descriptions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import msgspec

from cicada.limits import NatLimits
from cicada.nat.requests import Fault, Granted, Inquired, Target, Unmapped, clean_address

DESCRIPTION: Final = "cicada"  # routers store and show it; short ASCII, because nobody escapes it
_CONNECTED: Final = "Connected"
_PERMANENT: Final = 0

CONFLICT: Final = 718
ONLY_PERMANENT: Final = 725
_NO_SUCH_ENTRY: Final = 714

# What miniupnpc raises: its names of error codes (UPnP IGD 2.2.2 and WANIPConnection), and what they mean for the asker.
_CODES: Final = {
    "Invalid Action": (401, "unsupported"),
    "Invalid Args": (402, "malformed"),
    "Action Failed": (501, "no-wan"),
    "Action not authorized": (606, "refused"),
    "NoSuchEntryInArray": (_NO_SUCH_ENTRY, "gone"),
    "WildCardNotPermittedInSrcIP": (715, "refused"),
    "WildCardNotPermittedInExtPort": (716, "refused"),
    "ConflictInMappingEntry": (CONFLICT, "conflict"),
    "SamePortValuesRequired": (724, "conflict"),
    "OnlyPermanentLeasesSupported": (ONLY_PERMANENT, "refused"),
    "RemoteHostOnlySupportsWildcard": (726, "refused"),
    "ExternalPortOnlySupportsWildcard": (727, "refused"),
    "NoPortMapsAvailable": (728, "no-resources"),
    "ConflictWithOtherMechanisms": (729, "conflict"),
    "PortMappingNotFound": (730, "gone"),
    "WildCardNotPermittedInIntPort": (732, "refused"),
    "Miniupnpc HTTP error": (0, "timeout"),
    "Miniupnpc Socket error": (0, "timeout"),
    "Success": (0, "no-device"),  # what miniupnpc says when it found nothing
}


class Igd(Protocol):
    """What is used of ``miniupnpc.UPnP`` once it has selected a router. Every call blocks and raises a bare Exception."""

    def statusinfo(self) -> tuple[str, int, str]: ...
    def externalipaddress(self) -> str: ...
    def addportmapping(
        self, ext: int, proto: str, host: str, port: int, desc: str, remote: str, lease: int, /
    ) -> object: ...
    def deleteportmapping(self, ext: int, proto: str, /) -> object: ...
    def getspecificportmapping(self, ext: int, proto: str, /) -> Any: ...


class Entry(msgspec.Struct, frozen=True):
    """A mapping as the router has it. ``lease`` in seconds, 0: until it is deleted."""

    host: str
    port: int
    lease: int


@contextmanager
def faults() -> Iterator[None]:
    """What miniupnpc raises inside is raised as Fault."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the library knows no other class
        raise fault_of(error) from None


def fault_of(error: Exception) -> Fault:
    """What an exception of miniupnpc says."""
    text = str(error)[:80]
    # Codes that the library has no name for are refusals all the same; it raises other classes for what it cannot decode
    code, reason = _CODES.get(text, (0, "refused" if type(error) is Exception else "malformed"))
    return Fault(reason, f"UPnP error {code}: {text}" if code else f"UPnP: {text}", code)


def ports_to_try(target: Target, seed: int, limits: NatLimits) -> list[int]:
    """External ports, best first: the last own one, the port itself, then others, the same ones for the same seed."""
    chosen = [port for port in (target.external_port, target.port) if port]
    numbers = random.Random(seed)
    while len(dict.fromkeys(chosen)) < limits.port_tries:
        chosen.append(numbers.randint(limits.first_other_port, limits.last_other_port))
    return list(dict.fromkeys(chosen))


def is_connected(igd: Igd) -> bool:
    """Whether the router says that it is connected to the internet. Raises Fault."""
    return _status(igd) == _CONNECTED


def inquire(igd: Igd, device: str) -> Inquired:
    """What the router says of itself. Raises Fault."""
    status = _status(igd)
    return Inquired(external_ip=_external_ip(igd), device=device, name=status)


def map_port(igd: Igd, target: Target, lease_s: int, seed: int, limits: NatLimits) -> Granted:
    """Make or renew a mapping and read back what became of it. Raises Fault."""
    if not is_connected(igd):
        raise Fault("no-wan", "the router says that it is not connected")
    external_ip = _external_ip(igd)
    last: Fault | None = None
    for external_port in ports_to_try(target, seed, limits):
        wanted = msgspec.structs.replace(target, external_port=external_port)
        try:
            return Granted(target=wanted, external_ip=external_ip, lease_s=float(_add(igd, wanted, lease_s)))
        except Fault as fault:
            # 718 may also mean that this host may map nothing, 501 that it may not have this port, so tries are bounded
            if fault.failed.reason not in ("conflict", "no-wan"):
                raise
            last = fault
    raise last or Fault("conflict", "no external port to try")


def check(igd: Igd, target: Target) -> Granted:
    """Whether a mapping stands. Raises Fault (``gone``)."""
    external_ip = _external_ip(igd)
    entry = _entry(igd, target)
    if entry is None and external_ip == _external_ip(igd):
        # None may be an HTTP error as well; a router that goes on answering other questions has none
        entry = _entry(igd, target)
    if entry is None or not _is_own(entry, target):
        raise Fault("gone", f"no mapping of external port {target.external_port}")
    return Granted(target=target, external_ip=external_ip, lease_s=float(entry.lease), renewed=False)


def unmap(igd: Igd, target: Target) -> Unmapped:
    """Delete a mapping, unless it has become another host's. Raises Fault."""
    entry = _entry(igd, target)
    if entry is not None and not _is_own(entry, target):
        return Unmapped()
    try:
        with faults():
            igd.deleteportmapping(target.external_port, target.transport.upper())
    except Fault as fault:
        if fault.code != _NO_SUCH_ENTRY:
            raise
    return Unmapped()


def _add(igd: Igd, target: Target, lease_s: int) -> int:
    """The lease that was granted. Another port of this host keeps its mapping: the router would replace it unasked."""
    entry = _entry(igd, target)
    if entry is not None and not _is_own(entry, target):
        raise Fault("conflict", f"external port {target.external_port} is {entry.host}'s")
    try:
        _add_once(igd, target, lease_s)
    except Fault as fault:
        if fault.code != ONLY_PERMANENT:
            raise
        _add_once(igd, target, _PERMANENT)
        return _PERMANENT
    made = _entry(igd, target)
    if made is None:  # some routers cannot show one
        return lease_s
    if not _is_own(made, target):
        raise Fault("conflict", f"external port {target.external_port} went to {made.host}")
    return min(made.lease, lease_s) if lease_s else _PERMANENT


def _add_once(igd: Igd, target: Target, lease_s: int) -> None:
    with faults():
        igd.addportmapping(
            target.external_port,
            target.transport.upper(),
            target.gateway.local,
            target.port,
            DESCRIPTION,
            "",
            lease_s,
        )


def _entry(igd: Igd, target: Target) -> Entry | None:
    """The mapping of an external port; None when there is none, or the router did not say it in an understandable way."""
    try:
        with faults():
            found = igd.getspecificportmapping(target.external_port, target.transport.upper())
    except Fault as fault:
        if fault.failed.reason == "timeout":
            raise
        return None
    match found:
        case (str(host), int(port), _, _, int(lease)):
            return Entry(host, port, max(lease, 0))
        case _:
            return None


def _is_own(entry: Entry, target: Target) -> bool:
    return (entry.host, entry.port) == (target.gateway.local, target.port)


def _status(igd: Igd) -> str:
    with faults():
        return igd.statusinfo()[0][:80]


def _external_ip(igd: Igd) -> str:
    with faults():
        return clean_address(igd.externalipaddress())
