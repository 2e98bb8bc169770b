"""No message is dropped without a reason that somebody can look up: all that the sources count are explained, and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from cicada.events import WHY_DROPPED

ROOT = Path(__file__).parent.parent
COUNTERS = frozenset({"tally", "_tally", "dropped"})
DROPPERS = frozenset({"drop", "_drop", "_count_dropped", "Drop"})
PASSED_ON = frozenset(
    {
        "too-old",  # what a session says of a frame
        # what the log of broadcasts and the check of a signature say
        "broadcast-expired", "broadcast-from-the-future", "broadcast-below-floor", "broadcast-crowded",
        "broadcast-signature", "broadcast-key-changed", "broadcast-record-address", "broadcast-record-expired",
        "broadcast-record-malformed", "broadcast-record-sequence", "broadcast-record-signature", "broadcast-record-swarm",
    }
)  # fmt: skip
"""Reasons that reach a dropper by a variable."""


def reasons_in(source: str) -> Iterator[str]:
    """Texts by which a module counts drops: what its calls of droppers and its counters of drops are given."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and name_of(node.func) in DROPPERS:
            yield from texts(node.args[0])
        elif isinstance(node, ast.Subscript):
            for text in texts(node.slice):
                if name_of(node.value) in COUNTERS or text.startswith("dropped:"):
                    yield text.removeprefix("dropped:")


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be worth: of what it compares, none."""
    if isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_every_reason_in_the_sources_is_explained_and_every_explained_one_is_counted() -> None:
    found = {
        reason for path in sorted((ROOT / "cicada").rglob("*.py")) for reason in reasons_in(path.read_text())
    }
    assert found | PASSED_ON == set(WHY_DROPPED)


def test_the_search_for_reasons_finds_them() -> None:
    source = (
        'self._drop("a"); core.drop("b" if x == "no" else "c", 1); around.tally["d"] += 1; '
        'other("e"); self.drop(connection, "f")'
    )
    assert set(reasons_in(source)) == {"a", "b", "c", "d"}
