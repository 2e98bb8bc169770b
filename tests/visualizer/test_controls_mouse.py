"""What the mouse does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualizer.controls.inputs import Button, Input, Move, Press, Release, Wheel
from visualizer.controls.mouse import corners
from visualizer.limits import WINDOW
from visualizer.model.state import Kind
from visualizer.view import Prompt

from .desks import EMPTY, Hand, at


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_pointing_at_a_peer_hovers_it_and_pointing_at_a_panel_does_not(hand: Hand) -> None:
    hand.do(Move(at("core-2")))
    assert hand.seen().hovered == "core-2"
    hand.do(Move(EMPTY))
    assert hand.seen().hovered == ""
    hand.sight.panels[at("core-2")] = "panel"
    hand.do(Move(at("core-2")))
    assert hand.seen().hovered == ""


def test_a_click_selects_and_opens_one_peer_and_shift_adds_and_takes_away(hand: Hand) -> None:
    hand.click("core-1")
    hand.click("core-2")
    assert (hand.seen().selected, hand.seen().pinned) == ({"core-2"}, "core-2")
    hand.click("core-1", shift=True)
    assert (hand.seen().selected, hand.seen().pinned) == ({"core-1", "core-2"}, "core-1")
    hand.click("core-2", shift=True)
    assert hand.seen().selected == {"core-1"}


@pytest.mark.parametrize(("start", "end"), [((90, 90), (310, 110)), ((310, 110), (90, 90))])
def test_a_rectangle_selects_whoever_is_in_it_whichever_corner_came_first(
    hand: Hand, start: tuple[int, int], end: tuple[int, int]
) -> None:
    hand.do(Press(start), Move(end))
    assert hand.seen().rectangle == (*start, *end)
    hand.do(Release(end))
    assert hand.seen().rectangle is None
    assert hand.seen().selected == {"core-0", "core-1", "core-2"}


def test_a_rectangle_with_shift_adds(hand: Hand) -> None:
    hand.click("core-5")
    hand.drag((90, 90), (110, 110), shift=True)
    assert hand.seen().selected == {"core-0", "core-5"}
    hand.drag((90, 90), (110, 110))
    assert (hand.seen().selected, hand.seen().pinned) == ({"core-0"}, "")


def test_a_hand_that_trembles_still_clicks(hand: Hand) -> None:
    x, y = at("core-1")
    hand.do(Press((x + WINDOW.click, y)), Move((x, y + 1)), Release((x, y)))
    assert hand.seen().selected == {"core-1"}


@pytest.mark.parametrize("button", [Button.RIGHT, Button.MIDDLE])
def test_the_other_buttons_move_the_picture_with_the_pointer(hand: Hand, button: Button) -> None:
    hand.click("core-1")
    hand.drag((500, 500), (600, 450), button=button)
    assert (hand.seen().camera.x, hand.seen().camera.y) == (-1.0, 0.5)
    assert hand.seen().selected == {"core-1"}
    assert hand.seen().rectangle is None


def test_the_wheel_zooms_about_the_pointer_but_not_over_a_panel(hand: Hand) -> None:
    hand.do(Wheel((500, 300), 2))
    assert hand.seen().camera.zoom == pytest.approx(WINDOW.zoom_step**2)
    assert (hand.seen().camera.x, hand.seen().camera.y) == (5.0, 3.0), "the place that the fake puts there"
    hand.sight.panels[500, 300] = "panel"
    before = hand.view.camera
    hand.do(Wheel((500, 300), 2))
    assert hand.seen().camera == before


def test_a_second_button_does_not_disturb_a_drag(hand: Hand) -> None:
    hand.do(Press((90, 90)), Move((150, 110)), Press((150, 110), Button.RIGHT))
    hand.do(Release((150, 110), Button.RIGHT), Move((210, 110)), Release((210, 110)))
    assert hand.seen().selected == {"core-0", "core-1"}


def test_panels_take_clicks_and_let_none_through(hand: Hand) -> None:
    hand.click("core-1")
    pixel = at("core-2")
    for part in ("panel", "inspector", "kind:nonsense", "log:99", "log:", "peer:nobody", "scrubber:x"):
        hand.sight.panels[pixel] = part
        hand.click(pixel)
        assert hand.seen().selected == {"core-1"}, part


def test_parts_of_panels_do_what_they_show(hand: Hand) -> None:
    pixel = (900, 700)
    for part in ("kind:receipt", "group:core", "peer:core-3", "keys"):
        hand.sight.panels[pixel] = part
        hand.click(pixel)
    assert hand.seen().hidden_kinds == {Kind.RECEIPT}
    assert hand.seen().only_group == "core"
    assert hand.seen().pinned == "core-3"
    assert hand.seen().shows_keys
    hand.sight.panels[pixel] = "group:core"
    hand.click(pixel)
    assert hand.seen().only_group == ""


def test_a_peer_in_a_panel_answers_a_question_too(hand: Hand) -> None:
    hand.press("l")
    hand.sight.panels[900, 700] = "peer:core-3"
    assert hand.click((900, 700))
    assert hand.seen().prompt is Prompt.NONE


def test_a_click_beside_everybody_answers_nothing(hand: Hand) -> None:
    hand.press("l")
    hand.click(EMPTY)
    assert hand.seen().prompt is Prompt.LOOKUP


def test_corners_are_in_order() -> None:
    assert corners((5, 1), (2, 8)) == (2, 1, 5, 8)


pixels = st.tuples(st.integers(-10, 1100), st.integers(-10, 900))
buttons = st.sampled_from(Button)
inputs = st.one_of(
    st.builds(Press, pixels, buttons, st.booleans()),
    st.builds(Release, pixels, buttons, st.booleans()),
    st.builds(Move, pixels),
    st.builds(Wheel, pixels, st.integers(-3, 3)),
)


@given(st.lists(inputs, max_size=40))
def test_whatever_a_hand_does_no_rectangle_stays_and_only_peers_are_selected(given: list[Input]) -> None:
    hand = Hand()
    hand.do(*given)
    hand.do(*(Release((0, 0), button) for button in Button))
    assert hand.seen().rectangle is None
    assert hand.seen().selected <= hand.state.peers.keys()
    assert not hand.actions
