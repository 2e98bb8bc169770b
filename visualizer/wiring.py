"""Feeds, and what is kept of what they bring: the parts that need no display."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from cicada.bus.follower import Follower
from cicada.bus.remote import WatchKeys
from visualizer.feed.history import History
from visualizer.feed.live import LiveFeed
from visualizer.feed.player import Player
from visualizer.feed.recorded import RecordedFeed
from visualizer.parts import Feeding, Playing, Story
from visualizer.view import Playback


def live_feed(events: str, snapshots: str, keys: WatchKeys | None = None) -> Feeding:
    """What a bus tells. ``snapshots``: where its snapshots are asked for; ``keys``: what lets in at one elsewhere."""
    return LiveFeed(events, snapshots, follow=partial(Follower, keys=keys))


def recorded_feed(path: Path) -> Feeding:
    """What a recording tells. Raises Unavailable when it cannot be read."""
    return RecordedFeed(path)


def new_story() -> Story:
    """Nothing is known yet."""
    return History()


def make_player(story: Story, playback: Playback, *, is_live: bool) -> Playing:
    """Shows the present of what is live, and a recording from its beginning. The story is one of new_story."""
    return Player(cast(History, story), playback, is_live=is_live)
