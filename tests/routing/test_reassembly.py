"""Fragments become messages, whatever happens to them on the way."""

from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.ids import Address
from cicada.keys.trust import Trust
from cicada.limits import TRANSFER, WIRE, TransferLimits
from cicada.routing.allowance import Allowance, Origin
from cicada.routing.io import Verdict
from cicada.routing.reassembly import Progress, Reassembly, Whole
from cicada.wire.fields import MAX_PARTS
from cicada.wire.sealed import DataBody

FULL = WIRE.max_payload
LIMITS = TransferLimits(
    held_bytes=16 * FULL,
    sender_bytes=8 * FULL,
    held_overhead=1,
    finished=2,
    finish_bytes=0,
    lane_bytes=0,
    line_bytes=0,
)
SENDER, OTHER = Origin("1", Address("10.0.0.1:1"), 7), Origin("2", Address("10.0.0.2:1"), 7)


class Bench:
    def __init__(self) -> None:
        self.allowance = Allowance(LIMITS)
        self.core = Reassembly(self.allowance.account())

    def take(self, body: DataBody, now: float = 0.0, origin: Origin = SENDER) -> Progress:
        return self.core.take(origin, Trust.PINNED, body, now)

    def whole(self, name: Whole) -> bytes | None:
        return self.core.hand_over(name, -math.inf)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def fragments(parts: int, message: int = 1, fill: int = 0, after: int | None = None) -> list[DataBody]:
    """All of a message whose last fragment has ten bytes."""
    return [
        DataBody(
            origin_boot=7,
            message=message,
            boot=9,
            payload=bytes([part + fill]) * (10 if part == parts - 1 else FULL),
            part=part,
            parts=parts,
            after=after,
        )
        for part in range(parts)
    ]


def whole(bodies: list[DataBody]) -> bytes:
    return b"".join(body.payload for body in bodies)


NAME = Whole(SENDER, 1)


def test_the_last_missing_fragment_makes_the_message_whole(bench: Bench) -> None:
    bodies = fragments(3)
    assert [bench.take(bodies[part]) for part in (2, 0)] == [Progress.HELD] * 2
    assert bench.whole(NAME) is None
    assert bench.take(bodies[1]) is Progress.WHOLE
    assert bench.whole(NAME) == whole(bodies)


def test_a_fragment_that_comes_again_is_held_and_charged_once(bench: Bench) -> None:
    bodies = fragments(3)
    assert [bench.take(bodies[0]) for _ in range(3)] == [Progress.HELD] * 3
    assert bench.allowance.used == FULL + 1


def test_what_is_finished_says_so_to_every_repetition_and_is_charged_no_more(bench: Bench) -> None:
    bodies = fragments(2)
    for body in bodies:
        bench.take(body)
    bench.core.finish(NAME, Verdict.DELIVERED)
    assert bench.allowance.used == 0
    assert [bench.take(body) for body in bodies] == [Progress.FINISHED] * 2
    assert bench.core.verdict(NAME) is Verdict.DELIVERED


def test_without_room_in_the_mailbox_only_the_last_fragment_is_repeated(bench: Bench) -> None:
    bodies = fragments(3)
    for body in bodies:
        bench.take(body)
    bench.core.hand_over(NAME, 1.0)
    bench.core.reopen(NAME)
    assert bench.whole(NAME) is None
    assert bench.allowance.used == 2 * (FULL + 1)
    assert bench.take(bodies[1], now=1.1) is Progress.HELD
    assert bench.take(bodies[2], now=1.1) is Progress.FULL, "it was offered just now"
    assert bench.take(bodies[2], now=1.0 + LIMITS.handing_pause) is Progress.WHOLE
    assert bench.whole(NAME) == whole(bodies)


def test_a_repetition_of_the_last_fragment_hands_the_message_over_again(bench: Bench) -> None:
    bodies = fragments(2)
    assert [bench.take(body) for body in (*bodies, bodies[1], bodies[0])] == [
        Progress.HELD,
        Progress.WHOLE,
        Progress.WHOLE,
        Progress.HELD,
    ]


