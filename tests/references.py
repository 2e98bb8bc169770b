"""Reference pages made from the source: the command line, configurations, limits."""

from __future__ import annotations

import ast
import inspect
import io
import json
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from typer.core import TyperGroup
from typer.main import get_command

from cicada import limits
from cicada.config import Config
from cicada.config.schema import json_schema
from launcher.cli import app

BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
_WAYS: Final = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "string": "text",
    "object": "table",
    "array": "list",
}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table of Markdown; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(part) for part in line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("``", "`")).replace("|", r"\|").strip()


# The command line


def commands() -> str:
    """Every verb, in the order of `cicada --help`: what it says itself, and its parameters."""
    return "\n".join(_commands("cicada", get_command(app)))


def _commands(name: str, command: Any) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        if name != "cicada":
            yield _described(name, command)
        for verb, inner in command.commands.items():
            if not inner.hidden:
                yield from _commands(f"{name} {verb}", inner)
    else:
        yield _described(name, command)


def _described(name: str, command: Any) -> str:
    rows = [
        (_spelled(item), cell(item.help or ""), _default(item)) for item in command.params if not item.hidden
    ]
    own = [row for row in rows if row[0] != "`--help`"]
    parts = [f"## {name}\n", prose(command.help or ""), table(("parameter", "meaning", "default"), own)]
    return "\n".join(part for part in parts if part)


def prose(text: str) -> str:
    """Help text as Markdown: examples, which follow a backspace and are indented, keep their lines."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if paragraph.startswith("\b\n "):
            paragraphs.append(textwrap.indent(textwrap.dedent(paragraph[2:]), "    "))
        else:
            paragraphs.append(paragraph.removeprefix("\b").strip())
    return "\n\n".join(paragraphs) + "\n"


def _spelled(item: Any) -> str:
    metavar = item.metavar or (item.name.upper() if item.param_type_name == "argument" else "")
    if item.param_type_name == "argument":
        return f"`{metavar}`"
    names = ", ".join(f"`{name}`" for name in (*item.opts, *item.secondary_opts))
    return f"{names} {metavar}" if metavar and not item.is_flag else names


def _default(item: Any) -> str:
    if item.required:
        return "required"
    is_nothing = item.default in (None, "", False, (), []) or callable(item.default)
    return "" if is_nothing else f"`{item.default}`"


# Configurations


def configuration() -> str:
    """Every section and key, as `cicada schema` has them."""
    schema = json_schema(Config, "Cicada swarm")
    return "\n".join(_sections(schema, schema, ""))


def _sections(schema: dict[str, Any], part: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, value in part.get("properties", {}).items():
        of, is_list = _table_of(schema, value)
        if of is None:
            continue
        name = f"{prefix}{key}"
        title = f"[[{name}]]" if is_list else f"[{name}]"
        rows = [
            (f"`{inner}`", way(meaning), _stated(meaning, inner in of.get("required", ())))
            for inner, meaning in of["properties"].items()
            if _table_of(schema, meaning)[0] is None
        ]
        yield f"## `{title}`\n\n{of.get('description', '')}\n\n" + table(("key", "value", "default"), rows)
        yield from _sections(schema, of, f"{name}.")


def _table_of(schema: dict[str, Any], value: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    inner = value.get("items", value)
    reference = inner.get("$ref") if isinstance(inner, dict) else None
    if reference is None:
        return None, False
    of: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
    return (of if "properties" in of else None), "items" in value


def way(value: dict[str, Any]) -> str:
    """How a value is written."""
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(way(choice) for choice in value["anyOf"]))
    if "enum" in value:
        return ", ".join(f"`{json.dumps(word)}`" for word in value["enum"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    kind = _WAYS.get(value.get("type", ""), "any")
    if kind == "list":
        return f"list of {way(value.get('items', {}))}"
    if kind == "text":
        return _text(value.get("pattern", ""))
    return kind + _range(value)


def _text(pattern: str) -> str:
    if "ms" in pattern:
        return 'a time: `"250ms"`, `"30s"`, `"2m"`'
    if pattern.endswith("%$"):
        return 'a share: `"10%"`'
    return "text"


def _range(value: dict[str, Any]) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    above, below = value.get("exclusiveMinimum"), value.get("exclusiveMaximum")
    bounds = [
        f"from {least}" if least is not None else "",
        f"above {above}" if above is not None else "",
        f"to {most}" if most is not None else "",
        f"below {below}" if below is not None else "",
    ]
    stated = " ".join(bound for bound in bounds if bound)
    return f", {stated}" if stated else ""


def _stated(value: dict[str, Any], is_required: bool) -> str:
    if is_required:
        return "required"
    return f"`{json.dumps(value['default'])}`" if "default" in value else ""


# Limits


def all_limits() -> str:
    """Every class of limits, with each number and the comment behind it."""
    source = inspect.getsource(limits)
    comments = dict(_comments(source))
    return "\n".join(
        _limits(node, comments) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)
    )


def _limits(node: ast.ClassDef, comments: dict[int, str]) -> str:
    kind = getattr(limits, node.name)
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    rows = [
        (f"`{ast.unparse(item.target)}`", shown(defaults[ast.unparse(item.target)]), _about(item, comments))
        for item in fields
    ]
    text = (inspect.getdoc(kind) or "").replace("``", "`")
    return f"## {node.name}\n\n{text}\n\n" + table(("limit", "value", "meaning"), rows)


def shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else f"`{value!r}`"


def _about(item: ast.AnnAssign, comments: dict[int, str]) -> str:
    """The comment on its lines, or on those right above."""
    own = [
        comments[line]
        for line in range(item.lineno, (item.end_lineno or item.lineno) + 1)
        if line in comments
    ]
    above: list[str] = []
    line = item.lineno - 1
    while comments.get(-line):
        above.insert(0, comments[-line])
        line -= 1
    return " ".join([*above, *own])


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments by line; those that have a line to themselves by its negative."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            is_alone = token.line.lstrip().startswith("#")
            yield (-token.start[0] if is_alone else token.start[0]), token.string.lstrip("# ")
