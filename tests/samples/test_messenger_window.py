"""What the messenger's window shows, and what its keys do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from textual.widgets import RichLog

from samples.chat import io, wire
from samples.chat.limits import TEXT, ChatLimits
from tests.samples.windows import GENERAL, stranger, two, window

ROOT: Final = Path(__file__).parent.parent.parent
MESSENGER: Final = ROOT / "samples" / "messenger.py"


async def test_unread_lines_are_counted_and_keys_go_through_the_conversations() -> None:
    async with two() as (alice, bob):
        await alice.types("/join #other")
        assert alice.chat.talks.current.key == "#other"
        await bob.types("one", "two", "three")
        await alice.sees(f"2 {GENERAL} (3)")
        await alice.pilot.press("ctrl+p")
        await alice.sees("bob: three")
        assert "(3)" not in alice.screen()
        await alice.pilot.press("ctrl+n", "ctrl+n")
        assert alice.chat.talks.current.key == "*"
        await alice.pilot.press("alt+3")
        assert alice.chat.talks.current.key == "#other"


async def test_keys_bring_back_what_was_typed_and_complete_words() -> None:
    async with two() as (alice, _):
        await alice.types("first", "/who")
        await alice.pilot.press("d", "up", "up")
        assert alice.input == "first"
        await alice.pilot.press("down", "down")
        assert alice.input == "d"
        await alice.pilot.press("backspace", *"/ms", "tab", *"bo", "tab", *"hi", "enter")
        await alice.reads("alice: hi [delivered]", "@bob")


async def test_a_conversation_is_found_as_it_was_left() -> None:
    async with two() as (alice, bob):
        await bob.pilot.press("alt+1")
        for number in range(40):
            alice.app._carrier.feed(io.Typed(f"number {number}"))
        await bob.until(lambda: "number 39" in bob.lines(GENERAL)[-1], "all lines")
        await bob.pilot.press("alt+2")
        await bob.sees("number 39")
        log = bob.app.query_one("#log", RichLog)
        assert log.is_vertical_scroll_end
        await bob.pilot.press("pageup")
        left = log.scroll_y
        assert left < log.max_scroll_y
        await alice.types("number 40")
        await bob.sees("number 40")
        assert log.scroll_y == left, "a new line moved what is being read"
        await bob.pilot.press("alt+1", "alt+2")
        await bob.until(lambda: log.scroll_y == left, "the place that was read")
        await bob.pilot.resize_terminal(60, 20)
        await bob.sees("number 40")


async def test_the_window_has_room_for_everything_at_80_by_24() -> None:
    async with two() as (alice, _):
        await alice.types("/help", "/stats")
        await alice.sees("/quit")
        await alice.sees("* sent ")
        await alice.sees("connected")
        for part, least in (("#log", 55), ("#status", 80), ("#input", 80)):
            region = alice.app.query_one(part).region
            assert region.width >= least, part
            assert region.bottom <= 24, part
        assert alice.app.query_one("#log").region.height >= 20


async def test_the_input_line_keeps_the_keys_after_a_click_elsewhere() -> None:
    async with window("alice") as alice:
        await alice.pilot.click("#log")
        await alice.pilot.press("x")
        assert alice.input == "x"


HOSTILE: Final = "\x1b[2J\x1b]0;owned\x07[red]x[/red]\u202e\r\n\x9b31m" + "a\u0301\u0301\u0301\u0301"


async def test_texts_of_others_cannot_draw_on_the_screen() -> None:
    async with window("alice") as alice, stranger(alice) as mallory:
        await mallory.register("mallory")
        async with mallory.channel(GENERAL) as channel:
            await channel.publish(wire.encode(wire.Said("mallory", HOSTILE)))
            await alice.sees("mallory: [2J]0;owned[red]x[/red]")
            await channel.publish(wire.encode(wire.Said("mallory", "界" * TEXT)))
            await alice.sees("界" * 10)
            for junk in (b"", b"\xff" * 100, wire.encode(wire.Knock()), b"\xc1" * 20_000):
                await channel.publish(junk)
            await alice.until(lambda: alice.chat.dropped["malformed"] == 4, "four messages to be counted")
            await channel.publish(wire.encode(wire.Said("mallory", "still here")))
            await alice.sees("mallory: still here")
        assert all(line.isprintable() for line in alice.screen().splitlines())


async def test_a_long_conversation_is_bounded() -> None:
    limits = ChatLimits(announce=1.0, answer=0.2, again=0.5, lines=20)
    async with window("alice", limits=limits) as alice, stranger(alice) as peer:
        async with peer.channel(GENERAL) as channel:
            for number in range(60):
                await channel.publish(wire.encode(wire.Said("peer", f"number {number}")))
            await alice.sees("number 59")
        assert len(alice.lines(GENERAL)) == 20
