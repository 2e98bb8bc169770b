"""What all actors have in common: guarded hooks, a bounded inbox, and an end that is told to whoever watches.

Pykka alone never reports a failing ``on_start``, keeps an actor alive after a failing ask, stops every actor of the
process on a BaseException, and queues without bound. Here a failure, wherever it happens, ends exactly the actor it
happened in, once, and whoever watches is told.
"""

from __future__ import annotations

import enum
import logging
import queue
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, cast

import msgspec
import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from cicada.actors.futures import LoopFuture
from cicada.actors.threads import check_threads
from cicada.errors import CicadaError, MailboxFull, without_bytes
from cicada.limits import ACTOR

A = TypeVar("A", bound="GuardedActor")

_logger = logging.getLogger("cicada.actors")


class Overflow(enum.Enum):
    """What a full inbox does with one tell more. It is counted as dropped either way; an ask gets MailboxFull."""

    DROP_NEWEST = "drop-newest"
    """The teller is not told: what is queued already is older and was promised first."""
    REFUSE = "refuse"
    """``tell`` raises MailboxFull: for tellers that can wait or shed load themselves."""


class Urgent(msgspec.Struct, frozen=True):
    """Base of messages that must not be lost, so they fit into any inbox, however full. Each sender has but a handful
    of them in flight.
    """


class ActorExit(Urgent, frozen=True, kw_only=True):
    """An actor ended: because it was asked to, or (``failed``) because ``reason``."""

    urn: str
    failed: bool
    reason: str


class GuardedRef(pykka.ActorRef[A]):
    """Reference to a guarded actor; safe to pass around and to use from any thread."""

    def __init__(self, actor: A) -> None:
        super().__init__(actor)
        self._ending = actor.ending
        self._dropped = actor.dropped

    def tell(self, message: Any) -> None:
        """Put ``message`` in the inbox. Never blocks. Raises MailboxFull only under Overflow.REFUSE.

        Unlike Pykka's, a tell to an actor that has ended is dropped and counted: no teller can know whether it ends
        before or after, and the failure of one actor must not spread to those that tell it things.
        """
        self.actor_inbox.put(Envelope(message))

    def tell_all(self, messages: Sequence[Any]) -> None:
        """The same as telling each of them in turn; cheaper where an actor can take several at once."""
        for message in messages:
            self.tell(message)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Have the actor stop once it has handled what is queued. True: it did; False: it had ended before.

        With ``block=False`` the answer is a LoopFuture, to be awaited on an event loop.
        """
        asked: LoopFuture[None] = cast("LoopFuture[None]", self.ask(_ActorStop(), block=False))
        stopped: LoopFuture[bool] = LoopFuture()
        asked.when_settled(lambda: stopped.set(asked.error() is None))
        return stopped.get(timeout=timeout) if block else stopped

    def watch(self, callback: Callable[[ActorExit], object]) -> None:
        """Have ``callback`` called once when the actor ends, in the actor's own context; at once if it has ended."""
        self._ending.watch(callback)

    @property
    def backlog(self) -> int:
        """Messages in its inbox."""
        waiting: int = self.actor_inbox.backlog()  # type: ignore[attr-defined]  # all our inboxes have it
        return waiting

    @property
    def dropped(self) -> dict[str, int]:
        """Messages this actor lost since its start, by reason; all that share its counter did, if it was given one."""
        return dict(self._dropped)


class Ending:
    """How an actor ended, once it did, and who wants to know. Settled once; used from any thread."""

    __slots__ = ("_callbacks", "exit")

    def __init__(self) -> None:
        self.exit: ActorExit | None = None
        self._callbacks: list[Callable[[ActorExit], object]] = []

    def watch(self, callback: Callable[[ActorExit], object]) -> None:
        self._callbacks.append(callback)
        if self.exit is not None:
            self._tell(self.exit)

    def settle(self, end: ActorExit) -> None:
        """Later calls change nothing."""
        if self.exit is None:
            self.exit = end
            self._tell(end)

    def _tell(self, end: ActorExit) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:  # a thread that watches just now took it
                return
            try:
                callback(end)
            except Exception:  # a faulty watcher must not keep the others from hearing of it
                _logger.exception("a watcher of %s failed", end.urn)


