"""The reader of JSON with positions agrees with Python's about every document, and knows where everything stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cicada.keys.jsondoc import Reader
from cicada.keys.jsonscan import Item

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def plain(item: Item) -> Any:
    if item.kind == "object":
        return {name: plain(value) for name, value in item.fields.items()}
    return [plain(entry) for entry in item.items] if item.kind == "array" else item.value


def errors(text: str) -> list[str]:
    reader = Reader("f.json")
    reader.document(text)
    return [str(error) for error in reader.result(0).errors]


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
@example({"": [[[{}]]]}, None, True)
def test_a_document_reads_as_python_reads_it(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    reader = Reader("f.json")
    item = reader.document(json.dumps(value, indent=indent, ensure_ascii=ascii_only))
    assert item is not None
    assert plain(item) == value
    assert reader.result(1).value == 1


@given(st.text())
@example('{"a": 1')
@example("[1,]")
@example("{} {}")
@example("[NaN]")
@example("'a'")
@example("[1e+16, -0.5E-3, 01]")
@example('["\\x"]')
@example('["\\ud800"]')
@example("[true, nul]")
@example("\u00a0[]")
@example("1" * 5000)
def test_any_text_is_a_document_or_has_an_error(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
        is_right = True
    except (ValueError, ArithmeticError, RecursionError):
        is_right = False
    assert bool(errors(text)) != is_right


def test_every_value_and_name_knows_its_line_and_column_in_characters() -> None:
    item = Reader("f").document('{"ä": "ö", "b":\n  [1, {"c": null}]}')
    assert item is not None
    assert item.names == {"ä": (1, 2), "b": (1, 12)}
    listed = item.fields["b"]
    assert (listed.line, listed.column) == (2, 3)
    assert [(entry.line, entry.column) for entry in listed.items] == [(2, 4), (2, 7)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.json:1:1: not valid JSON: expected a value"),
        ('{"a": 1\n "b"}', "f.json:2:2: not valid JSON: expected , or }"),
        ("{a: 1}", "f.json:1:2: not valid JSON: expected a name in quotes"),
        ('{"a" 1}', "f.json:1:6: not valid JSON: expected :"),
        ("[1 2]", "f.json:1:4: not valid JSON: expected , or ]"),
        ("[1] 2", "f.json:1:5: not valid JSON: the document ended before this"),
        ('["a\n"]', "f.json:1:2: not valid JSON: text that does not end on its line"),
        ('{"a": 1, "a": 2}', 'f.json:1:10: field "a" a second time: first in line 1'),
        ("[" * 100_000, "f.json:1:18: not valid JSON: nested too deeply"),
    ],
)
def test_a_mistake_has_its_position(text: str, message: str) -> None:
    assert errors(text) == [message]


def test_comments_are_mistakes_that_hide_no_others() -> None:
    assert errors('// one\n{"a": 1, /* two\n three */ "a": 2}') == [
        "f.json:1:1: JSON has no comments: delete this one",
        "f.json:2:10: JSON has no comments: delete this one",
        'f.json:3:11: field "a" a second time: first in line 2',
    ]


def test_an_item_shows_nothing_of_its_value() -> None:
    item = Reader("f").document('["hunter2"]')
    assert item is not None
    assert "hunter2" not in repr(item) + repr(item.items)
