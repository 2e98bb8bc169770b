"""What the tables of all configuration files have in common: their base, and values that are written as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from cicada.config.quantities import DURATION, real, seconds_in
from cicada.errors import Misuse

T = TypeVar("T")


class Section(BaseModel):
    """Base of all tables: closed, immutable, strictly typed; its own errors never quote the file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_default=True,
    )


def problem(text: str) -> PydanticCustomError:
    """What a validator raises: ``text`` is the message as it is."""
    return PydanticCustomError("cicada", "{text}", {"text": text})


def read_as(reader: Callable[[str], T], value: str) -> T:
    """What ``reader`` makes of a text; its Misuse becomes the value's problem."""
    try:
        return reader(value)
    except Misuse as error:
        raise problem(str(error)) from None


def shown(value: object) -> str:
    """A wrong value as people wrote it."""
    return f'"{value}"' if isinstance(value, str) else "a list" if isinstance(value, list) else str(value)


def duration(value: object) -> float | None:
    """The seconds that a text such as "10s" or "250ms" says, or a number; None: it is no time."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return real(value) if value >= 0 else None
    try:
        return seconds_in(value) if isinstance(value, str) else None
    except Misuse:
        return None


def _seconds(value: object) -> float:
    found = duration(value)
    if found is None:
        raise problem(f'expected a time such as "10s", "250ms" or "2m", got {shown(value)}')
    return found


def written(*ways: dict[str, object]) -> WithJsonSchema:
    """What the schema for editors says of a value that a function reads first: it is written in one of these ways."""
    return WithJsonSchema({"anyOf": list(ways)})


def text_like(pattern: re.Pattern[str]) -> dict[str, object]:
    """A text of this pattern, as a way to write a value."""
    return {"type": "string", "pattern": f"^{_NAMED_PART.sub('(?:', pattern.pattern)}$"}


_NAMED_PART = re.compile(r"\(\?P<\w+>")

Seconds = Annotated[
    float, BeforeValidator(_seconds), written({"type": "number", "minimum": 0}, text_like(DURATION))
]
"""A time: "10s", "250ms", "2m", "1h"."""
