"""Workers are asked when they can answer, and whoever asks is told at once when they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import launcher.pool
from cicada.actors.loop import LoopDispatcher
from cicada.actors.remote import export
from cicada.errors import Unavailable
from launcher.pool import WorkerPool
from launcher.process import WorkerSpec
from launcher.protocol import AnyWorkerCommand, AnyWorkerReply, Report, TakeViews
from launcher.serving import CommandActor

WAIT = 10.0
NAME = "worker-0"


class FakeProcess:
    """A process that is ready, ends and stops when the test says so; its work is done in the test's own."""

    def __init__(self, spec: WorkerSpec, _: object) -> None:
        self.spec = spec
        self.pid = 12345
        self.alive = True
        self.is_stopped = False
        self.is_ready = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def ready(self, timeout: float) -> None:
        async with asyncio.timeout(timeout):
            await self.is_ready.wait()

    async def ended(self) -> str:
        await self.has_ended.wait()
        return "exit 0"

    def kill(self) -> None:
        self.alive = False
        self.has_ended.set()

    def stop(self) -> None:
        self.is_stopped = True

    def go_on(self) -> None:
        self.is_stopped = False

    def close(self) -> None:
        self.alive = False


class Bench:
    """A pool of one worker that answers with ``reply``."""

    def __init__(self, control: Path) -> None:
        spec = WorkerSpec(name=NAME, control=str(control), events="", control_folder="", logs="")
        self.control = control
        self.exits: list[str] = []
        self.pool = WorkerPool({NAME: spec}, lambda worker, pid, how: self.exits.append(how))
        self.reply: Callable[[AnyWorkerCommand], Awaitable[AnyWorkerReply]] = self._at_once
        self.actor = CommandActor.start(
            LoopDispatcher(), lambda command: self.reply(command), lambda reason: Report()
        )

    async def _at_once(self, _: AnyWorkerCommand) -> AnyWorkerReply:
        return Report(done=("x",))

    def make_process(self, spec: WorkerSpec, main: object) -> FakeProcess:
        self.process = FakeProcess(spec, main)
        return self.process

    async def ask(self) -> Report:
        return await self.pool.ask(NAME, TakeViews(), Report, WAIT)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "own" / NAME)
    monkeypatch.setattr(launcher.pool, "WorkerProcess", made.make_process)
    yield made
    await made.pool.shut_down(0.0)
    made.actor.stop(block=False)
    await asyncio.sleep(0)


async def started(bench: Bench) -> Any:
    """The export by which the worker answers."""
    starting = asyncio.create_task(bench.pool.start(NAME))
    await asyncio.sleep(0)
    exported = export(bench.actor, bench.control, commands=AnyWorkerCommand, replies=AnyWorkerReply)
    bench.process.is_ready.set()
    await asyncio.wait_for(starting, WAIT)
    return exported


async def test_a_question_to_a_worker_that_starts_is_refused_and_does_not_spoil_its_start(
    bench: Bench,
) -> None:
    starting = asyncio.create_task(bench.pool.start(NAME))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Unavailable, match="worker-0 is starting"):
            await bench.ask()
    assert not bench.pool.answers(NAME)
    with export(bench.actor, bench.control, commands=AnyWorkerCommand, replies=AnyWorkerReply):
        bench.process.is_ready.set()
        assert await asyncio.wait_for(starting, WAIT) == bench.process.pid
        assert bench.pool.answers(NAME)
        assert (await bench.ask()).done == ("x",)


async def test_a_question_to_a_frozen_worker_is_refused_until_it_is_thawed(bench: Bench) -> None:
    with await started(bench):
        await bench.pool.freeze(NAME)
        assert bench.process.is_stopped
        with pytest.raises(Unavailable, match="`cicada fault thaw worker-0`"):
            await bench.ask()
        bench.pool.thaw(NAME)
        assert (await bench.ask()).done == ("x",)


async def test_a_worker_may_finish_answering_before_it_is_stopped(bench: Bench) -> None:
    may_answer = asyncio.Event()

    async def later(_: AnyWorkerCommand) -> AnyWorkerReply:
        await may_answer.wait()
        return Report(done=("late",))

    bench.reply = later
    with await started(bench):
        question = asyncio.create_task(bench.ask())
        await asyncio.sleep(0)
        freezing = asyncio.create_task(bench.pool.freeze(NAME))
        await asyncio.sleep(0)
        assert bench.pool.is_frozen(NAME)
        assert not bench.process.is_stopped
        may_answer.set()
        assert (await question).done == ("late",)
        await freezing
        assert bench.process.is_stopped


async def test_whoever_waits_for_an_answer_is_told_when_the_worker_is_stopped_meanwhile(
    bench: Bench,
) -> None:
    async def never(_: AnyWorkerCommand) -> AnyWorkerReply:
        await asyncio.Event().wait()
        return Report()

    bench.reply = never
    with await started(bench):
        question = asyncio.create_task(bench.ask())
        await asyncio.sleep(0)
        bench.process.is_stopped = True
        with pytest.raises(Unavailable, match="is frozen"):
            await asyncio.wait_for(question, WAIT / 2)


async def test_a_worker_that_is_thawed_while_it_is_about_to_be_stopped_goes_on(bench: Bench) -> None:
    asked = asyncio.Event()

    async def never(_: AnyWorkerCommand) -> AnyWorkerReply:
        asked.set()
        await asyncio.Event().wait()
        return Report()

    bench.reply = never
    with await started(bench):
        question = asyncio.create_task(bench.ask())
        await asked.wait()
        freezing = asyncio.create_task(bench.pool.freeze(NAME))
        await asyncio.sleep(0)
        bench.pool.thaw(NAME)
        await freezing
        assert not bench.process.is_stopped
        assert not bench.pool.is_frozen(NAME)
        question.cancel()


async def test_a_worker_that_ends_while_it_is_being_frozen_is_gone(bench: Bench) -> None:
    with await started(bench):
        process = bench.process
        process.stop = lambda: process.kill()  # type: ignore[method-assign]
        await bench.pool.freeze(NAME)
        async with asyncio.timeout(WAIT):
            while not bench.exits:
                await asyncio.sleep(0.001)
        assert not bench.pool.is_frozen(NAME)
        with pytest.raises(Unavailable, match="is not running"):
            bench.pool.thaw(NAME)
