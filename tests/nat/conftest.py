"""The laboratory, where it can be built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nat.lab import Lab, laboratory, why_no_lab


@pytest.fixture(scope="session")
def _lab_is_possible() -> None:
    """Skips, with the reason; CICADA_LAB=required fails instead, so that a gate which ought to have a lab notices."""
    if reason := why_no_lab():
        if os.environ.get("CICADA_LAB") == "required":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def lab(_lab_is_possible: None, tmp_path: Path) -> Iterator[Lab]:
    """A lab of its own for a test; it stands within a few tenths of a second. No router runs a daemon yet."""
    with laboratory(tmp_path) as built:
        yield built
