"""The peers of a running swarm: started, joined and ended through their workers, and looked at."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec

from cicada.errors import CicadaError
from cicada.ids import Peer
from cicada.limits import LAUNCHER
from launcher.pool import WorkerPool
from launcher.protocol import (
    AnyWorkerCommand,
    Counters,
    CrashActors,
    JoinPeers,
    JoinSeed,
    KillPeers,
    PeerAddress,
    PeerView,
    ReadCounters,
    Report,
    StartPeers,
    StopPeers,
    TakeViews,
    Views,
)
from launcher.roster import LIVE, Member, Roster, State
from launcher.waves import Wave, gap_wave, one_seed_wave, seeded_wave

Problems = dict[str, str]
"""Why something failed, by peer or worker."""

NO_SEEDS: Mapping[str, Member] = MappingProxyType({})

Make = Callable[[tuple[str, ...]], AnyWorkerCommand]


class Swarm:
    """Carries out changes, one at a time: hold ``changes`` around everything that starts, joins or ends peers."""

    def __init__(self, roster: Roster, pool: WorkerPool, *, waves: bool) -> None:
        self.roster = roster
        self.pool = pool
        self.changes = asyncio.Lock()
        self.abandoned: set[str] = set()  # dead workers that supervision does not bring back
        self._counted: dict[str, Counters] = {}
        self._next_wave = gap_wave if waves else one_seed_wave

    async def start_workers(self) -> Problems:
        """Start all workers at once."""
        names = self.pool.names
        outcomes = await asyncio.gather(*(self._start_worker(name) for name in names))
        return {name: problem for name, problem in zip(names, outcomes, strict=True) if problem}

    async def revive(self, worker: str) -> Problems:
        """Start a dead worker again, with its peers at their addresses, and join them through those that live.

        Raises Unavailable when the process does not start. Takes ``changes`` itself, once the process is there.
        """
        await self.pool.start(worker)
        async with self.changes:
            back = [member for member in self.roster.hosted_by(worker) if member.state is State.LOST]
            problems = await self.start(back)
            return problems | await self.join(back)

    async def start_abandoned(self, members: Iterable[Member]) -> list[str]:
        """Start those workers of the members that are dead for good. Returns which. Raises Unavailable when one does not
        start."""
        dead = [name for name in dict.fromkeys(m.worker for m in members) if name in self.abandoned]
        for name in dead:
            await self.pool.start(name)
            self.abandoned.discard(name)
        return dead

    async def start(self, members: Iterable[Member]) -> Problems:
        """Have the members listen. Those that can are UP, the others IDLE with their problem.

        They count as UP while their worker is asked, so that they return with it should it die meanwhile.
        """
        chosen = {member.name: member for member in members}
        self.roster.mark(chosen, State.UP)

        def command(names: tuple[str, ...]) -> StartPeers:
            planned = [chosen[name].planned for name in names]
            return StartPeers(peers=tuple(PeerAddress(p.name, p.address, p.behaviour) for p in planned))

        outcome = await self._tell(chosen.values(), command, LAUNCHER.start_peers)
        for name, problem in outcome.failed.items():
            self.roster.mark([name], State.IDLE, f"did not start: {problem}")
        return outcome.problems

    async def start_again(self, members: Iterable[Member]) -> Problems:
        """Have members that have ended listen again."""
        chosen = list(members)
        await self.kill([m for m in chosen if m.state is State.FAILED])  # what is left of those that gave up
        return await self.start(chosen)

    async def join(self, members: Iterable[Member], seeds: Mapping[str, Member] = NO_SEEDS) -> Problems:
        """Bring the members that are UP into the ring of the joined ones, in waves; returns who did not get in.

        ``seeds``: through whom those join, by name, who are not to be given the seed that suits them best; all at once.
        """
        waiting = {member.peer: member for member in members if member.state is State.UP}
        chosen = {peer: seeds[m.name].peer for peer, m in waiting.items() if m.name in seeds}
        failures: Counter[Peer] = Counter()
        problems: Problems = {}
        while wave := seeded_wave(waiting, chosen) or self._next_wave(self._joined(), waiting, failures):
            for peer, problem in (await self._join_wave(wave)).items():
                failures[peer] += 1
                if failures[peer] >= LAUNCHER.join_attempts:
                    member = waiting.pop(peer)
                    problems[member.name] = member.problem = problem
            for joined in [peer for peer, member in waiting.items() if member.state is not State.UP]:
                del waiting[joined]
        return problems

    async def begin(self, members: Iterable[Member]) -> Problems:
        """Start the members and have them join."""
        chosen = list(members)
        problems = await self.start(chosen)
        return problems | await self.join(chosen)

    async def restart(self, members: Iterable[Member]) -> Problems:
        """Begin anew with the members; those that live end first. Those that are to come back stay in the book, and start
        as if they were new."""
        chosen = list(members)
        problems = await self.stop((m for m in chosen if m.state in LIVE), State.STOPPED)
        await self.kill([m for m in chosen if m.state is State.FAILED])  # what is left of those that gave up
        back = [m for m in chosen if m.name not in problems and m.state is not State.LOST]
        return problems | await self.begin(back)

    async def stop(self, members: Iterable[Member], state: State) -> Problems:
        """Have the members leave the ring and end; they are in ``state`` afterwards."""
        timeout = LAUNCHER.stop_peers
        return await self._end(members, state, lambda names: StopPeers(names=names, timeout=timeout), timeout)

    async def kill(self, members: Iterable[Member]) -> Problems:
        """End the members without a farewell."""
        return await self._end(members, State.KILLED, lambda names: KillPeers(names=names), 0.0)

    async def crash(self, members: Iterable[Member], actor: str) -> Problems:
        """Have one actor of each member fail."""
        outcome = await self._tell(
            members, lambda names: CrashActors(names=names, actor=actor), LAUNCHER.report_grace
        )
        return outcome.problems

    def frozen(self) -> frozenset[str]:
        """Who stands still, alone or with its worker. Their silence is no fault of theirs, so nothing follows from it:
        neither an answer nor a place in the ring is expected of them."""
        stopped = {name for name in self.pool.names if self.pool.is_frozen(name)}
        return frozenset(m.name for m in self.roster if m.frozen or m.worker in stopped)

    def expected(self) -> list[Member]:
        """The members of which the ring ought to consist at present."""
        frozen = self.frozen()
        return [member for member in self.roster.expected() if member.name not in frozen]

    def joined(self) -> list[Member]:
        """The members in the ring that can be asked for something."""
        frozen = self.frozen()
        return [member for member in self.roster.having(State.JOINED) if member.name not in frozen]

    async def views(self) -> dict[str, PeerView]:
        """Every live peer that answers, as it is now. Marks those that were given up."""
        commands = {name: TakeViews() for name in self.pool.names if self.pool.pid(name)}
        replies = await self.pool.ask_each(commands, Views, LAUNCHER.views)
        seen = {
            view.name: view for reply in replies.values() if isinstance(reply, Views) for view in reply.peers
        }
        for view in seen.values():
            if view.failed:
                self.roster.mark([view.name], State.FAILED, f"gave up: {view.failed}")
        return seen

    async def counters(self) -> dict[str, Counters]:
        """Sums over the peers of each worker; what a killed worker had counted is gone with it, a frozen one's count stands
        still."""
        commands = {name: ReadCounters() for name in self.pool.names if self.pool.pid(name)}
        replies = await self.pool.ask_each(commands, Counters, LAUNCHER.views)
        before, self._counted = self._counted, {}
        for name, reply in replies.items():
            if isinstance(reply, Counters):
                self._counted[name] = reply
            elif name in before and self.pool.is_frozen(name):
                self._counted[name] = before[name]
        return dict(self._counted)

    async def _start_worker(self, name: str) -> str:
        try:
            await self.pool.start(name)
        except CicadaError as error:
            return str(error)
        return ""

    async def _join_wave(self, wave: Wave) -> dict[Peer, str]:
        """Who failed to join, and why."""
        by_name = {self.roster.name_at(joining.peer.address): joining for joining in wave}
        seeds = {
            name: "" if joining.seed is None else joining.seed.address for name, joining in by_name.items()
        }
        members = [self.roster[name] for name in seeds]

        def command(names: tuple[str, ...]) -> JoinPeers:
            joins = tuple(JoinSeed(name, seeds[name]) for name in names)
            return JoinPeers(joins=joins, timeout=LAUNCHER.join)

        outcome = await self._tell(members, command, LAUNCHER.join + LAUNCHER.report_grace)
        self.roster.mark((name for name in outcome.done if self.roster[name].state is State.UP), State.JOINED)
        return {self.roster[name].peer: problem for name, problem in outcome.problems.items()}

    def _joined(self) -> list[Peer]:
        return [member.peer for member in self.joined()]

    async def _end(self, members: Iterable[Member], state: State, make: Make, timeout: float) -> Problems:
        """Mark first: a worker that dies meanwhile must not bring back what was told to end."""
        chosen = list(members)
        self.roster.mark((member.name for member in chosen), state)
        outcome = await self._tell(chosen, make, timeout + LAUNCHER.report_grace)
        return outcome.problems

    async def _tell(self, members: Iterable[Member], make: Make, timeout: float) -> _Outcome:
        """Send one command to each worker concerned, about all its members."""
        names = _by_worker(members)
        commands = {worker: make(tuple(hosted)) for worker, hosted in names.items()}
        replies = await self.pool.ask_each(commands, Report, timeout)
        outcome = _Outcome()
        for worker, reply in replies.items():
            if isinstance(reply, Report):
                outcome.done += reply.done
                outcome.failed |= reply.failed
            else:
                outcome.unanswered |= dict.fromkeys(names[worker], str(reply))
        return outcome


class _Outcome(msgspec.Struct):
    """For whom a command succeeded, for whom it failed, and whose worker did not answer."""

    done: list[str] = msgspec.field(default_factory=list)
    failed: Problems = msgspec.field(default_factory=dict)
    unanswered: Problems = msgspec.field(default_factory=dict)

    @property
    def problems(self) -> Problems:
        """Everybody for whom it is not known to have succeeded."""
        return self.failed | self.unanswered


def _by_worker(members: Iterable[Member]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for member in members:
        names.setdefault(member.worker, []).append(member.name)
    return names
