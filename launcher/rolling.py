"""A restart wave by wave, with the ring proven before each: what an update of a running swarm looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from cicada.commands import Done, Restart
from cicada.errors import CicadaError, Misuse
from cicada.events import AnyEvent, WaveRestarted
from cicada.limits import LAUNCHER
from launcher.monitor import Monitor
from launcher.roster import Member
from launcher.swarm import Swarm
from launcher.waves import rolling_waves

Publish = Callable[[str, AnyEvent], None]


class RollingRestart:
    """Other changes may come between two waves, but not into one."""

    def __init__(self, swarm: Swarm, monitor: Monitor, publish: Publish) -> None:
        self._swarm = swarm
        self._monitor = monitor
        self._publish = publish
        self._under_way = False

    async def restart(self, members: Sequence[Member], command: Restart) -> Done:
        """Restart the members. Raises Misuse when another one is under way or the numbers cannot be meant, CicadaError
        when the ring is not proven in time, naming the wave and who was left alone."""
        if command.at_once < 0 or command.timeout <= 0:
            raise Misuse("a rolling restart needs at least 1 peer at once and more than 0 s for the proof")
        if self._under_way:
            raise Misuse("a rolling restart is under way: wait for its end")
        self._under_way = True
        try:
            return await self._restart(members, command)
        finally:
            self._under_way = False

    async def _restart(self, members: Sequence[Member], command: Restart) -> Done:
        at_once = command.at_once or ceil(len(members) * LAUNCHER.rolling_share)
        by_peer = {member.peer: member for member in members}
        waves = [[by_peer[peer] for peer in wave] for wave in rolling_waves(by_peer, at_once)]
        await self._prove(command.timeout, "before the first wave", waves)
        for number, wave in enumerate(waves, 1):
            async with self._swarm.changes:
                problems = await self._swarm.restart(wave)
            names = tuple(member.name for member in wave)
            self._publish("", WaveRestarted(wave=number, waves=len(waves), peers=names))
            where = f"after wave {number} of {len(waves)} ({', '.join(names)})"
            if problems:
                first = next(f"{name}: {problem}" for name, problem in problems.items())
                raise CicadaError(
                    f"{where}: {len(problems)} did not come back: {first}{_rest(waves[number:])}"
                )
            await self._prove(command.timeout, where, waves[number:])
        return Done(peers=tuple(member.name for member in members))

    async def _prove(self, timeout: float, where: str, left: Sequence[Sequence[Member]]) -> None:
        verdict = await self._monitor.prove(timeout)
        if not verdict.proven:
            raise CicadaError(
                f"the ring was not proven within {timeout:g} s {where}: {verdict.in_words()}{_rest(left)}"
            )


def _rest(waves: Sequence[Sequence[Member]]) -> str:
    left = sum(len(wave) for wave in waves)
    return f"; {left} peers were not restarted" if left else ""
