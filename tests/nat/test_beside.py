"""When a peer may take it for true that it cannot dial a member behind its own router which others can."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, canonical_address
from cicada.limits import NAT
from cicada.nat.beside import Besides

OWN: Final = canonical_address("44.128.77.1", 50000)
BESIDE: Final = canonical_address("44.128.77.1", 50001)
STRANGER: Final = canonical_address("9.9.9.9", 50000)
SPAN: Final = NAT.beside_span


def fail(besides: Besides, now: float, address: Address = BESIDE, reason: str = "refused") -> bool:
    return besides.on_unreachable(address, reason, now)


@pytest.mark.parametrize("reason", ["refused", "timeout"])
def test_who_cannot_be_dialled_for_some_time_and_is_still_named_is_one_beside(reason: str) -> None:
    besides = Besides(OWN)
    assert not fail(besides, 0.0, reason=reason)
    besides.on_named(STRANGER, [STRANGER, BESIDE], SPAN)
    assert fail(besides, SPAN + 1, reason=reason)
    assert not fail(besides, SPAN + 2, reason=reason)


def test_one_failure_is_none() -> None:
    besides = Besides(OWN)
    besides.on_named(STRANGER, [BESIDE], 0.0)
    assert not fail(besides, 1.0)
    besides.on_named(STRANGER, [BESIDE], SPAN + 1.0)


def test_who_claims_to_be_beside_and_is_named_by_nobody_is_not() -> None:
    besides = Besides(OWN)
    assert not any(fail(besides, float(second)) for second in range(100))


def test_a_member_that_died_is_named_no_more_by_then() -> None:
    besides = Besides(OWN)
    for second in range(60):
        if second < 10:
            besides.on_named(STRANGER, [BESIDE], float(second))
        assert not fail(besides, float(second))


def test_what_was_named_long_ago_is_not_named() -> None:
    besides = Besides(OWN)
    fail(besides, 0.0)
    besides.on_named(STRANGER, [BESIDE], SPAN)
    assert not fail(besides, 2 * SPAN + 1)


def test_who_was_dialled_meanwhile_is_not_beside() -> None:
    besides = Besides(OWN)
    fail(besides, 0.0)
    besides.on_named(STRANGER, [BESIDE], SPAN)
    besides.on_proven(BESIDE)
    assert not fail(besides, SPAN + 1)


def test_who_is_named_only_from_behind_the_same_router_is_not_beside() -> None:
    besides = Besides(OWN)
    fail(besides, 0.0)
    besides.on_named(canonical_address("44.128.77.1", 50002), [BESIDE], SPAN)
    assert not fail(besides, SPAN + 1)


@pytest.mark.parametrize("reason", ["busy", "dials", "closed", "unknown-address", "swarm", ""])
def test_whatever_else_keeps_a_dial_from_its_end_proves_nothing(reason: str) -> None:
    besides = Besides(OWN)
    fail(besides, 0.0, reason=reason)
    besides.on_named(STRANGER, [BESIDE], SPAN)
    assert not fail(besides, SPAN + 1, reason=reason)


def test_a_member_at_another_router_is_not_beside() -> None:
    besides = Besides(OWN)
    fail(besides, 0.0, STRANGER)
    besides.on_named(canonical_address("8.8.8.8", 1), [STRANGER], SPAN)
    assert not fail(besides, SPAN + 1, STRANGER)


def test_failures_long_apart_do_not_belong_together() -> None:
    besides = Besides(OWN)
    fail(besides, 0.0)
    later = NAT.beside_memory + 1
    besides.on_named(STRANGER, [BESIDE], later)
    assert not fail(besides, later)


def test_however_many_are_made_up_few_are_remembered() -> None:
    besides = Besides(OWN)
    for port in range(1, 1000):
        fail(besides, 0.0, canonical_address("44.128.77.1", port))
    assert len(besides._failures) == NAT.besides


ADDRESSES = st.sampled_from([OWN, BESIDE, STRANGER, canonical_address("44.128.77.1", 50002)])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["named", "refused", "timeout", "busy", "proven"]),
            ADDRESSES,
            st.floats(0.0, 20.0),
        ),
        max_size=60,
    )
)
def test_in_any_history_it_takes_two_failures_that_far_apart_and_a_name_in_between(
    history: list[tuple[str, Address, float]],
) -> None:
    besides, now = Besides(OWN), 0.0
    failed: dict[Address, list[float]] = {}
    named: dict[Address, float] = {}
    for what, address, pause in history:
        now += pause
        if what == "named":
            besides.on_named(STRANGER, [address], now)
            named[address] = now
        elif what == "proven":
            besides.on_proven(address)
            failed.pop(address, None)
        else:
            concluded = fail(besides, now, address, what)
            if what != "busy":
                failed.setdefault(address, []).append(now)
            if concluded:
                times = failed.pop(address)
                assert address != STRANGER
                assert len(times) >= NAT.beside_failures
                assert named[address] - times[0] >= SPAN
                assert now - named[address] <= SPAN
