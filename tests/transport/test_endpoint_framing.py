"""Frames cut from a byte stream, and the table of strangers: the pure parts of the endpoint."""

from __future__ import annotations

import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import PeerFault, Unavailable
from cicada.limits import ENDPOINT, WIRE
from cicada.transport.base import ConnectionId
from cicada.transport.descriptors import budget_of
from cicada.transport.framing import FrameSplitter
from cicada.transport.strangers import Strangers, source_of
from cicada.wire.frames import HEADER, LENGTH, PREFIXED, Frame, FrameType, decode_frame, encode_frame

frames_strategy = st.lists(
    st.builds(
        encode_frame,
        st.sampled_from(FrameType),
        st.integers(0, (1 << 32) - 1),
        st.integers(0, (1 << 64) - 1),
        st.binary(max_size=60),
    ),
    max_size=8,
)


def split(chunks: list[bytes], max_frame: int = WIRE.max_frame) -> tuple[list[Frame], str]:
    """All frames of a stream that comes in these chunks, and the fault that ended it."""
    splitter = FrameSplitter(max_frame)
    frames: list[Frame] = []
    for chunk in chunks:
        try:
            splitter.feed(chunk, frames)
        except PeerFault as fault:
            return frames, fault.reason
    return frames, ""


def cut_at(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(frames_strategy, st.lists(st.integers(0, 2000), max_size=12))
def test_frames_are_the_same_however_the_stream_is_cut(encoded: list[bytes], places: list[int]) -> None:
    expected = [decode_frame(raw[LENGTH.size :]) for raw in encoded]
    stream = b"".join(encoded)
    assert split(cut_at(stream, places)) == (expected, "")
    assert split([stream[n : n + 1] for n in range(len(stream))]) == (expected, "")


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_give_the_same_frames_and_the_same_fault_however_cut(
    stream: bytes, places: list[int]
) -> None:
    whole = split([stream])
    assert split(cut_at(stream, places)) == whole
    assert split([stream[n : n + 1] for n in range(len(stream))]) == whole


@pytest.mark.parametrize("length", [0, HEADER.size - 1, WIRE.max_frame + 1, (1 << 32) - 1])
def test_a_wrong_length_is_noticed_with_its_fourth_byte(length: int) -> None:
    good = encode_frame(FrameType.DATA, 1, 2, b"good")
    claim = LENGTH.pack(length)
    for chunks in ([good + claim], [good, claim], [good, claim[:3], claim[3:]]):
        frames, fault = split(chunks)
        assert [frame.body for frame in frames] == [b"good"]
        assert fault == "frame-size"


@pytest.mark.parametrize("number", [0, 13, 255])
def test_an_unknown_type_is_a_fault_after_the_frames_before_it(number: int) -> None:
    good = encode_frame(FrameType.DATA, 1, 2, b"good")
    frames, fault = split([good + PREFIXED.pack(HEADER.size, number, 0, 0) + good])
    assert [frame.body for frame in frames] == [b"good"]
    assert fault == "frame-type"


def test_a_stream_has_no_second_chance() -> None:
    splitter = FrameSplitter(WIRE.max_frame)
    frames: list[Frame] = []
    for chunk in (bytes(4), encode_frame(FrameType.DATA, 1, 2, b"good")):
        with pytest.raises(PeerFault, match="frame-size"):
            splitter.feed(chunk, frames)
    assert frames == []


def test_the_shortest_and_the_longest_frame_fit() -> None:
    for body in (b"", b"x" * (WIRE.max_frame - HEADER.size)):
        frames, fault = split([encode_frame(FrameType.PING, 1, 2, body)])
        assert [frame.body for frame in frames] == [body]
        assert fault == ""


def test_the_limit_can_be_raised_between_chunks() -> None:
    splitter = FrameSplitter(100)
    frames: list[Frame] = []
    splitter.feed(encode_frame(FrameType.DATA, 1, 2, b"x" * 80), frames)
    splitter.max_frame = 1000
    splitter.feed(encode_frame(FrameType.DATA, 1, 2, b"x" * 800), frames)
    assert len(frames) == 2


def test_splitting_takes_time_proportional_to_the_bytes() -> None:
    def seconds(size: int) -> float:
        stream = encode_frame(FrameType.DATA, 1, 2, b"x" * size)
        best = float("inf")
        for _ in range(5):
            started = time.process_time()
            assert split([stream[n : n + 2] for n in range(0, len(stream), 2)])[1] == ""
            best = min(best, time.process_time() - started)
        return best

    assert seconds(64_000) < 40 * seconds(
        4_000
    )  # 16 times the bytes; 256 times if every chunk copied the rest


def test_sources_are_ipv4_addresses_and_ipv6_sites() -> None:
    assert source_of("192.0.2.1") != source_of("192.0.2.2")
    assert source_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1")
    assert source_of("2001:db8::1") != source_of("2001:db8:0:1::1")
    assert source_of("::1") == "::1"
    assert source_of("fe80::1%eth0") == source_of("fe80::2%eth0")


def table(most: int = 100, **changes: float) -> Strangers:
    return Strangers(msgspec.structs.replace(ENDPOINT, **changes), most)


def test_the_oldest_stranger_of_a_full_source_makes_way() -> None:
    strangers = table(unauthenticated_per_source=2)
    assert strangers.admit(ConnectionId(1), "192.0.2.1", 0.0) is None
    assert strangers.admit(ConnectionId(2), "192.0.2.9", 0.0) is None
    assert strangers.admit(ConnectionId(3), "192.0.2.9", 1.0) is None
    assert strangers.admit(ConnectionId(4), "192.0.2.9", 2.0) == (ConnectionId(2), "strangers-per-source")
    assert ConnectionId(2) not in strangers
    assert len(strangers) == 3


def test_the_oldest_of_all_makes_way_when_all_room_is_taken() -> None:
    strangers = table(most=3)
    for n in range(3):
        assert strangers.admit(ConnectionId(n), f"192.0.2.{n}", float(n)) is None
    assert strangers.admit(ConnectionId(9), "192.0.2.9", 9.0) == (ConnectionId(0), "strangers")
    assert strangers.oldest() == ConnectionId(1)


def test_loopback_has_a_limit_of_its_own() -> None:
    strangers = table(most=1000, unauthenticated_per_source=1, unauthenticated_per_loopback=5)
    for source, most in (("127.0.0.7", 5), ("::1", 5), ("192.0.2.1", 1), ("reset", 1)):
        for n in range(most):
            assert strangers.admit(ConnectionId(hash((source, n))), source, 0.0) is None
        assert strangers.admit(ConnectionId(hash((source, most))), source, 0.0) is not None


def test_strangers_expire_in_the_order_they_came() -> None:
    strangers = table(unauthenticated_seconds=5.0)
    strangers.admit(ConnectionId(1), "192.0.2.1", 0.0)
    strangers.admit(ConnectionId(2), "192.0.2.2", 3.0)
    assert strangers.expired(4.9) == []
    assert strangers.expired(5.0) == [ConnectionId(1)]
    strangers.remove(ConnectionId(1))
    strangers.remove(ConnectionId(1))
    assert strangers.expired(8.0) == [ConnectionId(2)]


def test_descriptors_are_shared_out_with_room_to_spare() -> None:
    budget = budget_of(1000, ENDPOINT)
    assert (budget.connections, budget.strangers) == (500, 250)
    assert budget.listeners + budget.connections + ENDPOINT.reserved_descriptors == 1000
    budget.check_listeners(budget.listeners)
    with pytest.raises(Unavailable, match="descriptor limit too low") as caught:
        budget.check_listeners(budget.listeners + 10)
    advised = int(str(caught.value).partition("ulimit -n ")[2].partition(")")[0])
    budget_of(advised, ENDPOINT).check_listeners(budget.listeners + 10)
