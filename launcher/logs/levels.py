"""From which level on each peer and each of its actors is logged. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from launcher.logs.records import Level, level_named


class LevelSetting(msgspec.Struct, frozen=True):
    """Log ``name`` (a peer or a process) from ``level`` on; with an ``actor``, that one of its actors only."""

    name: str
    level: str
    actor: str = ""


class Levels:
    """The levels in force. Where nothing was set the default holds."""

    def __init__(self, default: Level) -> None:
        self._default = default
        self._set: dict[str, dict[str, Level]] = {}
        self.floor = default
        """Below this nobody is logged, so that most events need one comparison."""

    def set(self, settings: Iterable[LevelSetting]) -> None:
        """Carry out the settings in order. One for a whole peer takes back those for its actors."""
        for setting in settings:
            if not setting.actor:
                self._set[setting.name] = {}
            self._set.setdefault(setting.name, {})[setting.actor] = level_named(setting.level)
        chosen = (level for actors in self._set.values() for level in actors.values())
        self.floor = min(chosen, default=self._default)
        self.floor = min(self.floor, self._default)

    def wants(self, name: str, actor: str, level: Level) -> bool:
        """Whether a record of this level is logged."""
        actors = self._set.get(name)
        if actors is None:
            return level >= self._default
        return level >= actors.get(actor, actors.get("", self._default))

    def settings(self) -> tuple[LevelSetting, ...]:
        """What was set so far, as settings that make it so again."""
        return tuple(
            LevelSetting(name, level.word, actor)
            for name, actors in self._set.items()
            for actor, level in sorted(actors.items())
        )
