"""What pydantic found, in words that say what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cicada.config.overrides import suggestion
from cicada.config.positions import Path

_SHOWN = 40

Examples = dict[tuple[str, ...], str]
"""What to write for a key that is missing, by the keys that lead to it."""


def describe(path: Path) -> str:
    """A path as people write it: ``group[0].count``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def explain(error: ErrorDetails, whole: type[BaseModel], examples: Examples) -> str:
    """One sentence for one error of a document that should be a ``whole``: what is wrong, and what would be right."""
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(error, whole)
        case "missing":
            return _missing(error, examples)
        case "literal_error":
            return _not_one_of(error, whole)
        case _:
            pass
    writer = _WRITERS.get(error["type"])
    return writer(error) if writer else error["msg"]


def is_about_key(error: ErrorDetails) -> bool:
    """Whether the key is wrong rather than its value."""
    return error["type"] == "extra_forbidden"


def _unknown_key(error: ErrorDetails, whole: type[BaseModel]) -> str:
    *around, key = error["loc"]
    known = _keys_of(_table(whole, around))
    kind = "key" if around else "section"
    return f"unknown {kind}{suggestion(str(key), known)}"


def _keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _table(whole: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """The model of the table at ``path``, whether it is one table, several, or may be left out."""
    model = whole
    for part in path:
        field = _field(model, part) if isinstance(part, str) else None
        if field is not None:
            model = next((kind for kind in _kinds(field.annotation) if _is_model(kind)), model)
    return model


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    return next((f for name, f in model.model_fields.items() if key == (f.alias or name)), None)


def _kinds(annotation: Any) -> list[Any]:
    """An annotation and all that are inside it."""
    return [annotation, *(kind for inner in get_args(annotation) for kind in _kinds(inner))]


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _missing(error: ErrorDetails, examples: Examples) -> str:
    keys = tuple(part for part in error["loc"] if isinstance(part, str))
    return f"missing: add {examples.get(keys, keys[-1])}"


def _wrong_type(expected: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"expected {expected}, got {_shown(error['input'])}"


def _several(location: tuple[int | str, ...]) -> str:
    keys = [part for part in location if isinstance(part, str)]
    is_table = keys == list(location) and (len(keys) == 1 or keys[-1] == "stage")
    return f"[[{'.'.join(keys)}]] tables" if is_table else "a list"


def _out_of_range(words: str, key: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"must be {words} {error['ctx'][key]:g}, got {_shown(error['input'])}"


def _not_one_of(error: ErrorDetails, whole: type[BaseModel]) -> str:
    choices = _choices(error["loc"], whole)
    value = error["input"]
    near = suggestion(value, choices) if isinstance(value, str) else ""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    hint = near if "did you mean" in near else ""
    return f"expected one of {listed}, got {_shown(value)}{hint}"


def _choices(location: tuple[int | str, ...], whole: type[BaseModel]) -> tuple[str, ...]:
    field = _field(_table(whole, location[:-1]), str(location[-1]))
    kinds = _kinds(field.annotation) if field else []
    literal = next((kind for kind in kinds if get_origin(kind) is Literal), Literal[()])
    return tuple(str(choice) for choice in get_args(literal))


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
    "int_type": _wrong_type("a whole number"),
    "float_type": _wrong_type("a number"),
    "string_type": _wrong_type("text in quotes"),
    "bool_type": _wrong_type("true or false"),
    "model_type": _wrong_type("a table"),
    "tuple_type": lambda error: _wrong_type(_several(error["loc"]))(error),
    "list_type": _wrong_type("a list"),
    "finite_number": _wrong_type("a finite number"),
    "greater_than": _out_of_range("more than", "gt"),
    "greater_than_equal": _out_of_range("at least", "ge"),
    "less_than_equal": _out_of_range("at most", "le"),
}
