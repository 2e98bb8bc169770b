"""Fixtures for endpoints: one world per kind, closed at the end of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.transport.endpoints import World


@pytest.fixture(params=["zeromq", "memory"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Both kinds of endpoints, one after the other."""
    made = World(request.param)
    yield made
    made.close()


@pytest.fixture
async def tcp() -> AsyncIterator[World]:
    """ZeroMQ endpoints only."""
    made = World("zeromq")
    yield made
    made.close()
