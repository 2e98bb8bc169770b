"""Supervised actors come back in the right order, and a crash loop ends in a clear state."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from cicada.actors.base import GuardedRef
from cicada.actors.loop import LoopActor, LoopDispatcher
from cicada.actors.supervision import ChildSpec, Restart, Strategy, SupervisorSpec
from cicada.actors.supervisor import ActorSupervisor, ChildExit
from cicada.clock import SystemClock
from cicada.errors import Misuse
from tests.actors.probes import BlockingProbe, Probe, asked, ended, eventually, fail, leave, settled, stop

Factory = Callable[[], Any]


class Family(LoopActor):
    """An owner with the children it is given; notes what happens in ``log``."""

    def __init__(
        self,
        dispatcher: LoopDispatcher,
        spec: SupervisorSpec,
        log: list[str],
        factories: dict[str, Factory],
        stop_timeout: float,
    ) -> None:
        super().__init__(dispatcher)
        self.log = log
        self.spec = spec
        self.factories = factories
        self.stop_timeout = stop_timeout

    def on_start(self) -> None:
        self.children = ActorSupervisor(
            self.spec,
            self.factories,
            owner=self.actor_ref,
            clock=SystemClock(),
            on_restarted=lambda child: self.log.append(f"restarted {child}"),
            on_escalated=lambda reason: self.log.append(f"escalated: {reason}"),
            stop_timeout=self.stop_timeout,
        )
        self.children.start()

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, ChildExit):
            self.log.append(f"exit {message.child} failed={message.failed}")
            self.children.exited(message)
            return None
        return message(self)

    def on_stop(self) -> None:
        self.children.stop()


class Household:
    """A running Family and what became of it."""

    def __init__(
        self,
        strategy: Strategy,
        *,
        names: str = "abc",
        max_restarts: int = 3,
        backoff_s: float = 0.0,
        stop_timeout: float = 5.0,
        factories: dict[str, Factory] | None = None,
        restart: Restart = Restart.ALWAYS,
    ) -> None:
        self.log: list[str] = []
        self.dispatcher = LoopDispatcher()
        children = tuple(ChildSpec(name=name, restart=restart) for name in names)
        spec = SupervisorSpec(
            children=children,
            strategy=strategy,
            max_restarts=max_restarts,
            within_s=60.0,
            backoff_s=backoff_s,
        )
        made = {name: self._factory(name) for name in names} | (factories or {})
        self.ref = Family.start(self.dispatcher, spec, self.log, made, stop_timeout)

    def _factory(self, name: str) -> Factory:
        return lambda: Probe.start(
            self.dispatcher,
            on_start=lambda: self.log.append(f"+{name}"),
            on_stop=lambda: self.log.append(f"-{name}"),
        )

    async def child(self, name: str) -> GuardedRef[Any]:
        found = await asked(self.ref, lambda family: family.children.ref(name))
        assert isinstance(found, GuardedRef)
        return found

    async def crash(self, name: str) -> None:
        (await self.child(name)).tell(fail)

    async def quiet(self, last: str) -> None:
        """Wait until ``last`` is the newest entry of the log."""
        await eventually(lambda: bool(self.log) and self.log[-1] == last)

    async def close(self) -> list[str]:
        """Stop everything; what was logged meanwhile."""
        before = len(self.log)
        running = [
            child
            for name in self.log
            if name.startswith("+")
            and (child := await asked(self.ref, lambda f, n=name[1:]: f.children.ref(n)))
        ]
        await stop(self.ref)
        for child in running:
            await ended(child)
        return self.log[before:]


@pytest.fixture
async def households() -> AsyncIterator[Callable[..., Household]]:
    made: list[Household] = []

    def make(strategy: Strategy, **options: Any) -> Household:
        made.append(Household(strategy, **options))
        return made[-1]

    yield make
    for household in made:
        if household.ref.is_alive():
            await household.close()


Make = Callable[..., Household]


def heard_nothing(_: object) -> None:
    """A message that is only waited for."""


async def test_children_start_in_order_and_stop_in_reverse(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE)
    await house.quiet("+c")
    assert house.log == ["+a", "+b", "+c"]
    assert await house.close() == ["-c", "-b", "-a"]


async def test_one_for_one_restarts_only_the_child_that_failed(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE)
    await house.quiet("+c")
    others = [await house.child("a"), await house.child("c")]
    await house.crash("b")
    await eventually(lambda: house.log[3:] == ["exit b failed=True", "restarted b", "+b"])
    assert [await house.child("a"), await house.child("c")] == others


async def test_rest_for_one_restarts_those_started_after_it_too(households: Make) -> None:
    house = households(Strategy.REST_FOR_ONE)
    await house.quiet("+c")
    await house.crash("b")
    await house.quiet("+c")
    expected = ["exit b failed=True", "-c", "restarted b", "restarted c", "+b", "+c"]
    await eventually(lambda: house.log[3:] == expected)


async def test_one_for_all_stops_all_in_reverse_and_starts_all_in_order(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ALL)
    await house.quiet("+c")
    await house.crash("b")
    expected = [
        "exit b failed=True",
        "-c",
        "-a",
        "restarted a",
        "restarted b",
        "restarted c",
        "+a",
        "+b",
        "+c",
    ]
    await eventually(lambda: house.log[3:] == expected)


async def test_a_crash_loop_escalates_once_and_then_nothing_runs(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE, max_restarts=2)
    for lives in (1, 2, 3):
        await eventually(lambda lives=lives: house.log.count("+b") == lives)  # type: ignore[misc]
        await house.crash("b")
    await eventually(lambda: house.log[-1].startswith("escalated"))
    assert house.log[-3:-1] == ["-c", "-a"]
    assert house.log[-1] == "escalated: b failed (ValueError: told to fail) after 2 restarts within 60 s"
    assert (
        await asked(house.ref, lambda family: family.children.failure) == house.log[-1][len("escalated: ") :]
    )
    for name in "abc":
        assert await asked(house.ref, lambda family, name=name: family.children.ref(name)) is None


async def test_a_child_that_fails_at_every_start_escalates_without_help(households: Make) -> None:
    dispatcher = LoopDispatcher()
    factories = {"b": lambda: Probe.start(dispatcher, on_start=lambda: leave(None))}
    house = households(Strategy.ONE_FOR_ONE, max_restarts=3, backoff_s=0.001, factories=factories)
    await eventually(
        lambda: bool(house.log) and house.log[-1].startswith("escalated: b failed (SystemExit: 3)")
    )
    assert house.log.count("exit b failed=True") == 4
    assert house.log.count("restarted b") == 3


async def test_a_child_that_cannot_even_be_made_escalates_too(households: Make) -> None:
    def broken() -> Any:
        raise ValueError("no such thing")

    house = households(Strategy.ONE_FOR_ALL, max_restarts=1, factories={"b": broken})
    await eventually(
        lambda: bool(house.log) and house.log[-1].startswith("escalated: b failed (ValueError: no such")
    )
    assert house.log.count("exit b failed=True") == 2


async def test_a_restart_waits_for_its_back_off(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE, backoff_s=0.1)
    await house.quiet("+c")
    loop = asyncio.get_running_loop()
    await house.crash("b")
    began = loop.time()
    await house.quiet("+b")
    assert loop.time() - began >= 0.09


async def test_children_that_fail_during_the_back_off_of_another_come_back_too(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE, backoff_s=0.05)
    await house.quiet("+c")
    await house.crash("a")
    await house.crash("b")
    await house.quiet("+b")
    expected = ["exit a failed=True", "exit b failed=True", "restarted a", "+a", "restarted b", "+b"]
    assert house.log[3:] == expected


async def test_nothing_is_started_any_more_once_it_was_decided_to_give_up(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE, backoff_s=5.0, max_restarts=1)
    await house.quiet("+c")
    await house.crash("a")
    await house.crash("b")
    await eventually(lambda: house.log[-1].startswith("escalated: b failed"))
    assert house.log[3:-1] == ["exit a failed=True", "exit b failed=True", "-c"]


async def test_an_owner_that_stops_its_children_does_not_hear_of_their_exits(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE)
    await house.quiet("+c")
    child = await house.child("a")

    def stop_them(family: Family) -> None:
        child.tell(fail)
        family.children.stop()

    await asked(house.ref, stop_them)
    assert (await ended(child)).failed
    await house.quiet("-b")
    await asked(house.ref, heard_nothing)
    assert house.log[3:] == ["-c", "-b"]


async def test_a_stop_during_a_back_off_starts_nothing_any_more(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE, backoff_s=0.05)
    await house.quiet("+c")
    await house.crash("b")
    await house.quiet("exit b failed=True")
    assert await house.close() == ["-c", "-a"]
    later = households(Strategy.ONE_FOR_ONE, backoff_s=0.05)
    await later.quiet("+c")
    await later.crash("b")
    await later.quiet("+b")  # a back-off that began later is over
    assert house.log[-1] == "-a"


async def test_a_child_that_ends_of_its_own_accord_is_restarted_only_if_its_specification_says_so(
    households: Make,
) -> None:
    always = households(Strategy.ONE_FOR_ONE)
    on_failure = households(Strategy.ONE_FOR_ONE, restart=Restart.ON_FAILURE)
    for house in (always, on_failure):
        await house.quiet("+c")
        await settled((await house.child("b")).stop(block=False))
    await always.quiet("+b")
    await on_failure.quiet("exit b failed=False")
    assert await asked(on_failure.ref, lambda family: family.children.ref("b")) is None


async def test_a_child_that_does_not_stop_is_left_behind_and_its_late_end_is_not_its_successors(
    households: Make,
) -> None:
    gate = threading.Event()
    stuck = BlockingProbe.start()
    lives = iter([lambda: stuck, BlockingProbe.start])
    house = households(Strategy.ONE_FOR_ALL, factories={"c": lambda: next(lives)()}, stop_timeout=0.05)
    await house.quiet("+b")
    stuck.tell(lambda _: gate.wait(5))
    await house.crash("a")
    await eventually(lambda: "restarted c" in house.log)
    successor = await house.child("c")
    gate.set()
    assert not (await ended(stuck)).failed
    await asyncio.sleep(0)  # the end was announced to the loop before this test heard of it
    assert await house.child("c") is successor


async def test_actors_on_threads_are_supervised_too(households: Make) -> None:
    house = households(Strategy.ONE_FOR_ONE, factories={"b": BlockingProbe.start})
    await house.quiet("+c")
    await house.crash("b")
    await house.quiet("restarted b")
    assert await asked(await house.child("b"), "alive") == 1


async def test_an_owner_whose_hook_fails_loses_its_children_instead_of_spinning() -> None:
    log: list[str] = []

    class Clumsy(Family):
        def on_start(self) -> None:
            self.children = ActorSupervisor(
                self.spec,
                self.factories,
                owner=self.actor_ref,
                clock=SystemClock(),
                on_restarted=fail,
                on_escalated=log.append,
            )
            self.children.start()

    dispatcher = LoopDispatcher()
    spec = SupervisorSpec(children=(ChildSpec(name="a"),), backoff_s=0.0)
    ref = Clumsy.start(dispatcher, spec, [], {"a": lambda: Probe.start(dispatcher)}, 1.0)
    child = await asked(ref, lambda family: family.children.ref("a"))
    child.tell(fail)
    await eventually(lambda: log == ["ValueError: told to fail"])
    await stop(ref)


async def test_a_child_without_a_factory_is_misuse() -> None:
    ref = Probe.start(LoopDispatcher())
    with pytest.raises(Misuse, match="no factory for a"):
        ActorSupervisor(
            SupervisorSpec(children=(ChildSpec(name="a"),)),
            {},
            owner=ref,
            clock=SystemClock(),
            on_restarted=fail,
            on_escalated=fail,
        )
    await stop(ref)