@pytest.mark.parametrize(
    "liar",
    [
        replace(fragments(3)[0], payload=b"\x09" * FULL),
        fragments(4)[3],
        replace(fragments(2)[1], payload=b"other"),
        replace(fragments(3)[1], service=3),
    ],
    ids=["other bytes", "more parts", "fewer parts", "another service"],
)
def test_what_contradicts_the_others_is_not_kept_and_changes_nothing(bench: Bench, liar: DataBody) -> None:
    bodies = fragments(3)
    bench.take(bodies[0])
    charged = bench.allowance.used
    assert bench.take(liar) is Progress.UNFIT
    assert bench.allowance.used == charged
    assert [bench.take(body) for body in bodies[1:]] == [Progress.HELD, Progress.WHOLE]
    assert bench.whole(NAME) == whole(bodies)


def test_two_senders_may_use_the_same_id(bench: Bench) -> None:
    mine, yours = fragments(2), fragments(2, fill=100)
    for one, other in zip(mine, yours, strict=True):
        bench.take(one)
        bench.take(other, origin=OTHER)
    assert bench.whole(NAME) == whole(mine)
    assert bench.whole(Whole(OTHER, 1)) == whole(yours)


def test_a_sender_without_room_for_more_is_told_and_others_go_on(bench: Bench) -> None:
    greedy = [fragments(9, message)[0] for message in range(1, 10)]
    took = [bench.take(body) for body in greedy]
    assert took == [Progress.HELD] * 7 + [Progress.FULL] * 2
    assert len(bench.core) == 7
    assert bench.take(fragments(2)[0], origin=OTHER) is Progress.HELD


def test_what_makes_no_progress_is_given_up_and_its_charge_with_it(bench: Bench) -> None:
    bench.take(fragments(3)[0], now=0.0)
    bench.take(fragments(3, message=2)[0], now=5.0)
    bench.take(fragments(3)[0], now=29.0)  # nothing new
    assert bench.core.next_deadline() == LIMITS.idle
    assert bench.core.expire(LIMITS.idle - 0.1) == 0
    assert bench.core.expire(LIMITS.idle) == 1
    assert (len(bench.core), bench.allowance.used) == (1, FULL + 1)
    assert bench.core.expire(5.0 + LIMITS.idle) == 1
    assert (bench.core.next_deadline(), bench.allowance.used) == (None, 0)


def test_what_waits_for_something_else_is_not_given_up_while_its_sender_asks(bench: Bench) -> None:
    for body in fragments(2):
        bench.take(body, now=0.0)
    bench.core.touch(NAME, 20.0)
    assert bench.core.expire(LIMITS.idle) == 0
    assert bench.whole(NAME) is not None


def test_only_so_many_finished_messages_are_remembered(bench: Bench) -> None:
    for message in (1, 2, 3):
        for body in fragments(2, message):
            bench.take(body)
        bench.core.finish(Whole(SENDER, message), Verdict.DELIVERED)
    assert bench.take(fragments(2, 3)[0]) is Progress.FINISHED
    assert bench.take(fragments(2, 1)[0]) is Progress.HELD


def test_the_smallest_word_on_what_comes_before_is_the_latest(bench: Bench) -> None:
    first, second = fragments(2, message=9, after=8)
    name = Whole(SENDER, 9)
    bench.take(first)
    assert bench.core.after(name) == 8
    bench.take(replace(second, after=3))
    bench.take(first)
    assert bench.core.after(name) == 3


def test_what_is_charged_is_what_it_costs_however_small_the_fragments_are() -> None:
    allowance = Allowance(TRANSFER)
    core = Reassembly(allowance.account())
    tiny = replace(fragments(2)[1], part=MAX_PARTS - 1, parts=MAX_PARTS, payload=b"!")
    tracemalloc.start()
    for message in range(5000):
        assert core.take(SENDER, Trust.PINNED, replace(tiny, message=message), 0.0) is Progress.HELD
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < allowance.used


@given(st.data())
def test_any_order_and_repetition_gives_the_whole_once_all_parts_came(data: st.DataObject) -> None:
    bench = Bench()
    bodies = fragments(data.draw(st.integers(2, 6)))
    came: set[int] = set()
    for part in data.draw(st.lists(st.integers(0, len(bodies) - 1), max_size=25)):
        is_last = part not in came and len(came) == len(bodies) - 1
        progress = bench.take(bodies[part])
        came.add(part)
        assert progress in (Progress.HELD, Progress.WHOLE)
        assert not is_last or progress is Progress.WHOLE
        assert bench.allowance.used == sum(len(bodies[part].payload) + 1 for part in came)
        expected = whole(bodies) if len(came) == len(bodies) else None
        assert bench.whole(NAME) == expected
    bench.core.expire(LIMITS.idle)
    assert (len(bench.core), bench.allowance.used) == (0, 0)
