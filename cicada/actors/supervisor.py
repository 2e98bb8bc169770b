"""Carries supervision decisions out for the actors of one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from threading import get_ident
from typing import Any

import pykka

from cicada.actors.base import ActorExit, GuardedRef, Urgent, describe
from cicada.actors.supervision import (
    Action,
    Escalate,
    Exit,
    History,
    Start,
    Stop,
    SupervisorSpec,
    decide,
    recorded,
    start_all,
    stop_all,
)
from cicada.clock import Clock
from cicada.errors import Misuse
from cicada.limits import SUPERVISION

Factory = Callable[[], pykka.ActorRef[Any]]
"""Starts a fresh LoopActor or BlockingActor and returns its reference. If it raises, the child counts as failed."""

_logger = logging.getLogger("cicada.actors")


class ChildExit(Urgent, frozen=True, kw_only=True):
    """Told to the owner: a child ended without being told to."""

    child: str
    urn: str
    failed: bool
    reason: str


class ActorSupervisor:
    """Starts, watches, restarts and stops the children of ``owner``, an actor of the running event loop.

    The owner is told ChildExit and must pass it to ``exited``. ``on_restarted(child)`` is called after each restart,
    ``on_escalated(reason)`` once, when there were too many: by then all children are stopped, and none starts any
    more. ``on_stopped()`` is called when, after ``stop`` or an escalation, none is left. Back-offs and stops are
    waited for without blocking. Use on the loop's thread only, where the callbacks come too.
    """

    def __init__(
        self,
        spec: SupervisorSpec,
        factories: Mapping[str, Factory],
        *,
        owner: pykka.ActorRef[Any],
        clock: Clock,
        on_restarted: Callable[[str], object],
        on_escalated: Callable[[str], object],
        on_stopped: Callable[[], object] | None = None,
        stop_timeout: float = SUPERVISION.stop_timeout,
    ) -> None:
        missing = [child.name for child in spec.children if child.name not in factories]
        if missing:
            raise Misuse(f"no factory for {', '.join(missing)}")
        self._spec = spec
        self._factories = factories
        self._owner = owner
        self._clock = clock
        self._on_restarted = on_restarted
        self._on_escalated = on_escalated
        self._on_stopped = on_stopped
        self._stop_timeout = stop_timeout
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._refs: dict[str, GuardedRef[Any]] = {}
        self._started: set[str] = set()
        self._history: History = ()
        self._plan: list[Action] = []
        self._stopping = ""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._over = False
        self.failure = ""

    def start(self) -> None:
        """Start all children, in order."""
        self._follow(start_all(self._spec, self._clock.now()))

    def ref(self, child: str) -> GuardedRef[Any] | None:
        """The child's present reference; None while it does not run."""
        return self._refs.get(child)

    def exited(self, exit: ChildExit) -> None:
        """Decide what to do about an exit, and begin to do it."""
        if self._over:
            return
        now = self._clock.now()
        end = Exit(child=exit.child, failed=exit.failed, reason=exit.reason)
        actions = decide(self._spec, self._history, end, now)
        self._history = recorded(self._spec, self._history, end, now)
        if any(isinstance(action, Escalate) for action in actions):
            self._plan.clear()  # nothing is started only to be stopped
        self._follow(actions)

    def stop(self) -> None:
        """Begin to stop all children, last started first. None starts any more, and no callback but ``on_stopped``
        comes. Idempotent."""
        self._over = True
        self._plan.clear()
        self._follow(stop_all(self._spec))

    def _follow(self, actions: tuple[Action, ...]) -> None:
        self._plan.extend(actions)
        self._advance()

    def _advance(self) -> None:
        while not self._stopping and (action := self._next_due()) is not None:
            del self._plan[0]
            match action:
                case Stop(child=child):
                    self._stop_child(child)
                case Start(child=child):
                    self._start_child(child)
                case Escalate(reason=reason):
                    self._give_up(reason)
        if self._over and not self._stopping and not self._plan and self._on_stopped is not None:
            self._on_stopped()

    def _next_due(self) -> Action | None:
        """The next action, unless a back-off has to pass first."""
        action = self._plan[0] if self._plan else None
        if not isinstance(action, Start) or action.at <= (now := self._clock.now()):
            return action
        self._set_timer("back-off", action.at - now, self._advance)
        return None

    def _start_child(self, child: str) -> None:
        if child in self._refs:
            return
        again = child in self._started
        self._started.add(child)
        try:
            ref = _guarded(self._factories[child]())
        except Exception as error:  # a child that cannot be made is a child that failed
            _logger.exception("%s could not be started", child)
            self._owner.tell(ChildExit(child=child, urn="", failed=True, reason=describe(error)))
            return
        self._refs[child] = ref
        ref.watch(partial(self._heard, child))
        if again:
            self._tell_restarted(child)

    def _tell_restarted(self, child: str) -> None:
        try:
            self._on_restarted(child)
        except Exception as error:  # after a back-off no actor's guard is around this
            _logger.exception("the owner failed when %s was restarted", child)
            self._follow((*stop_all(self._spec), Escalate(child, describe(error))))

    def _stop_child(self, child: str) -> None:
        ref = self._refs.get(child)
        if ref is None:
            return
        self._stopping = child
        self._set_timer("stop", self._stop_timeout, partial(self._stop_overdue, child))
        ref.stop(block=False)

    def _stop_overdue(self, child: str) -> None:
        _logger.error("%s did not stop within %s s: going on without it", child, self._stop_timeout)
        self._refs.pop(child, None)
        self._stopped()

    def _stopped(self) -> None:
        self._stopping = ""
        self._cancel_timer("stop")
        self._loop.call_soon(self._advance)  # not inside the turn of the child that just ended

    def _give_up(self, reason: str) -> None:
        self._over = True
        self._plan.clear()
        self._cancel_timer("back-off")
        self.failure = reason
        self._on_escalated(reason)

    def _heard(self, child: str, end: ActorExit) -> None:
        if get_ident() == self._thread:
            self._ended(child, end)
        else:
            try:
                self._loop.call_soon_threadsafe(self._ended, child, end)
            except RuntimeError:  # the loop is closed, and with it everything that could be decided
                return

    def _ended(self, child: str, end: ActorExit) -> None:
        ref = self._refs.get(child)
        if ref is None or ref.actor_urn != end.urn:
            return
        del self._refs[child]
        if self._stopping == child:
            self._stopped()
        elif not self._over:
            self._owner.tell(ChildExit(child=child, urn=end.urn, failed=end.failed, reason=end.reason))

    def _set_timer(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._cancel_timer(name)
        self._timers[name] = self._loop.call_later(max(delay, 0.001), callback)

    def _cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _guarded(ref: pykka.ActorRef[Any]) -> GuardedRef[Any]:
    if not isinstance(ref, GuardedRef):
        raise Misuse(f"{ref} cannot be supervised: derive its actor from LoopActor or BlockingActor")
    return ref
