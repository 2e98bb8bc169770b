"""Files to values and back. Everything that is wrong is reported at once, each with its position."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path as FilePath
from typing import Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from cicada.commands import RunLoad
from cicada.config.checks import Problem, problems_between
from cicada.config.load import LoadFile, load_command, load_problems
from cicada.config.messages import Examples, describe, explain, is_about_key
from cicada.config.model import Config
from cicada.config.overrides import Applied, Override, apply, overrides_from
from cicada.config.positions import Path, Position, Positions
from cicada.config.source import Document, Source, cut_integers, parse, read_text
from cicada.config.timelinechecks import EXAMPLES
from cicada.errors import ConfigError, ConfigErrors

Settings = Sequence[tuple[str, str]]
Files = Callable[[Document, FilePath], Iterable[Problem]]
"""What is wrong with the files that a document names; those that are not absolute stand in the folder."""
Whole = TypeVar("Whole", bound=BaseModel)


class Schema(msgspec.Struct, Generic[Whole], frozen=True, kw_only=True):
    """What a kind of file holds: its model, what to write where something is missing, and rules between values.

    ``own`` is the section that no such file is without, ``of_others`` what a file is that has this section instead.
    """

    model: type[Whole]
    examples: Examples
    rules: Callable[[Document], Iterable[Problem]]
    own: str = ""
    of_others: Mapping[str, str] = {}


LOAD_EXAMPLES: Examples = {
    ("load", "stage", "rate"): "rate = 200",
    ("load", "stage", "duration"): 'duration = "30s"',
    ("threshold", "that"): 'that = "send.p99 < 50ms"',
}
SWARM_FILE = Schema(
    model=Config,
    examples={
        ("swarm",): "[swarm] with a name",
        ("group",): "[[group]] with name, count and address",
        ("swarm", "name"): 'name = "my-swarm"',
        ("group", "name"): 'name = "core"',
        ("group", "count"): "count = 20",
        ("group", "address"): 'address = "127.0.0.1:20000"',
        **EXAMPLES,
        **LOAD_EXAMPLES,
    },
    rules=problems_between,
    own="swarm",
    of_others={"sim": "a scenario of the simulator: `cicada sim {file}` runs it"},
)

LOAD_FILE = Schema(model=LoadFile, examples=LOAD_EXAMPLES, rules=load_problems)


def load_config(
    path: str | FilePath,
    overrides: Settings = (),
    counts: Mapping[str, int] | None = None,
    files: Files | None = None,
) -> Config:
    """The configuration in a TOML file.

    ``overrides`` are dotted keys with TOML values (``("group.core.count", "300")``), ``counts`` sizes of
    groups; they win over the file. ``files`` looks at the files that it names. Raises ConfigErrors with every mistake of the
    file, of the overrides, and of those.
    """
    text, folder = read_text(FilePath(path)), FilePath(path).resolve().parent
    schema = SWARM_FILE
    if files is not None:
        schema = msgspec.structs.replace(schema, rules=partial(_with_files, files, folder))
    return _beside(folder, parse_as(schema, text, file=str(path), overrides=overrides, counts=counts))


def _with_files(files: Files, folder: FilePath, document: Document) -> Iterator[Problem]:
    yield from SWARM_FILE.rules(document)
    yield from files(document, folder)


def beside(folder: FilePath, file: str) -> FilePath:
    """Where a file is that a configuration in this folder names: beside it, unless its path says otherwise."""
    try:
        return folder / FilePath(file).expanduser()
    except RuntimeError:  # nobody knows whose home it is
        return folder / file


def load_from(path: str | FilePath | None, options: Sequence[Override]) -> RunLoad:
    """The load of a TOML file, or without one that of the options alone, which win over the file. Raises ConfigErrors with every
    mistake."""
    if path is None:
        alone = parse_as(LOAD_FILE, "", file="options", options=options)
        return load_command(alone.load, alone.thresholds, 0)
    config = parse_as(SWARM_FILE, read_text(FilePath(path)), file=str(path), options=options)
    command = config.load_command
    if command is None:
        raise ConfigErrors((ConfigError("missing: add [load] with rate and duration", file=str(path)),))
    return command


def _beside(folder: FilePath, config: Config) -> Config:
    """With the whole paths of the files that it names."""

    def found(file: str | None) -> str | None:
        return file and str(beside(folder, file))

    swarm = config.swarm.model_copy(update={"key_file": found(config.swarm.key_file)})
    peer = config.peer.model_copy(update={"keys": found(config.peer.keys)})
    watch = config.watch.model_copy(update={"key_file": found(config.watch.key_file)})
    faults = tuple(fault.model_copy(update={"file": found(fault.file)}) for fault in config.faults)
    return config.model_copy(update={"swarm": swarm, "peer": peer, "watch": watch, "faults": faults})


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
    options: Sequence[Override] = (),
) -> Whole:
    """The same for any kind of file; ``options`` have flags of their own. Raises ConfigErrors with every mistake."""
    source = parse(text)
    errors = [(position, _error(file, position, problem)) for position, problem in source.errors]
    if not source.readable:
        raise ConfigErrors(tuple(error for _, error in errors))
    _of_this_kind(schema, source.document, file)
    applied = apply(source.document, (*overrides_from(overrides, counts or {}), *options))
    config, problems = _check(schema, source)
    errors += _located(file, source, applied, problems)
    in_file = [error for _, error in sorted(errors, key=lambda entry: entry[0])]
    in_flags = [ConfigError(problem, file=flag) for flag, problem in applied.errors]
    if config is None or in_file or in_flags:
        raise ConfigErrors((*in_file, *in_flags))
    return config


def _of_this_kind(schema: Schema[Whole], document: Document, file: str) -> None:
    """Of a file of another kind every line would be a mistake: it is told what it is instead."""
    for section, words in schema.of_others.items():
        if section in document and schema.own not in document:
            raise ConfigErrors((ConfigError(words.format(file=file), file=file),))


def to_toml(config: Config) -> str:
    """A configuration as TOML that parses back to the same value, defaults written out."""
    lines: list[str] = []
    for key, value in _fields(config):
        lines += _tables(key, value)
    return "\n".join(lines)


def _tables(key: str, value: object) -> Iterator[str]:
    """A table, or several, with those inside."""
    for table in value if isinstance(value, tuple) else (value,):
        if not isinstance(table, BaseModel):
            continue  # it is left out
        yield f"[[{key}]]" if isinstance(value, tuple) else f"[{key}]"
        inner = list(_fields(table))
        for name, entry in inner:
            if entry is not None and not _is_table(entry):
                yield f"{name} = {_written(entry)}"
        yield ""
        for name, entry in inner:
            if _is_table(entry):
                yield from _tables(f"{key}.{name}", entry)


def _fields(table: BaseModel) -> Iterator[tuple[str, object]]:
    """Keys as they are written, and values."""
    fields = type(table).model_fields
    return ((fields[name].alias or name, value) for name, value in table)


def _is_table(value: object) -> bool:
    return isinstance(value, BaseModel) or (
        isinstance(value, tuple) and all(isinstance(entry, BaseModel) for entry in value)
    )


def _written(value: object) -> str:
    """A value as TOML: JSON's numbers, booleans, lists and text without control characters are TOML's too."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{json.dumps(key)} = {_written(entry)}" for key, entry in value.items()) + " }"
        )
    return json.dumps(value, ensure_ascii=False)


