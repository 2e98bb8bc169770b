"""Actors that do as a test says, and the waiting of tests for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pykka

from cicada.actors.base import ActorExit, BlockingActor, GuardedRef
from cicada.actors.loop import LoopActor, LoopDispatcher

PATIENCE = 10.0
"""Seconds until a wait of a test fails; waits end as soon as what they wait for is there."""

T = TypeVar("T")


class Probe(LoopActor):
    """Keeps what it is told in ``heard``. Messages that can be called are called with the actor, and answer an ask."""

    def __init__(
        self,
        dispatcher: LoopDispatcher,
        *,
        heard: list[Any] | None = None,
        on_start: Callable[[], object] | None = None,
        on_stop: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(dispatcher)
        self.heard: list[Any] = [] if heard is None else heard
        self._on_start = on_start
        self._on_stop = on_stop

    def on_start(self) -> None:
        if self._on_start is not None:
            self._on_start()

    def on_stop(self) -> None:
        if self._on_stop is not None:
            self._on_stop()

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.heard.append(message)
        return len(self.heard)


class SmallProbe(Probe):
    """A Probe with room for four messages."""

    capacity = 4


class BlockingProbe(BlockingActor):
    """As Probe, on a thread."""

    def __init__(
        self, *, on_start: Callable[[], object] | None = None, on_stop: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self._on_start = on_start
        self._on_stop = on_stop

    def on_start(self) -> None:
        if self._on_start is not None:
            self._on_start()

    def on_stop(self) -> None:
        if self._on_stop is not None:
            self._on_stop()

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.heard.append(message)
        return len(self.heard)


def heard(probe: Probe | BlockingProbe) -> list[Any]:
    """A message that answers with what the probe has heard before it."""
    return list(probe.heard)


def fail(_: object) -> None:
    """A message that makes its actor fail."""
    raise ValueError("told to fail")


def leave(_: object) -> None:
    """A message that raises what is not an Exception."""
    raise SystemExit(3)


async def settled(future: Awaitable[T]) -> T:
    """What the future brings, within the patience of tests."""
    return await asyncio.wait_for(_awaited(future), PATIENCE)


async def asked(ref: pykka.ActorRef[Any], message: Any) -> Any:
    """The reply to an ask. It also is a barrier: all that was told before has been handled."""
    return await settled(ref.ask(message, block=False))


async def stop(*refs: GuardedRef[Any]) -> None:
    """Stop actors, and wait until they have ended."""
    for ref in refs:
        await settled(ref.stop(block=False))


async def ended(ref: GuardedRef[Any]) -> ActorExit:
    """How the actor ended, once it has."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[ActorExit] = loop.create_future()
    ref.watch(lambda end: loop.call_soon_threadsafe(future.set_result, end))
    return await asyncio.wait_for(future, PATIENCE)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, looking at each turn of the loop."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` returns or raises in a thread of its own, which is gone afterwards."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  handed to the test
            loop.call_soon_threadsafe(outcome.set_exception, error)
        else:
            loop.call_soon_threadsafe(outcome.set_result, result)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return await asyncio.wait_for(outcome, PATIENCE)
    finally:
        thread.join(PATIENCE)


async def _awaited(future: Awaitable[T]) -> T:
    return await future
