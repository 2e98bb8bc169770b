"""What all events have in common."""

from __future__ import annotations

import msgspec

EVENT_VERSION = 1
"""Rises when an event changes its meaning. Fields may be appended with defaults without a new version."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events. The tag is the class name."""
