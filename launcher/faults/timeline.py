"""Runs a schedule on a swarm: does what is due when it is due, and looks at what was expected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from cicada.commands import AnyReply, Done, FaultList, Refused, Restart, TimelineStatus
from cicada.config import Config
from cicada.config.timeline import Expect
from cicada.errors import CicadaError
from cicada.events import AnyEvent, ExpectationChecked, ScheduledFaultDone
from cicada.limits import FAULT
from launcher.faults.draws import draws_of
from launcher.faults.expectations import Expectations
from launcher.faults.judging import Finding, in_words
from launcher.faults.schedule import Occurrence, Schedule, command_of, end_of
from launcher.faults.text import checked_line, done_line
from launcher.orchestrator import Orchestrator
from launcher.roster import State
from launcher.swarm import Swarm

_logger = logging.getLogger("cicada.launcher")

Publish = Callable[[str, AnyEvent], None]


class Load(Protocol):
    """What a configuration has its swarm carry meanwhile."""

    aborted: bool
    """Whether it ended early because a threshold was missed that is to end the run."""

    async def run(self) -> tuple[str, ...]:
        """Offer it until it is over. Returns the thresholds that were missed, one line for each."""


class _LoadAbortedError(Exception):
    """Ends the tasks of a timeline whose load gave up."""


class Timeline:
    """To be run once, after the first proof of the ring. What cannot be done is said, and the rest goes on. ``say`` is told a
    line about everything that happens."""

    def __init__(
        self,
        config: Config,
        schedule: Schedule,
        orchestrator: Orchestrator,
        swarm: Swarm,
        publish: Publish,
        say: Callable[[str], None],
        load: Load | None = None,
    ) -> None:
        self._config = config
        self._seed = config.swarm.seed
        self._schedule = schedule
        self._end = end_of(config, schedule)
        self._orchestrator = orchestrator
        self._swarm = swarm
        self._publish = publish
        self._say = say
        self._load = load
        self._expectations = Expectations(orchestrator, swarm, config.swarm.seed)
        self._room = asyncio.Semaphore(FAULT.at_once)
        self._ended: dict[tuple[int, int], asyncio.Future[tuple[str, ...]]] = {}
        self._began: float | None = None
        self._done = self._failed = self._held = 0
        self._missed: list[str] = []
        self.load_problem = ""
        """Why the load could not be offered, or did not come to its end; empty: it was."""
        self.is_over = False

    @property
    def is_empty(self) -> bool:
        """Whether the configuration has neither faults, nor expectations, nor a load: then there is nothing to run."""
        return not (self._schedule or self._config.expects or self._load)

    @property
    def missed(self) -> tuple[str, ...]:
        """The expectations and thresholds that were missed so far, in words."""
        return tuple(self._missed)

    @property
    def failed(self) -> int:
        """How many occurrences could not be done so far."""
        return self._failed

    async def run(self) -> None:
        """Until everything has happened, every fault with an end has ended and every expectation was looked at; or until the
        load is aborted."""
        self._began = _now()
        try:
            await self._go_through()
        except* _LoadAbortedError:
            self._say(f"{self._elapsed():8.1f} s  the load was aborted, and the timeline with it")
        self.is_over = True

    async def _go_through(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            if self._load is not None:
                tasks.create_task(self._run_load(self._load), name="load")
            for due_s, step in self._agenda():
                await self._until(due_s)
                await self._room.acquire()
                tasks.create_task(self._take(step), name=f"timeline at {due_s:g} s")
            await self._until(self._end)
        for index, expect in enumerate(self._config.expects):
            if expect.at is None:
                await self._check(index, expect)

    def status(self) -> TimelineStatus | None:
        """How far it is; None when there is nothing to run."""
        if self.is_empty:
            return None
        elapsed = self._elapsed()
        begun = self._began is not None
        coming = next((one for one in self._schedule if not begun or one.due_s > elapsed), None)
        return TimelineStatus(
            state="over" if self.is_over else "running" if begun else "waiting",
            elapsed_s=elapsed,
            ends_s=self._end,
            planned=len(self._schedule),
            done=self._done,
            failed=self._failed,
            expected=len(self._config.expects),
            held=self._held,
            missed=self.missed,
            next_s=None if coming is None else coming.due_s,
            upcoming="" if coming is None else f"{coming.do} {coming.select}".rstrip(),
        )

    def _agenda(self) -> list[tuple[float, Occurrence | int]]:
        """Occurrences and indexes of expectations by time; of the same time what is done comes first."""
        steps: list[tuple[float, Occurrence | int]] = [(one.due_s, one) for one in self._schedule]
        for index, expect in enumerate(self._config.expects):
            if expect.at is not None:
                steps.append((expect.at, index))
        return sorted(steps, key=lambda step: step[0])

    async def _take(self, step: Occurrence | int) -> None:
        try:
            if isinstance(step, int):
                await self._check(step, self._config.expects[step])
            else:
                await self._do(step)
        finally:
            self._room.release()

    # Faults

    async def _do(self, occurrence: Occurrence) -> None:
        at = self._elapsed()
        try:
            reply = await self._carry_out(occurrence)
        except Exception as error:  # the boundary of one occurrence: a defect costs this one only
            _logger.exception("%s at %g s met a defect", occurrence.do, occurrence.due_s)
            reply = Refused(reason=f"defect: {type(error).__name__}: {error}")
        problem = reply.reason if isinstance(reply, Refused) else ""
        self._done += 1
        if problem:
            self._failed += 1
        self._say(done_line(occurrence, at, self._elapsed() - at, _concerned(reply), problem))
        self._publish(
            "",
            ScheduledFaultDone(
                entry=occurrence.entry,
                occurrence=occurrence.number,
                do=occurrence.do,
                select=occurrence.select,
                due_s=occurrence.due_s,
                at_s=at,
                peers=_concerned(reply),
                problem=problem,
            ),
        )

    async def _carry_out(self, occurrence: Occurrence) -> AnyReply:
        key = occurrence.entry, occurrence.number
        if occurrence.returns:
            return await self._bring_back(await self._ended[key])
        if self._returns(occurrence):
            self._ended[key] = asyncio.get_running_loop().create_future()
        orchestrator = self._orchestrator.drawing(draws_of(self._seed, *key))
        reply: AnyReply | None = None
        try:
            reply = await orchestrator.carry_out(
                command_of(self._config.faults[occurrence.entry], occurrence)
            )
        finally:
            ended = self._ended.get(key)
            if (
                ended is not None and not ended.done()
            ):  # cancelled with who waited for it, when the load is aborted
                ended.set_result(_concerned(reply))
        return reply

    def _returns(self, occurrence: Occurrence) -> bool:
        """Whether those whom it ends come back."""
        fault = self._config.faults[occurrence.entry]
        return fault.do in ("kill", "leave") and fault.for_ is not None

    async def _bring_back(self, names: Sequence[str]) -> AnyReply:
        """Restart those who have not come back by another way. A worker that stands still can start nobody."""
        roster, frozen = self._swarm.roster, self._swarm.frozen()
        away = [name for name in names if roster[name].state in (State.KILLED, State.STOPPED)]
        awake = [name for name in away if name not in frozen]
        reply = await self._orchestrator.carry_out(Restart(select=",".join(awake))) if awake else Done()
        if len(awake) == len(away) or isinstance(reply, Refused):
            return reply
        still = ", ".join(name for name in away if name in frozen)
        return Refused(reason=f"{still} cannot come back: its worker is frozen", peers=tuple(awake))

    # Expectations and load

    async def _check(self, index: int, expect: Expect) -> None:
        try:
            finding = await self._expectations.check(expect, index)
        except Exception as error:  # as above: a defect costs this expectation only
            _logger.exception("%s met a defect", in_words(expect))
            finding = Finding(held=False, found=f"defect: {type(error).__name__}: {error}")
        self._publish(
            "",
            ExpectationChecked(
                check=in_words(expect), at_s=self._elapsed(), held=finding.held, found=finding.found
            ),
        )
        self._say(checked_line(expect, self._elapsed(), finding))
        if finding.held:
            self._held += 1
        else:
            self._missed.append(f"{in_words(expect)}: {finding.found}")

    async def _run_load(self, load: Load) -> None:
        try:
            self._missed += await load.run()
        except CicadaError as error:
            self.load_problem = f"the load could not be run: {error}"
        if load.aborted:
            raise _LoadAbortedError

    # Time

    def _elapsed(self) -> float:
        return 0.0 if self._began is None else _now() - self._began

    async def _until(self, due_s: float) -> None:
        await asyncio.sleep(max(0.0, due_s - self._elapsed()))


def _concerned(reply: AnyReply | None) -> tuple[str, ...]:
    match reply:
        case Done() | Refused():
            return reply.peers
        case FaultList():
            return tuple(dict.fromkeys(name for row in reply.rows for name in row.peers))
        case _:
            return ()


def _now() -> float:
    return asyncio.get_running_loop().time()
