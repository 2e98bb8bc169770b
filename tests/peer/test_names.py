"""Names of real peers: whoever asks learns whose a name is, and nobody takes it from its owner."""

from __future__ import annotations

import asyncio
import queue
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from cicada import peer as sync
from cicada.actors.family import Crash
from cicada.aio import SwarmPeer
from cicada.embedding import directory
from cicada.embedding.tenancy import Moved, Reply, Tenancy
from cicada.errors import Misuse, NameTaken, NotBound, RingNotReady
from cicada.ids import Peer, Place
from cicada.keys.identity import Identity
from cicada.limits import NAMES
from cicada.services.io import FoundOwner, Sent
from cicada.services.nameio import Refused, Resolved
from cicada.services.namerecords import place_of_name, rank_of, sign_name
from cicada.testing import LocalSwarm, virtual
from cicada.wire.names import Verdict
from tests.peer.swarm import PATIENCE_S, eventually, proven, swarm

PEERS = 6


@pytest.fixture
async def peers() -> AsyncIterator[list[SwarmPeer]]:
    async with swarm(PEERS) as peers:
        yield peers


async def test_a_registered_name_is_resolved_everywhere_to_a_target_of_send(peers: list[SwarmPeer]) -> None:
    record = await peers[1].register("Alice")
    assert record.name == "alice"
    for peer in peers:
        found = await peer.resolve("ALICE")
        assert found is not None
        assert (found.peer_id, found.address) == (record.peer_id, peers[1].address)
    target = await peers[4].resolve("alice")
    assert target is not None
    await peers[4].send(target.address, b"hello")
    assert (await peers[1].recv(PATIENCE_S)).data == b"hello"


async def test_a_name_that_nobody_has_is_nobodys(peers: list[SwarmPeer]) -> None:
    assert await peers[3].resolve("nobody") is None


