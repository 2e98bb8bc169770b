"""What the verbs of ``cicada nat`` show, and how a mapping is kept. Actors and helper processes are loaded when they are needed."""

from __future__ import annotations

import asyncio
import ipaddress
import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Final

import msgspec

from cicada.errors import Unavailable
from cicada.limits import CLI, NAT
from launcher import output

if TYPE_CHECKING:
    from cicada.nat.io import Mapped, NatNews
    from cicada.nat.manual import Probe, ProtocolProbe
    from launcher.nat.dial import DialBack

_SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")  # between a provider and its customers, RFC 6598
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping would look like. ``protocol`` is empty when there would be none, for ``reason``.

    ``is_global``: whether the internet could reach it; None while that is not known: PCP tells the address with a mapping only.
    """

    gateway: str = ""
    interface: str = ""
    local_ip: str = ""
    protocol: str = ""
    external_ip: str = ""
    is_global: bool | None = None
    reason: str = ""
    advice: str = ""


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the router says in each protocol."""

    gateway: str
    interface: str
    local_ip: str
    protocols: tuple[ProtocolProbe, ...]
    dialled_back: DialBack | None = None  # None: nobody was asked to


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A port that is no longer mapped."""

    port: int
    external_port: int


def outlook(probed: Probe) -> Outlook:
    """What a mapping would look like, of the protocols that were asked. They all tell of the same router, so what one of them does
    not say of the external address another may."""
    from cicada.nat.advice import advice
    from cicada.nat.requests import is_global

    if probed.gateway is None:
        return Outlook(reason="no-gateway", advice=advice("no-gateway"))
    router = Outlook(
        gateway=probed.gateway.address, interface=probed.gateway.interface, local_ip=probed.gateway.local
    )
    if is_global(router.local_ip):
        return msgspec.structs.replace(router, reason="not-needed", advice=advice("not-needed"))
    answering = [each for each in probed.protocols if each.answers]
    external_ip = next((each.external_ip for each in answering if each.external_ip), "")
    if reason := _obstacle(probed.protocols, external_ip):
        return msgspec.structs.replace(router, reason=reason, advice=advice(reason))
    known = is_global(external_ip) if external_ip else None
    return msgspec.structs.replace(
        router, protocol=answering[0].protocol, external_ip=external_ip, is_global=known
    )


def _obstacle(protocols: tuple[ProtocolProbe, ...], external_ip: str) -> str:
    """Why no port can be mapped; empty when nothing speaks against it. A router that is asked for its external address and names
    none has none of use: with PCP alone it was not asked."""
    from cicada.nat.advice import most_telling
    from cicada.nat.requests import PCP

    names_none = any(each.answers and each.protocol != PCP for each in protocols) and not external_ip
    if names_none or any(each.reason == "no-wan" for each in protocols):
        return "no-wan"
    return (
        "" if any(each.answers for each in protocols) else most_telling([each.reason for each in protocols])
    )


def report(probed: Probe) -> ProbeReport:
    gateway = probed.gateway
    return ProbeReport(
        gateway=gateway.address if gateway else "",
        interface=gateway.interface if gateway else "",
        local_ip=gateway.local if gateway else "",
        protocols=probed.protocols,
    )


def with_dial_back(found: ProbeReport, seed: str, port: int) -> ProbeReport:
    """The same, and whether members of the swarm at ``seed`` can dial this machine."""
    from launcher.nat.dial import dial_back

    return msgspec.structs.replace(found, dialled_back=asyncio.run(dial_back(seed, port)))


def outlook_lines(found: Outlook) -> Iterator[str]:
    """For people."""
    from cicada.nat.advice import meaning

    if found.gateway:
        yield from _router_lines(found.gateway, found.interface, found.local_ip)
    if found.protocol:
        yield f"  mapping   {output.good('possible')} by {found.protocol}"
        yield f"  external  {_external(found.external_ip, found.is_global)}"
        return
    paint = output.good if found.reason == "not-needed" else output.bad
    yield f"  mapping   {paint(meaning(found.reason))}"
    yield f"  advice    {found.advice}"


def report_lines(found: ProbeReport) -> Iterator[str]:
    """For people: one line for each protocol, in columns."""
    yield from _router_lines(found.gateway, found.interface, found.local_ip)
    yield from (f"  {line}" for line in output.columns([_cells(each) for each in found.protocols]))
    if found.dialled_back is not None:
        yield f"  dial-back {_verdict(found.dialled_back)}"
    if not any(each.answers for each in found.protocols):
        from cicada.nat.advice import advice, most_telling

        yield f"  advice    {advice(most_telling([each.reason for each in found.protocols]))}"


def _verdict(said: DialBack) -> str:
    if said.dialled:
        return f"{output.good('yes')}: a member of the swarm at {said.seed} dialled {said.external}"
    at = f" at {said.external}" if said.external else ""
    return f"{output.bad('no')}{at}: {said.reason}"


def _router_lines(gateway: str, interface: str, local_ip: str) -> Iterator[str]:
    yield f"{output.strong(gateway or 'no default route')}  {output.faint('the router')}"
    if local_ip:
        yield f"  local     {local_ip} {output.faint(interface)}".rstrip()


def _cells(each: ProtocolProbe) -> tuple[str, ...]:
    took = f"{each.seconds:.2f} s"
    if not each.answers:
        return each.protocol, output.bad("no "), took, each.text or each.reason
    known = each.is_global if each.external_ip else None
    at = f"port {each.external_port} at " if each.external_port else ""
    return each.protocol, output.good("yes"), took, at + _external(each.external_ip, known)


def _external(address: str, is_global: bool | None) -> str:
    """An external address, and in plain words what becomes of who dials it."""
    if not address or is_global is None:
        return "not known before a port is mapped"
    if is_global:
        return f"{address}, which all of the internet can dial"
    return output.warn(f"{address}, {behind(address)}")


def behind(address: str) -> str:
    """In plain words why an address that is not global cannot be dialled, and what helps."""
    if ipaddress.IPv4Address(address) in _SHARED:
        return (
            "which is the provider's own (CGNAT): nobody outside can dial it. Only the provider can give a public one; "
            "without it this machine is reached over relays"
        )
    return (
        "which is not global (double NAT): another router stands before this one, and nobody outside can dial it. "
        "Have that one bridge, or forward the port in it too"
    )


def mapped_line(mapped: Mapped) -> str:
    """For people."""
    lease = f"for {mapped.lease_s:g} s" if mapped.lease_s else "until it is deleted"
    outside = f"{mapped.external_ip}:" if mapped.external_ip else "external port "
    leads = f"{output.good(f'{outside}{mapped.external_port}')} leads to {mapped.local_ip}:{mapped.port}"
    return f"{leads}, by {mapped.protocol} of {mapped.gateway}, {lease}"


def warning_of(mapped: Mapped) -> str:
    """What is wrong with a mapping that stands; empty when nothing is."""
    if mapped.is_global:
        return ""
    if not mapped.external_ip:
        return output.warn("the router names no external address, so nobody outside can be told what to dial")
    return output.warn(f"the external address is {mapped.external_ip}, {behind(mapped.external_ip)}")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--hold --json`` prints, one line for each piece of news: ``what`` is mapped, lost or failed."""

    what: str
    news: NatNews


