"""The same on an event loop: python samples/hello_async.py"""

import asyncio

from cicada import aio


async def main() -> None:
    async with aio.SwarmPeer() as a, aio.SwarmPeer() as b:
        a.bind()
        b.bind()
        await b.connect(a.listener)
        receipt = await a.send(b, "hello!")
        print(receipt.status, (await b.recv(timeout=5)).data)


asyncio.run(main())
