"""One worker's share of a load: sends it on time through its peers, and accounts for what they receive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from cicada.aio import Message, Receipt, SwarmPeer
from cicada.errors import CicadaError
from cicada.ids import canonical_address, split_address
from cicada.limits import LAUNCHER, LOAD
from cicada.routing.io import Fate
from launcher.load.account import Accountant, LoadShare, Shot
from launcher.load.ledgerfile import LedgerFile
from launcher.protocol import LoadReport


class LoadWork:
    """Accounts from its making on, in the file ``ledger``; sends from ``start`` on, in the open loop: nothing waits for
    an earlier receipt. Raises Unavailable when the file cannot be used.
    """

    def __init__(self, share: LoadShare, peers: Mapping[str, SwarmPeer], ledger: Path) -> None:
        self._share = share
        self._peers = peers
        self._file = LedgerFile(ledger, share.plan.count)
        self._accountant = Accountant(share.plan, self._file.ledger)
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()  # the loop's own clock may stand still for a whole turn
        self._receipts: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send. Safe to call twice."""
        if self._sender is None:
            self._started = time.monotonic()
            self._sender = self._loop.create_task(self._send_all(), name="load")

    @property
    def finished(self) -> bool:
        """Everything was sent, and every receipt has settled."""
        if not self._share.sources:
            return True  # it only accounts
        return self._sender is not None and self._sender.done() and not self._receipts

    def received(self, name: str, message: Message) -> None:
        """Hosted peer ``name`` took this out of its mailbox."""
        self._accountant.received(name, canonical_address(*message.source), message.data)

    def report(self) -> LoadReport:
        """Whether it is finished."""
        return LoadReport(finished=self.finished)

    async def end(self) -> None:
        """Send no more, account for nothing more, and wait for nothing."""
        tasks = [*self._receipts, *([self._sender] if self._sender is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._file.close()

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    async def _send_all(self) -> None:
        burst = 0
        for shot in self._share.shots():
            early = shot.at - self._elapsed()
            burst = burst + 1 if early <= 0 else 0
            if early > 0 or burst % LAUNCHER.load_burst == 0:
                await asyncio.sleep(max(0.0, early))
            self._send(shot)

    def _send(self, shot: Shot) -> None:
        self._accountant.sent(shot, self._elapsed() - shot.at)
        payload = self._accountant.payload_of(shot)
        try:
            receipt = self._peers[shot.source.name].send(
                split_address(shot.target.address),
                payload,
                self._share.plan.duplicates,
                timeout=self._share.plan.timeout,
            )
        except CicadaError as error:
            self._accountant.failed(shot.number, str(error))
            return
        task = self._loop.create_task(self._settle(shot, receipt))
        self._receipts.add(task)
        task.add_done_callback(self._receipts.discard)

    async def _settle(self, shot: Shot, receipt: Receipt) -> None:
        await receipt
        if receipt.delivered:
            self._accountant.acknowledged(shot.number, hops=receipt.hops, latency=self._elapsed() - shot.at)
        else:
            self._accountant.failed(shot.number, receipt.reason or "unknown")
        if any(copy.fate is Fate.PENDING for copy in receipt.copies):
            await asyncio.sleep(LOAD.trace)
        for copy in receipt.copies:
            self._accountant.copy(Fate.LOST if copy.fate is Fate.PENDING else copy.fate)
