"""Both mypy and pyright accept an application that uses the whole public API, and refuse each wrong use of it, where it is."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import cicada
from cicada import aio
from tests.typing.wrong import HEAD, WRONG

ROOT: Final = Path(__file__).parent.parent.parent
APPLICATION: Final = Path(__file__).parent / "app.py"
SECONDS: Final = 300.0
FOR_TESTS: Final = {"change_swarm_keys", "crash", "trial"}
"""Verbs of a peer that are for the launcher and for tests."""

Found = dict[str, set[int]]
"""Lines that were refused, by the stem of the file's name."""


def mypy(paths: list[Path], cache: Path) -> Found:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(cache)]
    done = subprocess.run(
        [*command, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Found = defaultdict(set)
    for path, line in re.findall(r"^(.+?):(\d+): error:", done.stdout, re.MULTILINE):
        found[Path(path).stem].add(int(line))
    return found


def pyright(paths: list[Path], project: Path) -> Found:
    """In strict mode, by the configuration in ``project``."""
    search = [str(ROOT)]
    config = {"include": [str(path) for path in paths], "extraPaths": search, "typeCheckingMode": "strict"}
    (project / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyright", "--project", str(project), "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--outputjson"], cwd=project, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(paths)
    found: Found = defaultdict(set)
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            found[Path(each["file"]).stem].add(each["range"]["start"]["line"] + 1)
    return found


CHECKERS: Final[dict[str, Callable[[list[Path], Path], Found]]] = {"mypy": mypy, "pyright": pyright}


@pytest.mark.prove
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_right_application_is_accepted_and_wrong_uses_are_refused_where_they_are(
    checker: str, tmp_path: Path
) -> None:
    if checker == "pyright":
        pytest.importorskip("pyright", reason="pyright is not installed: pip install 'pyright[nodejs]'")
    shutil.copy(APPLICATION, tmp_path / "app.py")
    programs = {name: HEAD + program for name, program in WRONG.items()}
    for name, program in programs.items():
        (tmp_path / f"{name}.py").write_text(program)
    found = CHECKERS[checker](sorted(tmp_path.glob("*.py")), tmp_path)
    marked = {name: wrong_lines(program) for name, program in programs.items()}
    assert {name: lines for name, lines in found.items() if lines} == marked


def wrong_lines(program: str) -> set[int]:
    return {number for number, line in enumerate(program.splitlines(), 1) if line.endswith("# wrong")}


def test_each_wrong_use_has_one_wrong_line() -> None:
    assert {name for name, program in WRONG.items() if len(wrong_lines(program)) != 1} == set()
    assert len(WRONG) >= 5


def test_the_application_uses_every_public_name_and_every_verb_of_both_peers() -> None:
    tree = ast.parse(APPLICATION.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    verbs = {
        name for peer in (cicada.SwarmPeer, aio.SwarmPeer) for name in dir(peer) if not name.startswith("_")
    }
    offered = {*cicada.__all__, *aio.__all__, *(verbs - FOR_TESTS)}
    assert offered - used == set(), "use it in tests/typing/app.py"
