"""Supervision of worker processes: the decision actors are supervised by, carried out for processes."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from cicada.actors.supervision import (
    ChildSpec,
    Escalate,
    Exit,
    History,
    Restart,
    Start,
    SupervisorSpec,
    decide,
    recorded,
)
from cicada.config.model import Supervision
from cicada.errors import CicadaError
from cicada.events import AnyEvent, ChildRestarted, Escalated, WorkerExited, WorkerStarted
from launcher.roster import Member, State
from launcher.swarm import Swarm

POLICIES = {"no": Restart.NEVER, "on-failure": Restart.ON_FAILURE, "always": Restart.ALWAYS}
"""The words of a configuration for who is restarted."""

_OF_ITS_OWN_ACCORD = "exit 0"

_logger = logging.getLogger("cicada.launcher")

Publish = Callable[[str, AnyEvent], None]


class WorkerSupervisor:
    """Brings dead workers back with their peers, until they die too often; then ``on_escalated`` is told why."""

    def __init__(
        self, swarm: Swarm, settings: Supervision, publish: Publish, on_escalated: Callable[[str], None]
    ) -> None:
        self._swarm = swarm
        self._spec = SupervisorSpec(
            children=tuple(
                ChildSpec(name=name, restart=POLICIES[settings.restart]) for name in swarm.pool.names
            ),
            max_restarts=settings.max_restarts,
            within_s=settings.within_s,
            backoff_s=settings.backoff_s,
        )
        self._publish = publish
        self._on_escalated = on_escalated
        self._settings = settings
        self._history: History = ()
        self._restarts: Counter[str] = Counter()
        self._recoveries: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._deaths: dict[str, str] = {}

    @property
    def deaths(self) -> dict[str, str]:
        """The workers that ended without being told to and were not brought back, by nobody, and how they ended."""
        return {worker: how for worker, how in self._deaths.items() if worker in self._swarm.abandoned}

    @property
    def total_restarts(self) -> int:
        """Restarts of all workers."""
        return self._restarts.total()

    def restarts(self, worker: str) -> int:
        """How often this worker was brought back."""
        return self._restarts[worker]

    def stop(self) -> None:
        """From now on workers end because they are told to."""
        self._stopping = True
        for recovery in self._recoveries:
            recovery.cancel()

    def exited(self, worker: str, pid: int, how: str) -> None:
        """A worker process has ended. Decides, and starts what was decided."""
        told = self._stopping or self._swarm.pool.ended_as_told(worker)
        self._publish("", WorkerExited(worker=worker, pid=pid, exit=how, expected=told))
        lost = self._swarm.roster.lose(worker)
        if self._stopping:
            return
        now = asyncio.get_running_loop().time()
        if told and POLICIES[self._settings.restart] is not Restart.NEVER:
            self._recover_at(
                Start(worker, now + self._settings.backoff_s)
            )  # a fault that was asked for is no failure
            return
        end = Exit(child=worker, failed=how != _OF_ITS_OWN_ACCORD, reason=how)
        actions = decide(self._spec, self._history, end, now)
        self._history = recorded(self._spec, self._history, end, now)
        if not actions:
            self._leave_dead(worker, pid, how, lost, told=told)
            return
        _logger.warning(
            "%s (process %d) ended: %s; %d peers are lost until it is back", worker, pid, how, len(lost)
        )
        for action in actions:
            if isinstance(action, Start):
                self._recover_at(action)
            elif isinstance(action, Escalate):
                self._give_up(action)

    def _leave_dead(self, worker: str, pid: int, how: str, lost: list[Member], *, told: bool) -> None:
        """It stays dead, and its peers with it, until somebody restarts them."""
        self._swarm.abandoned.add(worker)
        policy = f'supervision.restart is "{self._settings.restart}"'
        _logger.warning(
            "%s (process %d) ended: %s; it stays dead with its %d peers, since %s",
            *(worker, pid, how, len(lost), policy),
        )
        if told:
            self._deaths.pop(worker, None)  # that end was of a life before
        else:
            self._deaths[worker] = how
        problem = "" if told else f"died with {worker} ({how}), which stays dead: {policy}"
        self._swarm.roster.mark((member.name for member in lost), State.KILLED, problem)

    def started(self, worker: str) -> None:
        """A worker process answers."""
        self._publish("", WorkerStarted(worker=worker, pid=self._swarm.pool.pid(worker)))

    def _recover_at(self, action: Start) -> None:
        task = asyncio.create_task(self._recover(action.child, action.at), name=f"recover {action.child}")
        self._recoveries.add(task)
        task.add_done_callback(self._recoveries.discard)

    async def _recover(self, worker: str, at: float) -> None:
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        self._restarts[worker] += 1
        self._publish("", ChildRestarted(child=worker, restarts=self._restarts[worker]))
        try:
            await self._swarm.revive(worker)
        except (
            CicadaError
        ) as error:  # its process has ended too, or will: that exit decides what happens next
            _logger.warning("%s did not come back: %s", worker, error)
            return
        self.started(worker)

    def _give_up(self, action: Escalate) -> None:
        self._publish("", Escalated(child=action.child, reason=action.reason))
        self._on_escalated(action.reason)
