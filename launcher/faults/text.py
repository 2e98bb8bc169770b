"""Timelines for people: what a configuration does and when, entry by entry and occurrence by occurrence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from cicada.config import Config
from cicada.config.timeline import Expect, Fault
from launcher.faults.judging import Finding, in_words
from launcher.faults.schedule import Occurrence, Schedule, end_of
from launcher.plaintext import counted

_NAMED = 6
_SOON = 1.0  # seconds that something may take without a word about it


class TimelinePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule for programs: the same seed gives the same one."""

    seed: int
    ends_s: float
    occurrences: Schedule
    expectations: tuple[str, ...]


def timeline_plan(config: Config, occurrences: Schedule) -> TimelinePlan:
    """The schedule of a configuration, with what it is expected to lead to."""
    return TimelinePlan(
        seed=config.swarm.seed,
        ends_s=end_of(config, occurrences),
        occurrences=occurrences,
        expectations=tuple(map(in_words, config.expects)),
    )


def timeline_lines(config: Config, occurrences: Schedule) -> Iterator[str]:
    """One line for each entry; nothing when there is none."""
    if not config.faults and not config.expects:
        return
    times = Counter(occurrence.entry for occurrence in occurrences)
    yield (
        f"  timeline: {counted(len(occurrences), 'occurrence')} of {counted(len(config.faults), 'fault')} "
        f"in {end_of(config, occurrences):g} s, {counted(len(config.expects), 'expectation')}"
    )
    for entry, fault in sorted(enumerate(config.faults), key=lambda numbered: numbered[1].at):
        yield f"    {_when(fault)}: {_what(fault)}{_how_often(fault, times[entry])}"
    for expect in config.expects:
        yield f"    expected: {in_words(expect)}"


def schedule_lines(plan: TimelinePlan) -> Iterator[str]:
    """One line for each occurrence, and whom it is about if everybody lives."""
    yield f"seed {plan.seed}: {counted(len(plan.occurrences), 'occurrence')} in {plan.ends_s:g} s"
    for one in plan.occurrences:
        yield f"{one.due_s:10.3f} s  {_described(one)}{_names(one, one.peers)}"
    for words in plan.expectations:
        yield f"  expected: {words}"


def done_line(occurrence: Occurrence, at: float, took: float, peers: Sequence[str], problem: str) -> str:
    """What happened at a moment, how long it took when that was long, or why it did not happen."""
    slow = f" took {took:.1f} s" if took > _SOON else ""
    outcome = f": could not be done: {problem}" if problem else _names(occurrence, peers)
    return f"{at:8.1f} s  {_described(occurrence)}{slow}{outcome}"


def checked_line(expect: Expect, at: float, finding: Finding) -> str:
    """What an expectation just came to."""
    return f"{at:8.1f} s  {'held' if finding.held else 'MISSED'}: {in_words(expect)}: {finding.found}"


def _described(one: Occurrence) -> str:
    lasts = f" for {one.lasts_s:g} s" if one.lasts_s is not None else ""
    sides = f" {one.select} and {one.other}" if one.other else f" {one.select}" if one.select else ""
    return f"{one.do}{sides}{lasts}{' (back)' if one.returns else ''}"


def _names(occurrence: Occurrence, peers: Sequence[str]) -> str:
    if not peers or tuple(peers) == (occurrence.select,):
        return ""
    more = f" and {len(peers) - _NAMED} more" if len(peers) > _NAMED else ""
    return f": {', '.join(peers[:_NAMED])}{more}"


def _when(fault: Fault) -> str:
    if fault.do == "churn":
        return f"{fault.at:g} s to {fault.until:g} s" if fault.until is not None else f"from {fault.at:g} s"
    return f"at {fault.at:g} s"


def _what(fault: Fault) -> str:
    one, other = fault.sides
    sides = " and ".join(side for side in (one, other) if side)
    share = [f"{fault.percent:g}% between"] if fault.percent else []
    details = {
        "by": f"{fault.by:g} s" if fault.by else "",
        "up to": f"{fault.jitter:g} s more" if fault.jitter else "",
        "to": str(fault.count) if fault.do == "scale" and fault.count is not None else "",
        "with": f"{fault.count} more" if fault.do == "add" and fault.count else "",
        "in its": fault.actor or "",
        "for": f"{fault.for_:g} s" if fault.for_ else "",
    }
    return " ".join(
        [fault.do, *share, *([sides] if sides else []), *(f"{k} {v}" for k, v in details.items() if v)]
    )


def _how_often(fault: Fault, times: int) -> str:
    if fault.do == "churn":
        return f", {fault.model}: {counted(times, 'turn')}"
    if fault.every is None or fault.until is None:
        return ""
    return f", every {fault.every:g} s until {fault.until:g} s"
