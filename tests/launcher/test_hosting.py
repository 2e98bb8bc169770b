"""What a worker does with a peer that ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from cicada.aio import HostPort, Message, SwarmPeer
from launcher.hosting import WorkerPeer


class EndedPeer:
    """A peer that has ended with mail in its mailbox, which can still be taken."""

    async def __aiter__(self) -> AsyncIterator[Message]:
        for number in range(3):
            yield Message(
                source=HostPort("127.0.0.1", 9), data=b"", more=False, id=number, kind="message", hops=1
            )


async def test_mail_that_was_acknowledged_is_read_before_an_ended_peer_is_forgotten() -> None:
    read: list[tuple[str, int]] = []
    hosted = WorkerPeer(
        "core-1", cast(SwarmPeer, EndedPeer()), lambda name, message: read.append((name, message.id))
    )
    await hosted.end()
    assert read == [("core-1", 0), ("core-1", 1), ("core-1", 2)]
