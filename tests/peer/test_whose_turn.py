"""A record of ``logging`` can be given to the peer and the actor whose turn it was."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from cicada.actors.family import InjectCrash, Kind
from cicada.actors.host import Host, whose_turn
from cicada.actors.hosted import HostedPeer
from cicada.actors.settings import Settings

PATIENCE = 10.0


class Ear(logging.Handler):
    """Asks for each record of the library whose turn it is."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.put_nowait(whose_turn())

    async def next(self) -> tuple[str, str]:
        return await asyncio.wait_for(self.heard.get(), PATIENCE)


@pytest.fixture
def ear() -> Iterator[Ear]:
    listening = Ear()
    logging.getLogger("cicada").addHandler(listening)
    yield listening
    logging.getLogger("cicada").removeHandler(listening)


def start(name: str) -> HostedPeer:
    return Host.current().start_peer(Settings(name=name), host="127.0.0.1", port=0)


async def end(*peers: HostedPeer) -> None:
    for peer in peers:
        peer.end("stopped")
        await asyncio.wait_for(peer.gone, PATIENCE)


@pytest.mark.parametrize("kind", list(Kind))
async def test_what_an_actor_logs_is_its_peers_and_its_own(ear: Ear, kind: Kind) -> None:
    peers = start("core-1"), start("core-2")
    for peer, name in zip(peers, ("core-1", "core-2"), strict=True):
        peer.tell(InjectCrash(kind))
        assert await ear.next() == (name, kind.value)
    await end(*peers)


async def test_what_a_peers_supervisor_logs_is_the_peers_too(ear: Ear) -> None:
    peer = start("core-1")
    peer.tell("nothing that it knows")
    assert await ear.next() == ("core-1", "supervisor")
    await end(peer)


async def test_between_turns_and_on_other_threads_it_is_nobodys(ear: Ear) -> None:
    peer = start("core-1")
    peer.tell(InjectCrash(Kind.RING))
    await ear.next()
    assert whose_turn() == ("", "")
    assert await asyncio.to_thread(whose_turn) == ("", "")
    await end(peer)


def test_without_a_loop_it_is_nobodys() -> None:
    assert whose_turn() == ("", "")
