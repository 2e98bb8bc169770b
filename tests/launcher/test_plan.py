"""The plan: who is where, the same every time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.config.model import Config
from cicada.errors import Misuse
from launcher.plan import derived_seed, least_loaded, plan_swarm
from launcher.roster import Roster, State


def config(workers: int | str = "auto", per_worker: int | None = None, **counts: int) -> Config:
    swarm: dict[str, object] = {"name": "test", "workers": workers}
    if per_worker is not None:
        swarm["peers_per_worker"] = per_worker
    groups = [
        {"name": name, "count": count, "address": f"127.0.0.1:{20000 + 1000 * index}"}
        for index, (name, count) in enumerate(counts.items())
    ]
    return Config.model_validate({"swarm": swarm, "group": groups})


@given(st.integers(1, 200), st.integers(1, 16), st.integers(1, 12) | st.just("auto"))
def test_every_peer_is_planned_once_and_workers_share_evenly(
    count: int, cores: int, workers: int | str
) -> None:
    plan = plan_swarm(config(workers, core=count, edge=3), cores)
    assert len({peer.name for peer in plan.peers}) == len({peer.address for peer in plan.peers}) == count + 3
    load = Counter(peer.worker for peer in plan.peers)
    assert set(load) == set(plan.workers)
    assert max(load.values()) - min(load.values()) <= 1


def test_auto_is_a_worker_for_each_core_but_at_least_two() -> None:
    assert len(plan_swarm(config(core=100), 8).workers) == 8
    assert len(plan_swarm(config(core=100), 1).workers) == 2
    assert len(plan_swarm(config(core=1), 8).workers) == 1


def test_peers_per_worker_says_how_many_workers_there_are() -> None:
    assert len(plan_swarm(config(per_worker=1, core=7), 2).workers) == 7
    assert len(plan_swarm(config(per_worker=3, core=7), 2).workers) == 3


def test_names_and_addresses_follow_the_group() -> None:
    peers = plan_swarm(config(core=3, edge=2), 2).peers
    assert [peer.name for peer in peers] == ["core-0", "core-1", "core-2", "edge-0", "edge-1"]
    assert [peer.address for peer in peers][3:] == ["127.0.0.1:21000", "127.0.0.1:21001"]


def test_more_peers_go_where_there_are_fewest() -> None:
    assert least_loaded(["a", "b"], ["a", "a", "a", "b"], 3) == ["b", "b", "a"]


def test_seeds_differ_between_parts_and_repeat_for_each() -> None:
    assert derived_seed(7, "core-1") == derived_seed(7, "core-1")
    assert len({derived_seed(seed, name) for seed in (1, 2) for name in ("core-1", "core-2")}) == 4


def roster(**counts: int) -> Roster:
    made = config(workers=2, **counts)
    return Roster(plan_swarm(made, 2), made.groups)


def test_more_peers_continue_the_groups_numbers_and_ports() -> None:
    book = roster(core=3)
    added = book.grow("core", 2)
    assert [(member.name, member.address) for member in added] == [
        ("core-3", "127.0.0.1:20003"),
        ("core-4", "127.0.0.1:20004"),
    ]
    assert len(book) == 5
    assert book.name_at("127.0.0.1:20004") == "core-4"


def test_growing_into_another_groups_ports_is_refused_and_changes_nothing() -> None:
    book = roster(core=999, edge=1)
    with pytest.raises(Misuse, match=r"core-1000 would get port 21000, which is edge-0's"):
        book.grow("core", 2)
    assert len(book) == 1000


def test_an_unknown_group_is_refused_by_name() -> None:
    with pytest.raises(Misuse, match="no group is called 'cor'"):
        roster(core=1).grow("cor", 1)


def test_a_dead_worker_takes_back_only_those_who_were_not_told_to_end() -> None:
    book = roster(core=6)
    book.mark(["core-0", "core-1", "core-2", "core-3"], State.JOINED)
    book.mark(["core-2"], State.KILLED)
    assert [member.name for member in book.lose("worker-0")] == ["core-0"]
    assert book["core-0"].state is State.LOST
    assert book["core-1"].state is State.JOINED
    assert book["core-2"].state is State.KILLED


def test_scaling_down_names_the_highest_numbers() -> None:
    book = roster(core=5)
    book.mark([member.name for member in book], State.JOINED)
    assert book.scale("core", 2).leave == ("core-2", "core-3", "core-4")


def test_scaling_up_brings_back_the_retired_but_never_the_killed() -> None:
    book = roster(core=5)
    book.mark(["core-0", "core-1"], State.JOINED)
    book.mark(["core-2", "core-3"], State.RETIRED)
    book.mark(["core-4"], State.KILLED)
    plan = book.scale("core", 5)
    assert (plan.leave, plan.back, plan.fresh) == ((), ("core-2", "core-3"), 1)


@given(st.integers(1, 30), st.integers(0, 40))
def test_scaling_always_reaches_the_count(before: int, wanted: int) -> None:
    book = roster(core=before)
    book.mark([member.name for member in book], State.JOINED)
    plan = book.scale("core", wanted)
    assert before - len(plan.leave) + len(plan.back) + plan.fresh == wanted
