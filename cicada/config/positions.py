"""Where in a TOML text each key and value stands. The values themselves are tomllib's business."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import msgspec
import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document: ``("group", 0, "count")``."""


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in a text. Both count from 1; columns are characters."""

    line: int
    column: int


TOP = Position(1, 1)


class Positions:
    """Positions of the keys and values of one document."""

    def __init__(self, text: str) -> None:
        self._lines = text.encode().split(b"\n")
        self._keys: dict[Path, Position] = {}
        self._values: dict[Path, Position] = {}
        self._counts: dict[Path, int] = {}
        tree = Parser(Language(tree_sitter_toml.language())).parse(text.encode())
        self._read_document(tree.root_node)

    def of_key(self, path: Path) -> Position:
        """Where the key stands, or else the nearest thing around it."""
        return self._nearest(self._keys, path)

    def of_value(self, path: Path) -> Position:
        """Where the value starts, or else the nearest thing around it."""
        return self._nearest(self._values, path)

    def has(self, path: Path) -> bool:
        """Whether the document has this key, or anything inside it."""
        return any(key[: len(path)] == path for key in self._keys)

    def _nearest(self, table: dict[Path, Position], path: Path) -> Position:
        if path in table:
            return table[path]
        while path:
            path = path[:-1]
            if path in self._keys:
                return self._keys[path]
        return TOP

    def _read_document(self, root: Node) -> None:
        for node in root.named_children:
            if node.type == "pair":
                self._read_pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._read_table(node)

    def _read_table(self, node: Node) -> None:
        key, *pairs = node.named_children
        path = self._resolve(_key_path(key))
        if node.type == "table_array_element":
            self._keys.setdefault(path, self._position(key))
            path = (*path, self._next_index(path))
        self._keys.setdefault(path, self._position(key))
        self._values.setdefault(path, self._position(key))
        for pair in pairs:
            if pair.type == "pair":
                self._read_pair(pair, path)

    def _next_index(self, path: Path) -> int:
        index = self._counts.get(path, 0)
        self._counts[path] = index + 1
        return index

    def _resolve(self, keys: tuple[str, ...]) -> Path:
        """Keys of a header, with the index of the last element where they lead through an array of tables."""
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return (*path, *keys[-1:])

    def _read_pair(self, node: Node, prefix: Path) -> None:
        key = node.named_children[0]
        path = prefix
        for part in _key_path(key):
            path = (*path, part)
            self._keys.setdefault(path, self._position(key))
        if len(node.named_children) > 1:
            self._read_value(node.named_children[1], path)

    def _read_value(self, node: Node, path: Path) -> None:
        self._values[path] = self._position(node)
        if node.type == "inline_table":
            for pair in _children(node, "pair"):
                self._read_pair(pair, path)
        elif node.type == "array":
            values = (child for child in node.named_children if child.type != "comment")
            for index, child in enumerate(values):
                self._keys[(*path, index)] = self._position(child)
                self._read_value(child, (*path, index))

    def _position(self, node: Node) -> Position:
        row, column = node.start_point
        return Position(row + 1, len(self._lines[row][:column].decode(errors="replace")) + 1)


def _children(node: Node, kind: str) -> Iterator[Node]:
    return (child for child in node.named_children if child.type == kind)


def _key_path(node: Node) -> tuple[str, ...]:
    """The parts of a bare, quoted or dotted key. Empty when it is not one."""
    text = (node.text or b"").decode(errors="replace")
    try:
        value: object = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts: list[str] = []
    while isinstance(value, dict) and len(value) == 1:
        key, value = next(iter(value.items()))
        parts.append(key)
    return tuple(parts)
