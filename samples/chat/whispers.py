"""Private messages that came: each waits until the directory has said whose the name is under which it was sent."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from cicada.errors import MalformedMessage
from samples.chat.conversations import HOME, Conversations, Kind, Line
from samples.chat.io import Direct, LookUp
from samples.chat.limits import ChatLimits
from samples.chat.names import Names, Standing
from samples.chat.text import clean, short
from samples.chat.wire import Whispered, decode_direct

_SHARE: Final = 8  # one sender has that part of the places at most


class Whispers:
    """Shows them in ``talks``, under what ``names`` says. What was not taken is counted in ``dropped``."""

    def __init__(self, names: Names, talks: Conversations, dropped: Counter[str], limits: ChatLimits) -> None:
        self._names = names
        self._talks = talks
        self._dropped = dropped
        self._limits = limits
        self._held: deque[tuple[str, Whispered]] = deque()

    def heard(self, direct: Direct, now: float) -> list[LookUp]:
        """Something came for this peer alone."""
        try:
            message = decode_direct(direct.data)
        except MalformedMessage:
            self._dropped["malformed"] += 1
            return []
        if not isinstance(message, Whispered):
            return []
        of_sender = sum(peer_id == direct.peer_id for peer_id, _ in self._held)
        if len(self._held) >= self._limits.held or of_sender >= self._limits.held // _SHARE:
            self._dropped["private-unverified"] += 1
            return []
        self._held.append((direct.peer_id, message))
        return self.release(now)

    def release(self, now: float) -> list[LookUp]:
        """Show those of whose names there is a fresh answer; ask for the others."""
        waiting, self._held = self._held, deque()
        asked: list[LookUp] = []
        for peer_id, message in waiting:
            if self._names.is_answered(message.name, now, self._limits.fresh):
                self._show(peer_id, message, now)
            else:
                self._held.append((peer_id, message))
                asked += self._names.ask_anew(message.name, now, self._limits.fresh)
        return asked

    def meet(self, key: str, peer_id: str, now: float) -> None:
        """A private conversation is with this peer now; a name that changed hands is told."""
        talk = self._talks[key]
        if talk.peer_id not in {"", peer_id}:
            other = f"{key[1:]} is another peer now: {short(peer_id)}, before {short(talk.peer_id)}"
            self._talks.add(key, Line(now, Kind.PROBLEM, other))
        talk.peer_id = peer_id

    def _show(self, peer_id: str, message: Whispered, now: float) -> None:
        text, name = clean(message.text), message.name
        standing = self._names.standing(name, peer_id)
        if not self._names.is_known(name):  # what was known before may have changed
            standing = Standing.UNKNOWN
        if standing is Standing.FALSE:
            self._dropped["private-false-name"] += 1
            refused = f"refused a private message: {short(peer_id)} is not {name}"
            self._talks.add(HOME, Line(now, Kind.PROBLEM, refused))
        elif not text:
            self._dropped["empty"] += 1
        elif standing is Standing.UNKNOWN or self._talks.open(f"@{name}") is None:
            self._talks.add(HOME, Line(now, Kind.SAID, f"(to you alone) {text}", name, peer_id, standing))
        else:
            self.meet(f"@{name}", peer_id, now)
            self._talks.add(f"@{name}", Line(now, Kind.SAID, text, name, peer_id, standing))
