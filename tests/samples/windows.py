"""Messengers on the loop of a test: windows that Pilot drives, on real peers on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from textual.pilot import Pilot
from textual.widgets import Input, RichLog, Static

from cicada.aio import SwarmPeer
from samples.chat.app import Messenger
from samples.chat.carrier import Carrier
from samples.chat.limits import ChatLimits
from samples.chat.view import line_text
from tests.peer.swarm import PATIENCE_S, eventually

GENERAL: Final = "#general"
QUICK: Final = ChatLimits(announce=1.0, answer=0.2, again=0.5)


class Window:
    """One user's messenger, and what the user sees of it."""

    def __init__(self, peer: SwarmPeer, app: Messenger, pilot: Pilot[None], carrier: Carrier) -> None:
        self.peer = peer
        self.app = app
        self.pilot = pilot
        self.chat = carrier.chat

    async def types(self, *lines: str) -> None:
        """Each line, and Enter."""
        for line in lines:
            self.app.query_one("#input", Input).value = line
            await self.pilot.press("enter")

    @property
    def input(self) -> str:
        """What stands in the input line."""
        return self.app.query_one("#input", Input).value

    def lines(self, key: str | None = None) -> list[str]:
        """Of a conversation, the shown one by default, without the time of day."""
        talk = self.chat.talks.current if key is None else self.chat.talks[key]
        return [line_text(line, lambda _: "").plain.strip() for line in talk.lines]

    def screen(self) -> str:
        """All that is drawn in the log, the panel and the status line."""
        drawn = [strip.text for strip in self.app.query_one("#log", RichLog).lines]
        sides = [str(self.app.query_one(part, Static).render()) for part in ("#side", "#status")]
        return "\n".join([*drawn, *sides])

    async def sees(self, text: str) -> None:
        """Returns once the text is drawn."""
        await self.until(lambda: text in self.screen(), f"{text!r} to be drawn")

    async def reads(self, line: str, key: str | None = None) -> None:
        """Returns once the conversation has that line."""
        await self.until(
            lambda: key in {None, *self._keys()} and line in self.lines(key), f"the line {line!r}"
        )

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Returns once the condition holds."""

        async def holds() -> bool:
            return condition()

        await eventually(holds, f"{what}, {self.chat.name} has {self.screen()}")

    def _keys(self) -> set[str]:
        return {talk.key for talk in self.chat.talks}


@asynccontextmanager
async def window(
    name: str,
    *seeds: tuple[str, int],
    channels: Sequence[str] = (GENERAL,),
    limits: ChatLimits = QUICK,
) -> AsyncIterator[Window]:
    """A messenger with a window of 80 x 24."""
    peer = SwarmPeer("127.0.0.1", 0)
    try:
        carrier = Carrier(peer, name, Random(name), limits, seeds=seeds, channels=channels)
        app = Messenger(carrier, limits)
        async with app.run_test(size=(80, 24)) as pilot:
            yield Window(peer, app, pilot, carrier)
    finally:
        await peer.close()


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Window, Window]]:
    """Alice and bob, who see and have verified each other."""
    async with window("alice") as alice, window("bob", alice.peer.listener) as bob:
        await alice.reads("* bob is here", GENERAL)
        await bob.reads("* alice is here", GENERAL)
        yield alice, bob


@asynccontextmanager
async def stranger(member: Window) -> AsyncIterator[SwarmPeer]:
    """A plain peer in the swarm of a member."""
    async with SwarmPeer("127.0.0.1", 0) as peer:
        await peer.connect(member.peer.listener, timeout=PATIENCE_S)
        yield peer
