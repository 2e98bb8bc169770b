"""``--fail-if``: conditions on the difference of two runs, ``[op.]metric`` compared with a change or with a value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Final

import msgspec

from cicada.errors import Misuse
from launcher.report.metrics import Unit

_CONDITION: Final = re.compile(
    r"(?P<metric>[\w.-]+)\s*(?P<how>>=|<=|>|<)\s*(?P<sign>[+-]?)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|[a-zµ]*)",
    re.ASCII,
)
_LIKE_ONE: Final = re.compile(r"(?P<metric>[\w.-]+)\s*(?P<how>==|=|!=|>=|<=|>|<)?\s*(?P<rest>.*)", re.DOTALL)
_HOW: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TIMES: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_EXAMPLE: Final = "'p99 > +10%', 'send.rate < -5%', 'lost > 0' or 'send.p99 > 50ms'"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. ``relative``: ``bound`` is a change in per cent; ``change``: an absolute one; else the second run's value."""

    text: str
    metric: str
    how: str
    bound: float
    relative: bool
    change: bool
    time: bool

    def met(self, before: float | None, after: float | None) -> bool:
        """Whether it holds. Where there is no figure to tell, it does: nobody should take that for a pass."""
        found = self._found(before, after)
        return found is None or _HOW[self.how](found, self.bound)

    def _found(self, before: float | None, after: float | None) -> float | None:
        if after is None or ((self.relative or self.change) and before is None):
            return None
        if not (self.relative or self.change) or before is None:
            return after
        return percent_change(before, after) if self.relative else after - before


def percent_change(before: float, after: float) -> float:
    """From one value to another, in per cent of the first; from nothing to something is without bound."""
    if before == after:
        return 0.0
    if before == 0:
        return float("inf") if after > 0 else float("-inf")
    return (after - before) / abs(before) * 100


def parse_condition(text: str) -> Condition:
    """Raises Misuse with what to write instead."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise Misuse(_mended(text.strip()))
    metric, how, sign, unit = match["metric"], match["how"], match["sign"], match["unit"]
    number = float(match["number"])
    if unit == "%" and not sign:
        likely = "+" if how.startswith(">") else "-"
        itself = f", or for a share itself '{metric} {how} {number / 100:g}'" if number <= 100 else ""
        raise Misuse(
            f"--fail-if {text!r}: a change has a sign: write '{metric} {how} {likely}{match['number']}%'{itself}"
        )
    if unit not in _TIMES and unit not in {"", "%"}:
        raise Misuse(
            f"--fail-if {text!r}: {unit!r} is no unit: write %, us, ms, s, min or h, or nothing for a count"
        )
    return Condition(
        text=text.strip(),
        metric=metric,
        how=how,
        bound=(-number if sign == "-" else number) * _TIMES.get(unit, 1.0),
        relative=unit == "%",
        change=bool(sign),
        time=unit in _TIMES,
    )


def resolved(condition: Condition, known: Iterable[tuple[str, Unit]]) -> list[str]:
    """The names of the figures that it is about: of every load that has it. Raises Misuse for one that there is not."""
    units = dict(known)
    wanted = (condition.metric, f"messages.{condition.metric}", f"run.{condition.metric}")
    for name in wanted:
        names = [one for one in units if one == name or re.fullmatch(rf"load\d+\.{re.escape(name)}", one)]
        if names:
            _check_unit(condition, units[names[0]])
            return names
    choices = sorted({re.sub(r"^load\d+\.", "", one) for one in units})
    shorter = [re.sub(r"^(messages|run)\.", "", one) for one in choices]
    close = get_close_matches(condition.metric, [*choices, *shorter], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(choices[:20])} ..."
    raise Misuse(f"--fail-if {condition.text!r}: neither run has a figure {condition.metric!r}: {hint}")


def _check_unit(condition: Condition, unit: Unit) -> None:
    if condition.relative:
        return
    bound = f"{abs(condition.bound):g}"
    if unit is Unit.SECONDS and not condition.time and condition.bound:
        problem = f"{condition.metric} is a time: write {bound}ms or {bound}s"
    elif unit is not Unit.SECONDS and condition.time:
        problem = f"{condition.metric} is no time ({unit.value}): write the number alone"
    else:
        return
    raise Misuse(f"--fail-if {condition.text!r}: {problem}")


def _mended(text: str) -> str:
    """What is wrong, and the nearest that is right."""
    match = _LIKE_ONE.fullmatch(text)
    if match is None or not match["how"]:
        return f"--fail-if {text!r}: write a figure, a comparison and a bound, as {_EXAMPLE}"
    if match["how"] in {"==", "=", "!="}:
        bound = match["rest"].strip() or "0"
        bound = f"+{bound}" if bound.endswith("%") and bound[0] not in "+-" else bound
        return f"--fail-if {text!r}: compare with >, >=, < or <=, as '{match['metric']} > {bound}'"
    return f"--fail-if {text!r}: {match['rest'].strip()!r} is no bound: write +10%, -5%, 50ms or 0, as {_EXAMPLE}"