def _check(schema: Schema[Whole], source: Source) -> tuple[Whole | None, list[tuple[Path, str, bool]]]:
    """The value, if there is one, and every problem: path, words, whether the key itself is wrong."""
    too_large = dict.fromkeys(cut_integers(source.document), "no number is that large")
    rules = ((path, problem) for path, problem in schema.rules(source.document) if path not in too_large)
    problems = [(path, problem, False) for path, problem in (*too_large.items(), *rules)]
    try:
        return schema.model.model_validate(source.document), problems
    except ValidationError as error:
        found = error.errors(include_url=False)
    for item in found:
        if item["type"] == "missing" and source.errors:
            continue  # it may stand on a line that could not be read
        if item["loc"] in too_large:
            continue
        problems.append((item["loc"], explain(item, schema.model, schema.examples), is_about_key(item)))
    return None, problems


def _located(
    file: str, source: Source, applied: Applied, problems: Sequence[tuple[Path, str, bool]]
) -> Iterator[tuple[Position, ConfigError]]:
    positions = Positions(source.text)
    for path, problem, about_key in problems:
        words = f"{describe(path)}: {problem}"
        position = positions.of_key(path) if about_key else positions.of_value(path)
        if flag := _flag_of(path, applied) or (about_key and _flag_below(path, applied, positions)):
            yield _AFTER_FILE, ConfigError(words, file=flag)
        else:
            yield position, _error(file, position, words)


def _flag_of(path: Path, applied: Applied) -> str:
    """The flag that the value at ``path``, or a table around it, comes from; empty: it comes from the file."""
    around = (path[:length] for length in range(len(path), 0, -1))
    return next((applied.flags[part] for part in around if part in applied.flags), "")


def _flag_below(path: Path, applied: Applied, positions: Positions) -> str:
    """The flag that made the table at ``path``; empty: the file has it too."""
    if positions.has(path):
        return ""
    return next((flag for made, flag in applied.flags.items() if made[: len(path)] == path), "")


_AFTER_FILE = Position(2**31, 1)


def _error(file: str, position: Position, problem: str) -> ConfigError:
    return ConfigError(problem, file=file, line=position.line, column=position.column)
