"""The CryptoActor: the pump around a peer's negotiator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from cicada.actors.pump import Pump, Surroundings
from cicada.keys import io
from cicada.keys.plain import PlainNegotiator


class CryptoActor(Pump[PlainNegotiator]):
    """Agrees on sessions with other peers. ``make`` gives each of its lives its core."""

    def __init__(self, around: Surroundings, make: Callable[[], PlainNegotiator]) -> None:
        super().__init__(around, io.TimerFired())
        self._make = make

    def make_core(self) -> PlainNegotiator:
        return self._make()

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        return dict.fromkeys(get_args(io.RouterBound), self.to_router.append)
