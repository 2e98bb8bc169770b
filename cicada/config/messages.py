"""What pydantic found, in words that say what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cicada.config.model import Config, Group, Launch, PeerSettings, Supervision, Swarm
from cicada.config.overrides import suggestion
from cicada.config.positions import Path

_TABLES: dict[str, type[BaseModel]] = {
    "swarm": Swarm,
    "group": Group,
    "peer": PeerSettings,
    "supervision": Supervision,
    "launch": Launch,
}
_EXAMPLES = {
    ("swarm",): "[swarm] with a name",
    ("group",): "[[group]] with name, count and address",
    ("swarm", "name"): 'name = "my-swarm"',
    ("group", "name"): 'name = "core"',
    ("group", "count"): "count = 20",
    ("group", "address"): 'address = "127.0.0.1:20000"',
}
_SHOWN = 40


def describe(path: Path) -> str:
    """A path as people write it: ``group[0].count``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def explain(error: ErrorDetails) -> str:
    """One sentence for one error: what is wrong, and what would be right."""
    writer = _WRITERS.get(error["type"])
    return writer(error) if writer else error["msg"]


def is_about_key(error: ErrorDetails) -> bool:
    """Whether the key is wrong rather than its value."""
    return error["type"] == "extra_forbidden"


def _unknown_key(error: ErrorDetails) -> str:
    *around, key = error["loc"]
    known = _keys_of(_TABLES[str(around[0])] if around else Config)
    kind = "key" if around else "section"
    return f"unknown {kind}{suggestion(str(key), known)}"


def _keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _missing(error: ErrorDetails) -> str:
    keys = tuple(part for part in error["loc"] if isinstance(part, str))
    return f"missing: add {_EXAMPLES.get(keys, keys[-1])}"


def _wrong_type(expected: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"expected {expected}, got {_shown(error['input'])}"


def _out_of_range(words: str, key: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"must be {words} {error['ctx'][key]:g}, got {_shown(error['input'])}"


def _not_one_of(error: ErrorDetails) -> str:
    choices = _choices(error["loc"])
    value = error["input"]
    near = suggestion(value, choices) if isinstance(value, str) else ""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    hint = near if "did you mean" in near else ""
    return f"expected one of {listed}, got {_shown(value)}{hint}"


def _choices(location: tuple[int | str, ...]) -> tuple[str, ...]:
    field: FieldInfo | None = _TABLES[str(location[0])].model_fields.get(str(location[-1]))
    annotation = field.annotation if field else Literal[()]
    return tuple(str(choice) for choice in get_args(annotation))


def _shown(value: Any) -> str:
    """A wrong value as TOML would write it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_WRITERS: dict[str, Callable[[ErrorDetails], str]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "int_type": _wrong_type("a whole number"),
    "float_type": _wrong_type("a number"),
    "string_type": _wrong_type("text in quotes"),
    "bool_type": _wrong_type("true or false"),
    "model_type": _wrong_type("a table"),
    "tuple_type": _wrong_type("[[group]] tables"),
    "finite_number": _wrong_type("a finite number"),
    "greater_than": _out_of_range("more than", "gt"),
    "greater_than_equal": _out_of_range("at least", "ge"),
    "less_than_equal": _out_of_range("at most", "le"),
    "literal_error": _not_one_of,
}
