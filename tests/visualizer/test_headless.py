"""Pictures and films without a window."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import imageio.v2
import imageio_ffmpeg
import pygame
import pytest

from cicada.errors import Misuse, Unavailable
from visualizer.headless import Tape, film, shoot
from visualizer.instants import LAST, instant
from visualizer.limits import FILM
from visualizer.view import Theme, View

from .desks import swarm
from .shows import FakeFeed, FakeStage, FakeStory

SIZE = (320, 240)
TIMES = list(range(10_000, 20_001, 100))


class Drawn:
    """A tape, and the stage that drew it."""

    def __init__(self, times: Sequence[int] = TIMES) -> None:
        self.state = swarm()
        self.stages: list[FakeStage] = []
        feed = FakeFeed()
        feed.coming = list(times)
        self.tape = Tape(feed, FakeStory(self.state), self._make, SIZE)

    def _make(
        self, size: tuple[int, int], theme: Theme, keys: tuple[tuple[str, str], ...], *, patient: bool = False
    ) -> FakeStage:
        assert size == SIZE
        assert patient, "pictures are drawn wholly"
        self.stages.append(FakeStage(self.state, keys))
        return self.stages[-1]

    @property
    def instants(self) -> list[int]:
        return self.stages[-1].drawn


@pytest.mark.parametrize(
    ("when", "shown"), [("t=3s", 13_000), ("50%", 15_000), ("last", 20_000), ("first", 10_000)]
)
def test_a_picture_is_of_its_instant(tmp_path: Path, when: str, shown: int) -> None:
    drawn, view = Drawn(), View()
    assert shoot(drawn.tape, view, instant(when), tmp_path / "a.png") == ""
    assert drawn.instants == [shown]
    assert pygame.image.load(tmp_path / "a.png").get_size() == SIZE
    play = view.playback
    assert (play.live, play.at_ms, play.first_ms, play.last_ms) == (False, shown, 10_000, 20_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_instant_after_the_end_shows_the_end_and_says_so(tmp_path: Path) -> None:
    drawn = Drawn()
    note = shoot(drawn.tape, View(), instant("t=1h"), tmp_path / "a.png")
    assert drawn.instants == [20_000]
    assert "10.0 s long" in note


def test_a_display_of_somebody_else_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    shoot(Drawn().tape, View(), LAST, tmp_path / "a.png")
    assert os.environ["SDL_VIDEODRIVER"] == "x11"
    monkeypatch.delenv("SDL_VIDEODRIVER")
    shoot(Drawn().tape, View(), LAST, tmp_path / "a.png")
    assert "SDL_VIDEODRIVER" not in os.environ
    assert not pygame.display.get_init()


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.mp4"])
def test_a_picture_of_an_unknown_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misuse, match=r"ends with .png"):
        shoot(Drawn().tape, View(), LAST, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        shoot(Drawn().tape, View(), LAST, tmp_path / "nowhere" / "a.png")


def test_of_nothing_there_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nothing to see"):
        shoot(Drawn([]).tape, View(), LAST, tmp_path / "a.png")


@pytest.mark.parametrize(("name", "frames"), [("a.gif", FILM.gif_frames), ("a.mp4", FILM.frames)])
def test_a_film_has_its_length_and_speed(tmp_path: Path, name: str, frames: int) -> None:
    drawn = Drawn()
    shares: list[float] = []
    note = film(
        drawn.tape,
        View(),
        tmp_path / name,
        start=instant("20%"),
        end=instant("80%"),
        speed=4,
        progress=shares.append,
    )
    assert note == ""
    count = round(6 / 4 * frames)
    assert len(drawn.instants) == count
    assert drawn.instants[0] == 12_000
    assert 17_000 <= drawn.instants[-1] <= 18_000
    assert drawn.instants == sorted(drawn.instants)
    assert shares[-1] == 1
    assert pictures_in(tmp_path / name) == count


def pictures_in(path: Path) -> int:
    """How many a film has. They must be as large as what was drawn, neither turned nor mirrored."""
    if path.suffix == ".mp4":
        count, _ = imageio_ffmpeg.count_frames_and_secs(path)
        return int(count)
    pictures = imageio.v2.mimread(path)
    assert {picture.shape[:2] for picture in pictures} == {(SIZE[1], SIZE[0])}
    return len(pictures)


def test_a_film_from_an_instant_to_itself_is_one_picture(tmp_path: Path) -> None:
    drawn = Drawn()
    film(drawn.tape, View(), tmp_path / "a.gif", start=LAST, end=LAST)
    assert len(drawn.instants) == 1


def test_a_film_that_would_run_backwards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"--from is 9.0 s and --to 1.0 s after the beginning"):
        film(Drawn().tape, View(), tmp_path / "a.gif", start=instant("90%"), end=instant("10%"))
    assert not list(tmp_path.iterdir())


def test_a_film_that_would_be_endless_is_cut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visualizer.headless.FILM", type(FILM)(longest=0.5))
    drawn = Drawn()
    note = film(drawn.tape, View(), tmp_path / "a.gif")
    assert len(drawn.instants) == 0.5 * FILM.gif_frames
    assert "ends after 0.5 s of 10" in note


def test_a_film_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"\.mp4 or \.gif"):
        film(Drawn().tape, View(), tmp_path / "a.png")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(Unavailable, match=r"pip install 'cicada-swarm\[viz\]'"):
        film(Drawn().tape, View(), tmp_path / "a.mp4")


def test_a_film_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    for name in ("a.gif", "a.mp4"):
        with pytest.raises(Unavailable, match="nowhere"):
            film(Drawn().tape, View(), tmp_path / "nowhere" / name, start=instant("99%"))
