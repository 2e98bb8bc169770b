"""What each key does: what the launcher is asked, and what the view becomes."""

from __future__ import annotations

import pytest

from cicada.commands import (
    Add,
    AnyCommand,
    Heal,
    Join,
    Kill,
    Lookup,
    Partition,
    Restart,
    Send,
    SendToAll,
    Stop,
)
from visualizer.controls.actions import Ask, FullScreen, Quit, Screenshot
from visualizer.controls.bindings import BINDINGS
from visualizer.limits import WINDOW
from visualizer.model.state import Kind, PeerState
from visualizer.view import Prompt, Theme

from .desks import EMPTY, Hand, notice_of, peer, swarm


@pytest.fixture
def hand() -> Hand:
    return Hand()


def asked(hand: Hand) -> list[AnyCommand]:
    return [action.command for action in hand.actions if isinstance(action, Ask)]


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        ("b", SendToAll(payload=b"hello, all", via="core-1")),
        ("a", Add(group="core")),
        ("d", Stop(select="core-1")),
        ("k", Kill(select="core-1", hard=True)),
        ("x", Restart(select="core-1")),
        ("h", Heal()),
    ],
)
def test_a_key_asks_about_the_selected(hand: Hand, keys: str, command: AnyCommand) -> None:
    hand.click("core-1")
    hand.press(keys)
    assert asked(hand) == [command]


def test_several_are_named_in_the_order_of_their_numbers() -> None:
    hand = Hand(swarm(12))
    for name in ("core-10", "core-2", "core-0"):
        hand.click(name, shift=True)
    hand.press("k")
    assert asked(hand) == [Kill(select="core-0,core-2,core-10", hard=True)]


def test_r_has_all_outside_the_ring_join_through_members_drawn_at_random(hand: Hand) -> None:
    hand.state.peers["core-1"].state = PeerState.DEAD
    hand.state.peers["core-4"].state = PeerState.STARTING
    hand.state.peers["core-5"].state = PeerState.RESTARTING
    hand.press("r")
    assert asked(hand) == [Join(select="core-1,core-4", through="all", again=True)]


def test_r_asks_nothing_when_everybody_is_in(hand: Hand) -> None:
    hand.press("r")
    assert not hand.actions
    assert "already" in hand.notice


def test_peers_that_are_rings_of_their_own_are_outside() -> None:
    hand = Hand(swarm(2))
    hand.state.peers["core-0"].state = PeerState.ALONE
    hand.press("r")
    assert asked(hand) == [Join(select="core-0", through="all", again=True)]


def test_j_joins_the_selected_through_the_next_clicked(hand: Hand) -> None:
    hand.state.peers["core-3"].state = PeerState.LEFT
    hand.click("core-3")
    hand.press("j")
    assert hand.seen().prompt is Prompt.JOIN
    hand.click("core-0")
    assert asked(hand) == [Join(select="core-3", through="core-0", again=True)]
    assert hand.seen().prompt is Prompt.NONE
    assert hand.seen().selected == {"core-3"}, "the click answered, and selected nobody"


def test_nobody_joins_through_itself(hand: Hand) -> None:
    hand.state.peers["core-3"].state = PeerState.LEFT
    hand.click("core-3")
    hand.press("j")
    hand.click("core-3")
    assert not hand.actions
    assert "itself" in hand.notice


@pytest.mark.parametrize(("key", "says"), [("j", "in the ring already"), ("n", "")])
def test_what_makes_no_sense_for_members_is_not_asked_for(hand: Hand, key: str, says: str) -> None:
    hand.click("core-3")
    hand.press(key)
    assert says in hand.notice
    assert (hand.seen().prompt is Prompt.NONE) == bool(says)


@pytest.mark.parametrize("key", "jdkxnfp")
def test_without_a_selection_a_sentence_says_what_is_missing(hand: Hand, key: str) -> None:
    hand.press(key)
    assert not hand.actions
    assert hand.seen().prompt is Prompt.NONE
    assert "first" in hand.notice


