"""A report as figures: from the events of a run to its summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from cicada.events import (
    ChildExited,
    ChildRestarted,
    Escalated,
    ExpectationChecked,
    FaultEnded,
    FaultStarted,
    RunStateChanged,
    ScheduledFaultDone,
    WaveRestarted,
    WorkerExited,
)
from cicada.limits import REPORT
from launcher.plaintext import counted, duration, plain
from launcher.report.fold import At, PeerGroup, RunReport
from launcher.report.loadfigures import Trouble, load_figures
from launcher.report.model import (
    Expectation,
    Fault,
    Load,
    PeerChange,
    Recording,
    Restart,
    RingState,
    Scheduled,
    Summary,
    Wave,
    WorkerExit,
)

T = TypeVar("T")
_OVER = frozenset({"stopped", "failed"})


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run beside its events. ``running``: its launcher lives."""

    run: str = ""
    name: str = ""
    version: str = ""
    git: str = ""
    host: str = ""
    seed: int | None = None
    started: str = ""
    running: bool = False
    lines: int = 0
    bad_lines: int = 0
    torn: bool = False


def summarize(report: RunReport, about: About | None = None) -> Summary:
    """The summary of a run. Raises Unavailable when there are latencies and the library that reads them is missing."""
    about = about if about is not None else About()
    trouble = Trouble()
    loads = tuple(load_figures(load, trouble) for load in report.loads)
    expectations = tuple(map(_expectation, report.expectations))
    rows = _Rows()
    lost = sum(at.event.count for at in report.lost)
    missing = (*_missing_of_run(report, about, lost, trouble), *_missing_of_loads(loads, about))
    return Summary(
        run=about.run,
        name=about.name,
        version=about.version,
        git=about.git,
        host=about.host,
        seed=about.seed,
        started=about.started,
        seconds=report.seconds,
        state=plain(_state(report)),
        complete=not missing,
        missing=missing,
        ok=_holds(loads, expectations),
        loads=loads,
        expectations=rows.first(expectations),
        faults=rows.first(_faults(report)),
        scheduled=rows.first([_scheduled(at) for at in report.scheduled]),
        peers=rows.first([_peer_change(group) for group in report.peers]),
        workers=rows.first([_worker_exit(at) for at in report.workers]),
        restarts=rows.first(_restarts(report)),
        waves=rows.first([_wave(at) for at in report.waves]),
        ring=rows.first([_ring_state(at) for at in report.states]),
        recording=Recording(
            lines=about.lines,
            bad_lines=about.bad_lines,
            torn=about.torn,
            lost=lost,
            left_out=rows.left_out,
            bad_histograms=trouble.bad_histograms,
        ),
    )


class _Rows:
    """Cuts lists to what a summary holds, and counts the rest."""

    def __init__(self) -> None:
        self.left_out = 0

    def first(self, rows: Sequence[T]) -> tuple[T, ...]:
        self.left_out += max(0, len(rows) - REPORT.rows)
        return tuple(rows[: REPORT.rows])


def _state(report: RunReport) -> str:
    return report.states[-1].event.state if report.states else "unknown"


def _holds(loads: Sequence[Load], expectations: Sequence[Expectation]) -> bool:
    thresholds = (threshold.held for load in loads for threshold in load.thresholds)
    return all(thresholds) and all(expectation.held for expectation in expectations)


def _missing_of_run(report: RunReport, about: About, lost: int, trouble: Trouble) -> list[str]:
    missing = []
    if not report.start_ms:
        missing.append("nothing was recorded")
    elif _state(report) not in _OVER and not about.running:
        missing.append(
            f"the recording ends after {duration(report.seconds)}, and not with the end of the run"
        )
    if lost:
        reasons = ", ".join(sorted({plain(at.event.reason) for at in report.lost}))
        missing.append(f"{counted(lost, 'event')} lost on the way to the recording: {reasons}")
    if about.bad_lines:
        missing.append(f"{counted(about.bad_lines, 'line')} of the recording cannot be read")
    if trouble.bad_histograms:
        missing.append(f"{counted(trouble.bad_histograms, 'histogram')} of latencies cannot be read")
    return missing


