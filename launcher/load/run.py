"""A load over the whole swarm: planned once, begun and accounted for by the workers, watched and added up here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cicada.commands import LoadProgress, LoadResult, RunLoad, ThresholdResult
from cicada.errors import Unavailable
from cicada.events import AnyEvent, LoadEnded, LoadStarted, ThresholdChecked
from cicada.limits import LAUNCHER, LOAD
from launcher.load.figures import Figures, sum_groups, sum_ops
from launcher.load.hdr import encode, require_histograms
from launcher.load.ledger import Layout, Ledger
from launcher.load.ledgerfile import LedgerFile
from launcher.load.members import eligible, require_own
from launcher.load.membership import Membership
from launcher.load.merge import Ending, SoFar, add_up, result, settled
from launcher.load.plan import LoadPeer, LoadShare
from launcher.load.spec import plan_load
from launcher.load.strain import ProcessorUse
from launcher.load.thresholds import broken, check
from launcher.load.verdict import verdict
from launcher.load.watch import LoadWatch
from launcher.protocol import (
    CollectLoad,
    EndLoad,
    HaltLoad,
    LoadReport,
    PrepareLoad,
    Report,
    StartLoad,
)
from launcher.roster import State
from launcher.swarm import Swarm

_RUN_BITS = 64
_GREETING = "load"

FINISHED = "finished"
STOPPED = "stopped"
ABORTED = "aborted"
FAILED = "failed"

Publish = Callable[[AnyEvent], None]

_logger = logging.getLogger("cicada.launcher")


class LoadRun:
    """One load: ``number`` counts those of a run from 1. The workers keep their accounts in files in ``folder``, where the death
    of a worker does not reach. What it does is published as events.load says.

    Raises Misuse for a load that cannot be, Unavailable when its account cannot be kept.
    """

    def __init__(
        self, swarm: Swarm, command: RunLoad, folder: Path, publish: Publish, number: int = 1
    ) -> None:
        require_histograms()
        members = eligible(swarm.joined(), command.group)
        require_own(members, command)
        run = secrets.randbits(_RUN_BITS)
        peers = [LoadPeer(member.name, member.address) for member in members]
        self._command = command
        self._plan = plan_load(command, peers, run)
        self._swarm = swarm
        self._pool = swarm.pool
        self._publish = publish
        self._number = number
        self._hosted: dict[str, list[str]] = {}
        for member in members:
            self._hosted.setdefault(member.worker, []).append(member.name)
        self._started: float | None = None
        self._outcome = FINISHED
        self._halt = asyncio.Event()
        self._is_told = False
        self._pids: dict[str, int] = {}
        self._deaths: dict[str, float] = {}
        self._away: set[str] = set()
        self._is_frozen = False
        self._files: dict[str, LedgerFile] = {}
        self._membership = Membership()
        self._use = ProcessorUse()
        self._lag = 0.0
        self._settled = 0
        self._failure = ""
        self._broken: tuple[ThresholdResult, ...] = ()
        self._open_files(folder)
        self._watch = LoadWatch(number, self._plan, self._ledgers, encode)

    def _open_files(self, folder: Path) -> None:
        layout = Layout.of(self._plan)
        try:
            for worker in self._hosted:
                path = folder / f"load-{self._plan.run:016x}-{worker}.ledger"
                self._files[worker] = LedgerFile.create(path, layout)
        except Unavailable:
            self._remove_files()
            raise

    @property
    def _ledgers(self) -> list[Ledger]:
        return [file.ledger for file in self._files.values()]

    def progress(self) -> LoadProgress:
        """How far it is."""
        banks = [bank for ledger in self._ledgers for bank in (ledger.main, ledger.warm)]
        ops = sum_ops(banks, with_times=False)
        failures: dict[str, int] = {}
        for op in ops.values():
            for reason, times in op.failures.items():
                failures[reason] = failures.get(reason, 0) + times
        return LoadProgress(
            planned=0 if self._plan.users else self._plan.count,
            sent=sum(op.started for op in ops.values()),
            acknowledged=sum(op.succeeded for op in ops.values()),
            failed=sum(op.failed for op in ops.values()),
            seconds=max(0.0, self._elapsed()),
            duration=self._plan.duration,
            target=self._watch.target,
            rate=self._watch.rate,
            p50_s=self._watch.response(0.50),
            p99_s=self._watch.response(0.99),
            dropped=sum(op.dropped for op in ops.values()),
            failures=failures,
            groups=sum_groups(self._plan.groups, banks),
            is_draining=self._halt.is_set() or self._elapsed() > self._plan.duration,
        )

    def stop(self, outcome: str = STOPPED) -> None:
        """Begin nothing more; ``carry_out`` returns once what is in flight has ended. Idempotent: the first reason counts."""
        if not self._halt.is_set():
            self._outcome = outcome
            self._halt.set()

    async def carry_out(self) -> LoadResult:
        """Run the load, wait until everything has ended, add the accounts up, and compare them with the thresholds. To be called
        once.

        Raises Unavailable when a worker cannot take its share.
        """
        try:
            await self._prepare()
            await self._start()
            try:
                await self._until_over()
            except (
                BaseException
            ):  # the swarm ends, or a defect: the record of the run says that the load did too
                self._announce_end(Figures(), FAILED, "")
                raise
            return await self._result()
        finally:
            try:
                for worker in self._hosted:
                    self._pool.greet(worker, _GREETING, None)
                await self._pool.ask_each(
                    dict.fromkeys(self._hosted, EndLoad()), Report, LAUNCHER.report_grace
                )
            finally:  # a swarm that ends meanwhile waits for no answer
                self._remove_files()

    # Begin

    async def _prepare(self) -> None:
        """A worker that is not prepared would not count what others send to its peers, so none begins before all are.

        One that dies and comes back is prepared again before its peers are.
        """
        self._pids = {worker: self._pool.pid(worker) for worker in self._hosted}
        await self._tell({worker: self._share(worker, names) for worker, names in self._hosted.items()})

    async def _start(self) -> None:
        await asyncio.to_thread(self._use.look, self._processes())
        self._started = began = time.monotonic() + LOAD.lead
        for worker in self._hosted:
            self._pool.greet(worker, _GREETING, self._share(worker, self._hosted[worker]))
        await self._tell(dict.fromkeys(self._hosted, StartLoad(at=began)))
        self._note_members()
        self._publish(self._announcement())

    def _share(self, worker: str, sources: list[str]) -> PrepareLoad:
        share = LoadShare(plan=self._plan, sources=tuple(sources))
        return PrepareLoad(share=share, ledger=str(self._files[worker].path), began=self._started)

    def _announcement(self) -> LoadStarted:
        plan, command = self._plan, self._command
        total = sum(plan.ops.values())
        low, high = plan.payload
        return LoadStarted(
            load=self._number,
            model=plan.model,
            ops={op: weight / total for op, weight in plan.ops.items()},
            stages=tuple((stage.seconds, stage.first, stage.last) for stage in plan.stages),
            warmup_s=plan.warmup,
            payload=f"{low}B" if low == high else f"{low}B..{high}B",
            targets=f"zipf:{plan.skew:g}" if plan.skew else command.targets,
            duplicates=plan.duplicates,
            timeout_s=plan.timeout,
            seed=plan.seed,
            peers=len(plan.peers),
            generators=len(self._hosted),
            users=plan.users,
            think_s=plan.think,
            planned=0 if plan.users else plan.count,
        )

    async def _tell(self, commands: Mapping[str, PrepareLoad | StartLoad]) -> None:
        replies = await self._pool.ask_each(commands, Report, LAUNCHER.report_grace)
        for worker, reply in replies.items():
            if not isinstance(reply, Report) or reply.failed:
                reason = "; ".join(reply.failed.values()) if isinstance(reply, Report) else str(reply)
                raise Unavailable(f"{worker} cannot take its share of the load: {reason}")

    # Watch

    async def _until_over(self) -> None:
        """Look on until every worker is finished, dead or late."""
        waiting = list(self._hosted)
        next_look = self._next_look(0.0)
        give_up = self._plan.duration + self._plan.timeout + LAUNCHER.load_grace
        while (waiting or self._may_resume()) and self._elapsed() < give_up:
            was_told = self._is_told
            await self._pause()
            if self._is_told and not was_told:
                give_up = min(give_up, self._elapsed() + self._plan.timeout + LAUNCHER.load_grace)
            self._note_members()
            waiting = await self._collect(waiting) + await self._resume()
            if self._elapsed() >= next_look:
                await self._look()
                next_look = self._next_look(self._elapsed())
        await asyncio.sleep(LAUNCHER.load_poll)  # what was acknowledged lies in a mailbox and is read at once
        await self._look()

    def _may_resume(self) -> bool:
        """Whether a worker that died has something left to begin. Users of a closed load are gone with it."""
        is_over = self._halt.is_set() or self._elapsed() >= self._plan.duration
        return bool(self._away) and not self._plan.users and not is_over

    async def _resume(self) -> list[str]:
        """Have workers that came back go on with their shares once their peers are in the ring again; returns those."""
        if self._started is None or not self._may_resume():
            return []
        back = [worker for worker in self._away if self._pool.answers(worker) and self._is_back(worker)]
        command = StartLoad(at=self._started, skip_s=self._elapsed())
        replies = await self._pool.ask_each(dict.fromkeys(back, command), Report, LAUNCHER.report_grace)
        resumed = [name for name, reply in replies.items() if isinstance(reply, Report) and not reply.failed]
        self._away.difference_update(resumed)
        return resumed

    def _is_back(self, worker: str) -> bool:
        states = {self._swarm.roster[name].state for name in self._hosted[worker]}
        return State.JOINED in states and not states & {State.LOST, State.UP}

    async def _pause(self) -> None:
        """Until it is time to look again. That it is to stop is passed on at once."""
        if self._is_told:
            await asyncio.sleep(LAUNCHER.load_poll)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(LAUNCHER.load_poll, self._until_warm())):
                await self._halt.wait()
        if self._halt.is_set():
            self._is_told = True
            await self._pool.ask_each(dict.fromkeys(self._hosted, HaltLoad()), Report, LAUNCHER.report_grace)

    def _until_warm(self) -> float:
        left = self._plan.warmup - self._elapsed()
        return left if self._plan.warmup and left > 0 else LAUNCHER.load_poll

    def _next_look(self, now: float) -> float:
        """An interval later, or when the warm-up ends, so that no interval is of both."""
        following = (now // LOAD.interval + 1) * LOAD.interval
        return min(following, self._plan.warmup) if now < self._plan.warmup else following

    async def _collect(self, waiting: list[str]) -> list[str]:
        """Who has not finished. A worker that died begins nothing until it is back; one that is frozen or busy may."""
        self._note_deaths()
        commands = {worker: CollectLoad() for worker in waiting if worker not in self._away}
        replies = await self._pool.ask_each(commands, LoadReport, LOAD.interval)
        self._note_deaths()
        finished: set[str] = set()
        for worker, reply in replies.items():
            if isinstance(reply, LoadReport):
                self._take(worker, reply)
                finished.update([worker] if reply.finished else ())
        return [worker for worker in commands if worker not in finished and worker not in self._away]

    def _take(self, worker: str, report: LoadReport) -> None:
        self._lag = max(self._lag, report.lag_s)
        if report.failure:
            self._failure = f"the generator in {worker} failed: {report.failure}"
            _logger.error("%s", self._failure)
            self.stop(FAILED)

    async def _look(self) -> None:
        cpu = await asyncio.to_thread(self._use.look, self._processes())
        lag, self._lag = self._lag, 0.0
        frozen, self._is_frozen = self._is_frozen, False
        self._publish(self._watch.look(self._elapsed(), cpu, lag, frozen=frozen))
        due = [
            threshold
            for threshold in self._command.thresholds
            if threshold.abort_on_fail and self._elapsed() >= max(threshold.after, self._plan.warmup)
        ]
        if due and not self._halt.is_set():
            so_far = SoFar(now=self._elapsed(), settled=self._settled)
            self._settled = await asyncio.to_thread(settled, self._ledgers)
            self._broken = broken(due, await self._figures(so_far))
            for found in self._broken:
                self._announce_threshold(found, final=False)
            if self._broken:
                self.stop(ABORTED)

    def _processes(self) -> list[int]:
        return [os.getpid(), *(pid for name in self._pool.names if (pid := self._pool.pid(name)))]

    def _note_members(self) -> None:
        self._membership.note(self._elapsed(), [member.address for member in self._swarm.joined()])
        self._is_frozen = self._is_frozen or any(map(self._pool.is_frozen, self._hosted))

    def _note_deaths(self) -> None:
        for worker, pid in self._pids.items():
            if self._pool.pid(worker) != pid:
                self._pids[worker] = self._pool.pid(worker)
                self._deaths[worker] = max(0.0, self._elapsed())
                self._away.add(worker)

    # End

    async def _figures(self, so_far: SoFar | None = None) -> Figures:
        bereft = {name: at for worker, at in self._deaths.items() for name in self._hosted[worker]}
        return await asyncio.to_thread(add_up, self._plan, self._ledgers, self._membership, bereft, so_far)

    async def _result(self) -> LoadResult:
        self._note_deaths()
        figures = await self._figures()
        missed = {found.that: found for found in self._broken}
        thresholds = tuple(
            missed.get(found.that, found) for found in check(self._command.thresholds, figures)
        )
        for threshold in thresholds:
            self._announce_threshold(threshold, final=True)
        words = self._failure or verdict(figures.ops, self._watch.strain)
        self._announce_end(figures, self._outcome, words)
        ending = Ending(
            load=self._number,
            outcome=self._outcome,
            verdict=words,
            died=tuple(self._deaths),
            thresholds=thresholds,
        )
        return await asyncio.to_thread(result, self._plan, figures, ending)

    def _announce_threshold(self, found: ThresholdResult, *, final: bool) -> None:
        self._publish(
            ThresholdChecked(
                load=self._number, threshold=found.that, value=found.value, held=found.held, final=final
            )
        )

    def _announce_end(self, figures: Figures, outcome: str, words: str) -> None:
        self._publish(
            LoadEnded(
                load=self._number,
                outcome=outcome,
                verdict=words,
                seconds=max(0.0, self._elapsed()),
                messages=figures.messages,
                hops=dict(figures.hops),
                copies=figures.copies,
                broadcasts=figures.broadcasts,
                lookups=figures.lookups,
                died=tuple(self._deaths),
            )
        )

    def _elapsed(self) -> float:
        return 0.0 if self._started is None else time.monotonic() - self._started

    def _remove_files(self) -> None:
        files, self._files = self._files, {}  # whoever asks how far it is must not read what is gone
        for file in files.values():
            with contextlib.suppress(OSError, BufferError):  # the result matters more than what stays behind
                file.remove()
