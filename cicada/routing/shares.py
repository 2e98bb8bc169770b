"""How much of a bounded store one of many may hold, without knowing how many there are.

Dynamic thresholds (Choudhury and Hahne 1998): each may hold at most ``share`` times what is free. Whoever holds nothing always
finds something free, however hard the others press; one alone may hold ``share / (1 + share)`` of the store.
"""

from __future__ import annotations


def may_hold(held: int, size: int, used: int, capacity: int, share: int) -> bool:
    """Whether somebody who holds ``held`` may add ``size`` to a store of ``capacity`` of which ``used`` is taken.

    An empty store takes anything, so that nothing is too large for ever.
    """
    if not used:
        return True
    return used + size <= capacity and held < share * (capacity - used)


def still_free(held: int, size: int, used: int, capacity: int, share: int) -> int:
    """How many times in a row ``may_hold`` would let somebody add ``size`` (at least 1) if nobody else moved."""
    free = capacity - used
    if free < size:
        return 0 if used else 1
    before_threshold = -((held - share * free) // (size * (1 + share)))  # rounded up: the last may pass it
    return max(0, min(before_threshold, free // size))
