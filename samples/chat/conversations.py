"""What was said, in channels, in private, and by the messenger itself."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from samples.chat.limits import ChatLimits
from samples.chat.names import Standing

HOME: Final = "*"
"""The key of the messenger's own conversation. Those of channels begin with ``#``, private ones with ``@``."""


class Kind(enum.Enum):
    """What a line is."""

    SAID = "said"
    OWN = "own"
    NOTICE = "notice"
    PROBLEM = "problem"


class Line(msgspec.Struct):
    """One line. ``mark``: what became of an own one: ``sending``, ``sent``, ``delivered``, or ``failed`` with why."""

    at: float
    kind: Kind
    text: str
    name: str = ""
    peer_id: str = ""
    standing: Standing = Standing.UNKNOWN
    number: int = 0
    mark: str = ""


class Conversation:
    """A log of bounded length. ``version`` changes when a line changes, ``count`` when one is added."""

    def __init__(self, key: str, lines: int) -> None:
        self.key = key
        self.lines: deque[Line] = deque(maxlen=lines)
        self.count = 0
        self.version = 0
        self.unread = 0
        self.peer_id = ""
        """Of a private one: with whom it was until now."""

    def add(self, line: Line) -> None:
        """Append it."""
        self.lines.append(line)
        self.count += 1

    def settle(self, number: int, mark: str) -> bool:
        """Mark the own line of that number; whether it is here."""
        for line in self.lines:
            if line.number == number:
                line.mark = mark
                self.version += 1
                return True
        return False

    def judge(self, name: str, standing: dict[str, Standing]) -> None:
        """It is known now who of these peers has the name: lines that waited for it change."""
        for line in self.lines:
            if line.name == name and line.standing is Standing.UNKNOWN:
                line.standing = standing.get(line.peer_id, Standing.UNKNOWN)
                self.version += line.standing is not Standing.UNKNOWN


class Conversations:
    """All of them, in the order in which they were opened; one is shown."""

    def __init__(self, limits: ChatLimits) -> None:
        self._limits = limits
        self._all: dict[str, Conversation] = {HOME: Conversation(HOME, limits.lines)}
        self.current = self._all[HOME]

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self._all.values())

    def __contains__(self, key: str) -> bool:
        return key in self._all

    def __getitem__(self, key: str) -> Conversation:
        return self._all[key]

    def open(self, key: str) -> Conversation | None:
        """The one with this key. When there are too many, the private one that was opened first and has nothing unread is
        forgotten; None when there is none of that kind."""
        if key not in self._all:
            if len(self._all) >= self._limits.conversations and not self._make_room():
                return None
            self._all[key] = Conversation(key, self._limits.lines)
        return self._all[key]

    def show(self, key: str) -> None:
        """Let it be the current one."""
        self.current = self._all[key]
        self.current.unread = 0

    def turn(self, by: int) -> None:
        """Let the one that is so many further be the current one."""
        keys = list(self._all)
        self.show(keys[(keys.index(self.current.key) + by) % len(keys)])

    def choose(self, index: int) -> None:
        """Let the one at this place be the current one, if there is one."""
        keys = list(self._all)
        if 0 <= index < len(keys):
            self.show(keys[index])

    def close(self, key: str) -> None:
        """Forget it."""
        if self.current.key == key:
            self.turn(-1)
        del self._all[key]

    def add(self, key: str, line: Line) -> None:
        """Append to that conversation, or to the messenger's own when it is not there."""
        conversation = self._all.get(key) or self._all[HOME]
        conversation.add(line)
        if conversation is not self.current and line.kind in (Kind.SAID, Kind.PROBLEM):
            conversation.unread += 1

    def _make_room(self) -> bool:
        for key, conversation in self._all.items():
            if key.startswith("@") and not conversation.unread and conversation is not self.current:
                del self._all[key]
                return True
        return False
