"""One input after the other: who is to handle it."""

from __future__ import annotations

from visualizer.controls import prompts
from visualizer.controls.actions import Action
from visualizer.controls.bindings import Bindings
from visualizer.controls.desk import Desk, Sight
from visualizer.controls.inputs import Input, Key
from visualizer.controls.mouse import Mouse
from visualizer.model.state import SwarmState
from visualizer.view import View


class Controls:
    """Turns inputs into changes of the view and actions. Knows no window: ``sight`` tells what lies where."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._mouse = Mouse()

    def handle(self, given: Input, state: SwarmState, view: View, sight: Sight, now: float) -> list[Action]:
        """Change the view as the input asks, and return what else is to be done. ``now``: seconds on the window's clock."""
        desk = Desk(state, view, sight, now)
        if not isinstance(given, Key):
            return self._mouse.handle(given, desk)
        desk.shift = given.shift
        answered = prompts.on_key(desk, given)
        if answered is not None:
            return answered
        handler = self._bindings.handler(given)
        return handler(desk) if handler is not None else []
