"""A worker process: one event loop that hosts peers and answers the launcher."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from cicada.actors.loop import LoopDispatcher
from cicada.actors.remote import export
from cicada.actors.watch import Watch
from cicada.bus.publisher import Publisher
from cicada.clock import SystemClock
from cicada.limits import LAUNCHER
from launcher.hosting import Hosting
from launcher.logs.book import LogBook
from launcher.logs.records import level_named
from launcher.parts import PartTeller
from launcher.process import Ready, WorkerSpec
from launcher.protocol import AnyWorkerCommand, AnyWorkerReply, Report
from launcher.serving import CommandActor, log_to_stderr, recorded

GC_THRESHOLDS = (20_000, 20, 50)
"""A worker makes and drops tens of thousands of small values a second and no cycles worth speaking of: look for
garbage seldom. The default 700 costs a tenth of its time."""


def worker_main(spec: WorkerSpec, ready: Ready) -> None:
    """Host peers as the launcher asks, until it says that it is over. Runs in a process of its own."""
    log_to_stderr(spec.name)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_serve(spec, ready))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(spec: WorkerSpec, ready: Ready) -> None:
    publisher = Publisher(spec.events, spec.name, clock=SystemClock())
    publisher.open()
    log = LogBook(Path(spec.logs), spec.name, level_named(spec.log_level))
    log.open()
    watch = Watch(publisher.wants)
    publisher.on_subscriptions = watch.changed
    hosting = Hosting(log.tapped(publisher.publish), log, spec, watch)
    teller = PartTeller(publisher, hosting.carry_out)
    actor = CommandActor.start(
        LoopDispatcher(), teller.carry_out, lambda reason: Report(failed={spec.name: reason})
    )
    try:
        with export(actor, spec.control, commands=AnyWorkerCommand, replies=AnyWorkerReply):
            await recorded(publisher)
            ready()
            await hosting.finished.wait()
            await asyncio.sleep(LAUNCHER.last_words)
    finally:
        actor.stop(block=False)
        publisher.close()
        watch.close()
        log.close()
