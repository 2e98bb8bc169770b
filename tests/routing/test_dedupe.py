"""The window against a set that remembers everything."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.hosts import by_ip
from cicada.ids import Peer, hidden_address, is_hidden, peer_at
from cicada.keys.trust import Trust
from cicada.limits import DeliveryLimits
from cicada.routing.dedupe import DedupeWindow, Judgement
from cicada.routing.io import Verdict
from tests.routing.swarm import peers_at

ORIGINS = peers_at(31000, 4)
SPAN = 4096
LIMITS = DeliveryLimits(dedupe_ids=SPAN, dedupe_origins=3, dedupe_seconds=60.0)

FRESH = Judgement(fresh=True, verdict=Verdict.DELIVERED)
AGAIN = Judgement(fresh=False, verdict=Verdict.DELIVERED)
BUSY = Judgement(fresh=False, verdict=Verdict.BUSY)
STALE = Judgement(fresh=False, verdict=Verdict.STALE)

arrivals = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 2), st.integers(1, 4 * SPAN), st.booleans()), max_size=200
)


def judge(window: DedupeWindow, message: int, origin: int = 0, boot: int = 1, now: float = 0.0) -> Judgement:
    return window.judge(ORIGINS[origin], boot, message, has_room=True, now=now)


@given(arrivals)
def test_nothing_is_taken_twice_and_nothing_within_the_window_is_refused(
    messages: list[tuple[int, int, int, bool]],
) -> None:
    window = DedupeWindow(DeliveryLimits(dedupe_ids=SPAN))
    taken: set[tuple[int, int, int]] = set()
    highest: dict[tuple[int, int], int] = {}
    for origin, boot, message, has_room in messages:
        judgement = window.judge(ORIGINS[origin], boot, message, has_room=has_room, now=0.0)
        key = (origin, boot, message)
        is_within = message > highest.get((origin, boot), 0) - SPAN
        if key in taken:
            assert judgement in ((AGAIN,) if is_within else (AGAIN, STALE))
        elif is_within:
            assert judgement == (FRESH if has_room else BUSY)
        else:
            assert judgement in ((FRESH if has_room else BUSY), STALE)
        if judgement.fresh:
            taken.add(key)
            highest[origin, boot] = max(highest.get((origin, boot), 0), message)


def test_a_message_judged_again_gets_the_same_answer_even_when_the_mailbox_is_full() -> None:
    window = DedupeWindow(LIMITS)
    assert judge(window, 5) == FRESH
    assert window.judge(ORIGINS[0], 1, 5, has_room=False, now=0.0) == AGAIN


def test_what_nobody_takes_over_may_come_again_and_what_was_taken_is_offered_no_more() -> None:
    window, offers = DedupeWindow(LIMITS), iter([False, True])
    judgements = [
        window.judge(ORIGINS[0], 1, 5, has_room=True, now=0.0, take=lambda: next(offers)) for _ in range(3)
    ]
    assert judgements == [Judgement(fresh=False, verdict=Verdict.FULL), FRESH, AGAIN]


def test_a_message_refused_for_want_of_room_may_come_again() -> None:
    window = DedupeWindow(LIMITS)
    assert window.judge(ORIGINS[0], 1, 5, has_room=False, now=0.0) == BUSY
    assert judge(window, 5) == FRESH


def test_a_message_far_below_the_newest_is_stale_whether_it_was_taken_or_not() -> None:
    window = DedupeWindow(LIMITS)
    assert judge(window, 1) == FRESH
    assert judge(window, 10 * SPAN) == FRESH
    assert judge(window, 1) == STALE
    assert judge(window, 2) == STALE


def test_every_id_of_a_dense_stream_is_remembered_exactly() -> None:
    window = DedupeWindow(LIMITS)
    assert all(judge(window, message) == FRESH for message in range(1, 3 * SPAN))
    assert all(judge(window, message) == AGAIN for message in range(2 * SPAN, 3 * SPAN))


def test_lives_of_one_origin_are_told_apart() -> None:
    window = DedupeWindow(LIMITS)
    assert judge(window, 5, boot=1) == FRESH
    assert judge(window, 5, boot=2) == FRESH
    assert judge(window, 5, boot=1) == AGAIN


def test_strangers_are_busy_while_no_origin_is_silent_for_long_enough() -> None:
    window = DedupeWindow(LIMITS)
    for origin in range(3):
        assert judge(window, 1, origin, now=float(origin)) == FRESH
    assert judge(window, 1, 3, now=59.0) == BUSY
    assert judge(window, 1, 0, now=59.0) == AGAIN
    assert judge(window, 1, 3, now=61.0) == FRESH  # origin 1 was heard at 1.0, and makes room
    assert judge(window, 1, 0, now=61.0) == AGAIN
    assert len(window) == 3


def test_a_flood_of_origins_and_ids_leaves_a_bounded_window() -> None:
    window = DedupeWindow(LIMITS)
    for number in range(20_000):
        judge(window, number * number, number % 4, boot=number, now=number * 100.0)
    assert len(window) == 3


def test_who_has_another_key_cannot_use_up_the_ids_of_an_address() -> None:
    window = DedupeWindow(LIMITS)
    for message in (7, 1 << 62):
        assert window.judge(ORIGINS[0], 1, message, peer_id="liar", has_room=True, now=0.0) == FRESH
    assert window.judge(ORIGINS[0], 1, 7, peer_id="honest", has_room=True, now=0.0) == FRESH


def test_hidden_origins_have_their_share_of_the_room_and_leave_the_rest_to_members() -> None:
    window = DedupeWindow(DeliveryLimits(dedupe_origins=8, dedupe_hidden_share=0.25, dedupe_seconds=60.0))
    hidden = [peer_at(hidden_address(f"{number:064x}")) for number in range(100)]
    judged = [window.judge(peer, 1, 1, has_room=True, now=0.0) for peer in hidden]
    assert judged == [FRESH] * 2 + [BUSY] * 98
    assert [judge(window, 1, number) for number in range(4)] == [FRESH] * 4
    assert window.judge(hidden[0], 1, 1, has_room=True, now=1.0) == AGAIN
    assert (
        window.judge(hidden[7], 1, 1, has_room=True, now=60.0) == FRESH
    )  # the second was silent, and makes room
    assert window.judge(hidden[0], 1, 1, has_room=True, now=60.0) == AGAIN
    assert len(window) == 6


def test_who_is_hidden_no_longer_takes_none_of_the_room_of_those_that_are() -> None:
    window = DedupeWindow(DeliveryLimits(dedupe_origins=8, dedupe_hidden_share=0.25))
    hidden = [peer_at(hidden_address(f"{number:064x}")) for number in range(3)]
    for number, peer in enumerate(hidden[:2]):
        assert window.judge(peer, 1, 1, peer_id=f"key {number}", has_room=True, now=0.0) == FRESH
    assert window.judge(ORIGINS[0], 1, 1, peer_id="key 0", has_room=True, now=0.0) == AGAIN
    assert window.judge(hidden[2], 1, 1, peer_id="key 2", has_room=True, now=0.0) == FRESH


def test_a_flood_of_hidden_origins_leaves_a_bounded_window() -> None:
    window = DedupeWindow(LIMITS)
    for number in range(2000):
        window.judge(peer_at(hidden_address(f"{number:064x}")), 1, 1, has_room=True, now=number * 100.0)
        judge(window, 1, number % 4, boot=number, now=number * 100.0)
    assert len(window) <= 3
    assert sum(is_hidden(address) for address, _ in window._origins) <= 1


def address_at(host: int, port: int = 5000) -> Peer:
    """Somebody out in the world; each ``host`` has a /24 of its own."""
    return peer_at(f"9.{host >> 8}.{host & 255}.7:{port}")


FEW = DeliveryLimits(dedupe_origins=64, dedupe_stranger_share=1.0, dedupe_seconds=60.0)


@pytest.mark.parametrize("varies", ["key", "port", "life"])
def test_one_host_with_many_keys_ports_or_lives_shuts_nobody_out(varies: str) -> None:
    window = DedupeWindow(FEW)
    for number in range(1000):
        at = address_at(1, 5000 + number if varies == "port" else 5000)
        key = f"key {number}" if varies == "key" else "key"
        boot = number + 1 if varies == "life" else 1
        judged = window.judge(at, boot, 1, peer_id=key + at.address, has_room=True, now=number / 100)
        assert judged == (FRESH if number < 32 else BUSY)
    for number in range(32):
        newcomer = address_at(2 + number)
        assert window.judge(newcomer, 1, 1, peer_id=f"new {number}", has_room=True, now=10.0) == FRESH


def test_who_has_no_place_finds_one_however_many_hosts_press() -> None:
    window = DedupeWindow(FEW)
    for number in range(200):
        for host in range(1, 6):
            window.judge(address_at(host), 1, 1, peer_id=f"{host} {number}", has_room=True, now=0.0)
    assert len(window) < 64
    assert window.judge(address_at(99), 1, 1, peer_id="honest", has_room=True, now=0.0) == FRESH


def test_the_oldest_of_a_crowd_makes_way_for_its_next_and_nobody_elses() -> None:
    window = DedupeWindow(FEW)
    assert window.judge(address_at(2), 1, 1, peer_id="honest", has_room=True, now=0.0) == FRESH
    for number in range(40):
        window.judge(address_at(1), 1, 1, peer_id=f"{number}", has_room=True, now=1.0)
    held = len(window)
    for number in range(40, 72):
        assert window.judge(address_at(1), 1, 1, peer_id=f"{number}", has_room=True, now=61.0) == FRESH
    assert len(window) == held
    assert window.judge(address_at(2), 1, 1, peer_id="honest", has_room=True, now=61.0) == AGAIN


def test_a_crowd_that_grew_too_large_takes_the_places_of_the_silent_and_of_nobody_else() -> None:
    window = DedupeWindow(FEW)
    for number in range(30):
        at, key = address_at(100 + number), f"honest {number}"
        assert window.judge(at, 1, 1, peer_id=key, has_room=True, now=float(number)) == FRESH
    for number in range(40):
        window.judge(address_at(1), 1, 1, peer_id=f"{number}", has_room=True, now=40.0)
    assert window.judge(address_at(1), 1, 1, peer_id="next", has_room=True, now=59.0) == BUSY
    assert window.judge(address_at(1), 1, 1, peer_id="next", has_room=True, now=61.0) == FRESH


def test_every_peer_of_this_machine_is_a_host_of_its_own_unless_hosts_are_grouped() -> None:
    here = [peer_at(f"127.0.0.1:{5000 + number}") for number in range(64)]
    window = DedupeWindow(FEW)
    assert all(window.judge(peer, 1, 1, has_room=True, now=0.0) == FRESH for peer in here)
    grouped = DedupeWindow(FEW, by_ip)
    judged = [grouped.judge(peer, 1, 1, has_room=True, now=0.0) for peer in here]
    assert judged == [FRESH] * 32 + [BUSY] * 32


def test_whoever_is_pinned_finds_room_though_strangers_come_from_everywhere() -> None:
    window = DedupeWindow(replace(FEW, dedupe_stranger_share=0.75))
    first = Trust.FIRST_CONTACT
    for number in range(100):
        at, key = address_at(number), f"{number}"
        judged = window.judge(at, 1, 1, peer_id=key, trust=first, has_room=True, now=0.0)
        assert judged == (FRESH if number < 48 else BUSY)
    known = address_at(500)
    judged = window.judge(known, 1, 1, peer_id="known", trust=Trust.PINNED, has_room=True, now=0.0)
    assert judged == FRESH
    assert window.judge(known, 1, 2, peer_id="known", trust=first, has_room=True, now=0.0) == FRESH
    judged = window.judge(address_at(501), 1, 1, peer_id="x", trust=first, has_room=True, now=59.0)
    assert judged == BUSY
    judged = window.judge(address_at(501), 1, 1, peer_id="x", trust=first, has_room=True, now=60.0)
    assert judged == FRESH


@given(
    arrivals=st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 9),
            st.integers(1, 3),
            st.sampled_from(Trust),
            st.floats(0, 40),
        ),
        max_size=150,
    )
)
def test_whoever_comes_from_wherever_nothing_is_taken_twice_within_the_time_and_all_is_bounded(
    arrivals: list[tuple[int, int, int, Trust, float]],
) -> None:
    window = DedupeWindow(DeliveryLimits(dedupe_origins=8, dedupe_seconds=60.0))
    now, heard = 0.0, dict[tuple[int, int], float]()
    for host, key, message, trust, pause in arrivals:
        now += pause
        at = peer_at(hidden_address(f"{key:064x}")) if host == 5 else address_at(host)
        judged = window.judge(at, 1, message, peer_id=f"{key}", trust=trust, has_room=True, now=now)
        if judged.fresh:
            assert now - heard.get((key, message), -60.0) >= 60.0
        if judged != BUSY:
            heard.update({each: now for each in heard if each[0] == key})
            heard[key, message] = now
        assert len(window) <= 8
        members = Counter(key for crowd in window._crowds.values() for key in crowd)
        assert set(members) == set(window._origins)
        assert all(window._crowds.values())
