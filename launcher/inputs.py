"""The files that a configuration names: key files, and traces of churn. Read before anything starts, so that whatever is wrong
with them is told with the line that names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cicada.config.checks import Problem
from cicada.config.loader import beside
from cicada.config.positions import Path as Keys
from cicada.config.source import Document, read_text
from cicada.errors import CicadaError
from cicada.keys.store import read_hostkeys, read_swarm_key
from launcher.faults.traces import parse_trace

Read = Callable[[Path], object]

_SWARM_KEY: Final = "make it with `cicada keys new --swarm {}`"
_SHARED: Final = "make one with `cicada keys new --pair ADDRESS ADDRESS FOLDER`"


def file_problems(document: Document, folder: Path) -> Iterator[Problem]:
    """Everything that is wrong with the files that a document of this folder names."""
    for keys, file, read, advice in _named(document):
        path = beside(folder, file)
        try:
            read(path)
        except (CicadaError, ValueError) as error:  # ValueError: no path at all
            is_missing = not os.path.exists(path)  # says no where Path.exists() raises
            next_step = f"; {advice.format(path)}" if advice and is_missing else ""
            yield from ((keys, line + next_step) for line in str(error).splitlines())


def _named(document: Document) -> Iterator[tuple[Keys, str, Read, str]]:
    """Where each file is named, its name, what reads it, and what makes it when it is missing."""
    key_files: tuple[tuple[str, str, Read, str], ...] = (
        ("swarm", "key_file", read_swarm_key, _SWARM_KEY),
        ("peer", "keys", read_hostkeys, _SHARED),
        ("watch", "key_file", read_swarm_key, _SWARM_KEY),
    )
    for section, key, read, advice in key_files:
        if file := _text_at(document.get(section), key):
            yield (section, key), file, read, advice
    faults = document.get("fault")
    for index, fault in enumerate(faults if isinstance(faults, list) else ()):
        if file := _text_at(fault, "file"):
            yield ("fault", index, "file"), file, _read_trace, ""


def _text_at(table: object, key: str) -> str:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) else ""


def _read_trace(path: Path) -> object:
    return parse_trace(read_text(path), str(path))
