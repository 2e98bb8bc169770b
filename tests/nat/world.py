"""A mapper and a router under virtual time, and what must hold at every step."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from cicada.limits import NAT, NatLimits
from cicada.nat.io import (
    Answered,
    Ask,
    Mapped,
    MapperInput,
    MappingLost,
    NatNews,
    NotMapped,
    Stop,
    Stopped,
    Tell,
    TimerFired,
)
from cicada.nat.mapper import Mapper
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
)

HOME = Gateway("192.168.1.1", "192.168.1.20", "eth0", "192.168.1.0/24")
CAFE = Gateway("10.0.0.1", "10.0.0.7", "wlan0", "10.0.0.0/24")
BUDGET = 200_000  # requests and wakes of one test
ANSWER_S = 0.01


class SimRouter:
    """A router that answers at once, or never. Attributes may be changed at any time."""

    def __init__(self, *speaks: str) -> None:
        self.speaks = set(speaks or PROTOCOLS)
        self.is_silent = False
        self.external_ip = "8.8.4.4"
        self.lease = 3600.0  # granted at most; 0: only without end
        self.refusals: dict[str, str] = {}  # by protocol: why it maps nothing
        self.late: set[str] = set()  # protocols in which it does what it is asked, and its answer is lost
        self.booted_at = -1000.0
        self.mappings: dict[tuple[str, int, int], tuple[float, str]] = {}  # expiry and host
        self.moves_ports = 0

    def reboot(self, now: float) -> None:
        """Forget everything."""
        self.mappings.clear()
        self.booted_at = now

    def mapped_ports(self) -> set[int]:
        """Ports of the host that something leads to."""
        return {port for _, port, _ in self.mappings}

    def answer(self, request: AnyRequest, now: float) -> AnyAnswer | None:
        """None: no answer."""
        self.mappings = {key: held for key, held in self.mappings.items() if held[0] > now}
        if self.is_silent:
            return None
        match request:
            case Knock():
                return Knocked(answered=tuple(each for each in PROTOCOLS if each in self.speaks))
            case Map() | Check() | Unmap():
                return self._about(request, request.target, now)
            case _:
                return None

    def _about(self, request: Map | Check | Unmap, target: Target, now: float) -> AnyAnswer | None:
        if target.protocol not in self.speaks:
            return Failed(reason="unsupported")
        if isinstance(request, Unmap):
            self._forget(target)
            return Unmapped()
        if target.protocol in self.refusals:
            return Failed(reason=self.refusals[target.protocol])
        if isinstance(request, Check) and target.protocol == UPNP:
            held = self.mappings.get((UPNP, target.port, target.external_port))
            if held is None:
                return Failed(reason="gone")
            return Granted(target=target, external_ip=self.external_ip, lease_s=held[0] - now, renewed=False)
        granted = self._map(target, request.lease_s, now)
        return None if target.protocol in self.late else granted

    def _map(self, target: Target, lease_s: float, now: float) -> Granted:
        if target.protocol != UPNP:
            self._forget(target)
        is_unsaid = target.protocol == UPNP and UPNP in self.late  # with UPnP the asker chooses
        external_port = target.external_port if is_unsaid else target.port + self.moves_ports
        lease = min(float(lease_s), self.lease)
        self.mappings[target.protocol, target.port, external_port] = (
            now + lease if lease else 1e12,
            target.gateway.local,
        )
        return Granted(
            target=msgspec.structs.replace(target, external_port=external_port),
            external_ip=self.external_ip,
            lease_s=lease,
            epoch=None if target.protocol == UPNP else int(now - self.booted_at),
        )

    def _forget(self, target: Target) -> None:
        for key in list(self.mappings):
            of_port = key[:2] == (target.protocol, target.port)
            is_own = self.mappings[key][1] == target.gateway.local
            if of_port and is_own and (target.protocol != UPNP or key[2] == target.external_port):
                del self.mappings[key]


class World:
    """Runs a mapper against routers, each at its gateway address. ``gateway`` is where the host is now."""

    def __init__(self, *routers: SimRouter, limits: NatLimits = NAT, seed: int = 0) -> None:
        self.now = 0.0
        self.gateway: Gateway | None = HOME
        self.routers = dict(zip((HOME.address, CAFE.address), routers, strict=False))
        self.mapper = Mapper(rng=random.Random(seed), limits=limits)
        self.asked: list[tuple[float, AnyRequest]] = []
        self.news: list[tuple[float, NatNews]] = []
        self.said: dict[int, NatNews] = {}  # the last word about each port
        self.is_stopped = False
        self._limits = limits
        self._pending: tuple[float, int, AnyAnswer] | None = None
        self._steps = 0
        self._good_until: dict[int, float] = {}  # until when what was said to be mapped is so

    @property
    def router(self) -> SimRouter:
        """The first router."""
        return self.routers[HOME.address]

    def tell(self, input: MapperInput) -> None:
        """Hand something to the mapper, now."""
        self._steps += 1
        assert self._steps < BUDGET, "it spins"
        for output in self.mapper.handle(input, self.now):
            match output:
                case Ask():
                    self._ask(output)
                case Tell(news=news):
                    self._hear(news)
                case Stopped():
                    self.is_stopped = True
        deadline = self.mapper.next_deadline()
        assert self._pending or deadline is None or deadline > self.now, "nothing to do, and no time to wait"
        for port, until in self._good_until.items():
            assert self.now < until, f"port {port} is not mapped any more, and nobody was told"

    def forget(self, port: int) -> None:
        """Nobody wants to know of a port any more."""
        self.said.pop(port, None)
        self._good_until.pop(port, None)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            deadline = self.mapper.next_deadline()
            times = [time for time in (self._pending and self._pending[0], deadline) if time is not None]
            if not times or min(times) > end:
                break
            self.now = max(self.now, min(times))
            if self._pending is not None and self._pending[0] <= self.now:
                (_, id, answer), self._pending = self._pending, None
                self.tell(Answered(id=id, answer=answer))
            else:
                self.tell(TimerFired())
        self.now = end

    def run_until(self, holds: Callable[[], bool], within: float, step: float = 0.05) -> float:
        """Let time pass until something holds; how long that took."""
        start = self.now
        while not holds():
            assert self.now - start < within, f"not within {within} s; news: {self.news[-4:]}"
            self.run(step)
        return self.now - start

    def stop(self) -> None:
        """End the mapper, and see that it comes to an end in the time that it has."""
        self.tell(Stop())
        self.run_until(lambda: self.is_stopped, within=60.0)

    def is_mapped(self, *ports: int) -> bool:
        """Whether these were said to be mapped, and are."""
        held = {key[1] for router in self.routers.values() for key in router.mappings}
        return all(isinstance(self.said.get(port), Mapped) and port in held for port in ports)

    def mapped(self, port: int) -> Mapped:
        """The last word, which must be Mapped."""
        news = self.said[port]
        assert isinstance(news, Mapped), news
        return news

    def times_of(self, kind: type[AnyRequest], protocol: str = "") -> list[float]:
        """When such requests were made."""
        return [
            at
            for at, request in self.asked
            if isinstance(request, kind) and (not protocol or _target(request).protocol == protocol)
        ]

    def _ask(self, ask: Ask) -> None:
        assert self._pending is None, "two requests at once"
        self.asked.append((self.now, ask.request))
        answer: AnyAnswer | None
        if isinstance(ask.request, FindGateway):
            found = self.gateway
            answer = Failed(reason="no-gateway") if found is None else GatewayFound(gateway=found)
        else:
            router = self.routers.get(_gateway(ask.request).address)
            answer = None if router is None else router.answer(ask.request, self.now)
        if answer is None:
            self._pending = (self.now + ask.deadline_s, ask.id, Failed(reason="timeout"))
            return
        self._pending = (self.now + ANSWER_S, ask.id, answer)
        if isinstance(answer, Granted) and answer.renewed and answer.target.port in self._good_until:
            self._good_until[answer.target.port] = self.now + answer.lease_s if answer.lease_s else 1e12

    def _hear(self, news: NatNews) -> None:
        before = self.said.get(news.port)
        self.news.append((self.now, news))
        self.said[news.port] = news
        match news:
            case Mapped():
                self._good_until[news.port] = self.now + news.lease_s if news.lease_s else 1e12
            case MappingLost():
                assert isinstance(before, Mapped), "what was not mapped cannot be lost"
                del self._good_until[news.port]
            case NotMapped():
                assert not isinstance(before, Mapped), "it was not said that it is lost"
                assert news.advice


def _target(request: AnyRequest) -> Target:
    assert isinstance(request, Map | Check | Unmap)
    return request.target


def _gateway(request: AnyRequest) -> Gateway:
    assert not isinstance(request, FindGateway)
    return request.gateway if isinstance(request, Knock | Inquire) else request.target.gateway
