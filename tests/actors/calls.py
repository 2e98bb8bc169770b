"""A small family of commands and replies, and an exported actor that speaks it; also as a program of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from cicada.actors.loop import LoopActor, LoopDispatcher
from cicada.actors.remote import RemoteCall, export


class Add(msgspec.Struct, frozen=True, tag=True):
    """Answer with the sum."""

    a: int
    b: int


class Later(msgspec.Struct, frozen=True, tag=True):
    """Answer when Release comes."""


class Release(msgspec.Struct, frozen=True, tag=True):
    """Answer all Laters."""


class Fail(msgspec.Struct, frozen=True, tag=True):
    """Fail instead of answering."""


class Wrong(msgspec.Struct, frozen=True, tag=True):
    """Answer with something that is no reply."""


class Sum(msgspec.Struct, frozen=True, tag=True):
    """Answer to Add."""

    value: int


class Released(msgspec.Struct, frozen=True, tag=True):
    """Answer to Later and Release."""

    count: int


AnyCall = Add | Later | Release | Fail | Wrong
AnyAnswer = Sum | Released


class Server(LoopActor):
    """Does as its commands say, and keeps them in ``heard``."""

    def __init__(self, dispatcher: LoopDispatcher, heard: list[Any]) -> None:
        super().__init__(dispatcher)
        self.heard = heard
        self.waiting: list[RemoteCall] = []

    def on_receive(self, message: Any) -> None:
        call: RemoteCall = message
        self.heard.append(call.command)
        command: AnyCall = call.command
        match command:
            case Add(a=a, b=b):
                call.reply(Sum(a + b))
            case Later():
                self.waiting.append(call)
            case Release():
                for waiting in self.waiting:
                    waiting.reply(Released(len(self.waiting)))
                call.reply(Released(len(self.waiting)))
            case Fail():
                raise ValueError("told to fail")
            case Wrong():
                call.reply("not a reply")


class SmallServer(Server):
    """A Server with room for four messages."""

    capacity = 4


async def serve(path: str) -> None:
    """Export a Server at ``path`` until it ends; for a process of its own."""
    ref = Server.start(LoopDispatcher(), [])
    with export(ref, path, commands=AnyCall, replies=AnyAnswer):
        print("ready", flush=True)
        while ref.is_alive():
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
