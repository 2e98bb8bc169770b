"""A load over the whole swarm: planned once, sent and accounted for by the workers, merged here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from cicada.commands import LoadProgress, LoadResult, RunLoad
from cicada.errors import Misuse, Unavailable
from cicada.limits import LAUNCHER
from launcher.load.account import LoadPeer, LoadShare, merge, plan_load, progress
from launcher.load.ledgerfile import LedgerFile
from launcher.protocol import CollectLoad, EndLoad, LoadReport, PrepareLoad, Report, StartLoad
from launcher.roster import Member
from launcher.swarm import Swarm

_RUN_BITS = 64
_GREETING = "load"

_logger = logging.getLogger("cicada.launcher")


class LoadRun:
    """One load. The workers keep their accounts in files in ``folder``, where the death of a worker does not reach.

    Raises Misuse for a load that cannot be, Unavailable when its account cannot be kept.
    """

    def __init__(self, swarm: Swarm, command: RunLoad, folder: Path) -> None:
        members = _eligible(swarm.joined(), command.group)
        run = secrets.randbits(_RUN_BITS)
        peers = [LoadPeer(member.name, member.address) for member in members]
        self._plan = plan_load(command, peers, run)
        self._pool = swarm.pool
        self._hosted: dict[str, list[str]] = {}
        for member in members:
            self._hosted.setdefault(member.worker, []).append(member.name)
        self._started: float | None = None
        self._pids: dict[str, int] = {}
        self._deaths: dict[str, float] = {}
        self._files: dict[str, LedgerFile] = {}
        try:
            for worker in self._hosted:
                path = folder / f"load-{run:016x}-{worker}.ledger"
                self._files[worker] = LedgerFile.create(path, self._plan.count)
        except Unavailable:
            self._remove_files()
            raise

    def progress(self) -> LoadProgress:
        """How far it is."""
        return progress(self._plan, (file.ledger for file in self._files.values()), self._elapsed())

    async def carry_out(self) -> LoadResult:
        """Send the load, wait until every receipt has settled, and add the accounts up. To be called once.

        Raises Unavailable when a worker cannot take its share.
        """
        try:
            await self._prepare()
            await self._tell(dict.fromkeys(self._hosted, StartLoad()))
            self._started = asyncio.get_running_loop().time()
            await self._settled()
            return await self._result()
        finally:
            for worker in self._hosted:
                self._pool.greet(worker, _GREETING, None)
            await self._pool.ask_each(dict.fromkeys(self._hosted, EndLoad()), Report, LAUNCHER.report_grace)
            self._remove_files()

    async def _prepare(self) -> None:
        """A worker that is not prepared would not count what others send to its peers, so none sends before all are.

        One that dies and comes back is prepared again before its peers are; it sends nothing more.
        """
        self._pids = {worker: self._pool.pid(worker) for worker in self._hosted}
        await self._tell({worker: self._share(worker, names) for worker, names in self._hosted.items()})
        for worker in self._hosted:
            self._pool.greet(worker, _GREETING, self._share(worker, ()))

    def _share(self, worker: str, sources: list[str] | tuple[()]) -> PrepareLoad:
        share = LoadShare(plan=self._plan, sources=tuple(sources))
        return PrepareLoad(share=share, ledger=str(self._files[worker].path))

    async def _tell(self, commands: Mapping[str, PrepareLoad | StartLoad]) -> None:
        replies = await self._pool.ask_each(commands, Report, LAUNCHER.report_grace)
        for worker, reply in replies.items():
            if not isinstance(reply, Report) or reply.failed:
                reason = "; ".join(reply.failed.values()) if isinstance(reply, Report) else str(reply)
                raise Unavailable(f"{worker} cannot take its share of the load: {reason}")

    async def _settled(self) -> None:
        """Wait until every worker is finished, dead or late."""
        give_up = self._plan.duration + self._plan.timeout + LAUNCHER.load_grace
        waiting = list(self._hosted)
        while waiting and self._elapsed() < give_up:
            await asyncio.sleep(LAUNCHER.load_poll)
            self._note_deaths()
            if self._elapsed() < self._plan.duration:
                continue
            replies = await self._pool.ask_each(
                dict.fromkeys(waiting, CollectLoad()), LoadReport, LAUNCHER.views
            )
            waiting = [
                name
                for name, reply in replies.items()
                if isinstance(reply, LoadReport) and not reply.finished
            ]
        await asyncio.sleep(LAUNCHER.load_poll)  # what was acknowledged lies in a mailbox and is read at once

    async def _result(self) -> LoadResult:
        self._note_deaths()
        bereft = {name: at for worker, at in self._deaths.items() for name in self._hosted[worker]}
        ledgers = [file.ledger for file in self._files.values()]
        return await asyncio.to_thread(merge, self._plan, ledgers, tuple(self._deaths), bereft)

    def _note_deaths(self) -> None:
        for worker, pid in self._pids.items():
            if self._pool.pid(worker) != pid:
                self._pids[worker] = self._pool.pid(worker)
                self._deaths[worker] = self._elapsed()

    def _elapsed(self) -> float:
        return 0.0 if self._started is None else asyncio.get_running_loop().time() - self._started

    def _remove_files(self) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):  # the result matters more than a file that stays behind
                file.remove()


def _eligible(members: Iterable[Member], group: str) -> list[Member]:
    """Who may send and be sent to: what is said of messages holds between peers that keep to the rules."""
    honest = [member for member in members if member.planned.behaviour is None]
    chosen = [member for member in honest if group in ("", member.planned.group)]
    if group and not chosen:
        groups = ", ".join(sorted({member.planned.group for member in honest})) or "none"
        raise Misuse(f"nobody of group {group!r} can send: peers that keep to the rules are in {groups}")
    return chosen
