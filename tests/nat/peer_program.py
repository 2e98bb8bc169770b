"""A peer inside a host of the lab: ``python -m tests.nat.peer_program IP [PORT] [--any] [--no-mapping]``.

It prints what happens to it as lines of JSON, and takes commands as lines of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from msgspec import to_builtins

from cicada.aio import SwarmPeer
from cicada.errors import CicadaError
from cicada.events import AddressChanged, AnyEvent, PortMapped, PortMappingFailed, PortMappingLost

TOLD = (AddressChanged, PortMapped, PortMappingFailed, PortMappingLost)


def say(what: str, **facts: Any) -> None:
    print(json.dumps({"said": what, **facts}), flush=True)


def observe(name: str, event: AnyEvent) -> None:
    if isinstance(event, TOLD):
        say(type(event).__name__, **{k: v for k, v in to_builtins(event).items() if k != "type"})


async def receive(peer: SwarmPeer) -> None:
    async for message in peer:
        say("received", source=message.source.host, data=message.data.decode(), trust=message.trust)


async def obey(peer: SwarmPeer, command: dict[str, Any]) -> None:
    if command["do"] == "connect":
        try:
            await peer.connect(command["seed"])
        except CicadaError as error:
            say("not-connected", why=str(error))
        else:
            say("connected", address=peer.address)
        return
    receipt = peer.send(command["to"], command["data"], timeout=command.get("timeout", 10.0))
    await receipt
    say(
        "settled",
        data=command["data"],
        status=receipt.status,
        why=str(receipt.reason or ""),
        attempts=receipt.attempts,
    )


async def commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ip")
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("--no-mapping", action="store_true")
    parser.add_argument("--any", action="store_true", help="bind to every interface")
    options = parser.parse_args()
    peer = SwarmPeer(identity="ephemeral", publish=observe, map_ports=not options.no_mapping)
    peer.bind("0.0.0.0" if options.any else options.ip, options.port)
    say("bound", address=peer.address)
    reader = await commands()
    async with peer:
        tasks = {asyncio.create_task(receive(peer))}
        while line := await reader.readline():
            task = asyncio.create_task(obey(peer, json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
