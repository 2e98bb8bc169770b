"""A worker's part of a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from cicada.bus.publisher import Publisher
from cicada.limits import BUS
from launcher.protocol import AnyWorkerCommand, AnyWorkerReply, HostingCommand, PartTold, TellPart


class PartTeller:
    """Answers TellPart in a worker, and leaves all other commands to ``carry_out``."""

    def __init__(
        self, publisher: Publisher, carry_out: Callable[[HostingCommand], Awaitable[AnyWorkerReply]]
    ) -> None:
        self._publisher = publisher
        self._carry_out = carry_out

    async def carry_out(self, command: AnyWorkerCommand) -> AnyWorkerReply:
        """Do what the launcher asks."""
        if not isinstance(command, TellPart):
            return await self._carry_out(command)
        await heard(self._publisher, command.heard)
        return PartTold(part=self._publisher.part())


async def heard(publisher: Publisher, subscriptions: Iterable[bytes]) -> None:
    """Wait until the publisher knows of these subscriptions, BUS.hear seconds at most."""
    await asyncio.gather(*(publisher.heard(each, BUS.hear) for each in subscriptions))
