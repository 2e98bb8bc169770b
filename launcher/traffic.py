"""Messages through the peers of one worker: lookups, sends, broadcasts and load, as the launcher asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cicada.aio import HostPort, Message, Receipt, SwarmPeer
from cicada.chord.io import LookupFailure
from cicada.commands import SendResult
from cicada.errors import CicadaError, Misuse
from cicada.ids import Address, canonical_address, place_from_bytes, split_address
from cicada.limits import LAUNCHER, LOAD
from cicada.routing.io import Fate
from launcher.load.work import LoadWork
from launcher.protocol import (
    AnyWorkerReply,
    CollectLoad,
    CountBroadcast,
    EndLoad,
    FindOwner,
    HaltLoad,
    LoadReport,
    Owner,
    PrepareLoad,
    Reached,
    Report,
    SendBroadcast,
    SendOne,
    StartLoad,
    TrafficCommand,
    WatchBroadcast,
)


class Hosted(Protocol):
    """What hosts a peer here."""

    @property
    def peer(self) -> SwarmPeer: ...


def hosted_peer(hosted: Mapping[str, Hosted], name: str) -> SwarmPeer:
    """The peer called ``name``. Raises Misuse when it does not run here."""
    try:
        return hosted[name].peer
    except KeyError:
        raise Misuse(f"{name} does not run here") from None


class Traffic:
    """Sends through the peers in ``hosted`` and watches what they receive. Used on one event loop only."""

    def __init__(self, hosted: Mapping[str, Hosted]) -> None:
        self._hosted = hosted
        self._watched: bytes | None = None
        self._reached: set[str] = set()
        self._load: LoadWork | None = None

    async def carry_out(self, command: TrafficCommand) -> AnyWorkerReply:
        """Do what the launcher asks; what goes wrong is in the reply."""
        match command:
            case FindOwner():
                return await self._find_owner(command)
            case SendOne():
                return await self._send(command)
            case WatchBroadcast():
                self._watched, self._reached = command.payload, set()
                return Report()
            case SendBroadcast():
                return await self._broadcast(command)
            case CountBroadcast():
                return Reached(peers=len(self._reached))
            case PrepareLoad():
                return await self._prepare_load(command)
            case StartLoad() | HaltLoad() | CollectLoad():
                return await self._run_load(command)
            case EndLoad():
                await self.end_load()
                return Report()

    def received(self, name: str, message: Message) -> None:
        """Hosted peer ``name`` took this out of its mailbox."""
        if message.kind == "broadcast" and message.data == self._watched:
            self._reached.add(name)
        elif self._load is not None:
            self._load.received(name, message)

    async def end_load(self) -> None:
        """Stop sending, if a load runs."""
        if self._load is not None:
            load, self._load = self._load, None
            await load.end()

    async def _find_owner(self, command: FindOwner) -> Owner:
        place = place_from_bytes(bytes.fromhex(command.place))
        try:
            peer = hosted_peer(self._hosted, command.via)
            found = await peer.lookup(place, iterative=command.iterative, timeout=command.timeout)
        except CicadaError as error:
            return Owner(failure=str(error))
        if isinstance(found, LookupFailure):
            return Owner(failure=found.value)
        return Owner(
            owner=_address(found.owner),
            route=tuple(map(_address, found.route)),
            hops=found.hops,
            seconds=found.seconds,
            seconds_per_hop=found.seconds_per_hop,
        )

    async def _send(self, command: SendOne) -> SendResult:
        try:
            peer = hosted_peer(self._hosted, command.via)
            receipt = peer.send(
                split_address(command.target), command.payload, command.duplicates, command.timeout
            )
            async with asyncio.timeout(command.timeout + LAUNCHER.report_grace):
                await receipt
        except CicadaError as error:
            return _failed_send(str(error))
        except TimeoutError:
            return _failed_send("timed out")
        if command.duplicates:
            await _traced(receipt)
        return SendResult(
            status=receipt.status,
            reason=receipt.reason or "",
            attempts=receipt.attempts,
            hops=receipt.hops,
            round_trip_s=receipt.round_trip_s,
            copies=tuple(copy.fate.value for copy in receipt.copies),
            disjoint=receipt.disjoint,
        )

    async def _broadcast(self, command: SendBroadcast) -> Report:
        try:
            hosted_peer(self._hosted, command.via).broadcast(command.payload)
        except CicadaError as error:
            return Report(failed={command.via: str(error)})
        return Report(done=(command.via,))

    async def _prepare_load(self, command: PrepareLoad) -> Report:
        if self._load is not None and not (await self._load.report()).finished:
            return Report(failed={"load": "another load runs: wait for its end"})
        await self.end_load()
        try:
            self._load = LoadWork(command.share, self._sender, Path(command.ledger), command.began)
        except CicadaError as error:
            return Report(failed={"load": str(error)})
        return Report()

    def _sender(self, name: str) -> SwarmPeer | None:
        """A peer that runs here now; it may be another than when the load began."""
        hosted = self._hosted.get(name)
        return hosted.peer if hosted is not None and hosted.peer.bound else None

    async def _run_load(self, command: StartLoad | HaltLoad | CollectLoad) -> LoadReport | Report:
        if self._load is None:
            return Report(failed={"load": "no load is prepared"})
        match command:
            case StartLoad():
                self._load.start(command.at, command.skip_s)
            case HaltLoad():
                self._load.stop()
            case CollectLoad():
                return await self._load.report()
        return Report()


async def _traced(receipt: Receipt) -> None:
    """Wait until it is known what became of every copy, for so long as their sender does."""
    for _ in range(round(LOAD.trace / LAUNCHER.broadcast_poll)):
        if all(copy.fate is not Fate.PENDING for copy in receipt.copies):
            return
        await asyncio.sleep(LAUNCHER.broadcast_poll)


def _failed_send(reason: str) -> SendResult:
    return SendResult(status="failed", reason=reason, attempts=0, hops=0, round_trip_s=0.0)


def _address(where: HostPort) -> Address:
    return canonical_address(where.host, where.port)
