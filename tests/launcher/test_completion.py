"""What Tab offers, through the protocol by which shells ask, and in bash itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cicada.config import to_toml
from cicada.limits import CLI
from launcher.cli import app
from launcher.runfolder import open_run_folder

from .swarms import config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of two swarms; nothing runs."""
    home = tmp_path_factory.mktemp("home")
    extra = '[[group]]\nname = "edge"\ncount = 1000\naddress = "127.0.0.1:30000"'
    with open_run_folder("small", home / "runs" / "small") as run:
        run.write_config(to_toml(config(3, first_port=20000)))
    with open_run_folder("large", home / "runs" / "large") as run:
        run.write_config(to_toml(config(12, first_port=20000, extra=extra)))
        for name in ("worker-0", "worker-1", "core-3"):
            (run.logs / f"{name}.jsonl").touch()
    return home


def offered(folder: Path, line: str) -> list[str]:
    """What bash is told when Tab is pressed at the end of the line."""
    index = len(line.split()) - (not line.endswith(" "))
    asked = {"_CICADA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(index)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(app, [], env=asked, prog_name="cicada")
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cicada st", ["status", "stop"]),
        ("cicada status --wa", ["--wait", "--watch"]),
        ("cicada kill ", ["all", "core", "edge", "worker-0", "worker-1"]),
        ("cicada kill core-1", ["core-1", "core-10", "core-11"]),
        ("cicada logs wo", ["worker-0", "worker-1"]),
        ("cicada send edge-99", ["edge-99", *(f"edge-99{n}" for n in range(10))]),
        ("cicada lookup c", ["core-"]),
        ("cicada scale ", ["core", "edge"]),
        ("cicada fault partition ed", ["edge"]),
        ("cicada kill --run runs/small ", ["all", "core"]),
        ("cicada status --run runs/", ["runs/latest", "runs/small", "runs/large"]),
        ("cicada up runs/latest/config.resolved.toml -n ", ["core=12", "edge=1000"]),
        ("cicada kill --run nowhere ", ["all"]),
        ("cicada up nowhere.toml -n ", []),
    ],
)
def test_tab_offers_verbs_options_and_the_names_of_the_swarm(
    folder: Path, line: str, words: list[str]
) -> None:
    assert offered(folder, line) == words


def test_a_thousand_names_are_not_offered_at_once(folder: Path) -> None:
    assert len(offered(folder, "cicada send edge-")) == CLI.completions


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script_that_is_shown_and_completes_with_it(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "cicada"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cicada "$@"\n')
    program.chmod(0o700)
    script = (
        'eval "$(cicada --show-completion)"; complete -p cicada; '
        'COMP_WORDS=(cicada kill core-1); COMP_CWORD=2; _cicada_completion cicada; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "complete -o default -F _cicada_completion cicada",
        "core-1 core-10 core-11",
    ], done.stderr
