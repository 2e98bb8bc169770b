"""Four scenes look as they did: compared with pictures that were looked at. ``--rewrite`` makes them anew; look at the diff."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pygame
import pytest

from visualizer.model.state import PeerState, SwarmState
from visualizer.view import Theme, View

from .pictures import difference, draw
from .scenes import SCENES, healthy

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_looks_as_it_did(name: str, rewrite: bool, tmp_path: Path) -> None:
    picture, expected = draw(*SCENES[name]()), GOLDEN / f"{name}.png"
    if rewrite:
        pygame.image.save(picture, expected)
    drawn = tmp_path / expected.name
    pygame.image.save(picture, drawn)
    found = difference(picture, pygame.image.load(expected))
    assert found.is_small, f"{found}: compare {drawn} with {expected}; if it is meant so, run with --rewrite"


def one_dies(state: SwarmState, view: View) -> None:
    state.peers["core-9"].state = PeerState.DEAD


def one_loses_its_successor(state: SwarmState, view: View) -> None:
    state.peers["core-9"].successors = ()
    state.health = healthy(state)


def fingers_are_shown(state: SwarmState, view: View) -> None:
    view.selected, view.shows_fingers = {"core-5"}, True


def one_does_harm(state: SwarmState, view: View) -> None:
    state.peers["core-14"].behaviour = "drops"


def messages_are_gone(state: SwarmState, view: View) -> None:
    state.flights.clear()


def another_is_pointed_at(state: SwarmState, view: View) -> None:
    view.hovered = "core-8"


CHANGES = (
    one_dies,
    one_loses_its_successor,
    fingers_are_shown,
    one_does_harm,
    messages_are_gone,
    another_is_pointed_at,
)


@pytest.mark.parametrize("change", CHANGES)
def test_the_comparison_is_not_blind_to_a_change(change: Callable[[SwarmState, View], None]) -> None:
    state, view = SCENES["calm"]()
    change(state, view)
    assert not difference(draw(state, view), pygame.image.load(GOLDEN / "calm.png")).is_small


@pytest.mark.parametrize("fate", ["altered", "lost"])
def test_the_comparison_sees_what_became_of_a_copy(fate: str) -> None:
    state, view = SCENES["copies"]()
    trip = state.trips["send"]
    trip.flights = [hop._replace(fate="") if hop.fate == fate else hop for hop in trip.flights]
    assert not difference(draw(state, view), pygame.image.load(GOLDEN / "copies.png")).is_small


def test_the_comparison_sees_a_branch_of_a_broadcast_that_is_missing() -> None:
    state, view = SCENES["broadcast"]()
    del state.trips["broadcast"].flights[1]
    assert not difference(draw(state, view), pygame.image.load(GOLDEN / "broadcast.png")).is_small


def test_the_comparison_lets_letters_and_edges_be_a_little_other() -> None:
    picture = pygame.image.load(GOLDEN / "calm.png")
    moved = pygame.Surface(picture.get_size())
    moved.blit(picture, (1, 0))
    assert difference(picture, moved).mean > 0
    assert difference(picture, moved).is_small
    assert not difference(picture, draw(*SCENES["killed"]())).is_small
    state, view = SCENES["calm"]()
    view.theme = Theme.LIGHT
    assert difference(picture, draw(state, view)).mean > 100