def _missing_of_loads(loads: Sequence[Load], about: About) -> list[str]:
    why = "is not over yet" if about.running else "has no end in the recording"
    unfinished = [f"load {load.load} {why}" for load in loads if load.outcome == "unknown"]
    nameless = [
        f"the beginning of load {load.load} is not in the recording"
        for load in loads
        if load.description is None
    ]
    return [*unfinished, *nameless]


def _expectation(at: At[ExpectationChecked]) -> Expectation:
    event = at.event
    return Expectation(
        check=plain(event.check),
        at_s=at.at_s,
        after_s=round(event.at_s, 3),
        held=event.held,
        found=plain(event.found),
    )


def _faults(report: RunReport) -> list[Fault]:
    """Each with its end: the first for all of its peers, or the last of those for some."""
    ends: dict[int, list[At[FaultEnded]]] = {}
    for end in report.fault_ends:
        ends.setdefault(end.event.fault, []).append(end)
    return [_fault(at, ends.get(at.event.fault, [])) for at in report.faults]


def _fault(at: At[FaultStarted], ends: Sequence[At[FaultEnded]]) -> Fault:
    event = at.event
    freed: set[str] = set()
    end = None
    for end in ends:
        freed.update(end.event.peers)
        if freed.issuperset(event.peers):
            break
    over = end is not None and freed.issuperset(event.peers)
    return Fault(
        fault=event.fault,
        kind=plain(event.kind),
        one=plain(event.one),
        other=plain(event.other),
        peers=len(event.peers),
        others=len(event.others),
        at_s=at.at_s,
        until_s=end.at_s if over and end is not None else None,
        ended=plain(end.event.reason) if over and end is not None else "",
        seconds=event.seconds,
        jitter=event.jitter,
        percent=event.percent,
    )


def _scheduled(at: At[ScheduledFaultDone]) -> Scheduled:
    event = at.event
    return Scheduled(
        entry=event.entry,
        occurrence=event.occurrence,
        do=plain(event.do),
        select=plain(event.select),
        at_s=at.at_s,
        late_s=round(event.at_s - event.due_s, 3),
        peers=len(event.peers),
        problem=plain(event.problem),
    )


def _peer_change(group: PeerGroup) -> PeerChange:
    return PeerChange(
        what=plain(group.what),
        at_s=group.at_s,
        until_s=group.until_s,
        count=group.count,
        named=tuple(map(plain, group.named)),
    )


def _worker_exit(at: At[WorkerExited]) -> WorkerExit:
    event = at.event
    return WorkerExit(
        worker=plain(event.worker), at_s=at.at_s, exit=plain(event.exit), expected=event.expected
    )


def _restarts(report: RunReport) -> list[Restart]:
    """Restarts, each with the reason that its child gave last, and those that supervision gave up, in order."""
    told: list[At[ChildExited] | At[ChildRestarted] | At[Escalated]] = sorted(
        [*report.exits, *report.restarts, *report.escalations], key=lambda at: at.at_s
    )
    reasons: dict[tuple[str, str], str] = {}
    found = []
    for at in told:
        event, key = at.event, (at.peer, at.event.child)
        if isinstance(event, ChildExited):
            reasons[key] = event.reason
            continue
        reason = event.reason if isinstance(event, Escalated) else reasons.get(key, "")
        found.append(
            Restart(
                peer=plain(at.peer),
                child=plain(event.child),
                at_s=at.at_s,
                reason=plain(reason),
                gave_up=isinstance(event, Escalated),
            )
        )
    return found


def _wave(at: At[WaveRestarted]) -> Wave:
    return Wave(wave=at.event.wave, waves=at.event.waves, peers=len(at.event.peers), at_s=at.at_s)


def _ring_state(at: At[RunStateChanged]) -> RingState:
    return RingState(state=plain(at.event.state), at_s=at.at_s, detail=plain(at.event.detail))
