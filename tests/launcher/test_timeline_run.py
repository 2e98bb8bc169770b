"""What runs a timeline goes on whatever happens, and does what is due without waiting for what takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cicada.commands import AnyCommand, AnyReply, Done, Kill, Refused, Restart, Stop
from cicada.config import Config
from cicada.errors import Unavailable
from cicada.events import AnyEvent, ExpectationChecked, ScheduledFaultDone
from launcher.faults.schedule import schedule
from launcher.faults.timeline import Load, Timeline
from launcher.orchestrator import Orchestrator
from launcher.plan import plan_swarm
from launcher.pool import WorkerPool
from launcher.roster import Roster, State
from launcher.selectors import Draws, select
from launcher.swarm import Swarm
from tests.launcher.timelines import timeline

KILLS = """
[[fault]]
at = "0s"
do = "kill"
select = "core:10%"
for = "50ms"

[[fault]]
at = "20ms"
do = "leave"
select = "edge-1"
"""


class Obedient(Orchestrator):
    """Without processes: kills, stops and restarts peers in the book only."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.asked: list[AnyCommand] = []
        self.before: Callable[[AnyCommand], AnyReply | None] = lambda _: None
        self.slow: dict[type, float] = {}
        self._draws: Draws = _NoDraws()

    async def carry_out(self, command: AnyCommand) -> AnyReply:
        self.asked.append(command)
        await asyncio.sleep(self.slow.get(type(command), 0.0))
        if (reply := self.before(command)) is not None:
            return reply
        states = {Kill: State.KILLED, Stop: State.STOPPED, Restart: State.JOINED}
        assert isinstance(command, Kill | Stop | Restart)
        names = select(command.select, self.swarm.roster.candidates(), (), self._draws).peers
        self.swarm.roster.mark(names, states[type(command)])
        return Done(peers=names)


class Running:
    """A timeline on a swarm of 20 and 10 peers, and what it told."""

    def __init__(self, text: str, load: Load | None = None) -> None:
        self.config: Config = timeline(text)
        self.swarm = Swarm(
            Roster(plan_swarm(self.config, 2), self.config.groups),
            WorkerPool({}, lambda *_: None),
            waves=True,
        )
        self.swarm.roster.mark((member.name for member in self.swarm.roster), State.JOINED)
        self.orchestrator = Obedient(self.swarm)
        self.events: list[AnyEvent] = []
        self.said: list[str] = []
        self.schedule = schedule(self.config, 7)
        self._load = load

    def run(self) -> Timeline:
        return asyncio.run(self._run())

    async def _run(self) -> Timeline:
        made = self.timeline()
        await asyncio.wait_for(made.run(), 10.0)
        return made

    def timeline(self) -> Timeline:
        return Timeline(
            *(self.config, self.schedule, self.orchestrator, self.swarm),
            lambda _, event: self.events.append(event),
            self.said.append,
            self._load,
        )

    @property
    def done(self) -> list[ScheduledFaultDone]:
        return [event for event in self.events if isinstance(event, ScheduledFaultDone)]


class _NoDraws:
    def sample(self, population: object, k: int) -> list[str]:
        raise AssertionError("the timeline brings its own draws")


class FixedLoad:
    """A load whose end is known."""

    def __init__(self, outcome: tuple[str, ...] | Unavailable, *, aborted: bool = False) -> None:
        self._outcome = outcome
        self.aborted = aborted

    async def run(self) -> tuple[str, ...]:
        if isinstance(self._outcome, Unavailable):
            raise self._outcome
        return self._outcome


def test_who_was_killed_as_foretold_comes_back_and_nobody_else() -> None:
    running = Running(KILLS)
    ended = running.run()
    kill, leave, back = running.done
    foretold = running.schedule[0].peers
    assert (kill.peers, leave.peers, back.peers) == (foretold, ("edge-1",), foretold)
    assert (back.do, back.entry, back.occurrence, back.due_s) == ("restart", 0, 0, 0.05)
    assert all(event.at_s >= event.due_s for event in running.done)
    dead = [m.name for m in running.swarm.roster if m.state is not State.JOINED]
    assert (dead, ended.is_over, ended.failed) == (["edge-1"], True, 0)


def test_who_came_back_by_another_way_is_not_restarted_once_more() -> None:
    running = Running(KILLS)
    first, second = running.schedule[0].peers

    def restarted_by_hand(command: AnyCommand) -> AnyReply | None:
        if isinstance(command, Stop):
            running.swarm.roster.mark([first], State.JOINED)
        return None

    running.orchestrator.before = restarted_by_hand
    running.run()
    assert running.orchestrator.asked[-1] == Restart(select=second)


