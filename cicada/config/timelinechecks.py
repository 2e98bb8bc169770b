"""Rules between the values of a timeline, and between it and the swarm. They read the document, as all such rules do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cicada.config.overrides import suggestion
from cicada.config.positions import Path
from cicada.config.section import duration
from cicada.config.source import Document
from cicada.config.timeline import COUNTS, SHARES, percent_of
from cicada.limits import FAULT

Table = dict[str, object]
Found = Iterator[tuple[str, str]]
"""The key that is wrong, and what is."""

_PAIRS = ("partition", "delay", "drop", "duplicate")
_REPEAT = ("every", "until")
_NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("kill", "leave", "restart", "freeze"), ("select",)),
    **dict.fromkeys(("thaw", "heal", "partition"), ()),
    **dict.fromkeys(("drop", "duplicate"), ("percent",)),
    **dict.fromkeys(("add", "scale"), ("select", "count")),
    "delay": ("by",),
    "crash": ("select", "actor"),
    "churn": ("model",),
}
_POSSIBLE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("leave", "freeze"), ("for", *_REPEAT)),
    **dict.fromkeys(("restart", "crash", "add", "scale"), _REPEAT),
    **dict.fromkeys(("partition", "drop", "duplicate"), ("select", "between", "for", *_REPEAT)),
    "kill": ("for", "hard", *_REPEAT),
    "thaw": ("select", *_REPEAT),
    "heal": ("select", "between", *_REPEAT),
    "delay": ("select", "between", "jitter", "for", *_REPEAT),
    "churn": ("select", "hard", "until"),
}
_MODEL_NEEDED = {"poisson": ("failures", "until"), "pareto": ("lifetime", "until"), "trace": ("file",)}
_MODEL_POSSIBLE = {"poisson": ("joins", "for"), "pareto": ("shape", "for"), "trace": ()}
_KEYS = (
    *("select", "between", "every", "until", "for", "by", "jitter", "percent", "actor", "count"),
    *("model", "failures", "joins", "lifetime", "shape", "file", "hard"),
)
EXAMPLES: dict[tuple[str, ...], str] = {
    ("fault", "at"): 'at = "30s"',
    ("fault", "do"): 'do = "kill"',
    ("fault", "select"): 'select = "core:10%"',
    ("fault", "every"): 'every = "20s"',
    ("fault", "until"): 'until = "2m"',
    ("fault", "for"): 'for = "10s"',
    ("fault", "by"): 'by = "100ms"',
    ("fault", "percent"): 'percent = "5%"',
    ("fault", "actor"): 'actor = "ring"',
    ("fault", "count"): "count = 5",
    ("fault", "model"): 'model = "poisson"',
    ("fault", "failures"): "failures = 0.2",
    ("fault", "lifetime"): 'lifetime = "60s"',
    ("fault", "file"): 'file = "day.churn"',
    ("expect", "check"): 'check = "ring_proven"',
}
"""What to write for a key that is missing."""

_SHARE = re.compile(r"(?:(?P<group>.+):)?(?P<percent>\d+(?:\.\d+)?)%")
_NUMBERED = re.compile(r"(?P<name>.+)-(?P<number>\d{1,9})")


def timeline_problems(document: Document) -> Iterator[tuple[Path, str]]:
    """Every rule that a timeline breaks."""
    swarm = Selectable(document)
    for index, fault in _tables(document, "fault"):
        for check in (_keys_of_verb, _repetition, _amounts, swarm.problems, swarm.too_many):
            for key, problem in check(fault):
                yield ("fault", index, key), problem
    for index, expect in _tables(document, "expect"):
        for key, problem in _bounds(expect):
            yield ("expect", index, key), problem


def _tables(document: Document, name: str) -> Iterator[tuple[int, Table]]:
    tables = document.get(name)
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict):
            yield index, table


# Faults


def _keys_of_verb(fault: Table) -> Found:
    do, model = str(fault.get("do")), str(fault.get("model"))
    if do not in _NEEDED:
        return
    needed, possible = _NEEDED[do], _POSSIBLE[do]
    who = do
    if do == "churn" and model in _MODEL_NEEDED:
        needed, possible = (*needed, *_MODEL_NEEDED[model]), (*possible, *_MODEL_POSSIBLE[model])
        who = f"{model} churn"
    for key in needed:
        if key not in fault:
            yield "do", f"{who} needs {key}: add {EXAMPLES['fault', key]}"
    if do in _PAIRS and "select" not in fault and "between" not in fault:
        example = 'select = "core:50%", or between = ["worker-0", "worker-1"]'
        yield "do", f"{do} needs its sides: add {example}"
    if "select" in fault and "between" in fault and "between" in possible:
        yield "between", "select names the sides already: give one of the two"
    if do == "churn" and model not in _MODEL_NEEDED:
        return  # what else there may be is not known
    for key in _KEYS:
        if key in fault and key not in (*needed, *possible):
            known = ("at", "do", *needed, *(key for key in possible if key not in needed))
            yield key, f"{who} knows no {key}: it has {', '.join(known)}"


def _repetition(fault: Table) -> Found:
    at, until = duration(fault.get("at")), duration(fault.get("until"))
    is_churn = fault.get("do") == "churn"
    if "every" in fault and "until" not in fault and not is_churn:
        yield "every", f"every needs an end: add {EXAMPLES['fault', 'until']}"
    if "until" in fault and "every" not in fault and not is_churn:
        yield "until", f"until needs a repetition: add {EXAMPLES['fault', 'every']}"
    if until is not None and until <= (at or 0.0):
        yield "until", f"must be later than at, which is {at or 0.0:g} s"
    for key in ("every", "for", "lifetime"):
        if duration(fault.get(key)) == 0:
            yield key, "must be more than 0"


def _amounts(fault: Table) -> Found:
    by, jitter = duration(fault.get("by")), duration(fault.get("jitter"))
    if by is not None and not 0 < by + (jitter or 0.0) <= FAULT.max_delay:
        most = f"with jitter at most {FAULT.max_delay:g} s; a partition is for ever"
        yield "by", f"must be more than 0, and {most}"
    if "joins" in fault and "for" in fault:
        yield "for", "joins bring them back already: give one of the two"
    if fault.get("do") == "add" and fault.get("count") == 0:
        yield "count", "must be at least 1"


class Selectable:
    """Whom the selectors of a document may name."""

    def __init__(self, document: Document) -> None:
        groups = [group for _, group in _tables(document, "group")]
        self._counts = {str(group.get("name")): group.get("count") for group in groups}
        swarm = document.get("swarm")
        self._workers = swarm.get("workers") if isinstance(swarm, dict) else None
        growing = [fault for _, fault in _tables(document, "fault") if fault.get("do") in ("add", "scale")]
        self._growing = {str(fault.get("select")) for fault in growing}

    def problems(self, fault: Table) -> Found:
        """What is wrong with the selectors of a fault."""
        sides = fault.get("between")
        texts = [("select", fault.get("select"))]
        texts += [("between", side) for side in (sides if isinstance(sides, list) else ())]
        if not self._counts:
            return  # that there are no groups is said elsewhere
        for key, text in texts:
            if not isinstance(text, str):
                continue
            if fault.get("do") in ("add", "scale"):
                if text not in self._counts:
                    yield key, f"no group {text!r}{suggestion(text, self._counts)}"
                continue
            parts = [part.strip() for part in text.split(",")]
            for part in parts:
                if problem := self._problem(part, is_churn=fault.get("do") == "churn"):
                    yield key, problem
            if len({self._is_worker(part) for part in parts}) > 1:
                yield key, "name workers or peers, not both at once"

    def too_many(self, fault: Table) -> Found:
        """Whether an entry would happen so often that nobody can mean it."""
        at, every, until, lifetime = (
            duration(fault.get(key)) for key in ("at", "every", "until", "lifetime")
        )
        if until is None:
            return
        peers = sum(count for count in self._counts.values() if isinstance(count, int))
        rates = [1.0 / every if every else 0.0, peers / lifetime if lifetime else 0.0]
        rates += [
            float(rate) for key in ("failures", "joins") if isinstance(rate := fault.get(key), int | float)
        ]
        if sum(rates) * (until - (at or 0.0)) > FAULT.max_occurrences:
            key = "every" if every else "until"
            yield key, f"more than {FAULT.max_occurrences} times: do it less often or for a shorter time"

    def _problem(self, text: str, *, is_churn: bool) -> str:
        share = _SHARE.fullmatch(text)
        if share:
            if not 0 < float(share["percent"]) <= 100:
                return f"{text!r}: a share is more than 0% and at most 100%"
            text = share["group"] or "all"
        if text == "all" or text in self._counts:
            return ""
        numbered = _NUMBERED.fullmatch(text) if not share else None
        if numbered and numbered["name"] == "worker":
            return self._worker_problem(int(numbered["number"]), is_churn=is_churn)
        if numbered and numbered["name"] in self._counts:
            return self._peer_problem(numbered["name"], int(numbered["number"]))
        return f"no peer to act on is called {text!r}{suggestion(text, ['all', *self._counts])}"

    def _is_worker(self, text: str) -> bool:
        numbered = _NUMBERED.fullmatch(text)
        return numbered is not None and numbered["name"] == "worker"

    def _worker_problem(self, number: int, *, is_churn: bool) -> str:
        if is_churn:
            return "churn is of peers: name a group, a share or all"
        if isinstance(self._workers, int) and number >= self._workers:
            return f"there are {self._workers} workers: the last is worker-{self._workers - 1}"
        return ""

    def _peer_problem(self, group: str, number: int) -> str:
        count = self._counts[group]
        if isinstance(count, int) and number >= count and group not in self._growing:
            return f"{group} has {count} peers: the last is {group}-{count - 1}"
        return ""


# Expectations


def _bounds(expect: Table) -> Found:
    check = str(expect.get("check"))
    given = [key for key in ("at_least", "at_most") if key in expect]
    if check in COUNTS and not given:
        yield "check", f"{check} needs a bound: add at_least = 20 or at_most = 0"
    if check in ("ring_proven", "no_restarts"):
        for key in given:
            yield key, f"{check} is true or not: leave {key} out"
    if check == "no_restarts" and "within" in expect:
        yield "within", "what was restarted stays restarted: leave within out"
    for key in given:
        yield from _bound(check, key, expect[key])


def _bound(check: str, key: str, value: object) -> Found:
    share = percent_of(value)
    if share is not None and share > 100:
        yield key, "a share is at most 100%"
    elif share is not None and check == "restarts":
        yield key, "restarts are counted: write a number"
    elif isinstance(value, int | float) and value < 0:
        yield key, "must be at least 0"
    elif check in SHARES and isinstance(value, int | float) and value > 1:
        yield key, f'a share is at most 1: write "{value:g}%", or 0.99'
