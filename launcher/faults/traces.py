"""Traces of churn: lines of a time in seconds, a peer, and U (up) or D (down). Pure: whoever calls reads the files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from cicada.config import Config
from cicada.errors import ConfigError, ConfigErrors

_FORM = "write SECONDS PEER U or D, for example: 12.5 core-3 D"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """At ``at`` seconds from the beginning of the trace the peer, or the one with this index, comes up or goes down."""

    at: float
    peer: str | int
    up: bool


Trace = tuple[Step, ...]
Traces = Mapping[str, Trace]
"""Traces by the file that a configuration names."""


def read_traces(config: Config, read: Callable[[str], str]) -> dict[str, Trace]:
    """The traces that a configuration names; ``read`` gives the text of a file. Raises ConfigErrors with every mistake."""
    files = dict.fromkeys(fault.file for fault in config.faults if fault.file is not None)
    traces: dict[str, Trace] = {}
    mistakes: list[ConfigError] = []
    for file in files:
        try:
            traces[file] = parse_trace(read(file), file)
        except ConfigErrors as errors:
            mistakes += errors.errors
    if mistakes:
        raise ConfigErrors(tuple(mistakes))
    return traces


def parse_trace(text: str, file: str) -> Trace:
    """The steps of a trace, by time. Empty lines, and what follows a #, say nothing. Raises ConfigErrors."""
    steps: list[Step] = []
    mistakes: list[ConfigError] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        step = _step(words)
        if isinstance(step, Step):
            steps.append(step)
        else:
            word, problem = step
            mistakes.append(ConfigError(problem, file=file, line=number, column=line.find(word) + 1))
    if mistakes:
        raise ConfigErrors(tuple(mistakes))
    if not steps:
        raise ConfigErrors((ConfigError(f"there is nothing in it: {_FORM}", file=file),))
    return tuple(sorted(steps, key=lambda step: step.at))


def check_peers(trace: Trace, file: str, pool: Sequence[str]) -> None:
    """Raises ConfigErrors, once for each, when the trace names peers that are not of the pool."""
    unknown = dict.fromkeys(_unknown(trace, pool))
    if unknown:
        raise ConfigErrors(tuple(ConfigError(problem, file=file) for problem in unknown))


def peer_of(step: Step, pool: Sequence[str]) -> str:
    """The name of the peer that a step is about."""
    return pool[step.peer] if isinstance(step.peer, int) else step.peer


def _step(words: Sequence[str]) -> Step | tuple[str, str]:
    """The step, or the wrong word and what is wrong with it."""
    if len(words) != 3:
        return words[0], f"{len(words)} words instead of 3: {_FORM}"
    time, peer, state = words
    try:
        at = float(time)
    except ValueError:
        return time, f"{time!r} is not a number of seconds"
    if not (math.isfinite(at) and at >= 0):
        return time, f"{time} s: a time is at least 0"
    if state not in ("U", "D"):
        return state, f"{state!r}: write U for up or D for down"
    return Step(at=at, peer=int(peer) if peer.isascii() and peer.isdigit() else peer, up=state == "U")


def _unknown(trace: Trace, pool: Sequence[str]) -> Iterator[str]:
    names = set(pool)
    for step in trace:
        if isinstance(step.peer, int) and step.peer >= len(pool):
            yield f"there is no peer {step.peer}: the entry selects {len(pool)}, which count from 0"
        elif isinstance(step.peer, str) and step.peer not in names:
            yield f"{step.peer!r} is not among the {len(pool)} peers that the entry selects"
