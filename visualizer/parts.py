"""What the window is put together from, as far as it knows it: where events come from, what is kept of them, what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cicada.errors import Unavailable
from visualizer.controls.desk import Sight
from visualizer.model.state import Mark, SwarmState
from visualizer.view import Feed, Theme, View

if TYPE_CHECKING:
    import pygame  # the view without a display does without it


class NoDisplay(Unavailable):
    """No window can be opened here."""


class Feeding(Protocol):
    """A stream of events, live or recorded."""

    @property
    def status(self) -> Feed:
        """How it does."""
        ...

    def take(self, budget: int) -> Sequence[Any]:
        """At most so many of what has come; never waits. Of a recording nothing comes at its end only."""
        ...

    def close(self) -> None:
        """No more is needed. Idempotent."""
        ...


class Newest(Protocol):
    """The fold of everything that came."""

    @property
    def state(self) -> SwarmState:
        """Its state; to be read again after more has come."""
        ...


class Story(Protocol):
    """Everything that came: its newest state, and the states before. Times are ms by its own clock; 0: nothing came yet."""

    @property
    def newest(self) -> Newest:
        """Of all of it."""
        ...

    @property
    def first_ms(self) -> int:
        """The earliest instant that can be shown."""
        ...

    @property
    def last_ms(self) -> int:
        """The newest."""
        ...

    @property
    def marks(self) -> Sequence[Mark]:
        """Faults, deaths and the like."""
        ...

    def add(self, item: Any) -> object:
        """The next of what a feed brought."""
        ...

    def state_at(self, ms: float) -> SwarmState:
        """How the swarm was."""
        ...

    def next_fault(self, ms: float) -> int | None:
        """When the next fault, death or missed expectation after an instant was; None: there is none."""
        ...

    def histogram(self, buckets: int) -> list[int]:
        """How many events each of so many equal parts of the known time has."""
        ...


class Playing(Protocol):
    """Which state is shown at what time. It keeps the view's playback."""

    def advance(self, now: float) -> SwarmState:
        """The state to show; ``now``: seconds on the window's clock."""
        ...

    def toggle_pause(self) -> None:
        """Stop where it is, or go on from there."""
        ...

    def step(self, events: int) -> None:
        """Stop, and go so many events further."""
        ...

    def seek(self, ms: float) -> None:
        """Show an instant."""
        ...

    def go_live(self) -> None:
        """Show the newest, and whatever comes."""
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

    def __call__(
        self,
        size: tuple[int, int],
        theme: Theme,
        keys: tuple[tuple[str, str], ...],
        /,
        *,
        patient: bool = False,
    ) -> Stage:
        """``keys``: the rows of the key sheet. ``patient``: every picture is drawn wholly, however long that takes."""
        ...
