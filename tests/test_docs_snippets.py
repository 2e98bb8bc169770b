"""Every Python snippet of the README and of the pages is run, against real peers on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.launcher.swarms import config, free_ports, running
from tests.snippets import IN_SWARM, Snippet, run_page, snippets_of

ROOT: Final = Path(__file__).parent.parent
ALL: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES: Final = [page for page in ALL if snippets_of(page.read_text())]
FEW: Final = 6
"""Snippets that are not run, on all pages together."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@contextlib.contextmanager
def swarm_in(folder: Path) -> Iterator[None]:
    """Three peers, in a run as a reader has it."""
    with running(config(3, first_port=free_ports(3)), folder / "runs" / "latest"):
        yield


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_snippet_of_a_page_runs_and_prints_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page.read_text()
    monkeypatch.chdir(tmp_path)
    with swarm_in(tmp_path) if IN_SWARM in text else contextlib.nullcontext():
        run_page(text, name_of(page))


def test_snippets_that_are_not_run_are_few_and_say_why() -> None:
    marked = {
        f"{name_of(page)}:{snippet.line}": snippet.not_run
        for page in PAGES
        for snippet in snippets_of(page.read_text())
        if snippet.not_run is not None
    }
    assert len(marked) <= FEW, marked
    assert all(len(reason.split()) >= 3 for reason in marked.values()), marked


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_no_python_hides_in_a_block_that_is_not_run(page: Path) -> None:
    """Another word for the language, or an indented fence, and nobody would run it."""
    text = page.read_text()
    fences = [line for line in text.splitlines() if line.strip().startswith(("```py", "~~~py", "```{code"))]
    assert fences == ["```python"] * len(snippets_of(text))


def test_blocks_are_found_with_their_marks_and_lines() -> None:
    page = (
        "text\n```python\na = 1\n```\n```python\nb = 2\n```\n"
        "<!-- not run: a part of a program -->\n```python\nc = 3\n```\n```console\n$ not this\n```\n"
    )
    assert snippets_of(page) == [
        Snippet(3, "a = 1\n"),
        Snippet(6, "b = 2\n"),
        Snippet(10, "c = 3\n", "a part of a program"),
    ]


def test_later_blocks_know_the_names_of_earlier_ones_and_share_a_loop() -> None:
    first = "import asyncio\nloop = asyncio.get_running_loop()\nawait asyncio.sleep(0)\n"
    page = f"```python\n{first}```\n```python\nawait asyncio.sleep(0)\nprint(loop is asyncio.get_running_loop())  # True\n```\n"
    assert run_page(page, "page") == "True\n"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print(1 + 1)  # 3", AssertionError),
        ("1 / 0", ZeroDivisionError),
        ("await nobody()", NameError),
        ("this is no Python", SyntaxError),
    ],
)
def test_a_page_that_is_wrong_is_found(code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        run_page(f"```python\n{code}\n```\n", "page")


def test_an_error_names_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        run_page("text\n\n```python\nx = 0\n1 / x\n```\n", "docs/page.md")
    assert (str(raised.traceback[-1].path)[-12:], raised.traceback[-1].lineno + 1) == ("docs/page.md", 5)
