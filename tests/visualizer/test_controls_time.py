"""Keys and clicks that change what time is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualizer.controls.actions import Action, Live, Pause, Seek, Step
from visualizer.controls.inputs import Button, Move, Press, Release
from visualizer.model.state import Kind, Line
from visualizer.view import SPEEDS

from .desks import Hand

FIRST, LAST = 1_000_000, 1_060_000
SCRUBBER = {
    (100, 700): "scrubber:0.25",
    (200, 700): "scrubber:0.5",
    (300, 700): "scrubber:9",
    (9, 9): "panel",
}


@pytest.fixture
def hand() -> Hand:
    hand = Hand()
    hand.view.playback.first_ms, hand.view.playback.last_ms = FIRST, LAST
    hand.sight.panels = dict(SCRUBBER)
    hand.sight.faults = [FIRST + 10_000, FIRST + 40_000]
    return hand


def test_space_and_the_dot_are_the_players(hand: Hand) -> None:
    assert hand.press(" ", ".", ",", "end") == [Pause(), Step(1), Step(-1), Live()]


def test_arrows_move_by_seconds_within_what_is_known(hand: Hand) -> None:
    play = hand.view.playback
    assert hand.press("right", "left", "home") == [Seek(LAST), Seek(LAST - 1_000), Seek(FIRST)]
    play.live, play.at_ms = False, FIRST + 500.0
    assert hand.press("right", "left") == [Seek(FIRST + 1_500), Seek(FIRST)]


def test_speeds_go_from_a_tenth_to_sixteen(hand: Hand) -> None:
    for _ in range(20):
        hand.press("]")
    assert hand.seen().playback.speed == SPEEDS[-1] == 16
    for _ in range(20):
        hand.press("[")
    assert hand.seen().playback.speed == SPEEDS[0] == 0.1


def test_tab_goes_from_fault_to_fault_and_begins_anew(hand: Hand) -> None:
    play = hand.view.playback
    play.live, play.at_ms = False, float(FIRST)
    for found in (10_000, 40_000, 10_000):
        assert hand.press("tab") == [Seek(FIRST + found)]
        play.at_ms = float(FIRST + found)


def test_tab_says_when_nothing_went_wrong(hand: Hand) -> None:
    hand.sight.faults = []
    assert hand.press("tab") == []
    assert "nothing" in hand.notice


def test_the_timeline_is_scrubbed_while_the_button_is_held(hand: Hand) -> None:
    assert hand.do(Press((100, 700))) == [Seek(FIRST + 15_000)]
    assert hand.do(Move((200, 700))) == [Seek(FIRST + 30_000)]
    assert hand.do(Move((300, 700))) == [Seek(LAST)], "a share above all of it is all of it"
    assert hand.do(Move((9, 9)), Move((500, 300))) == [], "beside the timeline nothing moves"
    assert hand.do(Release((500, 300)), Move((100, 700))) == []
    assert not hand.view.selected


def test_a_drag_that_began_elsewhere_does_not_scrub(hand: Hand) -> None:
    hand.do(Press((500, 300)), Move((100, 700)), Release((100, 700)))
    hand.do(Press((100, 700), Button.RIGHT), Move((200, 700)), Release((100, 700), Button.RIGHT))
    assert not hand.actions


@pytest.mark.parametrize(
    ("part", "actions", "speed"),
    [("play", [Pause()], 1.0), ("faster", [], 2.0), ("slower", [], 0.5), ("live", [Live()], 1.0)],
)
def test_the_timeline_has_buttons(hand: Hand, part: str, actions: list[Action], speed: float) -> None:
    hand.sight.panels[50, 50] = part
    assert hand.click((50, 50)) == actions
    assert hand.view.playback.speed == speed


def test_a_line_of_the_log_leads_to_its_peer_and_when_time_stands_still_to_its_instant(hand: Hand) -> None:
    hand.state.log.append(Line(FIRST + 5, Kind.RING, "", "somebody", False))
    hand.state.log.append(Line(FIRST + 7_000, Kind.RING, "core-2", "left", False))
    hand.sight.panels[50, 50] = "log:1"
    assert hand.click((50, 50)) == []
    assert hand.view.pinned == "core-2"
    hand.view.playback.live = False
    assert hand.click((50, 50)) == [Seek(FIRST + 7_000)]


@given(
    st.lists(st.sampled_from(["[", "]", "left", "right", "home", "end", "tab"]), max_size=30),
    st.floats(allow_nan=False),
)
def test_whatever_is_pressed_the_instant_is_one_that_is_known(keys: list[str], at_ms: float) -> None:
    hand = Hand()
    hand.view.playback.first_ms, hand.view.playback.last_ms = FIRST, LAST
    hand.view.playback.live, hand.view.playback.at_ms = False, at_ms
    hand.sight.faults = [FIRST + 10_000]
    for action in hand.press(*keys):
        assert not isinstance(action, Seek) or FIRST <= action.ms <= LAST
    assert hand.view.playback.speed in SPEEDS
