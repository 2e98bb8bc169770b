"""The peers of one worker: carries out what the launcher asks, for many peers at once."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterable

from cicada.actors.host import Host
from cicada.actors.watch import Watch
from cicada.aio import Message, SwarmPeer
from cicada.chord.io import RingSnapshot
from cicada.errors import CicadaError, Misuse
from cicada.events import AnyEvent
from cicada.ids import split_address
from cicada.keys.identity import Identity
from cicada.keys.psks import SwarmKeys
from cicada.limits import LAUNCHER
from cicada.transport.faults import NO_FAULTS
from launcher.logs.book import LogBook
from launcher.process import WorkerSpec
from launcher.protocol import (
    AnyWorkerReply,
    Counters,
    CrashActors,
    HostingCommand,
    JoinPeers,
    KillPeers,
    PeerAddress,
    PeerView,
    ReadCounters,
    Report,
    SetFaults,
    SetKeys,
    SetLevels,
    Shutdown,
    StartPeers,
    StopPeers,
    TakeViews,
    Views,
    sum_counters,
)
from launcher.traffic import Traffic, hosted_peer

MEMBER = "member"
FROZEN = "frozen"
NO_KEYS = SetKeys(identities=b"", dial=b"", accept=(), shared=(), encrypt=True)

_logger = logging.getLogger("cicada.launcher.worker")

Publish = Callable[[str, AnyEvent], None]


class WorkerPeer:
    """A peer of this worker, and the task that empties its mailbox."""

    def __init__(self, name: str, peer: SwarmPeer, on_message: Callable[[str, Message], None]) -> None:
        self.name = name
        self.peer = peer
        self._on_message = on_message
        self._reader = asyncio.get_running_loop().create_task(self._read(), name=f"reader of {name}")

    async def _read(self) -> None:
        async for message in self.peer:
            self._on_message(self.name, message)

    async def end(self) -> None:
        """Read what lies in the mailbox, which the peer's end closes, and stop reading: it was acknowledged."""
        await asyncio.wait([self._reader], timeout=LAUNCHER.snapshot)
        self._reader.cancel()


