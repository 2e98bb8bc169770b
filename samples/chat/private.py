"""Private messages: to the owner of a name, and to nobody else."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from cicada.aio import NameRecord, Receipt, SwarmPeer
from cicada.errors import CicadaError
from samples.chat.wire import Knock, Whispered, encode

RESOLVE_S: Final = 8.0
SEND_S: Final = 15.0
KNOCK_S: Final = 5.0  # as long as the library remembers whose a name is, and where
KNOCKS: Final = 3  # whose router has just mapped a port is where it was for a moment still
PROVEN_S: Final = 60.0
PROVEN: Final = 256


class Fate(NamedTuple):
    """What became of a message: why it failed, or empty; and who got it."""

    problem: str
    peer_id: str = ""


class Post:
    """Sends private messages of one peer, to each name in the order in which they were given."""

    def __init__(self, peer: SwarmPeer) -> None:
        self._peer = peer
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._proven: dict[tuple[str, str], float] = {}

    async def send(self, to: str, message: Whispered) -> Fate:
        """Returns when the fate is known."""
        turn = self._turns.setdefault(to, asyncio.Lock())
        try:
            async with turn:
                record, problem = await self._find(to)
                if record is None:
                    return Fate(problem)
                receipt = self._peer.send(record.address, encode(message), timeout=SEND_S, ordered=True)
            await receipt
        except CicadaError as error:
            return Fate(str(error))
        return Fate(problem_of(receipt, record), receipt.peer_id)

    async def _find(self, name: str) -> tuple[NameRecord | None, str]:
        """The record of a name whose owner has proven that it is there; otherwise why not. Nothing was sent to it yet, so it is
        looked for again when it may have moved."""
        problem = ""
        for _ in range(KNOCKS):
            record = await self._peer.resolve(name, timeout=RESOLVE_S)
            if record is None:
                return None, f"nobody here is called {name}"
            problem = await self._prove(record)
            if not problem:
                return record, ""
        return None, problem

    async def _prove(self, record: NameRecord) -> str:
        """Have the peer at the owner's address prove that it is the owner, before it is sent anything; why not, or empty. After
        that the address has its key pinned, so nobody else there gets what follows."""
        now = asyncio.get_running_loop().time()
        who = (record.address, record.peer_id)
        if now - self._proven.get(who, float("-inf")) < PROVEN_S:
            return ""
        receipt = self._peer.send(record.address, encode(Knock()), timeout=KNOCK_S, ordered=True)
        await receipt
        problem = problem_of(receipt, record)
        if not problem:
            self._proven.pop(who, None)
            self._proven[who] = now
            if len(self._proven) > PROVEN:
                del self._proven[next(iter(self._proven))]
        return problem


def problem_of(receipt: Receipt, record: NameRecord) -> str:
    """Why a message to the owner of a name failed, in words; empty when the owner has it."""
    if not receipt.delivered:
        return receipt.reason or "not delivered"
    if receipt.peer_id != record.peer_id:
        return f"the peer at {record.address} is not the owner of the name {record.name}"
    return ""
