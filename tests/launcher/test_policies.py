"""Which workers are brought back, which stay dead and are named, and which count towards giving the swarm up."""

from __future__ import annotations

import asyncio

import pytest

from cicada.config import Supervision
from cicada.events import AnyEvent, WorkerExited
from launcher.plan import plan_swarm
from launcher.pool import WorkerPool
from launcher.process import WorkerSpec
from launcher.roster import Roster, State
from launcher.supervisor import WorkerSupervisor
from launcher.swarm import Problems, Swarm
from tests.launcher.swarms import config

DEAD = "worker-0"
ITS_PEERS = ("core-0", "core-2")


class Pool(WorkerPool):
    """Without processes."""

    told = False

    def ended_as_told(self, name: str) -> bool:
        return self.told


class Reviving(Swarm):
    """Without processes: a revived worker is back at once."""

    async def revive(self, worker: str) -> Problems:
        self.roster.mark((m.name for m in self.roster.hosted_by(worker)), State.JOINED)
        return {}


class Supervised:
    """Four peers in two workers, under a policy."""

    def __init__(self, policy: str, max_restarts: int = 5) -> None:
        made = config(4, first_port=20000)
        plan = plan_swarm(made, 2)
        specs = {
            name: WorkerSpec(name=name, control="", events="", control_folder="", logs="")
            for name in plan.workers
        }
        self.pool = Pool(specs, lambda *_: None)
        self.swarm = Reviving(Roster(plan, made.groups), self.pool, waves=True)
        self.swarm.roster.mark((member.name for member in self.swarm.roster), State.JOINED)
        self.lost: list[str] = []
        self.events: list[AnyEvent] = []
        settings = Supervision.model_validate(
            {"restart": policy, "max_restarts": max_restarts, "backoff_s": 0.0}
        )
        self.supervisor = WorkerSupervisor(
            self.swarm, settings, lambda _, event: self.events.append(event), self.lost.append
        )

    async def end(self, how: str, *, told: bool) -> None:
        """The worker ends, and whatever follows at once has followed."""
        self.pool.told = told
        self.supervisor.exited(DEAD, 17, how)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5.0)

    def states(self) -> set[State]:
        return {self.swarm.roster[name].state for name in ITS_PEERS}


@pytest.mark.parametrize(
    ("policy", "how", "told", "state", "deaths"),
    [
        ("always", "SIGKILL", False, State.JOINED, {}),
        ("always", "exit 0", False, State.JOINED, {}),
        ("always", "SIGKILL", True, State.JOINED, {}),
        ("on-failure", "SIGKILL", False, State.JOINED, {}),
        ("on-failure", "exit 1", False, State.JOINED, {}),
        ("on-failure", "exit 0", False, State.KILLED, {DEAD: "exit 0"}),
        ("on-failure", "SIGKILL", True, State.JOINED, {}),
        ("no", "SIGKILL", False, State.KILLED, {DEAD: "SIGKILL"}),
        ("no", "SIGKILL", True, State.KILLED, {}),
    ],
)
def test_the_policy_and_whether_it_was_told_to_decide_what_becomes_of_a_worker(
    policy: str, how: str, told: bool, state: State, deaths: dict[str, str]
) -> None:
    supervised = Supervised(policy)
    asyncio.run(supervised.end(how, told=told))
    assert (supervised.states(), supervised.supervisor.deaths, supervised.lost) == ({state}, deaths, [])
    assert (DEAD in supervised.swarm.abandoned) == (state is State.KILLED)
    (event,) = [event for event in supervised.events if isinstance(event, WorkerExited)]
    assert event.expected == told


def test_who_stays_dead_untold_says_why_and_how_to_be_brought_back() -> None:
    supervised = Supervised("no")
    asyncio.run(supervised.end("SIGKILL", told=False))
    problem = supervised.swarm.roster["core-0"].problem
    assert problem == 'died with worker-0 (SIGKILL), which stays dead: supervision.restart is "no"'


def test_a_worker_that_was_brought_back_by_hand_does_not_count_as_dead() -> None:
    supervised = Supervised("no")
    asyncio.run(supervised.end("SIGKILL", told=False))
    supervised.swarm.abandoned.discard(DEAD)  # as Swarm.start_abandoned does
    assert supervised.supervisor.deaths == {}
    asyncio.run(supervised.end("SIGKILL", told=True))
    assert supervised.supervisor.deaths == {}


def test_only_deaths_that_nobody_asked_for_count_towards_the_end_of_the_swarm() -> None:
    async def ends() -> Supervised:
        supervised = Supervised("always", max_restarts=1)
        for _ in range(5):
            await supervised.end("SIGKILL", told=True)
        await supervised.end("SIGKILL", told=False)
        assert supervised.lost == []
        await supervised.end("SIGKILL", told=False)
        return supervised

    (reason,) = asyncio.run(ends()).lost
    assert reason.startswith("worker-0 failed (SIGKILL) after 1 restarts")
