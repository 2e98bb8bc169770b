"""Peers that gave up, that is whose own supervisors did: brought back by the policy of the configuration, or not."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from cicada.actors.supervision import (
    ChildSpec,
    Exit,
    History,
    Restart,
    Start,
    SupervisorSpec,
    decide,
    recorded,
)
from cicada.config.model import Supervision
from cicada.events import AnyEvent, ChildRestarted
from launcher.roster import RETURNING, Member, State
from launcher.supervisor import POLICIES
from launcher.swarm import Swarm

_logger = logging.getLogger("cicada.launcher")

Publish = Callable[[str, AnyEvent], None]


class PeerKeeper:
    """A peer that gives up too often stays dead; the swarm goes on without it."""

    def __init__(self, swarm: Swarm, settings: Supervision, publish: Publish) -> None:
        self._swarm = swarm
        self._settings = settings
        self._publish = publish
        self._histories: dict[str, History] = {}
        self._due: dict[str, float | None] = {}  # of those that failed; None: stays dead
        self._restarts: Counter[str] = Counter()
        self._deaths: dict[str, str] = {}

    @property
    def deaths(self) -> dict[str, str]:
        """The peers that gave up and were not brought back, by nobody, and why they did; also those about which nothing was
        decided yet, when that could be one thing only."""
        self._forget_returned()
        if POLICIES[self._settings.restart] is not Restart.NEVER:
            return dict(self._deaths)
        undecided = {m.name: m.problem for m in self._swarm.roster.having(State.FAILED)}
        return undecided | self._deaths

    @property
    def total_restarts(self) -> int:
        """How often peers were brought back."""
        return self._restarts.total()

    async def tend(self) -> None:
        """Decide about those that gave up since the last call, and bring back whose time has come."""
        failed = {member.name: member for member in self._swarm.roster.having(State.FAILED)}
        self._due = {name: due for name, due in self._due.items() if name in failed}
        self._forget_returned()
        for name, member in failed.items():
            if name not in self._due:
                self._due[name] = self._decide(member)
        now = asyncio.get_running_loop().time()
        ready = [failed[name] for name, due in self._due.items() if due is not None and due <= now]
        if ready and not self._swarm.changes.locked():
            async with self._swarm.changes:
                await self._bring_back([member for member in ready if member.state is State.FAILED])

    def _forget_returned(self) -> None:
        roster = self._swarm.roster
        self._deaths = {
            name: problem for name, problem in self._deaths.items() if roster[name].state not in RETURNING
        }

    def _decide(self, member: Member) -> float | None:
        """When it is to come back; None: never."""
        spec = SupervisorSpec(
            children=(ChildSpec(name=member.name, restart=POLICIES[self._settings.restart]),),
            max_restarts=self._settings.max_restarts,
            within_s=self._settings.within_s,
            backoff_s=self._settings.backoff_s,
        )
        history = self._histories.get(member.name, ())
        now = asyncio.get_running_loop().time()
        end = Exit(child=member.name, failed=True, reason=member.problem)
        start = next((a for a in decide(spec, history, end, now) if isinstance(a, Start)), None)
        self._histories[member.name] = recorded(spec, history, end, now)
        if start is not None:
            return start.at
        self._deaths[member.name] = member.problem
        _logger.warning("%s stays dead: it %s", member.name, member.problem)
        return None

    async def _bring_back(self, members: list[Member]) -> None:
        for member in members:
            del self._due[member.name]  # when it gives up again, that is decided anew
            self._restarts[member.name] += 1
            self._publish("", ChildRestarted(child=member.name, restarts=self._restarts[member.name]))
        for name, problem in (await self._swarm.restart(members)).items():
            _logger.warning("%s did not come back: %s", name, problem)
