"""Dynamic thresholds, against the rule applied one addition at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cicada.routing.shares import may_hold, still_free

SHARE = 8


def one_by_one(held: int, size: int, used: int, capacity: int, share: int) -> int:
    """How many additions the rule lets pass."""
    taken = 0
    while may_hold(held, size, used, capacity, share):
        held, used, taken = held + size, used + size, taken + 1
    return taken


@given(
    capacity=st.integers(1, 300),
    used=st.integers(0, 300),
    held=st.integers(0, 300),
    size=st.integers(1, 400),
    share=st.integers(1, 16),
)
def test_the_number_still_free_is_what_the_rule_lets_pass_one_by_one(
    capacity: int, used: int, held: int, size: int, share: int
) -> None:
    used = min(used, capacity)
    held = min(held, used)
    assert still_free(held, size, used, capacity, share) == one_by_one(held, size, used, capacity, share)


@given(capacity=st.integers(1, 100), asks=st.lists(st.integers(0, 5), max_size=400))
def test_whoever_holds_nothing_finds_room_as_long_as_there_is_any(capacity: int, asks: list[int]) -> None:
    held = dict.fromkeys(range(6), 0)
    for who in asks:
        used = sum(held.values())
        if may_hold(held[who], 1, used, capacity, SHARE):
            held[who] += 1
        else:
            assert held[who] > 0 or used == capacity
    assert sum(held.values()) <= capacity


def test_one_alone_gets_its_share_and_leaves_the_rest_to_others() -> None:
    assert one_by_one(0, 1, 0, 8192, SHARE) == 7282  # eight ninths
    assert one_by_one(0, 1, 7282, 8192, SHARE) > 0


def test_an_empty_store_takes_what_is_larger_than_itself() -> None:
    assert may_hold(0, 500, 0, 100, SHARE)
    assert still_free(0, 500, 0, 100, SHARE) == 1
    assert not may_hold(0, 500, 1, 100, SHARE)
