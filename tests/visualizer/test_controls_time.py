"""Keys and clicks that change what time is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_space_stops_the_present_and_goes_on_from_there(hand: Hand) -> None:
    play = hand.view.playback
    hand.press(" ")
    assert (play.live, play.paused, play.at_ms) == (False, True, LAST)
    hand.press(" ")
    assert (play.live, play.paused) == (False, False)
    hand.press("end")
    assert (play.live, play.paused) == (True, False)


def test_steps_and_arrows_move_by_tenths_and_seconds_within_what_is_known(hand: Hand) -> None:
    play = hand.view.playback
    hand.press("home")
    hand.press(".")
    assert play.at_ms == FIRST + 100
    hand.press("right")
    assert play.at_ms == FIRST + 1_100
    hand.press("left", "left")
    assert play.at_ms == FIRST
    hand.press("end", "right")
    assert play.at_ms == LAST


def test_speeds_go_from_a_tenth_to_sixteen(hand: Hand) -> None:
    for _ in range(20):
        hand.press("]")
    assert hand.seen().playback.speed == SPEEDS[-1] == 16
    for _ in range(20):
        hand.press("[")
    assert hand.seen().playback.speed == SPEEDS[0] == 0.1


def test_tab_goes_from_fault_to_fault_and_begins_anew(hand: Hand) -> None:
    seen = []
    for _ in range(3):
        hand.press("tab")
        seen.append(hand.view.playback.at_ms - FIRST)
    assert seen == [10_000, 40_000, 10_000]


def test_tab_says_when_nothing_went_wrong(hand: Hand) -> None:
    hand.sight.faults = []
    hand.press("tab")
    assert hand.seen().playback.live
    assert "nothing" in hand.notice


def test_the_timeline_is_scrubbed_while_the_button_is_held(hand: Hand) -> None:
    play = hand.view.playback
    hand.do(Press((100, 700)))
    assert play.at_ms == FIRST + 15_000
    hand.do(Move((200, 700)))
    assert play.at_ms == FIRST + 30_000
    hand.do(Move((300, 700)), Move((9, 9)), Move((500, 300)))
    assert play.at_ms == LAST, "a share above all of it is all of it; beside the timeline nothing moves"
    hand.do(Release((500, 300)), Move((100, 700)))
    assert play.at_ms == LAST
    assert not hand.seen().selected


def test_a_drag_that_began_elsewhere_does_not_scrub(hand: Hand) -> None:
    hand.do(Press((500, 300)), Move((100, 700)), Release((100, 700)))
    hand.do(Press((100, 700), Button.RIGHT), Release((100, 700), Button.RIGHT))
    assert hand.seen().playback.live


@pytest.mark.parametrize(
    ("part", "live", "paused", "speed"),
    [
        ("play", False, True, 1.0),
        ("faster", True, False, 2.0),
        ("slower", True, False, 0.5),
        ("live", True, False, 1.0),
    ],
)
def test_the_timeline_has_buttons(hand: Hand, part: str, live: bool, paused: bool, speed: float) -> None:
    hand.sight.panels[50, 50] = part
    hand.click((50, 50))
    play = hand.view.playback
    assert (play.live, play.paused, play.speed) == (live, paused, speed)


def test_a_line_of_the_log_leads_to_its_peer_and_when_time_stands_still_to_its_instant(hand: Hand) -> None:
    hand.state.log.append(Line(FIRST + 5, Kind.RING, "", "somebody", False))
    hand.state.log.append(Line(FIRST + 7_000, Kind.RING, "core-2", "left", False))
    hand.sight.panels[50, 50] = "log:1"
    hand.click((50, 50))
    assert (hand.seen().pinned, hand.seen().playback.live) == ("core-2", True)
    hand.press(" ")
    hand.click((50, 50))
    assert hand.seen().playback.at_ms == FIRST + 7_000


@given(st.lists(st.sampled_from([" ", ".", "[", "]", "left", "right", "home", "end", "tab"]), max_size=30))
def test_whatever_is_pressed_the_instant_is_one_that_is_known(keys: list[str]) -> None:
    hand = Hand()
    hand.view.playback.first_ms, hand.view.playback.last_ms = FIRST, LAST
    hand.sight.faults = [FIRST + 10_000]
    hand.press(*keys)
    play = hand.view.playback
    assert play.live or FIRST <= play.at_ms <= LAST
    assert play.speed in SPEEDS
