"""Runs a scenario with all its seeds and cases, and says how far it is."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from cicada.config.source import read_text
from cicada.sim.expect import Verdict, shown
from cicada.sim.report import Case, Report, report
from cicada.sim.running import Run, RunResult
from cicada.sim.scenario import Scenario
from cicada.sim.scenariofile import limited_to, only_case, parse_scenario

_SAY_EVERY = 5.0  # seconds between two lines of progress within one run
_KIB = 1024

Tell = Callable[[str], None]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What of a scenario is run. None: as its file says."""

    file: Path
    seed: int | None = None
    peers: int | None = None
    case: float | None = None
    settings: tuple[tuple[str, str], ...] = ()


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """An expectation that was missed. ``replay`` is the command that runs the worst seed again."""

    check: str
    case: float | None
    expected: str
    seen: str
    seed: int
    replay: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cicada sim --json`` prints: the same for the same files, seeds and sizes."""

    ok: bool
    missed: tuple[Missed, ...]
    report: Report


def simulate(choice: Choice, tell: Tell) -> Outcome:
    """Run it. Raises ConfigErrors for a wrong file, Misuse for a choice that the file does not have."""
    scenario = chosen(choice)
    seeds = range(1, scenario.sim.seeds + 1) if choice.seed is None else (choice.seed,)
    plan = [(case, seed) for case in scenario.cases for seed in seeds]
    runs = []
    for number, (case, seed) in enumerate(plan, 1):
        label = f"{scenario.sim.name} {number} of {len(plan)}: {_named(scenario, case)}, seed {seed}"
        runs.append(_run(scenario, seed, case, label, tell))
    found = report(scenario, runs)
    missed = tuple(missed_by(found, choice))
    return Outcome(ok=found.ok, missed=missed, report=found)


def chosen(choice: Choice) -> Scenario:
    """The scenario in the file, as the command line wants it."""
    scenario = parse_scenario(read_text(choice.file), file=str(choice.file), overrides=choice.settings)
    if choice.case is not None:
        scenario = only_case(scenario, choice.case)
    return limited_to(scenario, choice.peers) if choice.peers is not None else scenario


def missed_by(found: Report, choice: Choice) -> Iterator[Missed]:
    """The expectations that were not met, each with the command that shows it again."""
    for verdict in found.expectations:
        if not verdict.ok:
            yield Missed(
                check=verdict.check,
                case=verdict.case,
                expected=verdict.expected,
                seen=shown(verdict.seen, verdict.unit, verdict.check),
                seed=verdict.seed,
                replay=_replay(choice, verdict),
            )


def _run(scenario: Scenario, seed: int, case: float | None, label: str, tell: Tell) -> RunResult:
    gc.collect()  # the last swarm, whose peers know each other
    began = said = time.monotonic()
    run = Run(scenario, seed, case)
    while run.advance():
        if time.monotonic() - said >= _SAY_EVERY:
            said = time.monotonic()
            tell(f"{label}: {run.progress:.0%} of {scenario.sim.duration:g} virtual s at most")
    result = run.result()
    tell(
        f"{label}: {result.seconds:.1f} virtual s in {time.monotonic() - began:.1f} s, "
        f"{_peak_mib():.0f} MiB at most so far"
    )
    return result


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB


def _named(scenario: Scenario, case: float | None) -> str:
    if case is None or scenario.sweep is None or scenario.sweep.over == "peers":
        return f"{scenario.peers(case)} peers"
    return f"{scenario.peers(case)} peers, {case:g} joins and failures a second"


def _replay(choice: Choice, verdict: Verdict) -> str:
    parts = ["cicada sim", str(choice.file), f"--seed {verdict.seed}"]
    if choice.peers is not None:
        parts.append(f"--peers {choice.peers}")
    if verdict.case is not None:
        parts.append(f"--case {verdict.case:g}")
    parts += [f"--set '{key}={value}'" for key, value in choice.settings]
    return " ".join(parts)


def figure_of(case: Case, name: str) -> float | None:
    """The median of one figure of a case."""
    found = next((figure.values for figure in case.figures if figure.name == name), None)
    return found.median if found is not None else None
