"""From the text of a scenario file to its value: every mistake at once, each with its position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cicada.config.checks import Problem
from cicada.config.loader import Schema, Settings, parse_as
from cicada.config.source import Document
from cicada.errors import Misuse
from cicada.sim.names import PORTS
from cicada.sim.scenario import TIMED, Scenario, Sweep, are_hosts

_NEEDED = {
    "kill": ("select",),
    "restart": ("select",),
    "vanish": ("select",),
    "leave": ("select",),
    "freeze": ("select", "for"),
    "join": ("select",),
    "part": ("for",),
    "churn": (),
}
_POSSIBLE = {"join": ("through",), "part": ("into",), "churn": ("joins", "failures")}
_EXAMPLES = {
    ("sim",): "[sim] with name and duration",
    ("sim", "name"): 'name = "kill-30"',
    ("sim", "duration"): 'duration = "60s"',
    ("sweep", "over"): 'over = "peers"',
    ("sweep", "values"): "values = [100, 1000]",
    ("bad", "select"): 'select = "20%"',
    ("bad", "behaviour"): 'behaviour = "drop"',
    ("fault", "at"): 'at = "10s"',
    ("fault", "do"): 'do = "kill"',
    ("fault", "select"): 'select = "30%"',
    ("fault", "for"): 'for = "30s"',
    ("expect", "check"): 'check = "ideal"',
}
_LOADS = {"lookups": "lookups", "failed": "lookups", "hops": "lookups"} | dict.fromkeys(
    ("message-hops", "undelivered", "delivered", "copies", "wrong", "lost"), "messages"
)


def parse_scenario(text: str, *, file: str = "<text>", overrides: Settings = ()) -> Scenario:
    """The scenario in TOML text; ``file`` is the name that errors give. ``overrides`` are dotted keys with TOML values.

    Raises ConfigErrors with every mistake.
    """
    return parse_as(_SCHEMA, text, file=file, overrides=overrides)


def limited_to(scenario: Scenario, peers: int) -> Scenario:
    """The same with this many peers; of a sweep over peers, what is no larger. Raises Misuse when nothing is left."""
    scenario = scenario.model_copy(update={"sim": scenario.sim.model_copy(update={"peers": peers})})
    sweep = scenario.sweep
    if sweep is None or sweep.over != "peers":
        return scenario
    kept = [position for position, value in enumerate(sweep.values) if value <= peers]
    if not kept:
        raise Misuse(
            f"the scenario has no case of at most {peers} peers: the smallest is {min(sweep.values):g}"
        )
    return _only(scenario, sweep, kept)


def only_case(scenario: Scenario, value: float) -> Scenario:
    """The same with one value of its sweep. Raises Misuse when it has none like this."""
    sweep = scenario.sweep
    if sweep is None or value not in sweep.values:
        listed = ", ".join(f"{each:g}" for each in sweep.values) if sweep is not None else "no sweep"
        raise Misuse(f"the scenario has no case {value:g}: there is {listed}")
    return _only(scenario, sweep, [sweep.values.index(value)])


def _only(scenario: Scenario, sweep: Sweep, positions: Sequence[int]) -> Scenario:
    columns = {name: _kept(getattr(sweep, name), positions) for name in ("values", "beside")}
    expects = tuple(
        expect.model_copy(
            update={name: _kept(getattr(expect, name), positions) for name in ("at_most", "at_least")}
        )
        for expect in scenario.expects
    )
    return scenario.model_copy(update={"sweep": sweep.model_copy(update=columns), "expects": expects})


def _kept(column: object, positions: Sequence[int]) -> object:
    return (
        tuple(column[position] for position in positions) if isinstance(column, tuple) and column else column
    )


def _rules(document: Document) -> Iterator[Problem]:
    for index, fault in _tables(document, "fault"):
        for problem in _fault_problems(fault):
            yield ("fault", index, "do"), problem
    for index, expect in _tables(document, "expect"):
        for key, problem in _expect_problems(expect, document):
            yield ("expect", index, *key), problem
    yield from _bad_problems(document)
    yield from _sweep_problems(document)
    yield from _host_problems(document)


def _tables(document: Document, name: str) -> Iterator[tuple[int, dict[str, object]]]:
    tables = document.get(name)
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict):
            yield index, table


def _table(document: Document, name: str) -> dict[str, object]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _fault_problems(fault: dict[str, object]) -> Iterator[str]:
    do = str(fault.get("do"))
    if do not in _NEEDED:
        return
    for key in _NEEDED[do]:
        if key not in fault:
            yield f"{do} needs {key}: add {_EXAMPLES['fault', key]}"
    possible = ("at", "do", *_NEEDED[do], *_POSSIBLE.get(do, ()))
    every = ("select", "for", "into", "through", "joins", "failures")
    for key in every:
        if key in fault and key not in possible:
            yield f"{do} knows no {key}: it has {', '.join(possible)}"
    if do == "join" and are_hosts(fault.get("select")):
        yield "peers join, not hosts: write select = 20"


def _expect_problems(expect: dict[str, object], document: Document) -> Iterator[tuple[tuple[str, ...], str]]:
    check = str(expect.get("check"))
    if check in TIMED and "within" not in expect:
        yield ("check",), f'{check} is reached at some moment: add within = "18 rounds" or within = "10s"'
    if check not in TIMED and check in (*_LOADS, "messages", "probes", "splits"):
        if "within" in expect:
            yield ("within",), f"{check} is a figure: write at_most or at_least"
        elif ("at_most" in expect) == ("at_least" in expect):
            yield ("check",), f"{check} needs at_most or at_least, one of the two"
    load = _LOADS.get(check)
    if load is not None and not _table(document, "load").get(load):
        yield ("check",), f"{check} needs [load] with {load} = 20, which is so many a second"
    yield from _column_problems(expect, document)


def _column_problems(expect: dict[str, object], document: Document) -> Iterator[tuple[tuple[str, ...], str]]:
    values = _table(document, "sweep").get("values")
    cases = len(values) if isinstance(values, list) else 0
    for key in ("at_most", "at_least"):
        column = expect.get(key)
        if isinstance(column, list) and len(column) != cases:
            yield (
                (key,),
                f"a list has one figure for each of the {cases} values of [sweep], not {len(column)}",
            )


def _bad_problems(document: Document) -> Iterator[Problem]:
    load = _table(document, "load")
    for index, bad in _tables(document, "bad"):
        if bad.get("where") == "neighbours" and "targets" not in load:
            yield ("bad", index, "where"), "neighbours of whom? Add targets = 1 to [load]"
        if are_hosts(bad.get("select")):
            yield ("bad", index, "select"), 'peers do harm, not hosts: write select = "20%"'


def _sweep_problems(document: Document) -> Iterator[Problem]:
    sweep = _table(document, "sweep")
    values, beside = sweep.get("values"), sweep.get("beside")
    if values == []:
        yield ("sweep", "values"), "there must be at least one value"
    if isinstance(values, list) and isinstance(beside, list) and len(values) != len(beside):
        yield ("sweep", "beside"), f"there must be one figure for each of the {len(values)} values"
    is_churned = any(fault.get("do") == "churn" for _, fault in _tables(document, "fault"))
    if sweep.get("over") == "churn" and not is_churned:
        yield ("sweep", "over"), 'there is no churn to vary: add [[fault]] with do = "churn"'


def _host_problems(document: Document) -> Iterator[Problem]:
    sim, sweep = _table(document, "sim"), _table(document, "sweep")
    hosts, values = sim.get("hosts"), sweep.get("values")
    sizes = values if sweep.get("over") == "peers" and isinstance(values, list) else [sim.get("peers")]
    most = max((size for size in sizes if isinstance(size, int)), default=0)
    if isinstance(hosts, int) and 0 < hosts * PORTS < most:
        yield (
            ("sim", "hosts"),
            f"a host has at most {PORTS} peers: {most} need {-(-most // PORTS)} hosts or more",
        )


_SCHEMA = Schema(
    model=Scenario,
    examples=_EXAMPLES,
    rules=_rules,
    own="sim",
    of_others={"swarm": "the configuration of a swarm: `cicada up {file}` starts it"},
)
