"""The line that people type at: with a history that outlives the program, and completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from cicada.keys.store import state_folder

_PRIVATE_FOLDER = 0o700
_PRIVATE = 0o600

Complete = Callable[[str], Sequence[str]]


class _LastWord(Completer):
    """Completes the word before the cursor."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        start = len(before.rsplit(" ", 1)[-1])
        return [Completion(word, start_position=-start) for word in self._complete(before)]


def line_editor(name: str, complete: Complete) -> PromptSession[str]:
    """Where lines are typed. Their history is kept in the user's state folder, private, or not at all where that cannot be."""
    return PromptSession(history=_history(name), completer=_LastWord(complete), complete_while_typing=False)


def _history(name: str) -> History:
    path = state_folder() / "history" / name
    try:
        _make_private(path)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE))
