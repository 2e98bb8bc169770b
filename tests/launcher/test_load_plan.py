"""A load's plan repeats, each number means the same to everybody, and a worker walks through its own share only."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import RunLoad, Stage, Threshold
from cicada.errors import Misuse, PayloadTooLarge
from cicada.ids import Address
from cicada.limits import LOAD, WIRE
from launcher.load.pace import ClosedPace, OpenPace
from launcher.load.payloads import LEAST, read, write
from launcher.load.plan import LoadPeer, LoadShare
from launcher.load.schedule import Schedule
from launcher.load.spec import plan_load
from tests.launcher.load_cases import MIXED, PEERS, plan


def many(count: int) -> tuple[LoadPeer, ...]:
    return tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(count))


def test_the_same_seed_plans_the_same_operations_and_another_seed_others() -> None:
    assert list(plan(ops=MIXED).shots()) == list(plan(ops=MIXED).shots())
    assert list(plan(seed=2).shots()) != list(plan().shots())


def test_operations_begin_at_the_asked_rate_between_different_peers() -> None:
    shots = list(plan(count=500).shots())
    assert [shot.at for shot in shots] == [number / 100 for number in range(500)]
    assert all(shot.source != shot.target for shot in shots)
    assert {shot.source for shot in shots} == {shot.target for shot in shots} == set(range(5))


def test_every_pair_of_peers_is_about_equally_likely() -> None:
    pairs = Counter((shot.source, shot.target) for shot in plan(count=4000).shots())
    assert len(pairs) == 20
    assert 120 < min(pairs.values()) <= max(pairs.values()) < 300


@given(
    size=st.integers(2, 40),
    count=st.integers(1, 300),
    seed=st.integers(0, 2**63 - 1),
    cut=st.integers(0, 40),
)
def test_the_shares_of_the_workers_are_the_whole_load_and_do_not_overlap(
    size: int, count: int, seed: int, cut: int
) -> None:
    whole = plan(count=count, peers=many(size), seed=seed)
    names = [peer.name for peer in whole.peers]
    shares = [LoadShare(plan=whole, sources=tuple(part)) for part in (names[:cut], names[cut:])]
    shots = [list(share.shots()) for share in shares]
    assert all(earlier.number < later.number for part in shots for earlier, later in pairwise(part))
    assert sorted((shot for part in shots for shot in part), key=lambda s: s.number) == list(whole.shots())


@given(st.integers(2, 20), st.integers(1, 200), st.integers(0, 220), st.integers(0, 2**32))
def test_a_share_goes_on_from_any_number(size: int, count: int, first: int, seed: int) -> None:
    share = LoadShare(plan=plan(count=count, peers=many(size), seed=seed), sources=("core-0", "core-1"))
    assert list(share.shots(first)) == [shot for shot in share.shots() if shot.number >= first]
    pace = OpenPace(share)
    pace.skip(first / 100)
    later = [shot.at for shot in share.shots() if shot.at >= first / 100]
    assert pace.next_at() == (later[0] if later else None)


def test_each_peer_begins_one_of_as_many_operations_as_there_are_peers() -> None:
    sources = [shot.source for shot in plan(count=200, peers=many(20)).shots()]
    assert all(len(set(sources[start : start + 20])) == 20 for start in range(0, 200, 20))
    assert sources[:20] != sources[20:40]


def test_operations_are_of_each_kind_in_their_shares_and_numbered_within_it() -> None:
    load = plan(count=3000, ops=MIXED)
    shots = list(load.shots())
    kinds = Counter(shot.op for shot in shots)
    assert {op: round(100 * times / 3000) for op, times in kinds.items()} == MIXED
    for op, times in kinds.items():
        numbers = [shot.number for shot in shots if shot.op == op]
        assert [shot.rank for shot in shots if shot.op == op] == list(range(times))
        assert load.draws.of_kind(op) == times
        assert [load.draws.number_of(op, rank) for rank in range(times)] == numbers


def test_a_kind_of_little_weight_is_not_left_out() -> None:
    assert Counter(shot.op for shot in plan(count=LOAD.cycle, ops={"send": 1e6, "lookup": 1.0}).shots()) == {
        "send": LOAD.cycle - 1,
        "lookup": 1,
    }


@pytest.mark.parametrize("skew", [0.8, 1.2])
def test_zipf_draws_peers_by_the_power_of_their_rank(skew: float) -> None:
    load = plan(count=40_000, peers=many(10), targets="zipf", skew=skew)
    drawn = [times for _, times in Counter(shot.target for shot in load.shots()).most_common()]
    weights = [rank**-skew for rank in range(1, 11)]
    # A source never draws itself, so the most popular one is a little rarer than the law says
    expected = [
        sum(weights[r] / (sum(weights) - weights[s]) for s in range(10) if s != r) / 10 for r in range(10)
    ]
    assert [times / 40_000 for times in drawn] == pytest.approx(expected, rel=0.12)
    assert all(shot.target != shot.source for shot in load.shots())


def test_payloads_have_any_size_of_the_asked_range_and_differ() -> None:
    load = plan(count=500, payload=60, payload_max=70)
    payloads = [write(load, shot) for shot in load.shots()]
    assert {len(payload) for payload in payloads} == set(range(60, 71))
    assert len(set(payloads)) == 500


@pytest.mark.parametrize("size", [LEAST, LEAST + 1, 1000])
def test_a_payload_says_which_operation_it_is(size: int) -> None:
    load = plan(payload=size)
    for shot in load.shots():
        letter = read(write(load, shot))
        assert letter is not None
        assert (letter.run, letter.number, letter.source, letter.target, letter.at) == (
            *(9, shot.number, shot.source, shot.target),
            shot.at,
        )


def test_the_least_payload_of_the_limits_is_that_of_the_format() -> None:
    assert LOAD.least_payload == LEAST <= RunLoad().payload


STAGES = st.lists(
    st.builds(
        Stage,
        st.floats(0.5, 20),
        st.sampled_from([0.0, 5.0, 40.0, 200.0]),
        st.sampled_from([5.0, 40.0, 90.0]),
    ),
    min_size=1,
    max_size=5,
)


@given(STAGES)
def test_operation_n_begins_when_the_integral_of_the_rate_is_n(stages: list[Stage]) -> None:
    schedule = Schedule(stages)
    times = [schedule.at(number) for number in range(int(schedule.total))]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert all(0 <= at <= sum(stage.seconds for stage in stages) + 1e-9 for at in times)
    for number, at in list(enumerate(times))[:: max(1, len(times) // 20)]:
        assert schedule.begun(at) == pytest.approx(number, abs=1e-6 * (1 + number))
        assert schedule.first_from(at) <= number


def test_nothing_begins_in_a_stage_without_a_rate() -> None:
    schedule = Schedule([Stage(1.0, 10.0, 10.0), Stage(5.0, 0.0, 0.0), Stage(1.0, 10.0, 10.0)])
    assert schedule.total == 20
    assert (schedule.at(9), schedule.at(10), schedule.at(11)) == (0.9, 6.0, 6.1)


def test_a_duration_is_as_many_operations_as_the_rate_makes_of_it() -> None:
    load = plan_load(RunLoad(rate=50.0, duration=2.0), PEERS, 1)
    assert (load.count, load.duration) == (100, 2.0)


def test_a_ramp_is_half_of_what_its_end_would_be() -> None:
    assert plan(stages=(Stage(10.0, 0.0, 100.0),)).count == 500


def test_an_open_load_gives_each_operation_out_when_it_is_due_whatever_becomes_of_others() -> None:
    load = plan(count=4)
    pace = OpenPace(LoadShare(plan=load, sources=tuple(peer.name for peer in PEERS)))
    assert pace.take(-0.1) is None
    due = [pace.take(0.02) for _ in range(4)]
    assert [None if shot is None else shot.number for shot in due] == [0, 1, 2, None]
    assert (pace.next_at(), pace.is_over) == (0.03, False)
    pace.stop()
    assert (pace.next_at(), pace.take(9.0), pace.is_over) == (None, None, True)


@given(
    users=st.integers(1, 12),
    think=st.sampled_from([0.0, 0.5]),
    took=st.lists(st.floats(0.01, 2.0), min_size=1, max_size=40),
)
def test_a_user_of_a_closed_load_has_one_operation_in_flight_and_thinks_before_the_next(
    users: int, think: float, took: list[float]
) -> None:
    load = plan(count=0, model="closed", users=users, think=think, duration=10.0)
    pace = ClosedPace(LoadShare(plan=load, sources=tuple(peer.name for peer in PEERS)))
    flying: dict[int, float] = {}
    ended: dict[int, float] = {}
    now = 0.0
    for duration in took * 5:
        while (shot := pace.take(now)) is not None:
            user = shot.number % users
            assert user not in {number % users for number in flying}
            assert shot.at == now >= ended.get(user, 0.0) + (think if user in ended else 0.0)
            flying[shot.number] = now + duration
        times = [*flying.values(), *([] if pace.next_at() is None else [pace.next_at() or 0.0])]
        if not times:
            break
        now = max(now, min(times))
        for number in [number for number, end in flying.items() if end <= now]:
            del flying[number]
            ended[number % users] = now
            pace.ended(number, now)
    if now >= 10.0:
        assert pace.take(now) is None
        assert pace.is_over == (not flying)


def first_users(pace: ClosedPace) -> set[int]:
    users = set()
    while (shot := pace.take(0.0)) is not None:
        users.add(shot.number)
    return users


def test_the_users_of_a_closed_load_are_spread_over_the_workers() -> None:
    load = plan(count=40, model="closed", users=10)
    shares = [
        LoadShare(plan=load, sources=names)
        for names in (("core-0", "core-3"), ("core-1", "core-2", "core-4"))
    ]
    users = [first_users(ClosedPace(share)) for share in shares]
    assert users[0] | users[1] == set(range(10))
    assert not users[0] & users[1]
    assert sorted(len(part) for part in users) == [4, 6]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (RunLoad(rate=0.0), "rate"),
        (RunLoad(rate=float("inf")), "rate"),
        (RunLoad(rate=float("nan")), "rate"),
        (RunLoad(rate=1.0, count=0), "0 messages"),
        (RunLoad(rate=1e6, count=10**8), "messages"),
        (RunLoad(rate=1.0, count=1, duration=1.0), "not both"),
        (RunLoad(rate=1.0, duration=0.0), "0 messages"),
        (RunLoad(rate=1.0, payload=LEAST - 1), f"at least {LEAST}"),
        (RunLoad(rate=1.0, payload=100, payload_max=90), "the first must be the smaller"),
        (RunLoad(rate=1.0, timeout=0.0), "time-out"),
        (RunLoad(rate=1.0, users=3), "closed model"),
        (RunLoad(model="closed", rate=1.0), "has no rate"),
        (RunLoad(model="closed", users=0), "0 users"),
        (RunLoad(model="shut"), "no model 'shut'"),
        (RunLoad(ops={"sned": 1.0}), "no operation 'sned'"),
        (RunLoad(ops={"send": 0.0}), "one of them above 0"),
        (RunLoad(rate=1.0, stages=(Stage(1.0, 1.0, 1.0),)), "no other rate"),
        (RunLoad(stages=(Stage(0.0, 1.0, 1.0),)), "stage 1"),
        (RunLoad(rate=1.0, duration=5.0, warmup=5.0), "nothing would be left"),
        (RunLoad(targets="pareto"), "targets 'pareto'"),
        (RunLoad(duplicates=99), "99 duplicates"),
        (RunLoad(thresholds=(Threshold("send.p99 < 5"),)), "a time, as 50ms"),
        (RunLoad(rate=1000.0, duration=5000.0, ops={"broadcast": 1.0}), "MiB"),
    ],
)
def test_a_load_that_cannot_be_carried_out_is_refused(command: RunLoad, problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        plan_load(command, many(1000), 1)


def test_all_that_is_wrong_with_a_load_is_said_at_once() -> None:
    with pytest.raises(Misuse, match=r"the rate.*at least 52.*time-out"):
        plan_load(RunLoad(rate=0.0, payload=1, timeout=0.0), PEERS, 1)


def test_a_payload_beyond_one_message_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        plan_load(RunLoad(rate=1.0, payload=WIRE.max_message + 1), PEERS, 1)
    with pytest.raises(PayloadTooLarge):
        plan_load(RunLoad(rate=1.0, payload=WIRE.max_payload + 1, ops={"broadcast": 1.0}), PEERS, 1)


def test_one_peer_alone_cannot_be_loaded() -> None:
    with pytest.raises(Misuse, match="two peers"):
        plan_load(RunLoad(rate=1.0), PEERS[:1], 1)
