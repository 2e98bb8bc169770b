"""A message past relays that drop and alter: python samples/multipath.py

Twenty peers in this process, of which four alter whatever they relay and four drop it. Four copies of each message leave on
paths that share no relay, each of another colour; one intact copy is enough. Ends with 0 when every message was delivered.
"""

import asyncio
import sys

from msgspec.structs import replace

from cicada.aio import Receipt, SwarmPeer
from cicada.limits import DELIVERY
from cicada.routing.behaviour import Behaviour

OVER_RELAYS = replace(DELIVERY, direct=False)  # peers of one process would not need any
BAD = [Behaviour("alter")] * 4 + [Behaviour("drop")] * 4
GOOD = 12
MESSAGES = 6
TRACED_WITHIN = 15.0  # seconds


async def main() -> int:
    kinds = [*BAD, *[None] * GOOD]
    peers = [SwarmPeer("127.0.0.1", 0, delivery=OVER_RELAYS, behaviour=kind) for kind in kinds]
    try:
        *others, last = peers
        await asyncio.gather(*(peer.connect(last, timeout=30) for peer in others))
        sender, *receivers = peers[len(BAD) :]
        return await deliver(sender, receivers)
    finally:
        for peer in peers:
            peer.kill()


async def deliver(sender: SwarmPeer, receivers: list[SwarmPeer]) -> int:
    """Send all messages, then show what became of their copies; returns how many were not delivered."""
    receipts = [
        sender.send(receiver, f"message {number}", duplicates=3, timeout=20)
        for number, receiver in enumerate(receivers[:MESSAGES], 1)
    ]
    for number, receipt in enumerate(receipts, 1):
        await receipt
        await traced(receipt)
        show(number, receipt)
    return sum(not receipt.delivered for receipt in receipts)


async def traced(receipt: Receipt) -> None:
    """Wait for the word on the other copies: the first intact one settled the receipt. Unknown ones are lost after seconds."""
    async with asyncio.timeout(TRACED_WITHIN):
        while any(copy.fate == "pending" for copy in receipt.copies):
            await asyncio.sleep(0.05)


def show(number: int, receipt: Receipt) -> None:
    reason = f" ({receipt.reason})" if receipt.reason else ""
    print(f"message {number}: {receipt.status}{reason} over {receipt.hops} hops")
    for copy in receipt.copies:
        print(f"  attempt {copy.attempt}  colour {copy.colour}  by {copy.via:<21}  {copy.fate.value}")


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main()), 1))
