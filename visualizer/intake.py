"""What a feed brings goes into the story, and what the timeline needs to know of it into the playback."""

from __future__ import annotations

from visualizer.limits import WINDOW
from visualizer.parts import Feeding, Story
from visualizer.view import Playback


class Intake:
    """Takes in what comes, whatever time is shown, so that the present is never more than a frame away."""

    def __init__(self, feed: Feeding, story: Story) -> None:
        self._feed = feed
        self._story = story
        self._look_at = 0.0
        self._is_stale = False

    def take(self, budget: int) -> int:
        """Add what has come, at most so much of it; how much that was."""
        items = self._feed.take(budget)
        for item in items:
            self._story.add(item)
        self._is_stale = self._is_stale or bool(items)
        return len(items)

    def mark(self, playback: Playback, now: float) -> None:
        """Have the timeline show what came; what takes long, not more often than people see. ``now``: seconds."""
        playback.first_ms, playback.last_ms = self._story.first_ms, self._story.last_ms
        if self._is_stale and now >= self._look_at:
            self._look_at, self._is_stale = now + WINDOW.timeline, False
            playback.histogram = tuple(self._story.histogram(WINDOW.buckets))
            playback.marks = tuple(self._story.marks)
