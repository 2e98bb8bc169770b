"""The order of one origin's messages, and which came: against obvious models."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address
from cicada.keys.trust import Trust
from cicada.limits import CHANNEL, ChannelLimits
from cicada.services.channelsio import Delivered
from cicada.services.channelslog import Log, Seen
from cicada.services.channelsorder import Line, Waiting
from cicada.wire.channels import Post, Span

ORIGIN = Address("127.0.0.1:7001")
SMALL = ChannelLimits(window=8, log_messages=12, log_bytes=400, lives=6, key_lives=2, wanted=64)
LIVES = [bytes([life]) * 16 for life in range(4)]


def message(number: int, payload: bytes = b"", *, is_first: bool = False) -> Waiting:
    delivered = Delivered(
        channel="#a",
        origin=ORIGIN,
        peer_id="",
        number=number,
        payload=payload,
        boot=1,
        trust=Trust.UNVERIFIED,
    )
    return Waiting(delivered, is_old=False, is_first=is_first or number == 1)


def post(number: int, payload: bytes = b"", age_ms: int = 0) -> Post:
    return Post(
        channel="#a",
        origin=ORIGIN,
        boot=1,
        number=number,
        expires_ms=0,
        quiet_ms=0,
        payload=payload,
        record=b"",
        signature=b"",
        age_ms=age_ms,
    )


def numbers(items: list[Waiting] | None) -> list[int] | None:
    return None if items is None else [item.message.number for item in items]


def test_the_first_message_is_delivered_at_once_and_later_ones_in_their_turn() -> None:
    line = Line(CHANNEL)
    assert numbers(line.take(message(1), 0.0)) == [1]
    assert numbers(line.take(message(3), 0.0)) == []
    assert numbers(line.take(message(2), 0.0)) == [2, 3]
    assert line.until is None


def test_a_gap_is_waited_for_and_then_counted() -> None:
    line = Line(CHANNEL)
    line.take(message(1), 0.0)
    line.take(message(4), 1.0)
    assert line.expire(1.0 + CHANNEL.hold - 0.1) == []
    assert numbers(line.expire(1.0 + CHANNEL.hold)) == [4]
    assert line.take_missed() == 2
    assert line.take(message(3), 20.0) is None


def test_what_was_said_before_this_peer_joined_is_not_waited_for() -> None:
    line = Line(CHANNEL)
    assert numbers(line.take(message(57), 0.0)) == []
    assert numbers(line.take(message(56, is_first=True), 0.1)) == [56, 57]
    assert line.take_missed() == 0


def test_what_was_said_since_and_never_came_is_missed_though_nobody_knows_how_much_it_is() -> None:
    line = Line(CHANNEL)
    assert numbers(line.take(message(57), 0.0)) == []
    assert numbers(line.expire(CHANNEL.hold)) == [57]
    assert line.take_missed() == 1


def test_no_more_is_held_back_than_the_limit_allows() -> None:
    line = Line(ChannelLimits(held=3))
    line.take(message(1), 0.0)
    assert [numbers(line.take(message(n), 0.0)) for n in (5, 6, 7)] == [[], [], []]
    assert numbers(line.take(message(9), 0.0)) == [5, 6, 7]
    assert line.take_missed() == 3
    line = Line(ChannelLimits(held_bytes=10))
    line.take(message(1), 0.0)
    assert numbers(line.take(message(3, bytes(11)), 0.0)) == [3]


@given(st.permutations(range(1, 12)), st.sets(st.integers(1, 11)), st.floats(0, 3))
def test_whatever_comes_in_whatever_order_is_delivered_in_order_and_all_else_is_counted(
    order: list[int], lost: set[int], pause: float
) -> None:
    line, now, out = Line(CHANNEL), 0.0, []
    late = 0
    for number in order:
        if number in lost:
            continue
        out += line.expire(now)
        ready = line.take(message(number), now)
        late += ready is None
        out += ready or []
        now += pause
    while len(line):
        now += CHANNEL.hold
        out += line.expire(now)
    got = [item.message.number for item in out]
    assert got == sorted(set(got))
    assert len(got) + late == 11 - len(lost)
    if got:
        assert line.take_missed() == got[-1] - got[0] + 1 - len(got) + (got[0] != 1)


@given(st.lists(st.integers(1, 40)))
def test_a_set_of_numbers_holds_what_was_added_and_nothing_that_is_newer_than_its_window(
    added: list[int],
) -> None:
    seen, model = Seen(8), set[int]()
    for number in added:
        seen.add(number)
        model.add(number)
        assert number in seen
    assert all(number in seen for number in model)
    assert all(number in model for number in range(seen.floor + 1, 60) if number in seen)


@given(st.lists(st.tuples(st.sampled_from(LIVES), st.integers(1, 10), st.integers(0, 60)), max_size=60))
def test_the_log_keeps_to_its_bounds_and_its_summary_is_what_it_keeps(
    entered: list[tuple[bytes, int, int]],
) -> None:
    log = Log(SMALL)
    for now, (life, number, size) in enumerate(entered):
        if log.room_for(life, f"key {life[0] % 2}", ORIGIN, life[0], now) is not None and not log.has(
            life, number
        ):
            log.add(post(number, bytes(size)), life, until=now + 10, now=now)
        assert len(log) <= SMALL.log_messages
        assert log.total_bytes <= SMALL.log_bytes
    kept = {(kept.life, kept.post.number) for kept in log.within(log.spans())}
    assert len(kept) == len(log)
    assert list(log.beyond(log.spans())) == []
    assert {(kept.life, kept.post.number) for kept in log.beyond(())} == kept
    assert log.lacking(log.spans()) == ()


def test_whoever_says_much_pushes_out_nothing_of_others() -> None:
    log = Log(ChannelLimits(log_bytes=1000, log_messages=10))
    for life, key in ((LIVES[0], "quiet"), (LIVES[1], "loud")):
        log.room_for(life, key, ORIGIN, 1, 0.0)
    log.add(post(1, b"hello"), LIVES[0], 10.0, 0.0)
    for number in range(1, 100):
        log.add(post(number, bytes(300)), LIVES[1], 10.0, 0.0)
    assert [kept.post.payload for kept in log.within([Span(LIVES[0], 1, 1)])] == [b"hello"]


def two_lives(limits: ChannelLimits = SMALL) -> Log:
    """As many as one key has; nobody takes a message of them after 100 s."""
    log = Log(limits)
    for boot, life in enumerate(LIVES[:2], start=1):
        log.room_for(life, "key", ORIGIN, boot, 0.0)
        log.add(post(1), life, until=100.0, now=0.0)
    return log


def test_one_key_has_only_so_many_lives_of_which_the_first_makes_way_for_a_later_one() -> None:
    log = two_lives()
    assert log.room_for(LIVES[2], "key", ORIGIN, 3, 1.0) is not None
    assert (log.life(LIVES[0]), log.lives) == (None, 2)
    assert [kept.life for kept in log.beyond(())] == [LIVES[1]]


def test_what_is_said_in_a_life_that_made_way_is_not_taken_again() -> None:
    log = two_lives()
    log.room_for(LIVES[2], "key", ORIGIN, 3, 1.0)
    log.add(post(1), LIVES[2], until=101.0, now=1.0)
    assert log.room_for(LIVES[0], "key", ORIGIN, 1, 1.0) is None
    log.expire(99.0)
    assert log.room_for(LIVES[3], "key", ORIGIN, 4, 99.0) is not None
    assert log.room_for(LIVES[0], "key", ORIGIN, 1, 99.0) is None
    assert log.room_for(LIVES[1], "key", ORIGIN, 2, 99.0) is None


def test_a_life_that_began_before_those_that_are_remembered_has_no_room() -> None:
    log = two_lives()
    assert log.room_for(LIVES[2], "key", ORIGIN, 0, 1.0) is None
    assert log.lives == 2


def test_lives_end_and_then_there_is_room_for_those_of_others() -> None:
    log = two_lives(ChannelLimits(lives=2, key_lives=2))
    assert log.room_for(LIVES[3], "other", ORIGIN, 1, 1.0) is None
    log.expire(101.0)
    assert log.room_for(LIVES[3], "other", ORIGIN, 1, 101.0) is not None


def test_that_lives_made_way_is_remembered_of_so_many_keys_and_then_none_makes_way() -> None:
    log = Log(ChannelLimits(lives=6, key_lives=1, log_messages=1))
    ended = 0
    for number in range(20):
        first, second = (bytes([number, boot]) * 8 for boot in (1, 2))
        now = 2.0 * number
        assert log.room_for(first, f"key {number}", ORIGIN, 1, now) is not None
        log.add(post(1), first, until=1000.0, now=now)
        later = log.room_for(second, f"key {number}", ORIGIN, 2, now)
        ended += later is not None
        log.life(first if later is None else second).until = now  # type: ignore[union-attr]
        log.room_for(first, "nobody", ORIGIN, 1, now + 1.0)
    assert ended == 6


def test_a_summary_of_a_liar_costs_no_more_than_the_limit() -> None:
    log = Log(SMALL)
    wanted = log.lacking(tuple(Span(LIVES[0], 1, 1 << 50) for _ in range(200)))
    assert sum(span.last - span.first + 1 for span in wanted) <= SMALL.wanted


def test_a_message_ages_by_the_time_that_it_is_kept() -> None:
    log = Log(CHANNEL)
    log.room_for(LIVES[0], "key", ORIGIN, 1, 0.0)
    kept = log.add(post(1, age_ms=500), LIVES[0], 10.0, now=4.0)
    assert kept.aged(6.0).age_ms == 2500
    old = log.add(post(2, age_ms=(1 << 63) - 1), LIVES[0], 10.0, now=4.0)
    assert old.aged(4.0).age_ms == int(CHANNEL.seconds * 1000)
