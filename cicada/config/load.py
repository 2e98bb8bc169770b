"""``[load]``, its stages, and ``[[threshold]]``, as values and as the command that they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from cicada.commands import RunLoad, Stage, Threshold
from cicada.config.loadrules import OPS, SEND, problems_of
from cicada.config.overrides import suggestion
from cicada.config.positions import Path
from cicada.config.quantities import RATE, rates_in, real, sizes_in, stage_in, targets_in, weights_in
from cicada.config.section import Seconds, Section, problem, read_as, text_like, written
from cicada.config.source import Document
from cicada.config.thresholds import condition_in
from cicada.limits import CONFIG, DELIVERY


def _sizes(value: object) -> object:
    text = f"{value}B" if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise problem('expected a size such as "256B", or "64B..1KiB"')
    read_as(sizes_in, text)
    return text


def _rate(value: object) -> object:
    if isinstance(value, str):
        low, high = read_as(rates_in, value)
        if low != high:
            raise problem("one rate only: a ramp is a stage")
        return low
    return real(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _stage(value: object) -> object:
    return read_as(stage_in, value) if isinstance(value, str) else value


def _threshold(value: object) -> object:
    return {"that": value} if isinstance(value, str) else value


def _rates(value: object) -> object:
    text = f"{value}" if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise problem('expected a rate such as 200, or "100..500" for a ramp')
    read_as(rates_in, text)
    return text


def _weights(value: object) -> object:
    weights = _weights_in(value)
    for unknown in set(weights) - set(OPS):
        raise problem(f"there is no operation {unknown!r}{suggestion(unknown, OPS)}")
    return weights


def _weights_in(value: object) -> dict[str, float]:
    if isinstance(value, str):
        return dict(read_as(weights_in, value))
    if isinstance(value, dict) and all(
        isinstance(weight, int | float) and not isinstance(weight, bool) for weight in value.values()
    ):
        return {str(op): real(weight) for op, weight in value.items()}
    raise problem("expected weights such as { send = 80, lookup = 15, broadcast = 5 }")


def _targets(value: str) -> str:
    read_as(targets_in, value)
    return value


def _condition(value: str) -> str:
    read_as(condition_in, value)
    return value


_POSITIVE: Final[dict[str, object]] = {"type": "number", "exclusiveMinimum": 0}
_WEIGHTS: Final[dict[str, object]] = {
    "type": "object",
    "properties": {op: {"type": "number", "minimum": 0} for op in OPS},
    "additionalProperties": False,
}


class StageTable(Section):
    """``[[load.stage]]``: ``rate`` operations a second, or ``"100..500"`` for a ramp, for ``duration``."""

    rate: Annotated[str, BeforeValidator(_rates), written(_POSITIVE, {"type": "string"})]
    duration: Seconds


_SENDS: Final = {SEND: 1.0}


class Load(Section):
    """``[load]``: operations between the swarm's peers. ``ops``: weights of send, lookup and broadcast. Model "open": ``rate`` a
    second over the whole swarm, for ``duration`` or ``count`` of them, whatever became of earlier ones. "closed": each of ``users``
    has one in flight, and waits ``think`` before the next. ``payload``: a size such as "256B", or any between two, "64..1KiB".
    ``duplicates``: extra copies of each attempt. ``ordered``: of one pair in order. ``warmup``: what begins before is in no figure.
    ``targets``: "uniform", or some far more often than others, "zipf:1.2". ``group``: only between its peers. ``own_network``: also
    where addresses are not loopback ones. ``seed``: of the operations, otherwise that of the swarm. ``timeout``: of each of them.
    """

    rate: (
        Annotated[float, BeforeValidator(_rate), Field(gt=0), written(_POSITIVE, text_like(RATE))] | None
    ) = None
    duration: Seconds | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    payload: Annotated[
        str, BeforeValidator(_sizes), written({"type": "integer", "minimum": 0}, {"type": "string"})
    ] = "64B"
    duplicates: Annotated[int, Field(ge=0)] | None = None
    ordered: bool = False
    ops: Annotated[dict[str, float], BeforeValidator(_weights), written({"type": "string"}, _WEIGHTS)] = (
        _SENDS
    )
    model: Literal["open", "closed"] = "open"
    users: Annotated[int, Field(ge=1)] | None = None
    think: Seconds = 0.0
    warmup: Seconds = 0.0
    targets: Annotated[str, AfterValidator(_targets)] = "uniform"
    group: str = ""
    own_network: bool = False
    seed: Annotated[int, Field(ge=0, le=CONFIG.max_seed)] | None = None
    timeout: Seconds = DELIVERY.timeout
    stages: Annotated[
        tuple[Annotated[StageTable, BeforeValidator(_stage)], ...], Field(alias="stage", strict=False)
    ] = ()


class ThresholdRule(Section):
    """``[[threshold]]``: ``that = "send.p99 < 50ms"``; with ``abort_on_fail`` the load ends when it does not hold ``after`` so
    long."""

    that: Annotated[str, AfterValidator(_condition)]
    abort_on_fail: bool = False
    after: Seconds = 0.0


Thresholds = Annotated[
    tuple[Annotated[ThresholdRule, BeforeValidator(_threshold)], ...], Field(alias="threshold", strict=False)
]


class LoadFile(Section):
    """The parts of a configuration that a load on a running swarm is made from."""

    load: Load = Load()
    thresholds: Thresholds = ()


def load_command(load: Load, thresholds: Sequence[ThresholdRule], seed: int) -> RunLoad:
    """The command that starts it. ``seed`` is used unless the load has its own."""
    low, high = sizes_in(load.payload)
    targets, skew = targets_in(load.targets)
    return RunLoad(
        rate=load.rate,
        count=load.count,
        duration=load.duration,
        payload=low,
        payload_max=None if high == low else high,
        timeout=load.timeout,
        seed=seed if load.seed is None else load.seed,
        duplicates=load.duplicates,
        ordered=load.ordered,
        group=load.group,
        ops=load.ops,
        model=load.model,
        users=load.users,
        think=load.think,
        stages=tuple(Stage(stage.duration, *rates_in(stage.rate)) for stage in load.stages),
        warmup=load.warmup,
        targets=targets,
        skew=skew,
        own_network=load.own_network,
        thresholds=tuple(Threshold(rule.that, rule.abort_on_fail, rule.after) for rule in thresholds),
    )


def load_problems(document: Document) -> Iterator[tuple[Path, str]]:
    """What is wrong with ``[load]`` as a whole, when each value is right by itself."""
    table = document.get("load")
    if not isinstance(table, dict):
        return
    try:
        load = Load.model_validate(table)
    except ValidationError:
        return  # which is said elsewhere
    for key, words in problems_of(load_command(load, (), 0)):
        where: Path = ("load", key, 0) if key == "stage" else ("load", key)
        yield where if key in table else ("load",), words
    yield from _unknown_group(document, load)


def _unknown_group(document: Document, load: Load) -> Iterator[tuple[Path, str]]:
    groups = document.get("group")
    names = (
        [group.get("name") for group in groups if isinstance(group, dict)] if isinstance(groups, list) else []
    )
    if load.group and names and load.group not in names:
        yield ("load", "group"), f"no group is called {load.group!r}: there is {', '.join(map(str, names))}"
