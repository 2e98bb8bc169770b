"""Copies in a swarm of real peers: seen at every Router that they pass."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from cicada.aio import SwarmPeer
from cicada.ids import Address, place_to_bytes
from cicada.routing.io import Fate
from cicada.wire.routed import Data
from tests.peer.encrypted import SeenRouter, encrypted, seen_routers
from tests.peer.swarm import PATIENCE_S, eventually, proven

__all__ = ["seen_routers"]

PEERS = int(os.environ.get("CICADA_PATHS", "40"))
SIX = 6
WAVE = 20
pytestmark = [pytest.mark.usefixtures("seen_routers"), pytest.mark.prove]


def passed(peers: Sequence[SwarmPeer], origin: Address) -> dict[int, Counter[int]]:
    """For each message of ``origin``, by its counter: how often copies that were for somebody else came to a peer, as
    (number of copies a peer saw) to (number of peers)."""
    seen: dict[int, Counter[int]] = defaultdict(Counter)
    for peer in peers:
        assert peer._hosted is not None
        own = peer._hosted.peer
        relayed: dict[int, set[int]] = defaultdict(set)
        for message in SeenRouter.by_address[own.address].seen:
            if not isinstance(message, Data) or message.target == place_to_bytes(own.place):
                continue
            if message.origin == origin:
                relayed[message.counter].add(message.copy)
        for counter, copies in relayed.items():
            seen[counter][len(copies)] += 1
    return seen


@asynccontextmanager
async def grown(count: int) -> AsyncIterator[list[SwarmPeer]]:
    """A proven ring, joined wave by wave: so many at once would take each other's time."""
    peers = [encrypted() for _ in range(count)]
    try:
        for start in range(1, count, WAVE):
            wave = peers[start : start + WAVE]
            await asyncio.gather(*(peer.connect(peers[0], timeout=PATIENCE_S) for peer in wave))
        await proven(peers)
        yield peers
    finally:
        for peer in peers:
            peer.kill()
        await asyncio.gather(*(peer._hosted.gone for peer in peers if peer._hosted is not None))


async def test_six_copies_of_a_message_pass_relays_of_which_none_has_two() -> None:
    async with grown(PEERS) as peers:
        sender, *others = peers
        assert sender._hosted is not None
        targets = others[:: max(1, PEERS // 20)]
        await asyncio.gather(*(sender.send(target, b"first contact") for target in targets))
        receipts = await asyncio.gather(
            *(sender.send(target, b"six", duplicates=SIX - 1) for target in targets)
        )
        assert {receipt.attempts for receipt in receipts if receipt.delivered} == {1}

        async def all_are_traced() -> bool:
            return all(copy.fate is Fate.INTACT for receipt in receipts for copy in receipt.copies)

        await eventually(all_are_traced, "word of every copy")
        assert all(len(receipt.copies) == SIX for receipt in receipts)
        apart = [receipt for receipt in receipts if receipt.disjoint]
        assert len(apart) >= len(receipts) // 2  # of 40 peers, of which a colour has six or seven
        assert all(len({copy.via for copy in receipt.copies}) == SIX for receipt in apart)
        visits = passed(peers, sender._hosted.peer.address)
        for earlier in sorted(visits)[: -len(receipts)]:
            del visits[earlier]  # of first contacts, which a busy machine may have tried again
        crossed = sum(any(copies > 1 for copies in counted) for counted in visits.values())
        assert crossed <= len(receipts) - len(apart), "only where the receipt says so"
