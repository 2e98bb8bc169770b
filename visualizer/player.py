"""What time is shown: the newest state as it comes, or an instant of what is known, standing still or running."""

from __future__ import annotations

from visualizer.limits import WINDOW
from visualizer.model.state import SwarmState
from visualizer.parts import Feeding, Story
from visualizer.view import Playback


class Player:
    """Takes in what a feed brings, whatever time is shown, so that the present is never more than a frame away.

    ``replay``: a recording begins at its beginning rather than at its end, and stops there.
    """

    def __init__(self, feed: Feeding, story: Story, *, replay: bool = False) -> None:
        self._feed = feed
        self.story = story
        self._replay = replay
        self._begun = not replay
        self._shown: SwarmState = story.state
        self._shown_at: tuple[float, int] | None = None
        self._timeline_in = 0.0  # seconds until the timeline is looked at again

    def take_in(self, budget: int = WINDOW.take) -> int:
        """Fold what has come, at most so much of it; how much that was."""
        items = self._feed.take(budget)
        for item in items:
            self.story.take_in(item)
        return len(items)

    def advance(self, playback: Playback, elapsed: float, budget: int = WINDOW.take) -> SwarmState:
        """The state to be shown ``elapsed`` seconds after the last call. Moves ``playback`` on."""
        came = self.take_in(budget)
        playback.first_ms, playback.last_ms = self.story.first_ms, self.story.last_ms
        self._timeline_in -= elapsed
        if came and self._timeline_in <= 0:
            self._timeline_in = WINDOW.timeline
            playback.histogram = tuple(self.story.histogram(WINDOW.buckets))
            playback.marks = tuple(self.story.marks)
        if not self._begun and playback.last_ms:
            self._begun = True
            playback.live, playback.at_ms = False, float(playback.first_ms)
        if not playback.live:
            self._run(playback, elapsed)
        return self._state(playback)

    def _run(self, playback: Playback, elapsed: float) -> None:
        if not playback.paused:
            playback.at_ms += elapsed * 1000 * playback.speed
        playback.at_ms = max(playback.at_ms, float(playback.first_ms))
        if playback.at_ms < playback.last_ms:
            return
        playback.at_ms = float(playback.last_ms)
        if not playback.paused and not self._replay:
            playback.live = True  # it has caught up with the present

    def _state(self, playback: Playback) -> SwarmState:
        if playback.live:
            playback.at_ms = float(playback.last_ms)
            self._shown_at = None
            return self.story.state
        wanted = (playback.at_ms, playback.last_ms if playback.at_ms >= playback.last_ms else 0)
        if wanted != self._shown_at:
            self._shown, self._shown_at = self.story.state_at(playback.at_ms), wanted
        return self._shown
