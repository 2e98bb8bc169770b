"""What is charged for others' unfinished messages, and to whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.ids import Address
from cicada.keys.trust import Trust
from cicada.limits import TRANSFER, TransferLimits
from cicada.routing.allowance import Allowance, Origin

LIMITS = TransferLimits(
    held_bytes=1000,
    stranger_share=0.25,
    sender_bytes=400,
    held_overhead=10,
    finish_bytes=0,
    lane_bytes=0,
    line_bytes=0,
)
KEPT = replace(LIMITS, finish_bytes=200)
ONE, TWO = Origin("1", Address("10.0.0.1:1"), 7), Origin("2", Address("10.0.0.2:1"), 7)


@pytest.fixture
def allowance() -> Allowance:
    return Allowance(LIMITS)


def test_a_charge_counts_the_objects_around_the_bytes(allowance: Allowance) -> None:
    account = allowance.account()
    assert account.charge(ONE, Trust.PINNED, 90, 0.0)
    assert (len(account), allowance.used) == (100, 100)
    account.release(ONE, Trust.PINNED, 90)
    assert (len(account), allowance.used) == (0, 0)


def test_one_sender_has_a_limit_of_his_own(allowance: Allowance) -> None:
    account = allowance.account()
    assert account.charge(ONE, Trust.PINNED, 390, 0.0)
    assert not account.charge(ONE, Trust.PINNED, 0, 0.0)
    assert account.charge(TWO, Trust.PINNED, 390, 0.0)


def test_all_peers_of_a_loop_share_the_allowance(allowance: Allowance) -> None:
    accounts = [allowance.account() for _ in range(3)]
    assert [account.charge(ONE, Trust.PINNED, 390, 0.0) for account in accounts] == [True, True, False]
    accounts[0].close()
    assert accounts[2].charge(ONE, Trust.PINNED, 390, 0.0)


def test_first_contacts_get_a_quarter_and_leave_the_rest_to_others(allowance: Allowance) -> None:
    account = allowance.account()
    assert account.charge(ONE, Trust.FIRST_CONTACT, 240, 0.0)
    assert not account.charge(TWO, Trust.UNVERIFIED, 0, 0.0)
    assert account.charge(TWO, Trust.PINNED, 390, 0.0)


def test_a_closed_account_holds_nothing(allowance: Allowance) -> None:
    account, other = allowance.account(), allowance.account()
    account.charge(ONE, Trust.FIRST_CONTACT, 90, 0.0)
    other.charge(TWO, Trust.UNVERIFIED, 40, 0.0)
    account.close()
    assert (allowance.used, allowance.used_by_strangers, len(account)) == (50, 50, 0)


def test_what_is_kept_to_finish_a_message_is_for_one_at_a_time() -> None:
    account = Allowance(replace(KEPT, sender_bytes=1000)).account()
    assert account.charge(ONE, Trust.PINNED, 390, 0.0, message=1)
    assert account.charge(TWO, Trust.PINNED, 390, 0.0, message=1)
    assert not account.charge(ONE, Trust.PINNED, 0, 0.0)
    assert account.charge(ONE, Trust.PINNED, 40, 0.0, message=1)
    assert not account.charge(TWO, Trust.PINNED, 40, 1.0, message=1)
    assert account.charge(ONE, Trust.PINNED, 40, 1.9, message=1)
    account.end(ONE, 1)
    assert account.charge(TWO, Trust.PINNED, 40, 2.0, message=1)
    assert not account.charge(TWO, Trust.PINNED, 50, 2.0, message=1), "that is more than there is"


def test_one_that_does_not_go_on_leaves_it_to_another() -> None:
    account = Allowance(KEPT).account()
    account.charge(ONE, Trust.PINNED, 390, 0.0, message=1)
    account.charge(TWO, Trust.PINNED, 380, 0.0, message=1)
    other = Origin("3", Address("10.0.0.3:1"), 7)
    assert account.charge(other, Trust.PINNED, 10, 0.0, message=1)
    assert not account.charge(TWO, Trust.PINNED, 0, KEPT.finisher_seconds - 0.1, message=1)
    assert account.charge(TWO, Trust.PINNED, 0, KEPT.finisher_seconds, message=1)
    assert not account.charge(other, Trust.PINNED, 0, KEPT.finisher_seconds, message=1)


def test_limits_by_which_a_sender_would_wait_for_himself_are_refused() -> None:
    with pytest.raises(ValueError, match="wait"):
        TransferLimits(lane_bytes=TRANSFER.sender_bytes)


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.sampled_from(list(Trust)), st.integers(0, 300))))
def test_whatever_is_charged_is_within_all_limits_and_comes_back_to_nothing(
    asked: list[tuple[Origin, Trust, int]],
) -> None:
    allowance = Allowance(LIMITS)
    account = allowance.account()
    charged = [charge for charge in asked if account.charge(*charge, 0.0)]
    assert allowance.used == sum(size + 10 for _, _, size in charged) <= 1000
    strangers = sum(size + 10 for _, trust, size in charged if trust < Trust.PINNED)
    assert allowance.used_by_strangers == strangers <= 250
    for origin in (ONE, TWO):
        assert sum(size + 10 for of, _, size in charged if of == origin) <= 400
    for charge in charged:
        account.release(*charge)
    assert (allowance.used, allowance.used_by_strangers) == (0, 0)
