"""What every test of actors gets: a check that it left no actor behind."""

from __future__ import annotations

from collections.abc import Iterator

import pykka
import pytest


@pytest.fixture(autouse=True)
def no_actor_is_left() -> Iterator[None]:
    """Actors that a test started must have ended when it ends; those of another test are stopped first."""
    for ref in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(ref)
    yield
    left = [str(ref) for ref in pykka.ActorRegistry.get_all()]
    for ref in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(ref)
    assert not left, f"actors left running: {left}"
