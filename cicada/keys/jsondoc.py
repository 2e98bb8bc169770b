"""What stands in a JSON document, with every mistake as an error at its line and column. No message shows a value."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final, Generic, TypeVar

import msgspec

from cicada.errors import ConfigError
from cicada.keys.jsonscan import Item, Kind, scan, shown

T = TypeVar("T")

_TYPES: Final[dict[Kind, str]] = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "true": "true",
    "false": "false",
    "null": "null",
}


class Parsed(msgspec.Struct, Generic[T], frozen=True):
    """What a text says, or else everything that is wrong with it: one of the two."""

    value: T | None = None
    errors: tuple[ConfigError, ...] = ()


class Reader:
    """Reads one document and keeps every mistake that is found in it. ``file`` is the name that errors give."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._errors: list[ConfigError] = []

    def result(self, value: T) -> Parsed[T]:
        """The value, or the mistakes in the order of the file if there were any."""
        if self._errors:
            ordered = sorted(self._errors, key=lambda error: (error.line, error.column))
            return Parsed(errors=tuple(ordered))
        return Parsed(value)

    def document(self, text: str) -> Item | None:
        """The top of the document; nothing when it is not JSON."""
        item, mistakes = scan(text)
        for mistake in mistakes:
            self._note(mistake.words, mistake.line, mistake.column)
        return item

    def wrong(self, item: Item, words: str) -> None:
        """Something is wrong with this value."""
        self._note(words, item.line, item.column)

    def table(self, item: Item, known: Sequence[str], where: str) -> dict[str, Item]:
        """The known fields of an object. Whatever else is there is a mistake; so is anything but an object."""
        if item.kind != "object":
            self.wrong(item, f"{where}: expected an object, got {_TYPES[item.kind]}")
            return {}
        for name, (line, column) in item.names.items():
            if name not in known:
                self._note(f"{where}: unknown field {shown(name)}{_near(name, known)}", line, column)
        return {name: value for name, value in item.fields.items() if name in known}

    def text(self, fields: dict[str, Item], name: str, where: str) -> str | None:
        """The text of a field; nothing, with a mistake noted, when it is another type. Missing fields are not looked at."""
        item = fields.get(name)
        if item is None:
            return None
        if not isinstance(item.value, str):
            self.wrong(item, f"{where}.{name}: expected text in quotes, got {_TYPES[item.kind]}")
            return None
        return item.value

    def number(self, fields: dict[str, Item], name: str, where: str) -> int | None:
        """The same for whole numbers from 0 on."""
        item = fields.get(name)
        if item is None:
            return None
        if type(item.value) is not int or item.value < 0:
            self.wrong(item, f"{where}.{name}: expected a whole number from 0 on")
            return None
        return item.value

    def entries(self, item: Item, where: str) -> list[Item]:
        """The entries of a list."""
        if item.kind != "array":
            self.wrong(item, f"{where}: expected a list, got {_TYPES[item.kind]}")
        return item.items

    def _note(self, words: str, line: int, column: int) -> None:
        self._errors.append(ConfigError(words, file=self._file, line=line, column=column))


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f': did you mean "{near[0]}"?' if near else f": there is {', '.join(known)}"
