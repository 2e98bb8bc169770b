"""Actors without threads: a dispatcher runs the actors of one event loop, a batch at a time.

A thousand peers are some four thousand actors. With a thread each, every message would pay for a switch of threads;
here a tell between two actors of one loop is an append to a deque.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, Protocol, Self, TypeVar

from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from cicada.actors.base import ActorExit, GuardedActor, GuardedRef, must_fit
from cicada.limits import ACTOR, ActorLimits

A = TypeVar("A", bound="LoopActor")

NOT_PLAIN = frozenset[type]({Envelope, _ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr})
"""What Pykka puts into inboxes besides messages."""


class Dispatcher(Protocol):
    """Who gives an actor its turns."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def thread(self) -> int:
        """The loop's."""
        ...

    @property
    def schedule(self) -> Callable[[LoopActor], None]:
        """Give an actor a turn soon. On the loop's thread only, and not while the actor already waits for one."""
        ...


class LoopDispatcher:
    """Gives the actors of one event loop their turns. Make one per loop, on that loop's thread.

    Actors that have messages take turns of at most ``limits.batch`` messages. Whom a turn gave messages to goes before
    those that wait, while what it was told is in the processor's caches; after ``limits.cascade`` messages the others
    come first again. After about ``limits.turn`` messages altogether the loop looks at its sockets and timers.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, limits: ActorLimits = ACTOR) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self.limits = limits
        self.thread = get_ident()
        self.ready: deque[LoopActor] = deque()
        self.called: deque[LoopActor] = deque()  # by the actors of the cascade under way
        self.awake = False  # a turn is scheduled or under way
        self.running = False  # it is under way
        self.current: LoopActor | None = None  # whose turn it is, for logs

    def schedule(self, actor: LoopActor) -> None:
        """Give ``actor`` a turn soon. On the loop's thread only, and not while it already waits for one."""
        if self.running:
            self.called.append(actor)
            return
        self.ready.append(actor)
        if not self.awake:
            self.awake = True
            try:
                self.loop.call_soon(self._turn)
            except RuntimeError:  # the loop is closed: there are no turns any more
                actor.abandon()

    def withdraw(self, chosen: Callable[[LoopActor], bool]) -> list[LoopActor]:
        """Take actors out of the line without telling them: they wait on until they are scheduled again. Not from inside a
        turn, in which whoever has it may get in line behind this."""
        withdrawn = [actor for actor in self.ready if chosen(actor)]
        self.ready = deque(actor for actor in self.ready if not chosen(actor))
        return withdrawn

    def _turn(self) -> None:
        budget = self.limits.turn
        self.running = True
        while self.ready and budget > 0:
            budget -= self._cascade()
        self.running = False
        self.current = None
        if self.ready:
            self.loop.call_soon(self._turn)
        else:
            self.awake = False

    def _cascade(self) -> int:
        """The actor that has waited longest, then those that it, and they, called. Returns the messages handled."""
        ready, called = self.ready, self.called
        batch, most = self.limits.batch, self.limits.cascade
        handled = 0
        called.append(ready.popleft())
        while called and handled < most:
            self.current = actor = called.popleft()
            handled += actor.run(batch)
            inbox = actor.actor_inbox
            if inbox.queue:
                ready.append(actor)
            else:
                inbox.scheduled = False
        ready.extend(called)
        called.clear()
        return handled


class LoopInbox:
    """The inbox of a LoopActor. Plain tells lie in ``queue`` as they are; asks in Pykka's envelopes.

    ``scheduled`` belongs to the loop's thread: the actor waits for a turn or has it. ``called`` is set by other
    threads when they ask the loop to look; it is cleared before the loop does, so no message is left lying.
    """

    __slots__ = ("actor", "called", "dispatcher", "queue", "room", "scheduled", "thread")

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.room = 0  # 0 before the start and after the end, so that the fast path needs one comparison only
        self.scheduled = False
        self.called = False

    def attach(self, actor: LoopActor, dispatcher: Dispatcher) -> None:
        """Name the actor and its loop. Before anybody has a reference to the actor."""
        self.actor = actor
        self.dispatcher = dispatcher
        self.thread = dispatcher.thread
        self.room = actor.capacity

    def post(self, item: Any) -> None:
        """Take one message, plain or in an envelope, from any thread. This is the hot path of everything."""
        queue = self.queue
        if len(queue) >= self.room and not self._admit(item):
            return
        queue.append(item)
        if get_ident() != self.thread:
            self.call_loop()
        elif not self.scheduled:
            self.scheduled = True
            self.dispatcher.schedule(self.actor)

    def post_all(self, items: Sequence[Any]) -> None:
        """Take several plain messages, in order, for little more than the price of one."""
        queue = self.queue
        if len(queue) + len(items) > self.room:
            for item in items:
                self.post(item)
            return
        queue.extend(items)
        if get_ident() != self.thread:
            self.call_loop()
        elif not self.scheduled:
            self.scheduled = True
            self.dispatcher.schedule(self.actor)

    def put(self, envelope: Envelope[Any], /) -> None:
        if self.dispatcher.loop.is_closed():  # whoever asks must not wait for an answer that cannot come
            self.actor.abandon()
        self.post(envelope)

    def get(self) -> Envelope[Any]:
        item = self.queue.popleft()
        return item if type(item) is Envelope else Envelope(item)

    def empty(self) -> bool:
        return not self.queue

    def backlog(self) -> int:
        return len(self.queue)

    def _admit(self, item: Any) -> bool:
        actor = self.actor
        if actor.actor_stopped.is_set():
            actor.discard(item)
            return False
        if must_fit(item):
            return True
        bulk = actor.bulk
        if bulk is not None and type(item) not in bulk and len(self.queue) < self.room + ACTOR.inbox_reserve:
            return True
        actor.overflowed(item)
        return False

    def call_loop(self) -> None:
        if self.called:
            return
        self.called = True
        try:
            self.dispatcher.loop.call_soon_threadsafe(self._called_by_thread)
        except RuntimeError:  # the loop is closed, so the actor will never have a turn again
            self.actor.abandon()

    def _called_by_thread(self) -> None:
        self.called = False
        if not self.scheduled:
            self.scheduled = True
            self.dispatcher.schedule(self.actor)


