"""The view without a display."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
import threading
import time
from pathlib import Path

import pytest

from visualizer import terminal
from visualizer.limits import TERMINAL
from visualizer.model.state import FaultView, Kind, Line, LoadView, PeerState, SwarmState, WrongLink
from visualizer.textlines import (
    MARKS,
    PLAIN_MARKS,
    TextLine,
    busiest,
    calm_line,
    rolled_out,
    screen,
)
from visualizer.view import Feed, Playback

from .desks import peer, swarm
from .shows import FakeFeed, FakePlayer, FakeStory


def plain(lines: list[TextLine]) -> str:
    return "\n".join("".join(piece.text for piece in line) for line in lines)


def bad(lines: list[TextLine]) -> str:
    return " ".join(piece.text for line in lines for piece in line if piece.style == "bad")


def busy() -> SwarmState:
    state = swarm(4)
    state.run_state = "degraded"
    state.now_ms = 1_764_189_000_000
    state.peers["core-1"].state = PeerState.DEAD
    state.peers["core-2"].sent = 12.5
    state.peers["core-3"].failed = 0.5
    state.health.members, state.health.right_heads, state.health.right_predecessors = 3, 2, 3
    state.health.wrong = (WrongLink("core-0", "127.0.0.1:20001", "core-2"),)
    state.log.append(Line(state.now_ms, Kind.RING, "core-0", "suspects core-1", True))
    state.faults[1] = FaultView(1, "partition", frozenset({"core-0"}), frozenset(), 0)
    state.load = LoadView(3, target=100.0, rate=99.0, succeeded=500, failed=2)
    state.sampled = 20
    state.unknown["Fancy"] = 3
    return state


def test_the_screen_says_what_matters() -> None:
    feed = Feed(source="ipc:///x", connected=True, lag_ms=12, lost=5, healed=1)
    text = plain(list(screen(busy(), feed)))
    for part in (
        "degraded  20:30:00",
        "connected, 12 ms behind, 5 events lost, 1 snapshots taken since",
        "1 message of 20 is shown, 3 events of kinds that this version does not know",
        "83.3% right: 3 members, 1 wrong successors; 12.5/s sent, 0.0/s delivered, 0.5/s failed",
        "3 member, 1 dead",
        "#3 runs: 99 of 100 a second, 500 succeeded, 2 failed",
        "#1 partition of 1 peers",
        "20:30:00  core-0        suspects core-1",
    ):
        assert part in text
    assert "suspects core-1" in bad(list(screen(busy(), feed)))
    assert "83.3% right" in bad(list(screen(busy(), feed)))


def test_it_is_as_long_for_a_thousand_peers_as_for_ten() -> None:
    many, few = swarm(1000), swarm(10)
    for state in (many, few):
        for number in range(50):
            state.log.append(Line(number, Kind.RUN, "", "x", False))
    assert len(list(screen(many, Feed()))) == len(list(screen(few, Feed())))


def test_a_swarm_of_which_nothing_is_known_yet_is_no_trouble() -> None:
    feed = Feed(source="ipc:///x", problem="the bus cannot be followed: x")
    text = plain(list(screen(SwarmState(), feed)))
    assert "none yet" in text
    assert "the bus cannot be followed: x" in bad(list(screen(SwarmState(), feed)))


def test_a_ring_of_nobody_is_not_right() -> None:
    state = swarm(2)
    for one in state.peers.values():
        one.state = PeerState.DEAD
    lines = list(screen(state, Feed(connected=True)))
    assert "  health    -: 0 members" in plain(lines)
    assert not [piece for line in lines for piece in line if piece.style == "good"]
    assert "ring -; 2 dead" in calm_line(state, Feed(connected=True))


def test_what_is_wrong_with_a_recording_is_said_while_it_is_read() -> None:
    feed = Feed(connected=True, problem="24 lines are no events (line 1 first)")
    assert calm_line(SwarmState(), feed).endswith("; 24 lines are no events (line 1 first)")
    assert feed.problem in bad(list(screen(SwarmState(), feed)))


def test_the_busiest_are_first_and_before_them_those_that_fail() -> None:
    names = [one.name for one in busiest(busy())]
    assert names[:2] == ["core-3", "core-2"]
    assert len(busiest(swarm(100))) == TERMINAL.busiest


def test_the_ring_rolled_out_shows_the_worst_of_each_part() -> None:
    state = SwarmState()
    for number, kind in enumerate((PeerState.MEMBER, PeerState.DEAD, PeerState.MEMBER)):
        one = peer(f"core-{number}", kind)
        one.place = 0 if number < 2 else 2**255
        state.peers[one.name] = one
    assert rolled_out(state) == "x" + " " * 31 + "●"
    assert rolled_out(state, PLAIN_MARKS) == "x" + " " * 31 + "o"
    assert rolled_out(SwarmState()) == "-"


def test_marks_are_told_apart_without_the_letters_that_few_terminals_have() -> None:
    assert PLAIN_MARKS.keys() == MARKS.keys() == set(PeerState)
    assert len(set(PLAIN_MARKS.values())) == len(set(MARKS.values())) == len(PeerState)
    assert "".join(PLAIN_MARKS.values()).isascii()


def test_one_look_in_one_line() -> None:
    assert calm_line(busy(), Feed(connected=True)) == (
        "20:30:00 degraded: ring 83.3% right; 3 member, 1 dead; 12.5/s sent, 0.0/s delivered, 0.5/s failed"
    )
    assert "not connected" in calm_line(busy(), Feed())


class Watched:
    """A feed and everything behind it, for text."""

    def __init__(self, *, live: bool) -> None:
        self.feed, self.story = FakeFeed(), FakeStory(swarm())
        self.playback = Playback(live=live)
        self.player = FakePlayer(self.story, self.playback)

    def watch(self, *, replay: bool) -> None:
        terminal.watch(self.feed, self.story, self.player, self.playback, replay=replay)


def test_a_recording_is_told_line_by_line_to_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    watched = Watched(live=True)
    watched.feed.coming = [1_000, 2_000]
    watched.watch(replay=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all("6 member" in line for line in lines)
    assert watched.feed.closed


def test_ctrl_c_ends_it_and_closes_the_feed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    watched = Watched(live=True)
    with pytest.raises(KeyboardInterrupt):
        watched.watch(replay=False)
    assert watched.feed.closed
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    "typed", [b"\x1b", b"\x1b[A", b"\x1b[1;5C", b"\x1bOQ", b"\x1bq", b"\x1b[", b"\x1b[B\x1b[B", b"x[A", b""]
)
def test_keys_that_are_not_q_do_not_end_it(typed: bytes) -> None:
    assert not terminal.ends(typed)
    assert terminal.ends(typed + b"q") == (typed[-1:] not in (b"\x1b", b"["))
    assert terminal.ends(b"Q" + typed)


class OnTerminal(Watched):
    """On a terminal of its own that has the letters of ``encoding``. After each look somebody types the next of ``typed``."""

    def __init__(self, patch: pytest.MonkeyPatch, encoding: str, typed: list[bytes]) -> None:
        super().__init__(live=True)
        self._typed, self._shown = typed, b""
        self._master, self._slave = pty.openpty()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.stdout = io.TextIOWrapper(os.fdopen(os.dup(self._slave), "wb"), encoding=encoding)
        self._stdin = os.fdopen(os.dup(self._slave))
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", self.stdout)
        patch.setattr(sys, "stdin", self._stdin)
        patch.setattr(self.player, "advance", self._look)

    def _look(self, now: float) -> SwarmState:
        os.write(self._master, self._typed.pop(0))
        return self.story.newest.state

    def _read(self) -> None:
        """Until the other side is closed, which is an error here."""
        with contextlib.suppress(OSError):
            while read := os.read(self._master, 65_536):
                self._shown += read

    def close(self) -> str:
        """All that was shown."""
        self.stdout.close()
        self._stdin.close()
        os.close(self._slave)
        self._reader.join(10)
        os.close(self._master)
        return self._shown.decode(self.stdout.encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_on_a_terminal_arrows_do_not_end_it_and_letters_that_it_does_not_have_are_none_of_its_troubles(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [b"\x1b[A", b"\x1bOQ\x1b[B", b"q", b"never", b"typed"]
    with monkeypatch.context() as patch:
        watched = OnTerminal(patch, encoding, typed)
        watched.story.newest.state.log.append(Line(1, Kind.RUN, "core-\u2603", "\U0001f600", False))
        try:
            watched.watch(replay=False)
            assert watched.stdout.errors == "strict"
        finally:
            text = watched.close()
    assert typed == [b"never", b"typed"]
    is_rich = encoding == "utf-8"
    assert (MARKS[PeerState.MEMBER] in text, "core-\u2603" in text) == (is_rich, is_rich)
    assert ("core-?" in text) != is_rich


def test_the_view_without_a_display_loads_no_pygame() -> None:
    import subprocess
    import sys

    code = "import sys, visualizer.terminal, visualizer.entry; print('pygame' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == "False"
