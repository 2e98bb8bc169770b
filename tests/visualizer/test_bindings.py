"""The table of keys: complete, without double meanings, changeable, and the same in the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from cicada.errors import Misuse
from visualizer.controls.bindings import BINDINGS, MOUSE, Bindings
from visualizer.controls.inputs import Key

from .desks import Hand

PAGE: Final = Path(__file__).parents[2] / "docs" / "watch.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
ORIGINAL: Final = {
    "r": "join-all",
    "j": "join",
    "l": "lookup",
    "f": "fingers",
    "p": "known",
    "b": "broadcast",
    "a": "add",
    "d": "disconnect",
    "s": "select",
    "escape": "select",
    "q": "quit",
}


def test_no_key_does_two_things_and_no_name_is_there_twice() -> None:
    keys = [key for binding in BINDINGS for key in binding.keys]
    names = [binding.name for binding in BINDINGS]
    assert len(keys) == len(set(keys))
    assert len(names) == len(set(names))
    assert len({binding.line for binding in BINDINGS}) == len(BINDINGS), "each is explained in its own words"


def test_the_keys_of_the_original_do_what_they_did() -> None:
    owners = {key: binding.name for binding in BINDINGS for key in binding.keys}
    assert {key: owners[key] for key in ORIGINAL} == ORIGINAL


@pytest.mark.parametrize(
    "key", [Key("k", "k"), Key("k", "K", shift=True), Key("escape"), Key("/", "?", shift=True)]
)
def test_what_a_key_types_counts_and_capitals_do_not(key: Key) -> None:
    assert Bindings().handler(key) is not None


def test_a_key_that_types_another_character_on_another_keyboard_is_that_character() -> None:
    """On a German keyboard ? is on the key that is called ß."""
    table = Bindings()
    assert table.handler(Key("ß", "?", shift=True)) == table.handler(Key("/", "?", shift=True))
    assert table.handler(Key("unknown key")) is None


def test_the_sheet_has_every_binding_and_digits_in_one_row() -> None:
    text = "\n".join(f"{keys}: {line}" for keys, line in Bindings().lines())
    for binding in BINDINGS:
        if not binding.name.startswith("kind-"):
            assert binding.line in text
    assert "1-9: show or hide a kind of event, as numbered on the left" in text
    assert len(MOUSE) == sum(line in MOUSE for line in Bindings().lines())


def test_keys_can_be_changed_by_name() -> None:
    changed = Bindings().changed({"kill": "Delete", "pause": ["space", "w"]})
    hand = Hand(bindings=changed)
    hand.click("core-1")
    assert hand.press("k") == []
    assert len(hand.press("delete")) == 1
    assert ("DELETE", "the selected die without a farewell") in changed.lines()
    assert ("Space W", "time stands still, or goes on") in changed.lines()


def test_everything_that_is_wrong_with_changed_keys_is_said_at_once() -> None:
    with pytest.raises(Misuse) as wrong:
        Bindings().changed({"kil": "k", "add": "q", "heal": 7, "find": "hyper"})
    text = str(wrong.value)
    assert "nothing is called 'kil': did you mean 'kill'?" in text
    assert "Q would do two things: add and quit" in text
    assert "heal: write one key, or a list of keys" in text
    assert "find: there is no key 'hyper'" in text


def test_the_page_has_the_sheet_of_these_keys(rewrite: bool) -> None:
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    current = head + BEGIN + sheet() + END + tail
    if rewrite:
        PAGE.write_text(current)
    assert PAGE.read_text() == current


def sheet() -> str:
    """As Markdown. The last column is what ``--keys`` calls it."""
    names = {binding.line: f"`{binding.name}`" for binding in BINDINGS}
    parts = []
    for title, rows in Bindings().sheet():
        parts += [f"### {title}\n", "| key | what it does | name |", "|---|---|---|"]
        known = names if rows != list(MOUSE) else {}
        parts += [f"| {keys} | {line} | {known.get(line) or several(keys)} |" for keys, line in rows]
        parts.append("")
    return "\n".join(parts)


def several(keys: str) -> str:
    """The names of what is in one row."""
    return "`kind-ring` to `kind-run`" if keys == "1-9" else ""