class LoopRef(GuardedRef[A]):
    """Reference to a LoopActor."""

    def __init__(self, actor: A) -> None:
        super().__init__(actor)
        self._post = actor.actor_inbox.post
        self._post_all = actor.actor_inbox.post_all

    def tell(self, message: Any) -> None:
        """As GuardedRef promises; about a quarter of a microsecond on the loop's own thread."""
        self._post(message)

    def tell_all(self, messages: Sequence[Any]) -> None:
        """The same as telling each of them in turn, cheaper."""
        self._post_all(messages)


class _Stopped:
    """Whether an actor has ended: as much of a threading.Event as an actor without a thread needs."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True


class LoopActor(GuardedActor):
    """An actor on an event loop: ``on_start``, ``on_receive`` and ``on_stop`` run there and must not block.

    ``dispatcher`` is that of its loop. Starting only queues it: ``on_start`` runs at its first turn, so whoever
    starts it on the loop can watch it before anything can fail.
    """

    actor_inbox: LoopInbox

    def __init__(self, dispatcher: Dispatcher, dropped: Counter[str] | None = None) -> None:
        super().__init__(dropped)
        stopped: Any = _Stopped()  # Pykka's own, with which threads wait for each other, has 1.1 KiB
        self.actor_stopped = self.actor_ref.actor_stopped = stopped
        self._begun = False
        self.dispatcher = dispatcher
        self.actor_inbox.attach(self, dispatcher)

    @staticmethod
    def _create_actor_inbox() -> LoopInbox:
        return LoopInbox()

    def _create_ref(self) -> LoopRef[Self]:
        return LoopRef(self)

    def _start_actor_loop(self) -> None:
        inbox = self.actor_inbox
        if get_ident() != inbox.thread:
            inbox.call_loop()
        elif not inbox.scheduled:
            inbox.scheduled = True
            self.dispatcher.schedule(self)

    def run(self, limit: int) -> int:
        """For the dispatcher: handle up to ``limit`` messages; what it took of the turn, at least 1. Never raises."""
        if not self._begun:
            self._begun = True
            self._begin()
        if self.actor_stopped.is_set():
            self._discard_all()
            return 1
        queue = self.actor_inbox.queue
        waiting = len(queue)
        try:
            self.take(queue, limit)
        except BaseException as error:  # noqa: BLE001  reported by _fail
            self._fail(error)
        if self.actor_stopped.is_set():
            self._discard_all()
        return min(waiting, limit) or 1

    def take(self, queue: deque[Any], limit: int) -> None:
        """Handle up to ``limit`` messages of ``queue``. May be overridden by actors that handle many alike; whatever
        is in NOT_PLAIN must then go through ``handle_special``."""
        receive = self.on_receive
        for _ in range(min(limit, len(queue))):
            item = queue.popleft()
            if type(item) not in NOT_PLAIN:
                receive(item)
            elif self.handle_special(item):
                return

    def abandon(self) -> None:
        """The loop is closed: the actor counts as failed and what it holds is answered. From any thread; idempotent."""
        self._leave()
        self.ending.settle(ActorExit(urn=self.actor_urn, failed=True, reason="its event loop is closed"))
        self._discard_all()

    def handle_special(self, item: Any) -> bool:
        """Handle a stop, an ask or a proxy's message. True: the actor has ended."""
        if type(item) is Envelope:
            self._handle_envelope(item)
        else:
            self._handle_receive(item)
        return self.actor_stopped.is_set()

    def _leave(self) -> None:
        self.actor_inbox.room = 0
        super()._leave()

    def _discard_all(self) -> None:
        queue = self.actor_inbox.queue
        while queue:
            self.discard(queue.popleft())
