"""Peers that gave up come back as the policy says, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from cicada.config import Supervision
from cicada.events import AnyEvent, ChildRestarted
from launcher.keeper import PeerKeeper
from launcher.plan import plan_swarm
from launcher.pool import WorkerPool
from launcher.roster import Member, Roster, State
from launcher.swarm import Problems, Swarm
from tests.launcher.swarms import config


class Restarting(Swarm):
    """Without processes: whoever is restarted is in the ring at once."""

    async def restart(self, members: Iterable[Member]) -> Problems:
        self.roster.mark((member.name for member in members), State.JOINED)
        return {}


class Keeping:
    """A keeper of four peers, and what it told."""

    def __init__(self, policy: str, max_restarts: int = 2) -> None:
        made = config(4, first_port=20000)
        self.swarm = Restarting(
            Roster(plan_swarm(made, 2), made.groups), WorkerPool({}, lambda *_: None), waves=True
        )
        self.told: list[AnyEvent] = []
        settings = Supervision.model_validate(
            {"restart": policy, "max_restarts": max_restarts, "backoff_s": 0.0}
        )
        self.keeper = PeerKeeper(self.swarm, settings, lambda _, event: self.told.append(event))

    def give_up(self, name: str) -> State:
        """The peer gives up and the keeper looks: its state then."""
        self.swarm.roster.mark([name], State.FAILED, "gave up: ring failed")
        asyncio.run(self.keeper.tend())
        return self.swarm.roster[name].state


@pytest.mark.parametrize("policy", ["always", "on-failure"])
def test_a_peer_that_gave_up_is_brought_back_and_that_is_told(policy: str) -> None:
    keeping = Keeping(policy)
    assert keeping.give_up("core-1") is State.JOINED
    assert keeping.told == [ChildRestarted(child="core-1", restarts=1)]
    assert (keeping.keeper.total_restarts, keeping.keeper.deaths) == (1, {})


def test_with_no_restarts_it_stays_dead_and_is_named_once() -> None:
    keeping = Keeping("no")
    assert keeping.give_up("core-1") is State.FAILED
    assert keeping.give_up("core-1") is State.FAILED
    assert keeping.keeper.deaths == {"core-1": "gave up: ring failed"}
    assert keeping.told == []


def test_a_peer_that_gives_up_too_often_stays_dead_and_another_has_its_own_count() -> None:
    keeping = Keeping("always", max_restarts=2)
    assert [keeping.give_up("core-1") for _ in range(3)] == [State.JOINED, State.JOINED, State.FAILED]
    assert keeping.give_up("core-2") is State.JOINED
    assert list(keeping.keeper.deaths) == ["core-1"]


def test_who_was_brought_back_by_hand_does_not_count_as_dead() -> None:
    keeping = Keeping("no")
    keeping.give_up("core-1")
    keeping.give_up("core-2")
    asyncio.run(keeping.swarm.restart([keeping.swarm.roster["core-1"]]))
    asyncio.run(keeping.keeper.tend())
    keeping.swarm.roster.mark(["core-1"], State.STOPPED)  # told to, this time
    assert list(keeping.keeper.deaths) == ["core-2"]


def test_nobody_is_brought_back_while_the_swarm_is_being_changed() -> None:
    keeping = Keeping("always")

    async def busy() -> State:
        async with keeping.swarm.changes:
            keeping.swarm.roster.mark(["core-1"], State.FAILED, "gave up: ring failed")
            await keeping.keeper.tend()
            return keeping.swarm.roster["core-1"].state

    assert asyncio.run(busy()) is State.FAILED
    asyncio.run(keeping.keeper.tend())
    assert keeping.swarm.roster["core-1"].state is State.JOINED
