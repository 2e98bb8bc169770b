"""Where the command line enters: in which order a window is used, and what only a window needs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import visualizer.app
import visualizer.draw.pace
from cicada.errors import Unavailable
from visualizer.app import Show
from visualizer.entry import Look, Recorded, shoot, watch
from visualizer.instants import LAST

from .tellings import ring


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    lines = [msgspec.json.encode(envelope) for envelope in ring(3)]
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


class FakeWindow:
    """Keeps what is done with it."""

    done: list[str]
    fails = False

    def __init__(self, show: Show, *_: object, **__: object) -> None:
        self._show = show

    def open(self) -> None:
        self.done.append("open")
        if self.fails:
            raise Unavailable("no display")

    def run(self) -> None:
        self.done.append("run")

    def close(self) -> None:
        self._show.commander.close()
        self._show.feed.close()
        self.done.append("close")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    monkeypatch.setattr(FakeWindow, "done", done, raising=False)
    monkeypatch.setattr(visualizer.app, "Window", FakeWindow)
    monkeypatch.setattr(visualizer.draw.pace, "calm_collector", lambda: done.append("calm"))
    return done


def test_a_window_runs_with_a_calm_collector(recording: Path, done: list[str]) -> None:
    watch(Recorded("x", recording), Look())
    assert done == ["open", "calm", "run", "close"]


def test_where_no_window_can_be_opened_the_collector_is_left_as_it_was(
    recording: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeWindow, "fails", True)
    with pytest.raises(Unavailable):
        watch(Recorded("x", recording), Look())
    assert done == ["open", "close"]


def test_a_picture_without_a_window_leaves_the_collector_as_it_was(
    recording: Path, done: list[str], tmp_path: Path
) -> None:
    shoot(Recorded("x", recording), Look(size=(320, 240)), LAST, tmp_path / "a.png")
    assert done == []