def test_who_was_killed_comes_back_also_when_it_failed_for_others() -> None:
    running = Running(KILLS)
    first, second = running.schedule[0].peers

    def kill_one(command: AnyCommand) -> AnyReply | None:
        if not isinstance(command, Kill):
            return None
        running.swarm.roster.mark([first], State.KILLED)
        return Refused(reason="failed for 1 of 2 peers", peers=(first, second))

    running.orchestrator.before = kill_one
    running.run()
    assert running.orchestrator.asked[-1] == Restart(select=first)
    assert (running.done[0].peers, running.done[0].problem) == ((first, second), "failed for 1 of 2 peers")


def test_a_frozen_worker_keeps_its_own_peers_only_from_coming_back(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(KILLS)
    first, second = running.schedule[0].peers
    monkeypatch.setattr(running.swarm, "frozen", lambda: frozenset({first}))
    running.run()
    assert running.orchestrator.asked[-1] == Restart(select=second)
    back = running.done[-1]
    assert (back.peers, back.problem) == ((second,), f"{first} cannot come back: its worker is frozen")


def test_what_cannot_be_done_is_said_and_the_rest_goes_on() -> None:
    running = Running(KILLS)
    running.orchestrator.before = lambda command: Refused(reason="no") if isinstance(command, Kill) else None
    ended = running.run()
    assert [(event.do, event.problem) for event in running.done] == [
        ("kill", "no"),
        ("leave", ""),
        ("restart", ""),
    ]
    assert (ended.failed, running.done[2].peers) == (1, ())
    assert "kill core:10%: could not be done: no" in running.said[0]


def test_a_defect_costs_its_own_occurrence_only() -> None:
    running = Running(KILLS)

    def fail(command: AnyCommand) -> AnyReply | None:
        if isinstance(command, Kill):
            raise ZeroDivisionError("a defect")
        return None

    running.orchestrator.before = fail
    ended = running.run()
    assert [event.problem for event in running.done] == ["defect: ZeroDivisionError: a defect", "", ""]
    assert (ended.failed, ended.is_over) == (1, True)


def test_what_takes_long_does_not_make_the_next_late() -> None:
    running = Running(KILLS)
    running.orchestrator.slow = {Kill: 0.3}
    running.run()
    by_kind = {event.do: event for event in running.done}
    assert running.done[0].do == "leave"  # it was done while the kill was still under way
    assert by_kind["leave"].at_s < 0.3
    assert by_kind["restart"].peers == by_kind["kill"].peers  # and who comes back waited for it


def test_an_expectation_that_is_missed_is_named_with_what_was_found_and_others_are_looked_at() -> None:
    running = Running('[[expect]]\ncheck = "ring_proven"\nwithin = "20ms"\n[[expect]]\ncheck = "lookups"\n')
    running.orchestrator.before = lambda _: Refused(reason="nobody answers")
    ended = running.run()
    assert ended.missed == (
        "ring_proven at the end within 0.02 s: nobody answers",
        "lookups at the end: 0 of 20 lookups right",
    )
    assert [event.held for event in running.events if isinstance(event, ExpectationChecked)] == [False, False]


@pytest.mark.parametrize(
    ("outcome", "missed", "problem"),
    [
        ((), (), ""),
        (("send.p99 < 50ms: 70 ms",), ("send.p99 < 50ms: 70 ms",), ""),
        (Unavailable("no room"), (), "the load could not be run: no room"),
    ],
)
def test_a_load_runs_beside_the_timeline_and_its_thresholds_count(
    outcome: tuple[str, ...] | Unavailable, missed: tuple[str, ...], problem: str
) -> None:
    running = Running(KILLS, FixedLoad(outcome))
    ended = running.run()
    assert (ended.missed, ended.load_problem, len(running.done)) == (missed, problem, 3)


def test_a_load_that_is_aborted_ends_the_timeline_with_what_was_missed() -> None:
    late = '[[fault]]\nat = "1h"\ndo = "kill"\nselect = "core-1"\n[[expect]]\ncheck = "ring_proven"\n'
    running = Running(late, FixedLoad(("send.p99 < 50ms: 70 ms",), aborted=True))
    ended = running.run()
    assert (ended.missed, ended.is_over, running.done) == (("send.p99 < 50ms: 70 ms",), True, [])


def test_a_load_alone_is_something_to_run_and_nothing_at_all_is_not() -> None:
    async def emptiness() -> tuple[bool, bool, object]:
        alone, nothing = Running("", FixedLoad(())).timeline(), Running("").timeline()
        return alone.is_empty, nothing.is_empty, nothing.status()

    assert asyncio.run(emptiness()) == (False, True, None)


def test_a_timeline_that_is_cancelled_leaves_nothing_running() -> None:
    async def cancelled() -> int:
        running = Running(KILLS)
        running.orchestrator.slow = {Kill: 60.0}
        task = asyncio.create_task(running.timeline().run())
        while not running.done:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task], timeout=5.0)
        assert task.cancelled()
        return len(asyncio.all_tasks())

    assert asyncio.run(cancelled()) == 1
