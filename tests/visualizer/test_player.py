"""Playback: pause, step, speed, seek, home, live."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.events import PeerStopped, WorkerStarted
from visualizer.feed.history import History
from visualizer.feed.player import LONGEST_FRAME_S, Player
from visualizer.view import SPEEDS, Playback

from .tellings import START_MS, ring, told


def history_of(*times: int) -> History:
    history = History(chunk=4)
    for pid, ms in enumerate(times):
        history.add(told(WorkerStarted(worker="w", pid=pid), ms=ms))
    return history


def player_of(history: History, *, is_live: bool) -> tuple[Player, Playback]:
    playback = Playback()
    player = Player(history, playback, is_live=is_live)
    player.advance(100.0)
    return player, playback


def pid(player: Player, now: float) -> int | None:
    """Which event was the last one to be shown."""
    return player.advance(now).workers.get("w")


def test_a_recording_plays_from_its_beginning_at_the_speed_of_the_window() -> None:
    player, playback = player_of(history_of(0, 400, 800, 1_200), is_live=False)
    assert pid(player, 100.0) == 0
    assert pid(player, 100.5) == 1
    playback.speed = 2.0
    assert pid(player, 100.75) == 2
    assert playback.at_ms == START_MS + 1_000
    assert [pid(player, 100.75 + step) for step in (0.5, 1.0)] == [3, 3]
    assert playback.at_ms == START_MS + 1_200, "it waits at the end"
    assert not playback.live


def test_a_recording_that_grows_plays_on() -> None:
    history = history_of(0, 100)
    player, _ = player_of(history, is_live=False)
    assert pid(player, 100.5) == 1
    history.add(told(WorkerStarted(worker="w", pid=2), ms=150))
    assert pid(player, 101.0) == 2


def test_a_live_swarm_is_shown_as_it_is_and_its_time_goes_on_between_events() -> None:
    history = history_of(0, 1_000)
    player, playback = player_of(history, is_live=True)
    assert (pid(player, 100.25), playback.at_ms) == (1, START_MS + 1_250)
    history.add(told(WorkerStarted(worker="w", pid=2), ms=2_000))
    assert (pid(player, 100.5), playback.at_ms) == (2, START_MS + 2_000)


def test_a_paused_swarm_stands_still_while_events_come_and_catches_up_to_be_live() -> None:
    history = history_of(0, 1_000)
    player, playback = player_of(history, is_live=True)
    player.toggle_pause()
    history.add(told(WorkerStarted(worker="w", pid=2), ms=1_500))
    assert [pid(player, now) for now in (101.0, 102.0)] == [1, 1]
    assert (playback.live, playback.paused) == (False, True)
    player.toggle_pause()
    playback.speed = 0.5
    assert (pid(player, 102.5), playback.live) == (1, False)
    playback.speed = 16.0
    assert (pid(player, 103.5), playback.live) == (2, True)


def test_steps_go_by_events_even_within_the_same_millisecond() -> None:
    player, playback = player_of(history_of(0, 5, 5, 5, 9), is_live=True)
    shown = []
    for events in (-1, -1, -1, 1, 1, 1, 1, -9):
        player.step(events)
        shown.append(pid(player, 101.0))
    assert shown == [3, 2, 1, 2, 3, 4, 4, None]
    assert playback.paused
    assert playback.at_ms == START_MS


def test_going_on_after_a_step_skips_nothing_and_repeats_nothing() -> None:
    player, _ = player_of(history_of(0, 5, 5, 500), is_live=False)
    player.seek(START_MS)
    player.step()
    assert pid(player, 100.0) == 1
    player.toggle_pause()
    assert [pid(player, now) for now in (100.1, 100.6)] == [2, 3]


def test_speeds_are_those_of_the_list_and_end_there() -> None:
    player, playback = player_of(history_of(0), is_live=False)
    seen = []
    for press in (*(player.faster,) * len(SPEEDS), *(player.slower,) * len(SPEEDS)):
        press()
        seen.append(playback.speed)
    assert (seen[len(SPEEDS) - 1], seen[-1]) == (16.0, 0.1)
    assert sorted(set(seen)) == list(SPEEDS)


def test_seeking_home_and_live_stay_within_what_is_known() -> None:
    player, playback = player_of(history_of(0, 100, 200), is_live=True)
    player.toggle_pause()
    player.seek(START_MS + 150)
    assert (pid(player, 101.0), playback.paused) == (1, True)
    player.seek(0)
    assert (pid(player, 101.0), playback.at_ms) == (0, START_MS)
    player.seek(1e30)
    assert (pid(player, 101.0), playback.at_ms) == (2, START_MS + 200)
    player.home()
    assert pid(player, 101.0) == 0
    player.go_live()
    assert (pid(player, 101.0), playback.live, playback.paused) == (2, True, False)


def test_the_next_fault_is_shown_as_it_begins() -> None:
    history = History()
    for envelope in (*ring(3), told(PeerStopped(how="killed"), "core-0", ms=5_000)):
        history.add(envelope)
    history.add(told(WorkerStarted(worker="w", pid=1), ms=9_000))
    player, playback = player_of(history, is_live=False)
    at = history.next_fault(playback.at_ms)
    assert at == START_MS + 5_000
    player.seek(at)
    assert player.advance(100.0).health.members == 2
    assert history.next_fault(playback.at_ms) is None


@pytest.mark.parametrize("is_live", [True, False])
def test_before_anything_came_there_is_an_empty_swarm(is_live: bool) -> None:
    history = History()
    player, playback = player_of(history, is_live=is_live)
    for act in (player.step, player.home, player.toggle_pause, player.toggle_pause):
        act()
        assert player.advance(101.0).peers == {}
    for envelope in ring(2):
        history.add(envelope)
    player.go_live()
    assert len(player.advance(101.5).peers) == 2
    assert (playback.first_ms, playback.last_ms) == (START_MS, START_MS)


def test_a_window_that_stood_still_goes_on_from_where_it_was() -> None:
    player, playback = player_of(history_of(0, 60_000), is_live=False)
    player.advance(150.0)
    assert playback.at_ms == START_MS + LONGEST_FRAME_S * 1000


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(
        st.sampled_from(
            ["pause", "step", "back", "faster", "slower", "seek", "home", "live", "fault", "event", "wait"]
        ),
        max_size=25,
    ),
    is_live=st.booleans(),
)
def test_whatever_is_pressed_the_picture_stays_within_the_history(acts: list[str], is_live: bool) -> None:
    history = History(chunk=3, events=9, checkpoints=1)
    player, playback = player_of(history, is_live=is_live)
    ms, now = 0, 100.0
    presses: dict[str, Callable[[], object]] = {
        "pause": player.toggle_pause,
        "step": player.step,
        "back": lambda: player.step(-2),
        "faster": player.faster,
        "slower": player.slower,
        "seek": lambda: player.seek(START_MS + ms / 2),
        "home": player.home,
        "live": player.go_live,
        "fault": lambda: player.seek(history.next_fault(playback.at_ms) or playback.at_ms),
        "event": lambda: history.add(told(PeerStopped(how="killed"), "core-0", ms=ms)),
        "wait": lambda: None,
    }
    for act in acts:
        ms += 300 * (act == "event")
        presses[act]()
        now += 0.1
        state = player.advance(now)
        assert playback.at_ms >= playback.first_ms
        assert playback.live or playback.at_ms <= playback.last_ms + 100 * len(acts)
        assert state.now_ms in (0, *range(START_MS, START_MS + ms + 1, 300))
