"""An application's own supervision tree: its actors are started, restarted and stopped as those of a peer are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from cicada.actors.base import GuardedRef
from cicada.actors.loop import Dispatcher, LoopActor, LoopDispatcher
from cicada.actors.supervision import ChildSpec, Restart, Strategy, SupervisorSpec
from cicada.actors.supervisor import ActorSupervisor, ChildExit, Factory
from cicada.clock import SystemClock
from cicada.errors import Misuse, NotBound
from cicada.events import AnyEvent, ChildExited, ChildRestarted, Escalated
from cicada.limits import SUPERVISION

_logger = logging.getLogger("cicada.actors")


class _LoopTime(SystemClock):
    """The clock on which the loop's own timers are."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()


class Child(msgspec.Struct, frozen=True):
    """One actor of a Supervisor. ``start`` starts a fresh LoopActor or BlockingActor and returns its reference; it is called on
    the event loop, for the first start and for each restart."""

    name: str
    start: Factory
    restart: Restart = Restart.ALWAYS


class _Root(LoopActor):
    """The actor that the children belong to."""

    def __init__(self, dispatcher: Dispatcher, supervisor: Supervisor) -> None:
        super().__init__(dispatcher)
        self._supervisor = supervisor

    def on_start(self) -> None:
        self._supervisor.start_children(self.actor_ref)

    def on_receive(self, message: ChildExit) -> None:
        self._supervisor.child_exited(message)

    def on_stop(self) -> None:
        self._supervisor.stop_children()

    def on_failure(self, *_: object) -> None:
        self._supervisor.stop_children()


class Supervisor:
    """Runs actors, in the order of ``children``, until it is stopped or gives up; an async context manager.

    ``strategy`` says who is restarted when one fails: that one, it and those after it, or all. The first restart within
    ``within_s`` seconds waits ``backoff_s`` seconds, each further one twice as long; one more than ``max_restarts`` and the
    supervisor gives up: all its children are stopped, and ``failure`` says why. ``on_event`` is told ChildExited,
    ChildRestarted and, with its ``name``, Escalated, on the loop.

    Raises Misuse for children that cannot be told apart and figures that make no sense. Use on one event loop; ``ref`` and
    ``end`` on any thread.
    """

    def __init__(
        self,
        *children: Child,
        name: str = "application",
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        max_restarts: int = SUPERVISION.max_restarts,
        within_s: float = SUPERVISION.within,
        backoff_s: float = SUPERVISION.backoff,
        on_event: Callable[[AnyEvent], object] | None = None,
    ) -> None:
        self._spec = SupervisorSpec(
            children=tuple(ChildSpec(name=child.name, restart=child.restart) for child in children),
            strategy=strategy,
            max_restarts=max_restarts,
            within_s=within_s,
            backoff_s=backoff_s,
        )
        self._name = name
        self._factories = {child.name: child.start for child in children}
        self._listeners = [] if on_event is None else [on_event]
        self._on_failure: Callable[[str], object] | None = None
        self._dispatcher: Dispatcher | None = None
        self._children: ActorSupervisor | None = None
        self._root: GuardedRef[Any] | None = None
        self._over: asyncio.Future[None] | None = None
        self._begun: asyncio.Future[None] | None = None
        self.restarts = 0
        """Restarts so far."""
        self.failure = ""
        """Why it gave up; empty while it has not."""

    def belong_to(
        self,
        name: str,
        dispatcher: Dispatcher,
        *,
        on_event: Callable[[AnyEvent], object] | None,
        on_failure: Callable[[str], object],
    ) -> None:
        """For a peer, before the start: its events are the peer's too, and why it gave up is told to it."""
        self._name, self._dispatcher, self._on_failure = name, dispatcher, on_failure
        self._listeners.extend([] if on_event is None else [on_event])

    async def start(self) -> Self:
        """Start the children; returns when each was started once. Raises Misuse when it was started before."""
        self.begin()
        if self._begun is not None:
            await self._begun
        return self

    def begin(self) -> None:
        """The same without waiting."""
        if self._root is not None:
            raise Misuse("this supervisor was started before: make a new one")
        loop = asyncio.get_running_loop()
        self._over, self._begun = loop.create_future(), loop.create_future()
        self._root = _Root.start(self._dispatcher or LoopDispatcher(loop), self)

    async def stop(self, timeout: float = SUPERVISION.stop_timeout) -> None:
        """Stop the children, last started first; returns when all have ended, or after ``timeout`` seconds. Idempotent."""
        self.end()
        if self._over is not None:
            await asyncio.wait([self._over], timeout=timeout)

    def end(self) -> None:
        """The same without waiting. From any thread."""
        if self._root is not None:
            self._root.stop(block=False)

    async def ended(self) -> str:
        """Returns when nothing of it runs any more: why it gave up, or nothing when it was stopped."""
        if self._over is None:
            raise Misuse("this supervisor was not started: use it with `async with`, or await start()")
        await asyncio.wait([self._over])
        return self.failure

    @property
    def names(self) -> tuple[str, ...]:
        """Of its children."""
        return tuple(self._factories)

    @property
    def is_running(self) -> bool:
        """Whether it was started and has neither been stopped nor given up."""
        return self._root is not None and self._root.is_alive()

    def ref(self, child: str) -> GuardedRef[Any]:
        """The child's present reference; after its restart it has another. Raises NotBound while it does not run, and Misuse
        when no child has that name."""
        if child not in self._factories:
            raise Misuse(f"no child is called {child!r}: there are {', '.join(self._factories)}")
        ref = None if self._children is None else self._children.ref(child)
        if ref is None:
            raise NotBound(f"{child} does not run at present: {self.failure or 'it is being restarted'}")
        return ref

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start_children(self, owner: GuardedRef[Any]) -> None:
        """For its actor."""
        self._children = ActorSupervisor(
            self._spec,
            self._factories,
            owner=owner,
            clock=_LoopTime(asyncio.get_running_loop()),
            on_restarted=self._restarted,
            on_escalated=self._escalated,
            on_stopped=self._stopped,
        )
        self._children.start()
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(None)

    def child_exited(self, exit: ChildExit) -> None:
        """For its actor."""
        self._tell(ChildExited(child=exit.child, reason=exit.reason))
        if self._children is not None:
            self._children.exited(exit)

    def stop_children(self) -> None:
        """For its actor."""
        if self._children is None:
            self._stopped()
        elif not self.failure:
            self._children.stop()

    def _restarted(self, child: str) -> None:
        self.restarts += 1
        self._tell(ChildRestarted(child=child, restarts=self.restarts))

    def _escalated(self, reason: str) -> None:
        self.failure = reason
        self._tell(Escalated(child=self._name, reason=reason))
        self.end()
        if self._on_failure is not None:
            self._on_failure(reason)

    def _stopped(self) -> None:
        for future in (self._begun, self._over):
            if future is not None and not future.done():
                future.set_result(None)

    def _tell(self, event: AnyEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # whoever looks on must not cost anybody a restart
                _logger.exception("the on_event of %s failed", self._name)
