"""Faults of a running swarm: set, ended and enforced through its workers, and told to whoever watches."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence

from cicada.commands import AnyFault, Done, FaultList, FaultRow, Heal, PairFault, Thaw
from cicada.errors import CicadaError, Misuse, Unavailable
from cicada.events import AnyEvent, FaultEnded, FaultStarted
from cicada.limits import LAUNCHER
from cicada.transport.faults import NO_FAULTS
from launcher.faults.book import ActiveFault, FaultBook, check
from launcher.protocol import Report, SetFaults
from launcher.roster import LIVE
from launcher.selectors import Candidate, Draws, Selection, select
from launcher.swarm import Swarm

_GREETING = "faults"
_logger = logging.getLogger("cicada.launcher")

Publish = Callable[[str, AnyEvent], None]


class Faults:
    """One value sets a fault, whoever made it. Used on one event loop only.

    Every worker has the whole state, again after each change: what one peer sends another is judged where it leaves.
    """

    def __init__(self, swarm: Swarm, publish: Publish) -> None:
        self._swarm = swarm
        self._roster = swarm.roster
        self._pool = swarm.pool
        self._publish = publish
        self._book = FaultBook()
        self._told: dict[str, tuple[int, SetFaults]] = {}
        self._enforcing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def rows(self) -> tuple[FaultRow, ...]:
        """Every fault in force."""
        return self._book.rows(_now())

    async def apply(self, fault: AnyFault, draws: Draws) -> FaultList:
        """Set a fault; ``draws`` draws its shares. Raises Misuse for one that cannot be, Unavailable when a worker does not
        take its part; the others have theirs then."""
        check(fault)
        active = self._resolve(fault, draws)
        row = active.row(_now())
        self._publish(
            "",
            FaultStarted(
                fault=row.fault,
                kind=row.kind,
                one=row.one,
                other=row.other,
                peers=row.peers,
                others=row.others,
                seconds=row.seconds,
                jitter=row.jitter,
                percent=row.percent,
                lasts=fault.lasts,
            ),
        )
        await self._enforce()
        return FaultList(rows=(row,))

    async def thaw(self, command: Thaw, draws: Draws) -> Done:
        """Have those that stand still go on. Raises Misuse when none does that the selector names."""
        chosen = self._standing_still(command.select, draws)
        workers = self._wholly_named(chosen)
        for worker in workers:
            self._pool.thaw(worker)  # also one that somebody else stopped
        self._ended(self._book.end_freezes(chosen.peers, workers), "thawed")
        await self._enforce()
        return Done(peers=chosen.peers)

    async def heal(self, command: Heal) -> FaultList:
        """End faults between peers. Raises Misuse when there is none between the sides that were named."""
        now = _now()
        ended = self._book.end_between(command.one, command.other)
        if command.one and not ended:
            sides = " and ".join(repr(side) for side in (command.one, command.other) if side)
            raise Misuse(f"no fault between peers names {sides}: `cicada fault list` shows those in force")
        self._ended(ended, "healed")
        await self._enforce()
        return FaultList(rows=tuple(active.row(now) for active in ended))

    def worker_ended(self, worker: str) -> None:
        """With a process ends what froze it, and what froze the peers in it."""
        hosted = {member.name for member in self._roster.hosted_by(worker)}
        self._told.pop(worker, None)
        self._ended(self._book.end_freezes(hosted, {worker}), "worker-ended")
        self._mark_frozen()

    def close(self) -> None:
        """End nothing any more: the swarm ends."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    # Who is meant

    def _resolve(self, fault: AnyFault, draws: Draws) -> ActiveFault:
        if isinstance(fault, PairFault):
            one, other = self._sides(fault, draws)
            return self._book.enter(fault, peers=one, others=other, now=_now())
        still = self._swarm.frozen()
        awake = [c for c in self._roster.candidates(*LIVE) if c.name not in still]
        chosen = self._select(fault.select, awake, draws)
        for worker in chosen.workers:
            if not self._pool.pid(worker) or self._pool.is_frozen(worker):
                raise Misuse(f"{worker} does not run: see `cicada status`")
        if not chosen.peers and not chosen.workers:
            raise Misuse(f"nobody that {fault.select!r} names is awake: see `cicada peers`")
        return self._book.enter(fault, peers=chosen.peers, workers=chosen.workers, now=_now())

    def _sides(self, fault: PairFault, draws: Draws) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A share as the other side is drawn from those who are not of the one."""
        everyone = self._roster.candidates()
        one = self._select(fault.one, everyone, draws).peers
        rest = [candidate for candidate in everyone if candidate.name not in set(one)]
        if not fault.other:
            if not rest:
                raise Misuse(f"{fault.one!r} names everybody: there is nobody on the other side")
            return one, tuple(candidate.name for candidate in rest)
        pool = rest if fault.other.endswith("%") else everyone
        return one, self._select(fault.other, pool, draws).peers

    def _standing_still(self, text: str, draws: Draws) -> Selection:
        self._select(text, self._roster.candidates(), draws)
        still = self._swarm.frozen()
        frozen = [candidate for candidate in self._roster.candidates() if candidate.name in still]
        try:
            chosen = self._select(text, frozen, draws)
        except Misuse:
            chosen = Selection(())
        if not chosen.peers:
            raise Misuse(f"nobody that {text!r} names is frozen: `cicada fault list` shows who is")
        return chosen

    def _wholly_named(self, chosen: Selection) -> list[str]:
        """The frozen workers that are meant. Raises Misuse for a part of one: a process goes on as a whole."""
        named = set(chosen.peers)
        workers = [name for name in self._pool.names if self._pool.is_frozen(name)]
        whole = [
            name for name in workers if {member.name for member in self._roster.hosted_by(name)} <= named
        ]
        for name in chosen.peers:
            member = self._roster[name]
            if member.worker in workers and member.worker not in (*whole, *chosen.workers):
                raise Misuse(
                    f"{name} is frozen with all of {member.worker}: use `cicada fault thaw {member.worker}`"
                )
        return list(dict.fromkeys([*whole, *(name for name in chosen.workers if name in workers)]))

    def _select(self, text: str, candidates: Sequence[Candidate], draws: Draws) -> Selection:
        return select(text, candidates, self._pool.names, draws)

    # What follows

    def _ended(self, ended: Iterable[ActiveFault], reason: str) -> None:
        for active in ended:
            self._publish(
                "", FaultEnded(fault=active.number, kind=active.kind, peers=active.peers, reason=reason)
            )

    async def _enforce(self) -> None:
        """Have the swarm be as the book says: thaw, tell the workers, freeze. Raises Unavailable for what failed."""
        self._arm()
        async with self._enforcing:
            self._mark_frozen()
            stopped = self._book.frozen_workers
            for name in self._pool.names:
                if self._pool.is_held(name) and name not in stopped:
                    self._pool.thaw(name)
            problems = await self._tell([name for name in self._pool.names if self._pool.answers(name)])
            for name in stopped:
                if self._pool.pid(name) and not self._pool.is_held(name):
                    await self._pool.freeze(name)
        _require(problems)

    async def _tell(self, workers: Iterable[str]) -> dict[str, str]:
        """Tell workers that do not know it yet what is in force. Returns which of them did not take it, and why."""
        table = self._book.table(lambda name: self._roster[name].address)
        for name in self._pool.names:
            self._pool.greet(name, _GREETING, SetFaults(table=table) if table != NO_FAULTS else None)
        commands = {name: SetFaults(table=table, frozen=self._frozen_in(name)) for name in workers}
        news = {
            name: command
            for name, command in commands.items()
            if self._told.get(name, (0, SetFaults())) != (self._pool.pid(name), command)
        }
        problems: dict[str, str] = {}
        for name, reply in (await self._pool.ask_each(news, Report, LAUNCHER.report_grace)).items():
            if isinstance(reply, Report):
                self._told[name] = (self._pool.pid(name), news[name])
                problems |= reply.failed
            else:
                problems[name] = str(reply)
        return problems

    def _frozen_in(self, worker: str) -> tuple[str, ...]:
        frozen = self._book.frozen_peers
        return tuple(m.name for m in self._roster.hosted_by(worker) if m.name in frozen)

    def _mark_frozen(self) -> None:
        frozen = self._book.frozen_peers
        for member in self._roster:
            member.frozen = member.name in frozen

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        until = self._book.next_end()
        if math.isfinite(until):
            self._timer = asyncio.get_running_loop().call_at(until, self._expire)

    def _expire(self) -> None:
        self._ended(self._book.end_due(_now()), "expired")
        task = asyncio.get_running_loop().create_task(self._enforce_quietly(), name="end of a fault")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _enforce_quietly(self) -> None:
        try:
            await self._enforce()
        except CicadaError as error:
            _logger.warning("the end of a fault did not reach everybody: %s", error)


def _require(problems: dict[str, str]) -> None:
    if problems:
        named = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise Unavailable(f"not everybody took the change of faults: {named}")


def _now() -> float:
    return asyncio.get_running_loop().time()
