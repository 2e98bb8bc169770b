"""Zave's invariant and the shapes that follow from it, checked by brute force on the whole ring.

The checker shares nothing with the code under test: places are plain integers, lists are tuples of places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RING = 1 << 256
Lists = Mapping[int, Sequence[int]]
"""Member to its successor list. Entries may be dead; they are members exactly when they are keys."""


def violations(lists: Lists, *, least_principals: int = 0) -> list[str]:
    """Everything that is wrong, in words; empty for a ring that is as it must be at every moment."""
    broken = []
    for member, entries in sorted(lists.items()):
        extended = [member, *entries]
        if len(set(extended)) != len(extended):
            broken.append(f"NoDuplicates: {_name(member)} lists an entry twice, or itself")
        steps = [(entry - member) % RING for entry in entries]
        if steps != sorted(steps):
            broken.append(f"OrderedSuccessorLists: the list of {_name(member)} is not in order")
        if len(lists) > 1 and best_successor(lists, member) is None:
            broken.append(f"LiveSuccessor: {_name(member)} has no live successor")
    broken += _ring_violations(lists)
    principals = count_principals(lists)
    if principals < least_principals:
        broken.append(f"Principals: {principals}, at least {least_principals} needed")
    return broken


def overlong(lists: Lists, hosts: Mapping[int, str], successors: int, longest: int) -> list[str]:
    """Lists that go on although they named ``successors`` hosts already, or have more than ``longest`` entries, in words.

    ``hosts``: the host at each place. One where there never was a peer is a host of its own.
    """
    broken = []
    for member, entries in sorted(lists.items()):
        named = {hosts.get(entry, str(entry)) for entry in entries[:-1]}
        if len(named) >= successors or len(entries) > longest:
            broken.append(
                f"ShortestLists: {_name(member)} lists {len(entries)}, on {len(named)} hosts before the last"
            )
    return broken


def best_successor(lists: Lists, member: int) -> int | None:
    """The first live entry; of the only member, itself."""
    live = next((entry for entry in lists[member] if entry in lists), None)
    return member if live is None and len(lists) == 1 else live


def count_principals(lists: Lists) -> int:
    """Members that no adjacent pair of any extended list skips."""
    skipped = set()
    for member, entries in lists.items():
        for low, high in zip((member, *entries), entries, strict=False):
            skipped |= {other for other in lists if 0 < (other - low) % RING < (high - low) % RING}
    return len(lists) - len(skipped)


def _ring_violations(lists: Lists) -> list[str]:
    """OneOrderedRing and ConnectedAppendages: following best successors, all members end in one ordered cycle."""
    cycles = {_cycle_from(lists, member) for member in lists}
    if not lists:
        return []
    if frozenset() in cycles:
        return ["ConnectedAppendages: a member's best successors lead nowhere"]
    if len(cycles) > 1:
        return [f"AtMostOneRing: there are {len(cycles)}"]
    ring = sorted(next(iter(cycles)))
    following = dict(zip(ring, ring[1:] + ring[:1], strict=True))
    return [
        f"OrderedRing: {_name(member)} is not followed by the next of its ring"
        for member in ring
        if best_successor(lists, member) != following[member]
    ]


def _cycle_from(lists: Lists, start: int) -> frozenset[int]:
    """The cycle that best successors lead to; empty when they end at a member without one."""
    here: int | None = start
    for _ in lists:
        here = best_successor(lists, here) if here is not None else None
    cycle: list[int] = []
    while here is not None and here not in cycle:
        cycle.append(here)
        here = best_successor(lists, here)
    return frozenset(cycle) if here is not None else frozenset()


def _name(place: int) -> str:
    return f"{place >> 224:08x}"
