"""Files that a configuration names are read before anything starts, and blamed where they are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cicada.config import load_config
from cicada.errors import ConfigErrors
from launcher.cli import app
from launcher.inputs import file_problems

SWARM = """\
[swarm]
name = "s"
key_file = "swarm.key"

[[group]]
name = "core"
count = 2
address = "127.0.0.1:20000"

[peer]
keys = "hosts.json"

[watch]
listen = "127.0.0.1:9620"
key_file = "watch.key"

[[fault]]
do = "churn"
model = "trace"
file = "one.churn"

[[fault]]
do = "churn"
model = "trace"
file = "two.churn"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s.toml"
    path.write_text(SWARM)
    return path


def mistakes(file: Path, *overrides: tuple[str, str]) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        load_config(file, overrides, files=file_problems)
    return [str(error) for error in raised.value.errors]


def test_every_file_that_is_missing_is_told_at_the_line_that_names_it(file: Path) -> None:
    here = file.parent
    assert mistakes(file) == [
        f"{file}:3:12: swarm.key_file: {here}/swarm.key cannot be read: No such file or directory; "
        f"make it with `cicada keys new --swarm {here}/swarm.key`",
        f"{file}:11:8: peer.keys: {here}/hosts.json cannot be read: No such file or directory; "
        "make one with `cicada keys new --pair ADDRESS ADDRESS FOLDER`",
        f"{file}:15:12: watch.key_file: {here}/watch.key cannot be read: No such file or directory; "
        f"make it with `cicada keys new --swarm {here}/watch.key`",
        f"{file}:20:8: fault[0].file: {here}/one.churn: no such file",
        f"{file}:25:8: fault[1].file: {here}/two.churn: no such file",
    ]


def test_a_mistake_elsewhere_hides_no_file_and_a_flag_is_blamed_for_its_own(file: Path) -> None:
    found = mistakes(file, ("swarm.key_file", "other.key"), ("swarm.seed", "-1"))
    assert any("one.churn: no such file" in mistake for mistake in found)
    assert any(mistake.startswith("--set swarm.key_file=other.key: swarm.key_file: ") for mistake in found)
    assert any("swarm.seed: must be at least 0" in mistake for mistake in found)


def test_every_wrong_line_of_every_trace_is_told(file: Path) -> None:
    (file.parent / "one.churn").write_text("1 core-0 up\nx core-0 U\n")
    (file.parent / "two.churn").write_text("")
    found = [mistake for mistake in mistakes(file) if "fault[" in mistake]
    assert "one.churn:1:10: 'up': write U for up" in found[0]
    assert "one.churn:2:1: 'x' is not a number of seconds" in found[1]
    assert "two.churn: there is nothing in it" in found[2]


@pytest.mark.parametrize("name", [r"\u0000", "~nobody-of-this-name/a.key", "/proc/1/mem/a"])
def test_a_name_that_no_file_can_have_is_one_clear_mistake(file: Path, name: str) -> None:
    file.write_text(SWARM.partition("[peer]")[0].replace("swarm.key", name))
    (found,) = mistakes(file)
    assert found.startswith(f"{file}:3:12: swarm.key_file: ")


@pytest.mark.parametrize("verb", [("check",), ("doctor",), ("up", "--dry-run"), ("up",)])
def test_whatever_up_refuses_check_and_doctor_refuse_too(file: Path, verb: tuple[str, ...]) -> None:
    result: Result = CliRunner().invoke(app, [*verb, str(file)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 5
