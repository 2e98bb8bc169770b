"""Carries out the commands of whoever controls the swarm: the launcher's core, as its control plane sees it."""

from __future__ import annotations

import copy
import random
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from cicada.commands import (
    Add,
    AnyCommand,
    AnyReply,
    Crash,
    Delay,
    Done,
    Down,
    Drop,
    Duplicate,
    FaultList,
    Freeze,
    GetFaults,
    GetLoad,
    GetPeers,
    GetStatus,
    Heal,
    Join,
    Kill,
    Lookup,
    Partition,
    PeerRow,
    Peers,
    Refused,
    Restart,
    RotateSwarmKey,
    RunLoad,
    Scale,
    Send,
    SendToAll,
    SetLogLevel,
    Stop,
    StopLoad,
    Thaw,
)
from cicada.errors import CicadaError, Misuse
from cicada.events import AnyEvent, CommandReceived, WorkerStarted
from launcher.faults.control import Faults
from launcher.keys.rotation import Rotation
from launcher.logs.control import LogLevels
from launcher.monitor import Monitor
from launcher.plan import derived_seed
from launcher.ports import require_free
from launcher.protocol import PeerView
from launcher.requests import Requests
from launcher.rolling import RollingRestart
from launcher.roster import ENDED, LIVE, RETURNING, Member, State
from launcher.selectors import Draws, Selection, select
from launcher.statistics import Statistics
from launcher.swarm import Problems, Swarm

Publish = Callable[[str, AnyEvent], None]

_READING = GetStatus | GetPeers | GetLoad | GetFaults


def _is_frequent(command: AnyCommand) -> bool:
    """Whether it comes several times a second, so that nothing is looked at for its sake."""
    return isinstance(command, GetLoad) or (isinstance(command, GetStatus) and not command.fresh)


