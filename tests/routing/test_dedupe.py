"""The window against a set that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import hidden_address, peer_at
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
    assert len(window._hidden) <= 1
