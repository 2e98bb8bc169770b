"""Requests that pass through the swarm itself: lookups, messages, broadcasts and load."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from cicada.commands import (
    AnyReply,
    BroadcastResult,
    Done,
    GetLoad,
    LoadResult,
    Lookup,
    LookupResult,
    RunLoad,
    Send,
    SendResult,
    SendToAll,
    StopLoad,
)
from cicada.errors import CicadaError, Misuse, PayloadTooLarge, Unavailable
from cicada.events import AnyEvent, LoadEnded
from cicada.ids import Place, canonical_address, place_from_bytes, place_of, place_to_bytes, split_address
from cicada.limits import LAUNCHER, WIRE
from launcher.load.run import LoadRun
from launcher.protocol import (
    CountBroadcast,
    FindOwner,
    Owner,
    Reached,
    Report,
    SendBroadcast,
    SendOne,
    WatchBroadcast,
)
from launcher.readiness import owner_of
from launcher.roster import LIVE, Member
from launcher.swarm import Swarm

Request = Lookup | Send | SendToAll | RunLoad | GetLoad | StopLoad

_HEX_PLACE = 64  # digits


class Requests:
    """Asks a peer of the swarm on somebody's behalf; which one is drawn when it was not said.

    ``folder`` is the run's: accounts of loads lie there while they are kept. ``recorded`` returns once the
    recording has the last event of a kind.
    """

    def __init__(
        self,
        swarm: Swarm,
        rng: random.Random,
        folder: Path,
        publish: Callable[[AnyEvent], None],
        recorded: Callable[[type[AnyEvent]], Awaitable[None]],
    ) -> None:
        self._swarm = swarm
        self._roster = swarm.roster
        self._rng = rng
        self._broadcasting = asyncio.Lock()
        self._folder = folder
        self._publish = publish
        self._recorded = recorded
        self._loads = 0
        self._load: LoadRun | None = None
        self._loading: asyncio.Task[LoadResult] | None = None

    async def carry_out(self, request: Request) -> AnyReply:
        """The swarm's answer. Raises Misuse and Unavailable when it cannot be asked."""
        match request:
            case Lookup():
                return await self._lookup(request)
            case Send():
                return await self._send(request)
            case SendToAll():
                async with self._broadcasting:
                    return await self._send_to_all(request)
            case RunLoad():
                return await self.run_load(request)
            case GetLoad():
                return self._running_load().progress()
            case StopLoad():
                self._running_load().stop()
                return Done()

    async def run_load(self, request: RunLoad) -> LoadResult:
        """Run a load until its end is recorded. One at a time: raises Misuse while another runs, Unavailable when the swarm ends
        first."""
        if self._load is not None:
            raise Misuse("a load runs already: wait for its end, or end it with `cicada load --stop`")
        self._load = LoadRun(self._swarm, request, self._folder, self._publish, self._loads + 1)
        self._loads += 1  # one that is refused has no number
        self._loading = loading = asyncio.create_task(self._load.carry_out(), name="load")
        try:
            await asyncio.wait([loading])
            if loading.cancelled():
                raise Unavailable("the swarm ended during the load: its events say what it did until then")
            result = loading.result()
        finally:
            loading.cancel()
            self._load = None
        await self._recorded(LoadEnded)  # whoever has the answer makes a report of the recording
        return result

    async def close(self) -> None:
        """Break the load off, if one runs, since the swarm ends; its accounts are removed and its end is told."""
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
            await asyncio.wait([self._loading], timeout=LAUNCHER.shutdown)

    def _running_load(self) -> LoadRun:
        if self._load is None:
            raise Misuse("no load runs: start one with `cicada load`")
        return self._load

    async def _lookup(self, request: Lookup) -> LookupResult:
        place = self._place(request.value)
        via = self._via(request.via)
        command = FindOwner(
            via=via.name,
            place=place_to_bytes(place).hex(),
            iterative=request.iterative,
            timeout=LAUNCHER.lookup,
        )
        found = await self._swarm.pool.ask(
            via.worker, command, Owner, LAUNCHER.lookup + LAUNCHER.report_grace
        )
        truth = owner_of(place, (member.address for member in self._swarm.expected()))
        return LookupResult(
            owner=found.owner,
            owner_name=self._roster.name_at(found.owner),
            place=f"{place:064x}",
            route=found.route,
            hops=found.hops,
            seconds=found.seconds,
            right=not found.failure and found.owner == truth,
            failure=found.failure,
            seconds_per_hop=found.seconds_per_hop,
        )

    async def _send(self, request: Send) -> SendResult:
        _check_size(request.payload, WIRE.max_message)
        via = self._via(request.via)
        command = SendOne(
            via=via.name,
            target=self._address(request.target),
            payload=request.payload,
            duplicates=request.duplicates,
            timeout=request.timeout,
        )
        return await self._swarm.pool.ask(
            via.worker, command, SendResult, request.timeout + 2 * LAUNCHER.report_grace
        )

    async def _send_to_all(self, request: SendToAll) -> BroadcastResult:
        _check_size(request.payload, WIRE.max_payload)
        loop = asyncio.get_running_loop()
        via = self._via(request.via)
        await self._ask_all(WatchBroadcast(payload=request.payload), Report)
        expected = len(self._swarm.joined()) - 1
        started = loop.time()
        command = SendBroadcast(via=via.name, payload=request.payload)
        report = await self._swarm.pool.ask(via.worker, command, Report, LAUNCHER.report_grace)
        if report.failed:
            raise Misuse("; ".join(report.failed.values()))
        reached = await self._reached()
        while reached < expected and loop.time() < started + request.timeout:
            await asyncio.sleep(LAUNCHER.broadcast_poll)
            reached = await self._reached()
        return BroadcastResult(reached=reached, expected=expected, seconds=loop.time() - started)

    async def _reached(self) -> int:
        replies = await self._ask_all(CountBroadcast(), Reached)
        return sum(reply.peers for reply in replies if isinstance(reply, Reached))

    async def _ask_all(
        self, command: WatchBroadcast | CountBroadcast, expected: type[Report] | type[Reached]
    ) -> list[Report | Reached | CicadaError]:
        pool = self._swarm.pool
        commands = {name: command for name in pool.names if pool.pid(name)}
        replies = await pool.ask_each(commands, expected, LAUNCHER.report_grace)
        return list(replies.values())

    def _via(self, name: str) -> Member:
        """The peer that asks on our behalf. Raises Misuse when it does not live, or nobody does."""
        if name:
            member = self._roster[name]
            if member.state not in LIVE:
                raise Misuse(
                    f"{name} is {member.state.value}: choose a live peer, or `cicada restart {name}`"
                )
            if name in self._swarm.frozen():
                raise Misuse(f"{name} is frozen: choose another peer, or `cicada fault thaw {name}`")
            return member
        joined = self._swarm.joined()
        if not joined:
            raise Misuse("no peer is in the ring: see `cicada status`")
        return self._rng.choice(joined)

    def _address(self, target: str) -> str:
        """Of a peer's name, or the canonical form of an address (which may be nobody's)."""
        if ":" in target:  # no name has one
            return canonical_address(*split_address(target))
        return self._roster[target].address

    def _place(self, value: str) -> Place:
        if len(value) == _HEX_PLACE:
            try:
                return place_from_bytes(bytes.fromhex(value))
            except ValueError:
                pass  # then it is a name or an address
        return place_of(canonical_address(*split_address(self._address(value))))


def _check_size(payload: bytes, most: int) -> None:
    if len(payload) > most:
        raise PayloadTooLarge(len(payload), most)
