"""When the operations of an open load begin: number n when the integral of the rate reaches n. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import sqrt

from cicada.commands import Stage


class Schedule:
    """The intended starts that a sequence of stages means, in seconds from the first one's beginning."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)
        self._times = list(accumulate((stage.seconds for stage in stages), initial=0.0))
        self._begun = list(accumulate(map(area, stages), initial=0.0))

    @property
    def total(self) -> float:
        """The integral over all stages."""
        return self._begun[-1]

    def at(self, number: float) -> float:
        """When operation ``number`` begins, counted from 0."""
        index = min(bisect_right(self._begun, number), len(self._stages)) - 1
        return self._times[index] + _reaching(self._stages[index], number - self._begun[index])

    def begun(self, seconds: float) -> float:
        """The integral up to an instant."""
        index = min(bisect_right(self._times, max(0.0, seconds)), len(self._stages)) - 1
        stage = self._stages[index]
        within = min(seconds - self._times[index], stage.seconds)
        if within <= 0:
            return self._begun[index]
        return self._begun[index] + area(Stage(within, stage.first, _rate(stage, within)))

    def first_from(self, seconds: float) -> int:
        """The first number whose start is not before an instant."""
        number = max(0, int(self.begun(seconds)) - 1)
        while self.at(number) < seconds and number < self.total:
            number += 1
        return number


def area(stage: Stage) -> float:
    """Operations of a stage."""
    return stage.seconds * (stage.first + stage.last) / 2


def _rate(stage: Stage, within: float) -> float:
    return stage.first + (stage.last - stage.first) * within / stage.seconds


def _reaching(stage: Stage, number: float) -> float:
    """When the integral from the stage's beginning is ``number``: the root of a parabola, in the form that loses no digits."""
    if number <= 0:
        return 0.0
    if stage.first == stage.last:
        return number / stage.first if stage.first else stage.seconds
    slope = (stage.last - stage.first) / stage.seconds
    root = sqrt(max(0.0, stage.first * stage.first + 2 * slope * number))
    return min(2 * number / (stage.first + root), stage.seconds) if stage.first + root else stage.seconds
