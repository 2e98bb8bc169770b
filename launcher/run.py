"""Running a swarm: in the foreground until it ends, or detached in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from cicada.commands import TimelineStatus
from cicada.config import Config
from cicada.config.source import read_text
from cicada.errors import CicadaError, RingNotReady
from cicada.limits import LAUNCHER
from launcher import output
from launcher.exits import Exit
from launcher.faults.schedule import Schedule, schedule
from launcher.faults.traces import read_traces
from launcher.keys.chain import Keychain, read_key_files
from launcher.load.hdr import require_histograms
from launcher.metrics.endpoint import require_extra
from launcher.plan import Plan, plan_swarm
from launcher.ports import endpoints_of, require_free
from launcher.process import start_fork_server
from launcher.runfolder import (
    RUNS,
    RunFolder,
    already_running,
    is_running,
    open_run_folder,
    read_info,
    require_own,
    running_swarms,
)
from launcher.serving import log_to_stderr
from launcher.session import SOURCE, Session

OnProgress = Callable[["Progress"], None]
OnStep = Callable[[str], None]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: its control plane answers, or (when ``proven_after_s`` is set) its ring is proven."""

    run_dir: str
    control: str
    launcher_pid: int
    proven_after_s: float | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: why it is lost, who died of those that were not told to, what was missed of what was expected, how
    many occurrences of the timeline could not be done, what else could not (the load, the record), and whether all of it
    came to its end."""

    run_dir: str = ""
    lost: str = ""
    died: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    failed: int = 0
    problems: tuple[str, ...] = ()
    timeline: TimelineStatus | None = None
    complete: bool = True
    interrupted: bool = False

    @property
    def code(self) -> Exit:
        """The exit code that follows."""
        if self.interrupted:
            return Exit.FAILURE if self.problems else Exit.INTERRUPTED
        if self.lost:
            return Exit.SWARM_LOST
        if self.died or self.problems or not self.complete:
            return Exit.FAILURE
        return Exit.THRESHOLD if self.missed else Exit.OK


def ending_lines(ending: Ending) -> Iterator[str]:
    """What somebody ought to know of how a run ended, one line each."""
    for name in ending.died:
        yield f"died and was not brought back: {name}"
    for missed in ending.missed:
        yield f"missed: {missed}"
    if ending.failed:
        yield f"{ending.failed} occurrences of the timeline could not be done"
    if not ending.complete:
        yield "ended before the timeline of the configuration was over"
    yield from ending.problems


def report_lines(ending: Ending) -> Iterator[str]:
    """Write the report of a run that had a timeline or a load, and tell what it says; or why there is none."""
    from launcher.report.files import TEXT_FILE, write_report

    if ending.timeline is None:
        return
    try:
        written = write_report(Path(ending.run_dir))
        yield from (written / TEXT_FILE).read_text(encoding="utf-8").splitlines()
        yield f"report in {written}"
    except CicadaError as error:
        yield f"no report: {error}"


def run_swarm(
    config: Config,
    run_dir: Path | None = None,
    *,
    wait: float | None = None,
    on_started: OnProgress | None = None,
    on_ready: OnProgress | None = None,
    on_step: OnStep | None = None,
    since: float | None = None,
    stay: bool = False,
) -> Ending:
    """Run a swarm in this process until it is told to end, or its timeline is over; with ``stay`` it goes on after that.

    ``run_dir`` is the run folder (None: a new one under ``runs``). ``on_started`` is called once the control plane
    answers, ``on_ready`` once the ring is first proven, ``on_step`` with a line about every step of the timeline. With
    ``wait`` the ring must be proven within that many seconds.
    ``since`` is the time.monotonic() at which the user asked for it; proven_after_s counts from there.

    Raises Misuse when a swarm runs in that folder, Unavailable when something cannot be started, RingNotReady when the ring
    was not proven in time. Whatever happens, nothing of the swarm is left when this returns or raises. On the main thread
    only: Ctrl-C and SIGTERM end the swarm gracefully, a second one at once.
    """
    begun = time.monotonic() if since is None else since
    log_to_stderr(SOURCE)
    start_fork_server()  # it imports while we plan
    plan, folder = prepare(config, run_dir)
    with folder:
        return run_prepared(
            config,
            plan,
            folder,
            since=begun,
            wait=wait,
            on_started=on_started,
            on_ready=on_ready,
            on_step=on_step,
            stay=stay,
        )


def prepare(config: Config, run_dir: Path | None) -> tuple[Plan, RunFolder]:
    """The plan and the locked run folder of a swarm that can be started now. Raises as run_swarm does."""
    plan = plan_swarm(config, os.cpu_count() or 1)
    read_key_files(config)
    if config.metrics.listen:
        require_extra()
    if config.load is not None:
        require_histograms()
    planned_schedule(config)
    if run_dir is not None:
        require_own(run_dir)  # what is wrong with the command line, before what is wrong with the machine
        if is_running(run_dir):
            raise already_running(run_dir)
    beside = RUNS if run_dir is None else run_dir.parent
    require_free((*plan.peers, *endpoints_of(config)), running_swarms(*{RUNS, beside}))
    return plan, open_run_folder(config.swarm.name, run_dir)


def run_prepared(
    config: Config,
    plan: Plan,
    folder: RunFolder,
    *,
    since: float,
    wait: float | None = None,
    on_started: OnProgress | None = None,
    on_ready: OnProgress | None = None,
    on_step: OnStep | None = None,
    stay: bool = False,
) -> Ending:
    """As run_swarm, from what ``prepare`` returned."""
    keychain = Keychain(config, read_key_files(config))
    schedule = planned_schedule(config)

    def make() -> Session:
        return Session(config, plan, folder, keychain, schedule, since, on_step or _ignore)

    return asyncio.run(_run(make, folder, wait, on_started or _ignore, on_ready or _ignore, stay=stay))


def planned_schedule(config: Config) -> Schedule:
    """What the timeline does and when. Raises ConfigErrors when a trace that it names is wrong or cannot be read."""
    traces = read_traces(config, lambda file: read_text(Path(file)))
    return schedule(config, config.swarm.seed, traces)


async def _run(
    make: Callable[[], Session],
    folder: RunFolder,
    wait: float | None,
    on_started: OnProgress,
    on_ready: OnProgress,
    *,
    stay: bool,
) -> Ending:
    session = make()
    with _Interrupts(session) as interrupts:
        async with session:
            started = Progress(run_dir=str(folder.path), control=session.control, launcher_pid=os.getpid())
            on_started(started)
            course = asyncio.create_task(_course(session, wait, started, on_ready, stay=stay), name="course")
            try:
                lost = await _until_over(session, course)
            finally:
                await _cancelled(course)
            died, timeline = session.deaths, session.timeline
    unrecorded = f"the swarm has ended; {session.recording_problem}" if session.recording_problem else ""
    ending = Ending(
        run_dir=str(folder.path),
        lost=lost,
        died=died,
        missed=timeline.missed,
        failed=timeline.failed,
        problems=tuple(problem for problem in (timeline.load_problem, unrecorded) if problem),
        timeline=timeline.status(),
        complete=timeline.is_over or timeline.is_empty,
        interrupted=interrupts.interrupted,
    )
    _note(folder, ending)
    return ending


def _note(folder: RunFolder, ending: Ending) -> None:
    """Whoever looks later, as at a detached run, learns how it ended."""
    info = read_info(folder.path)
    if info is not None:
        verdict = tuple(ending_lines(ending))
        folder.write_info(msgspec.structs.replace(info, exit_code=int(ending.code), verdict=verdict))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _until_over(session: Session, course: asyncio.Task[None]) -> str:
    """Why the swarm is lost; empty when it was told to end. Raises what keeps it from rising."""
    over = asyncio.ensure_future(session.over)
    waiting: set[asyncio.Future[None] | asyncio.Future[str]] = {course, over}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if course.done():
        course.result()
    return await over


async def _course(
    session: Session, wait: float | None, started: Progress, on_ready: OnProgress, *, stay: bool
) -> None:
    """From the first process to the end of the timeline; with one the run ends with it, unless it is to stay."""
    if wait is None and not session.timeline.is_empty:
        wait = LAUNCHER.proven  # a timeline that waits for a proof for ever ends nobody's job
    await _rise(session, wait, started, on_ready)
    if session.timeline.is_empty or session.over.done():
        return
    await session.timeline.run()
    if not stay:
        session.end("")


async def _rise(session: Session, wait: float | None, started: Progress, on_ready: OnProgress) -> None:
    """Bring the swarm up, and tell when its ring is proven. Raises RingNotReady when that takes too long."""
    await session.bring_up()
    monitor = session.monitor
    if await monitor.proven(None if wait is None else max(0.0, wait - monitor.uptime_s)):
        on_ready(msgspec.structs.replace(started, proven_after_s=monitor.proven_after_s))
    elif wait is not None and not session.over.done():
        seen = await monitor.observe()
        raise RingNotReady(f"the ring was not proven within {wait:g} s: {seen.verdict.in_words()}")


def _ignore(_: object) -> None:
    """Nobody wants to know."""


class _Interrupts:
    """Ctrl-C and SIGTERM: the first ends the run gracefully, the second at once. SIGHUP: the terminal is gone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._signals = 0
        self.interrupted = False

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._received, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _received(self, number: signal.Signals) -> None:
        self._signals += 1
        self.interrupted = self.interrupted or number == signal.SIGINT
        if self._signals == 1:
            if number == signal.SIGINT:
                output.progress("ending the swarm; Ctrl-C again ends it at once")
            self._session.end("")
        else:
            self._session.end_immediately()
