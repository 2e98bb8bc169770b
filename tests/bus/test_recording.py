"""A recording holds every envelope as one line, and survives whatever kills its writer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cicada.bus.proxy import BusProxy
from cicada.bus.recording import Recorder, read_recording, record
from cicada.bus.subscriber import Subscriber
from cicada.bus.topics import state_topics
from cicada.errors import Unavailable
from cicada.events import AnyEvent, Envelope, EventsLost, MessageSettled, PhaseChanged, SuccessorsChanged
from cicada.limits import BusLimits

from .conftest import CountingClock, Open, phase, until, until_wanted


def envelope(sequence: int, event: AnyEvent | None = None) -> Envelope:
    return Envelope(source="a", sequence=sequence, time_ms=1, peer="core-1", event=event or phase(sequence))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "events.jsonl", clock=CountingClock())
    recorder.open()
    yield recorder
    recorder.close()


ENVELOPES = st.builds(
    envelope,
    sequence=st.integers(0, 2**53),
    event=st.one_of(
        st.builds(PhaseChanged, phase=st.text(max_size=20), reason=st.text(max_size=20)),
        st.builds(SuccessorsChanged, successors=st.lists(st.text(max_size=20), max_size=5).map(tuple)),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENVELOPES, max_size=20))
def test_what_is_recorded_is_read_back_in_order(tmp_path: Path, envelopes: list[Envelope]) -> None:
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    recorder = Recorder(path, clock=CountingClock())
    recorder.open()
    for one in envelopes:
        recorder.append(one)
    recorder.close()
    assert list(read_recording(path)) == envelopes


def test_cut_anywhere_a_recording_reads_as_its_whole_lines(tmp_path: Path, recorder: Recorder) -> None:
    for number in range(3):
        recorder.append(envelope(number))
    recorder.close()
    whole = (tmp_path / "events.jsonl").read_bytes()
    torn = tmp_path / "torn.jsonl"
    for cut in range(len(whole) + 1):
        torn.write_bytes(whole[:cut])
        expected = [envelope(number) for number in range(whole[:cut].count(b"\n"))]
        assert list(read_recording(torn)) == expected


def test_a_recording_opened_again_loses_its_torn_line_and_goes_on(tmp_path: Path, recorder: Recorder) -> None:
    path = tmp_path / "events.jsonl"
    recorder.append(envelope(1))
    recorder.append(envelope(2))
    recorder.close()
    path.write_bytes(path.read_bytes()[:-7])
    again = Recorder(path, clock=CountingClock())
    again.open()
    again.append(envelope(3))
    again.close()
    assert list(read_recording(path)) == [envelope(1), envelope(3)]


def test_a_damaged_line_is_named(tmp_path: Path, recorder: Recorder) -> None:
    path = tmp_path / "events.jsonl"
    recorder.append(envelope(1))
    recorder.close()
    path.write_bytes(path.read_bytes() + b"{}\n" + path.read_bytes())
    with pytest.raises(Unavailable, match=r"events\.jsonl:2: not an event"):
        list(read_recording(path))


def test_a_recording_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        list(read_recording(tmp_path / "events.jsonl"))


def test_a_folder_that_is_not_there_cannot_be_recorded_in(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be recorded"):
        Recorder(tmp_path / "missing" / "events.jsonl", clock=CountingClock()).open()


def test_an_event_is_in_the_file_after_a_flush_and_not_before(tmp_path: Path, recorder: Recorder) -> None:
    recorder.append(envelope(1))
    assert list(read_recording(tmp_path / "events.jsonl")) == []
    recorder.flush()
    assert list(read_recording(tmp_path / "events.jsonl")) == [envelope(1)]


def test_a_full_piece_is_written_without_being_told(tmp_path: Path) -> None:
    recorder = Recorder(
        tmp_path / "events.jsonl", clock=CountingClock(), limits=BusLimits(recording_flush_bytes=1)
    )
    recorder.open()
    recorder.append(envelope(1))
    assert list(read_recording(tmp_path / "events.jsonl")) == [envelope(1)]
    recorder.close()


def test_a_full_recording_says_so_and_counts_what_it_drops(tmp_path: Path) -> None:
    limits = BusLimits(recording_max=1000)
    recorder = Recorder(tmp_path / "events.jsonl", clock=CountingClock(), limits=limits)
    recorder.open()
    for number in range(100):
        recorder.append(envelope(number))
    recorder.close()
    *kept, last = read_recording(tmp_path / "events.jsonl")
    assert kept == [envelope(number) for number in range(len(kept))]
    assert isinstance(last.event, EventsLost)
    assert len(kept) + recorder.dropped == 100
    assert (tmp_path / "events.jsonl").stat().st_size < 1000 + 300


async def test_a_swarms_state_is_recorded_and_its_traffic_is_not(
    tmp_path: Path, proxy: BusProxy, publisher_of: Open, recorder: Recorder
) -> None:
    publisher = publisher_of()
    limits = BusLimits(recording_flush=0.01)
    async with Subscriber(proxy.subscribers, state_topics()) as subscriber:
        task = asyncio.create_task(record(subscriber, recorder, limits=limits))
        await until_wanted(publisher, PhaseChanged)
        publisher.publish("core-1", settled())
        publisher.publish("core-1", phase(1))
        await until(lambda: bool(list(read_recording(tmp_path / "events.jsonl"))))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [one.event for one in read_recording(tmp_path / "events.jsonl")] == [phase(1)]


class Resting(Subscriber):
    """One that rests while something has come."""

    def __init__(self) -> None:
        super().__init__("ipc://nowhere")
        self.is_asked = asyncio.Event()

    async def receive(self, timeout: float | None) -> Envelope:
        self.is_asked.set()
        return await asyncio.Future()

    def at_hand(self) -> Iterator[Envelope]:
        yield envelope(1)


async def test_what_has_come_is_recorded_though_the_recording_ends_meanwhile(
    tmp_path: Path, recorder: Recorder
) -> None:
    resting = Resting()
    task = asyncio.create_task(record(resting, recorder))
    await resting.is_asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert list(read_recording(tmp_path / "events.jsonl")) == [envelope(1)]


def settled() -> MessageSettled:
    return MessageSettled(message=1, status="delivered", reason="", attempts=1, hops=2, round_trip_s=0.1)
