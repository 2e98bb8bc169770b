"""LoopActors are Pykka actors that take turns on an event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pykka
import pytest

from cicada.actors.base import GuardedRef, Overflow
from cicada.actors.futures import LoopFuture
from cicada.actors.loop import LoopDispatcher
from cicada.errors import MailboxFull, Misuse
from cicada.limits import ActorLimits
from tests.actors.probes import (
    PATIENCE,
    Probe,
    SmallProbe,
    asked,
    ended,
    eventually,
    fail,
    heard,
    in_thread,
    settled,
    stop,
)


async def test_messages_are_handled_in_the_order_they_were_told() -> None:
    ref = Probe.start(LoopDispatcher())
    for number in range(1000):
        ref.tell(number)
    assert await asked(ref, heard) == list(range(1000))
    await stop(ref)


async def test_nothing_runs_inside_the_call_that_starts_or_tells() -> None:
    seen: list[Any] = []
    ref = Probe.start(LoopDispatcher(), heard=seen, on_start=lambda: seen.append("started"))
    ref.tell("told")
    assert seen == []
    await stop(ref)
    assert seen == ["started", "told"]


async def test_everything_runs_on_the_thread_of_the_loop() -> None:
    threads: list[int] = []
    ref = Probe.start(
        LoopDispatcher(),
        on_start=lambda: threads.append(threading.get_ident()),
        on_stop=lambda: threads.append(threading.get_ident()),
    )
    await in_thread(lambda: ref.tell(lambda _: threads.append(threading.get_ident())))
    await stop(ref)
    assert threads == [threading.get_ident()] * 3


async def test_an_actor_can_be_started_and_asked_from_another_thread() -> None:
    dispatcher = LoopDispatcher()

    def use() -> list[Any]:
        ref = Probe.start(dispatcher)
        ref.tell("hello")
        answer: list[Any] = ref.ask(heard, block=True, timeout=PATIENCE)
        assert ref.stop(timeout=PATIENCE) is True
        assert ref.stop(timeout=PATIENCE) is False
        return answer

    assert await in_thread(use) == ["hello"]


async def test_no_message_of_many_threads_is_lost_and_each_thread_keeps_its_order() -> None:
    ref = Probe.start(LoopDispatcher())

    def tell_all(teller: int) -> None:
        for number in range(2000):
            ref.tell((teller, number))

    await asyncio.gather(*(in_thread(lambda teller=teller: tell_all(teller)) for teller in range(4)))  # type: ignore[misc]
    got = await asked(ref, heard)
    assert len(got) == 8000
    for teller in range(4):
        assert [number for who, number in got if who == teller] == list(range(2000))
    await stop(ref)


async def test_an_actor_with_endless_work_leaves_turns_to_others_and_to_the_loop() -> None:
    dispatcher = LoopDispatcher(limits=ActorLimits(batch=8, turn=16))
    busy = Probe.start(dispatcher)
    other = Probe.start(dispatcher)

    def again(probe: Probe) -> None:
        probe.actor_ref.tell(again)

    for _ in range(100):
        busy.tell(again)
    assert await asked(other, "a") == 1
    await asyncio.wait_for(asyncio.sleep(0.001), PATIENCE)
    busy.tell(fail)
    assert (await ended(busy)).failed
    await stop(other)


async def test_one_turn_handles_no_more_than_its_budget_before_the_loop_goes_on() -> None:
    dispatcher = LoopDispatcher(limits=ActorLimits(batch=8, turn=16))
    seen: list[Any] = []
    refs = [Probe.start(dispatcher, heard=seen) for _ in range(4)]
    for number in range(100):
        for ref in refs:
            ref.tell(number)
    loop = asyncio.get_running_loop()
    looked: asyncio.Future[int] = loop.create_future()
    loop.call_soon(lambda: looked.set_result(len(seen)))  # right after the first turn
    assert await settled(looked) == 16
    await stop(*refs)
    assert len(seen) == 400


async def test_whom_a_turn_told_something_goes_before_those_that_wait() -> None:
    dispatcher = LoopDispatcher()
    seen: list[Any] = []
    first, waits, called = (Probe.start(dispatcher, heard=seen) for _ in range(3))
    await eventually(lambda: not dispatcher.awake)
    first.tell(lambda _: called.tell("called"))
    waits.tell("waited")
    await eventually(lambda: len(seen) == 2)
    assert seen == ["called", "waited"]
    await stop(first, waits, called)


async def test_two_actors_that_only_tell_each_other_do_not_keep_the_others_waiting() -> None:
    dispatcher = LoopDispatcher(limits=ActorLimits(cascade=10, turn=1000))
    one, other, third = (Probe.start(dispatcher) for _ in range(3))
    await eventually(lambda: not dispatcher.awake)
    told: list[int] = []
    passes = [0]

    def to_and_fro(probe: Probe) -> None:
        passes[0] += 1
        if not told:
            (other if probe.actor_ref == one else one).tell(to_and_fro)

    one.tell(to_and_fro)
    third.tell(lambda _: told.append(passes[0]))
    await eventually(lambda: bool(told))
    assert told == [10]
    await stop(one, other, third)


async def test_what_is_told_at_once_arrives_in_order_and_meets_the_same_limit() -> None:
    dispatcher = LoopDispatcher()
    ref, small = Probe.start(dispatcher), SmallProbe.start(dispatcher)
    ref.tell(0)
    ref.tell_all([1, 2, 3])
    await in_thread(lambda: ref.tell_all([4, 5]))
    small.tell_all(range(10))
    assert await asked(ref, heard) == [0, 1, 2, 3, 4, 5]
    assert await asked(small, heard) == [0, 1, 2, 3]
    assert small.dropped == {"inbox-full": 6}
    await stop(ref, small)


async def test_a_full_inbox_drops_the_newest_and_counts_it() -> None:
    ref = SmallProbe.start(LoopDispatcher())
    for number in range(10):
        ref.tell(number)
    await stop(ref)  # a stop fits
    assert ref.dropped == {"inbox-full": 6}


async def test_what_a_full_inbox_holds_is_still_handled_and_a_stop_comes_after_it() -> None:
    seen: list[Any] = []
    ref = SmallProbe.start(LoopDispatcher(), heard=seen)
    for number in range(10):
        ref.tell(number)
    await stop(ref)
    assert seen == [0, 1, 2, 3]


async def test_an_ask_that_finds_the_inbox_full_fails() -> None:
    ref = SmallProbe.start(LoopDispatcher())
    for number in range(4):
        ref.tell(number)
    with pytest.raises(MailboxFull):
        await asked(ref, heard)
    await stop(ref)


async def test_under_the_refusing_policy_the_teller_hears_of_a_full_inbox() -> None:
    class Refusing(SmallProbe):
        overflow = Overflow.REFUSE

    ref = Refusing.start(LoopDispatcher())
    for number in range(4):
        ref.tell(number)
    with pytest.raises(MailboxFull):
        ref.tell(4)
    await stop(ref)


async def test_an_ask_to_an_actor_that_has_ended_fails() -> None:
    ref = Probe.start(LoopDispatcher())
    await stop(ref)
    with pytest.raises(pykka.ActorDeadError):
        await asked(ref, heard)


async def test_what_is_queued_behind_a_stop_is_answered_or_counted() -> None:
    ref = Probe.start(LoopDispatcher())
    stopped = ref.stop(block=False)
    ref.tell("behind")
    behind = ref.ask(heard, block=False)
    assert await settled(stopped) is True
    with pytest.raises(pykka.ActorDeadError):
        await settled(behind)
    assert ref.dropped == {"actor-ended": 1}


async def test_a_blocking_ask_on_the_loop_is_refused_instead_of_stopping_every_actor() -> None:
    ref = Probe.start(LoopDispatcher())
    with pytest.raises(Misuse, match="await"):
        ref.ask(heard)
    await stop(ref)


async def test_the_answer_of_a_settled_future_can_be_got_on_the_loop() -> None:
    ref = Probe.start(LoopDispatcher())
    future = ref.ask("a", block=False)
    await settled(future)
    assert future.get() == 1
    await stop(ref)


async def test_a_mapped_future_can_be_awaited() -> None:
    ref = Probe.start(LoopDispatcher())
    try:
        assert await settled(ref.ask("a", block=False).map(lambda count: count + 1)) == 2
    finally:
        await stop(ref)
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_future_calls_whoever_waits_once_whether_early_or_late() -> None:
    future: LoopFuture[int] = LoopFuture()
    calls: list[str] = []
    future.when_settled(lambda: calls.append("early"))
    assert not future.is_settled()
    future.set(1)
    future.when_settled(lambda: calls.append("late"))
    assert calls == ["early", "late"]


async def test_the_registry_knows_a_loop_actor_while_it_lives() -> None:
    ref = Probe.start(LoopDispatcher())
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is ref
    assert pykka.ActorRegistry.get_by_class(Probe) == [ref]
    await stop(ref)
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is None


async def test_a_proxy_reads_and_calls_a_loop_actor() -> None:
    ref = Probe.start(LoopDispatcher())
    proxy = ref.proxy()
    proxy.on_receive.defer("through the proxy")
    assert await settled(proxy.heard) == ["through the proxy"]
    assert await settled(proxy.on_receive("again")) == 2
    await stop(ref)


@pytest.mark.parametrize("busy", [False, True])
def test_a_closed_loop_is_no_trap_for_those_who_still_hold_references(busy: bool) -> None:
    async def begin() -> GuardedRef[Probe]:
        ref = Probe.start(LoopDispatcher())
        await asked(ref, heard)
        return ref

    loop = asyncio.new_event_loop()
    ref = loop.run_until_complete(begin())
    if busy:  # a turn is promised and never comes
        ref.tell("left lying")
    loop.close()
    ref.tell("nobody hears this")
    assert ref.is_alive() is busy
    with pytest.raises(pykka.ActorDeadError):
        ref.ask(heard)
    assert ref.stop() is False
    assert ref.dropped == {"actor-ended": 2 if busy else 1}


def test_actors_of_a_closed_loop_count_as_failed_and_answer_asks() -> None:
    async def begin() -> pykka.ActorRef[Probe]:
        return Probe.start(LoopDispatcher())

    ref = asyncio.run(begin())
    outcome: list[Any] = []

    def ask() -> None:
        try:
            ref.ask(heard, timeout=PATIENCE)
        except pykka.ActorDeadError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(PATIENCE)
    assert len(outcome) == 1
    assert not ref.is_alive()


async def test_a_chain_of_actors_hands_a_message_on_within_one_turn_of_the_loop() -> None:
    dispatcher = LoopDispatcher()
    refs = [Probe.start(dispatcher) for _ in range(4)]
    await asyncio.sleep(0)

    def hand_on(hops: int) -> Any:
        if hops == 0:
            return "arrived"
        return lambda _: refs[hops % 4].tell(hand_on(hops - 1))

    refs[0].tell(hand_on(100))
    await eventually(lambda: True)
    assert "arrived" in [message for ref in refs for message in await asked(ref, heard)]
    await stop(*refs)
