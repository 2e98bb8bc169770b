"""docs/actors.md does what it says, and so does samples/actors.py."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent


async def test_the_snippets_of_the_page_run_one_after_the_other() -> None:
    page = (ROOT / "docs" / "actors.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 5
    names: dict[str, Any] = {}
    for snippet in snippets:
        code: CodeType = compile(snippet, "actors.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(code, names)
        if inspect.isawaitable(outcome):
            await outcome


def test_the_sample_goes_on_after_its_second_process_was_killed() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "samples" / "actors.py"],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    said = run.stdout.splitlines()
    assert said[:3] == ["tea: number 1", "fire: number 2", "bread: number 3"]
    assert said[-2:] == [
        "again: number 1",
        "the till was restarted 1 time(s), the warehouse met in 2 lives",
    ]
