"""References that outlive what they refer to: whoever is exported at a path, life after life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from cicada.control import RemoteRef, SyncRemoteRef, Terminated
from cicada.errors import DeliveryTimeout, Misuse, Unavailable
from cicada.limits import ACTOR, REMOTE, RemoteLimits

C = TypeVar("C")
R = TypeVar("R")


class LastingRef(Generic[C, R]):
    """Reference to whatever actor is exported at ``path``: when it is gone, the one that comes after it. Either side may be killed
    and started again.

    Each call waits, within its ``timeout``, until somebody answers there, and sends once. It raises Unavailable when nobody came,
    and also when the actor or its process ended before it answered: then nobody knows whether the command was carried out, and it
    is not sent again; that is for the caller to decide. All else is as a RemoteRef has it. Use on one event loop.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        commands: Any,
        replies: Any,
        what: str = "actor",
        limits: RemoteLimits = REMOTE,
    ) -> None:
        self._make: Callable[[], RemoteRef[C, R]] = lambda: RemoteRef(
            path, commands=commands, replies=replies, what=what, limits=limits
        )
        self._limits = limits
        self._ref = self._make()
        self._is_met = False
        self._meeting = asyncio.Lock()
        self._closed = False
        self.lives = 0
        """How many lives of the actor were met."""

    async def connect(self, timeout: float = ACTOR.ask_timeout) -> None:
        """Returns once somebody answers; no other call needs it."""
        remaining = _Remaining(timeout)
        ref = await self._present(remaining)
        while True:
            try:
                return await ref.connect(remaining())
            except Unavailable:  # what was thought to be there was not
                ref = await self._present(remaining)

    async def tell(self, command: C, timeout: float = ACTOR.ask_timeout) -> None:
        """Returns once the command lies in the actor's inbox."""
        remaining = _Remaining(timeout)
        ref = await self._present(remaining)
        await ref.tell(command, remaining())

    async def ask(self, command: C, timeout: float = ACTOR.ask_timeout) -> R:
        """The actor's reply."""
        remaining = _Remaining(timeout)
        ref = await self._present(remaining)
        return await ref.ask(command, remaining())

    async def stop(self, timeout: float = ACTOR.ask_timeout) -> None:
        """Stop the present actor; returns once it has ended."""
        remaining = _Remaining(timeout)
        ref = await self._present(remaining)
        await ref.stop(remaining())

    async def watch(self, timeout: float = ACTOR.ask_timeout) -> Terminated:
        """Returns when the present actor, for which it waits up to ``timeout`` seconds, or its process is gone."""
        return await (await self._present(_Remaining(timeout))).watch()

    async def close(self) -> None:
        """Let go of the connection; the actor lives on. Idempotent. Calls that still wait raise Misuse."""
        self._closed = True
        await self._ref.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _present(self, remaining: _Remaining) -> RemoteRef[C, R]:
        """Of the actor that is there, once it is."""
        if self._is_met and self._ref.terminated is None:
            return self._ref
        try:
            async with asyncio.timeout(remaining()):
                await self._meeting.acquire()
        except TimeoutError:
            raise Unavailable("others wait for the same actor, and it does not come") from None
        try:
            return await self._meet(remaining)
        finally:
            self._meeting.release()

    async def _meet(self, remaining: _Remaining) -> RemoteRef[C, R]:
        delay = self._limits.retry
        while not self._is_met or self._ref.terminated is not None:
            self._is_met = False
            if self._ref.terminated is not None:
                await self._ref.close()
                if not self._closed:
                    self._ref = self._make()
            try:
                await self._ref.connect(remaining())
            except (Unavailable, DeliveryTimeout) as error:
                if remaining() <= delay:
                    raise Unavailable(f"{error} (it was waited for)") from None
                await asyncio.sleep(delay)
                delay = min(2 * delay, self._limits.retry_most)
            else:
                self._is_met = True
                self.lives += 1
        return self._ref


class _Remaining:
    """The seconds that are left of a time-out, always more than none. Raises Misuse for one that is none."""

    def __init__(self, timeout: float) -> None:
        if timeout <= 0:
            raise Misuse(f"time-out of {timeout} s: give a positive number of seconds")
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + timeout

    def __call__(self) -> float:
        return max(self._deadline - self._loop.time(), 0.001)


class SyncLastingRef(SyncRemoteRef[C, R]):
    """A LastingRef for code without an event loop: for a Pykka actor on a thread of its own. Use on one thread."""

    def __init__(self, path: str | Path, *, commands: Any, replies: Any, what: str = "actor") -> None:
        super().__init__(path, commands=commands, replies=replies, what=what)
        self._ref = LastingRef(path, commands=commands, replies=replies, what=what)

    def tell(self, command: C, timeout: float = ACTOR.ask_timeout) -> None:
        self._run(self._tell(command, timeout))

    def ask(self, command: C, timeout: float = ACTOR.ask_timeout) -> R:
        return self._run(self._ask(command, timeout))

    async def _tell(self, command: C, timeout: float) -> None:
        remaining = _Remaining(timeout)
        await self._ref.connect(remaining())  # nothing was noticed since the last call
        await self._ref.tell(command, remaining())

    async def _ask(self, command: C, timeout: float) -> R:
        remaining = _Remaining(timeout)
        await self._ref.connect(remaining())
        return await self._ref.ask(command, remaining())
