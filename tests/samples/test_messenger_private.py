"""Private messages to somebody whose address changes meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, cast

from samples.chat.private import KNOCKS, Fate, Post
from samples.chat.wire import Knock, Whispered, encode

BOB = "b" * 64
HELLO = Whispered("alice", "hello")


class Record(NamedTuple):
    address: str
    name: str = "bob"
    peer_id: str = BOB


class Settled(NamedTuple):
    delivered: bool
    peer_id: str
    reason: str = "timed out"

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class Moving:
    """A peer for whom the directory says these addresses of bob, one after the other; he is at the last that there is."""

    def __init__(self, *addresses: str, at: str) -> None:
        self._addresses = list(addresses)
        self._at = at
        self.sent: list[tuple[str, bytes]] = []

    async def resolve(self, name: str, timeout: float) -> Record:
        return Record(self._addresses.pop(0) if len(self._addresses) > 1 else self._addresses[0])

    def send(self, address: str, data: bytes, **how: object) -> Settled:
        self.sent.append((address, data))
        return Settled(address == self._at, BOB if address == self._at else "")


async def sent_by(peer: Moving) -> Fate:
    return await Post(cast(Any, peer)).send("bob", HELLO)


async def test_whoever_is_not_where_the_directory_said_is_looked_for_again() -> None:
    peer = Moving("@hidden", "44.128.77.1:6000", at="44.128.77.1:6000")
    assert await sent_by(peer) == Fate("", BOB)
    assert peer.sent == [
        ("@hidden", encode(Knock())),
        ("44.128.77.1:6000", encode(Knock())),
        ("44.128.77.1:6000", encode(HELLO)),
    ]


async def test_whoever_is_nowhere_is_sent_nothing_and_given_up() -> None:
    peer = Moving("@hidden", at="")
    assert await sent_by(peer) == Fate("timed out")
    assert peer.sent == [("@hidden", encode(Knock()))] * KNOCKS
