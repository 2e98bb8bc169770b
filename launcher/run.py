"""Running a swarm: in the foreground until it ends, or detached in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from cicada.config import Config
from cicada.errors import RingNotReady
from launcher.keys.chain import Keychain, read_key_files
from launcher.plan import Plan, plan_swarm
from launcher.ports import require_free
from launcher.process import start_fork_server
from launcher.runfolder import RUNS, RunFolder, already_running, is_running, open_run_folder, running_swarms
from launcher.serving import log_to_stderr
from launcher.session import SOURCE, Session

OK = 0
LOST = 4
INTERRUPTED = 130


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: its control plane answers, or (when ``proven_after_s`` is set) its ring is proven."""

    run_dir: str
    control: str
    launcher_pid: int
    proven_after_s: float | None = None


OnProgress = Callable[[Progress], None]


def run_swarm(
    config: Config,
    run_dir: Path | None = None,
    *,
    wait: float | None = None,
    on_started: OnProgress | None = None,
    on_ready: OnProgress | None = None,
    since: float | None = None,
) -> int:
    """Run a swarm in this process until it is told to end, and return the exit code: 0, 4 (lost) or 130 (Ctrl-C).

    ``run_dir`` is the run folder (None: a new one under ``runs``). ``on_started`` is called once the control plane
    answers, ``on_ready`` once the ring is first proven. With ``wait`` the ring must be proven within that many seconds.
    ``since`` is the time.monotonic() at which the user asked for it; proven_after_s counts from there.

    Raises Misuse when a swarm runs in that folder, Unavailable when something cannot be started, RingNotReady when the
    ring was not proven in time. Whatever happens, nothing of the swarm is left when this returns or raises. On the
    main thread only: Ctrl-C and SIGTERM end the swarm gracefully, a second one at once.
    """
    begun = time.monotonic() if since is None else since
    log_to_stderr(SOURCE)
    start_fork_server()  # it imports while we plan
    plan, folder = prepare(config, run_dir)
    with folder:
        return run_prepared(
            config, plan, folder, since=begun, wait=wait, on_started=on_started, on_ready=on_ready
        )


def prepare(config: Config, run_dir: Path | None) -> tuple[Plan, RunFolder]:
    """The plan and the locked run folder of a swarm that can be started now. Raises as run_swarm does."""
    plan = plan_swarm(config, os.cpu_count() or 1)
    read_key_files(config)
    if run_dir is not None and is_running(run_dir):
        raise already_running(run_dir)
    beside = RUNS if run_dir is None else run_dir.parent
    require_free(plan.peers, running_swarms(*{RUNS, beside}))
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
) -> int:
    """As run_swarm, from what ``prepare`` returned."""
    keychain = Keychain(config, read_key_files(config))
    session = (config, plan, folder, keychain, since)
    return asyncio.run(_run(session, wait, on_started or _ignore, on_ready or _ignore))


async def _run(
    parts: tuple[Config, Plan, RunFolder, Keychain, float],
    wait: float | None,
    on_started: OnProgress,
    on_ready: OnProgress,
) -> int:
    session, folder = Session(*parts), parts[2]
    with _Interrupts(session) as interrupts:
        async with session:
            started = Progress(run_dir=str(folder.path), control=session.control, launcher_pid=os.getpid())
            on_started(started)
            rising = asyncio.create_task(_rise(session, wait, started, on_ready), name="rise")
            try:
                lost = await _until_over(session, rising)
            finally:
                rising.cancel()
    if interrupts.interrupted:
        return INTERRUPTED
    return LOST if lost else OK


async def _until_over(session: Session, rising: asyncio.Task[None]) -> str:
    """Why the swarm is lost; empty when it was told to end. Raises what keeps it from rising."""
    over = asyncio.ensure_future(session.over)
    waiting: set[asyncio.Future[None] | asyncio.Future[str]] = {rising, over}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if rising.done():
        rising.result()
    return await over


async def _rise(session: Session, wait: float | None, started: Progress, on_ready: OnProgress) -> None:
    """Bring the swarm up, and tell when its ring is proven. Raises RingNotReady when that takes too long."""
    await session.bring_up()
    monitor = session.monitor
    if await monitor.proven(None if wait is None else max(0.0, wait - monitor.uptime_s)):
        on_ready(msgspec.structs.replace(started, proven_after_s=monitor.proven_after_s))
    elif wait is not None and not session.over.done():
        seen = await monitor.observe()
        raise RingNotReady(f"the ring was not proven within {wait:g} s: {seen.verdict.in_words()}")


def _ignore(_: Progress) -> None:
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
            self._session.end("")
        else:
            self._session.end_immediately()
