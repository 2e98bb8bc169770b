"""Looks at a running swarm for what the configuration expects of it."""

from __future__ import annotations

import asyncio
from random import Random

from cicada.commands import (
    AnyReply,
    BroadcastResult,
    GetStatus,
    Lookup,
    LookupResult,
    Refused,
    Send,
    SendResult,
    SendToAll,
    Status,
)
from cicada.config.timeline import Expect
from cicada.limits import FAULT
from launcher.faults.draws import generator_of
from launcher.faults.judging import Finding, judge_share, judge_status
from launcher.orchestrator import Orchestrator
from launcher.swarm import Swarm

_PROBE = b"is anybody there?"
_PLACE_BYTES = 32


class Expectations:
    """Asks as anybody would: by the commands of the control plane."""

    def __init__(self, orchestrator: Orchestrator, swarm: Swarm, seed: int) -> None:
        self._orchestrator = orchestrator
        self._swarm = swarm
        self._seed = seed

    async def check(self, expect: Expect, index: int) -> Finding:
        """What an expectation comes to: at once, or as soon as it holds, at the latest when its time is over."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + (expect.within or 0.0)
        rng = generator_of(self._seed, "expect", index)
        while True:
            finding = await self._look(expect, rng)
            if finding.held or loop.time() >= give_up:
                return finding
            await asyncio.sleep(min(FAULT.expect_poll, max(0.0, give_up - loop.time())))

    async def _look(self, expect: Expect, rng: Random) -> Finding:
        match expect.check:
            case "delivered":
                return await self._delivered(expect, rng)
            case "lookups":
                return await self._lookups(expect, rng)
            case "broadcast":
                return await self._broadcast(expect, rng)
            case _:
                reply = await self._orchestrator.carry_out(GetStatus())
                return judge_status(expect, reply) if isinstance(reply, Status) else _unseen(reply)

    async def _delivered(self, expect: Expect, rng: Random) -> Finding:
        names = self._members()
        if len(names) < 2:
            return judge_share(expect, 0, 0, "messages delivered: nobody is in the ring with another")
        pairs = [rng.sample(names, 2) for _ in range(FAULT.probes)]
        sends = [
            Send(target=target, payload=_PROBE, via=via, timeout=FAULT.probe_timeout) for via, target in pairs
        ]
        replies = await asyncio.gather(*map(self._orchestrator.carry_out, sends))
        right = sum(isinstance(reply, SendResult) and reply.status == "delivered" for reply in replies)
        return judge_share(expect, right, len(pairs), "messages delivered")

    async def _lookups(self, expect: Expect, rng: Random) -> Finding:
        names = self._members()
        if not names:
            return judge_share(expect, 0, 0, "lookups right: nobody is in the ring")
        questions = [
            Lookup(value=rng.randbytes(_PLACE_BYTES).hex(), via=rng.choice(names))
            for _ in range(FAULT.probes)
        ]
        replies = await asyncio.gather(*map(self._orchestrator.carry_out, questions))
        right = sum(isinstance(reply, LookupResult) and reply.right for reply in replies)
        return judge_share(expect, right, len(questions), "lookups right")

    async def _broadcast(self, expect: Expect, rng: Random) -> Finding:
        names = self._members()
        if len(names) < 2:
            return judge_share(expect, 0, 0, "peers reached: nobody is in the ring with another")
        command = SendToAll(payload=_PROBE, via=rng.choice(names), timeout=FAULT.probe_timeout)
        reply = await self._orchestrator.carry_out(command)
        if not isinstance(reply, BroadcastResult):
            return _unseen(reply)
        return judge_share(expect, min(reply.reached, reply.expected), reply.expected, "peers reached")

    def _members(self) -> list[str]:
        return [member.name for member in self._swarm.joined()]


def _unseen(reply: AnyReply) -> Finding:
    """The swarm could not be asked, so what was expected of it does not hold."""
    return Finding(held=False, found=reply.reason if isinstance(reply, Refused) else f"answered {reply!r}")
