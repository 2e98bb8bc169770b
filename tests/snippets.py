"""Python on a page, run as a reader would type it: from top to bottom, each block with the names of those before it.

A comment above a block, beside which nothing else stands on its line, says what is special about it:

- ``<!-- needs: cicada.aio.SwarmPeer.request -->``: it is left out where that name does not exist.
- ``<!-- in: a folder where a swarm runs -->``: there is one in ``runs/latest``, of three peers.
- ``<!-- not run: why -->``: it is no program of its own; it is compiled all the same.

A comment behind a ``print`` is what it prints. A block may ``await``: all of a page then run on one event loop.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import re
import types
from typing import Any, Final, NamedTuple

_BLOCK: Final = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = re.compile(r"<!-- (needs|not run): (.*?) -->")
IN_SWARM: Final = "<!-- in: a folder where a swarm runs -->"
_PRINTED: Final = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


class Snippet(NamedTuple):
    """One block: where its code begins on the page, the code, and its marks."""

    line: int
    code: str
    needs: tuple[str, ...] = ()
    not_run: str | None = None


class Outcome(NamedTuple):
    """What became of a page: all that it printed, and what was left out because a name does not exist."""

    printed: str
    missing: list[str]


def snippets_of(page: str) -> list[Snippet]:
    """All blocks of a page, from top to bottom."""
    found = []
    for block in _BLOCK.finditer(page):
        marks = _MARK.findall(block[1])
        needs = tuple(text for kind, text in marks if kind == "needs")
        not_run = next((text for kind, text in marks if kind == "not run"), None)
        found.append(Snippet(page.count("\n", 0, block.start(2)) + 1, block[2], needs, not_run))
    return found


def compiled(snippet: Snippet, name: str) -> types.CodeType:
    """Its code, with the page's own line numbers. Raises SyntaxError."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile("\n" * (snippet.line - 1) + snippet.code, name, "exec", flags=flags, dont_inherit=True)
    assert isinstance(code, types.CodeType)
    return code


def run_page(page: str, name: str) -> Outcome:
    """Run the blocks of a page. Raises what they raise, and AssertionError where one prints something else than it says."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed, missing = "", []
    with asyncio.Runner() as runner:
        for snippet in snippets_of(page):
            code = compiled(snippet, name)
            absent = [need for need in snippet.needs if not exists(need)]
            missing += absent
            if absent or snippet.not_run is not None:
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                _run(code, names, runner)
            _compare(snippet, out.getvalue())
            printed += out.getvalue()
    return Outcome(printed, missing)


def exists(dotted: str) -> bool:
    """Whether a module, or a name in one, is there."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def _run(code: types.CodeType, names: dict[str, Any], runner: asyncio.Runner) -> None:
    result = eval(code, names)
    if inspect.iscoroutine(result):
        runner.run(result)


def _compare(snippet: Snippet, output: str) -> None:
    """What it says that it prints comes, in that order."""
    lines = iter(output.splitlines())
    for expected in _PRINTED.findall(snippet.code):
        assert expected in lines, f"line {snippet.line}: {expected!r} was to be printed, not\n{output}"
