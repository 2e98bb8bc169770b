"""How far a load is, on standard error: a line that is written over on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import typer

from cicada.commands import LoadProgress
from cicada.limits import CLI

_ERASE_LINE = "\r\x1b[K"


def progress_wanted(asked: bool | None, *, as_json: bool) -> bool:
    """Whether to show progress: as asked; by default on a terminal, unless the result is for a program."""
    if asked is not None:
        return asked
    return sys.stderr.isatty() and not as_json


class ProgressLine:
    """Shows what it is given; a context manager that leaves no half line behind."""

    def __init__(self) -> None:
        self._over = sys.stderr.isatty()
        self._due = 0.0

    def show(self, progress: LoadProgress) -> None:
        """Show it, unless the last line is too fresh."""
        if self._over:
            typer.echo(_ERASE_LINE + _line(progress), err=True, nl=False)
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + CLI.progress_lines
            typer.echo(_line(progress), err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._over:
            typer.echo(_ERASE_LINE, err=True, nl=False)


def _line(progress: LoadProgress) -> str:
    return (
        f"  {progress.sent} of {progress.planned} sent, {progress.acknowledged} acknowledged, "
        f"{progress.failed} failed, {progress.seconds:.1f} s"
    )
