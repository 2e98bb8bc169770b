"""Stories of the ring as transcripts: every line of output stands in the file. ``--rewrite`` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from cicada.errors import Misuse
from cicada.sim.script import PROMPT, play

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_story_goes_as_it_is_written(file: Path, rewrite: bool) -> None:
    told = file.read_text()
    happened = play(told)
    if rewrite:
        file.write_text(happened)
    assert happened == told or rewrite, (
        f"review the diff of: make test ARGS='--rewrite tests/scenarios'; {file.name}"
    )


def test_the_stories_were_found_and_end_well() -> None:
    assert len(FILES) >= 8
    for file in FILES:
        assert "not ideal" not in file.read_text(), file.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_story_differs_with_another_seed(file: Path) -> None:
    lines = file.read_text().splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith(PROMPT))
    lines[first] += " seed=2"
    assert play("\n".join(lines)).splitlines()[first + 1 :] != lines[first + 1 :]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("fly a", "no such command"),
        ("join b z", "no peer z"),
        ("run fast", "not a time"),
        ("crash a", "down"),
        ("peers d e", "already"),
        ("show everything", "show ring"),
        ("send a", "line 2"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line: str, word: str) -> None:
    with pytest.raises(Misuse, match=word) as caught:
        play(f"> peers a b c\n> {line}")
    assert "line 2" in str(caught.value)


def test_peers_have_names_before_anything_is_done_to_them() -> None:
    with pytest.raises(Misuse, match="name the peers first"):
        play("> add a")


@pytest.mark.parametrize("same", ["90s", "90", "1.5m", "90000ms"])
def test_spans_of_time_are_written_as_everywhere_else(same: str) -> None:
    script = "> peers a b c\n> warm age=1h\n> run {}\n> show ring\n"
    assert play(script.format(same)).splitlines()[3:] == play(script.format("90s")).splitlines()[3:]


def test_old_output_is_replaced_and_comments_stay() -> None:
    script = "# why\n\n> peers a\n> add a\n    nonsense\n"
    played = play(script)
    assert played.startswith("# why\n\n> peers a\n> add a\n")
    assert "nonsense" not in played
    assert play(played) == played
