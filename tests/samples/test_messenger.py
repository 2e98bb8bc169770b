"""The messenger in its window, on real peers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest
from textual.widgets import RichLog

from cicada.aio import SwarmPeer
from samples.chat import io, wire
from samples.chat.limits import TEXT, ChatLimits
from samples.messenger import default_bind
from tests.launcher.swarms import free_ports
from tests.peer.swarm import PATIENCE_S
from tests.samples.windows import GENERAL, QUICK, Window, window

ROOT: Final = Path(__file__).parent.parent.parent
MESSENGER: Final = ROOT / "samples" / "messenger.py"


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Window, Window]]:
    """Alice and bob, who see and have verified each other."""
    async with window("alice") as alice, window("bob", alice.peer.listener) as bob:
        await alice.reads("* bob is here", GENERAL)
        await bob.reads("* alice is here", GENERAL)
        yield alice, bob


@asynccontextmanager
async def stranger(member: Window) -> AsyncIterator[SwarmPeer]:
    """A plain peer in the swarm of a member."""
    async with SwarmPeer("127.0.0.1", 0) as peer:
        await peer.connect(member.peer.listener, timeout=PATIENCE_S)
        yield peer


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


@pytest.mark.parametrize("met", [False, True], ids=["never met", "met before"])
async def test_nothing_private_goes_to_somebody_else_at_the_address_of_the_name(met: bool) -> None:
    async with window("alice") as alice:
        bob = SwarmPeer("127.0.0.1", 0)
        await bob.connect(alice.peer.listener, timeout=PATIENCE_S)
        await bob.register("bob")
        if met:
            await alice.types("/msg bob hello")
            await alice.reads("alice: hello [delivered]", "@bob")
        host, port = bob.listener
        bob.kill()
        async with SwarmPeer(host, port, identity="ephemeral") as impostor:
            await impostor.connect(alice.peer.listener, timeout=PATIENCE_S)
            await alice.types("/msg bob my secret")
            await alice.until(
                lambda: alice.lines("@bob")[-1].startswith("alice: my secret [failed: "), "a failure"
            )
            while impostor.peek is not None:
                assert b"secret" not in (await impostor.recv(timeout=1)).data


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


async def test_a_long_conversation_is_bounded() -> None:
    limits = ChatLimits(announce=1.0, answer=0.2, again=0.5, lines=20)
    async with window("alice", limits=limits) as alice, stranger(alice) as peer:
        async with peer.channel(GENERAL) as channel:
            for number in range(60):
                await channel.publish(wire.encode(wire.Said("peer", f"number {number}")))
            await alice.sees("number 59")
        assert len(alice.lines(GENERAL)) == 20


# The command


def run(*arguments: str, prelude: str = "pass") -> subprocess.CompletedProcess[str]:
    program = (
        f"import runpy, sys; {prelude}; sys.argv = {['messenger.py', *arguments]!r}; "
        f"runpy.run_path({str(MESSENGER)!r}, run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(),
        check=False,
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}


def test_without_textual_it_says_what_to_install_and_nothing_else() -> None:
    ended = run(prelude="sys.modules['textual'] = None")
    assert ended.stderr == "the messenger needs textual: pip install 'cicada-swarm[chat]'\n"
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--name"),
        (["--name", "two words"], "'two words' cannot be a name"),
        (["--name", "alice", "--bind", "nowhere"], "--bind"),
        (["--name", "alice", "--join", "127.0.0.1:0"], "--join"),
        (["--name", "alice", "--channel", "#a b"], "'#a b' cannot be a channel"),
        (["--name", "alice", "--nothing"], "--nothing"),
        (["--name", "alice"], "this is no terminal"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(arguments: list[str], named: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("messenger: ")
    assert ended.stderr.count("\n") == 1
    assert named in ended.stderr


def test_it_listens_on_loopback_only_when_its_swarm_is_there() -> None:
    assert default_bind([("127.0.0.1", 5000), ("localhost", 5001)]) == ("127.0.0.1", 0)
    assert default_bind([("127.0.0.1", 5000), ("10.0.0.1", 5000)]) == ("0.0.0.0", 0)
    assert default_bind([]) == ("0.0.0.0", 0)


class Terminal:
    """A messenger in a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self._fd = fd
        self.drawn = b""

    def read(self) -> bool:
        """Take what was drawn within a tenth of a second; whether the terminal is still there."""
        poll = select.poll()  # select() takes no descriptor past 1023
        poll.register(self._fd, select.POLLIN)
        if poll.poll(100):
            try:
                self.drawn += os.read(self._fd, 65536)
            except OSError:
                return False
        return True

    def sees(self, text: bytes) -> None:
        """Returns once that was drawn."""
        ends = time.monotonic() + PATIENCE_S
        while text not in self.drawn:
            assert self.read(), self.drawn
            assert time.monotonic() < ends, self.drawn

    def types(self, text: bytes) -> None:
        os.write(self._fd, text)

    def close(self) -> None:
        """As the user closes its window."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def ended(self) -> int:
        """Its exit code, within some seconds."""
        ends = time.monotonic() + 10.0
        while self.process.poll() is None and time.monotonic() < ends:
            self.read()
        return self.process.wait(0.1)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, str(MESSENGER), *arguments]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
    )
    os.close(theirs)
    shown = Terminal(process, ours)
    try:
        yield shown
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(10)
        shown.close()


@pytest.mark.parametrize("end", ["/quit", "ctrl+q", "SIGTERM"])
def test_the_program_ends_with_exit_code_0_within_seconds(end: str) -> None:
    with terminal("--name", "alice", "--bind", "127.0.0.1:0", "--channel", "#one", "#two") as shown:
        shown.sees(b"#two")
        shown.sees(b"here: 1")
        if end == "SIGTERM":
            shown.process.send_signal(signal.SIGTERM)
        else:
            shown.types(b"/quit\r" if end == "/quit" else b"\x11")
        assert shown.ended() == 0, shown.drawn
        assert b"Traceback" not in shown.drawn


def test_a_program_whose_terminal_is_gone_ends() -> None:
    with terminal("--name", "alice", "--bind", "127.0.0.1:0") as shown:
        shown.sees(b"here: 1")
        shown.close()
        shown.process.send_signal(signal.SIGHUP)
        assert shown.process.wait(20) == 0


def test_an_address_that_is_taken_is_told_without_a_window() -> None:
    with terminal("--name", "alice", "--bind", "127.0.0.1:0") as first:
        first.sees(b"127.0.0.1:")
        port = first.drawn.rpartition(b"127.0.0.1:")[2][:6].split()[0].decode()
        with terminal("--name", "bob", "--bind", f"127.0.0.1:{port}") as second:
            assert second.ended() == 1
            assert second.drawn.startswith(b"messenger: ")
            assert b"Traceback" not in second.drawn
