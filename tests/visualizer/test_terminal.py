"""The view without a display."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from visualizer import terminal
from visualizer.limits import TERMINAL
from visualizer.model.state import FaultView, Kind, Line, LoadView, PeerState, SwarmState, WrongLink
from visualizer.textlines import TextLine, busiest, calm_line, rolled_out, screen
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
    assert rolled_out(SwarmState()) == "-"


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
