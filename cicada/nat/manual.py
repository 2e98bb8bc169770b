"""Port mapping by hand: one protocol of one router at a time, or one request. For the command line and for trying things.

Everything here blocks, but not longer than the deadlines in ``limits``. What is mapped ends with its lease unless it is mapped
again; ``portmapping`` does that by itself.
"""

from __future__ import annotations

import hashlib
import random
import time
from types import TracebackType
from typing import ClassVar, Final, Self

import msgspec

from cicada.limits import NAT, NatLimits
from cicada.nat.advice import failure
from cicada.nat.io import Mapped
from cicada.nat.process import BlockingHelper
from cicada.nat.requests import NAT_PMP as _NAT_PMP
from cicada.nat.requests import (
    NONCE_BYTES,
    PROTOCOLS,
    TCP,
    AnyAnswer,
    Failed,
    FindGateway,
    Gateway,
    GatewayFound,
    Granted,
    Inquire,
    Inquired,
    Map,
    Target,
    Unmap,
    checked_port,
    checked_protocol,
    checked_transport,
    is_global,
    new_nonce,
    seed_of,
)
from cicada.nat.requests import PCP as _PCP
from cicada.nat.requests import UPNP as _UPNP

_PROBE_LEASE: Final = 120  # s; what is mapped only to try it is deleted at once


class ManualMapper:
    """One protocol of one router: ``create``, then ``add_port_mapping`` as often as needed, and ``cleanup`` at the end.

    What it maps ends with its lease unless it is added again. Methods raise MappingFailed, and Misuse for ports that are none.
    """

    protocol: ClassVar[str]

    def __init__(self, helper: BlockingHelper, gateway: Gateway, external_ip: str, limits: NatLimits) -> None:
        self.gateway = gateway
        self.local_address = gateway.local
        self.external_ip = external_ip
        self._helper = helper
        self._limits = limits
        self._nonce = new_nonce(random.SystemRandom())
        self._mappings: dict[tuple[int, str], Target] = {}

    @classmethod
    def create(cls, gateway: Gateway | None = None, *, limits: NatLimits = NAT) -> Self:
        """Find the router, or take ``gateway`` for it, and see whether it speaks this protocol."""
        helper = BlockingHelper(limits)
        try:
            found = gateway or _gateway(helper)
            answer = _must(helper.ask(Inquire(gateway=found, protocol=cls.protocol)))
        except BaseException:
            helper.close()
            raise
        external_ip = answer.external_ip if isinstance(answer, Inquired) else ""
        return cls(helper, found, external_ip, limits)

    def add_port_mapping(
        self, port: int, external_port: int | None = None, protocol: str = TCP, lease_s: int = NAT.lease
    ) -> Mapped:
        """Map or renew a port; the answer says what was granted. ``external_ip`` is up to date then."""
        key = (checked_port(port), checked_transport(protocol))
        target = self._mappings.get(key) or Target(
            gateway=self.gateway, protocol=self.protocol, port=port, nonce=self._nonce, transport=key[1]
        )
        target = msgspec.structs.replace(
            target, external_port=checked_port(external_port or target.external_port or port)
        )
        granted = _granted(self._helper.ask(Map(target=target, lease_s=lease_s, seed=seed_of(target))))
        self._mappings[key] = granted.target
        self.external_ip = granted.external_ip
        return _mapped(granted)

    def delete_port_mapping(self, port: int, protocol: str = TCP) -> None:
        """Delete a mapping that this object made; of another port nothing happens."""
        target = self._mappings.pop((port, checked_transport(protocol)), None)
        if target is not None:
            _must(self._helper.ask(Unmap(target=target)))

    def cleanup(self) -> None:
        """Delete all mappings that this object made, as far as the router answers, and end. Idempotent."""
        until = time.monotonic() + self._limits.stop
        while self._mappings and time.monotonic() < until:
            _, target = self._mappings.popitem()
            self._helper.ask(Unmap(target=target))
        self._mappings.clear()
        self._helper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup()


class UPnP(ManualMapper):
    """UPnP IGD."""

    protocol = _UPNP


class NatPMP(ManualMapper):
    """NAT-PMP, RFC 6886."""

    protocol = _NAT_PMP


class PCP(ManualMapper):
    """PCP, RFC 6887. It tells the external address with a mapping only: until then ``external_ip`` is empty."""

    protocol = _PCP


