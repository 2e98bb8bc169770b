"""Whether the peers of a test are one ring: what each says of itself, compared with the sorted truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from cicada.aio import SwarmPeer
from cicada.chord.io import RingSnapshot
from cicada.errors import DeliveryTimeout
from cicada.hosts import naming
from cicada.ids import Address, Peer, is_hidden
from cicada.limits import HARNESS, RING, RingLimits
from cicada.sim.truth import Truth


class Said(msgspec.Struct, kw_only=True):
    """What a peer says of its place in the ring, as Truth compares it."""

    peer: Peer
    phase: str
    successors: tuple[str, ...]
    predecessor: str


async def wrong(peers: Sequence[SwarmPeer], ring: RingLimits = RING) -> list[Address]:
    """Which of these peers have another successor list or predecessor than one ring of all of them would give them. Hidden ones
    are no members of a ring, and never wrong."""
    members = [peer for peer in peers if not is_hidden(peer.address)]
    snapshots = await asyncio.gather(*(member.snapshot() for member in members))
    truth = Truth(ring.successors, map(_said, snapshots), naming(ring.group_hosts))
    return [peer.address for peer in truth.wrong()]


async def prove(
    peers: Callable[[], Sequence[SwarmPeer]], timeout: float = HARNESS.proof, ring: RingLimits = RING
) -> None:
    """Returns once none of them is wrong. Raises DeliveryTimeout, naming those that are, after ``timeout`` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while found := await wrong(peers(), ring):
        if loop.time() >= deadline:
            raise DeliveryTimeout(
                f"the ring is not proven after {timeout:g} s: {len(found)} of {len(peers())} peers have wrong "
                f"neighbours ({', '.join(found[:4])}): give it longer, or look at their snapshots"
            )
        await asyncio.sleep(HARNESS.look)


def _said(snapshot: RingSnapshot) -> Said:
    return Said(
        peer=snapshot.peer,
        phase=snapshot.phase,
        successors=tuple(peer.address for peer in snapshot.successors),
        predecessor="" if snapshot.predecessor is None else snapshot.predecessor.address,
    )
