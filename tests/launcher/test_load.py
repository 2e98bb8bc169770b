"""The load's plan repeats, and its account equals a naive count of what happened."""

from __future__ import annotations

import stat
from collections import Counter
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import RunLoad
from cicada.errors import Misuse, PayloadTooLarge, Unavailable
from cicada.ids import Address
from cicada.limits import LOAD, WIRE
from launcher.load.account import (
    MIN_PAYLOAD,
    Accountant,
    LoadPeer,
    LoadPlan,
    LoadShare,
    merge,
    plan_load,
    progress,
)
from launcher.load.ledger import OTHER_REASONS, Count, Ledger, Mark, ledger_bytes
from launcher.load.ledgerfile import LedgerFile

PEERS = tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(5))
BY_NAME = {peer.name: peer for peer in PEERS}


def plan(count: int = 20, *, seed: int = 1, payload: int = 64, run: int = 9) -> LoadPlan:
    command = RunLoad(rate=100.0, count=count, payload=payload, seed=seed)
    return plan_load(command, PEERS, run)


class Account(Accountant):
    """An account in memory; ``lives_on`` is another process that goes on with it."""

    def __init__(self, load: LoadPlan, buffer: bytearray | None = None) -> None:
        self._load = load
        self.buffer = bytearray(ledger_bytes(load.count)) if buffer is None else buffer
        self.ledger = Ledger(self.buffer, load.count)
        super().__init__(load, self.ledger)

    def lives_on(self) -> Account:
        return Account(self._load, self.buffer)


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
        plan_load(RunLoad(rate=1.0, payload=WIRE.max_message + 1), PEERS, 1)


def test_one_peer_alone_cannot_be_loaded() -> None:
    with pytest.raises(Misuse, match="two peers"):
        plan_load(RunLoad(rate=1.0), PEERS[:1], 1)


@pytest.mark.parametrize("size", [MIN_PAYLOAD, MIN_PAYLOAD + 1, 1000])
def test_payloads_have_the_asked_size_and_differ(size: int) -> None:
    small = plan(payload=size)
    payloads = [Account(small).payload_of(shot) for shot in small.shots()]
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
    accounts = [Account(load) for _ in range(workers)]
    arrivals: Counter[int] = Counter()
    acknowledged: set[int] = set()
    failed: set[int] = set()
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
                failed.add(number)
                account.failed(number, "timed out")
    for shot in shots:
        accounts[0].sent(shot, 0.0)
    result = merge(load, [account.ledger for account in accounts])
    assert (result.sent, result.planned) == (20, 20)
    assert result.delivered == len(arrivals)
    assert result.unfinished == 20 - len(acknowledged | failed)
    assert result.lost == len((acknowledged | failed) - set(arrivals))
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
    account = Account(load)
    payload = bytearray(account.payload_of(shot))
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    account.received(shot.target.name, shot.source.address, bytes(payload))
    assert merge(load, [account.ledger]).delivered == 0
    assert account.ledger[Count.ALTERED] + account.ledger[Count.FOREIGN] == 1


@given(st.binary(max_size=200))
def test_other_messages_are_foreign_or_altered_and_never_delivered(payload: bytes) -> None:
    account = Account(plan())
    account.received("core-0", PEERS[1].address, payload)
    account.received("core-0", PEERS[1].address, b"CLD1" + payload)
    ledger = account.ledger
    assert (ledger[Count.FOREIGN] + ledger[Count.ALTERED], ledger.marks(Mark.RECEIVED)) == (2, 0)


def test_a_late_message_of_an_earlier_load_is_foreign() -> None:
    earlier, now = plan(run=1), plan(run=2)
    shot = next(earlier.shots())
    account = Account(now)
    account.received(shot.target.name, shot.source.address, Account(earlier).payload_of(shot))
    ledger = account.ledger
    assert (ledger[Count.FOREIGN], ledger[Count.ALTERED], ledger.marks(Mark.RECEIVED)) == (1, 0, 0)


@given(
    st.lists(st.floats(0, 100, width=32), min_size=1, max_size=50), st.lists(st.integers(0, 30), min_size=1)
)
def test_percentiles_are_those_of_the_sorted_values_of_all_workers_within_a_thousandth(
    latencies: list[float], hops: list[int]
) -> None:
    load = plan()
    accounts = [Account(load), Account(load)]
    for index, latency in enumerate(latencies):
        accounts[index % 2].acknowledged(index % 20, hops=hops[index % len(hops)], latency=latency)
    result = merge(load, [account.ledger for account in accounts])
    ordered = sorted(latencies)
    walked = [hops[index % len(hops)] for index in range(len(latencies))]
    assert result.latency_max_s == ordered[-1]
    for found, share in ((result.latency_p50_s, 0.50), (result.latency_p99_s, 0.99)):
        assert found == pytest.approx(
            ordered[ceil(share * len(ordered)) - 1], rel=LOAD.latency_ratio - 1, abs=1e-6
        )
    assert result.hops_max == max(walked)
    assert result.hops_mean == pytest.approx(sum(walked) / len(walked))


