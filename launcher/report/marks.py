"""What happened beside a load, as marks on the run's axis of time: spans and instants in four lanes."""

from __future__ import annotations

import enum

import msgspec

from launcher.plaintext import counted, effect
from launcher.report.model import Fault, Summary
from launcher.report.text import degraded

_LOST = frozenset({"killed", "failed"})


class Lane(enum.StrEnum):
    """The kinds of marks, in the order in which they are drawn, with what they mean."""

    FAULT = "faults"
    DEATH = "deaths"
    RESTART = "restarts"
    RING = "ring"


MEANINGS = {
    Lane.FAULT: "partition, freeze, delay, drop or duplicate, from its start to its end",
    Lane.DEATH: "peers killed or failed, workers that died",
    Lane.RESTART: "workers, actors or peers started again",
    Lane.RING: "not proven, after it had been",
}


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something at one time, or from ``at_s`` to ``until_s``. ``label`` is short, ``text`` a sentence."""

    lane: Lane
    at_s: float
    until_s: float | None
    label: str
    text: str


def marks(summary: Summary) -> list[Mark]:
    """All marks of a run, by time."""
    found = [*map(_fault, summary.faults), *_deaths(summary), *_restarts(summary), *_ring(summary)]
    found = [
        mark if mark.until_s is not None or mark.lane not in {Lane.FAULT} else _open(mark, summary)
        for mark in found
    ]
    return sorted(found, key=lambda mark: (mark.at_s, mark.lane))


def within(found: list[Mark], start_s: float, end_s: float) -> list[Mark]:
    """Those that touch a stretch of time."""
    return [
        mark
        for mark in found
        if mark.at_s <= end_s and (mark.until_s if mark.until_s is not None else mark.at_s) >= start_s
    ]


def _open(mark: Mark, summary: Summary) -> Mark:
    """A fault that nobody ended lasts as long as the run."""
    return msgspec.structs.replace(mark, until_s=max(mark.at_s, summary.seconds))


def _fault(fault: Fault) -> Mark:
    whom = f"{fault.one} ({counted(fault.peers, 'peer')})"
    if fault.others:
        whom += f" and {fault.other or 'the rest'} ({counted(fault.others, 'peer')})"
    ended = f", {fault.ended}" if fault.ended else ", not ended"
    return Mark(
        lane=Lane.FAULT,
        at_s=fault.at_s,
        until_s=fault.until_s,
        label=fault.kind,
        text=f"#{fault.fault} {fault.kind}{effect(fault)}: {whom}{ended}",
    )


def _deaths(summary: Summary) -> list[Mark]:
    peers = [
        Mark(
            lane=Lane.DEATH,
            at_s=change.at_s,
            until_s=None,
            label=f"{change.count} {change.what}",
            text=f"{counted(change.count, 'peer')} {change.what}: {_named(change.named, change.count)}",
        )
        for change in summary.peers
        if change.what in _LOST
    ]
    workers = [
        Mark(
            lane=Lane.DEATH,
            at_s=one.at_s,
            until_s=None,
            label=one.worker,
            text=f"{one.worker} died: {one.exit}",
        )
        for one in summary.workers
        if not one.expected
    ]
    return peers + workers


def _restarts(summary: Summary) -> list[Mark]:
    """What supervision started again, waves of a rolling restart, and peers that start once the ring had been proven."""
    found = [
        _instant(
            Lane.RESTART if not one.gave_up else Lane.DEATH,
            one.at_s,
            one.child,
            f"{one.child}{f' of {one.peer}' if one.peer else ''} "
            f"{'given up' if one.gave_up else 'started again'}{f': {one.reason}' if one.reason else ''}",
        )
        for one in summary.restarts
    ]
    found += [
        _instant(
            Lane.RESTART,
            wave.at_s,
            f"wave {wave.wave}",
            f"wave {wave.wave} of {wave.waves} of a rolling restart is back",
        )
        for wave in summary.waves
    ]
    proven = next((state.at_s for state in summary.ring if state.state == "proven"), None)
    found += [
        _instant(
            Lane.RESTART,
            change.at_s,
            f"{change.count} started",
            f"{counted(change.count, 'peer')} started: {_named(change.named, change.count)}",
        )
        for change in summary.peers
        if change.what == "started" and proven is not None and change.at_s > proven
    ]
    return found


def _ring(summary: Summary) -> list[Mark]:
    details = {state.at_s: state.detail for state in summary.ring if state.state == "degraded"}
    return [
        Mark(
            lane=Lane.RING,
            at_s=start,
            until_s=end,
            label="degraded",
            text=f"ring degraded for {end - start:.1f} s: {details.get(start, '')}".rstrip(": "),
        )
        for start, end in degraded(summary)
    ]


def _instant(lane: Lane, at_s: float, label: str, text: str) -> Mark:
    return Mark(lane=lane, at_s=at_s, until_s=None, label=label, text=text)


def _named(named: tuple[str, ...], count: int) -> str:
    return ", ".join(named) + (", ..." if count > len(named) else "")
