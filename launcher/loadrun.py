"""A load over the whole swarm: planned once, sent and accounted for by the workers, merged here."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping

from cicada.commands import LoadResult, RunLoad
from cicada.errors import Unavailable
from cicada.limits import LAUNCHER
from launcher.load import LoadPart, LoadPeer, LoadPlan, LoadShare, merge, plan_load
from launcher.protocol import CollectLoad, EndLoad, LoadReport, PrepareLoad, Report, StartLoad
from launcher.swarm import Swarm

_RUN_BITS = 64


async def run_load(swarm: Swarm, command: RunLoad) -> LoadResult:
    """Send the load, wait until every receipt has settled, and add the accounts up.

    Raises Misuse for a load that cannot be, Unavailable when a worker cannot take its share.
    """
    members = swarm.joined()
    peers = [LoadPeer(member.name, member.address) for member in members]
    plan = plan_load(command, peers, secrets.randbits(_RUN_BITS))
    sources: dict[str, list[str]] = {}
    for member in members:
        sources.setdefault(member.worker, []).append(member.name)
    shares = {worker: LoadShare(plan=plan, sources=tuple(names)) for worker, names in sources.items()}
    try:
        # A worker that is not prepared yet would not count what a faster one sends to its peers
        await _tell(swarm, {worker: PrepareLoad(share=share) for worker, share in shares.items()})
        await _tell(swarm, dict.fromkeys(shares, StartLoad()))
        parts = await _parts(swarm, plan, list(shares))
        missing = tuple(worker for worker in shares if worker not in parts)
        return merge(plan, parts.values(), missing)
    finally:
        await swarm.pool.ask_each(dict.fromkeys(shares, EndLoad()), Report, LAUNCHER.report_grace)


async def _tell(swarm: Swarm, commands: Mapping[str, PrepareLoad | StartLoad]) -> None:
    replies = await swarm.pool.ask_each(commands, Report, LAUNCHER.report_grace)
    for worker, reply in replies.items():
        if not isinstance(reply, Report) or reply.failed:
            reason = "; ".join(reply.failed.values()) if isinstance(reply, Report) else str(reply)
            raise Unavailable(f"{worker} cannot take its share of the load: {reason}")


async def _parts(swarm: Swarm, plan: LoadPlan, workers: list[str]) -> dict[str, LoadPart]:
    """The accounts of all workers, once every one is finished or late. A worker that died has none."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + plan.duration + plan.timeout + LAUNCHER.load_grace
    await asyncio.sleep(plan.duration)
    waiting = list(workers)
    while waiting and loop.time() < give_up:
        await asyncio.sleep(LAUNCHER.load_poll)
        replies = await swarm.pool.ask_each(
            dict.fromkeys(waiting, CollectLoad(final=False)), LoadReport, LAUNCHER.views
        )
        waiting = [
            name for name, reply in replies.items() if isinstance(reply, LoadReport) and not reply.finished
        ]
    await asyncio.sleep(LAUNCHER.load_poll)  # what was acknowledged lies in a mailbox and is read at once
    replies = await swarm.pool.ask_each(
        dict.fromkeys(workers, CollectLoad(final=True)), LoadReport, LAUNCHER.views
    )
    return {
        worker: reply.part
        for worker, reply in replies.items()
        if isinstance(reply, LoadReport) and reply.part is not None
    }
