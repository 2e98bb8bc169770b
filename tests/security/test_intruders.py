"""Nobody enters where they do not belong: raw attempts against a live, closed swarm, of every kind there is."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from cicada.aio import SwarmPeer
from cicada.ids import Address
from cicada.keys.identity import Identity
from cicada.keys.psks import SwarmKeys
from cicada.keys.store import ENTROPY
from cicada.limits import RingLimits
from tests.peer.swarm import eventually, proven
from tests.security.intruders import Gang, known_to

ATTEMPTS = int(os.environ.get("CICADA_INTRUDERS", "210"))
MEMBERS = 12
GROUPED = RingLimits(group_hosts=True)
TIMEOUT_S = 60 + ATTEMPTS // 10

REASONS = {
    "no swarm key": {"swarm-key"},
    "a wrong swarm key": {"swarm-key"},
    "another key at a proven place": {"unproven-key"},
    "another's X25519 key": {"record-key"},
    "an address nobody answers at": {"unanswered"},
    "a stale sequence": {"record-stale"},
    "all ports of one address": {"unanswered"},
}


@pytest.mark.sized
@pytest.mark.timeout(TIMEOUT_S)
async def test_no_intruder_enters_any_table_each_is_counted_and_messages_flow_on() -> None:
    key = ENTROPY.randbytes(32)
    identities: dict[Address, Identity] = {}
    members = [member(number, key, identities) for number in range(MEMBERS)]
    try:
        await asyncio.gather(*(peer.connect(members[0], timeout=20) for peer in members[1:]))
        await proven(members)
        await everybody_met(members)
        before = refusals(members)
        gang = Gang(members, identities, key)
        sending = asyncio.create_task(messages(members))
        tried: Counter[str] = Counter()
        for number in range(ATTEMPTS):
            kind = list(REASONS)[number % len(REASONS)]
            at = members[number // len(REASONS) % MEMBERS]
            await gang.kinds[kind](at, number).try_to_get_in()
            tried[kind] += 1
        expected: Counter[str] = Counter()
        for kind, count in tried.items():
            (reason,) = REASONS[kind]
            expected[reason] += count

        async def counted() -> bool:
            return (refusals(members) - before).total() >= ATTEMPTS

        await eventually(counted, f"{ATTEMPTS} refusals, not {refusals(members) - before}")
        assert refusals(members) - before == expected
        sending.cancel()
        outcomes = await sending
        assert outcomes.pop("delivered") > 0
        assert not outcomes, "how those ended that were not delivered"
        await proven(members)
        allowed = set(identities)
        for peer in members:
            assert known_to(await peer.snapshot()) <= allowed
    finally:
        for peer in members:
            peer.kill()


def member(number: int, key: bytes, identities: dict[Address, Identity]) -> SwarmPeer:
    """One of the members, on four hosts."""
    identity = Identity.generate(ENTROPY)
    peer = SwarmPeer(identity=identity, swarm_keys=SwarmKeys(key, (key,)), ring=GROUPED)
    host, port = peer.bind(f"127.0.0.{1 + number % 4}", 0)
    identities[Address(f"{host}:{port}")] = identity
    return peer


async def everybody_met(members: list[SwarmPeer]) -> None:
    """Every member has dialled every other: nobody can claim their places any more."""

    async def all_verified() -> bool:
        snapshots = [await peer.snapshot() for peer in members]
        return all(not s.unverified and len(s.successors) == MEMBERS - 1 for s in snapshots)

    await eventually(all_verified, "all members to prove each other")


def refusals(members: list[SwarmPeer]) -> Counter[str]:
    total: Counter[str] = Counter()
    for peer in members:
        total.update(peer.stats().refused)
    return total


async def messages(members: list[SwarmPeer]) -> Counter[str]:
    """Send from one to another until cancelled; what became of them."""
    outcomes: Counter[str] = Counter()
    number = 0
    try:
        while True:
            number += 1
            source, target = members[number % MEMBERS], members[(number * 5 + 1) % MEMBERS]
            if source is not target:
                receipt = await source.send(target, b"carry on")
                outcomes["delivered" if receipt.delivered else f"{receipt.status}: {receipt.reason}"] += 1
                if receipt.delivered:
                    await target.recv(timeout=20)  # or its mailbox is full in the end
    except asyncio.CancelledError:
        return outcomes