class ProtocolProbe(msgspec.Struct, frozen=True, kw_only=True):
    """What one protocol says. ``reason`` (a slug of ``advice.REASONS``) and ``text`` are empty when it ``answers``."""

    protocol: str
    answers: bool
    seconds: float = 0.0  # that it took
    external_ip: str = ""
    external_port: int = 0  # of the trial mapping
    is_global: bool = False
    reason: str = ""
    text: str = ""
    advice: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The router and what it says in each protocol. ``gateway`` is None when there is none; then nothing was asked."""

    gateway: Gateway | None
    protocols: tuple[ProtocolProbe, ...]


def probe(
    port: int | None = None,
    *,
    gateway: Gateway | None = None,
    is_brief: bool = False,
    limits: NatLimits = NAT,
) -> Probe:
    """Ask the router in every protocol. With ``port`` each maps it and deletes that again, so that PCP's external address, and
    whether mapping is allowed, show as well. ``is_brief``: it is silent when nothing answers within ``limits.knock`` seconds.

    Raises Misuse for a port that is none, Unavailable without a helper process.
    """
    checked_port(1 if port is None else port)
    if is_brief:
        brief = limits.knock
        limits = msgspec.structs.replace(limits, pcp_deadline=brief, natpmp_deadline=brief, search=brief)
    with BlockingHelper(limits) as helper:
        answer = helper.ask(FindGateway()) if gateway is None else GatewayFound(gateway=gateway)
        if not isinstance(answer, GatewayFound):
            return Probe(gateway=None, protocols=())
        found = answer.gateway
        probed = tuple(_probe(helper, found, protocol, port) for protocol in PROTOCOLS)
    return Probe(gateway=found, protocols=probed)


def map_port(
    port: int,
    external_port: int | None = None,
    lease_s: int = NAT.lease,
    protocol: str | None = None,
    *,
    transport: str = TCP,
    gateway: Gateway | None = None,
    limits: NatLimits = NAT,
) -> Mapped:
    """Map a port for ``lease_s`` seconds, by ``protocol`` or by the first of PROTOCOLS that does. Doing it again renews.

    Raises MappingFailed, or Misuse for ports and protocols that are none.
    """
    checked_port(external_port or checked_port(port))
    failed: list[Failed] = []
    with BlockingHelper(limits) as helper:
        found = gateway or _gateway(helper)
        for each in _protocols(protocol):
            target = _repeatable(found, each, port, external_port, transport)
            answer = helper.ask(Map(target=target, lease_s=lease_s, seed=seed_of(target)))
            if isinstance(answer, Granted):
                return _mapped(answer)
            failed.append(_as_failed(answer))
    raise failure(*(each.reason for each in failed), detail=failed[-1].text if len(failed) == 1 else "")


def unmap_port(
    port: int,
    external_port: int | None = None,
    protocol: str | None = None,
    *,
    transport: str = TCP,
    gateway: Gateway | None = None,
    limits: NatLimits = NAT,
) -> None:
    """Delete what ``map_port`` mapped, in another process too. ``external_port``: the one that was granted.

    Without ``protocol`` each is asked. Raises MappingFailed when none of them did it.
    """
    checked_port(external_port or checked_port(port))
    failed: list[Failed] = []
    with BlockingHelper(limits) as helper:
        found = gateway or _gateway(helper)
        wanted = _protocols(protocol)
        for each in wanted:
            answer = helper.ask(Unmap(target=_repeatable(found, each, port, external_port, transport)))
            if isinstance(answer, Failed):
                failed.append(answer)
    if len(failed) == len(wanted):
        raise failure(*(each.reason for each in failed))


def _probe(helper: BlockingHelper, gateway: Gateway, protocol: str, port: int | None) -> ProtocolProbe:
    begun = time.monotonic()
    answer = helper.ask(Inquire(gateway=gateway, protocol=protocol))
    external_ip = answer.external_ip if isinstance(answer, Inquired) else ""
    external_port = 0
    if port is not None and isinstance(answer, Inquired):
        target = _repeatable(gateway, protocol, port, None, TCP)
        answer = helper.ask(Map(target=target, lease_s=_PROBE_LEASE, seed=seed_of(target)))
        if isinstance(answer, Granted):
            external_ip, external_port = answer.external_ip, answer.target.external_port
            helper.ask(Unmap(target=answer.target))
    seconds = time.monotonic() - begun
    if isinstance(answer, Failed):
        return ProtocolProbe(
            protocol=protocol,
            answers=False,
            seconds=seconds,
            reason=answer.reason,
            text=answer.text,
            advice=failure(answer.reason).advice,
        )
    return ProtocolProbe(
        protocol=protocol,
        answers=True,
        seconds=seconds,
        external_ip=external_ip,
        external_port=external_port,
        is_global=is_global(external_ip),
    )


def _protocols(protocol: str | None) -> tuple[str, ...]:
    return PROTOCOLS if protocol is None else (checked_protocol(protocol),)


def _repeatable(
    gateway: Gateway, protocol: str, port: int, external_port: int | None, transport: str
) -> Target:
    """The same for the same port, in every process: who maps by hand unmaps in another one.

    So the nonce is no secret. It guards against others that send in this machine's name, which they would have to do from
    the same network.
    """
    transport = checked_transport(transport)
    name = f"cicada {gateway.local} {transport} {port}"
    return Target(
        gateway=gateway,
        protocol=protocol,
        port=port,
        nonce=hashlib.sha256(name.encode()).digest()[:NONCE_BYTES],
        external_port=external_port or port,
        transport=transport,
    )


def _gateway(helper: BlockingHelper) -> Gateway:
    answer = helper.ask(FindGateway())
    if isinstance(answer, GatewayFound):
        return answer.gateway
    raise failure(_as_failed(answer).reason)


def _must(answer: AnyAnswer) -> AnyAnswer:
    if isinstance(answer, Failed):
        raise failure(answer.reason, detail=answer.text)
    return answer


def _granted(answer: AnyAnswer) -> Granted:
    if isinstance(answer, Granted):
        return answer
    failed = _as_failed(answer)
    raise failure(failed.reason, detail=failed.text)


def _as_failed(answer: AnyAnswer) -> Failed:
    return (
        answer if isinstance(answer, Failed) else Failed(reason="helper-failed", text="an unexpected answer")
    )


def _mapped(granted: Granted) -> Mapped:
    return Mapped(
        port=granted.target.port,
        protocol=granted.target.protocol,
        gateway=granted.target.gateway.address,
        external_ip=granted.external_ip,
        external_port=granted.target.external_port,
        lease_s=granted.lease_s,
        is_global=is_global(granted.external_ip),
        local_ip=granted.target.gateway.local,
    )
