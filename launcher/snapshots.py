"""Snapshots of a run: asked of every worker, whose peers they are about, and of the launcher itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from cicada.bus.publisher import Publisher
from cicada.bus.snapshot import Part, assemble, make_part
from cicada.bus.standing import Told
from cicada.clock import SystemClock
from cicada.events import PeerStarted, PeerStopped
from cicada.limits import BUS
from launcher.parts import heard
from launcher.pool import WorkerPool
from launcher.protocol import PartTold, TellPart
from launcher.roster import ENDED, Member, Roster, State

_HOW = {State.KILLED: "killed", State.FAILED: "failed"}  # others left


class Snapshots:
    """Makes snapshots of a run. What a worker said last is kept, for when it is silent, frozen or dead."""

    def __init__(
        self, publisher: Publisher, pool: WorkerPool, roster: Roster, *, name: str, run: str
    ) -> None:
        self._publisher = publisher
        self._pool = pool
        self._roster = roster
        self._name = name
        self._run = run
        self._clock = SystemClock()
        self._known: dict[str, Part] = {}

    async def make(self, subscriptions: Sequence[bytes]) -> bytes:
        """An encoded Snapshot, once everybody who answers knows of these subscriptions. Takes BUS.part_wait seconds at most."""
        running = [name for name in self._pool.names if self._pool.pid(name)]
        fresh, _ = await asyncio.gather(
            self._ask(running, subscriptions), heard(self._publisher, subscriptions)
        )
        return assemble(
            self._publisher.part(),
            [self._part(worker) for worker in self._pool.names],
            time_ms=self._clock.wall_ms(),
            name=self._name,
            run=self._run,
            stale=[worker for worker in running if worker not in fresh],
        )

    async def note(self, worker: str) -> None:
        """A worker is about to stand still: keep what it says now."""
        await self._ask([worker], ())

    async def _ask(self, workers: Iterable[str], subscriptions: Sequence[bytes]) -> set[str]:
        """Who of them answered."""
        command = TellPart(heard=tuple(subscriptions))
        replies = await self._pool.ask_each(dict.fromkeys(workers, command), PartTold, BUS.part_wait)
        parts = {name: reply.part for name, reply in replies.items() if isinstance(reply, PartTold)}
        self._known.update(parts)
        return set(parts)

    def _part(self, worker: str) -> Part:
        known = self._known.get(worker)
        if known is not None:
            return known
        told = (each for member in self._roster.hosted_by(worker) for each in _told_of(member))
        return make_part(worker, 0, {}, told, self._clock.wall_ms())


def _told_of(member: Member) -> Iterator[Told]:
    """What the launcher knows of a peer whose worker has never said anything."""
    if member.state is State.IDLE:
        return
    behaviour = str(member.planned.behaviour or "")
    yield (
        member.name,
        PeerStarted(address=member.address, place=f"{member.peer.place:064x}", behaviour=behaviour),
    )
    if member.state in ENDED:
        yield member.name, PeerStopped(how=_HOW.get(member.state, "left"))
