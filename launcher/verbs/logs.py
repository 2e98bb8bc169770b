"""``cicada logs``: what peers say, read from the run folder, so that it works when the swarm has ended too."""

from __future__ import annotations

import enum
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cicada.commands import Done, SetLogLevel
from cicada.errors import Misuse
from cicada.limits import CLI
from launcher import output
from launcher.logs.records import Filter, instant, level_named, readable
from launcher.verbs import completion
from launcher.verbs.options import LATEST_RUN, RunOption, seconds

if TYPE_CHECKING:
    from launcher.logs.reading import Follower, Line, RunLogs


class LevelName(enum.StrEnum):
    """How much a record matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ActorName(enum.StrEnum):
    """Actors of a peer that have a log level."""

    TRANSPORT = "transport"
    RING = "ring"
    ROUTER = "router"
    CRYPTO = "crypto"
    SUPERVISOR = "supervisor"


_COLOURS = {"debug": output.faint, "warning": output.warn, "error": output.bad}


def logs(
    select: Annotated[
        str,
        typer.Argument(
            metavar="PEER",
            help="core-3, worker-1, launcher, core, core:10%, 10% or all.",
            autocompletion=completion.selectors,
        ),
    ] = "all",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the swarm ends.")] = False,
    level: Annotated[LevelName, typer.Option("--level", help="Show records of at least this level.")] = (
        LevelName.DEBUG
    ),
    grep: Annotated[str, typer.Option("--grep", metavar="TEXT", help="Show lines with this text.")] = "",
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Not before: 30s ago, or 2026-11-25 18:40 (UTC, as shown)."
        ),
    ] = "",
    lines: Annotated[
        int | None, typer.Option("-n", "--lines", min=0, help="Show only so many of the records there are.")
    ] = None,
    actor: Annotated[ActorName | None, typer.Option("--actor", help="Of this actor only.")] = None,
    set_level: Annotated[
        LevelName | None,
        typer.Option("--set-level", help="Log from this level on, from now on; shows no records without -f."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON lines.")] = False,
    run: RunOption = LATEST_RUN,
) -> None:
    """Show what peers log, of a swarm that runs or has ended; or change how much they log.

    \b
      cicada logs worker-1 --level warning -n 50
      cicada logs --since 30s --grep dropped
      cicada logs core-3 --set-level debug --actor ring -f

    A worker means its peers and the process itself. Records of several logs are shown in order of time.
    """
    begin = _begin(since)
    if set_level is not None:
        done = _set_level(run, select, set_level, actor)
        if not follow:
            output.show(done)
            return
        output.progress("\n".join(done))
    from launcher.logs.reading import Follower, RunLogs

    run_logs = RunLogs(run)
    shown = Filter(level=level_named(level.value), actor=actor.value if actor else "", text=grep, since=begin)
    printer = _Printer(shown, as_json=as_json, width=max(map(len, run_logs.names(select))))
    follower = Follower(run_logs, select)
    if follow:
        _follow(follower, run_logs, printer, lines)
    else:
        printer.show(follower.all(), lines)


def _begin(text: str) -> str:
    """The time from which on records are shown, as records have it; empty: all."""
    if not text:
        return ""
    from launcher.logs.reading import stamp

    if found := instant(text):
        return found
    try:
        return stamp(time.time() - seconds(text.removesuffix("ago")))
    except typer.BadParameter:
        raise typer.BadParameter(
            f"{text!r} is not a time: write 30s or 10m, that long ago, or 2026-11-25 18:40"
        ) from None


class _Printer:
    """Prints the records that pass a filter."""

    def __init__(self, shown: Filter, *, as_json: bool, width: int) -> None:
        self._shown = shown
        self._as_json = as_json
        self._width = width

    def show(self, lines: Iterable[Line], last: int | None = None) -> None:
        """Print them, or the ``last`` so many of those that pass."""
        passing = (line for line in lines if self._shown.takes(line.record))
        output.show(map(self._text, passing if last is None else deque(passing, last)))

    def _text(self, line: Line) -> str:
        if self._as_json:
            return line.raw.decode()
        paint = _COLOURS.get(line.record.level, str)
        return paint(readable(line.record, self._width))


def _follow(follower: Follower, logs: RunLogs, printer: _Printer, lines: int | None) -> None:
    """Print what there is and what comes, until the swarm has ended. Ctrl-C ends it before."""
    printer.show(follower.all(), lines)
    told = 0
    running = True
    while running:
        time.sleep(CLI.follow)
        running = logs.is_running()  # looked at first: what it wrote last is read below
        printer.show(follower.more(last=not running))
        if follower.gaps > told:
            told = follower.gaps
            output.progress("some records were given up before they could be read: they come too fast")
    output.progress("the swarm has ended")


def _set_level(run: Path, select: str, level: LevelName, actor: ActorName | None) -> list[str]:
    """Change it, and say for whom."""
    if select == "launcher":
        raise Misuse("the level of peers and workers can be changed, or of all: not of the launcher alone")
    from launcher.client import SwarmClient

    command = SetLogLevel(select=select, level=level.value, actor=actor.value if actor else "")
    with SwarmClient(run) as swarm:
        done = swarm.ask(command, Done, CLI.change)
    whose = f"the {actor.value} actor of " if actor else ""
    return list(output.done_lines(f"logging from {level.value} on: {whose}".rstrip(), done))
