"""Whether the swarm is as it should be, asked again and again while it is not."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from cicada.errors import CicadaError
from cicada.events import RunStateChanged
from cicada.ids import Address
from cicada.limits import LAUNCHER, RING, RingLimits
from launcher.protocol import PeerView
from launcher.readiness import RingView, Verdict, assess
from launcher.roster import State
from launcher.swarm import Swarm

_logger = logging.getLogger("cicada.launcher")


class RunState(enum.Enum):
    """The swarm as a whole."""

    STARTING = "starting"
    JOINING = "joining"
    PROVEN = "proven"
    DEGRADED = "degraded"  # it was proven before, and is not now
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


OBSERVED = frozenset({RunState.JOINING, RunState.PROVEN, RunState.DEGRADED})
"""The states between which observations decide."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The swarm at one instant: what its peers say, and what follows from it."""

    views: dict[str, PeerView]
    verdict: Verdict


class Monitor:
    """Keeps the run's state. ``since`` is the loop's time at which the run was asked for; ``tend`` is called after each look
    of ``run``."""

    def __init__(
        self,
        swarm: Swarm,
        publish: Callable[[RunStateChanged], None],
        since: float,
        ring: RingLimits = RING,
        tend: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._swarm = swarm
        self._ring = ring
        self._publish = publish
        self._since = since
        self._tend = tend
        self._poked = asyncio.Event()
        self._changed = asyncio.Condition()
        self.state = RunState.STARTING
        self.detail = ""
        self.proven_after_s: float | None = None
        self.last: Observation | None = None
        """What was seen last; while all is well that is seldom: ask ``observe`` for how things are now."""

    @property
    def uptime_s(self) -> float:
        """Seconds since the run was asked for."""
        return asyncio.get_running_loop().time() - self._since

    async def enter(self, state: RunState, detail: str = "") -> None:
        """Change the run's state, and tell whoever waits or listens. Nothing leads out of FAILED but the end."""
        if state is self.state or (self.state is RunState.FAILED and state in OBSERVED):
            return
        self.state, self.detail = state, detail
        self._publish(RunStateChanged(state=state.value, detail=detail))
        async with self._changed:
            self._changed.notify_all()

    def begin(self) -> None:
        """Tell that the run starts."""
        self._publish(RunStateChanged(state=self.state.value))

    def poke(self) -> None:
        """Something changed: look again soon."""
        self._poked.set()

    async def observe(self) -> Observation:
        """Look at every live peer now, and draw the conclusion."""
        views = await self._swarm.views()
        expected = {member.name: member.address for member in self._swarm.expected()}
        seen = _ring_views(views, expected)
        ring = self._ring
        verdict = assess(expected.values(), seen, ring.successors, group_hosts=ring.group_hosts)
        self.last = Observation(views=views, verdict=verdict)
        if self.state in OBSERVED:
            await self._conclude(verdict)
        return self.last

    async def proven(self, timeout: float | None) -> bool:
        """Wait until the ring is proven. False: not within ``timeout`` seconds (None: for ever), or the run ended."""
        over = {RunState.PROVEN, RunState.STOPPING, RunState.STOPPED, RunState.FAILED}
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self.state in over)
        except TimeoutError:
            return False
        return self.state is RunState.PROVEN

    async def prove(self, timeout: float) -> Verdict:
        """Look until the ring is proven, at most ``timeout`` seconds. Returns the last verdict."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + timeout
        while True:
            verdict = (await self.observe()).verdict
            if verdict.proven or loop.time() >= give_up:
                return verdict
            await asyncio.sleep(LAUNCHER.poll_min)

    async def run(self) -> None:
        """Observe until cancelled: often while the ring is not proven, seldom while it is."""
        loop = asyncio.get_running_loop()
        while True:
            self._poked.clear()
            started = loop.time()
            try:
                await self.observe()
                await self._bring_in_stragglers()
                if self._tend is not None:
                    await self._tend()
            except CicadaError:  # the environment may refuse for a while; the next look may succeed
                _logger.exception("the swarm could not be observed")
            await self._pause(loop.time() - started)

    async def _conclude(self, verdict: Verdict) -> None:
        if verdict.proven:
            if self.proven_after_s is None:
                self.proven_after_s = self.uptime_s
            await self.enter(RunState.PROVEN, f"{verdict.live} peers after {self.uptime_s:.2f} s")
        elif self.state is RunState.PROVEN:
            await self.enter(RunState.DEGRADED, verdict.in_words())

    async def _bring_in_stragglers(self) -> None:
        """Peers that failed to join, or came back alone, get another chance when nothing else is going on."""
        swarm = self._swarm
        frozen = swarm.frozen()
        if swarm.changes.locked() or not [m for m in swarm.roster.having(State.UP) if m.name not in frozen]:
            return
        async with swarm.changes:
            await swarm.join(m for m in swarm.roster.having(State.UP) if m.name not in frozen)

    async def _pause(self, cost: float) -> None:
        calm = self.state is RunState.PROVEN
        pause = LAUNCHER.poll_calm if calm else max(LAUNCHER.poll_min, cost / LAUNCHER.poll_share - cost)
        try:
            async with asyncio.timeout(min(pause, LAUNCHER.poll_calm)):
                await self._poked.wait()
        except TimeoutError:
            return


def _ring_views(views: Mapping[str, PeerView], expected: Mapping[str, Address]) -> dict[Address, RingView]:
    return {
        address: RingView(
            joined=view.joined,
            successors=tuple(Address(successor) for successor in view.successors),
            predecessor=Address(view.predecessor) if view.predecessor else None,
        )
        for name, address in expected.items()
        if (view := views.get(name)) is not None and not view.silent
    }
