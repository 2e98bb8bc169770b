"""The window on a display that nobody sees: real events of pygame go in, pictures come out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest

from cicada.commands import Done, Kill, Lookup, LookupResult, Refused
from cicada.errors import Unavailable
from visualizer.controls.inputs import Wheel
from visualizer.hands import Hands
from visualizer.limits import WINDOW
from visualizer.model.state import Kind, Trip
from visualizer.outcomes import Outcome
from visualizer.parts import NoDisplay

from .desks import at, notice_of
from .shows import Opened, opened


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Opened]:
    with opened(tmp_path) as behind:
        behind.frame()
        yield behind


def test_every_frame_shows_the_newest_that_has_come(behind: Opened) -> None:
    behind.feed.coming = [1_000, 2_000]
    behind.frame()
    behind.feed.coming = [3_000]
    behind.frame()
    assert behind.stage.drawn[-2:] == [2_000, 3_000]
    play = behind.view.playback
    assert (play.live, play.first_ms, play.last_ms, play.at_ms) == (True, 1_000, 3_000, 3_000)
    assert sum(play.histogram) > 0


def test_a_window_that_nobody_can_see_takes_in_what_comes_and_draws_when_it_is_seen_again(
    behind: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = len(behind.stage.drawn)
    with monkeypatch.context() as minimized:
        minimized.setattr(pygame.display, "get_active", lambda: False)
        behind.feed.coming = [1_000, 2_000]
        behind.frame()
        assert len(behind.stage.drawn) == drawn
        assert behind.view.playback.last_ms == 2_000
    behind.frame()
    assert behind.stage.drawn[drawn:] == [2_000]


def test_a_click_and_a_key_reach_the_launcher(behind: Opened) -> None:
    behind.click(at("core-2"))
    behind.key(pygame.K_k, "k")
    behind.frame()
    assert [asked.command for asked in behind.commander.asked] == [Kill(select="core-2", hard=True)]


def test_the_answer_is_shown_in_the_window_and_the_notice_goes_by_itself(behind: Opened) -> None:
    command = Kill(select="core-2", hard=True)
    behind.commander.outcomes = [Outcome(command, "kill core-2", Done(peers=("core-2",)))]
    behind.frame()
    assert behind.seen().results == ("kill core-2", "  done: core-2")
    assert not notice_of(behind.view).is_bad
    assert notice_of(behind.view).text == "kill core-2: done"
    behind.frame(WINDOW.notice + 0.1)
    assert behind.seen().notice is None
    behind.commander.outcomes = [Outcome(command, "kill core-2", Refused(reason="core-2 is killed"))]
    behind.frame()
    assert notice_of(behind.view).is_bad


def test_the_way_of_a_lookup_is_followed_as_soon_as_its_hops_arrive(behind: Opened) -> None:
    behind.state.trips["old"] = Trip("old", Kind.LOOKUP, behind.state.peers["core-1"].address, "")
    behind.click(at("core-1"))
    behind.key(pygame.K_l, "l")
    behind.click(at("core-4"))
    behind.frame()
    command = behind.commander.asked[0].command
    assert isinstance(command, Lookup)
    behind.state.trips["other"] = Trip("other", Kind.LOOKUP, behind.state.peers["core-3"].address, "")
    behind.frame()
    assert behind.seen().followed == ""
    behind.state.trips["mine"] = Trip("mine", Kind.LOOKUP, behind.state.peers["core-1"].address, "")
    behind.frame()
    assert behind.seen().followed == "mine"


def test_a_lookup_whose_hops_never_arrive_is_not_waited_for_for_ever(behind: Opened) -> None:
    command = Lookup(value="core-4", via="core-1", iterative=True)
    behind.click(at("core-1"))
    behind.key(pygame.K_l, "l")
    behind.click(at("core-4"))
    behind.frame()
    reply = LookupResult(
        owner="a:1", owner_name="core-4", place="0", route=("a:1",), hops=1, seconds=0.1, right=True
    )
    behind.commander.outcomes = [Outcome(command, "x", reply)]
    behind.frame(WINDOW.following + 1)
    behind.frame()
    behind.state.trips["late"] = Trip("late", Kind.LOOKUP, behind.state.peers["core-1"].address, "")
    behind.frame()
    assert behind.seen().followed == ""


def test_read_only_is_whatever_the_commander_says(behind: Opened) -> None:
    behind.commander.can_ask = False
    behind.frame()
    behind.click(at("core-2"))
    behind.key(pygame.K_k, "k")
    behind.frame()
    assert behind.commander.asked == []
    assert "not possible" in notice_of(behind.view).text


def test_f12_keeps_the_picture_and_says_where(behind: Opened, tmp_path: Path) -> None:
    behind.key(pygame.K_F12)
    behind.frame()
    pictures = list(tmp_path.glob("cicada-*.png"))
    assert len(pictures) == 1
    assert pygame.image.load(pictures[0]).get_size() == (640, 480)
    assert str(pictures[0]) in notice_of(behind.view).text


def test_a_picture_that_cannot_be_written_is_a_notice(behind: Opened, tmp_path: Path) -> None:
    tmp_path.rmdir()
    behind.key(pygame.K_F12)
    behind.frame()
    assert notice_of(behind.view).is_bad
    tmp_path.mkdir()


def test_the_picture_follows_the_size_of_the_window(behind: Opened) -> None:
    pygame.display.set_mode((800, 500), pygame.RESIZABLE)
    behind.frame()
    assert behind.stage.sizes[-1] == (800, 500)
    behind.key(pygame.K_F11)
    behind.frame()
    behind.key(pygame.K_F11)
    behind.frame()
    assert behind.stage.sizes[-1] == (800, 500), "back from the full screen"


@pytest.mark.parametrize("how", ["key", "window"])
def test_it_ends_by_its_key_and_by_the_window_manager(behind: Opened, how: str) -> None:
    if how == "key":
        behind.key(pygame.K_q, "q")
    else:
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    behind.window.run()
    assert behind.window.is_over
    behind.window.close()
    behind.window.close()
    assert behind.feed.closed
    assert behind.commander.closed
    with pytest.raises(Unavailable, match="not open"):
        behind.window.frame()


def test_the_stage_gets_the_key_sheet(behind: Opened) -> None:
    assert ("Q", "close the window") in behind.stage.keys


def test_what_hands_want_of_time_the_player_is_told(behind: Opened) -> None:
    behind.feed.coming = [1_000, 2_000]
    behind.frame()
    for key, text in (
        (pygame.K_SPACE, " "),
        (pygame.K_PERIOD, "."),
        (pygame.K_COMMA, ","),
        (pygame.K_HOME, ""),
        (pygame.K_END, ""),
    ):
        behind.key(key, text)
        behind.frame()
    assert behind.told == ["pause", 1, -1, 1_000, "live"]


def test_more_is_taken_in_while_time_stands_still(behind: Opened) -> None:
    behind.feed.coming = [1_000, 2_000]
    behind.frame()
    behind.key(pygame.K_SPACE, " ")
    behind.frame()
    behind.feed.coming = [3_000, 4_000]
    behind.frame(1)
    behind.frame(1)
    assert behind.stage.drawn[-1] == 2_000
    assert behind.view.playback.last_ms == 4_000


def test_a_burst_is_taken_in_over_several_pictures(behind: Opened) -> None:
    behind.feed.coming = list(range(1_000, 1_000 + 2 * WINDOW.take))
    behind.frame()
    assert behind.stage.drawn[-1] == 999 + WINDOW.take
    behind.frame()
    assert behind.stage.drawn[-1] == 999 + 2 * WINDOW.take


def test_the_log_of_the_peer_that_is_looked_at_is_read(behind: Opened, tmp_path: Path) -> None:
    record = '{"time":"2026-11-26T20:00:01.000Z","level":"info","source":"w","event":"e","text":"joined"}'
    (tmp_path / "core-2.jsonl").write_text(f"torn\n{record}\n")
    behind.click(at("core-2"))
    behind.frame()
    assert behind.seen().log_tail == ("20:00:01 info joined",)
    behind.click(at("core-3"))
    behind.frame()
    assert behind.seen().log_tail == ()


def test_keys_with_control_and_strange_buttons_are_somebody_elses() -> None:
    event = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_k, unicode="\x0b", mod=pygame.KMOD_CTRL)
    assert Hands().input_of(event) is None
    assert Hands().input_of(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(1, 1), button=8)) is None


def test_the_wheel_turns_where_the_pointer_is() -> None:
    hands = Hands()
    hands.input_of(pygame.event.Event(pygame.MOUSEMOTION, pos=(30, 40)))
    assert hands.input_of(pygame.event.Event(pygame.MOUSEWHEEL, y=-2)) == Wheel((30, 40), -2)
    assert hands.input_of(pygame.event.Event(pygame.MOUSEWHEEL, y=0)) is None


def test_a_window_that_is_not_open_draws_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not open"):
        Opened(tmp_path).window.frame()


def test_where_there_is_no_display_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    behind = Opened(tmp_path)
    with pytest.raises(NoDisplay, match="no such driver"):
        behind.window.open()
    behind.window.close()
