"""``cicada status``: one look at a swarm, or one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cicada.commands import GetStatus, Status
from cicada.limits import CLI
from launcher import output
from launcher.verbs.options import LATEST_RUN, JsonOption, RunOption, TimeoutOption, seconds
from launcher.verbs.swarm import connect

_PROVEN = "proven"


def status(
    as_json: JsonOption = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="proven", help="Wait until the ring is proven.")
    ] = "",
    timeout: TimeoutOption = CLI.proven,
    watch: Annotated[
        bool,
        typer.Option("-w", "--watch", help="Go on looking until Ctrl-C; exit code 4 when the swarm is gone."),
    ] = False,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="TIME", parser=seconds, help="Between two looks of --watch."),
    ] = CLI.watch,
    run: RunOption = LATEST_RUN,
) -> None:
    """Show the state of a swarm.

    \b
      cicada status
      cicada status --watch --interval 2s
      cicada status --json --wait proven --timeout 60s

    The ring is proven when fresh snapshots of every live peer equal the sorted truth.
    --watch shows groups, workers and the worst peers: on a terminal it draws over the last look, elsewhere each is a line.
    """
    if watch:
        _watch(run, interval, wait, as_json=as_json)
        return
    if wait not in ("", _PROVEN):
        raise typer.BadParameter(f"one can wait for {_PROVEN!r} only, not for {wait!r}")
    with connect(run) as swarm:
        found = swarm.wait_proven(timeout) if wait else swarm.ask(GetStatus(), Status, CLI.read)
    if as_json:
        output.show_json(found)
    else:
        output.show(output.status_lines(found))


def _watch(run: Path, interval: float, wait: str, *, as_json: bool) -> None:
    if wait:
        raise typer.BadParameter("--wait and --watch exclude each other: give one of the two")
    if interval < CLI.watch_fastest:
        raise typer.BadParameter(f"--interval must be at least {CLI.watch_fastest * 1000:g}ms")
    from launcher.status.live import watch

    watch(run, interval, as_json=as_json)
