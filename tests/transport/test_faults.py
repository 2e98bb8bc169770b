"""Faults as values: whom a rule concerns, and what several of them add up to."""

from __future__ import annotations

import msgspec
import pytest

from cicada.ids import Address
from cicada.transport.faults import NO_FAULTS, NOTHING, FaultRule, FaultTable, Verdict

A, B, C, D = (Address(f"127.0.0.1:{port}") for port in range(1, 5))
CUT = FaultRule(one=frozenset({A, B}), other=frozenset({C}), cut=True)


def test_without_rules_nothing_happens_to_anybody() -> None:
    assert NO_FAULTS.verdict(A, B) == NOTHING
    assert not NOTHING.strikes_frames


@pytest.mark.parametrize("pair", [(A, C), (C, A), (B, C), (C, B)])
def test_a_rule_strikes_what_goes_from_either_side_to_the_other(pair: tuple[Address, Address]) -> None:
    assert FaultTable((CUT,)).verdict(*pair).cut


@pytest.mark.parametrize("pair", [(A, B), (B, A), (A, D), (D, C)])
def test_a_rule_leaves_those_on_one_side_and_those_on_none_alone(pair: tuple[Address, Address]) -> None:
    assert FaultTable((CUT,)).verdict(*pair) == NOTHING


def test_several_rules_on_one_pair_add_up() -> None:
    one, other = frozenset({A}), frozenset({B})
    rules = (
        FaultRule(one=one, other=other, delay=0.1, jitter=0.02, drop=0.5),
        FaultRule(one=one, other=other, delay=0.2, drop=0.5, duplicate=0.25),
    )
    verdict = FaultTable(rules).verdict(A, B)
    assert verdict.delay == pytest.approx(0.3)
    assert (verdict.cut, verdict.jitter, verdict.drop, verdict.duplicate) == (False, 0.02, 0.75, 0.25)


def test_only_cuts_and_delays_strike_frames() -> None:
    assert Verdict(cut=True).strikes_frames
    assert Verdict(jitter=0.1).strikes_frames
    assert not Verdict(drop=0.5, duplicate=0.5).strikes_frames


def test_what_is_about_an_address_is_all_that_concerns_it() -> None:
    other = FaultRule(one=frozenset({C}), other=frozenset({D}), delay=1.0)
    table = FaultTable((CUT, other))
    assert table.about(A).rules == (CUT,)
    assert table.about(C).rules == (CUT, other)
    assert table.about(Address("127.0.0.1:9")) == NO_FAULTS


def test_a_table_survives_the_way_to_a_worker() -> None:
    table = FaultTable((CUT,))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(table), type=FaultTable) == table