def hold(
    port: int,
    *,
    external_port: int,
    lease_s: int,
    protocols: tuple[str, ...],
    show: Callable[[NatNews], None],
) -> bool:
    """Keep a port mapped and renewed until Ctrl-C, SIGTERM or SIGHUP; then delete the mapping, within 3 s. News go to ``show``.

    True when it was mapped at the end. On the main thread only. Raises Unavailable when the actor that does it fails.
    """
    from cicada.actors.nat import MapPort, NatActor
    from cicada.nat.io import Mapped

    def next_news() -> NatNews | None:
        while actor.is_alive():
            with suppress(queue.Empty):
                return heard.get(timeout=CLI.hold_look)
        raise Unavailable("port mapping failed and ended; what was mapped ends with its lease")

    heard: queue.SimpleQueue[NatNews | None] = queue.SimpleQueue()
    stands = False
    with _end_of(heard):
        actor = NatActor.start(protocols=protocols, lease_s=lease_s)
        try:
            actor.tell(MapPort(port=port, tell=heard.put, external_port=external_port))
            while (news := next_news()) is not None:
                stands = isinstance(news, Mapped)
                show(news)
        finally:
            actor.stop(timeout=2 * NAT.stop)
    return stands


@contextmanager
def _end_of(heard: queue.SimpleQueue[NatNews | None]) -> Iterator[None]:
    """None is heard when the program is asked to end."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        heard.put(None)  # this queue may be used within a signal handler

    before = {number: signal.signal(number, ask) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
