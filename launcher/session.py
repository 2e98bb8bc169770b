"""One run of a swarm, from the first process to the last: builds the parts, brings the swarm up, takes it down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import msgspec

from cicada.actors.loop import LoopDispatcher
from cicada.actors.remote import export
from cicada.bus.answering import SnapshotEndpoint
from cicada.bus.proxy import BusProxy
from cicada.bus.publisher import Publisher
from cicada.bus.recording import Recorder, record
from cicada.bus.remote import RemoteBus
from cicada.bus.subscriber import Subscriber
from cicada.bus.topics import state_topics
from cicada.clock import SystemClock
from cicada.commands import AnyCommand, AnyReply, Refused
from cicada.config import Config, to_toml
from cicada.errors import CicadaError, Unavailable
from cicada.events import AnyEvent, RunStateChanged, WorkerExited
from cicada.limits import LAUNCHER
from launcher.faults.control import Faults
from launcher.faults.schedule import Schedule
from launcher.faults.timeline import Timeline
from launcher.keeper import PeerKeeper
from launcher.keys.chain import Keychain
from launcher.keys.rotation import Rotation
from launcher.load.configured import ConfiguredLoad
from launcher.logs.book import LogBook
from launcher.logs.control import LogLevels
from launcher.logs.records import level_named
from launcher.metrics.endpoint import MetricsEndpoint
from launcher.monitor import Monitor, RunState
from launcher.orchestrator import Orchestrator, Publish
from launcher.plan import Plan
from launcher.pool import WorkerPool
from launcher.process import WorkerSpec
from launcher.roster import Roster
from launcher.runfolder import CONTROL_SOCKET, ControlFolder, RunFolder, RunInfo, git_revision
from launcher.serving import CommandActor, recorded
from launcher.snapshots import Snapshots
from launcher.statistics import Statistics
from launcher.supervisor import WorkerSupervisor
from launcher.swarm import Problems, Swarm

SOURCE = "launcher"
"""How the launcher calls itself on the bus."""

_PUBLISHERS = "bus-in"
_SUBSCRIBERS = "bus-out"
_SNAPSHOTS = "snapshots"
_NAMED_PROBLEMS = 3

_logger = logging.getLogger("cicada.launcher")


class Session:
    """A run, an async context manager: inside, its control plane answers; afterwards nothing of it is left. ``say`` is told a
    line about every step of its timeline."""

    def __init__(
        self,
        config: Config,
        plan: Plan,
        folder: RunFolder,
        keychain: Keychain,
        schedule: Schedule,
        since: float,
        say: Callable[[str], None],
    ) -> None:
        self._config = config
        self._folder = folder
        self._control = ControlFolder()
        self._stack = AsyncExitStack()
        self._observing: asyncio.Task[None] | None = None
        self._immediately = False
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the run is to end: empty when somebody asked for it, or why the swarm is lost."""
        events, outlet = (f"ipc://{self._control.socket(name)}" for name in (_PUBLISHERS, _SUBSCRIBERS))
        self._proxy = BusProxy(events, outlet)
        self._publisher = Publisher(events, SOURCE, clock=SystemClock())
        self._recorder = Recorder(folder.events, clock=SystemClock())
        self._log = LogBook(folder.logs, SOURCE, level_named(config.peer.log_level))
        publish = self._log.tapped(self._publisher.publish)
        specs = {name: self._spec(name, events) for name in plan.workers}
        self.pool = WorkerPool(specs, self._worker_ended)
        self._keychain = keychain
        self.swarm = Swarm(Roster(plan, config.groups), self.pool, waves=config.launch.waves)
        self._snapshots = self._answering()
        self._keeper = PeerKeeper(self.swarm, config.supervision, publish)
        self.monitor = Monitor(
            self.swarm, lambda event: publish("", event), since, config.ring.limits(), self._keeper.tend
        )
        self._supervisor = WorkerSupervisor(self.swarm, config.supervision, publish, self._lost)
        self.faults = Faults(self.swarm, publish)
        self._statistics = self._counting()
        self.orchestrator = self._commanding(publish)
        self.timeline = Timeline(config, schedule, self.orchestrator, self.swarm, publish, say, self._load())

    @property
    def deaths(self) -> tuple[str, ...]:
        """Who ended without being told to and was not brought back, and how."""
        ends = self._supervisor.deaths | self._keeper.deaths
        return tuple(f"{name} ({how})" for name, how in ends.items())

    @property
    def control(self) -> str:
        """The path of the launcher's control socket."""
        return self._control.socket(CONTROL_SOCKET)

    @property
    def recording_problem(self) -> str:
        """Why events are missing from the run's record; empty while none are. A recording that is full has what it may hold."""
        if not self._recorder.problem:
            return ""
        missing = f"{self._recorder.dropped} events are missing from {self._folder.events}"
        return f"{missing}: {self._recorder.problem}"

    def end(self, reason: str) -> None:
        """The run is to end. The first reason counts."""
        if not self.over.done():
            self.over.set_result(reason)

    def end_immediately(self) -> None:
        """Whoever waits for the graceful end has waited long enough."""
        self._immediately = True
        self.end("")
        for name in self.pool.names:
            if self.pool.pid(name):
                self.pool.kill(name)

    async def __aenter__(self) -> Session:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            self._control.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self.over.done() and self.over.result():
                await self.monitor.enter(RunState.FAILED, self.over.result())
            await self.monitor.enter(RunState.STOPPING)
            self._supervisor.stop()
            await self.orchestrator.requests.close()
            self.faults.close()
            await _cancelled(self._observing)
            await self.pool.shut_down(0.0 if self._immediately else LAUNCHER.shutdown)
            await self.monitor.enter(RunState.STOPPED)
            await asyncio.sleep(LAUNCHER.last_words)
            for kind in (WorkerExited, RunStateChanged):
                await self._recorded(kind)
        finally:
            await self._stack.aclose()
            self._control.close()

    async def bring_up(self) -> None:
        """Start workers and peers, join them, and keep watch from then on.

        Raises Unavailable when a worker or a peer cannot be started. Peers that do not get in at first are tried again
        while the run goes on.
        """
        self.monitor.begin()
        if not self._keychain.is_encrypted:
            _logger.warning("links are NOT ENCRYPTED (links.encrypt = false): measurements only")
        async with self.swarm.changes:
            self.orchestrator.rotation.greet()
            _require(await self.swarm.start_workers())
            for name in self.pool.names:
                self._supervisor.started(name)
            _require(await self.swarm.start(self.swarm.roster))
            await self.monitor.enter(RunState.JOINING)
            for name, problem in (await self.swarm.join(self.swarm.roster)).items():
                _logger.warning("%s did not join at first: %s", name, problem)
        self._observing = asyncio.create_task(self.monitor.run(), name="monitor")

    async def _open(self) -> None:
        self._folder.write_config(to_toml(self._config))
        self._log.open()
        self._stack.callback(self._log.close)
        self._proxy.start()
        self._stack.callback(self._proxy.stop)
        await self._record()
        self._publisher.open()
        self._stack.callback(self._publisher.close)
        await recorded(self._publisher)
        self._snapshots.start()
        self._stack.push_async_callback(self._snapshots.stop)
        self._let_watch()
        actor = CommandActor.start(
            LoopDispatcher(), self.orchestrator.carry_out, lambda reason: Refused(reason=reason)
        )
        self._stack.callback(actor.stop, block=False)
        self._stack.enter_context(export(actor, self.control, commands=AnyCommand, replies=AnyReply))
        await self._serve_metrics()
        info = await self._info()
        self._folder.write_info(info)
        self._stack.callback(self._note_end, info)

    def _let_watch(self) -> None:
        listen, keys = self._config.watch.listen, self._keychain.watch
        if listen is not None and keys is not None:
            events, snapshots = self._proxy.subscribers, self._snapshots.endpoint
            self._stack.enter_context(RemoteBus(listen, keys, events=events, snapshots=snapshots))

    async def _serve_metrics(self) -> None:
        if self._config.metrics.listen:
            endpoint = self._stack.enter_context(MetricsEndpoint(self._config.metrics.listen))
            refreshing = asyncio.create_task(self._refresh(endpoint), name="metrics")
            self._stack.push_async_callback(_cancelled, refreshing)

    async def _refresh(self, endpoint: MetricsEndpoint) -> None:
        while True:
            try:
                endpoint.show(await self._statistics.status(fresh=False))
            except CicadaError:  # the next look may succeed
                _logger.exception("the metrics could not be refreshed")
            await asyncio.sleep(LAUNCHER.metrics)

    def _note_end(self, info: RunInfo) -> None:
        """Whoever looks later can tell a swarm that was taken down from one whose launcher died."""
        self._folder.write_info(msgspec.structs.replace(info, ended=_now()))

    async def _record(self) -> None:
        self._recorder.open()
        self._stack.callback(self._recorder.close)
        subscriber = await self._stack.enter_async_context(
            Subscriber(self._proxy.subscribers, state_topics())
        )
        recording = asyncio.create_task(record(subscriber, self._recorder), name="recording")
        self._stack.push_async_callback(_cancelled, recording)

    async def _recorded(self, kind: type[AnyEvent]) -> None:
        """Wait until the recording has the last event of this kind, for so long as that may take."""
        sequence = self._publisher.told(kind)
        for _ in range(round(LAUNCHER.recorded / LAUNCHER.subscription_poll)):
            if self._recorder.has(SOURCE, kind, sequence):
                return
            await asyncio.sleep(LAUNCHER.subscription_poll)

    async def _info(self) -> RunInfo:
        return RunInfo(
            run=self._folder.run,
            name=self._config.swarm.name,
            control=self.control,
            events=self._proxy.subscribers,
            snapshots=self._snapshots.endpoint,
            launcher_pid=os.getpid(),
            started=_now(),
            version=_version(),
            git=await asyncio.to_thread(git_revision),
            python=platform.python_version(),
            host=platform.node(),
            seed=self._config.swarm.seed,
            argv=tuple(sys.argv),
        )

    def _counting(self) -> Statistics:
        return Statistics(
            self._folder.run,
            self._config.swarm.name,
            self.swarm,
            self.monitor,
            self._supervisor,
            self._keeper,
            self.faults,
            lambda: self.timeline.status(),
            lambda: self.recording_problem,
        )

    def _commanding(self, publish: Publish) -> Orchestrator:
        return Orchestrator(
            self.swarm,
            self.monitor,
            self._statistics,
            LogLevels(self.swarm, self._log),
            self.faults,
            Rotation(self.pool, self._keychain),
            publish,
            seed=self._config.swarm.seed,
            folder=self._folder.path,
            on_down=lambda: self.end(""),
            recorded=self._recorded,
        )

    def _load(self) -> ConfiguredLoad | None:
        asked = self._config.load_command
        return None if asked is None else ConfiguredLoad(asked, self.orchestrator.requests)

    def _answering(self) -> SnapshotEndpoint:
        name, run = self._config.swarm.name, self._folder.run
        snapshots = Snapshots(self._publisher, self.pool, self.swarm.roster, name=name, run=run)
        self.pool.before_freeze = snapshots.note
        return SnapshotEndpoint(f"ipc://{self._control.socket(_SNAPSHOTS)}", snapshots.make)

    def _spec(self, name: str, events: str) -> WorkerSpec:
        return WorkerSpec(
            name=name,
            control=self._control.socket(name),
            events=events,
            control_folder=str(self._control.path),
            logs=str(self._folder.logs),
            log_level=self._config.peer.log_level,
            ring=self._config.ring.limits(),
            delivery=self._config.delivery.limits(),
            map_ports=self._config.peer.nat.enabled,
        )

    def _worker_ended(self, worker: str, pid: int, how: str) -> None:
        self.faults.worker_ended(worker)
        self._supervisor.exited(worker, pid, how)
        self.monitor.poke()

    def _lost(self, reason: str) -> None:
        _logger.error("the swarm is lost: %s", reason)
        self.end(f"the swarm is lost: {reason}")


def _require(problems: Problems) -> None:
    if problems:
        first = list(problems.items())[:_NAMED_PROBLEMS]
        named = "; ".join(f"{name}: {problem}" for name, problem in first)
        more = f"; and {len(problems) - len(first)} more" if len(problems) > len(first) else ""
        raise Unavailable(f"the swarm cannot start: {named}{more}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _version() -> str:
    try:
        return version("cicada-swarm")
    except PackageNotFoundError:
        return "source"


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
