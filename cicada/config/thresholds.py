"""The grammar of thresholds: ``send.p99 < 50ms``, ``delivered.rate >= 0.999``, ``lost == 0``. Pure."""

from __future__ import annotations

import enum
import operator
import re
from collections.abc import Callable
from typing import Final

import msgspec

from cicada.config.loadrules import OPS
from cicada.config.overrides import suggestion
from cicada.config.quantities import rates_in, seconds_in
from cicada.errors import Misuse

_FORM: Final = re.compile(r"\s*(?P<metric>[\w.]+)\s*(?P<comparison><=|>=|==|!=|<|>)\s*(?P<value>\S.*?)\s*")
_EXAMPLES: Final = 'write "send.p99 < 50ms", "delivered.rate >= 0.999" or "lost == 0"'


class Unit(enum.Enum):
    """What a metric is measured in."""

    TIME = "a time, as 50ms"
    SHARE = "a share, as 0.999 or 99.9%"
    RATE = "a rate, as 100/s"
    COUNT = "a number, as 0"


PERCENTILES: Final = {
    "p50": 0.50,
    "p75": 0.75,
    "p90": 0.90,
    "p95": 0.95,
    "p99": 0.99,
    "p99.9": 0.999,
    "p99.99": 0.9999,
    "max": 1.0,
}
MESSAGES: Final = (
    "sent",
    "delivered",
    "acknowledged",
    "lost",
    "failed",
    "duplicated",
    "altered",
    "wrong_peer",
    "out_of_order",
    "acknowledged_lost",
    "unfinished",
    "died_with_worker",
    "to_absent",
)
_OF_OPS: Final = {
    **dict.fromkeys((*PERCENTILES, "mean"), Unit.TIME),
    **{f"service.{name}": Unit.TIME for name in (*PERCENTILES, "mean")},
    "rate": Unit.RATE,
    "errors": Unit.SHARE,
    **dict.fromkeys(("started", "succeeded", "failed", "late", "dropped"), Unit.COUNT),
}

METRICS: Final[dict[str, Unit]] = {
    **{f"{op}.{name}": unit for op in OPS for name, unit in _OF_OPS.items()},
    **dict.fromkeys(MESSAGES, Unit.COUNT),
    "delivered.rate": Unit.SHARE,
    "delivered.present": Unit.SHARE,
    "errors.rate": Unit.SHARE,
    "broadcast.coverage": Unit.SHARE,
    "broadcast.complete": Unit.SHARE,
    "lookup.right": Unit.SHARE,
    "lookup.wrong": Unit.COUNT,
    "late": Unit.COUNT,
    "dropped": Unit.COUNT,
    "hops.mean": Unit.COUNT,
    "hops.max": Unit.COUNT,
}
"""All that can be compared with something."""

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Condition(msgspec.Struct, frozen=True):
    """A threshold that was understood. Times are in seconds, shares parts of one, rates per second."""

    metric: str
    comparison: str
    value: float

    def holds(self, figure: float | None) -> bool:
        """Whether it does for this figure. Without one it does not."""
        return figure is not None and _COMPARISONS[self.comparison](figure, self.value)

    @property
    def unit(self) -> Unit:
        """What its value is measured in."""
        return METRICS[self.metric]


def condition_in(text: str) -> Condition:
    """The condition that ``text`` states. Raises Misuse with what is wrong and what to write."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise Misuse(f"{text!r} is not a threshold: {_EXAMPLES}")
    metric = match["metric"]
    if metric not in METRICS:
        raise Misuse(f"there is no figure {metric!r}{_near(metric)}")
    unit = METRICS[metric]
    try:
        value = _READERS[unit](match["value"])
    except (Misuse, ValueError):
        raise Misuse(f"{metric} is {unit.value}, not {match['value']!r}") from None
    return Condition(metric, match["comparison"], value)


def _near(metric: str) -> str:
    """The nearest name, or those that begin alike, since all would be too many."""
    head = metric.partition(".")[0]
    alike = [name for name in METRICS if name.startswith(f"{head}.")]
    hint = suggestion(metric, tuple(METRICS))
    if hint.startswith(": did"):
        return hint
    return f": there is {', '.join(alike)}" if alike else f": {_EXAMPLES}"


def _time(text: str) -> float:
    if text.replace(".", "", 1).isdigit():
        raise ValueError(text)  # 50 what?
    return seconds_in(text)


def _share(text: str) -> float:
    share = float(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


def _rate(text: str) -> float:
    low, high = rates_in(text)
    if low != high:
        raise ValueError(text)
    return low


def _count(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


_READERS: Final[dict[Unit, Callable[[str], float]]] = {
    Unit.TIME: _time,
    Unit.SHARE: _share,
    Unit.RATE: _rate,
    Unit.COUNT: _count,
}
