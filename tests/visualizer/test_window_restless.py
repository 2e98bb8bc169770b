"""A window, drawn as it is shown, on swarms in which peers come, move and go, while somebody goes back and forth in time.

Parts of the picture are worked out at different frames: none of them may rely on a peer, a size or a choice of another frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pygame
import pytest

from visualizer.controls.bindings import Bindings
from visualizer.stage import make_stage

from .pictures import difference
from .restless import Onlooker, Restless

SECONDS = 8.0
FRAMES = 60


@contextmanager
def watching(seed: int, pictures: Path, *, is_live: bool) -> Iterator[Onlooker]:
    rng = Random(seed)
    items = list(Restless(rng, forgets=is_live).tell(SECONDS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        onlooker = Onlooker(items, rng, pictures, is_live=is_live)
        onlooker.window.open()
        try:
            yield onlooker
        finally:
            onlooker.window.close()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_live", [True, False], ids=["live", "recorded"])
def test_peers_come_and_go_and_time_jumps_and_the_window_draws_on(
    seed: int, is_live: bool, tmp_path: Path
) -> None:
    with watching(seed, tmp_path, is_live=is_live) as onlooker:
        for frame in range(round(SECONDS * FRAMES)):
            if frame % 3 == 0:
                onlooker.fidget()
            onlooker.frame()
        onlooker.stand_still()
        shown = pygame.display.get_surface()
        assert shown is not None
        assert difference(shown, whole(onlooker)).block < 2


def whole(onlooker: Onlooker) -> pygame.Surface:
    """What is shown, drawn by somebody who saw nothing before."""
    surface, view = pygame.Surface(pygame.display.get_window_size()), onlooker.view
    stage = make_stage(surface.get_size(), view.theme, Bindings().lines(), patient=True)
    stage.draw(surface, onlooker.window.state, view, onlooker.clock.now())
    return surface