def test_the_dead_are_neither_killed_nor_disconnected_again(hand: Hand) -> None:
    hand.state.peers["core-3"].state = PeerState.DEAD
    hand.click("core-3")
    hand.press("k", "d")
    assert not hand.actions
    hand.press("x")
    assert asked(hand) == [Restart(select="core-3")]


def test_l_looks_up_the_next_clicked_hop_by_hop_from_the_selected(hand: Hand) -> None:
    hand.click("core-1")
    hand.press("l")
    hand.click("core-4")
    assert asked(hand) == [Lookup(value="core-4", via="core-1", iterative=True)]


def test_l_takes_what_is_typed_letters_of_other_keys_included(hand: Hand) -> None:
    hand.press("l")
    hand.type("127.0.0.1:20003q")
    hand.press("backspace", "return")
    assert asked(hand) == [Lookup(value="127.0.0.1:20003", via="", iterative=True)]
    assert hand.seen().typed == ""


def test_a_line_without_a_word_ends_the_question(hand: Hand) -> None:
    hand.press("l", " ", "return")
    assert not hand.actions
    assert hand.seen().prompt is Prompt.NONE


@pytest.mark.parametrize(("answer", "copies"), [("4", 4), ("0", 0), ("return", 0)])
def test_m_asks_for_copies_and_then_for_the_target(hand: Hand, answer: str, copies: int) -> None:
    hand.click("core-1")
    hand.press("m", answer)
    assert hand.seen().prompt is Prompt.SEND
    hand.click("core-4")
    assert asked(hand) == [Send(target="core-4", payload=b"hello", via="core-1", duplicates=copies)]


def test_anything_but_a_digit_is_no_number_of_copies(hand: Hand) -> None:
    hand.click("core-1")
    hand.press("m", "q")
    assert hand.seen().prompt is Prompt.COPIES
    assert not hand.actions


def test_a_target_that_is_clicked_at_once_gets_no_copies(hand: Hand) -> None:
    hand.click("core-1")
    hand.press("m")
    hand.click("core-2")
    assert asked(hand) == [Send(target="core-2", payload=b"hello", via="core-1", duplicates=0)]


def test_copies_of_one_message_are_not_those_of_the_next(hand: Hand) -> None:
    hand.click("core-1")
    hand.press("m", "7")
    hand.click("core-2")
    hand.press("m")
    hand.click("core-3")
    assert [c.duplicates for c in asked(hand) if isinstance(c, Send)] == [7, 0]


@pytest.mark.parametrize("other", ["", "core-5"])
def test_n_cuts_the_selected_off_from_a_peer_or_from_all(hand: Hand, other: str) -> None:
    hand.drag((90, 90), (210, 110))
    hand.press("n")
    hand.click(other) if other else hand.press("return")
    assert asked(hand) == [Partition(one="core-0,core-1", other=other)]


def test_escape_first_ends_the_question_then_the_results_then_the_selection(hand: Hand) -> None:
    hand.click("core-1")
    hand.view.results = ("a lookup",)
    hand.press("l", "escape")
    assert (hand.seen().prompt, hand.seen().results, hand.seen().selected) == (
        Prompt.NONE,
        ("a lookup",),
        {"core-1"},
    )
    hand.press("s")
    assert (hand.seen().results, hand.seen().selected) == ((), {"core-1"})
    hand.press("escape")
    assert (hand.seen().selected, hand.seen().pinned) == (set(), "")


def test_commands_are_disabled_with_a_notice_when_nobody_may_command(hand: Hand) -> None:
    hand.view.feed.can_command = False
    hand.state.peers["core-2"].state = PeerState.LEFT
    hand.click("core-2")
    for key in "rjlmbaxnh":
        hand.view.notice = None
        hand.press(key)
        assert "not possible" in hand.notice, key
        assert notice_of(hand.view).is_bad
    assert not hand.actions
    hand.view.feed.source = "runs/x/events.jsonl"
    hand.press("a")
    assert "recording" in hand.notice


def test_looking_needs_no_permission(hand: Hand) -> None:
    hand.view.feed.can_command = False
    hand.click("core-1")
    hand.press("f", "e", "t", "/")
    assert hand.seen().shows_fingers
    assert hand.seen().even_spacing
    assert hand.seen().theme is Theme.LIGHT
    assert hand.seen().prompt is Prompt.FIND


