"""The rules of the tunnel: what a program sends is what the other one gets, in its order, within the windows, or it is told."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples.mesh_tunnel import (
    BURST,
    CHUNK,
    KEEPALIVE,
    STREAMS,
    WINDOW,
    Abort,
    Accepted,
    AnyFrame,
    Arrived,
    Broken,
    Credit,
    Data,
    Dial,
    Dialled,
    End,
    Finish,
    Open,
    Output,
    Reset,
    Say,
    Settled,
    Take,
    Taken,
    TimerFired,
    Tunnel,
    Write,
    Written,
    decode,
    encode,
)
from tests.samples.tunnels import LEFT, RIGHT, World
from tests.wire.mutations import MUTATIONS

HERE = 7


def opened(now: float = 0.0) -> Tunnel:
    tunnel = Tunnel()
    assert tunnel.handle(Accepted(HERE, RIGHT), now) == [Say(HERE, RIGHT, Open(7)), Take(HERE, CHUNK)]
    tunnel.handle(Settled(HERE), now)
    return tunnel


def exposed() -> Tunnel:
    tunnel = Tunnel(exposes=True)
    assert tunnel.handle(Arrived(RIGHT, Open(7)), 0.0) == [Dial(HERE)]
    return tunnel


def arrives(tunnel: Tunnel, frame: AnyFrame) -> list[Output]:
    return tunnel.handle(Arrived(RIGHT, frame), 0.0)


def test_what_a_program_sends_leaves_with_its_offset_and_then_more_is_read() -> None:
    tunnel = opened()
    assert tunnel.handle(Taken(HERE, b"abc"), 0.0) == [
        Say(HERE, RIGHT, Data(7, 0, b"abc")),
        Take(HERE, CHUNK),
    ]
    assert tunnel.handle(Taken(HERE, b"de"), 0.0)[0] == Say(HERE, RIGHT, Data(7, 3, b"de"))


def test_what_comes_before_the_program_is_dialled_is_kept_for_it() -> None:
    tunnel = exposed()
    assert arrives(tunnel, Data(7, 0, b"abc")) == []
    assert arrives(tunnel, End(7, 3)) == []
    assert tunnel.handle(Dialled(HERE), 0.0) == [Write(HERE, b"abc"), Finish(HERE), Take(HERE, CHUNK)]


def test_no_more_is_read_than_the_other_side_has_allowed() -> None:
    tunnel = opened()
    for _ in range(BURST):
        tunnel.handle(Taken(HERE, bytes(CHUNK)), 0.0)
        outputs = tunnel.handle(Settled(HERE), 0.0)
    assert outputs == []
    assert arrives(tunnel, Credit(7, WINDOW + 10)) == [Take(HERE, 10)]


def test_no_more_messages_of_a_stream_are_on_their_way_than_a_burst() -> None:
    tunnel = opened()
    said = 0
    outputs: list[Output] = [Take(HERE, CHUNK)]
    while any(isinstance(output, Take) for output in outputs):
        outputs = tunnel.handle(Taken(HERE, b"x"), 0.0)
        said += 1
    assert said == BURST
    assert tunnel.handle(Settled(HERE), 0.0) == [Take(HERE, CHUNK)]


def test_credit_follows_what_the_program_has_read_and_not_what_came() -> None:
    tunnel = opened()
    for index in range(BURST):
        assert arrives(tunnel, Data(7, index * CHUNK, bytes(CHUNK))) == [Write(HERE, bytes(CHUNK))]
    said = [output for _ in range(BURST) for output in tunnel.handle(Written(HERE, CHUNK), 0.0)]
    assert [Say(HERE, RIGHT, Credit(7, WINDOW + WINDOW // 4 * step)) for step in range(1, 5)] == said


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([Data(7, 1, b"x")], "a part of it is missing"),
        ([Data(7, 0, b"x"), Data(7, 0, b"x")], "a part of it is missing"),
        ([Data(7, 0, b"x"), End(7, 2)], "a part of it is missing"),
        ([End(7, 0), Data(7, 0, b"x")], "more came after its end"),
        ([Open(7)], "it was opened twice"),
        (
            [Data(7, i * CHUNK, bytes(CHUNK)) for i in range(BURST)] + [Data(7, WINDOW, b"x")],
            "more came than was allowed",
        ),
    ],
)
def test_a_stream_whose_bytes_do_not_fit_is_reset_on_both_sides(frames: list[AnyFrame], reason: str) -> None:
    tunnel = opened()
    *_, outputs = [arrives(tunnel, frame) for frame in frames]
    assert outputs == [Say(HERE, RIGHT, Reset(7, reason)), Abort(HERE, reason)]
    assert len(tunnel) == 0


def test_one_way_may_end_long_before_the_other() -> None:
    tunnel = opened()
    assert tunnel.handle(Taken(HERE, b""), 0.0) == [Say(HERE, RIGHT, End(7, 0))]
    assert arrives(tunnel, Data(7, 0, b"late")) == [Write(HERE, b"late")]
    assert arrives(tunnel, End(7, 4)) == [Finish(HERE)]
    assert len(tunnel) == 0


def test_a_program_that_cannot_be_dialled_resets_the_other_end() -> None:
    tunnel = exposed()
    outputs = tunnel.handle(Dialled(HERE, "refused"), 0.0)
    assert outputs == [Say(HERE, RIGHT, Reset(7, "refused")), Abort(HERE, "refused")]


def test_a_broken_connection_and_a_message_that_failed_reset_the_stream() -> None:
    tunnel = opened()
    assert Say(HERE, RIGHT, Reset(7, "gone")) in tunnel.handle(Broken(HERE, "gone"), 0.0)
    tunnel = opened()
    tunnel.handle(Taken(HERE, b"abc"), 0.0)
    assert Abort(HERE, "timed out") in tunnel.handle(Settled(HERE, "timed out"), 0.0)


def test_a_reset_ends_the_stream_and_is_not_answered() -> None:
    tunnel = opened()
    assert arrives(tunnel, Reset(7, "gone")) == [Abort(HERE, "gone")]
    assert arrives(tunnel, Reset(7, "gone")) == []


def test_what_is_said_of_an_unknown_stream_is_answered_by_a_reset() -> None:
    assert arrives(Tunnel(), Credit(7, 1)) == [Say(HERE, RIGHT, Reset(7, "there is no such connection"))]


def test_where_nothing_is_exposed_nothing_can_be_opened() -> None:
    assert arrives(Tunnel(), Open(7)) == [Say(HERE, RIGHT, Reset(7, "nothing is exposed here"))]


def test_there_are_only_so_many_streams() -> None:
    tunnel = Tunnel(exposes=True)
    for number in range(STREAMS):
        assert arrives(tunnel, Open(number)) == [Dial(number)]
    last = STREAMS
    assert arrives(tunnel, Open(STREAMS)) == [Say(last, RIGHT, Reset(STREAMS, "too many connections"))]
    assert tunnel.handle(Accepted(last, RIGHT), 0.0) == [Abort(last, "too many connections")]


def test_a_peer_that_has_another_address_now_is_answered_there() -> None:
    tunnel = opened()
    assert tunnel.handle(Arrived(LEFT, Data(7, 0, b"abc")), 0.0) == [Write(HERE, b"abc")]
    assert tunnel.handle(Taken(HERE, b"xyz"), 0.0)[0] == Say(HERE, LEFT, Data(7, 0, b"xyz"))


def test_a_quiet_stream_repeats_its_credit_but_not_while_something_is_on_its_way() -> None:
    tunnel = opened(now=100.0)
    assert tunnel.handle(TimerFired(), 100.0 + KEEPALIVE - 0.1) == []
    assert tunnel.handle(TimerFired(), 100.0 + KEEPALIVE) == [Say(HERE, RIGHT, Credit(7, WINDOW))]
    assert tunnel.handle(TimerFired(), 100.0 + 3 * KEEPALIVE) == []
    tunnel.handle(Settled(HERE), 100.0 + 3 * KEEPALIVE)
    assert tunnel.handle(TimerFired(), 100.0 + 3 * KEEPALIVE) == [Say(HERE, RIGHT, Credit(7, WINDOW))]


def test_bytes_of_strangers_are_frames_or_nothing() -> None:
    rng = Random(20261130)
    honest = [
        encode(frame)
        for frame in (Open(7), Data(7, 300, b"abc"), End(7, 9), Credit(7, WINDOW), Reset(7, "gone: \u00e4"))
    ]
    understood = 0
    for _ in range(4000):
        frame = decode(rng.choice(MUTATIONS)(rng, rng.choice(honest)))
        if frame is not None:
            understood += 1
            assert decode(encode(frame)) == frame
    assert 40 < understood < 3600, "the mutations no longer probe both sides of the border"


@pytest.mark.parametrize(
    "raw",
    [b"\x93\x05\x05\xa2\xff\xfe", b"\x93\x05\x05" + b"\x91" * 5000, b"\x93\x02\x05" + b"\x81" * 5000],
    ids=["no UTF-8", "nested arrays", "nested maps"],
)
def test_what_msgspec_raises_other_errors_for_is_no_frame_either(raw: bytes) -> None:
    assert decode(raw) is None


def test_a_frame_beyond_its_bounds_is_none() -> None:
    for value in (
        [2, 1, 0, b""],
        [2, 1, 0, bytes(CHUNK + 1)],
        [2, -1, 0, b"x"],
        [5, 1, "x" * 201],
        [9, 1],
        3,
    ):
        assert decode(msgspec.msgpack.encode(value)) is None


SENT = st.integers(0, 3 * WINDOW).map(
    lambda size: bytes(index % 251 for index in range(size % 997)) * (size // 997 + 1)
)
STREAMS_OF_TWO = st.lists(st.tuples(SENT, SENT), min_size=1, max_size=3)


@given(STREAMS_OF_TWO, st.integers(0, 2**32))
def test_without_losses_every_program_gets_what_the_other_sent(
    sent: list[tuple[bytes, bytes]], seed: int
) -> None:
    world = World(sent, Random(seed))
    while world.step():
        for end in world.ends.values():
            assert all(end.waiting_to_be_written(number) <= WINDOW for number in end.programs)
    left, right = world.ends.values()
    for number, (there, back) in enumerate(sent):
        assert (right.programs[number].got, left.programs[number].got) == (there, back)
    assert left.finished == right.finished == set(range(len(sent)))
    assert (len(left.tunnel), len(right.tunnel)) == (0, 0)


@given(STREAMS_OF_TWO, st.integers(0, 2**32), st.sampled_from([0.01, 0.1, 0.5]))
def test_with_losses_programs_get_what_was_sent_up_to_a_reset(
    sent: list[tuple[bytes, bytes]], seed: int, loss: float
) -> None:
    world = World(sent, Random(seed), loss)
    world.run()
    left, right = world.ends.values()
    for number, (there, back) in enumerate(sent):
        for end, whole in ((right, there), (left, back)):
            program = end.programs[number]
            assert whole.startswith(program.got)
            assert number not in end.finished or program.got == whole