class GuardedActor(pykka.Actor):
    """Base of LoopActor and BlockingActor; see there.

    Whatever ``on_start``, ``on_receive`` or ``on_stop`` raises, BaseExceptions and failing asks included, ends this
    actor and no other. ``on_failure`` then runs instead of ``on_stop``, as in Pykka. Constructors do no work: they
    run in the starter's thread, and nobody supervises them.
    """

    capacity: ClassVar[int] = ACTOR.inbox
    """Messages the inbox holds. Stop requests and Urgent messages fit even when it is full."""
    bulk: ClassVar[frozenset[type] | None] = None
    """When set, only these classes are kept out by ``capacity``: the others have ``ACTOR.inbox_reserve`` beyond it."""
    overflow: ClassVar[Overflow] = Overflow.DROP_NEWEST

    def __init__(self, dropped: Counter[str] | None = None) -> None:
        self.ending = Ending()
        self.dropped: Counter[str] = Counter() if dropped is None else dropped
        super().__init__()
        self._actor_ref = self._create_ref()

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> GuardedRef[Self]:
        """Make the actor and start it."""
        return cast("GuardedRef[Self]", super().start(*args, **kwargs))

    @property
    def actor_ref(self) -> GuardedRef[Self]:
        return cast("GuardedRef[Self]", self._actor_ref)

    def _create_ref(self) -> GuardedRef[Self]:
        return GuardedRef(self)

    @staticmethod
    def _create_future() -> LoopFuture[Any]:
        return LoopFuture()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clean up after a failure; the actor counts as dead already."""

    def _begin(self) -> None:
        try:
            self.on_start()
        except BaseException as error:  # noqa: BLE001  reported by _fail, for all hooks
            self._fail(error)

    def _handle_envelope(self, envelope: Envelope[Any]) -> None:
        """Handle one message and answer its ask, if it is one. Raises what the handler raised."""
        reply_to = envelope.reply_to
        if reply_to is None:
            self._handle_receive(envelope.message)
            return
        try:
            response = self._handle_receive(envelope.message)
        except Exception:
            reply_to.set_exception()
            raise
        except BaseException as error:  # the asker must not exit or be cancelled because this actor was
            reply_to.set_exception((CicadaError, CicadaError(f"{self} failed: {error!r}"), None))
            raise
        reply_to.set(response)

    def _stop(self) -> None:
        self._leave()
        try:
            self.on_stop()
        except BaseException as error:  # noqa: BLE001
            self._fail(error)
        self.ending.settle(ActorExit(urn=self.actor_urn, failed=False, reason="stopped"))

    def _fail(self, error: BaseException) -> None:
        """The one place where an actor's failure is logged and reported. Never raises."""
        _logger.error("%s failed: %s", self, describe(error), exc_info=error)
        self._leave()
        try:
            self.on_failure(type(error), error, error.__traceback__)
        except BaseException as again:  # its actor has failed already
            _logger.error("on_failure of %s failed too: %r", self, again, exc_info=again)
        self.ending.settle(ActorExit(urn=self.actor_urn, failed=True, reason=describe(error)))

    def _leave(self) -> None:
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()

    def overflowed(self, item: object) -> None:
        """Count and, where somebody can hear it, refuse a message for which there was no room."""
        self.dropped["inbox-full"] += 1
        error = MailboxFull(
            f"the inbox of {self} holds {self.capacity} messages and is full: send less, or later"
        )
        if isinstance(item, Envelope) and item.reply_to is not None:
            item.reply_to.set_exception((MailboxFull, error, None))
        elif self.overflow is Overflow.REFUSE:
            raise error

    def discard(self, item: object) -> None:
        """Answer or count a message that this actor will never handle."""
        reply_to = item.reply_to if isinstance(item, Envelope) else None
        if reply_to is None:
            self.dropped["actor-ended"] += 1
        elif is_stop(item):
            reply_to.set(None)
        else:
            reply_to.set_exception((pykka.ActorDeadError, pykka.ActorDeadError(f"{self} has ended"), None))


def describe(error: BaseException) -> str:
    """An exception as one line for people: its class and what it says, without bytes."""
    text = without_bytes(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_stop(item: object) -> bool:
    """Whether an inbox item asks the actor to stop."""
    return isinstance(item.message if isinstance(item, Envelope) else item, _ActorStop)


def must_fit(item: object) -> bool:
    """Whether an inbox item is taken however full the inbox is."""
    message = item.message if isinstance(item, Envelope) else item
    return isinstance(message, Urgent | _ActorStop)


class BoundedInbox:
    """The inbox of a BlockingActor: a thread-safe queue with the actor's bound."""

    __slots__ = ("_actor", "_queue")

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Envelope[Any]] = queue.SimpleQueue()

    def attach(self, actor: BlockingActor) -> None:
        """Name the actor whose bound, policy and counters apply. Before anybody has a reference to it."""
        self._actor = actor

    def put(self, envelope: Envelope[Any], /) -> None:
        actor = self._actor
        if self._queue.qsize() >= actor.capacity and not must_fit(envelope) and actor.ending.exit is None:
            actor.overflowed(envelope)
        else:
            self._queue.put(envelope)
            if actor.ending.exit is not None:  # it may have looked for the last time before this came in
                self.discard_all(actor)

    def get(self) -> Envelope[Any]:
        return self._queue.get()

    def empty(self) -> bool:
        return self._queue.empty()

    def backlog(self) -> int:
        return self._queue.qsize()

    def discard_all(self, actor: BlockingActor) -> None:
        """Answer or count everything that is left. Safe from several threads at once."""
        while True:
            try:
                actor.discard(self._queue.get_nowait())
            except queue.Empty:
                return


class BlockingActor(GuardedActor, pykka.ThreadingActor):
    """An actor on a thread of its own, for what blocks. Guarded as GuardedActor says. Raises Misuse in virtual time."""

    actor_inbox: BoundedInbox

    def __init__(self) -> None:
        check_threads(f"{type(self).__name__}, an actor that blocks,")
        super().__init__()
        self.actor_inbox.attach(self)

    @staticmethod
    def _create_actor_inbox() -> BoundedInbox:
        return BoundedInbox()

    @staticmethod
    def _create_future() -> LoopFuture[Any]:
        return LoopFuture()

    def _actor_loop(self) -> None:
        self._begin()
        while not self.actor_stopped.is_set():
            envelope = self.actor_inbox.get()
            try:
                self._handle_envelope(envelope)
            except BaseException as error:  # noqa: BLE001
                self._fail(error)
        self.actor_inbox.discard_all(self)
