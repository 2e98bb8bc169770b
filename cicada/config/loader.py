"""Files to values and back. Everything that is wrong is reported at once, each with its position."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from cicada.config.checks import Problem, problems_between
from cicada.config.messages import Examples, describe, explain, is_about_key
from cicada.config.model import Config
from cicada.config.overrides import Applied, apply, overrides_from
from cicada.config.positions import Path, Position, Positions
from cicada.config.source import Document, Source, parse, read_text
from cicada.errors import ConfigError, ConfigErrors

Settings = Sequence[tuple[str, str]]
Whole = TypeVar("Whole", bound=BaseModel)


class Schema(msgspec.Struct, Generic[Whole], frozen=True, kw_only=True):
    """What a kind of file holds: its model, what to write where something is missing, and rules between values."""

    model: type[Whole]
    examples: Examples
    rules: Callable[[Document], Iterable[Problem]]


SWARM_FILE = Schema(
    model=Config,
    examples={
        ("swarm",): "[swarm] with a name",
        ("group",): "[[group]] with name, count and address",
        ("swarm", "name"): 'name = "my-swarm"',
        ("group", "name"): 'name = "core"',
        ("group", "count"): "count = 20",
        ("group", "address"): 'address = "127.0.0.1:20000"',
    },
    rules=problems_between,
)


def load_config(
    path: str | FilePath, overrides: Settings = (), counts: Mapping[str, int] | None = None
) -> Config:
    """The configuration in a TOML file.

    ``overrides`` are dotted keys with TOML values (``("group.core.count", "300")``), ``counts`` sizes of
    groups; they win over the file. Raises ConfigErrors with every mistake of the file and of the overrides.
    """
    config = parse_config(read_text(FilePath(path)), file=str(path), overrides=overrides, counts=counts)
    return _beside(FilePath(path).resolve().parent, config)


def _beside(folder: FilePath, config: Config) -> Config:
    """The files that the configuration names stand beside it, unless their paths say otherwise."""

    def found(file: str | None) -> str | None:
        return file and str(folder / FilePath(file).expanduser())

    swarm = config.swarm.model_copy(update={"key_file": found(config.swarm.key_file)})
    peer = config.peer.model_copy(update={"keys": found(config.peer.keys)})
    return config.model_copy(update={"swarm": swarm, "peer": peer})


def parse_config(
    text: str, *, file: str = "<text>", overrides: Settings = (), counts: Mapping[str, int] | None = None
) -> Config:
    """As load_config, from text; ``file`` is the name that errors give."""
    return parse_as(SWARM_FILE, text, file=file, overrides=overrides, counts=counts)


def parse_as(
    schema: Schema[Whole],
    text: str,
    *,
    file: str = "<text>",
    overrides: Settings = (),
    counts: Mapping[str, int] | None = None,
) -> Whole:
    """The same for any kind of file. Raises ConfigErrors with every mistake."""
    source = parse(text)
    errors = [(position, _error(file, position, problem)) for position, problem in source.errors]
    if not source.readable:
        raise ConfigErrors(tuple(error for _, error in errors))
    applied = apply(source.document, overrides_from(overrides, counts or {}))
    config, problems = _check(schema, source)
    errors += _located(file, source, applied, problems)
    in_file = [error for _, error in sorted(errors, key=lambda entry: entry[0])]
    in_flags = [ConfigError(problem, file=flag) for flag, problem in applied.errors]
    if config is None or in_file or in_flags:
        raise ConfigErrors((*in_file, *in_flags))
    return config


def to_toml(config: Config) -> str:
    """A configuration as TOML that parses back to the same value, defaults written out."""
    lines: list[str] = []
    for name, value in config:
        key = Config.model_fields[name].alias or name
        tables = value if isinstance(value, tuple) else (value,)
        header = f"[[{key}]]" if isinstance(value, tuple) else f"[{key}]"
        for table in tables:
            lines += [header, *_rows(table), ""]
            for inner, section in table:
                if isinstance(section, BaseModel):
                    lines += [f"[{key}.{inner}]", *_rows(section), ""]
    return "\n".join(lines)


def _rows(table: BaseModel) -> Iterator[str]:
    for name, value in table:
        if value is not None and not isinstance(value, BaseModel):
            # JSON's numbers, booleans and text without control characters are TOML's
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _check(schema: Schema[Whole], source: Source) -> tuple[Whole | None, list[tuple[Path, str, bool]]]:
    """The value, if there is one, and every problem: path, words, whether the key itself is wrong."""
    problems = [(path, problem, False) for path, problem in schema.rules(source.document)]
    try:
        return schema.model.model_validate(source.document), problems
    except ValidationError as error:
        found = error.errors(include_url=False)
    for item in found:
        if item["type"] == "missing" and source.errors:
            continue  # it may stand on a line that could not be read
        problems.append((item["loc"], explain(item, schema.model, schema.examples), is_about_key(item)))
    return None, problems


def _located(
    file: str, source: Source, applied: Applied, problems: Sequence[tuple[Path, str, bool]]
) -> Iterator[tuple[Position, ConfigError]]:
    positions = Positions(source.text)
    for path, problem, about_key in problems:
        words = f"{describe(path)}: {problem}"
        position = positions.of_key(path) if about_key else positions.of_value(path)
        if path in applied.flags:
            yield _AFTER_FILE, ConfigError(words, file=applied.flags[path])
        else:
            yield position, _error(file, position, words)


_AFTER_FILE = Position(2**31, 1)


def _error(file: str, position: Position, problem: str) -> ConfigError:
    return ConfigError(problem, file=file, line=position.line, column=position.column)
