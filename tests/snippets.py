"""Python on a page, run as a reader would type it: from top to bottom, each block with the names of those before it.

A comment above a block, beside which nothing else stands on its line, says what is special about it:

- ``<!-- in: a folder where a swarm runs -->``: there is one in ``runs/latest``, of three peers.
- ``<!-- not run: why -->``: it is no program of its own; it is compiled all the same.

A comment behind a ``print`` is what it prints. A block may ``await``: all of a page then run on one event loop.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import types
from typing import Any, Final, NamedTuple

_BLOCK: Final = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = re.compile(r"<!-- not run: (.*?) -->")
IN_SWARM: Final = "<!-- in: a folder where a swarm runs -->"
_PRINTED: Final = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


class Snippet(NamedTuple):
    """One block: where its code begins on the page, the code, and its marks."""

    line: int
    code: str
    not_run: str | None = None


def snippets_of(page: str) -> list[Snippet]:
    """All blocks of a page, from top to bottom."""
    found = []
    for block in _BLOCK.finditer(page):
        mark = _MARK.search(block[1])
        found.append(Snippet(page.count("\n", 0, block.start(2)) + 1, block[2], mark and mark[1]))
    return found


def compiled(snippet: Snippet, name: str) -> types.CodeType:
    """Its code, with the page's own line numbers. Raises SyntaxError."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile("\n" * (snippet.line - 1) + snippet.code, name, "exec", flags=flags, dont_inherit=True)
    assert isinstance(code, types.CodeType)
    return code


def run_page(page: str, name: str) -> str:
    """Run the blocks of a page; all that they printed. Raises what they raise, and AssertionError where one prints something
    else than it says."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    with asyncio.Runner() as runner:
        for snippet in snippets_of(page):
            code = compiled(snippet, name)
            if snippet.not_run is not None:
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                _run(code, names, runner)
            _compare(snippet, out.getvalue())
            printed += out.getvalue()
    return printed


def _run(code: types.CodeType, names: dict[str, Any], runner: asyncio.Runner) -> None:
    result = eval(code, names)
    if inspect.iscoroutine(result):
        runner.run(result)


def _compare(snippet: Snippet, output: str) -> None:
    """What it says that it prints comes, in that order."""
    lines = iter(output.splitlines())
    for expected in _PRINTED.findall(snippet.code):
        assert expected in lines, f"line {snippet.line}: {expected!r} was to be printed, not\n{output}"
