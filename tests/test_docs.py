"""The documents say what the code does: docs/wire.md is compared with the classes, links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec
import pytest

from cicada.chord.io import LookupFailure
from cicada.routing.io import Verdict
from cicada.wire import fields
from cicada.wire.frames import FrameType
from cicada.wire.routed import Lodging
from tests.wire.catalogue import BODIES, MESSAGES, tag_of

ROOT: Final = Path(__file__).parent.parent
WIRE: Final = ROOT / "docs" / "wire.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
DOCUMENTS: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
KINDS: Final[dict[Any, str]] = {int: "int", str: "str", bytes: "bin", tuple: "array", bool: "bool"}
KINDS[fields.Number | None] = "Number or nil"
KINDS[Lodging | None] = "Lodging or nil"


def test_the_reference_of_the_wire_is_what_the_classes_say(rewrite: bool) -> None:
    text = WIRE.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    current = head + BEGIN + reference() + END + tail
    if rewrite:
        WIRE.write_text(current)
    assert WIRE.read_text() == current


def test_every_message_is_in_the_table_of_who_sends_what_and_every_frame_type_in_its_own() -> None:
    text = WIRE.read_text()
    for kind in MESSAGES:
        assert f"\n| {kind.__name__} |" in text
    for frame in FrameType:
        assert f"\n| {frame.value} | {frame.name} |" in text


def test_the_values_with_a_meaning_are_those_of_the_enums() -> None:
    verdicts = ", ".join(f"{verdict.value} {verdict.name.lower()}" for verdict in Verdict)
    reasons = ", ".join(f"`{failure.value}`" for failure in LookupFailure)
    assert f"\n| DataAck.status | {verdicts} |" in WIRE.read_text()
    assert f"\n| LookupFailed.reason | {reasons} |" in WIRE.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_source_files_that_a_document_names_exist(document: Path) -> None:
    named = re.findall(
        r"`((?:cicada|launcher|tests|docs|configs|benchmarks)/[\w/.-]+\.\w+)`", document.read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def reference() -> str:
    bodies = [described(kind, kind.__name__) for kind in BODIES]
    messages = [described(kind, f"{kind.__name__} ({tag_of(kind)})") for kind in sorted(MESSAGES, key=number)]
    return "\n".join(
        [
            "### Field types\n",
            field_types(),
            "### Bodies\n",
            "Arrays of fields without a tag: the frame type, or the message that they are sealed in, names the class.\n",
            *bodies,
            "### Ring and routed messages\n",
            "The number behind the name is the tag. Routed ones may hold an array of these fields, without a tag:\n",
            described(Lodging, Lodging.__name__),
            *messages,
        ]
    )


def number(kind: type[msgspec.Struct]) -> int:
    return tag_of(kind) or 0


def field_types() -> str:
    meanings = documented_names(fields)
    rows = ["| type | MessagePack | bounds | meaning |", "|---|---|---|---|"]
    for name, hint in named_types().items():
        rows.append(f"| {name} | {KINDS[plain(hint)]} | {bounds(hint)} | {markdown(meanings[name])} |")
    return "\n".join(rows) + "\n"


def described(kind: type[msgspec.Struct], title: str) -> str:
    names = named_types()
    written = {name: text for base in kind.__mro__ for name, text in inspect.get_annotations(base).items()}
    hints = get_type_hints(kind, include_extras=True)
    rows = ["| field | type | default |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        default = "" if field.required else f"`{field.default!r}`"
        shown = written[field.name] if written[field.name] in names else KINDS[hint]
        rows.append(f"| {field.name} | {shown} | {default} |")
    return f"#### {title}\n\n{markdown(inspect.getdoc(kind) or '')}\n\n" + "\n".join(rows) + "\n"


def named_types() -> dict[str, Any]:
    return {name: hint for name, hint in vars(fields).items() if get_origin(hint) is Annotated}


def plain(hint: Any) -> Any:
    base = get_args(hint)[0]
    return get_origin(base) or base


def bounds(hint: Any) -> str:
    meta: msgspec.Meta = get_args(hint)[1]
    if meta.ge is not None:
        return f"{meta.ge} to {meta.le:,}"
    unit = {str: "characters", bytes: "bytes", tuple: "entries"}[plain(hint)]
    if meta.min_length == meta.max_length:
        return f"{meta.max_length} {unit}"
    return f"{meta.min_length or 0} to {meta.max_length:,} {unit}"


def documented_names(module: Any) -> dict[str, str]:
    """The text under each assignment of a module."""
    body = ast.parse(inspect.getsource(module)).body
    found = {}
    for here, after in pairwise(body):
        if (
            isinstance(here, ast.Assign)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[ast.unparse(here.targets[0])] = str(after.value.value)
    return found


def markdown(text: str) -> str:
    return text.replace("``", "`")
