"""Which request comes next: a state machine for all ports that one process has mapped.

It asks one thing at a time. A port without a mapping is offered to one protocol after another, the one that worked first; what
a protocol as a whole failed at (nobody answers, not connected) is not tried again for the next port. When that leaves ports
unmapped, a *wave* is over, and the next follows after a pause that grows; meanwhile a *knock* tells of a router that has come
back. What was granted is looked at every few seconds, in turn, which shows a new external address, a lost mapping, and a router
that started anew; it is renewed in time, and deleted at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from cicada.limits import NAT, NatLimits
from cicada.nat.advice import OF_THE_PORT, advice, most_telling
from cicada.nat.debts import Debts
from cicada.nat.io import (
    AddPort,
    Answered,
    Ask,
    MapperInput,
    MapperOutput,
    MappingLost,
    NatNews,
    NotMapped,
    RemovePort,
    RouterSpoke,
    Stop,
    Stopped,
    Tell,
    TimerFired,
)
from cicada.nat.lease import Lease
from cicada.nat.requests import (
    PROTOCOLS,
    UPNP,
    AnyAnswer,
    AnyRequest,
    Check,
    Failed,
    FindGateway,
    Gateway,
    GatewayFound,
    Granted,
    Inquire,
    Knock,
    Knocked,
    Map,
    Target,
    Unmap,
    Unmapped,
    deadline_of,
    is_global,
    new_nonce,
    seed_of,
)
from cicada.nat.router import Router


class Mapper:
    """``handle`` what happened, carry out what it returns, and come back at ``next_deadline``. Not to be used after Stopped."""

    def __init__(
        self,
        *,
        rng: Random,
        gateway: Gateway | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
        lease_s: int = 0,
        limits: NatLimits = NAT,
    ) -> None:
        """``gateway``: the router, when it is not to be looked for; ``lease_s``: to ask for, 0: as the limits say.

        ``rng`` makes nonces, which others should not guess, besides jitter.
        """
        self._rng = rng
        self._limits = limits
        self._protocols = protocols
        self._lease_s = lease_s or limits.lease
        self._now = -math.inf
        self._out: list[MapperOutput] = []
        self._ids = 0
        self._asked: tuple[int, AnyRequest] | None = None
        self._leases: dict[int, Lease] = {}
        self._debts = Debts(limits.max_deletions)
        self._stopping = self._stopped = False
        self._stopped_at_id = 0  # the last request before the end
        self._gateway_at = -math.inf if gateway is None else math.inf
        self._why_none = ""  # why there is no gateway, once that is known
        self._router = Router(gateway, self._now, limits)

    def handle(self, input: MapperInput, now: float) -> list[MapperOutput]:
        """Take in what happened at ``now`` (monotonic seconds) and return what is to be done, in order."""
        self._now = max(now, self._now)
        self._out = []
        match input:
            case AddPort():
                self._add(input)
            case RemovePort(port=port):
                self._remove(port)
            case Answered(id=id, answer=answer):
                self._on_answer(id, answer)
            case RouterSpoke(gateway=gateway):
                self._on_router_spoke(gateway)
            case Stop():
                self._stop()
            case TimerFired():
                pass
        self._advance()
        return self._out

    def next_deadline(self) -> float | None:
        """When to come back, if nothing happens before."""
        if self._stopping:
            return None
        earliest = min(self._deadlines(), default=math.inf)
        return None if earliest == math.inf else earliest

    # What users want

    def _add(self, wanted: AddPort) -> None:
        lease = self._leases.get(wanted.port)
        if lease is not None:
            if lease.news is not None:
                self._tell(lease.news)
            elif lease.failure:
                self._tell_failure(lease)
            return
        if len(self._leases) >= self._limits.max_ports or self._stopping:
            self._tell(_not_mapped(wanted.port, "too-many", math.inf))
            return
        before = self._debts.of_port(wanted.port, wanted.transport, self._router.gateway)
        self._leases[wanted.port] = Lease(
            wanted.port,
            wanted.transport,
            wanted.external_port or (0 if before is None else before.external_port),
            new_nonce(self._rng) if before is None else before.nonce,
        )

    def _remove(self, port: int) -> None:
        lease = self._leases.pop(port, None)
        if lease is not None and lease.target is not None:
            self._debts.delete(lease.target)

    def _stop(self) -> None:
        self._stopping, self._stopped_at_id = True, self._ids
        self._leases.clear()
        self._debts.delete_all(self._router.gateway)

    # What came back

    def _on_answer(self, id: int, answer: AnyAnswer) -> None:
        if self._asked is None or self._asked[0] != id:
            return
        request, self._asked = self._asked[1], None
        match request:
            case FindGateway():
                self._on_gateway(answer)
            case Knock():
                self._on_knock(answer)
            case Map(target=target):
                self._on_mapped(target, answer)
            case Check(target=target):
                self._on_checked(target, answer)
            case Unmap(target=target):
                self._on_unmapped(id, target, answer)
            case Inquire():
                pass

    def _on_gateway(self, answer: AnyAnswer) -> None:
        self._gateway_at = self._now + self._limits.gateway_look
        if not isinstance(answer, GatewayFound):
            reason = _failed(answer).reason
            if reason == "no-gateway" or self._router.gateway is None:
                self._be_without(reason)
        elif is_global(answer.gateway.local):
            self._be_without("not-needed")
        elif self._router.gateway is None or _differ(answer.gateway, self._router.gateway):
            self._move(answer.gateway)
        else:
            self._router.gateway = answer.gateway  # something unimportant may be different

    def _on_knock(self, answer: AnyAnswer) -> None:
        router = self._router
        heard = frozenset(answer.answered) if isinstance(answer, Knocked) else frozenset()
        is_news = router.knocked(heard, self._now)
        if is_news and not router.knocks_first:  # it has come back: try at once, and soon again
            router.failures = 0
            self._begin_wave()
        router.knocks_first = False

    def _on_mapped(self, target: Target, answer: AnyAnswer) -> None:
        lease = self._leases.get(target.port)
        if isinstance(answer, Granted):
            self._debts.owe(answer.target, sure=True)
            if lease is None or lease.transport != target.transport or self._stopping:
                self._debts.delete(answer.target)
            else:
                self._granted(lease, answer)
            return
        failed = _failed(answer)
        if failed.reason == "timeout" and target.protocol in self._router.answering:
            self._debts.owe(target, sure=False)  # its answer may be late, and the mapping there
            if self._stopping:
                self._debts.delete(target)
        if lease is None:
            return
        if lease.target is None:
            self._refuse(lease, target.protocol, failed)
        elif failed.reason in OF_THE_PORT:
            self._lose(lease, failed.reason)
            self._refuse(lease, target.protocol, failed)
        else:
            lease.not_renewed(self._now, self._rng, self._limits)

    def _on_checked(self, target: Target, answer: AnyAnswer) -> None:
        limits = self._limits
        lease = self._leases.get(target.port)
        self._router.check_at = self._now + limits.check
        if lease is None or lease.target is None:
            return
        if isinstance(answer, Granted):
            self._debts.owe(answer.target, sure=True)
            self._granted(lease, answer)
            return
        lease.hurried, lease.checked_at = False, self._now
        failed = _failed(answer)
        if failed.reason in OF_THE_PORT:
            lease.renew_at = self._now
            self._hurry_others(lease)
            return
        self._router.silent_checks += 1
        self._router.check_at = self._now + limits.recheck
        if self._router.silent_checks >= limits.silent_checks:
            for each in self._mapped():
                self._lose(each, "silent")

    def _on_unmapped(self, id: int, target: Target, answer: AnyAnswer) -> None:
        if isinstance(answer, Unmapped) or _failed(answer).reason in OF_THE_PORT:
            self._debts.settle(target)
        elif not self._stopping or id > self._stopped_at_id:  # at the end each gets a chance
            self._debts.postpone(target)

    def _on_router_spoke(self, gateway: str) -> None:
        router = self._router
        if router.gateway is None or gateway != router.gateway.address or self._stopping:
            return
        due = router.spoke(self._now)
        for lease in self._mapped():
            lease.renew_at = min(lease.renew_at, due)
        if router.wave_at is not None:
            router.wave_at = min(router.wave_at, due)

    # Leases

    def _granted(self, lease: Lease, answer: Granted) -> None:
        protocol, before = answer.target.protocol, lease.news
        if lease.target is not None and lease.target.external_port != answer.target.external_port:
            self._debts.delete_superseded(lease.target)
        news = lease.grant(answer, self._now, self._rng, self._limits)
        router = self._router
        router.worked(protocol, answer.target.device, self._now)
        if news is not None:
            self._tell(news)
            if before is not None and before.external_ip != news.external_ip:
                self._hurry_others(lease)
        if answer.epoch is not None and router.began_anew(protocol, answer.epoch, self._now):
            for other in self._mapped():
                if other is not lease:  # this one has just been made again
                    other.renew_at = self._now
        if all(each.target is not None for each in self._leases.values()):
            router.failures, router.wave_at = 0, None

    def _hurry_others(self, lease: Lease) -> None:
        for other in self._mapped():
            if other is not lease:
                other.hurry()

    def _refuse(self, lease: Lease, protocol: str, failed: Failed) -> None:
        if failed.reason in OF_THE_PORT:
            lease.refusals[protocol] = failed
        else:
            self._router.failed(protocol, failed)

    def _lose(self, lease: Lease, reason: str) -> None:
        self._tell(MappingLost(port=lease.port, reason=reason))
        lease.forget()
        lease.reopen()
        self._router.failures = 0
        self._begin_wave()

    def _fail(self, lease: Lease, reason: str) -> None:
        lease.failure = reason
        if self._router.gateway is not None:
            self._router.end_wave(self._now, self._rng)
        self._tell_failure(lease)

    def _begin_wave(self) -> None:
        self._router.begin_wave()
        for lease in self._leases.values():
            if lease.failure:
                lease.reopen()

    # Networks

    def _move(self, gateway: Gateway) -> None:
        before = self._router.gateway
        for lease in self._mapped():
            self._tell(MappingLost(port=lease.port, reason="network-changed"))
            lease.forget()
        for lease in self._leases.values():
            lease.reopen()
        self._why_none = ""
        self._router = Router(gateway, self._now, self._limits)
        self._debts.move(before, gateway, self._leases)

    def _be_without(self, reason: str) -> None:
        for lease in self._mapped():
            self._tell(MappingLost(port=lease.port, reason=reason))
            lease.forget()
        self._router = Router(None, self._now, self._limits)
        self._why_none = reason

    # What is next

    def _advance(self) -> None:
        if not self._stopping:
            self._expire()
        if self._asked is not None or self._stopped:
            return
        if self._stopping:
            target = self._debts.next(self._router.gateway)
            if target is not None:
                self._ask(Unmap(target=target))
            else:
                self._stopped = True
                self._out.append(Stopped())
            return
        if self._router.wave_at is not None and self._now >= self._router.wave_at:
            self._begin_wave()
        self._give_up()
        request = self._next()
        if request is not None:
            self._ask(request)

    def _expire(self) -> None:
        for lease in self._mapped():
            if lease.expires_at <= self._now:
                self._lose(lease, "expired")

    def _give_up(self) -> None:
        """Open ports for which no protocol is left wait for the next wave."""
        for lease in self._open():
            if self._router.gateway is None:
                if self._why_none:
                    self._fail(lease, self._why_none)
            elif self._router.candidate(lease, self._protocols) is None:
                reasons = [
                    failed.reason for failed in (*lease.refusals.values(), *self._router.silent.values())
                ]
                self._fail(lease, most_telling(reasons))

    def _next(self) -> AnyRequest | None:
        router = self._router
        if self._leases and self._now >= self._gateway_at:
            return FindGateway()
        if router.gateway is None:
            return None
        opened = next(self._open(), None)
        if opened is not None and router.knocks_first:
            return Knock(gateway=router.gateway)
        for lease in self._mapped():
            if lease.target is not None and lease.renew_at <= self._now:
                return self._map(lease.target)
        if opened is not None and (protocol := router.candidate(opened, self._protocols)):
            return self._map(self._target(router.gateway, opened, protocol))
        owed = self._debts.next(router.gateway)
        if owed is not None:
            return Unmap(target=owed)
        looked_at = self._to_be_checked()
        if looked_at is not None:
            return Check(target=looked_at, lease_s=self._lease_s)
        if self._has_failed() and self._now >= router.knock_at:
            return Knock(gateway=router.gateway)
        return None

    def _deadlines(self) -> Iterator[float]:
        router, mapped = self._router, self._mapped()
        yield from (lease.expires_at for lease in mapped)
        if self._asked is not None or not self._leases:
            return
        yield self._gateway_at
        if router.gateway is None:
            return
        yield from (lease.renew_at for lease in mapped)
        if mapped:
            yield router.check_at
        if router.wave_at is not None:
            yield router.wave_at
        if self._has_failed():
            yield router.knock_at

    def _to_be_checked(self) -> Target | None:
        mapped = self._mapped()
        hurried = [lease for lease in mapped if lease.hurried]
        if not mapped or (not hurried and self._now < self._router.check_at):
            return None
        return min(hurried or mapped, key=lambda lease: lease.checked_at).target

    def _target(self, gateway: Gateway, lease: Lease, protocol: str) -> Target:
        return Target(
            gateway=gateway,
            protocol=protocol,
            port=lease.port,
            nonce=lease.nonce,
            external_port=lease.external_port or lease.port,
            transport=lease.transport,
            device=self._router.device if protocol == UPNP else "",
        )

    def _map(self, target: Target) -> Map:
        return Map(target=target, lease_s=self._lease_s, seed=seed_of(target))

    def _ask(self, request: AnyRequest) -> None:
        self._ids += 1
        self._asked = (self._ids, request)
        self._out.append(Ask(id=self._ids, request=request, deadline_s=deadline_of(request, self._limits)))

    # Small things

    def _open(self) -> Iterator[Lease]:
        return (lease for lease in self._leases.values() if lease.is_open)

    def _mapped(self) -> list[Lease]:
        return [lease for lease in self._leases.values() if lease.target is not None]

    def _has_failed(self) -> bool:
        return any(lease.failure for lease in self._leases.values())

    def _tell(self, news: NatNews) -> None:
        self._out.append(Tell(news))

    def _tell_failure(self, lease: Lease) -> None:
        retry_at = self._gateway_at if self._router.wave_at is None else self._router.wave_at
        self._tell(_not_mapped(lease.port, lease.failure, max(retry_at - self._now, 0.0)))


def _failed(answer: AnyAnswer) -> Failed:
    """The failure in an answer; one that is no answer to what was asked is the helper's failure."""
    return (
        answer if isinstance(answer, Failed) else Failed(reason="helper-failed", text="an unexpected answer")
    )


def _not_mapped(port: int, reason: str, retry_in_s: float) -> NotMapped:
    return NotMapped(port=port, reason=reason, advice=advice(reason), retry_in_s=retry_in_s)


def _differ(one: Gateway, other: Gateway) -> bool:
    return (one.address, one.local) != (other.address, other.local)
