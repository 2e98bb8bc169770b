"""What waits for a link: bounds, fairness between sources, and control's share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address
from cicada.limits import LinkLimits
from cicada.transport.linkqueues import FairQueue, Waiting
from tests.transport.linknet import address, control, data

LIMITS = LinkLimits(max_queued=16384)
PLENTY = 1 << 20


def waiting(number: int, size: int, source: Address | None = None) -> Waiting:
    return Waiting(data(number), bytes(size), source)


def urgent(number: int, size: int, source: Address | None = None) -> Waiting:
    return Waiting(control(number), bytes(size), source)


def drain(queue: FairQueue) -> list[Waiting]:
    items: list[Waiting] = []
    while (item := queue.pop(PLENTY)) is not None:
        items.append(item)
    return items


def test_messages_of_one_source_keep_their_order() -> None:
    queue = FairQueue(LIMITS)
    items = [waiting(number, 50 + number) for number in range(20)]
    assert [queue.push(item) for item in items] == [0] * 20
    assert drain(queue) == items


def test_a_message_that_does_not_fit_into_the_window_stays() -> None:
    queue = FairQueue(LIMITS)
    queue.push(waiting(1, 100))
    assert queue.pop(99) is None
    assert len(queue) == 1
    assert queue.pop(100) == waiting(1, 100)


def test_control_goes_first() -> None:
    queue = FairQueue(LIMITS)
    queue.push(waiting(1, 100))
    queue.push(urgent(2, 100))
    assert queue.pop(PLENTY) == urgent(2, 100)


def test_control_gets_no_more_than_its_share_while_data_waits() -> None:
    queue = FairQueue(LinkLimits())
    for number in range(400):
        queue.push(waiting(number, 1000))
        queue.push(urgent(number, 600))
    sent = [queue.pop(PLENTY) for _ in range(200)]
    total = sum(len(item.raw) for item in sent if item is not None)
    of_control = sum(len(item.raw) for item in sent if item is not None and item.message == control_of(item))
    assert 0.2 <= of_control / total <= 0.25


def control_of(item: Waiting) -> object:
    """The item's message when it is control, else something unequal."""
    return item.message if type(item.message) is type(control(0)) else None


def test_control_alone_has_the_whole_link() -> None:
    queue = FairQueue(LIMITS)
    items = [urgent(number, 100) for number in range(20)]
    for item in items:
        queue.push(item)
    assert drain(queue) == items


def test_sources_share_by_bytes_whatever_the_size_of_their_messages() -> None:
    queue = FairQueue(LinkLimits())
    large, small = address(1), address(2)
    for number in range(12):
        queue.push(waiting(number, 30_000, large))
    for number in range(2000):
        queue.push(waiting(number, 200, small))
    carried = {large: 0, small: 0}
    while sum(carried.values()) < 500_000:
        item = queue.pop(PLENTY)
        assert item is not None
        assert item.source is not None
        carried[item.source] += len(item.raw)
    assert 0.85 <= carried[large] / carried[small] <= 1.15


def test_a_flood_does_not_make_another_source_wait() -> None:
    queue = FairQueue(LinkLimits())
    for number in range(3000):
        queue.push(waiting(number, 300, address(1)))
    for number in range(10):
        assert queue.push(waiting(number, 300, address(2))) == 0
    first = [queue.pop(PLENTY) for _ in range(60)]
    assert sum(item is not None and item.source == address(2) for item in first) == 10


def test_a_full_queue_refuses_whoever_filled_it() -> None:
    queue = FairQueue(LIMITS)
    dropped = [queue.push(waiting(number, 1024, address(1))) for number in range(20)]
    assert dropped == [0] * 16 + [1] * 4
    assert [item.message for item in drain(queue)] == [data(number) for number in range(16)]


def test_a_full_queue_makes_room_for_another_source_from_the_newest_of_the_flood() -> None:
    queue = FairQueue(LIMITS)
    for number in range(16):
        queue.push(waiting(number, 1024, address(1)))
    assert queue.push(waiting(99, 1024, address(2))) == 1
    kept = drain(queue)
    assert {item.message for item in kept} == {data(99), *(data(number) for number in range(15))}


def test_a_full_queue_makes_room_for_control_until_control_has_its_share() -> None:
    queue = FairQueue(LIMITS)
    for number in range(16):
        queue.push(waiting(number, 1024, address(1)))
    assert [queue.push(urgent(number, 1024)) for number in range(6)] == [1, 1, 1, 1, 1, 1]
    kept = drain(queue)
    assert sum(item.message == control_of(item) for item in kept) == 4
    assert len(kept) == 16


def test_a_flood_of_control_delays_and_displaces_nobody_elses() -> None:
    queue = FairQueue(LIMITS)
    for number in range(100):
        queue.push(urgent(number, 256, address(1)))
    assert queue.push(urgent(100, 256)) == 1
    assert queue.push(urgent(101, 256, address(2))) == 1
    turns = [item.source for item in drain(queue)]
    assert turns.index(None) <= LIMITS.fair_quantum // 256
    assert turns.index(address(2)) <= LIMITS.fair_quantum // 256 + 1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("data"), st.integers(0, 4), st.integers(1, 6000)),
            st.tuples(st.just("control"), st.integers(0, 4), st.integers(1, 6000)),
            st.tuples(st.just("pop"), st.just(0), st.integers(0, 8000)),
        ),
        max_size=200,
    )
)
def test_the_bound_holds_and_every_message_is_sent_kept_or_counted(
    steps: list[tuple[str, int, int]],
) -> None:
    queue = FairQueue(LIMITS)
    pushed = popped = dropped = 0
    for number, (what, source, size) in enumerate(steps):
        if what == "pop":
            item = queue.pop(size)
            popped += item is not None
            assert item is None or len(item.raw) <= size
        else:
            pushed += 1
            make = waiting if what == "data" else urgent
            item = make(number, size, address(source))
            dropped += queue.push(item)
        assert queue.bytes <= LIMITS.max_queued
        assert queue.bytes == sum(len(item.raw) for item in queue)
        assert len(queue) == pushed - popped - dropped
    assert len(drain(queue)) == pushed - popped - dropped
    assert queue.bytes == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 4000)), max_size=60))
def test_each_source_and_control_keep_their_order(pushes: list[tuple[int, bool, int]]) -> None:
    queue = FairQueue(LinkLimits())
    expected: dict[object, list[Waiting]] = {}
    for number, (source, is_control, size) in enumerate(pushes):
        item = urgent(number, size) if is_control else waiting(number, size, address(source))
        queue.push(item)
        expected.setdefault("control" if is_control else item.source, []).append(item)
    got: dict[object, list[Waiting]] = {}
    for item in drain(queue):
        got.setdefault("control" if item.message == control_of(item) else item.source, []).append(item)
    assert got == expected
