"""What the window is put together from, as far as it knows it: where events come from, what is kept of them, what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from visualizer.controls.desk import Sight
from visualizer.model.state import Mark, SwarmState
from visualizer.view import Feed, Theme, View

if TYPE_CHECKING:
    import pygame  # the view without a display does without it


class Feeding(Protocol):
    """A stream of events, live or recorded."""

    @property
    def status(self) -> Feed:
        """How it does."""
        ...

    def take(self, budget: int) -> Sequence[object]:
        """At most so many of what has come; never waits."""
        ...

    def close(self) -> None:
        """No more is needed."""
        ...


class Story(Protocol):
    """What is known of a swarm: its newest state, and the states before."""

    @property
    def state(self) -> SwarmState:
        """The newest."""
        ...

    @property
    def first_ms(self) -> int:
        """The earliest instant that can be shown; 0: nothing came yet."""
        ...

    @property
    def last_ms(self) -> int:
        """The newest."""
        ...

    def take_in(self, item: object) -> None:
        """The next of what a feed brought."""
        ...

    def state_at(self, ms: float) -> SwarmState:
        """How the swarm was. It may change with the next call."""
        ...

    def next_fault(self, after_ms: float) -> int | None:
        """When the next fault, death or missed expectation after an instant was; None: there is none."""
        ...

    @property
    def marks(self) -> Sequence[Mark]:
        """Faults, deaths and the like, of all that is known."""
        ...

    def histogram(self, buckets: int) -> list[int]:
        """How many events each of so many equal parts of the known time has."""
        ...


class Stage(Protocol):
    """What draws, and knows what lies where."""

    def draw(self, surface: pygame.Surface, state: SwarmState, view: View, now: float) -> None:
        """Draw the whole picture; the surface may have another size than before. ``now``: seconds on the window's clock."""
        ...

    def sight(self, state: SwarmState, view: View, story: Story) -> Sight:
        """What lies where in the picture that was drawn last."""
        ...


class MakeStage(Protocol):
    """Makes a stage, once there is a display."""

    def __call__(self, size: tuple[int, int], theme: Theme, keys: tuple[tuple[str, str], ...]) -> Stage:
        """``keys``: the rows of the key sheet."""
        ...