def test_starts_far_behind_their_time_are_counted_as_late() -> None:
    account = Account(plan())
    shots = list(plan().shots())
    for shot, behind in zip(shots, (0.0, 0.05, 0.2, 2.0 - shots[3].at), strict=False):
        account.sent(shot, behind)
    result = merge(plan(), [account.ledger])
    assert (result.sent, result.late_starts, result.seconds, result.achieved_rate) == (4, 2, 2.0, 2.0)


def test_progress_counts_what_all_workers_sent_and_heard_of() -> None:
    load = plan()
    accounts = [Account(load), Account(load)]
    for shot in load.shots():
        accounts[shot.number % 2].sent(shot, 0.0)
    accounts[0].acknowledged(0, hops=1, latency=0.1)
    accounts[1].failed(1, "timed out")
    found = progress(load, [account.ledger for account in accounts], 1.5)
    assert (found.planned, found.sent, found.acknowledged, found.failed, found.seconds) == (20, 20, 1, 1, 1.5)


def test_what_was_acknowledged_and_died_unread_is_not_called_lost() -> None:
    load = plan()
    account = Account(load)
    shots = list(load.shots())
    for shot in shots:
        account.sent(shot, 0.0)
        account.acknowledged(shot.number, hops=1, latency=0.1)
    bereft = {shots[0].target.name: 10.5 / load.rate}
    died = sum(shot.target.name in bereft for shot in shots[:11])
    assert 0 < died < sum(shot.target.name in bereft for shot in shots)
    result = merge(load, [account.ledger], ("worker-1",), bereft)
    assert (result.died, result.died_with_worker) == (("worker-1",), died)
    assert (result.lost, result.acknowledged_lost) == (20 - died, 20 - died)


def test_what_a_dead_worker_received_counts_and_a_second_life_goes_on_with_its_account() -> None:
    load = plan()
    first = Account(load)
    shots = list(load.shots())
    for shot in shots[:2]:
        first.sent(shot, 0.0)
        first.acknowledged(shot.number, hops=1, latency=0.1)
        first.received(shot.target.name, shot.source.address, first.payload_of(shot))
    first.sent(shots[2], 0.0)
    first.failed(2, "timed out")
    second = first.lives_on()
    second.received(shots[1].target.name, shots[1].source.address, second.payload_of(shots[1]))
    second.failed(3, "timed out")
    second.failed(4, "closed")
    result = merge(load, [second.ledger], ("worker-1",), {shot.target.name: 1.0 for shot in shots})
    assert (result.sent, result.delivered, result.duplicated, result.died_with_worker) == (3, 2, 1, 0)
    assert (result.lost, result.failures) == (1, {"timed out": 2, "closed": 1})


def test_what_a_dead_worker_had_sent_without_word_is_unfinished_and_not_lost() -> None:
    load = plan()
    account = Account(load)
    for shot in list(load.shots())[:5]:
        account.sent(shot, 0.0)
    result = merge(load, [account.ledger], ("worker-1",), {"core-0": 1.0})
    assert (result.sent, result.unfinished, result.lost, result.planned) == (5, 5, 0, 20)


def test_more_reasons_than_are_kept_apart_are_counted_together() -> None:
    load = plan()
    account = Account(load)
    for number in range(LOAD.reasons + 5):
        account.failed(number % 20, f"reason {number} " + "x" * 200)
    failures = account.lives_on().ledger.failures()
    assert len(failures) == LOAD.reasons
    assert (failures.total(), failures[OTHER_REASONS]) == (LOAD.reasons + 5, 6)


def test_a_ledger_in_a_file_is_seen_by_whoever_maps_it_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    with LedgerFile.create(path, 100) as written, LedgerFile(path, 100) as read:
        written.ledger.mark(Mark.RECEIVED, 99)
        assert read.ledger.marks(Mark.RECEIVED) == 1 << 99
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_blocks * 512 >= ledger_bytes(100), "the disk could fill up under it"
    written.remove()
    assert not path.exists()


def test_a_ledger_that_cannot_be_kept_says_where_and_why(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"cannot be kept in {tmp_path}/none/a: No such file"):
        LedgerFile.create(tmp_path / "none" / "a", 10)
    (tmp_path / "short").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be opened"):
        LedgerFile(tmp_path / "short", 10)


def test_an_account_of_nothing_is_all_zeros() -> None:
    result = merge(plan(), [], ("worker-1",))
    assert result.died == ("worker-1",)
    assert (result.sent, result.delivered, result.lost, result.latency_p99_s, result.hops_max) == (
        0,
        0,
        0,
        0.0,
        0,
    )
