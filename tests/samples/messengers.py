"""Messengers on real terminals, and people who use them."""

from __future__ import annotations

import re
import sys
from typing import Final

from tests.nat.lab import Host
from tests.samples.terminals import PATIENCE, Server

GENERAL: Final = "#general"
_BORDER: Final = "│"
_CURRENT: Final = re.compile(r"\x1b\[(?:\d+;)*7m(?:\x1b\[[\d;]*m)* *\d+ ([^\s\x1b]+)")  # in reverse


class Person:
    """Somebody at a terminal with a messenger on it."""

    def __init__(
        self,
        server: Server,
        name: str,
        bind: str,
        *,
        join: str = "",
        channel: str = GENERAL,
        host: Host | None = None,
    ) -> None:
        seeds = ("--join", join) if join else ()
        words = ("--name", name, "--bind", bind, *seeds, "--channel", channel)
        self.name = name
        self.terminal = server.open(name, sys.executable, "samples/messenger.py", *words, host=host)

    def enters(self, line: str) -> None:
        """Types a line, and Enter."""
        self.terminal.enter(line)

    def turns_to(self, title: str) -> None:
        """Waits until there is a conversation of this title, and looks at it, with the key of its number."""
        side = self.terminal.until(lambda screen: bool(_number(screen, title)), f"conversation {title}")
        self.terminal.press(f"F{_number(side, title)}")
        self.terminal.until(lambda _: _current(self.terminal.coloured()) == title, f"{title} chosen")

    def sees(self, *texts: str) -> None:
        """Waits until these are in the conversation that is shown."""
        self.terminal.until(lambda screen: all(text in log(screen) for text in texts), f"{texts}")

    def sees_here(self, *names: str, seconds: float = PATIENCE) -> None:
        """Waits until the side panel says that these are here, with verified names, and nobody else."""
        self.terminal.until(lambda screen: here(screen) == sorted(names), f"{names} here", seconds)

    def conversations(self) -> dict[str, str]:
        """What is to be read in each conversation, by its title."""
        found = {}
        for _, title in _conversations(self.terminal.screen()):
            self.turns_to(title)
            found[title] = log(self.terminal.screen())
        return found


def log(screen: str) -> str:
    """What a screen shows of its conversation, as one line."""
    lines = [line.partition(_BORDER)[0] for line in screen.splitlines() if _BORDER in line]
    return " ".join(" ".join(lines).split())


def here(screen: str) -> list[str]:
    """Who a screen says is here, sorted; a name that is not verified has its question mark."""
    side = _side(screen)
    if not any(line.startswith("here:") for line in side):
        return []
    first = next(index for index, line in enumerate(side) if line.startswith("here:"))
    return sorted(line.strip().removesuffix(" (you)") for line in side[first + 1 :] if line.strip())


def _side(screen: str) -> list[str]:
    return [line.partition(_BORDER)[2] for line in screen.splitlines() if _BORDER in line]


def _number(screen: str, title: str) -> str:
    return next((number for number, found in _conversations(screen) if found == title), "")


def _current(coloured: str) -> str:
    """The title of the conversation that is shown."""
    found = _CURRENT.search(coloured)
    return found[1] if found else ""


def _conversations(screen: str) -> list[tuple[str, str]]:
    """Number and title of each."""
    matches = (re.match(r" *(\d+) (\S+)", line) for line in _side(screen))
    return [(match[1], match[2]) for match in matches if match]