class Hosting:
    """All peers of this process, and their log. Used on one event loop only."""

    def __init__(self, publish: Publish, log: LogBook, spec: WorkerSpec, watch: Watch | None = None) -> None:
        self._publish = publish
        self._log = log
        self._spec = spec
        self._watch = watch
        self._hosted: dict[str, WorkerPeer] = {}
        self._ended = Counters()
        self._traffic = Traffic(self._hosted)
        self._faults = NO_FAULTS
        self._keys = NO_KEYS
        self._frozen: set[str] = set()
        self.finished = asyncio.Event()

    async def carry_out(self, command: HostingCommand) -> AnyWorkerReply:
        """Do what the launcher asks. What is wrong with one peer is in the reply and concerns no other."""
        match command:
            case SetKeys():
                return self._set_keys(command)
            case StartPeers():
                return await self._start(command.peers)
            case JoinPeers():
                joins = {join.name: join.seed for join in command.joins}
                return await self._each(joins, lambda name: self._join(name, joins[name], command.timeout))
            case TakeViews():
                return Views(peers=tuple(await asyncio.gather(*map(self._view, self._hosted.values()))))
            case ReadCounters():
                here = Counters(traffic=Host.traffic(), unlogged=self._log.dropped.total())
                return sum_counters([self._ended, here, *map(_counters, self._hosted.values())])
            case SetFaults():
                return self._set_faults(command)
            case StopPeers():
                return await self._each(command.names, lambda name: self._stop(name, command.timeout))
            case KillPeers():
                return await self._each(command.names, self._kill)
            case CrashActors():
                return await self._each(command.names, lambda name: self._crash(name, command.actor))
            case SetLevels():
                self._log.set_levels(command.settings)
                return Report()
            case Shutdown():
                return await self._shut_down()
            case _:
                return await self._traffic.carry_out(command)

    async def _each(self, names: Iterable[str], act: Callable[[str], Awaitable[None]]) -> Report:
        """Act on every named peer at the same time."""
        chosen = list(names)
        outcomes = await asyncio.gather(*(self._attempt(name, act) for name in chosen))
        failed = {name: problem for name, problem in zip(chosen, outcomes, strict=True) if problem}
        return Report(done=tuple(name for name in chosen if name not in failed), failed=failed)

    async def _attempt(self, name: str, act: Callable[[str], Awaitable[None]]) -> str:
        try:
            await act(name)
        except CicadaError as error:
            return str(error)
        except Exception as error:  # the boundary between peers: one's defect is reported, the others go on
            _logger.exception("%s failed", name, extra={"peer": name})
            return f"{type(error).__name__}: {error}"
        return ""

    def _peer(self, name: str) -> SwarmPeer:
        return hosted_peer(self._hosted, name)

    async def _start(self, peers: Iterable[PeerAddress]) -> Report:
        wanted = {peer.name: peer for peer in peers}
        report = await self._each(wanted, lambda name: self._start_one(wanted[name]))
        gc.freeze()  # what a started peer holds stays: the collector need not walk through it again and again
        return report

    async def _start_one(self, wanted: PeerAddress) -> None:
        name, address = wanted.name, wanted.address
        if name in self._hosted:
            raise Misuse(f"{name} runs already")
        keys = self._keys
        identity = Identity.derive(keys.identities, address) if keys.identities else "persistent"
        peer = SwarmPeer(
            name=name,
            publish=self._publish,
            identity=identity,
            keys=keys.shared,
            swarm_keys=SwarmKeys(keys.dial, keys.accept),
            encrypt=keys.encrypt,
            ring=self._spec.ring,
            delivery=self._spec.delivery,
            behaviour=wanted.behaviour,
            map_ports=self._spec.map_ports,
            watch=self._watch,
        )
        peer.bind(*split_address(address), create=False)
        if self._faults.rules:
            peer.trial.set_faults(self._faults)
        self._hosted[name] = WorkerPeer(name, peer, self._traffic.received)

    async def _join(self, name: str, seed: str, timeout: float) -> None:
        if seed:
            await self._peer(name).connect(split_address(seed), timeout=timeout)
        else:
            self._peer(name).create()

    def _set_keys(self, keys: SetKeys) -> Report:
        self._keys = keys
        for hosted in self._hosted.values():
            if hosted.peer.bound:
                hosted.peer.change_swarm_keys(SwarmKeys(keys.dial, keys.accept))
        return Report()

    def _set_faults(self, command: SetFaults) -> Report:
        self._faults = command.table
        wanted = set(command.frozen) & self._hosted.keys()
        for hosted in self._hosted.values():
            if hosted.peer.bound:  # one that was given up has nothing to strike
                hosted.peer.trial.set_faults(command.table)
        for name in self._frozen - wanted:
            self._thaw(name)
        for name in wanted - self._frozen:
            if self._hosted[name].peer.bound:
                self._hosted[name].peer.trial.freeze()
                self._frozen.add(name)
        return Report(done=command.frozen)

    def _thaw(self, name: str) -> None:
        self._frozen.discard(name)
        if self._peer(name).bound:
            self._peer(name).trial.thaw()

    async def _view(self, hosted: WorkerPeer) -> PeerView:
        if hosted.name in self._frozen:
            return _silent(hosted, FROZEN)
        return await _view(hosted)

    async def _stop(self, name: str, timeout: float) -> None:
        self._thaw(name)
        await self._peer(name).close(timeout)
        await self._forget(name)

    async def _kill(self, name: str) -> None:
        self._peer(name).kill()
        await self._forget(name)

    async def _crash(self, name: str, actor: str) -> None:
        self._peer(name).crash(actor)

    async def _forget(self, name: str) -> None:
        self._frozen.discard(name)
        hosted = self._hosted.pop(name)
        self._ended = sum_counters([self._ended, _counters(hosted)])
        await hosted.end()

    async def _shut_down(self) -> Report:
        await self._traffic.end_load()
        report = await self._each(list(self._hosted), self._kill)
        self.finished.set()
        return report


def _counters(hosted: WorkerPeer) -> Counters:
    stats = hosted.peer.stats()
    return Counters(
        sent=stats.sent,
        delivered=stats.delivered,
        failed=stats.failed,
        dropped=dict(stats.dropped),
        refused=dict(stats.refused),
        restarts=stats.restarts,
    )


async def _view(hosted: WorkerPeer) -> PeerView:
    try:
        snapshot = await hosted.peer.snapshot(LAUNCHER.snapshot)
    except CicadaError as error:
        return _silent(hosted, str(error))
    return _seen(hosted, snapshot)


def _seen(hosted: WorkerPeer, snapshot: RingSnapshot) -> PeerView:
    predecessor = snapshot.predecessor
    return PeerView(
        name=hosted.name,
        phase=snapshot.phase,
        joined=snapshot.phase == MEMBER,
        predecessor=predecessor.address if predecessor is not None else None,
        successors=tuple(peer.address for peer in snapshot.successors),
        fingers=len(snapshot.fingers),
        rounds=snapshot.rounds,
        estimated_size=snapshot.estimated_size,
        churn=snapshot.churn,
        restarts=hosted.peer.stats().restarts,
        failed=hosted.peer.failed,
    )


def _silent(hosted: WorkerPeer, reason: str) -> PeerView:
    return PeerView(
        name=hosted.name,
        phase="failed" if hosted.peer.failed else "unknown",
        joined=False,
        predecessor=None,
        successors=(),
        fingers=0,
        restarts=hosted.peer.stats().restarts,
        silent=reason,
        failed=hosted.peer.failed,
    )
