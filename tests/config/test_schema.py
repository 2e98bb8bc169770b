"""The JSON Schema: it takes every configuration that the loader takes, and refuses values that are wrong by themselves."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, BeforeValidator, PlainValidator, WithJsonSchema, model_validator
from pydantic.fields import FieldInfo

from cicada.config import Config, parse_config
from cicada.config.schema import json_schema
from cicada.errors import ConfigErrors

ROOT: Final = Path(__file__).parents[2]
SCHEMA: Final[dict[str, Any]] = json_schema(Config, "Cicada swarm")
VALIDATOR: Final = Draft202012Validator(SCHEMA)
RIGHT: Final = '[swarm]\nname = "s"\n[[group]]\nname = "core"\ncount = 2\naddress = "127.0.0.1:20000"\n'


def problems(toml: str) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(tomllib.loads(toml))]


def models(kind: type[BaseModel] = Config) -> dict[str, type[BaseModel]]:
    """Every table of a configuration, by name."""
    found = {kind.__name__: kind}
    for field in kind.model_fields.values():
        for part in parts(field.annotation):
            found |= models(part)
    return found


def parts(annotation: Any) -> list[type[BaseModel]]:
    """The tables that an annotation is made of, however deep: ``tuple[Stage, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in get_args(annotation) for part in parts(inner)]


def fields() -> list[tuple[str, FieldInfo]]:
    return [
        (f"{table}.{name}", field)
        for table, kind in models().items()
        for name, field in kind.model_fields.items()
    ]


def test_it_is_a_schema_of_the_dialect_that_it_names() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_every_configuration_of_the_project_is_right(path: Path) -> None:
    assert problems(path.read_text()) == []


def test_each_section_and_key_of_the_models_is_in_it_and_no_other() -> None:
    for kind in models().values():
        part = SCHEMA if kind is Config else SCHEMA["$defs"][kind.__name__]
        assert set(part["properties"]) == {field.alias or name for name, field in kind.model_fields.items()}
        assert part["additionalProperties"] is False


def test_every_section_says_what_it_is_for() -> None:
    assert [name for name, part in SCHEMA["$defs"].items() if not part.get("description")] == []


def test_a_key_is_described_by_the_sentences_that_name_it() -> None:
    group = SCHEMA["$defs"]["Group"]["properties"]
    assert group["behaviour"]["description"].startswith("`behaviour`: what harm they do")
    assert "``" not in json.dumps(SCHEMA)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"core"', '"all"', "$.group[0].name"),
        ('"core"', '"core-1"', "$.group[0].name"),
        ('"core"', '"1core"', "$.group[0].name"),
        ("count = 2", "count = 0", "$.group[0].count"),
        ("count = 2", 'count = "2"', "$.group[0].count"),
        ("count = 2", "count = 2\nbehaviour_share = 1.5", "$.group[0].behaviour_share"),
        ("count = 2", 'count = 2\nbehaviour_share = "half"', "$.group[0].behaviour_share"),
        ("count = 2", 'count = 2\nbehaviour = "sulk"', "$.group[0].behaviour"),
        ("count = 2", "count = 2\ncolour = 1", "$.group[0]"),
        ('"127.0.0.1:20000"', '"localhost:20000"', "$.group[0].address"),
        ('"127.0.0.1:20000"', '"127.0.0.1"', "$.group[0].address"),
        ('name = "s"', 'name = "s"\nworkers = "many"', "$.swarm.workers"),
        ('name = "s"', 'name = "s"\nworkers = 0', "$.swarm.workers"),
        ("[swarm]", '[peer]\nlog_level = "loud"\n[swarm]', "$.peer.log_level"),
        ("[swarm]", "[nonsense]\n[swarm]", "$"),
    ],
)
def test_a_value_that_is_wrong_by_itself_is_refused_as_the_loader_does(
    old: str, new: str, where: str
) -> None:
    toml = RIGHT.replace(old, new)
    assert problems(toml) == [where]
    with pytest.raises(ConfigErrors):
        parse_config(toml)


def test_no_group_at_all_is_refused() -> None:
    assert list(VALIDATOR.iter_errors({"swarm": {"name": "s"}, "group": []}))
    assert list(VALIDATOR.iter_errors({"swarm": {"name": "s"}}))


@given(
    name=st.text(st.characters(codec="ascii", exclude_characters='"\\\x00'), max_size=50),
    address=st.sampled_from(
        [
            "127.0.0.1:1",
            "[::1]:65535",
            "::1:80",
            "[fe80::1%lo]:5",
            "[::ffff:1.2.3.4]:9",
            "10.0.0.1:0",
            "x:1",
            "1.2.3.4",
        ]
    ),
    share=st.one_of(
        st.floats(0, 1.5).map(str), st.sampled_from(['"5%"', '"5 %"', '"12.5%"', '"%"', '"5"', "true"])
    ),
    workers=st.one_of(st.integers(-1, 300).map(str), st.sampled_from(['"auto"', '"Auto"', "1.0", "true"])),
)
def test_what_the_loader_takes_the_schema_takes(name: str, address: str, share: str, workers: str) -> None:
    printable = "".join(c for c in name if c.isprintable())
    toml = (
        f'[swarm]\nname = "s"\nworkers = {workers}\n[[group]]\nname = "{printable}"\ncount = 2\n'
        f'address = "{address}"\nbehaviour = "drop"\nbehaviour_share = {share}\n'
    )
    try:
        parse_config(toml)
    except ConfigErrors:
        return
    assert problems(toml) == []


def test_every_key_that_a_function_reads_first_says_how_it_is_written() -> None:
    """Otherwise the schema has to take anything for it: give the field a ``WithJsonSchema``."""
    read_first = {name: field for name, field in fields() if has(field, BeforeValidator)}
    assert [name for name, field in read_first.items() if not has(field, WithJsonSchema)] == []


class Stage(BaseModel):
    """A stage."""

    rate: float

    @model_validator(mode="before")
    @classmethod
    def short(cls, value: object) -> object:
        return value


class Told(BaseModel):
    """``after``: when. It may be left out."""

    after: Annotated[float, BeforeValidator(float)] = 1.0
    until: float | None = None
    plain: Annotated[float, PlainValidator(float)] = 2.0
    stages: tuple[Stage, ...] | None = None


def test_a_key_that_does_not_say_so_takes_anything_rather_than_refusing_what_is_right() -> None:
    made = json_schema(Told, "told")
    assert made["properties"] == {
        "after": {"default": 1.0, "description": "`after`: when."},
        "until": {"type": "number"},
        "plain": {"default": 2.0},
        "stages": {"type": "array", "items": {"$ref": "#/$defs/Stage"}},
    }
    assert made["$defs"]["Stage"]["required"] == ["rate"]
    assert set(models(Told)) == {"Told", "Stage"}


def has(field: FieldInfo, kind: type) -> bool:
    return any(isinstance(item, kind) for item in field.metadata)
