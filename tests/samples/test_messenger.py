"""The messenger in its window, on real peers on loopback."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random
from typing import Final

import pytest

from cicada.aio import SwarmPeer
from cicada.testing import network, virtual
from samples.chat import io, wire
from samples.chat.carrier import Carrier
from tests.launcher.swarms import free_ports
from tests.peer.swarm import PATIENCE_S
from tests.samples.windows import GENERAL, QUICK, Window, stranger, two, window

ROOT: Final = Path(__file__).parent.parent.parent
MESSENGER: Final = ROOT / "samples" / "messenger.py"


async def test_what_is_said_in_a_channel_is_read_by_all_in_it() -> None:
    async with two() as (alice, bob):
        await alice.types("hello [bold]all[/]", "//not a command")
        await bob.sees("alice: hello [bold]all[/]")
        await bob.sees("alice: /not a command")
        await alice.sees("alice: hello [bold]all[/] [sent]")
        await alice.sees("here: 2")


async def test_a_private_message_reaches_the_owner_of_the_name_and_nobody_else() -> None:
    async with two() as (alice, bob), window("carol", alice.peer.listener) as carol:
        await carol.reads("* bob is here", GENERAL)
        await alice.types("/msg bob for you alone")
        await alice.sees("alice: for you alone [delivered]")
        await bob.sees("@alice (1)")
        assert bob.lines("@alice") == ["alice: for you alone"]
        await bob.pilot.press("alt+3")
        await bob.sees("alice: for you alone")
        assert bob.chat.talks["@alice"].unread == 0
        await bob.types("thanks")
        await alice.sees("bob: thanks")
        assert not any("alone" in line for key in ("*", GENERAL) for line in carol.lines(key))
        assert "@alice" not in carol.chat.talks


async def test_a_message_to_nobody_and_to_somebody_who_died_fails_with_a_reason() -> None:
    async with two() as (alice, bob):
        await alice.types("/msg nobody hello")
        await alice.reads("alice: hello [failed: nobody here is called nobody]", "@nobody")
        await alice.types("/msg bob hello")
        await alice.reads("alice: hello [delivered]", "@bob")
        bob.peer.kill()
        await alice.types("are you there?")
        await alice.until(
            lambda: alice.lines("@bob")[-1].startswith("alice: are you there? [failed: "), "a failure"
        )


async def test_nothing_private_goes_to_somebody_else_at_the_address_of_a_name_that_was_never_met() -> None:
    async with SwarmPeer("127.0.0.1", 0) as guide:
        bob = SwarmPeer("127.0.0.1", 0)
        await bob.connect(guide.listener, timeout=PATIENCE_S)
        await bob.register("bob")
        host, port = bob.listener
        bob.kill()
        async with window("alice", guide.listener) as alice:
            await alice.reads("* connected to {}:{}".format(*guide.listener), "*")
            async with SwarmPeer(host, port, identity="ephemeral") as impostor:
                await impostor.connect(alice.peer.listener, timeout=PATIENCE_S)
                await gets_no_secret(impostor, alice, alice.peer, "is not the owner of the name bob")


async def test_nothing_private_goes_to_somebody_else_at_the_address_of_a_name_that_was_met_before() -> None:
    async with window("alice") as alice:
        bob = SwarmPeer("127.0.0.1", 0)
        await bob.connect(alice.peer.listener, timeout=PATIENCE_S)
        await bob.register("bob")
        await alice.types("/msg bob hello")
        await alice.reads("alice: hello [delivered]", "@bob")
        host, port = bob.listener
        bob.kill()
        async with SwarmPeer(host, port, identity="ephemeral") as impostor, stranger(alice) as other:
            await impostor.connect(alice.peer.listener, timeout=PATIENCE_S)
            await gets_no_secret(impostor, alice, other, "key changed")


async def gets_no_secret(impostor: SwarmPeer, alice: Window, other: SwarmPeer, why: str) -> None:
    """What is for bob, though it can be reached: it gets what ``other`` sends it. ``why``: what alice is told."""
    receipt = other.send(impostor.listener, b"an ordinary word", timeout=PATIENCE_S)
    await receipt
    assert receipt.delivered, receipt.reason
    await alice.types("/msg bob my secret")
    await alice.until(lambda: alice.lines("@bob")[-1].startswith("alice: my secret [failed: "), "a failure")
    assert why in alice.lines("@bob")[-1]
    got = [(await impostor.recv(timeout=1)).data]
    while impostor.peek is not None:
        got.append((await impostor.recv(timeout=1)).data)
    assert b"an ordinary word" in got
    assert not any(b"secret" in data for data in got)


async def test_who_parts_is_gone_and_reads_no_more_until_it_joins_again() -> None:
    async with two() as (alice, bob):
        await bob.types("/part")
        await alice.sees("* bob left")
        await alice.sees("here: 1")
        await alice.types("is anybody here?")
        await alice.sees("is anybody here? [sent]")
        assert GENERAL not in bob.chat.talks
        await bob.types(f"/join {GENERAL}")
        await alice.until(lambda: alice.lines(GENERAL).count("* bob is here") == 2, "bob to be back")
        await alice.types("welcome back")
        await bob.sees("alice: welcome back")


async def test_a_channel_that_is_left_and_joined_in_one_breath_is_joined() -> None:
    async with two() as (alice, bob):
        await bob.types("/part", f"/join {GENERAL}")
        await alice.until(lambda: alice.lines(GENERAL).count("* bob is here") == 2, "bob to be back")
        await asyncio.sleep(0.5)  # longer than a channel is kept after it was left
        await alice.types("still there?")
        await bob.sees("alice: still there?")


async def test_a_killed_peer_disappears_after_three_announcements() -> None:
    async with two() as (alice, bob):
        bob.peer.kill()
        began = time.monotonic()
        await alice.sees("* bob is gone: not heard any more")
        assert time.monotonic() - began < 3 * QUICK.announce + 1.0
        await alice.sees("here: 1")


async def test_a_peer_that_ended_is_told_and_the_window_can_still_be_left() -> None:
    async with window("alice") as alice:
        await alice.sees("here: 1")
        alice.peer.kill()
        await alice.reads("* this peer has ended: killed; /quit, and start again")
        await alice.types(
            "hello?", "/join #other", "/part", "/msg bob hello", "/connect 127.0.0.1:1", "/stats"
        )
        await alice.until(lambda: "[failed: " in alice.lines("@bob")[0], "a failure")
        await alice.types("/quit")
        await alice.until(lambda: not alice.app.is_running, "the window to close")
        assert alice.app.return_code == 0


async def test_broadcasts_and_requests_are_no_private_messages() -> None:
    async with two() as (alice, bob):
        bob.peer.broadcast(wire.encode(wire.Whispered("bob", "to all of you")))
        await alice.until(lambda: alice.chat.dropped["broadcast"] == 1, "the broadcast to be counted")
        assert "@bob" not in alice.chat.talks


async def test_a_quit_is_told_at_once_and_frees_the_name() -> None:
    async with two() as (alice, bob):
        await bob.pilot.press("ctrl+c")
        await alice.sees("* bob left")
        await bob.until(lambda: not bob.app.is_running, "the window to close")
        async with stranger(alice) as peer:
            await peer.register("bob")


async def test_a_name_that_is_taken_is_replaced_by_a_free_one() -> None:
    async with window("alice") as alice, window("alice", alice.peer.listener) as other:
        windows = [alice, other]  # which of them has it is a matter of their keys, when both are so new
        await other.until(lambda: {one.chat.name for one in windows} > {"alice"}, "another name")
        loser, winner = windows if alice.chat.name != "alice" else windows[::-1]
        assert loser.chat.name.startswith("alice-")
        told = f"! the name alice is somebody else's: you are {loser.chat.name} here"
        assert told in loser.lines("*")
        await winner.until(lambda: f"{loser.chat.name} (you)" in loser.screen(), "the name to be shown")
        await winner.sees(f"\n {loser.chat.name}\n")
        await loser.sees("\n alice\n")


async def test_an_unreachable_seed_is_told_and_connect_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samples.chat.carrier.CONNECT_S", 2.0)
    nobody = ("127.0.0.1", free_ports(1))
    async with window("alice") as alice, window("bob", nobody) as bob:
        await bob.until(lambda: bob.lines("*")[-1].endswith("/connect HOST:PORT tries again"), "the failure")
        await bob.types(f"/connect 127.0.0.1:{nobody[1]}", "/connect nowhere")
        await bob.reads("! write /connect HOST:PORT, the address of any member of the swarm")
        host, port = alice.peer.listener
        await bob.types(f"/connect {host}:{port}")
        await bob.reads(f"* connected to {host}:{port}")
        await alice.reads("* bob is here", GENERAL)
        await alice.types("/msg bob you made it")
        await alice.sees("[delivered]")


async def test_a_private_message_under_a_name_of_another_is_refused() -> None:
    async with two() as (alice, _), stranger(alice) as mallory:
        await mallory.send(alice.peer.listener, wire.encode(wire.Whispered("bob", "it is me")))
        await alice.until(lambda: "is not bob" in alice.lines("*")[-1], "the refusal")
        assert alice.chat.dropped["private-false-name"] == 1
        assert "@bob" not in alice.chat.talks
        await mallory.send(alice.peer.listener, wire.encode(wire.Whispered("mallory", "it is me")))
        await alice.reads("mallory?: (to you alone) it is me", "*")
        await mallory.send(alice.peer.listener, b"junk")
        await alice.until(lambda: alice.chat.dropped["malformed"] == 1, "junk to be counted")


async def test_who_speaks_under_a_name_of_another_is_shown_by_its_peer_id() -> None:
    async with two() as (alice, bob), stranger(alice) as mallory:
        record = await mallory.register("mallory")
        async with mallory.channel(GENERAL) as channel:
            await channel.publish(wire.encode(wire.Said("bob", "it is me")))
            await alice.sees(f"?{record.peer_id[:8]}: it is me")
        await bob.types("no, me")
        await alice.sees("bob: no, me")


def test_a_quit_is_told_at_once_though_some_of_what_is_sent_is_lost() -> None:
    guests, soon = 15, 5.0

    async def visit(host: Carrier, number: int) -> bool:
        """Whether a guest is seen to come, and soon seen to leave."""
        name, peer = f"bob{number}", SwarmPeer(f"10.0.1.{number}", 5000)
        guest = Carrier(peer, name, Random(number), seeds=[("10.0.0.1", 5000)], channels=[GENERAL])
        staying = asyncio.create_task(guest.run())

        async def until(is_here: bool, seconds: float) -> None:
            async with asyncio.timeout(seconds):
                while any(member.name == name for member in host.chat.rosters[GENERAL]) is not is_here:
                    await asyncio.sleep(0.1)

        await until(True, PATIENCE_S * 3)
        await asyncio.sleep(4.0)
        guest.feed(io.Typed("/quit"))
        await staying
        try:
            await until(False, soon)
        except TimeoutError:
            return False
        return True

    async def main() -> list[bool]:
        host = Carrier(SwarmPeer("10.0.0.1", 5000), "alice", Random(1), channels=[GENERAL])
        hosting = asyncio.create_task(host.run())
        await asyncio.sleep(5.0)
        network().everywhere(latency=0.05, jitter=0.03, loss=0.1)
        seen = [await visit(host, number) for number in range(1, guests + 1)]
        host.feed(io.Typed("/quit"))
        await hosting
        return seen

    assert virtual(main, seed=1) == [True] * guests
