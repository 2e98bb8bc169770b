"""The load's plan repeats, and its account equals a naive count of what happened."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import RunLoad
from cicada.errors import Misuse, PayloadTooLarge
from cicada.ids import Address
from launcher.load import MIN_PAYLOAD, Accountant, LoadPeer, LoadPlan, LoadShare, merge, plan_load

PEERS = tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(5))
BY_NAME = {peer.name: peer for peer in PEERS}


def plan(count: int = 20, *, seed: int = 1, payload: int = 64, run: int = 9) -> LoadPlan:
    command = RunLoad(rate=100.0, count=count, payload=payload, seed=seed)
    return plan_load(command, PEERS, run)


def test_the_same_seed_plans_the_same_messages_and_another_seed_others() -> None:
    assert list(plan().shots()) == list(plan().shots())
    assert list(plan(seed=2).shots()) != list(plan().shots())


def test_messages_leave_at_the_asked_rate_between_different_peers() -> None:
    shots = list(plan(count=500).shots())
    assert [shot.at for shot in shots] == [number / 100 for number in range(500)]
    assert all(shot.source != shot.target for shot in shots)
    assert {shot.source for shot in shots} == {shot.target for shot in shots} == set(PEERS)


def test_every_pair_of_peers_is_about_equally_likely() -> None:
    pairs = Counter((shot.source.name, shot.target.name) for shot in plan(count=4000).shots())
    assert len(pairs) == 20
    assert 120 < min(pairs.values()) <= max(pairs.values()) < 300


def test_the_shares_of_the_workers_are_the_whole_load_and_do_not_overlap() -> None:
    whole = plan(count=200)
    shares = [
        LoadShare(plan=whole, sources=names)
        for names in (("core-0", "core-3"), ("core-1", "core-2", "core-4"))
    ]
    sent = sorted((shot for share in shares for shot in share.shots()), key=lambda shot: shot.number)
    assert sent == list(whole.shots())


def test_a_duration_is_as_many_messages_as_the_rate_makes_of_it() -> None:
    planned = plan_load(RunLoad(rate=50.0, duration=2.0), PEERS, 1)
    assert (planned.count, planned.duration) == (100, 99 / 50)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (RunLoad(rate=0.0), "rate"),
        (RunLoad(rate=float("inf")), "rate"),
        (RunLoad(rate=float("nan")), "rate"),
        (RunLoad(rate=1.0, count=0), "0 messages"),
        (RunLoad(rate=1.0, count=10**8), "messages"),
        (RunLoad(rate=1.0, count=1, duration=1.0), "not both"),
        (RunLoad(rate=1.0, duration=0.0), "0 messages"),
        (RunLoad(rate=1.0, payload=MIN_PAYLOAD - 1), f"at least {MIN_PAYLOAD}"),
        (RunLoad(rate=1.0, timeout=0.0), "time-out"),
    ],
)
def test_a_load_that_cannot_be_carried_out_is_refused(command: RunLoad, problem: str) -> None:
    with pytest.raises(Misuse, match=problem):
        plan_load(command, PEERS, 1)


def test_a_payload_beyond_one_message_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        plan_load(RunLoad(rate=1.0, payload=10**6), PEERS, 1)


def test_one_peer_alone_cannot_be_loaded() -> None:
    with pytest.raises(Misuse, match="two peers"):
        plan_load(RunLoad(rate=1.0), PEERS[:1], 1)


@pytest.mark.parametrize("size", [MIN_PAYLOAD, MIN_PAYLOAD + 1, 1000])
def test_payloads_have_the_asked_size_and_differ(size: int) -> None:
    small = plan(payload=size)
    payloads = [Accountant(small).payload_of(shot) for shot in small.shots()]
    assert {len(payload) for payload in payloads} == {size}
    assert len(set(payloads)) == small.count


def test_the_smallest_default_payload_is_large_enough() -> None:
    assert RunLoad(rate=1.0).payload >= MIN_PAYLOAD


FATES = st.lists(
    st.tuples(
        st.integers(0, 19), st.sampled_from(["deliver", "alter", "misdeliver", "missource", "ack", "fail"])
    ),
    max_size=60,
)


@given(FATES, st.integers(1, 3))
def test_the_account_equals_a_naive_count(fates: list[tuple[int, str]], workers: int) -> None:
    load = plan()
    shots = list(load.shots())
    accounts = [Accountant(load) for _ in range(workers)]
    arrivals: Counter[int] = Counter()
    acknowledged: set[int] = set()
    count: Counter[str] = Counter()
    for number, fate in fates:
        shot = shots[number]
        # Peers move between workers when one dies, so the same message may be seen at two
        account = accounts[(number + arrivals[number]) % workers]
        payload = bytearray(account.payload_of(shot))
        count[fate] += 1
        match fate:
            case "deliver":
                arrivals[number] += 1
                account.received(shot.target.name, shot.source.address, bytes(payload))
            case "alter":
                payload[4 + number % (len(payload) - 4)] ^= 1 << number % 8
                account.received(shot.target.name, shot.source.address, bytes(payload))
            case "misdeliver":
                account.received(shot.source.name, shot.source.address, bytes(payload))
            case "missource":
                account.received(shot.target.name, shot.target.address, bytes(payload))
            case "ack":
                acknowledged.add(number)
                account.acknowledged(number, hops=number, latency=0.5)
            case _:
                account.failed("timed out")
    for _ in shots:
        accounts[0].sent(0.0)
    result = merge(load, [account.part(1.0) for account in accounts])
    assert result.sent == 20
    assert result.delivered == len(arrivals)
    assert result.lost == 20 - len(arrivals)
    assert result.duplicated == arrivals.total() - len(arrivals)
    assert result.altered == count["alter"] + count["missource"]
    assert result.wrong_peer == count["misdeliver"]
    assert result.acknowledged == len(acknowledged)
    assert result.acknowledged_lost == len(acknowledged - set(arrivals))
    assert result.failures == ({"timed out": count["fail"]} if count["fail"] else {})


@given(st.integers(0, 19), st.data())
def test_no_changed_bit_of_a_payload_passes_as_intact(number: int, data: st.DataObject) -> None:
    load = plan()
    shot = list(load.shots())[number]
    account = Accountant(load)
    payload = bytearray(account.payload_of(shot))
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    account.received(shot.target.name, shot.source.address, bytes(payload))
    part = account.part(1.0)
    assert merge(load, [part]).delivered == 0
    assert part.altered + part.foreign == 1


@given(st.binary(max_size=200))
def test_other_messages_are_foreign_or_altered_and_never_delivered(payload: bytes) -> None:
    account = Accountant(plan())
    account.received("core-0", PEERS[1].address, payload)
    account.received("core-0", PEERS[1].address, b"CLD1" + payload)
    part = account.part(1.0)
    assert (part.foreign + part.altered, set(part.received)) == (2, {0})


def test_a_late_message_of_an_earlier_load_is_foreign() -> None:
    earlier, now = plan(run=1), plan(run=2)
    shot = next(earlier.shots())
    account = Accountant(now)
    account.received(shot.target.name, shot.source.address, Accountant(earlier).payload_of(shot))
    part = account.part(1.0)
    assert (part.foreign, part.altered, set(part.received)) == (1, 0, {0})


@given(
    st.lists(st.floats(0, 100, width=32), min_size=1, max_size=50), st.lists(st.integers(0, 30), min_size=1)
)
def test_percentiles_are_those_of_the_sorted_values_of_all_workers(
    latencies: list[float], hops: list[int]
) -> None:
    load = plan()
    accounts = [Accountant(load), Accountant(load)]
    for index, latency in enumerate(latencies):
        accounts[index % 2].acknowledged(index % 20, hops=hops[index % len(hops)], latency=latency)
    result = merge(load, [account.part(2.0) for account in accounts])
    ordered = sorted(latencies)
    walked = [hops[index % len(hops)] for index in range(len(latencies))]
    assert result.latency_max_s == ordered[-1]
    assert sum(value <= result.latency_p50_s for value in ordered) >= len(ordered) / 2
    assert sum(value < result.latency_p50_s for value in ordered) < len(ordered) / 2
    assert sum(value <= result.latency_p99_s for value in ordered) >= len(ordered) * 0.99
    assert result.hops_max == max(walked)
    assert result.hops_mean == pytest.approx(sum(walked) / len(walked))


def test_starts_far_behind_their_time_are_counted_as_late() -> None:
    account = Accountant(plan())
    for behind in (0.0, 0.05, 0.2, 3.0):
        account.sent(behind)
    result = merge(plan(), [account.part(2.0)])
    assert (result.sent, result.late_starts, result.achieved_rate) == (4, 2, 2.0)


def test_an_account_of_nothing_is_all_zeros() -> None:
    result = merge(plan(), [], ("worker-1",))
    assert result.missing == ("worker-1",)
    assert (result.sent, result.delivered, result.lost, result.latency_p99_s, result.hops_max) == (
        0,
        0,
        0,
        0.0,
        0,
    )
