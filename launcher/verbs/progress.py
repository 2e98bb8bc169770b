"""How far a load is, on standard error: a line that is written over on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self

import typer

from cicada.commands import LoadProgress
from cicada.limits import CLI
from launcher.output import failed_by_group

_ERASE_LINE = "\r\x1b[K"
_BARS = " ▁▂▃▄▅▆▇█"
_HISTORY = 24
_REASONS = 2
_REASON = 40  # characters


class ProgressLine:
    """Shows what it is given, unless it is to be quiet; a context manager that leaves no half line behind."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._over = sys.stderr.isatty()
        self._quiet = quiet
        self._due = time.monotonic() + CLI.progress_lines
        self._redraw = 0.0
        self._rates: list[float] = []

    def show(self, progress: LoadProgress) -> None:
        """Show it, unless the last line is too fresh."""
        now = time.monotonic()
        if self._quiet or now < (self._redraw if self._over else self._due):
            return
        if self._over:
            self._redraw = now + CLI.progress
            self._rates = [*self._rates[1 - _HISTORY :], progress.rate]
            line = progress_line(progress) + sparkline(self._rates)
            width = shutil.get_terminal_size().columns
            typer.echo(_ERASE_LINE + line[: width - 1], err=True, nl=False)
        else:
            self._due = now + CLI.progress_lines
            typer.echo(progress_line(progress), err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._over and not self._quiet:
            typer.echo(_ERASE_LINE, err=True, nl=False)


def progress_line(progress: LoadProgress) -> str:
    """One line for people."""
    parts = [f"  {progress.seconds:.0f} of {progress.duration:.0f} s"]
    target = f" of {progress.target:.0f}" if progress.target else ""
    parts.append(f"{progress.rate:.0f}{target}/s")
    if progress.p50_s is not None and progress.p99_s is not None:
        parts.append(f"p50 {progress.p50_s * 1000:.1f} ms, p99 {progress.p99_s * 1000:.1f} ms")
    planned = f" of {progress.planned}" if progress.planned else ""
    parts.append(f"{progress.sent}{planned} begun, {progress.acknowledged} ok, {progress.failed} failed")
    if progress.dropped:
        parts.append(f"{progress.dropped} dropped")
    worst = sorted(progress.failures.items(), key=lambda entry: -entry[1])[:_REASONS]
    parts += [f"{count} {reason[:_REASON]}" for reason, count in worst]
    if groups := failed_by_group(progress.groups):
        parts.append(f"failed to {groups}")
    if progress.is_draining:
        parts.append("waiting for the last")
    return ", ".join(parts)


def sparkline(values: list[float]) -> str:
    """Values as bars, the highest one full."""
    top = max(values, default=0.0)
    if len(values) < 2 or top <= 0:
        return ""
    return "  " + "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values)