async def test_a_name_is_its_owners_until_it_is_released(
    peers: list[SwarmPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cicada.embedding.directory.NAMES", replace(NAMES, settle=0.0)
    )  # nobody is as early as another
    record = await peers[1].register("bob")
    with pytest.raises(NameTaken, match="bob") as taken:
        await peers[2].register("bob")
    assert taken.value.holder in {record.peer_id, ""}
    peers[1].release("bob")

    async def the_other_gets_it() -> bool:
        try:
            await peers[2].register("bob")
        except NameTaken:
            return False
        return True

    await eventually(the_other_gets_it, "the released name to be free")
    found = await peers[5].resolve("bob")
    assert found is not None
    assert found.address == peers[2].address


async def test_a_name_outlives_a_peer_that_keeps_it(peers: list[SwarmPeer]) -> None:
    await peers[1].register("carol")
    for peer in (peers[3], peers[4]):
        peer.kill()
    survivors = [peers[0], peers[1], peers[2], peers[5]]
    await proven(survivors)
    found = await survivors[-1].resolve("carol")
    assert found is not None
    assert found.address == peers[1].address


Loss = tuple[str, str, str]


def held(peer: SwarmPeer | sync.SwarmPeer) -> list[str]:
    return list(peer.names)


def by_rank(name: str) -> list[Identity]:
    """Two keys; the second one has the better right to the name."""

    def rank(identity: Identity) -> bytes:
        return rank_of(sign_name(identity, name, "x", "", sequence=1, now_ms=0, expires_ms=1).record)

    return sorted((Identity.derive(bytes(32), str(number)) for number in range(2)), key=rank, reverse=True)


@pytest.fixture
def _all_are_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicada.embedding.directory.NAMES", replace(NAMES, settle=60.0))


async def got(losses: queue.Queue[Loss]) -> Loss:
    return await asyncio.to_thread(losses.get, timeout=PATIENCE_S)


@asynccontextmanager
async def rivals(name: str) -> AsyncIterator[tuple[SwarmPeer, SwarmPeer, Identity, queue.Queue[Loss]]]:
    """Two peers, of whom the second one has the better right to the name; its key; and what the first one loses."""
    losses: queue.Queue[Loss] = queue.Queue()
    worse, better = by_rank(name)
    async with (
        SwarmPeer("127.0.0.1", 0, identity=worse, hooks={"name_lost": lambda *loss: losses.put(loss)}) as one,
        SwarmPeer("127.0.0.1", 0, identity=better) as other,
    ):
        await other.connect(one, timeout=PATIENCE_S)
        await proven([one, other])
        yield one, other, better, losses


@pytest.mark.usefixtures("_all_are_early")
async def test_whoever_loses_a_name_is_told_to_whom() -> None:
    async with rivals("dave") as (one, other, better, losses):
        await one.register("Dave")
        assert held(one) == ["dave"]
        await other.register("dave")
        with pytest.raises(NameTaken):
            await one.register("dave")  # it looks sooner than it would by itself
        assert await got(losses) == ("dave", "taken", better.peer_id)
        assert (held(one), held(other)) == ([], ["dave"])


@pytest.mark.usefixtures("_all_are_early")
def test_whoever_loses_a_name_without_a_loop_is_told_to_whom() -> None:
    losses: queue.Queue[Loss] = queue.Queue()
    worse, better = by_rank("dave")
    with (
        sync.SwarmPeer(
            "127.0.0.1", 0, identity=worse, hooks={"name_lost": lambda *loss: losses.put(loss)}
        ) as one,
        sync.SwarmPeer("127.0.0.1", 0, identity=better) as other,
    ):
        other.connect(one.listener, timeout=PATIENCE_S)
        one._run(proven([one._peer, other._peer]), PATIENCE_S)
        one.register("dave")
        assert held(one) == ["dave"]
        other.register("dave")
        with pytest.raises(NameTaken):
            one.register("dave")
        assert losses.get(timeout=PATIENCE_S) == ("dave", "taken", better.peer_id)
        assert held(one) == []
    assert held(one) == []


@pytest.mark.usefixtures("_all_are_early")
async def test_a_name_that_a_fresh_machine_cannot_register_again_is_lost() -> None:
    async with rivals("erin") as (one, other, better, losses):
        await one.register("erin")
        await other.register("erin")
        assert one._directory is not None
        one._directory._tenancy.tell(Moved())
        assert await got(losses) == ("erin", "taken", better.peer_id)
        assert held(one) == []


@pytest.mark.parametrize("latency", [0.0, 0.1])
def test_a_name_that_was_released_before_closing_is_free_when_the_peer_has_closed(latency: float) -> None:
    async def main() -> bool:
        async with LocalSwarm(8, timeout=PATIENCE_S * 6) as swarm:
            one, other = swarm[1], swarm[0]
            await one.register("heidi", timeout=PATIENCE_S)
            one.release("heidi")
            await one.close()
            return (await other.register("heidi", timeout=PATIENCE_S)).address == other.address

    assert virtual(main, seed=3, latency=latency)


@pytest.mark.parametrize("fate", [Moved, Crash])
def test_a_release_that_is_under_way_is_not_forgotten_when_the_machine_begins_anew(fate: type) -> None:
    async def main() -> bool:
        async with LocalSwarm(5, seed=1) as swarm:
            one, other = swarm[1], swarm[2]
            await one.register("ivan")
            await asyncio.sleep(NAMES.settle + 1.0)  # nobody is as early as another
            one.release("ivan")
            assert one._directory is not None
            one._directory._tenancy.tell(fate())
            await asyncio.sleep(PATIENCE_S)
            return (await other.register("ivan")).address == other.address

    assert virtual(main, seed=3)


async def test_what_the_machine_before_a_move_had_asked_is_no_answer_to_the_next_ones_questions(
    peers: list[SwarmPeer],
) -> None:
    await peers[1].register("grace")
    await peers[2].resolve("nobody-yet")
    directory = peers[2]._directory
    assert directory is not None
    directory._tenancy.tell(Moved())
    asked = asyncio.create_task(peers[2].resolve("grace"))
    await asyncio.sleep(0)
    for number in range(8):
        directory._tenancy.tell(Reply(1, FoundOwner(number, ())))
        directory._tenancy.tell(Reply(1, Sent(number, False)))
    found = await asked
    assert found is not None
    assert found.address == peers[1].address


async def test_a_released_name_is_not_lost() -> None:
    losses: queue.Queue[Loss] = queue.Queue()
    async with SwarmPeer("127.0.0.1", 0, hooks={"name_lost": lambda *loss: losses.put(loss)}) as peer:
        await peer.register("frank")
        peer.release("frank")
        assert held(peer) == []
        assert await peer.resolve("frank") is None
    assert losses.empty()


async def test_a_name_that_is_released_first_of_all_can_be_registered_then() -> None:
    async with SwarmPeer("127.0.0.1", 0) as peer:
        peer.release("judy")
        assert (await peer.register("judy")).address == peer.address
        assert held(peer) == ["judy"]


async def test_a_registration_that_is_under_way_ends_with_its_release() -> None:
    async with SwarmPeer("127.0.0.1", 0) as peer:
        registering = asyncio.create_task(peer.register("judy", timeout=PATIENCE_S))
        await asyncio.sleep(0)
        peer.release("judy")
        with pytest.raises(RingNotReady, match="released"):
            await registering
        assert (await peer.register("judy")).address == peer.address


async def test_mistakes_are_said_at_once(peers: list[SwarmPeer]) -> None:
    with pytest.raises(Misuse, match="spaces"):
        await peers[0].register("no spaces")
    with pytest.raises(Misuse):
        await peers[0].resolve("")
    with pytest.raises(NotBound):
        await SwarmPeer().resolve("alice")
    plain = SwarmPeer("127.0.0.1", 0, encrypt=False)
    with pytest.raises(Misuse, match="encrypt"):
        await plain.resolve("alice")
    plain.kill()


async def test_a_registration_that_cannot_work_says_what_would(peers: list[SwarmPeer]) -> None:
    for lease in (5.0, 1e6):
        with pytest.raises(Misuse, match=r"lease-invalid.*60 to 86,400 seconds"):
            await peers[0].register("mallory", lease=lease)
    async with SwarmPeer("127.0.0.1", 0) as alone:
        for number in range(NAMES.key_burst):
            await alone.register(f"name-{number}")
        with pytest.raises(RingNotReady, match=r"busy.*16 new names in a row.*every 30 s"):
            await alone.register("one-more")


async def test_who_has_as_many_names_as_a_peer_may_have_is_told_to_release_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cicada.embedding.directory.NAMES", replace(NAMES, own=2))
    async with SwarmPeer("127.0.0.1", 0) as peer:
        await peer.register("one")
        await peer.register("two")
        with pytest.raises(Misuse, match=r"too-many-names.*32 names at most: release one"):
            await peer.register("three")


def test_each_reason_of_the_directory_has_its_advice() -> None:
    """Of those that Refused and Resolved name; some are told in other ways."""
    docs = f"{Refused.__doc__} {Resolved.__doc__}"
    named = set(re.findall(r"``([a-z]+(?:-[a-z]+)*)``", docs)) - {
        "taken",
        "no-such-name",
        "holder",
        "record",
        "reason",
    }
    assert named <= {*directory._MISTAKES, *directory._AGAIN}
    verdicts = {verdict.name.lower() for verdict in Verdict} - {"kept", "taken"}
    assert verdicts <= set(directory._AGAIN)


async def test_a_name_is_not_nobodys_when_the_ring_did_not_say_who_all_its_replicas_are(
    peers: list[SwarmPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Tenancy._owner

    async def only_the_first(tenancy: Tenancy, place: Place, timeout: float) -> Peer | None:
        return await whole(tenancy, place, timeout) if place == place_of_name("erin") else None

    assert await peers[3].resolve("erin") is None
    monkeypatch.setattr(Tenancy, "_owner", only_the_first)
    with pytest.raises(RingNotReady, match="no-answer"):
        await peers[3].resolve("erin")
