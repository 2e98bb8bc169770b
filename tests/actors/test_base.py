"""Whatever goes wrong in an actor ends that actor alone, once, and is told to whoever watches it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pykka
import pytest

from cicada.actors.base import ActorExit, GuardedRef, Urgent
from cicada.actors.loop import LoopDispatcher
from cicada.errors import CicadaError, MailboxFull
from tests.actors.probes import (
    PATIENCE,
    BlockingProbe,
    Probe,
    SmallProbe,
    asked,
    ended,
    eventually,
    fail,
    heard,
    leave,
    settled,
    stop,
)

Starter = Callable[..., GuardedRef[Any]]


def start_on_loop(**hooks: Any) -> GuardedRef[Any]:
    return Probe.start(LoopDispatcher(), **hooks)


def start_on_thread(**hooks: Any) -> GuardedRef[Any]:
    return BlockingProbe.start(**hooks)


@pytest.fixture(params=[start_on_loop, start_on_thread], ids=["loop", "thread"])
def start(request: pytest.FixtureRequest) -> Starter:
    starter: Starter = request.param
    return starter


def raise_error() -> None:
    raise ValueError("told to fail")


def raise_exit() -> None:
    raise SystemExit(3)


async def test_a_stopped_actor_ends_without_failure(start: Starter) -> None:
    ref = start()
    assert await settled(ref.stop(block=False)) is True
    assert await ended(ref) == ActorExit(urn=ref.actor_urn, failed=False, reason="stopped")
    assert not ref.is_alive()


@pytest.mark.parametrize(("blow", "reason"), [(fail, "ValueError: told to fail"), (leave, "SystemExit: 3")])
async def test_whatever_a_handler_raises_ends_that_actor_and_no_other(
    start: Starter, blow: Callable[[object], None], reason: str
) -> None:
    bystander = start()
    ref = start()
    ref.tell(blow)
    assert await ended(ref) == ActorExit(urn=ref.actor_urn, failed=True, reason=reason)
    assert await asked(bystander, "still here") == 1
    await stop(bystander)


@pytest.mark.parametrize("blow", [raise_error, raise_exit])
async def test_a_failing_start_is_reported_and_ends_the_actor(
    start: Starter, blow: Callable[[], None]
) -> None:
    ref = start(on_start=blow)
    assert (await ended(ref)).failed
    assert not ref.is_alive()
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is None


@pytest.mark.parametrize("blow", [raise_error, raise_exit])
async def test_a_failing_stop_is_reported_as_a_failure(start: Starter, blow: Callable[[], None]) -> None:
    ref = start(on_stop=blow)
    await stop(ref)
    assert (await ended(ref)).failed


async def test_a_failing_ask_tells_the_asker_and_ends_the_actor(start: Starter) -> None:
    ref = start()
    with pytest.raises(ValueError, match="told to fail"):
        await asked(ref, fail)
    assert (await ended(ref)).reason == "ValueError: told to fail"


async def test_a_tell_to_an_actor_that_has_ended_is_dropped_and_counted(start: Starter) -> None:
    ref = start()
    await stop(ref)
    ref.tell("too late")
    await eventually(lambda: ref.dropped == {"actor-ended": 1})


async def test_an_asker_is_not_made_to_exit_by_the_actor_it_asked(start: Starter) -> None:
    ref = start()
    with pytest.raises(CicadaError, match="SystemExit"):
        await asked(ref, leave)
    assert (await ended(ref)).failed


async def test_what_waits_behind_a_failure_is_answered_or_counted(start: Starter) -> None:
    gate = threading.Event()
    ref = start()
    if issubclass(ref.actor_class, BlockingProbe):
        ref.tell(lambda _: gate.wait(PATIENCE))
    ref.tell(fail)
    ref.tell("behind")
    behind = ref.ask(heard, block=False)
    gate.set()
    with pytest.raises(pykka.ActorDeadError):
        await settled(behind)
    await eventually(lambda: ref.dropped == {"actor-ended": 1})


async def test_the_end_is_told_once_to_each_watcher_early_or_late(start: Starter) -> None:
    ref = start(on_stop=raise_error)
    ends: list[ActorExit] = []
    ref.watch(ends.append)
    ref.watch(ends.append)
    await stop(ref)
    await ended(ref)
    ref.watch(ends.append)
    assert len(ends) == 3
    assert len(set(ends)) == 1


async def test_a_watcher_that_fails_does_not_silence_the_others(start: Starter) -> None:
    ref = start()
    ref.watch(fail)
    told = ended(ref)
    waiting = asyncio.create_task(told)
    await asyncio.sleep(0)
    ref.tell(fail)
    assert (await waiting).failed


async def test_on_failure_runs_instead_of_on_stop() -> None:
    hooks: list[str] = []

    class Noting(Probe):
        def on_failure(self, *_: object) -> None:
            hooks.append("failure")

    ref = Noting.start(LoopDispatcher(), on_stop=lambda: hooks.append("stop"))
    ref.tell(fail)
    await ended(ref)
    assert hooks == ["failure"]


async def test_a_failing_on_failure_hides_nothing() -> None:
    class Clumsy(Probe):
        def on_failure(self, *_: object) -> None:
            raise RuntimeError("while cleaning up")

    ref = Clumsy.start(LoopDispatcher())
    ref.tell(fail)
    assert (await ended(ref)).reason == "ValueError: told to fail"


class Word(Urgent, frozen=True):
    """Must not be lost."""

    text: str


async def test_urgent_messages_fit_into_a_full_inbox() -> None:
    seen: list[Any] = []
    ref = SmallProbe.start(LoopDispatcher(), heard=seen)
    for number in range(10):
        ref.tell(number)
    ref.tell(Word("urgent"))
    await stop(ref)
    assert seen == [0, 1, 2, 3, Word("urgent")]


class SmallBlockingProbe(BlockingProbe):
    """With room for four messages."""

    capacity = 4


async def test_the_inbox_of_an_actor_on_a_thread_is_bounded_too() -> None:
    gate, entered = threading.Event(), threading.Event()
    ref = SmallBlockingProbe.start()

    def hold(_: object) -> None:
        entered.set()
        gate.wait(PATIENCE)

    ref.tell(hold)
    await eventually(entered.is_set)
    for number in range(10):
        ref.tell(number)
    ref.tell(Word("urgent"))
    with pytest.raises(MailboxFull):
        await settled(ref.ask(heard, block=False))
    stopping = ref.stop(block=False)
    gate.set()
    await settled(stopping)
    assert ref.dropped == {"inbox-full": 7}


async def test_actors_on_a_loop_and_on_a_thread_talk_to_each_other() -> None:
    answers: list[Any] = []
    loop_ref = Probe.start(LoopDispatcher(), heard=answers)
    thread_ref = BlockingProbe.start()
    for number in range(100):
        thread_ref.tell(lambda _, number=number: loop_ref.tell(number))
    await stop(thread_ref, loop_ref)
    assert answers == list(range(100))


def test_the_end_of_an_actor_is_a_value() -> None:
    with pytest.raises((AttributeError, msgspec.ValidationError)):
        ActorExit(urn="a", failed=True, reason="b").failed = False  # type: ignore[misc]


async def test_the_reason_of_an_end_does_not_quote_the_bytes_that_a_message_held() -> None:
    known: dict[bytes, int] = {}
    ref = Probe.start(LoopDispatcher())
    ref.tell(lambda _: known[b"what somebody sent"])
    assert (await ended(ref)).reason == "KeyError: <bytes>"
