"""Carries out requests, one at a time. It blocks, so it belongs into the helper process."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from cicada.limits import NAT, NatLimits
from cicada.nat import natpmp, pcp, ssdp, upnp
from cicada.nat.datagrams import exchange, knock, search
from cicada.nat.gateway import find_gateway, local_address
from cicada.nat.requests import (
    NAT_PMP,
    PCP,
    AnyAnswer,
    AnyRequest,
    Check,
    Failed,
    Fault,
    FindGateway,
    Gateway,
    GatewayFound,
    Granted,
    Inquire,
    Inquired,
    Knock,
    Knocked,
    Map,
    Target,
    Unmap,
    Unmapped,
    deadline_of,
)

if TYPE_CHECKING:
    from cicada.nat.upnp import Igd


class Client:
    """Carries out requests. Remembers the router that it talked UPnP with last, so as not to read its description again."""

    def __init__(self, limits: NatLimits = NAT) -> None:
        self._limits = limits
        self._device = ""
        self._igd: Igd | None = None

    def carry_out(self, request: AnyRequest) -> AnyAnswer:
        """Blocks, with PCP and NAT-PMP at most as long as their deadlines say. Never raises what a router can cause."""
        try:
            return self._carry_out(request)
        except Fault as fault:
            if fault.failed.reason in ("timeout", "unsupported"):
                self._igd = None  # a router that came back has a description of its own
            return fault.failed
        except ImportError as error:
            return Failed(reason="not-installed", text=f"{error.name or error} cannot be imported")
        except OSError as error:
            return Failed(reason="unreachable", text=error.strerror or str(error))

    def _carry_out(self, request: AnyRequest) -> AnyAnswer:
        match request:
            case FindGateway():
                found = find_gateway()
                return Failed(reason="no-gateway") if found is None else GatewayFound(gateway=found)
            case Knock():
                return Knocked(answered=knock(request.gateway, self._limits))
            case Inquire():
                return self._inquire(request)
            case Map(target=target) | Check(target=target) | Unmap(target=target):
                if target.protocol == PCP:
                    return self._pcp(request, target)
                if target.protocol == NAT_PMP:
                    return self._natpmp(request, target)
                return self._upnp(request, target)

    def _inquire(self, request: Inquire) -> AnyAnswer:
        limits, gateway = self._limits, request.gateway
        if request.protocol == PCP:
            ask = pcp.encode_announce(_client_ip(gateway))
            exchange(gateway, ask, _announcement, deadline_of(request, limits), limits)
            return Inquired()
        if request.protocol == NAT_PMP:
            said = self._natpmp_address(gateway, deadline_of(request, limits))
            return Inquired(external_ip=said.external_ip)
        igd, device = self._open(gateway, "")
        return upnp.inquire(igd, device)

    def _pcp(self, request: Map | Check | Unmap, target: Target) -> AnyAnswer:
        lease = 0 if isinstance(request, Unmap) else request.lease_s
        deadline = deadline_of(request, self._limits)
        ask = pcp.encode_map(
            nonce=target.nonce,
            transport=target.transport,
            port=target.port,
            external_port=target.external_port,
            lifetime=lease,
            client_ip=_client_ip(target.gateway),
        )

        def mine(data: bytes) -> pcp.MapAnswer | None:
            answer = pcp.answer_to_map(data, target.nonce, target.transport, target.port)
            if isinstance(answer, pcp.ErrorAnswer):
                raise pcp.fault(answer)
            return answer

        answer = exchange(target.gateway, ask, mine, deadline, self._limits)
        if not lease:
            return Unmapped()
        return self._granted(target, answer.external_port, answer.lifetime, answer.external_ip, answer.epoch)

    def _natpmp(self, request: Map | Check | Unmap, target: Target) -> AnyAnswer:
        lease = 0 if isinstance(request, Unmap) else request.lease_s
        deadline = deadline_of(request, self._limits)
        until = time.monotonic() + deadline
        ask = natpmp.encode_map(
            transport=target.transport, port=target.port, external_port=target.external_port, lifetime=lease
        )

        def mine(data: bytes) -> natpmp.MapAnswer | None:
            answer = natpmp.answer_to_map(data, target.transport, target.port)
            if isinstance(answer, natpmp.ErrorAnswer):
                raise natpmp.fault(answer)
            return answer

        answer = exchange(target.gateway, ask, mine, deadline, self._limits)
        if not lease:
            return Unmapped()
        external_ip = ""
        with suppress(Fault):  # the mapping stands all the same, and the next look asks again
            left = max(until - time.monotonic(), self._limits.resend)
            external_ip = self._natpmp_address(target.gateway, left).external_ip
        return self._granted(target, answer.external_port, answer.lifetime, external_ip, answer.epoch)

    def _natpmp_address(self, gateway: Gateway, deadline: float) -> natpmp.AddressAnswer:
        def mine(data: bytes) -> natpmp.AddressAnswer | None:
            answer = natpmp.answer_to_address(data)
            if isinstance(answer, natpmp.ErrorAnswer):
                raise natpmp.fault(answer)
            return answer

        return exchange(gateway, natpmp.encode_address(), mine, deadline, self._limits)

    def _granted(
        self, target: Target, external_port: int, lease_s: int, external_ip: str, epoch: int
    ) -> AnyAnswer:
        if not external_port or lease_s < self._limits.least_lease:
            raise Fault("malformed", f"granted external port {external_port} for {lease_s} s")
        granted = msgspec.structs.replace(target, external_port=external_port)
        return Granted(target=granted, external_ip=external_ip, lease_s=float(lease_s), epoch=epoch)

    def _upnp(self, request: Map | Check | Unmap, target: Target) -> AnyAnswer:
        igd, device = self._open(target.gateway, target.device)
        target = msgspec.structs.replace(target, device=device)
        match request:
            case Map():
                return upnp.map_port(igd, target, request.lease_s, request.seed, self._limits)
            case Check():
                return upnp.check(igd, target)
            case Unmap():
                return upnp.unmap(igd, target)

    def _open(self, gateway: Gateway, device: str) -> tuple[Igd, str]:
        """The router at ``device``, or the best that a search finds. Raises Fault."""
        if self._igd is not None and self._device == device:
            return self._igd, device
        if device:
            with suppress(Fault):  # it may have another address since it started anew
                return self._opened(device)
        failures: list[Fault] = []
        for found in search(gateway, self._limits)[: self._limits.devices]:
            try:
                igd, device = self._opened(found)
                if upnp.is_connected(igd):
                    return igd, device
                failures.append(Fault("no-wan", f"the router at {found} is not connected"))
            except Fault as error:
                failures.append(error)
        raise failures[0] if failures else Fault("no-device", "no router answered the search")

    def _opened(self, device: str) -> tuple[Igd, str]:
        import miniupnpc

        igd: Any = miniupnpc.UPnP()
        with upnp.faults():
            control: object = igd.selectigd(device)
        if not isinstance(control, str) or not ssdp.is_at(control, ssdp.host_of(device)):
            raise Fault("malformed", f"the router at {device} wants to be controlled elsewhere")
        self._igd, self._device = igd, device
        return igd, device


def _announcement(data: bytes) -> pcp.AnnounceAnswer | None:
    answer = pcp.answer_to_announce(data)
    if isinstance(answer, pcp.ErrorAnswer):
        raise pcp.fault(answer)
    return answer


def _client_ip(gateway: Gateway) -> str:
    """This machine's address at this moment, which PCP servers compare with where a request came from. Raises Fault."""
    address = local_address(gateway.address)
    if not address:
        raise Fault("unreachable", f"no route to {gateway.address}")
    return address
