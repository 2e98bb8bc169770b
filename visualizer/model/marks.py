"""What has a mark on the timeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cicada.events import (
    AnyEvent,
    ChildRestarted,
    Escalated,
    ExpectationChecked,
    FaultEnded,
    FaultStarted,
    LoadEnded,
    LoadStarted,
    PeerStopped,
    RunStateChanged,
    ThresholdChecked,
    WaveRestarted,
    WorkerExited,
)
from visualizer.model.state import Kind, Line, Mark

_TURNS: Final = frozenset({"proven", "degraded", "failed"})

_MARKED: Final[dict[type, Callable[[Any], bool]]] = {
    FaultStarted: lambda event: True,
    FaultEnded: lambda event: True,
    PeerStopped: lambda event: event.how in ("killed", "failed"),
    WorkerExited: lambda event: not event.expected,
    ChildRestarted: lambda event: True,
    Escalated: lambda event: True,
    WaveRestarted: lambda event: True,
    LoadStarted: lambda event: True,
    LoadEnded: lambda event: True,
    ExpectationChecked: lambda event: not event.held,
    ThresholdChecked: lambda event: event.final and not event.held,
    RunStateChanged: lambda event: event.state in _TURNS,
}


def mark_of(event: AnyEvent, line: Line | None) -> Mark | None:
    """The mark of an event whose line is known: of a fault, its end, a death, a restart, a load's beginning or end, a missed
    expectation, a turn of the whole swarm. None: it has none."""
    deserves = _MARKED.get(type(event))
    if line is None or deserves is None or not deserves(event):
        return None
    text = f"{line.peer}: {line.text}" if line.peer else line.text
    return Mark(line.time_ms, line.kind, text, line.is_bad)


def is_trouble(mark: Mark) -> bool:
    """Whether whoever looks for what went wrong wants to go there."""
    return mark.is_bad or mark.kind is Kind.FAULT
