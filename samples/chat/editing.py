"""The input line: what was typed before, and what may be meant."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class History:
    """Lines that were entered, and where the user is among them."""

    def __init__(self, most: int) -> None:
        self._lines: deque[str] = deque(maxlen=most)
        self._back = 0
        self._draft = ""

    def entered(self, line: str) -> None:
        """Remember it, but not twice in a row."""
        if line.strip() and (not self._lines or self._lines[-1] != line):
            self._lines.append(line)
        self._back = 0
        self._draft = ""

    def older(self, shown: str) -> str:
        """The line before; ``shown`` is kept when it was being written."""
        if not self._back:
            self._draft = shown
        self._back = min(self._back + 1, len(self._lines))
        return self._lines[-self._back] if self._back else shown

    def newer(self, shown: str) -> str:
        """The line after, at last what was being written."""
        if not self._back:
            return shown
        self._back -= 1
        return self._lines[-self._back] if self._back else self._draft


def completed(line: str, words: Iterable[str]) -> str:
    """The line with its last word completed as far as ``words`` agree, and a space when only one is meant."""
    head, _, begun = line.rpartition(" ")
    meant = sorted({word for word in words if begun and word.startswith(begun)})
    if not meant:
        return line
    word = meant[0] + " " if len(meant) == 1 else _common(meant)
    return f"{head} {word}" if head else word


def _common(words: list[str]) -> str:
    """The beginning that sorted words have in common: that of the first and the last."""
    first, last = words[0], words[-1]
    same = next((place for place, letter in enumerate(first) if letter != last[place]), len(first))
    return first[:same]
