"""A swarm watched until Ctrl-C: a screen that is drawn over on a terminal, a line for each look elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cicada.commands import GetStatus, Status
from cicada.errors import Unavailable
from cicada.limits import CLI
from launcher import output
from launcher.client import SwarmClient, find_run
from launcher.exits import SwarmLost
from launcher.runfolder import LOG_FILE, is_running
from launcher.status.overview import Overview, overview
from launcher.status.text import calm_line, screen_lines

Show = Callable[[Status, Overview], None]


def watch(run: Path, interval: float, *, as_json: bool = False) -> None:
    """Show the swarm every ``interval`` seconds. Ends by Ctrl-C, or with SwarmLost once the swarm is gone, for whatever reason.

    ``as_json``: each look is one line, the status as `cicada status --json` has it.
    """
    with SwarmClient(run) as swarm, _screen(as_json=as_json) as show:
        before: Status | None = None
        while True:
            try:
                now = swarm.ask(GetStatus(fresh=False), Status, CLI.read)
            except SwarmLost:
                raise _gone(run, swarm.info.name) from None
            show(now, overview(now, before))
            before = now
            time.sleep(interval)


def _gone(run: Path, name: str) -> SwarmLost:
    """Why: the run folder knows whether it was taken down, once its launcher has let go of it."""
    give_up = time.monotonic() + CLI.ending
    while is_running(run) and time.monotonic() < give_up:
        time.sleep(CLI.poll)
    try:
        find_run(run)
    except SwarmLost as lost:
        return lost
    except Unavailable:
        return SwarmLost(f"the swarm {name} has ended")
    return SwarmLost(f"the launcher of the swarm {name} does not answer any more: see {run / LOG_FILE}")


@contextlib.contextmanager
def _screen(*, as_json: bool) -> Iterator[Show]:
    if as_json:
        yield lambda status, _: output.show_json_line(status)
    elif not sys.stdout.isatty():
        yield lambda _, seen: output.show([calm_line(seen)])
    else:
        with Live(console=Console(), auto_refresh=False) as live:
            yield lambda _, seen: live.update(Text.from_ansi("\n".join(screen_lines(seen))), refresh=True)
