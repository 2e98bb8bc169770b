"""JSON (RFC 8259) with positions. Written because tree-sitter's grammar does not know numbers such as 1e+16.

No message shows a value, because values may be secrets; nor a name that is as long as one.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Final, Literal, NoReturn

import msgspec

Kind = Literal["object", "array", "string", "number", "true", "false", "null"]

_DEEPEST: Final = 16
_LONGEST_NAME: Final = 24
_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[a-z]+")
_WORDS: Final[dict[str, Kind]] = {"true": "true", "false": "false", "null": "null"}


class Mistake(msgspec.Struct, frozen=True):
    """What is wrong, and where. Lines and columns count from 1; columns are characters."""

    line: int
    column: int
    words: str


class Item:
    """One value of a document: its type, where it starts, and what is in it. Its ``repr`` shows nothing of that."""

    __slots__ = ("column", "fields", "items", "kind", "line", "names", "value")

    def __init__(self, kind: Kind, line: int, column: int) -> None:
        self.kind = kind
        self.line = line
        self.column = column
        self.value: object = None
        """Of text, numbers, true, false and null."""
        self.items: list[Item] = []
        self.fields: dict[str, Item] = {}
        self.names: dict[str, tuple[int, int]] = {}
        """Line and column of each field's name."""


def scan(text: str) -> tuple[Item | None, list[Mistake]]:
    """The document and what is wrong with it. Comments and names that stand twice hide no other mistakes; where the text
    is not JSON there is no document."""
    scanner = _Scanner(text)
    try:
        return scanner.document(), scanner.mistakes
    except _NotJsonError as error:
        return None, [*scanner.mistakes, error.mistake]


def shown(name: str) -> str:
    """A field's name in a message. A long one may be a key at the wrong place."""
    return json.dumps(name) if len(name) <= _LONGEST_NAME else f"of {len(name)} characters"


class _NotJsonError(Exception):
    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.words)
        self.mistake = mistake


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.mistakes: list[Mistake] = []

    def document(self) -> Item:
        self._skip()
        item = self._value(0)
        if self._at < len(self._text):
            self._fail("the document ended before this")
        return item

    def _where(self, at: int) -> tuple[int, int]:
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1

    def _note(self, at: int, words: str) -> None:
        self.mistakes.append(Mistake(*self._where(at), words))

    def _fail(self, words: str) -> NoReturn:
        raise _NotJsonError(Mistake(*self._where(self._at), f"not valid JSON: {words}"))

    def _skip(self) -> None:
        """Pass white space and comments."""
        self._at = _end(_SPACE, self._text, self._at)
        while comment := _COMMENT.match(self._text, self._at):
            self._note(self._at, "JSON has no comments: delete this one")
            self._at = _end(_SPACE, self._text, comment.end())

    def _takes(self, mark: str) -> bool:
        """Whether the next thing is this mark; then it and the space behind it are passed."""
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        self._skip()
        return True

    def _value(self, depth: int) -> Item:
        if depth > _DEEPEST:
            self._fail("nested too deeply")
        where = self._where(self._at)
        if self._takes("{"):
            return self._object(Item("object", *where), depth)
        if self._takes("["):
            return self._array(Item("array", *where), depth)
        return self._scalar(where)

    def _scalar(self, where: tuple[int, int]) -> Item:
        word = _WORD.match(self._text, self._at)
        if word and word[0] in _WORDS:
            item = Item(_WORDS[word[0]], *where)
            self._at = word.end()
            item.value = json.loads(word[0])
        elif self._text.startswith('"', self._at):
            item = Item("string", *where)
            item.value = self._string()
        else:
            item = Item("number", *where)
            item.value = self._number()
        self._skip()
        return item

    def _string(self) -> str:
        token = _STRING.match(self._text, self._at)
        if token is None:
            self._fail("text that does not end on its line")
        try:
            value = str(json.loads(token[0]))
        except ValueError:
            self._fail('text with a \\ before something else than one of "\\/bfnrtu')
        self._at = token.end()
        return value

    def _number(self) -> object:
        token = _NUMBER.match(self._text, self._at)
        if token is None:
            self._fail("expected a value")
        try:
            value: object = json.loads(token[0])
        except ValueError:
            self._fail("a number of thousands of digits")
        self._at = token.end()
        return value

    def _array(self, item: Item, depth: int) -> Item:
        if self._takes("]"):
            return item
        while True:
            item.items.append(self._value(depth + 1))
            if self._takes("]"):
                return item
            if not self._takes(","):
                self._fail("expected , or ]")

    def _object(self, item: Item, depth: int) -> Item:
        if self._takes("}"):
            return item
        while True:
            self._field(item, depth)
            if self._takes("}"):
                return item
            if not self._takes(","):
                self._fail("expected , or }")

    def _field(self, item: Item, depth: int) -> None:
        if not self._text.startswith('"', self._at):
            self._fail("expected a name in quotes")
        at = self._at
        name = self._string()
        self._skip()
        if not self._takes(":"):
            self._fail("expected :")
        value = self._value(depth + 1)
        if name in item.names:
            self._note(at, f"field {shown(name)} a second time: first in line {item.names[name][0]}")
        else:
            item.names[name] = self._where(at)
            item.fields[name] = value


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
