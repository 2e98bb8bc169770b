"""Recordings are read whoever wrote them and whatever happened to them: never an error, always a notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cicada.bus.tolerant import Unknown
from cicada.errors import Unavailable
from cicada.events import Envelope
from cicada.limits import BUS
from visualizer.feed.history import History
from visualizer.feed.recorded import RecordedFeed

from .tellings import made_up, ring

Opened = Callable[[Path], RecordedFeed]


def written(path: Path, envelopes: list[Envelope]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(envelope) + b"\n" for envelope in envelopes))
    return path


@pytest.fixture
def opened() -> Iterator[Callable[[Path], RecordedFeed]]:
    """Opens feeds, and closes them after the test."""
    with ExitStack() as feeds:
        yield lambda path: feeds.enter_context(closing(RecordedFeed(path)))


def drained(feed: RecordedFeed, budget: int = 1_000) -> list[object]:
    items: list[object] = []
    while taken := feed.take(budget):
        items += taken
    return items


def test_a_recording_is_read_in_order_by_pieces(tmp_path: Path, opened: Opened) -> None:
    envelopes = ring(9)
    feed = opened(written(tmp_path / "any.jsonl", envelopes))
    assert (len(feed.take(10)), feed.at_end) == (10, False)
    assert (drained(feed, 10), feed.at_end) == (envelopes[10:], True)
    assert (feed.status.problem, feed.status.connected) == ("", True)
    feed.close()
    feed.close()
    assert feed.take(1) == []


def test_a_run_folder_is_its_recording(tmp_path: Path, opened: Opened) -> None:
    written(tmp_path / "events.jsonl", ring(2))
    assert len(drained(opened(tmp_path))) == len(ring(2))


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_what_is_not_there_is_said_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unavailable, match=r"cannot be read.*run folder"):
        RecordedFeed(tmp_path / name)


def test_a_recording_that_is_being_written_goes_on(tmp_path: Path, opened: Opened) -> None:
    path = written(tmp_path / "events.jsonl", ring(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    feed = opened(path)
    assert len(drained(feed)) == len(ring(2)) - 1
    assert feed.status.problem == "the last line has no end: it is being written, or its writer died"
    with path.open("ab") as file:
        file.write(whole[-20:])
    assert drained(feed) == ring(2)[-1:]
    assert feed.status.problem == ""


def test_what_is_no_event_is_passed_over_and_counted(tmp_path: Path, opened: Opened) -> None:
    path = written(tmp_path / "events.jsonl", ring(2))
    lines = path.read_bytes().splitlines(keepends=True)
    long = b'"' + b"x" * (BUS.max_event * 2) + b'"\n'
    bad = [b"{}\n", b"\xff\xfe\n", b"[1, 2]\n", b"[" * 50_000 + b"\n", long, b"\n"]
    path.write_bytes(b"".join([lines[0], *bad, *lines[1:]]))
    feed = opened(path)
    assert drained(feed) == ring(2)
    assert feed.malformed == 5
    assert feed.status.problem == "5 lines are no events (line 2 first)"


def test_a_newer_version_is_named_and_the_rest_is_shown(tmp_path: Path, opened: Opened) -> None:
    path = written(tmp_path / "events.jsonl", ring(1))
    strange = json.loads(path.read_bytes().splitlines()[0])
    newer = {**strange, "version": 99}
    strange["event"] = {"event": "PeerDreamt", "of": "sheep"}
    with path.open("a") as file:
        file.write(json.dumps(strange) + "\n" + json.dumps(newer) + "\n")
    feed = opened(path)
    items = drained(feed)
    assert [item.kind for item in items if isinstance(item, Unknown)] == ["PeerDreamt", "PeerStarted"]
    assert len(items) == len(ring(1)) + 2
    assert feed.status.problem == "not known to this version: 1 PeerDreamt, 1 PeerStarted"


def test_an_empty_recording_says_so(tmp_path: Path, opened: Opened) -> None:
    feed = opened(written(tmp_path / "events.jsonl", []))
    assert feed.take(1) == []
    assert feed.status.problem == "nothing was recorded"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_damaged_recording_is_read_to_its_end(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    path = written(tmp_path / "events.jsonl", list(made_up(rng, 30, endless=False)))
    raw = bytearray(path.read_bytes())
    for _ in range(rng.randrange(12)):
        start = rng.randrange(len(raw))
        piece = rng.choice((b"", b"\n", b"\x00", b'"', b"}", rng.randbytes(9), bytes(raw[:start][-200:])))
        raw[start : start + rng.choice((0, 1, 5, 60))] = piece
    path.write_bytes(bytes(raw[: rng.randrange(len(raw) + 1)]))
    feed, history = RecordedFeed(path), History(chunk=8)
    for item in drained(feed, 7):
        history.add(item)  # type: ignore[arg-type]
    assert feed.at_end
    assert feed.malformed == 0 or feed.status.problem
    assert history.end + feed.malformed <= raw.count(b"\n")
    feed.close()
