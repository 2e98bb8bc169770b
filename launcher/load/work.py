"""One worker's part in a load: a generator for what its peers begin, and the account of what they receive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from cicada.actors.base import ActorExit
from cicada.actors.loop import LoopDispatcher
from cicada.aio import Message
from cicada.ids import canonical_address
from cicada.limits import LAUNCHER
from launcher.load.account import Accountant
from launcher.load.generator import Collect, Generator, MakeTimer, Sender, Start, Stop
from launcher.load.ledger import Layout
from launcher.load.ledgerfile import LedgerFile
from launcher.load.plan import LoadShare
from launcher.load.timer import precise_timer
from launcher.protocol import LoadReport


class LoadWork:
    """Accounts from its making on, in the file ``ledger``; begins operations from ``start`` on. ``began`` is the load's time 0
    on the machine's monotonic clock, where that is known already. Raises Unavailable when the file cannot be used.
    """

    def __init__(
        self,
        share: LoadShare,
        peers: Callable[[str], Sender | None],
        ledger: Path,
        began: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        timer: MakeTimer = precise_timer,
    ) -> None:
        self._share = share
        self._file = LedgerFile(ledger, Layout.of(share.plan))
        self._accountant = Accountant(share.plan, self._file.ledger)
        self._clock = clock
        self._began = began
        self._failure = ""
        self._generator = Generator.start(LoopDispatcher(), share, peers, self._accountant, clock, timer)
        self._generator.watch(self._on_end)

    def start(self, at: float, skip: float = 0.0) -> None:
        """Begin at this instant, without what was to begin in the first ``skip`` seconds. Safe to call twice."""
        self._began = at if self._began is None else self._began
        self._generator.tell(Start(at, skip))

    def stop(self) -> None:
        """Begin nothing more."""
        self._generator.tell(Stop())

    def received(self, name: str, message: Message) -> None:
        """Hosted peer ``name`` took this out of its mailbox."""
        source = canonical_address(*message.source)
        if message.kind == "broadcast":
            now = self._clock() - self._began if self._began is not None else 0.0
            self._accountant.heard(name, source, message.data, now)
        else:
            self._accountant.received(name, source, message.data)

    async def report(self) -> LoadReport:
        """How far it is."""
        if self._failure or not self._share.sources:  # then it only accounts
            return LoadReport(finished=True, failure=self._failure)
        reply: asyncio.Future[LoadReport] = asyncio.get_running_loop().create_future()
        self._generator.tell(Collect(reply))
        try:
            async with asyncio.timeout(LAUNCHER.report_grace):
                return await reply
        except TimeoutError:
            return LoadReport(finished=bool(self._failure), failure=self._failure)

    async def end(self) -> None:
        """Send no more, account for nothing more, and wait for nothing."""
        await self._generator.stop(block=False)
        self._file.close()

    def _on_end(self, end: ActorExit) -> None:
        if end.failed:
            self._failure = end.reason
