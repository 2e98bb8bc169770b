"""Changes given on the command line, put into a document before it is checked.

Each knows its flag, so that an error in it names the flag instead of a line of the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from cicada.config.positions import Path
from cicada.config.source import Document

_DEEPEST: Final = 2  # keys below a section: no table of a configuration is deeper


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """``flag`` is what the user typed. ``instead_of``: keys of the same table that it leaves no room for."""

    flag: str
    keys: tuple[str, ...]
    value: object
    instead_of: tuple[str, ...] = ()


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """Which paths of the document come from which flag, and what is wrong with the flags themselves."""

    flags: dict[Path, str]
    errors: tuple[tuple[str, str], ...]


def overrides_from(settings: Sequence[tuple[str, str]], counts: Mapping[str, int]) -> tuple[Override, ...]:
    """Overrides of ``--set KEY=VALUE`` and ``-n GROUP=COUNT``. A value that is not TOML is text."""
    sets = tuple(
        Override(flag=f"--set {key}={text}", keys=tuple(key.split(".")), value=_value(text))
        for key, text in settings
    )
    sizes = tuple(
        Override(flag=f"-n {group}={count}", keys=("group", group, "count"), value=count)
        for group, count in counts.items()
    )
    return sets + sizes


def apply(document: Document, overrides: Sequence[Override]) -> Applied:
    """Write the overrides into ``document``."""
    flags: dict[Path, str] = {}
    errors: list[tuple[str, str]] = []
    for override in overrides:
        _make_room(document, override)
    for override in overrides:
        outcome = _apply_one(document, override)
        if isinstance(outcome, str):
            errors.append((override.flag, outcome))
        else:
            flags[outcome] = override.flag
    return Applied(flags=flags, errors=tuple(errors))


def _make_room(document: Document, override: Override) -> None:
    table = document.get(override.keys[0])
    if isinstance(table, dict):
        for key in override.instead_of:
            table.pop(key, None)


def _apply_one(document: Document, override: Override) -> Path | str:
    """The path that was set, or what is wrong."""
    section, *rest = override.keys
    if section == "group":
        return _apply_to_group(document, rest, override.value)
    if not rest and isinstance(override.value, list):
        document[section] = override.value
        return (section,)
    if not 1 <= len(rest) <= _DEEPEST or not all(override.keys):
        return "write SECTION.KEY=VALUE, for example swarm.seed=7, or SECTION.TABLE.KEY=VALUE"
    *tables, key = override.keys
    table: Any = document
    for depth, name in enumerate(tables, 1):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return f"{'.'.join(tables[:depth])} is not a table"
    table[key] = override.value
    return override.keys


def _apply_to_group(document: Document, rest: Sequence[str], value: object) -> Path | str:
    if len(rest) != 2:
        return "write group.NAME.KEY=VALUE, for example group.core.count=300"
    groups = document.get("group")
    named = {
        str(group["name"]): index
        for index, group in enumerate(groups if isinstance(groups, list) else ())
        if isinstance(group, dict) and "name" in group
    }
    name, key = rest
    if name not in named:
        return f"no group {name!r}{suggestion(name, named)}"
    document["group"][named[name]][key] = value
    return ("group", named[name], key)


def suggestion(word: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """``: did you mean 'x'?`` for a near miss, or else the list of what there is."""
    near = get_close_matches(word, list(known), n=1)
    if near:
        return f": did you mean {near[0]!r}?"
    return f": there is {', '.join(known)}" if known else ""


def _value(text: str) -> object:
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # it is no TOML, or a number or list beyond all measure
        return text
    return document["value"] if len(document) == 1 else text
