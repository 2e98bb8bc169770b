"""Snapshots of a run: asked of every worker, whose peers they are about, and of the launcher itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

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
        """What it said last, after what only the launcher knows: a worker that was restarted never heard of peers that ended
        before."""
        known = self._known.get(worker)
        hosted = self._roster.hosted_by(worker)
        if known is None:
            return make_part(worker, 0, {}, _told_of(hosted), self._clock.wall_ms())
        ended = _told_of(member for member in hosted if member.state in ENDED)
        before = make_part(worker, known.life, known.sequences, ended, self._clock.wall_ms())
        return replace(known, events=(*before.events, *known.events))


def _told_of(members: Iterable[Member]) -> Iterator[Told]:
    """What the launcher knows of peers."""
    for member in members:
        if member.state is State.IDLE:
            continue
        behaviour = str(member.planned.behaviour or "")
        place = f"{member.peer.place:064x}"
        yield member.name, PeerStarted(address=member.address, place=place, behaviour=behaviour)
        if member.state in ENDED:
            yield member.name, PeerStopped(how=_HOW.get(member.state, "left"))