def test_fingers_and_known_peers_are_shown_one_or_the_other(hand: Hand) -> None:
    hand.click("core-1")
    hand.press("f")
    assert (hand.seen().shows_fingers, hand.seen().shows_known, hand.seen().pinned) == (True, False, "core-1")
    hand.press("p")
    assert (hand.seen().shows_fingers, hand.seen().shows_known) == (False, True)
    hand.press("p")
    assert not hand.seen().shows_known


def test_a_search_shows_whom_it_means_while_it_is_typed_and_selects_them_in_the_end() -> None:
    hand = Hand(swarm(12))
    hand.press("/")
    hand.type("core-1")
    assert hand.seen().found == {"core-1", "core-10", "core-11"}
    hand.type("0")
    assert hand.seen().found == {"core-10"}
    hand.press("return")
    assert (hand.seen().selected, hand.seen().pinned, hand.seen().found) == ({"core-10"}, "core-10", set())


def test_a_search_for_a_whole_name_means_that_one_alone() -> None:
    hand = Hand(swarm(12))
    hand.press("/")
    hand.type("core-1")
    hand.press("return")
    assert hand.seen().selected == {"core-1"}


def test_a_search_for_nobody_says_so_and_keeps_the_selection(hand: Hand) -> None:
    hand.click("core-1")
    hand.press("/")
    hand.type("x")
    hand.press("return")
    assert "nobody" in hand.notice
    assert hand.seen().selected == {"core-1"}


def test_what_is_typed_is_bounded(hand: Hand) -> None:
    hand.press("/")
    hand.type("a" * (WINDOW.typed + 10))
    assert len(hand.seen().typed) == WINDOW.typed


def test_digits_switch_kinds_on_and_off(hand: Hand) -> None:
    for digit, kind in enumerate(list(Kind)[:9], 1):
        hand.press(str(digit))
        assert hand.seen().hidden_kinds == {kind}
        hand.press(str(digit))
    assert hand.seen().hidden_kinds == set()


def test_g_goes_round_the_groups() -> None:
    hand = Hand()
    hand.state.peers["edge-0"] = peer("edge-0", group="edge")
    seen = []
    for _ in range(4):
        hand.press("g")
        seen.append(hand.view.only_group)
    assert seen == ["core", "edge", "", "core"]


def test_the_window_itself_has_keys_too(hand: Hand) -> None:
    assert hand.press("q", "f11", "f12") == [Quit(), FullScreen(), Screenshot()]
    hand.press("?")
    assert hand.seen().shows_keys
    hand.press("escape")
    assert not hand.seen().shows_keys
    hand.press("o", "v")
    assert not hand.seen().shows_log
    assert not hand.seen().shows_traffic


def test_the_picture_moves_by_arrows_and_comes_back(hand: Hand) -> None:
    hand.press("right", "down", shift=True)
    step = WINDOW.pan / 100
    assert (hand.seen().camera.x, hand.seen().camera.y) == (step, step), "looking farther right and down"
    hand.press("+")
    assert hand.seen().camera.zoom > 1
    hand.press("0")
    assert (hand.seen().camera.x, hand.seen().camera.zoom) == (0.0, 1.0)


def test_a_click_beside_everybody_selects_nobody(hand: Hand) -> None:
    hand.click("core-1")
    hand.click(EMPTY)
    assert hand.seen().selected == set()


def test_every_key_of_the_table_is_tried_here_or_beside_and_none_raises() -> None:
    """On nothing, on a selection, and on a swarm without peers."""
    for state in (swarm(3), swarm(0)):
        hand = Hand(state)
        hand.view.playback.first_ms, hand.view.playback.last_ms = 1_000, 61_000
        for binding in BINDINGS:
            for key in binding.keys:
                hand.press(key, "escape", "escape", "escape")
                hand.view.selected = set(state.peers)
                hand.press(key, "escape", "escape", "escape")
        assert hand.seen().prompt is Prompt.NONE
