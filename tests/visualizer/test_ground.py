"""The lowest layer is drawn less often than the rest, and of the state that there is then."""

from __future__ import annotations

import pygame
import pytest

from visualizer.draw.renderer import Renderer
from visualizer.model.state import SwarmState
from visualizer.view import View

from .pictures import difference
from .scenes import kill, peer, swarm, view

SIZE = (640, 400)


@pytest.fixture
def surface() -> pygame.Surface:
    return pygame.Surface(SIZE)


def frames(made: Renderer, surface: pygame.Surface, state: SwarmState, chosen: View, first_s: float) -> None:
    """Two seconds' frames: long enough for all that is drawn bit by bit."""
    for frame in range(120):
        made.draw(surface, state, chosen, first_s + frame / 60)


@pytest.mark.parametrize("is_hidden", [False, True], ids=["member", "hidden"])
def test_a_peer_may_come_between_two_looks_at_the_state(surface: pygame.Surface, is_hidden: bool) -> None:
    """A frame after the names were worked out, and just when the ground is drawn anew."""
    state, chosen = swarm(20), view()
    made = Renderer(SIZE)
    for frame in range(60):
        made.draw(surface, state, chosen, frame / 60)
        late = peer(f"core-{20 + frame}", 20 + frame)
        if is_hidden:
            late.address, late.relays = "@" + f"{frame:02x}" * 32, (state.peers["core-1"].address,)
        state.peers[late.name] = late
        state.now_ms += 17


def test_another_state_is_drawn_even_where_the_last_one_lay_in_memory(surface: pygame.Surface) -> None:
    """Going back and forth makes states and forgets them; events of one millisecond tell them not apart."""
    state, chosen, made = swarm(20), view(), Renderer(SIZE)
    frames(made, surface, state, chosen, 0.0)
    before, others = id(state), [swarm(20)]
    del state
    while len(others) < 50 and id(others[-1]) != before:
        others.append(swarm(20))
    kill(others[-1], 0.5)
    frames(made, surface, others[-1], chosen, 2.0)
    whole = pygame.Surface(SIZE)
    Renderer(SIZE, patient=True).draw(whole, others[-1], chosen, 0.0)
    assert difference(surface, whole).block < 2
