"""Instants as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from visualizer.instants import instant

FIRST, LAST = 10_000, 70_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("t=30s", 40_000),
        ("30", 40_000),
        ("t=0", 10_000),
        ("500ms", 10_500),
        ("0.5m", 40_000),
        ("1h", 70_000),
        ("50%", 40_000),
        ("0%", 10_000),
        ("100%", 70_000),
        ("first", 10_000),
        ("last", 70_000),
    ],
)
def test_an_instant_is_a_time_since_the_beginning_or_a_share(text: str, ms: float) -> None:
    assert instant(text).at(FIRST, LAST) == ms


@pytest.mark.parametrize("text", ["", "t=", "101%", "-1s", "soon", "t=30x", "t=1e3", "nan"])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(Misuse, match="write t=30s, 50%, first or last"):
        instant(text)


def test_whether_a_recording_is_so_long_can_be_asked() -> None:
    assert instant("60s").is_within(FIRST, LAST)
    assert not instant("61s").is_within(FIRST, LAST)
    assert instant("last").is_within(FIRST, LAST)


@given(st.integers(0, 10**6), st.integers(0, 100), st.integers(0, 10**6))
def test_it_is_never_outside_of_the_recording(seconds: int, share: int, length: int) -> None:
    for text in (f"{seconds}s", f"{share}%"):
        assert FIRST <= instant(text).at(FIRST, FIRST + length) <= FIRST + length
