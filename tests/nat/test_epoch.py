"""Whether a router went on or forgot, by its epoch (RFC 6887 section 8.5, RFC 6886 section 3.6)."""

from __future__ import annotations

import pytest

from cicada.limits import NAT
from cicada.nat.epoch import Epoch


@pytest.mark.parametrize(
    ("passed", "counted", "expected"),
    [
        (0.0, 0, True),
        (10.0, 10, True),
        (10.0, 8, True),  # two seconds are nothing
        (1600.0, 1500, True),  # nor is a sixteenth
        (1600.0, 1450, False),
        (1.0, -1, True),  # rounding
        (10.0, -2, False),
        (10.0, -900, False),  # it began anew
        (4000.0, -900, False),  # so long ago that it counts as much again
        (10.0, 500, False),  # another router
    ],
)
def test_a_router_went_on_if_its_epoch_rose_as_time_passed(
    passed: float, counted: int, expected: bool
) -> None:
    before = Epoch(1000, at=50.0)
    assert before.continues(1000 + counted, 50.0 + passed, NAT) is expected
