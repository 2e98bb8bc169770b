"""Playback: which state a window shows at which time of its own clock."""

from __future__ import annotations

from typing import Final

from visualizer.feed.history import History
from visualizer.model.state import SwarmState
from visualizer.view import SPEEDS, Playback

LONGEST_FRAME_S: Final = 1.0
"""A window that stood still for longer goes on from where it was."""


class Player:
    """Moves a Playback through a History. ``is_live``: the stream has a present, so that whoever catches up with it stays there;
    else the end is just the end."""

    def __init__(self, history: History, playback: Playback, *, is_live: bool) -> None:
        self._history = history
        self._playback = playback
        self._is_live = is_live
        self._number = history.first
        self._now: float | None = None
        playback.live = is_live

    def advance(self, now: float) -> SwarmState:
        """The state to show at ``now`` (seconds on the window's clock, which never goes back)."""
        elapsed = 0.0 if self._now is None else min(LONGEST_FRAME_S, max(0.0, now - self._now))
        self._now = now
        history, playback = self._history, self._playback
        playback.first_ms, playback.last_ms = history.first_ms, history.last_ms
        if playback.live:
            # Between two events the time goes on, by this clock: what moves is drawn smoothly
            playback.at_ms = max(playback.at_ms + elapsed * 1000, playback.last_ms)
            self._number = history.end
            return history.newest.state
        if playback.at_ms < playback.first_ms:
            playback.at_ms = playback.first_ms
        if not playback.paused:
            self._run(elapsed)
        self._number = max(history.first, min(self._number, history.end))
        return history.state_of(self._number)

    def _run(self, elapsed: float) -> None:
        history, playback = self._history, self._playback
        playback.at_ms = min(
            playback.at_ms + elapsed * 1000 * playback.speed, max(playback.at_ms, playback.last_ms)
        )
        self._number = max(self._number, history.number_at(playback.at_ms))
        if self._is_live and playback.at_ms >= playback.last_ms and history.end:
            playback.live = True

    def toggle_pause(self) -> None:
        """Stop where it is, or go on from there."""
        playback = self._playback
        if playback.live:
            playback.live, playback.paused = False, True
            self._number = self._history.end
        else:
            playback.paused = not playback.paused

    def step(self, events: int = 1) -> None:
        """Stop, and go so many events further; back when negative."""
        history, playback = self._history, self._playback
        if playback.live:
            self._number = history.end
        playback.live, playback.paused = False, True
        self._number = max(history.first, min(self._number + events, history.end))
        playback.at_ms = history.time_of(self._number)

    def faster(self) -> None:
        """The next higher speed."""
        playback = self._playback
        playback.speed = next((speed for speed in SPEEDS if speed > playback.speed), SPEEDS[-1])

    def slower(self) -> None:
        """The next lower speed."""
        playback = self._playback
        playback.speed = next((speed for speed in reversed(SPEEDS) if speed < playback.speed), SPEEDS[0])

    def seek(self, ms: float) -> None:
        """Show an instant, the nearest one that is known. Whether it is paused stays as it is."""
        history, playback = self._history, self._playback
        playback.live = False
        playback.at_ms = max(history.first_ms, min(ms, history.last_ms))
        self._number = history.number_at(playback.at_ms)

    def home(self) -> None:
        """Show the beginning."""
        self.seek(self._history.first_ms)

    def go_live(self) -> None:
        """Show the newest, and whatever comes."""
        playback = self._playback
        playback.live, playback.paused = True, False
        playback.at_ms = self._history.last_ms
