"""docs/events.md says what the classes of events say, and its subscriber sees a real swarm."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from cicada.bus.standing import HEEDED
from cicada.bus.topics import TRAFFIC, kinds, topic_of
from cicada.events import EVENT_VERSION, EdgeCount, Envelope, OpInterval
from tests.launcher.swarms import PATIENCE, RunningSwarm, config, free_ports, running

ROOT: Final = Path(__file__).parent.parent
EVENTS: Final = ROOT / "docs" / "events.md"
SAMPLE: Final = ROOT / "samples" / "watch_raw.py"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
PLAIN: Final[dict[Any, str]] = {int: "number", float: "number", str: "text", bool: "bool", type(None): "nil"}
FAMILIES: Final = {
    "ring": "The ring",
    "routing": "Messages",
    "link": "Links",
    "key": "Keys",
    "nat": "Mapped ports",
    "run": "The run: supervision, faults, timeline",
    "load": "Load",
    "traffic": "Traffic",
}


def test_the_reference_of_events_is_what_the_classes_say(rewrite: bool) -> None:
    text = EVENTS.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    current = head + BEGIN + reference() + END + tail
    if rewrite:
        EVENTS.write_text(current)
    assert EVENTS.read_text() == current


def test_the_subscriber_on_the_page_is_the_sample(rewrite: bool) -> None:
    before, _, rest = EVENTS.read_text().partition("```python\n")
    _, _, after = rest.partition("```\n")
    current = f"{before}```python\n{SAMPLE.read_text()}```\n{after}"
    if rewrite:
        EVENTS.write_text(current)
    assert EVENTS.read_text() == current


def test_every_field_of_an_envelope_is_on_the_page() -> None:
    text = EVENTS.read_text()
    for field in msgspec.structs.fields(Envelope):
        assert f"\n| {field.name} |" in text


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    three = config(3, first_port=free_ports(3))
    with running(three, tmp_path_factory.mktemp("sample") / "run") as swarm:
        yield swarm


def test_a_subscriber_without_cicada_sees_what_is_and_what_happens(swarm: RunningSwarm) -> None:
    command = [sys.executable, "-I", str(SAMPLE), str(swarm.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        try:
            lines: Iterator[str] = iter(watcher.stdout.readline, "")
            state = list(_until(lines, "now"))
            assert all(
                any("PeerStarted" in line and f"core-{n} " in line for line in state) for n in range(3)
            )
            assert any("'state': 'proven'" in line for line in state)
            assert any("PeerMeasured" in line for line in _until(lines, "PeerMeasured"))
        finally:
            watcher.kill()
            watcher.wait(PATIENCE)


def _until(lines: Iterator[str], word: str) -> Iterator[str]:
    """Lines up to the first one with that word, which is the last."""
    for line in lines:
        yield line
        if word in line:
            return


def reference() -> str:
    parts = [f"The present version is {EVENT_VERSION}.\n"]
    for family, title in FAMILIES.items():
        members = [kind for kind in kinds().values() if topic_of(kind).startswith(f"{family}.".encode())]
        parts += [f"### {title}: `{family}.`\n", *(described(kind) for kind in members)]
    parts += ["### Parts of events\n", *(table_of(part) for part in (EdgeCount, OpInterval))]
    return "\n".join(parts)


def described(kind: type[msgspec.Struct]) -> str:
    marks = ["state"] if kind in HEEDED else []
    marks += ["traffic"] if topic_of(kind) in TRAFFIC else []  # type: ignore[arg-type]
    return table_of(kind, f" ({', '.join(marks)})" if marks else "")


def table_of(kind: type[msgspec.Struct], marks: str = "") -> str:
    hints = get_type_hints(kind)
    rows = ["| field | type | default |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        default = "" if field.required else f"`{_default(field)!r}`"
        rows.append(f"| {field.name} | {shown(hints[field.name])} | {default} |")
    text = (inspect.getdoc(kind) or "").replace("``", "`")
    return f"#### {kind.__name__}{marks}\n\n{text}\n\n" + ("\n".join(rows) + "\n" if len(rows) > 2 else "")


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def shown(hint: Any) -> str:
    """A type in the words of MessagePack."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        several = inner[:1] if inner[-1] is Ellipsis else inner
        return f"array of {', '.join(map(shown, several))}"
    if origin is dict:
        return f"map of {shown(inner[0])} to {shown(inner[1])}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(shown, inner))
    return str(hint.__name__)
