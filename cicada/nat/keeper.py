"""Carries out what a Mapper asks for, with one helper process, and hands on its news."""

from __future__ import annotations

import logging
import queue
import random
from collections.abc import Callable

from cicada.clock import Clock, SystemClock
from cicada.errors import Unavailable
from cicada.limits import NAT, NatLimits
from cicada.nat.io import (
    Answered,
    Ask,
    MapperInput,
    MapperOutput,
    NatNews,
    RouterSpoke,
    Stop,
    Stopped,
    Tell,
    TimerFired,
)
from cicada.nat.mapper import Mapper
from cicada.nat.process import HelperProcess
from cicada.nat.requests import PROTOCOLS, AnyAnswer, Failed, Gateway, Said

_logger = logging.getLogger("cicada.nat")


class Keeper:
    """Belongs to one thread, which calls ``handle`` when users want something and ``pump`` when ``notify`` was called or
    ``next_deadline`` has passed.
    """

    def __init__(
        self,
        tell: Callable[[NatNews], None],
        notify: Callable[[], None],
        *,
        gateway: Gateway | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
        lease_s: int = 0,
        limits: NatLimits = NAT,
        clock: Clock | None = None,
    ) -> None:
        """``tell`` is called on the owner's thread, ``notify`` on another: the helper said something."""
        self._mapper = Mapper(
            rng=random.SystemRandom(), gateway=gateway, protocols=protocols, lease_s=lease_s, limits=limits
        )
        self._tell = tell
        self._notify = notify
        self._limits = limits
        self._clock = clock or SystemClock()
        self._heard: queue.SimpleQueue[tuple[int, Said | None]] = queue.SimpleQueue()
        self._helper: HelperProcess | None = None
        self._helpers = 0  # started so far; what an earlier one still says is not the present one's
        self._open: int | None = None  # the request that is under way
        self._overdue_at = 0.0  # when it costs the helper its life
        self._stopped = False

    def handle(self, input: MapperInput) -> None:
        """Pass on what a user wants."""
        waiting = [input]
        while waiting:
            for output in self._mapper.handle(waiting.pop(0), self._clock.now()):
                failed = self._carry_out(output)
                if failed is not None:
                    waiting.append(failed)

    def pump(self) -> None:
        """Take in what the helper said, and whatever has become due."""
        while True:
            try:
                self._take(*self._heard.get_nowait())
            except queue.Empty:
                break
        if self._open is not None and self._clock.now() >= self._overdue_at:
            self._end_helper()
            self._answer(
                self._open, Failed(reason="timeout", text="the router kept the helper process too long")
            )
        self.handle(TimerFired())

    def next_deadline(self) -> float | None:
        """When ``pump`` is to be called, if nothing else calls for it."""
        at = self._mapper.next_deadline()
        if self._open is None:
            return at
        return self._overdue_at if at is None else min(at, self._overdue_at)

    def finish(self) -> None:
        """Delete all mappings, as far as that can be done within ``limits.stop`` seconds, and end the helper."""
        until = self._clock.now() + self._limits.stop
        self._tell = _tell_nobody
        if self._open is not None:
            self._overdue_at = min(self._overdue_at, self._clock.now() + self._limits.stop_open)
        self.handle(Stop())
        while not self._stopped and (now := self._clock.now()) < until:
            due = min(until, self._overdue_at if self._open is not None else until)
            try:
                self._take(*self._heard.get(timeout=max(due - now, 0.0)))
            except queue.Empty:
                self.pump()
        self.close()

    def close(self) -> None:
        """End the helper at once, and leave mappings to the end of their leases. Idempotent."""
        self._stopped = True
        self._open = None
        self._end_helper()

    def _carry_out(self, output: MapperOutput) -> MapperInput | None:
        match output:
            case Tell(news=news):
                self._tell(news)
            case Stopped():
                self._stopped = True
            case Ask():
                return self._ask(output)
        return None

    def _ask(self, ask: Ask) -> MapperInput | None:
        overdue = self._limits.overdue
        if self._helper is None:
            try:
                self._helper = self._start_helper()
            except Unavailable as error:
                return Answered(id=ask.id, answer=Failed(reason="helper-failed", text=str(error)))
            overdue += self._limits.helper_start
        self._open = ask.id
        self._overdue_at = self._clock.now() + ask.deadline_s + overdue
        self._helper.ask(ask.id, ask.request)
        return None

    def _start_helper(self) -> HelperProcess:
        self._helpers += 1
        number = self._helpers

        def heard(said: Said | None) -> None:
            self._heard.put((number, said))
            self._notify()

        return HelperProcess(heard, self._limits)

    def _take(self, number: int, said: Said | None) -> None:
        if number != self._helpers or self._helper is None:
            return
        if said is None:
            self._end_helper()
            if self._open is not None:
                self._answer(self._open, Failed(reason="helper-failed", text="the helper process ended"))
        elif said.announced is not None:
            self.handle(RouterSpoke(gateway=said.announced.gateway))
        elif said.answer is not None and said.id == self._open:
            self._answer(said.id, said.answer)

    def _answer(self, id: int, answer: AnyAnswer) -> None:
        if isinstance(answer, Failed):
            _logger.debug("request %d: %s: %s", id, answer.reason, answer.text)
        self._open = None
        self.handle(Answered(id=id, answer=answer))

    def _end_helper(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.close(self._limits.helper_end if self._stopped else 0.0)


def _tell_nobody(_: NatNews) -> None:
    pass
