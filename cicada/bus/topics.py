"""Topics: ``<family>.<kind>``, so that a prefix subscribes to a family and the whole to one kind of event.

``b"ring."`` are all ring events, ``b"run.PeerStarted"`` is one kind, ``b""`` is everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import UnionType
from typing import get_args

from cicada.events import (
    AnyEvent,
    BroadcastFinished,
    BroadcastReceived,
    BroadcastStarted,
    CopiesTraced,
    FingersChanged,
    HopTaken,
    KeyEvent,
    LinkClosed,
    LinkEvent,
    LinkOpened,
    LoadEvent,
    LookupFinished,
    LookupStarted,
    MessageSettled,
    NatEvent,
    PeerMeasured,
    RelayMisbehaved,
    RingEvent,
    RoutingEvent,
    RunEvent,
    SequencesTold,
    TrafficCounted,
    TrafficEvent,
)

EVERYTHING = b""

_FAMILIES: dict[str, UnionType] = {
    "ring": RingEvent,
    "routing": RoutingEvent,
    "link": LinkEvent,
    "key": KeyEvent,
    "nat": NatEvent,
    "run": RunEvent,
    "load": LoadEvent,
    "traffic": TrafficEvent,
}

_TOPICS: dict[type, bytes] = {
    kind: f"{family}.{kind.__name__}".encode()
    for family, union in _FAMILIES.items()
    for kind in get_args(union)
}

TRAFFIC: frozenset[bytes] = frozenset(
    _TOPICS[kind]
    for kind in (
        *(MessageSettled, RelayMisbehaved, LookupStarted, LookupFinished),
        *(BroadcastStarted, BroadcastReceived, BroadcastFinished),
        *(LinkOpened, LinkClosed, FingersChanged),
        *(TrafficCounted, HopTaken, CopiesTraced, PeerMeasured, SequencesTold),
    )
)
"""Kinds of which every message, link or finger makes one: thousands a second under load or in repair, when encoding them
cost a worker a fifth of its time. So never recorded unless asked for."""


def topic_of(kind: type[AnyEvent]) -> bytes:
    """The topic of one kind of event."""
    return _TOPICS[kind]


def kinds() -> dict[str, type[AnyEvent]]:
    """All kinds of events by name."""
    return {kind.__name__: kind for kind in _TOPICS}


def state_topics() -> tuple[bytes, ...]:
    """All topics but traffic: what a recording holds by default, and what the swarm's state is a fold over."""
    return tuple(topic for topic in _TOPICS.values() if topic not in TRAFFIC)


def covers(prefixes: Iterable[bytes], topic: bytes) -> bool:
    """Whether a subscription to any of ``prefixes`` takes ``topic``."""
    return any(topic.startswith(prefix) for prefix in prefixes)
