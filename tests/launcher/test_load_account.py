"""The account of a load equals a naive count of what happened."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import LoadResult
from cicada.errors import Unavailable
from cicada.ids import Address, peer_at
from cicada.limits import LOAD
from cicada.routing.io import Fate
from launcher.load.figures import Figures
from launcher.load.ledger import OTHER_REASONS, Count, Layout, Mark
from launcher.load.ledgerfile import LedgerFile
from launcher.load.membership import Membership
from launcher.load.merge import Ending, add_up, bits, result
from launcher.load.payloads import place_sought, write
from launcher.load.plan import LoadPeer, LoadPlan, Shot
from tests.launcher.load_cases import MIXED, PEERS, Account, plan


def everybody() -> Membership:
    """All peers are in the ring all the time."""
    membership = Membership()
    membership.note(0.0, [peer.address for peer in PEERS])
    return membership


def figures(
    load: LoadPlan,
    accounts: list[Account],
    bereft: dict[str, float] | None = None,
    membership: Membership | None = None,
) -> Figures:
    return add_up(load, [account.ledger for account in accounts], membership or everybody(), bereft)


def acknowledge(account: Account, shot: Shot, *, hops: int, latency: float) -> None:
    account.succeeded(shot, began=shot.at, ended=shot.at + latency)
    account.crossed(shot, hops)


def deliver(account: Account, load: LoadPlan, shot: Shot) -> None:
    account.received(PEERS[shot.target].name, PEERS[shot.source].address, write(load, shot))


def added(
    load: LoadPlan,
    accounts: list[Account],
    died: tuple[str, ...] = (),
    bereft: dict[str, float] | None = None,
) -> LoadResult:
    return result(load, figures(load, accounts, bereft), Ending(died=died))


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
        payload = bytearray(write(load, shot))
        count[fate] += 1
        match fate:
            case "deliver":
                arrivals[number] += 1
                account.received(PEERS[shot.target].name, PEERS[shot.source].address, bytes(payload))
            case "alter":
                payload[4 + number % (len(payload) - 4)] ^= 1 << number % 8
                account.received(PEERS[shot.target].name, PEERS[shot.source].address, bytes(payload))
            case "misdeliver":
                account.received(PEERS[shot.source].name, PEERS[shot.source].address, bytes(payload))
            case "missource":
                account.received(PEERS[shot.target].name, PEERS[shot.target].address, bytes(payload))
            case "ack":
                acknowledged.add(number)
                acknowledge(account, shot, hops=number, latency=0.5)
            case _:
                failed.add(number)
                account.failed(shot, "timed out")
    for shot in shots:
        accounts[0].started(shot, 0.0)
    total = added(load, accounts)
    assert (total.sent, total.planned) == (20, 20)
    assert total.delivered == len(arrivals)
    assert total.unfinished == 20 - len(acknowledged | failed)
    assert total.lost == len((acknowledged | failed) - set(arrivals))
    assert total.duplicated == arrivals.total() - len(arrivals)
    assert total.altered == count["alter"] + count["missource"]
    assert total.wrong_peer == count["misdeliver"]
    assert total.acknowledged == len(acknowledged)
    assert total.acknowledged_lost == len(acknowledged - set(arrivals))
    assert total.failures == ({"timed out": count["fail"]} if count["fail"] else {})


@given(st.integers(0, 19), st.data())
def test_no_changed_bit_of_a_payload_passes_as_intact(number: int, data: st.DataObject) -> None:
    load = plan()
    shot = load.shot(number)
    account = Account(load)
    payload = bytearray(write(load, shot))
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    account.received(PEERS[shot.target].name, PEERS[shot.source].address, bytes(payload))
    assert added(load, [account]).delivered == 0
    assert account.ledger.main[Count.ALTERED] + account.ledger.main[Count.FOREIGN] == 1


@given(st.binary(max_size=200))
def test_other_messages_are_foreign_or_altered_and_never_delivered(payload: bytes) -> None:
    account = Account(plan(ops=MIXED))
    account.received("core-0", PEERS[1].address, payload)
    account.received("core-0", PEERS[1].address, b"CLD1" + payload)
    account.heard("core-0", PEERS[1].address, payload, 1.0)
    bank = account.ledger.main
    assert (bank[Count.FOREIGN] + bank[Count.ALTERED], account.ledger.marks(Mark.RECEIVED)) == (3, 0)


def test_a_late_message_of_an_earlier_load_is_foreign() -> None:
    earlier, now = plan(run=1), plan(run=2)
    account = Account(now)
    deliver(account, earlier, earlier.shot(0))
    bank = account.ledger.main
    assert (bank[Count.FOREIGN], bank[Count.ALTERED], account.ledger.marks(Mark.RECEIVED)) == (1, 0, 0)


@given(
    st.lists(st.floats(0, 100, width=32), min_size=1, max_size=50), st.lists(st.integers(0, 15), min_size=1)
)
def test_percentiles_are_those_of_the_sorted_values_of_all_workers_within_a_thousandth(
    latencies: list[float], hops: list[int]
) -> None:
    load = plan()
    accounts = [Account(load), Account(load)]
    for index, latency in enumerate(latencies):
        shot = load.shot(index % 20)
        acknowledge(accounts[index % 2], shot, hops=hops[index % len(hops)], latency=latency)
    total = added(load, accounts)
    ordered = sorted(latencies)
    walked = [hops[index % len(hops)] for index in range(len(latencies))]
    for found, share in (
        (total.latency_p50_s, 0.50),
        (total.latency_p99_s, 0.99),
        (total.latency_max_s, 1.0),
    ):
        assert found == pytest.approx(ordered[ceil(share * len(ordered)) - 1], rel=1e-3, abs=2e-6)
    assert total.hops_max == max(walked)
    assert total.hops_mean == pytest.approx(sum(walked) / len(walked))


def test_response_counts_from_the_intended_start_and_service_from_the_actual_one() -> None:
    load = plan()
    account = Account(load)
    shot = load.shot(5)
    account.succeeded(shot, began=shot.at + 0.9, ended=shot.at + 1.0)
    (send,) = added(load, [account]).ops
    assert send.response.max == pytest.approx(1.0, rel=1e-3)
    assert send.service.max == pytest.approx(0.1, rel=1e-3)


def test_starts_far_behind_their_time_are_counted_as_late() -> None:
    account = Account(plan())
    shots = list(plan().shots())
    for shot, behind in zip(shots, (0.0, 0.05, 0.2, 2.0 - shots[3].at), strict=False):
        account.started(shot, behind)
    total = added(plan(), [account])
    assert (total.sent, total.late_starts, total.seconds, total.achieved_rate) == (4, 2, 2.0, 2.0)


def test_what_begins_in_the_warm_up_is_in_no_figure() -> None:
    load = plan(ops=MIXED, count=200, warmup=1.0)
    account = Account(load)
    for shot in load.shots():
        account.started(shot, 0.5)
        if shot.op == "send":
            acknowledge(account, shot, hops=1, latency=0.1)
            account.copy(shot.at, Fate.INTACT)
            deliver(account, load, shot)
    total = added(load, [account])
    sends = sum(shot.op == "send" and shot.at >= 1.0 for shot in load.shots())
    assert (total.planned, sum(op.started for op in total.ops), total.late_starts) == (100, 100, 100)
    assert total.sent == total.delivered == total.acknowledged == total.copies["intact"] == sends
    assert total.seconds == pytest.approx(200 / 100 - 0.01 + 0.5 - 1.0)


def test_a_message_that_comes_after_a_later_one_of_its_pair_is_out_of_order() -> None:
    load = plan(count=200)
    account = Account(load)
    first = load.shot(0)
    pair = [shot for shot in load.shots() if (shot.source, shot.target) == (first.source, first.target)][:4]
    for shot in (pair[0], pair[2], pair[1], pair[3]):
        deliver(account, load, shot)
    others = [shot for shot in load.shots() if shot.source != first.source][:3]
    for shot in others:
        deliver(account, load, shot)
    assert added(load, [account]).out_of_order == 1


def test_a_broadcast_reaches_the_share_of_others_that_got_it_and_repeats_are_counted() -> None:
    load = plan(ops={"broadcast": 1.0}, count=2)
    here, there = Account(load), Account(load)
    shots = list(load.shots())
    for shot in shots:
        here.started(shot, 0.0)
    others = [peer for index, peer in enumerate(PEERS) if index != shots[0].source]
    origin = PEERS[shots[0].source].address
    for peer in others:
        there.heard(peer.name, origin, write(load, shots[0]), shots[0].at + 0.25)
    there.heard(others[0].name, origin, write(load, shots[0]), 1.0)
    there.heard("late-0", origin, write(load, shots[0]), 1.0)
    found = figures(load, [here, there]).broadcasts
    assert found == {
        "sent": 2,
        "reached": 4,
        "expected": 8,
        "complete": 1,
        "duplicated": 1,
        **dict.fromkeys(
            ("spread_p50_us", "spread_p99_us", "spread_max_us"), pytest.approx(250_000, rel=1e-3)
        ),
    }


def test_nobody_expects_a_broadcast_to_reach_who_was_not_in_the_ring_all_the_time() -> None:
    load = plan(ops={"broadcast": 1.0}, count=1, timeout=5.0)
    account = Account(load)
    shot = load.shot(0)
    account.started(shot, 0.0)
    gone = (shot.source + 1) % 5
    membership = everybody()
    membership.note(4.0, [peer.address for index, peer in enumerate(PEERS) if index != gone])
    assert figures(load, [account], membership=membership).broadcasts["expected"] == 3


def owner_of(place: int) -> int:
    places = sorted(peer_at(peer.address).place >> 192 for peer in PEERS)
    return next((candidate for candidate in places if candidate >= place), places[0])


def test_a_lookup_is_right_when_it_found_the_owner_and_nobody_came_or_went() -> None:
    load = plan(ops={"lookup": 1.0}, count=3)
    account = Account(load)
    for shot in load.shots():
        account.started(shot, 0.0)
        owner = owner_of(int.from_bytes(place_sought(load, shot.rank)[:8], "big"))
        account.found(shot, owner=owner + (shot.rank == 1), began=shot.at, ended=shot.at + 0.1)
        account.succeeded(shot, began=shot.at, ended=shot.at + 0.1)
    assert figures(load, [account]).lookups == {"right": 2, "wrong": 1, "unsure": 0, "failed": 0}
    changing = everybody()
    changing.note(0.3, [peer.address for peer in PEERS[:4]])
    assert figures(load, [account], membership=changing).lookups["unsure"] == 3


LOOKS = st.lists(st.frozensets(st.sampled_from([peer.address for peer in PEERS])), min_size=1, max_size=8)


@given(LOOKS, st.floats(0, 10), st.floats(0, 5))
def test_who_stayed_in_the_ring_was_seen_there_at_every_look_about_that_time(
    looks: list[frozenset[Address]], start: float, length: float
) -> None:
    membership = Membership()
    for second, ring in enumerate(looks):
        membership.note(float(second), ring)
    end = start + length
    last = len(looks) - 1
    # A ring seen at second s was there since some time after the look before, and until some time before the next one
    touching = [
        ring
        for second, ring in enumerate(looks)
        if second <= end + LOAD.membership and (second == last or second + 1 > start)
    ]
    assert membership.stayed(start, end) == frozenset.intersection(*touching)


def test_what_did_not_arrive_at_peers_that_were_out_of_the_ring_is_told_apart() -> None:
    load = plan(count=100)
    account = Account(load)
    gone = 2
    membership = everybody()
    membership.note(0.5, [peer.address for index, peer in enumerate(PEERS) if index != gone])
    for shot in load.shots():
        account.started(shot, 0.0)
        if shot.target == gone:
            account.failed(shot, "timed out")
        else:
            acknowledge(account, shot, hops=1, latency=0.1)
            deliver(account, load, shot)
    total = result(load, figures(load, [account], membership=membership), Ending())
    assert total.lost == total.failed == total.to_absent == sum(shot.target == gone for shot in load.shots())


def test_what_was_acknowledged_and_died_unread_is_not_called_lost() -> None:
    load = plan()
    account = Account(load)
    shots = list(load.shots())
    for shot in shots:
        account.started(shot, 0.0)
        acknowledge(account, shot, hops=1, latency=0.1)
    target = shots[-1].target
    bereft = {PEERS[target].name: 0.185}
    died = sum(shot.target == target for shot in shots[:19])
    assert 0 < died < sum(shot.target == target for shot in shots)
    total = added(load, [account], ("worker-1",), bereft)
    assert (total.died, total.died_with_worker) == (("worker-1",), died)
    assert (total.lost, total.acknowledged_lost) == (20 - died, 20 - died)


def test_what_a_dead_worker_received_counts_and_a_second_life_goes_on_with_its_account() -> None:
    load = plan()
    first = Account(load)
    shots = list(load.shots())
    for shot in shots[:2]:
        first.started(shot, 0.0)
        acknowledge(first, shot, hops=1, latency=0.1)
        deliver(first, load, shot)
    first.started(shots[2], 0.0)
    first.failed(shots[2], "timed out")
    second = first.lives_on()
    deliver(second, load, shots[1])
    second.failed(shots[3], "timed out")
    second.failed(shots[4], "closed")
    total = added(load, [second], ("worker-1",), {peer.name: 1.0 for peer in PEERS})
    assert (total.sent, total.delivered, total.duplicated, total.died_with_worker) == (3, 2, 1, 0)
    assert (total.lost, total.failures) == (1, {"timed out": 2, "closed": 1})


def test_what_a_dead_worker_had_sent_without_word_is_unfinished_and_not_lost() -> None:
    load = plan()
    account = Account(load)
    for shot in list(load.shots())[:5]:
        account.started(shot, 0.0)
    total = added(load, [account], ("worker-1",), {"core-0": 1.0})
    assert (total.sent, total.unfinished, total.lost, total.planned) == (5, 5, 0, 20)


def test_sends_are_counted_by_the_group_of_their_target() -> None:
    peers = (*PEERS[:3], LoadPeer("edge-0", PEERS[3].address), LoadPeer("edge-1", PEERS[4].address))
    load = plan(count=100, peers=peers)
    account = Account(load)
    expected = {"core": [0, 0], "edge": [0, 0]}
    for shot in load.shots():
        account.started(shot, 0.0)
        group = peers[shot.target].name.partition("-")[0]
        if shot.number % 3:
            acknowledge(account, shot, hops=1, latency=0.1)
        else:
            account.failed(shot, "timed out")
        expected[group][shot.number % 3 == 0] += 1
    groups = figures(load, [account.lives_on()]).groups
    assert {name: list(counts) for name, counts in groups.items()} == expected


def test_operations_that_never_began_are_counted_by_reason() -> None:
    load = plan(ops=MIXED, count=50)
    account = Account(load)
    for shot in load.shots():
        account.dropped(shot, "no room" if shot.op == "send" else "no source")
    total = added(load, [account])
    assert sum(op.dropped for op in total.ops) == 50
    assert {op.op: set(op.drops) for op in total.ops if op.dropped} == {
        op: {"no room" if op == "send" else "no source"} for op in {shot.op for shot in load.shots()}
    }


def test_more_reasons_than_are_kept_apart_are_counted_together() -> None:
    load = plan()
    account = Account(load)
    for number in range(LOAD.reasons + 5):
        account.failed(load.shot(number % 20), f"reason {number} " + "x" * 200)
    failures = account.lives_on().ledger.main.ops["send"].failures()
    assert len(failures) == LOAD.reasons
    assert (failures.total(), failures[OTHER_REASONS]) == (LOAD.reasons + 5, 6)


@given(st.sets(st.integers(0, 300)))
def test_the_bits_of_a_number_are_those_that_were_set(numbers: set[int]) -> None:
    assert list(bits(sum(1 << number for number in numbers))) == sorted(numbers)


@given(st.sets(st.tuples(st.integers(0, 39), st.integers(0, 4))), st.sets(st.integers(0, 39)))
def test_only_what_was_written_is_read_of_broadcasts_and_lookups(
    arrivals: set[tuple[int, int]], looked: set[int]
) -> None:
    broadcasts = Account(plan(ops={"broadcast": 1.0}, count=40)).ledger
    for rank, peer in arrivals:
        assert broadcasts.reach(rank, peer)
        assert not broadcasts.reach(rank, peer)
    assert list(broadcasts.begun_broadcasts()) == sorted({rank for rank, _ in arrivals})
    found = {(rank, peer) for rank in range(40) for peer in range(5) if broadcasts.reached(rank) >> peer & 1}
    assert found == arrivals
    lookups = Account(plan(ops={"lookup": 1.0}, count=40)).ledger
    for rank in looked:
        lookups.looked_up(rank, rank, 1.0, 2.0)
    assert [(found.rank, found.owner) for found in lookups.lookups()] == [(r, r) for r in sorted(looked)]


def test_a_ledger_in_a_file_is_seen_by_whoever_maps_it_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    layout = Layout.of(plan(count=100, ops=MIXED))
    with LedgerFile.create(path, layout) as written, LedgerFile(path, layout) as read:
        written.ledger.mark(Mark.RECEIVED, 99)
        written.ledger.main.ops["lookup"].took(0.5, 0.25)
        assert read.ledger.marks(Mark.RECEIVED) == 1 << 99
        assert read.ledger.main.ops["lookup"].response().total() == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_blocks * 512 >= layout.bytes, "the disk could fill up under it"
    written.remove()
    assert not path.exists()


def test_a_ledger_that_cannot_be_kept_says_where_and_why(tmp_path: Path) -> None:
    layout = Layout.of(plan())
    with pytest.raises(Unavailable, match=f"cannot be kept in {tmp_path}/none/a: No such file"):
        LedgerFile.create(tmp_path / "none" / "a", layout)
    (tmp_path / "short").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot be opened"):
        LedgerFile(tmp_path / "short", layout)


def test_where_the_system_cannot_take_space_it_is_written_and_a_full_disk_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout.of(plan())

    def refuse(number: int) -> None:
        def fail(*_: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("os.posix_fallocate", fail, raising=False)

    refuse(errno.EOPNOTSUPP)
    LedgerFile.create(tmp_path / "written", layout).close()
    assert (tmp_path / "written").stat().st_blocks * 512 >= layout.bytes
    refuse(errno.ENOSPC)
    with pytest.raises(Unavailable, match=r"cannot be kept in .*: No space left on device"):
        LedgerFile.create(tmp_path / "full", layout)
    assert not (tmp_path / "full").exists()


def test_an_account_of_nothing_is_all_zeros() -> None:
    total = added(plan(), [], ("worker-1",))
    assert total.died == ("worker-1",)
    assert (total.sent, total.delivered, total.lost, total.latency_p99_s, total.hops_max) == (0, 0, 0, 0.0, 0)
