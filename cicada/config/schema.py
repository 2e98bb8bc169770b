"""The JSON Schema of a model of configuration files, for editors. Made from the models, so that it knows every section.

It says of each value by itself what the loader would; rules between values (ports that overlap) are the loader's alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TABLES = ("model", "model-fields", "definition-ref")
_NULL = {"type": "null"}
_SENTENCE = re.compile(r"(?<=[^.][.!?])\s+(?=[`A-Z])")


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of files that hold a ``model``. Keys are described by the sentences of its docstrings that name them."""
    found = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = found.get("$defs", {})
    for part in (found, *definitions.values()):
        _tidy(part)
    for part in (found, *definitions.values()):
        _describe(part)
    return {"$schema": _DIALECT, **found, "title": title}


class _Generator(GenerateJsonSchema):
    """A value that a function reads first may look like anything, unless the field says how it is written. A table is one
    however it is read."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        return self._read_by_function(schema["schema"])

    def function_wrap_schema(self, schema: core_schema.WrapValidatorFunctionSchema) -> JsonSchemaValue:
        return self._read_by_function(schema["schema"])

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return {}

    def _read_by_function(self, inner: core_schema.CoreSchema) -> JsonSchemaValue:
        return self.generate_inner(inner) if inner["type"] in _TABLES else {}


def _tidy(part: dict[str, Any]) -> None:
    """Without what helps nobody: titles made from keys, and null, which TOML does not have."""
    for key, value in part.get("properties", {}).items():
        value.pop("title", None)
        if value.get("default", ...) is None:
            del value["default"]
        choices = [choice for choice in value.get("anyOf", ()) if choice != _NULL]
        if len(choices) == 1 and _NULL in value["anyOf"]:
            del value["anyOf"]
            part["properties"][key] = choices[0] | value
        elif choices:
            value["anyOf"] = choices


def _describe(part: dict[str, Any]) -> None:
    text = str(part.get("description", ""))
    for key, value in part.get("properties", {}).items():
        about = " ".join(_sentences_about(key, text))
        if about and "description" not in value:
            value["description"] = _plain(about)
    if text:
        part["description"] = _plain(text)


def _sentences_about(key: str, text: str) -> Iterator[str]:
    named = re.compile(rf"``{re.escape(key)}\b")
    for sentence in _SENTENCE.split(text):
        if named.search(sentence):
            yield sentence.strip()


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("``", "`"))
