"""Selectors name peers, groups, workers and shares, and say what to do when they name nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from launcher.selectors import Candidate, Selection, select

WORKERS = ("worker-0", "worker-1")
CANDIDATES = [
    Candidate(f"{group}-{number}", group, WORKERS[number % 2])
    for group, count in (("core", 20), ("edge", 5))
    for number in range(count)
]
NAMES = [candidate.name for candidate in CANDIDATES]


def chosen(text: str, seed: int = 1) -> Selection:
    return select(text, CANDIDATES, WORKERS, random.Random(seed))


def test_a_peers_name_is_that_peer() -> None:
    assert chosen("core-3") == Selection(("core-3",))


def test_a_group_is_all_its_peers_in_order() -> None:
    assert chosen("edge").peers == tuple(f"edge-{number}" for number in range(5))


def test_all_is_everybody() -> None:
    assert chosen("all").peers == tuple(NAMES)


def test_a_worker_is_named_together_with_its_peers() -> None:
    selection = chosen("worker-1")
    assert selection.workers == ("worker-1",)
    assert selection.peers == tuple(c.name for c in CANDIDATES if c.worker == "worker-1")


def test_a_worker_without_peers_to_act_on_can_still_be_named() -> None:
    assert select("worker-0", [], WORKERS, random.Random(1)) == Selection((), ("worker-0",))


@given(st.integers(1, 100), st.integers(0, 1000))
def test_a_share_has_its_size_and_no_peer_twice(percent: int, seed: int) -> None:
    drawn = chosen(f"{percent}%", seed).peers
    assert len(drawn) == max(1, round(len(NAMES) * percent / 100))
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(NAMES)


@given(st.integers(0, 1000))
def test_the_same_seed_draws_the_same_share(seed: int) -> None:
    assert chosen("core:30%", seed) == chosen("core:30%", seed)


def test_another_seed_draws_another_share() -> None:
    assert len({chosen("core:30%", seed).peers for seed in range(20)}) > 1


def test_a_share_of_a_group_stays_in_the_group() -> None:
    drawn = chosen("edge:40%").peers
    assert len(drawn) == 2
    assert all(name.startswith("edge-") for name in drawn)


@pytest.mark.parametrize("text", ["0%", "101%", "core:0%", "1000%"])
def test_a_share_outside_its_range_is_refused(text: str) -> None:
    with pytest.raises(Misuse, match="more than 0% and at most 100%"):
        chosen(text)


@pytest.mark.parametrize("text", ["cor", "core-99", "cores:10%", "", "-5%", "worker-7"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(Misuse, match="no peer to act on is called"):
        chosen(text)


@pytest.mark.parametrize("text", ["all", "10%", "all:10%"])
def test_where_nobody_is_left_that_is_what_is_said(text: str) -> None:
    with pytest.raises(Misuse, match="there is no peer to act on: see"):
        select(text, [], WORKERS, random.Random(1))


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(Misuse, match=r"did you mean .*core"):
        chosen("coer")


def test_a_list_is_all_that_its_parts_name_in_order_and_once() -> None:
    assert chosen("edge-1, core-3,edge-1").peers == ("core-3", "edge-1")
    assert set(chosen("core-3,edge").peers) == {"core-3", *chosen("edge").peers}
    assert chosen("worker-1,worker-0") == Selection(tuple(NAMES), ("worker-1", "worker-0"))


def test_a_list_does_not_mix_workers_with_peers_and_names_its_wrong_part() -> None:
    with pytest.raises(Misuse, match="not both at once"):
        chosen("worker-1,core-2")
    with pytest.raises(Misuse, match="called 'cor-3'; did you mean"):
        chosen("core-1,cor-3")
