"""What may be shown of texts that others wrote, and what a name may be."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from samples.chat.limits import CHANNEL_NAME, NAME, TEXT

_WORD: Final = r"[a-z0-9][a-z0-9._-]"
NAME_PATTERN: Final = rf"\A{_WORD}{{0,{NAME - 1}}}\Z"
"""ASCII and lower case only: no two names look alike because of their letters."""
CHANNEL_PATTERN: Final = rf"\A#{_WORD}{{0,{CHANNEL_NAME - 2}}}\Z"
NAME_RULE: Final = f"1 to {NAME} letters a-z, digits, dots, - and _"
CHANNEL_RULE: Final = f"# and then 1 to {CHANNEL_NAME - 1} letters a-z, digits, dots, - and _"

_MARKS: Final = 2  # on one letter; more of them would reach into other lines
_ELLIPSIS: Final = "…"


def clean(text: str, most: int = TEXT) -> str:
    """One line that a terminal only shows: control, format, private and unassigned characters become nothing, line ends and
    tabs spaces; ``most`` characters."""
    kept: list[str] = []
    marks = 0
    for letter in text[: most * 2]:
        category = unicodedata.category(letter)
        marks = marks + 1 if category[0] == "M" else 0
        if letter.isspace():
            kept.append(" ")
        elif category[0] not in "CZ" and marks <= _MARKS:
            kept.append(letter)
    line = "".join(kept).strip()
    return line if len(line) <= most else line[: most - 1] + _ELLIPSIS


def name_of(text: str) -> str | None:
    """The name that somebody typed, in the form that is compared and shown; None when it cannot be one."""
    name = text.lower()
    return name if re.search(NAME_PATTERN, name) else None


def channel_of(text: str) -> str | None:
    """The same for a channel, with or without its ``#``."""
    name = "#" + text.lower().removeprefix("#")
    return name if re.search(CHANNEL_PATTERN, name) else None


def short(peer_id: str) -> str:
    """The beginning of a peer id, for people."""
    return peer_id[:8]
