"""The reference pages say what the source says, and have a place for every public name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import cicada
from tests.references import BEGIN, END, all_limits, commands, configuration, prose, shown, table, way

REFERENCE: Final = Path(__file__).parent.parent / "docs" / "reference"


@pytest.mark.parametrize(
    ("page", "content"),
    [("commands", commands), ("configuration", configuration), ("limits", all_limits)],
    ids=["commands", "configuration", "limits"],
)
def test_a_reference_page_is_what_the_source_says(
    page: str, content: Callable[[], str], rewrite: bool
) -> None:
    path = REFERENCE / f"{page}.md"
    text = path.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    current = head + BEGIN + content() + END + tail
    if rewrite:
        path.write_text(current)
    assert path.read_text() == current


def test_every_public_name_has_its_place_in_the_reference() -> None:
    text = (REFERENCE / "python.md").read_text()
    named = {
        name.rpartition(".")[2] for name in re.findall(r"^\.\. autoclass:: ([\w.]+)$", text, re.MULTILINE)
    }
    assert ".. automodule:: cicada.errors\n   :members:" in text
    errors = {
        name for name in cicada.__all__ if getattr(getattr(cicada, name), "__module__", "") == "cicada.errors"
    }
    assert {*cicada.__all__} - named - errors == {"aio", "__version__"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, "integer, from 1 to 9"),
        ({"enum": ["a", "b"]}, '`"a"`, `"b"`'),
        ({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "string"}]}, "number or text"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "number", "exclusiveMinimum": 0}, "number, above 0"),
        ({}, "any"),
    ],
)
def test_values_are_described_as_people_write_them(schema: dict[str, object], words: str) -> None:
    assert way(schema) == words


def test_a_cell_cannot_break_its_table() -> None:
    assert table(("a",), [("x | y\nz",)]) == "| a |\n| --- |\n| x \\| y z |\n"
    assert table(("a",), []) == ""


def test_examples_of_a_help_text_keep_their_lines() -> None:
    text = "What it does.\n\n\b\n  cicada one\n  cicada two\n\nMore."
    assert prose(text) == "What it does.\n\n    cicada one\n    cicada two\n\nMore.\n"


def test_numbers_are_written_for_people() -> None:
    assert (shown(65536), shown(0.5), shown(True), shown("a")) == ("65,536", "0.5", "`True`", "`'a'`")
