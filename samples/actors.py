"""Your own supervised actors in two processes. ``python samples/actors.py`` is a shop, and starts its warehouse itself.

The shop's actor is told what its peer receives and asks the warehouse, an actor of another process. The warehouse is killed in the
middle; its successor goes on.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from cicada.actors import (
    BlockingActor,
    Child,
    GuardedRef,
    LastingRef,
    LoopActor,
    RemoteCall,
    Supervisor,
    export,
)
from cicada.aio import Message, SwarmPeer
from cicada.errors import Unavailable


class Take(msgspec.Struct, frozen=True, tag=True):
    """A command to the warehouse: hand out one of these."""

    thing: str


class Taken(msgspec.Struct, frozen=True, tag=True):
    """Its reply: how many it has handed out."""

    count: int


class Warehouse(LoopActor):
    """Runs beside a peer, on its event loop. From another process it is told RemoteCall."""

    def __init__(self, peer: SwarmPeer) -> None:
        super().__init__(peer.dispatcher)
        self.count = 0

    def on_receive(self, message: RemoteCall) -> None:
        self.count += 1
        message.reply(Taken(self.count))


class Till(BlockingActor):
    """Runs on a thread of its own and may block. It fails at a bad order, and its successor is told the order again."""

    def __init__(
        self, orders: asyncio.Queue[str], loop: asyncio.AbstractEventLoop, burnt: list[bytes]
    ) -> None:
        super().__init__()
        self.orders = orders
        self.loop = loop
        self.burnt = burnt

    def on_receive(self, message: Message) -> None:
        if message.data == b"fire" and not self.burnt:
            self.burnt.append(message.data)
            raise RuntimeError("the till is on fire")
        self.loop.call_soon_threadsafe(self.orders.put_nowait, message.data.decode())


async def warehouse(path: str) -> None:
    """The second process, until it is killed."""
    async with SwarmPeer("127.0.0.1", 0) as peer:
        family = await peer.supervise(Supervisor(Child("warehouse", lambda: Warehouse.start(peer))))
        with export(family.ref("warehouse"), path, commands=Take, replies=Taken):
            await family.ended()


async def shop(path: str) -> None:
    """The first process: three orders come through the swarm, and each is fetched from the warehouse."""
    orders: asyncio.Queue[str] = asyncio.Queue()
    burnt: list[bytes] = []
    loop = asyncio.get_running_loop()
    async with SwarmPeer("127.0.0.1", 0) as peer, SwarmPeer("127.0.0.1", 0) as customer:
        await customer.connect(peer)

        def start_till() -> GuardedRef[Till]:
            ref = Till.start(orders, loop, burnt)
            peer.subscribe(ref)
            return ref

        family = await peer.supervise(Supervisor(Child("till", start_till)))
        second = start_warehouse(path)
        try:
            async with LastingRef[Take, Taken](path, commands=Take, replies=Taken, what="warehouse") as ref:
                for thing in ("tea", "fire", "bread"):
                    await customer.send(peer, thing)
                    order = await orders.get()
                    print(f"{order}: number {(await ref.ask(Take(order), timeout=20.0)).count}")
                second.kill()
                second.wait()
                second = start_warehouse(path)
                print(f"again: number {(await fetch(ref, Take('salt'))).count}")
        finally:
            second.kill()
            second.wait()
        print(f"the till was restarted {family.restarts} time(s), the warehouse met in {ref.lives} lives")


async def fetch(ref: LastingRef[Take, Taken], command: Take) -> Taken:
    """Ask, and again when the warehouse ended before it answered: to take twice does no harm here."""
    while True:
        try:
            return await ref.ask(command, timeout=20.0)
        except Unavailable as error:
            print(error)


def start_warehouse(path: str) -> subprocess.Popen[bytes]:
    """The second process."""
    return subprocess.Popen([sys.executable, __file__, path])  # noqa: S603  itself


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(warehouse(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(shop(str(Path(folder) / "warehouse")))