class Orchestrator:
    """Answers every command with a reply, never with an exception. Used on one event loop only."""

    def __init__(
        self,
        swarm: Swarm,
        monitor: Monitor,
        statistics: Statistics,
        levels: LogLevels,
        faults: Faults,
        rotation: Rotation,
        publish: Publish,
        *,
        seed: int,
        folder: Path,
        on_down: Callable[[], None],
        recorded: Callable[[type[AnyEvent]], Awaitable[None]],
    ) -> None:
        self._swarm = swarm
        self._roster = swarm.roster
        self._monitor = monitor
        self._statistics = statistics
        self._levels = levels
        self._faults = faults
        self.rotation = rotation
        self._rolling = RollingRestart(swarm, monitor, publish)
        draws = random.Random(derived_seed(seed, "requests"))
        self.requests = Requests(swarm, draws, folder, lambda event: publish("", event), recorded)
        self._publish = publish
        self._draws: Draws = random.Random(derived_seed(seed, "selectors"))
        self._on_down = on_down

    def drawing(self, draws: Draws) -> Orchestrator:
        """The same for somebody who draws shares in a way of his own."""
        other = copy.copy(self)
        other._draws = draws
        return other

    async def carry_out(self, command: AnyCommand) -> AnyReply:
        """Do it; what cannot be done is Refused with the reason and what to do."""
        if not isinstance(command, _READING):
            self._publish("", CommandReceived(command=type(command).__name__))
        try:
            return await self._dispatch(command)
        except CicadaError as error:
            return Refused(reason=str(error), misuse=isinstance(error, Misuse))
        finally:
            if not _is_frequent(command):
                self._monitor.poke()

    async def _dispatch(self, command: AnyCommand) -> AnyReply:
        match command:
            case GetStatus():
                return await self._statistics.status(fresh=command.fresh)
            case GetPeers():
                return await self._peers(command)
            case Lookup() | Send() | SendToAll() | RunLoad() | GetLoad() | StopLoad():
                return await self.requests.carry_out(command)
            case SetLogLevel():
                selection = self._selection(command.select)
                return _named(selection.peers, await self._levels.set(command, selection))
            case Freeze() | Partition() | Delay() | Drop() | Duplicate():
                return await self._faults.apply(command, self._draws)
            case Thaw():
                return await self._faults.thaw(command, self._draws)
            case Heal():
                return await self._faults.heal(command)
            case GetFaults():
                return FaultList(rows=self._faults.rows())
            case Restart(rolling=True):
                return await self._rolling.restart(self._select(command.select), command)
            case RotateSwarmKey():
                return await self.rotation.enter(command)
            case Down():
                self._on_down()
                return Done(peers=tuple(member.name for member in self._roster.live()))
            case _:
                async with self._swarm.changes:
                    return await self._change(command)

    async def _change(self, command: Join | Kill | Stop | Restart | Add | Scale | Crash) -> AnyReply:
        match command:
            case Join():
                return await self._join(command)
            case Kill():
                return await self._kill(command)
            case Stop():
                members = self._select(command.select, LIVE)
                return _done(members, await self._swarm.stop(members, State.STOPPED))
            case Restart():
                return await self._restart(command)
            case Add():
                return await self._add(command.group, command.count)
            case Scale():
                return await self._scale(command)
            case Crash():
                members = self._select(command.select, LIVE)
                return _done(members, await self._swarm.crash(members, command.actor))

    async def _peers(self, command: GetPeers) -> Peers:
        members = self._select(command.select, frozen=True)
        views = await self._swarm.views()
        frozen = self._swarm.frozen()
        return Peers(rows=tuple(_row(m, views.get(m.name), m.name in frozen) for m in members))

    async def _join(self, command: Join) -> AnyReply:
        named = self._select(command.select)
        seeds = self._seeds(command, named)
        if command.again:
            problems = await self._swarm.start_again(member for member in named if member.state in ENDED)
        else:
            problems = {}
        problems |= await self._swarm.start(member for member in named if member.state is State.IDLE)
        problems |= await self._swarm.join(named, seeds)
        ended = [member.name for member in named if member.state in ENDED]
        if ended and len(ended) == len(named):
            raise Misuse(f"{ended[0]} has ended: bring it back with `cicada restart {command.select}`")
        return _done([member for member in named if member.state is State.JOINED], problems)

    def _seeds(self, command: Join, joining: list[Member]) -> dict[str, Member]:
        """Through whom each is to join, by name; nobody is named where nobody asked for it, or there is no ring yet."""
        if not command.through or not self._swarm.joined():
            return {}
        eligible = [member.name for member in self._select(command.through, (State.JOINED,))]
        return {member.name: self._roster[self._draws.sample(eligible, 1)[0]] for member in joining}

    async def _restart(self, command: Restart) -> AnyReply:
        members = self._select(command.select)
        for worker in await self._swarm.start_abandoned(members):
            self._publish("", WorkerStarted(worker=worker, pid=self._swarm.pool.pid(worker)))
        return _done(members, await self._swarm.restart(members))

    async def _kill(self, command: Kill) -> AnyReply:
        selection = self._selection(command.select, LIVE)
        if selection.workers:
            for worker in selection.workers:
                self._swarm.pool.kill(worker)
            hosted = [m for worker in selection.workers for m in self._roster.hosted_by(worker)]
            return Done(peers=tuple(member.name for member in hosted if member.state in LIVE))
        members = [self._roster[name] for name in selection.peers]
        kill = self._swarm.kill(members) if command.hard else self._swarm.stop(members, State.KILLED)
        return _done(members, await kill)

    async def _add(self, group: str, count: int) -> AnyReply:
        if count < 1:
            raise Misuse(f"cannot add {count} peers: add at least 1")
        members = self._roster.grow(group, count)
        try:
            require_free((member.planned for member in members), {})
        except CicadaError:
            self._roster.forget(members)
            raise
        return _done(members, await self._swarm.begin(members))

    async def _scale(self, command: Scale) -> AnyReply:
        if command.count < 0:
            raise Misuse(f"cannot scale to {command.count} peers: give 0 or more")
        plan = self._roster.scale(command.group, command.count)
        leaving = [self._roster[name] for name in plan.leave]
        for name in self._swarm.frozen().intersection(plan.leave):
            raise Misuse(_not_eligible(self._roster[name]))
        problems = await self._swarm.stop(leaving, State.RETIRED)
        back = [self._roster[name] for name in plan.back]
        problems |= await self._swarm.begin(back)
        if plan.fresh:
            added = await self._add(command.group, plan.fresh)
            if isinstance(added, Refused):
                return added
            back += [self._roster[name] for name in added.peers] if isinstance(added, Done) else []
        return _done([*leaving, *back], problems)

    def _select(self, text: str, states: Iterable[State] = (), *, frozen: bool = False) -> list[Member]:
        return [self._roster[name] for name in self._selection(text, states, frozen=frozen).peers]

    def _selection(self, text: str, states: Iterable[State] = (), *, frozen: bool = False) -> Selection:
        """Who is named among those in these states; frozen ones only where they need not do anything."""
        still = frozenset() if frozen else self._swarm.frozen()
        candidates = [c for c in self._roster.candidates(*states) if c.name not in still]
        if not any(text == candidate.name for candidate in candidates) and text in self._roster:
            raise Misuse(_not_eligible(self._roster[text]))
        return select(text, candidates, self._swarm.pool.names, self._draws)


def _not_eligible(member: Member) -> str:
    """What to tell somebody who names a peer that the command cannot act on as it is."""
    if member.state in LIVE:
        return f"{member.name} is frozen: have it go on with `cicada fault thaw {member.name}`"
    comes_back = member.state in RETURNING
    remedy = "wait until it is back" if comes_back else f"bring it back with `cicada restart {member.name}`"
    return f"{member.name} is {member.state.value}: {remedy}"


def _done(members: Iterable[Member], problems: Problems) -> Done | Refused:
    """Refused when it failed for anybody, since whoever asked must know; it is done for the others all the same."""
    return _named(tuple(member.name for member in members), problems)


def _named(names: tuple[str, ...], problems: Problems) -> Done | Refused:
    if not problems:
        return Done(peers=names)
    first = "; ".join(f"{name}: {problem}" for name, problem in list(problems.items())[:3])
    return Refused(reason=f"failed for {len(problems)} of {len(names)} peers: {first}", peers=names)


def _row(member: Member, view: PeerView | None, frozen: bool) -> PeerRow:
    seen = view is not None and member.state in RETURNING
    known = "frozen" if frozen and member.state in LIVE else member.state.value
    return PeerRow(
        name=member.name,
        address=member.address,
        place=f"{member.peer.place:064x}",
        worker=member.worker,
        phase=view.phase if view is not None and seen and not frozen else known,
        predecessor=(view.predecessor or "") if view is not None else "",
        successors=view.successors if view is not None else (),
        fingers=view.fingers if view is not None else 0,
        restarts=view.restarts if view is not None else 0,
        behaviour=str(member.planned.behaviour or ""),
    )
