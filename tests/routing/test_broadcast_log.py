"""What is remembered of broadcasts: never one taken twice, and never more than is allowed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cicada.limits import BroadcastLimits
from cicada.routing.broadcastlog import BroadcastLog, id_of
from cicada.wire.routed import Broadcast

LIMITS = BroadcastLimits(ids=8, origin_ids=4, origins=3, log_bytes=11, log_seconds=20.0)
LIFE = 50.0


def body(message: int, boot: int = 1, size: int = 3, origin: str = "127.0.0.1:1000") -> Broadcast:
    return Broadcast(
        origin=origin,
        origin_boot=boot,
        message=message,
        expires_ms=0,
        payload=bytes(size),
        record=b"",
        signature=b"",
        limit=bytes(32),
        hops=1,
    )


def take(
    log: BroadcastLog, message: Broadcast, now: float, born: float | None = None, key: str = "id"
) -> str:
    """As Broadcasts has it: ``born`` is when it was signed, which decides how long it is good. Returns the refusal."""
    expires = (now if born is None else born) + LIFE
    if log.get(id_of(message)) is not None:
        return "duplicate"
    if expires <= now:
        return "expired"
    refusal = log.refusal(message, key, now)
    if not refusal:
        log.take(id_of(message), message, key, b"", expires, now)
    return refusal


def test_numbers_that_were_used_and_did_not_come_are_counted_until_they_come() -> None:
    log = BroadcastLog(BroadcastLimits())
    counts = []
    for number in (3, 4, 7, 5, 6, 1):
        take(log, body(number), 0.0)
        counts.append(log.missing)
    assert counts == [0, 0, 2, 1, 0, 1]


def test_a_number_far_ahead_makes_no_more_missing_than_are_remembered() -> None:
    log = BroadcastLog(LIMITS)
    take(log, body(1), 0.0)
    take(log, body(1 << 62), 0.0)
    assert log.missing == LIMITS.ids


def test_bodies_make_way_by_bytes_and_age_and_what_was_taken_is_still_known() -> None:
    log = BroadcastLog(LIMITS)
    for number in (1, 2, 3, 4):
        take(log, body(number), float(number))
    assert [taken.message for taken in log.kept()] == [4, 3, 2]
    assert log.kept_bytes == 9
    log.expire(22.5)
    assert [taken.message for taken in log.kept()] == [4, 3]
    log.expire(30.0)
    assert (list(log.kept()), log.kept_bytes, len(log)) == ([], 0, 4)
    assert take(log, body(1), 30.0, born=1.0) == "duplicate"


def test_one_origin_pushes_out_its_own_and_nothing_older_of_it_is_taken() -> None:
    log = BroadcastLog(LIMITS)
    take(log, body(1, boot=2), 0.0, key="another")
    for number in range(10, 17):
        assert take(log, body(number), 0.0) == ""
    assert log.get(id_of(body(1, boot=2))) is not None
    assert take(log, body(12), 0.0) == "broadcast-below-floor"
    assert take(log, body(9), 0.0) == "broadcast-below-floor"
    assert take(log, body(17), 0.0) == ""


def test_a_new_origin_is_refused_while_what_others_sent_may_still_come_again() -> None:
    log = BroadcastLog(LIMITS)
    for boot in (1, 2, 3):
        take(log, body(1, boot=boot), 0.0)
    assert take(log, body(1, boot=4), 1.0) == "broadcast-crowded"
    log.expire(LIFE)
    assert len(log) == 0
    assert take(log, body(1, boot=4), LIFE) == ""


def test_one_key_cannot_use_up_the_room_of_all_by_new_lives() -> None:
    log = BroadcastLog(BroadcastLimits(key_lives=2))
    assert [take(log, body(1, boot=boot), 0.0) for boot in (1, 2, 3)] == ["", "", "broadcast-crowded"]
    assert log.refusal(body(1, boot=3), "another key", 0.0) == ""
    assert take(log, body(2, boot=2), LIFE / 2) == ""
    assert take(log, body(1, boot=3), LIFE) == ""
    assert take(log, body(1, boot=4), LIFE) == "broadcast-crowded"


MANY = BroadcastLimits(ids=60, origin_ids=15, log_bytes=120)


def test_one_key_pushes_out_its_own_alone_however_many_lives_and_addresses_it_has() -> None:
    log = BroadcastLog(MANY)
    take(log, body(5), 0.0, key="honest")
    for boot in range(1, 6):
        for number in range(1, 100):
            origin = f"127.0.0.66:{boot}"
            assert take(log, body(number, boot=boot, origin=origin), 1.0, key="one key") == ""
    known = log.get(id_of(body(5)))
    assert known is not None
    assert known.body is not None
    assert take(log, body(4), 2.0, key="honest") == ""
    assert len(log) == 2 + MANY.origin_ids


def test_however_many_keys_push_what_another_one_sent_is_known_and_kept() -> None:
    log = BroadcastLog(MANY)
    take(log, body(5), 0.0, key="honest")
    for number in range(1, 100):
        for key in range(1, 7):
            take(log, body(number, origin=f"127.0.0.66:{key}"), 1.0, key=f"{key}")
    known = log.get(id_of(body(5)))
    assert known is not None
    assert known.body is not None
    assert take(log, body(4), 2.0, key="honest") == ""
    assert len(log) <= MANY.ids


def test_a_key_alone_keeps_the_bodies_of_what_it_sent_last() -> None:
    log = BroadcastLog(BroadcastLimits(log_bytes=90))
    for number in range(1, 50):
        take(log, body(number, size=10), 0.0)
    assert [taken.message for taken in log.kept()] == list(range(49, 41, -1))
    take(log, body(50, size=90), 0.0)
    assert [taken.message for taken in log.kept()] == [50]


def test_a_floor_is_kept_while_something_below_it_may_come_again_and_no_longer() -> None:
    log = BroadcastLog(BroadcastLimits(ids=1))
    take(log, body(1), 0.0)
    take(log, body(1, boot=2), 0.0)
    assert take(log, body(1), LIFE - 1, born=0.0) == "broadcast-below-floor"
    log.expire(LIFE)
    assert (len(log), log.missing) == (0, 0)
    assert take(log, body(1), LIFE, born=0.0) == "expired"
    assert take(log, body(1), LIFE) == ""


events = st.tuples(
    st.integers(1, 8),  # boot
    st.integers(1, 12),  # number
    st.integers(0, 5),  # seconds that pass
    st.integers(0, 9),  # size
)


@given(st.lists(events, max_size=80))
def test_nothing_is_taken_twice_and_all_stays_bounded(history: list[tuple[int, int, int, int]]) -> None:
    log = BroadcastLog(LIMITS)
    now = 0.0
    born: dict[tuple[int, int], float] = {}
    taken: set[tuple[int, int]] = set()
    for boot, number, passed, size in history:
        now += passed
        name = (boot, number)
        signed_at = born.setdefault(name, now)
        if take(log, body(number, boot, size), now, signed_at) == "":
            assert name not in taken
            taken.add(name)
        assert len(log) <= LIMITS.ids
        assert log.kept_bytes == sum(len(entry.body.payload) for entry in log.kept() if entry.body) <= 11
        assert log.missing >= 0
    log.expire(now + LIFE)
    assert (len(log), log.missing, log.kept_bytes) == (0, 0, 0)
    assert history == [] or taken
