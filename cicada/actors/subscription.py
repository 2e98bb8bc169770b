"""A subscription: an application's actor is told what comes into a peer's mailbox.

A message that is with the actor is on loan: the mailbox has it back, at its old place, unless the actor handled it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Any, NamedTuple, Protocol, TypeVar

from pykka._envelope import Envelope

from cicada.actors.base import ActorExit, GuardedRef, describe
from cicada.actors.futures import LoopFuture
from cicada.actors.mailbox import Loan, Mailbox, Message
from cicada.errors import MailboxFull, Misuse, NotBound
from cicada.limits import ACTOR, ActorLimits

M_contra = TypeVar("M_contra", contravariant=True)


class ActorRef(Protocol[M_contra]):
    """Reference to an actor that takes messages of one family. Pykka's references take anything, so what an actor takes is
    written down where it is started: ``worker: ActorRef[Job] = Worker.start()``."""

    @property
    def actor_urn(self) -> str: ...

    @actor_urn.setter
    def actor_urn(self, urn: str, /) -> None: ...

    @property
    def actor_inbox(self) -> Any: ...

    @actor_inbox.setter
    def actor_inbox(self, inbox: Any, /) -> None: ...

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        ...

    def tell(self, message: M_contra) -> None:
        """Put ``message`` in its inbox."""
        ...

    def ask(self, message: M_contra, *, block: bool = True, timeout: float | None = None) -> Any:
        """What ``on_receive`` returns for it; with ``block=False`` a future, for event loops."""
        ...

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Have it stop once it has handled what is queued. Whether it did; with ``block=False`` a future."""
        ...


class _Told(NamedTuple):
    """A message that is with the actor."""

    loan: Loan
    future: LoopFuture[Any]

    @property
    def is_handled(self) -> bool:
        return self.future.is_settled() and self.future.error() is None


class Subscription:
    """What ``subscribe`` returns. It ends with ``cancel``, with the actor, and when the peer is closed and its mailbox is empty.

    A message is *handled* when the actor's ``on_receive`` has returned for it. Until then it is on loan: if the actor ends first,
    or fails at it, the mailbox has it back before all others, in order. So the message at which an actor failed is told again
    to whoever is next; nobody knows how far the actor came with it.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        ref: ActorRef[Message],
        *,
        prefetch: int,
        on_message: Callable[[Message], object],
        limits: ActorLimits = ACTOR,
    ) -> None:
        if not 1 <= prefetch <= limits.prefetch_most:
            raise Misuse(f"prefetch={prefetch} is out of range: use 1 to {limits.prefetch_most}")
        self._mailbox = mailbox
        self._ref = ref
        self._prefetch = prefetch
        self._on_message = on_message
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._told: deque[_Told] = deque()
        self._news = asyncio.Event()
        self._reason = ""
        self._handled = 0
        self._forwarding = self._loop.create_task(self._forward())
        self._task = self._loop.create_task(self._run())
        if isinstance(ref, GuardedRef):
            ref.watch(lambda end: self._on_loop(self._actor_ended, end))

    @property
    def is_active(self) -> bool:
        """Whether the actor is told more messages."""
        return not self._reason

    @property
    def handled(self) -> int:
        """Messages that the actor has handled."""
        return self._handled

    @property
    def unhandled(self) -> int:
        """Messages that are with the actor."""
        return len(self._told)

    def cancel(self) -> None:
        """Unsubscribe: the actor is told nothing more, and handles what it has. From any thread; idempotent."""
        self._on_loop(self._end, "it was cancelled")

    async def ended(self) -> str:
        """Why it ended, once it has, and nothing is with the actor any more."""
        await asyncio.wait([self._task])
        return self._reason

    async def _run(self) -> None:
        try:
            while not self._forwarding.done():
                await asyncio.wait([self._forwarding], timeout=self._interval)
                self._look_whether_ended()
            self._end("its event loop ends")  # unless there was a reason before
            while self._waits_for_actor():
                await self._next_news(self._interval)
        finally:
            self._give_back()

    async def _forward(self) -> None:
        while True:
            while len(self._told) >= self._prefetch:
                await self._next_news()
            try:
                loan = await self._mailbox.borrow(None)
            except NotBound as error:
                self._end(str(error))
                return
            if not self._tell(loan):
                await self._next_news(self._limits.inbox_retry)

    def _tell(self, loan: Loan) -> bool:
        """False: the inbox is full."""
        future: LoopFuture[Any] = LoopFuture()
        self._ref.actor_inbox.put(Envelope(loan.message, reply_to=future))
        if isinstance(future.error(), MailboxFull):
            self._mailbox.give_back([loan])
            return False
        self._told.append(_Told(loan, future))
        future.when_settled(lambda: self._on_loop(self._look))
        self._on_message(loan.message)
        self._look_whether_ended()  # one of Pykka's own may have answered its inbox for the last time
        return True

    def _look(self) -> None:
        """An answer came."""
        while self._told and self._told[0].is_handled:
            self._told.popleft()
            self._handled += 1
        errors = [told.future.error() for told in self._told if told.future.is_settled()]
        for error in errors:
            if error is not None:
                self._end(f"its actor failed: {describe(error)}")
        self._news.set()

    def _end(self, reason: str) -> None:
        """The first reason counts."""
        if not self._reason:
            self._reason = reason
            self._forwarding.cancel()
            self._news.set()

    def _actor_ended(self, end: ActorExit) -> None:
        """It handles nothing more. Who takes its place may subscribe in a moment, and must find all that it left."""
        self._end(f"its actor ended: {end.reason}")
        self._give_back()

    def _give_back(self) -> None:
        unhandled = [told.loan for told in self._told if not told.is_handled]
        self._handled += len(self._told) - len(unhandled)
        self._told.clear()
        self._mailbox.give_back(unhandled)

    def _waits_for_actor(self) -> bool:
        """Whether the actor may yet handle something. One that ended answers everything, but Pykka's own what it left for."""
        if not self._ref.is_alive() and not isinstance(self._ref, GuardedRef):
            return False
        return any(not told.future.is_settled() for told in self._told)

    async def _next_news(self, timeout: float | None = None) -> None:
        """Until an answer came, at most ``timeout`` seconds."""
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()

    @property
    def _interval(self) -> float | None:
        """Between two looks whether the actor has ended; None when it is watched."""
        return None if isinstance(self._ref, GuardedRef) else self._limits.ended_look

    def _look_whether_ended(self) -> None:
        if not self._ref.is_alive():
            self._end("its actor ended")

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if get_ident() == self._thread:
            function(*arguments)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the mailbox is nobody's any more
            self._loop.call_soon_threadsafe(function, *arguments)
