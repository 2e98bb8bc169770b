"""The checker must see breakage: each property is shown a ring that has it and one that has not."""

from __future__ import annotations

from cicada.sim.invariants import Lists, best_successor, count_principals, violations

IDEAL: Lists = {10: (20, 30), 20: (30, 40), 30: (40, 10), 40: (10, 20)}


def names(lists: Lists, least_principals: int = 0) -> set[str]:
    """Which properties are violated."""
    return {violation.split(":")[0] for violation in violations(lists, least_principals=least_principals)}


def test_an_ideal_ring_has_no_violations_and_all_are_principals() -> None:
    assert violations(IDEAL, least_principals=4) == []
    assert count_principals(IDEAL) == 4


def test_a_ring_of_one_and_no_ring_at_all_are_fine() -> None:
    assert violations({10: ()}) == []
    assert violations({}) == []


def test_a_list_with_a_duplicate_or_with_its_owner_is_seen() -> None:
    assert "NoDuplicates" in names({**IDEAL, 10: (20, 20)})
    assert "NoDuplicates" in names({**IDEAL, 10: (20, 10)})


def test_a_list_out_of_order_is_seen() -> None:
    assert "OrderedSuccessorLists" in names({**IDEAL, 10: (30, 20)})


def test_a_member_without_a_live_successor_is_seen() -> None:
    assert {"LiveSuccessor", "ConnectedAppendages"} <= names({**IDEAL, 10: (15,)})
    assert "LiveSuccessor" in names({**IDEAL, 10: ()})


def test_two_rings_are_seen() -> None:
    assert names({10: (30,), 30: (10,), 20: (40,), 40: (20,)}) == {"AtMostOneRing"}


def test_a_ring_in_the_wrong_order_is_seen() -> None:
    assert "OrderedRing" in names({10: (30,), 30: (20,), 20: (40,), 40: (10,)})


def test_an_appendage_is_allowed_and_costs_no_violation() -> None:
    assert violations({**IDEAL, 15: (20, 30)}) == []


def test_dead_entries_are_looked_past() -> None:
    assert best_successor({10: (15, 20), 20: (10,)}, 10) == 20
    assert violations({10: (15, 20), 20: (10,)}) == []


def test_a_skipped_member_is_no_principal() -> None:
    assert count_principals({**IDEAL, 10: (30, 40)}) == 3
    assert names({**IDEAL, 10: (30, 40)}, least_principals=4) == {"Principals"}
