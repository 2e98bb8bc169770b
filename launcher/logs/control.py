"""What is logged of whom, changed while the swarm runs."""

from __future__ import annotations

from collections import defaultdict

from cicada.commands import SetLogLevel
from cicada.limits import LAUNCHER
from launcher.logs.book import LogBook
from launcher.logs.levels import Levels, LevelSetting
from launcher.logs.records import Level
from launcher.protocol import Report, SetLevels
from launcher.selectors import EVERYONE, Selection
from launcher.swarm import Problems, Swarm

_GREETING = "log levels"


class LogLevels:
    """Tells workers, and their next lives when they die. ``own`` is the launcher's log."""

    def __init__(self, swarm: Swarm, own: LogBook) -> None:
        self._swarm = swarm
        self._own = own
        self._set: defaultdict[str, Levels] = defaultdict(lambda: Levels(Level.INFO))

    async def set(self, command: SetLogLevel, selection: Selection) -> Problems:
        """Carry the command out for what it selected; returns for which workers that failed."""
        pool = self._swarm.pool
        everyone = command.select == EVERYONE
        hosted: dict[str, list[str]] = {
            name: [name] for name in (pool.names if everyone else selection.workers)
        }
        for name in selection.peers:
            hosted.setdefault(self._swarm.roster[name].worker, []).append(name)
        if everyone:
            self._own.set_levels([LevelSetting(self._own.source, command.level, command.actor)])
        orders = {}
        for worker, names in hosted.items():
            settings = tuple(LevelSetting(name, command.level, command.actor) for name in names)
            self._set[worker].set(settings)
            pool.greet(worker, _GREETING, SetLevels(settings=self._set[worker].settings()))
            if pool.pid(worker):
                orders[worker] = SetLevels(settings=settings)
        replies = await pool.ask_each(orders, Report, LAUNCHER.report_grace)
        return {worker: str(reply) for worker, reply in replies.items() if not isinstance(reply, Report)}
