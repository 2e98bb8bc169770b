"""The schedule of a configuration: everything that its timeline does, and when. Pure: the same seed, the same schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from cicada.commands import (
    Add,
    AnyCommand,
    Crash,
    Delay,
    Drop,
    Duplicate,
    Freeze,
    Heal,
    Kill,
    Partition,
    Restart,
    Scale,
    Stop,
    Thaw,
)
from cicada.config import Config
from cicada.config.timeline import Fault
from cicada.errors import ConfigError, ConfigErrors
from cicada.limits import FAULT
from launcher.faults.churn import churn
from launcher.faults.draws import draws_of, generator_of
from launcher.faults.traces import Traces, check_peers
from launcher.selectors import EVERYONE, Candidate, select

_ROUNDING = (
    1e-6  # of a repetition: decimal times are no binary ones, and an end must not come once more for that
)


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the timeline does ``due_s`` seconds after the first proof of the ring.

    ``entry`` is the index of its [[fault]], ``number`` counts within it. ``select`` and ``other`` name whom it is about;
    ``peers`` are those if everybody lives then: a dead one's place in a draw goes to the next in rank. ``returns``: those
    of the same entry and number who ended come back.
    """

    due_s: float
    entry: int
    number: int
    do: str
    select: str
    other: str = ""
    peers: tuple[str, ...] = ()
    lasts_s: float | None = None
    returns: bool = False

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.due_s + (self.lasts_s or 0.0)


Schedule = tuple[Occurrence, ...]


def schedule(config: Config, seed: int, traces: Traces | None = None) -> Schedule:
    """All occurrences by time, those of the same time in the order of the file. ``traces`` are those of its files.

    Raises ConfigErrors, once for each, when traces are about peers that their entries do not select.
    """
    everyone = candidates(config)
    found: list[Occurrence] = []
    mistakes: list[ConfigError] = []
    for entry, fault in enumerate(config.faults):
        try:
            found += _of_entry(config, entry, fault, seed, everyone, traces or {})
        except ConfigErrors as errors:
            mistakes += errors.errors
    if mistakes:
        raise ConfigErrors(tuple(mistakes))
    return tuple(sorted(found, key=lambda one: (one.due_s, one.entry, one.number, one.returns)))


def end_of(config: Config, occurrences: Schedule) -> float:
    """When all faults are over and the last expectation with a time of its own is due."""
    ends = [one.end_s for one in occurrences]
    ends += [expect.at for expect in config.expects if expect.at is not None]
    return max(ends, default=0.0)


def candidates(config: Config) -> tuple[Candidate, ...]:
    """All peers that the configuration asks for, as selectors take them; workers are not told apart."""
    return tuple(Candidate(name, group.name, "") for group in config.groups for name, _ in group.peers())


def command_of(fault: Fault, occurrence: Occurrence) -> AnyCommand:
    """What carries the occurrence out. ``fault`` is its entry; one that returns is for whoever knows who ended."""
    select, other, lasts = occurrence.select, occurrence.other, occurrence.lasts_s
    match occurrence.do:
        case "kill":
            return Kill(select=select, hard=True)
        case "leave":
            return Stop(select=select)
        case "restart":
            return Restart(select=select)
        case "freeze":
            return Freeze(select=select, lasts=lasts)
        case "thaw":
            return Thaw(select=select)
        case "partition":
            return Partition(one=select, other=other, lasts=lasts)
        case "heal":
            return Heal(one=select, other=other)
        case "crash":
            return Crash(select=select, actor=fault.actor or "ring")
        case "add":
            return Add(group=select, count=fault.count or 1)
        case "scale":
            return Scale(group=select, count=fault.count or 0)
        case _:
            return _of_messages(fault, occurrence)


def _of_messages(fault: Fault, occurrence: Occurrence) -> AnyCommand:
    """Faults of what passes between two sides."""
    one, other, lasts = occurrence.select, occurrence.other, occurrence.lasts_s
    if occurrence.do == "delay":
        return Delay(one=one, other=other, seconds=fault.by or 0.0, jitter=fault.jitter or 0.0, lasts=lasts)
    kind = Drop if occurrence.do == "drop" else Duplicate
    return kind(one=one, other=other, percent=fault.percent or 0.0, lasts=lasts)


def _of_entry(
    config: Config, entry: int, fault: Fault, seed: int, everyone: Sequence[Candidate], traces: Traces
) -> Iterator[Occurrence]:
    if fault.do == "churn":
        yield from _of_churn(config, entry, fault, seed, everyone, traces)
        return
    one, other = fault.sides
    if fault.do == "thaw":
        one = one or EVERYONE
    verb = "leave" if fault.do == "kill" and fault.hard is False else fault.do
    ends_peers = verb in ("kill", "leave")
    for number, at in enumerate(_times(fault)):
        peers = _drawn(seed, entry, number, one, everyone) if one and fault.do not in ("add", "scale") else ()
        happens = Occurrence(
            due_s=at,
            entry=entry,
            number=number,
            do=verb,
            select=one,
            other=other,
            peers=peers,
            lasts_s=None if ends_peers else fault.for_,
        )
        yield happens
        if ends_peers and fault.for_ is not None:
            back = at + fault.for_
            yield msgspec.structs.replace(happens, due_s=back, do="restart", returns=True)


def _times(fault: Fault) -> Iterator[float]:
    """When an entry that is no churn happens: at its time, and again until before its end."""
    if fault.every is None or fault.until is None:
        yield fault.at
        return
    times = math.ceil((fault.until - fault.at) / fault.every - _ROUNDING)
    yield from (fault.at + number * fault.every for number in range(max(1, times)))


def _drawn(seed: int, entry: int, number: int, text: str, everyone: Sequence[Candidate]) -> tuple[str, ...]:
    """Whom a selector names when everybody lives; nobody for a worker's, whose peers follow from the machine's cores."""
    if any(part.strip().startswith("worker-") for part in text.split(",")):
        return ()
    known = {candidate.name for candidate in everyone} | {candidate.group for candidate in everyone}
    names = [part.strip() for part in text.split(",")]
    if not all(name in known or name == EVERYONE or name.endswith("%") for name in names):
        return ()  # a peer that an earlier entry adds
    return select(text, everyone, (), draws_of(seed, entry, number)).peers


def _of_churn(
    config: Config, entry: int, fault: Fault, seed: int, everyone: Sequence[Candidate], traces: Traces
) -> Iterator[Occurrence]:
    pool = select(fault.select or EVERYONE, everyone, (), draws_of(seed, entry, 0)).peers
    trace = traces.get(fault.file or "", ())
    check_peers(trace, fault.file or "", pool)
    keep = max(0, FAULT.churn_keeps - (config.peer_count - len(pool)))
    rng = generator_of(seed, "churn", entry)
    down = "leave" if fault.hard is False else "kill"
    for number, turn in enumerate(churn(fault, pool, rng, keep=keep, trace=trace)):
        yield Occurrence(
            due_s=turn.at,
            entry=entry,
            number=number,
            do="restart" if turn.up else down,
            select=turn.peer,
            peers=(turn.peer,),
        )
