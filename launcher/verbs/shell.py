"""``cicada shell``: the swarm at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launcher.verbs.options import LATEST_RUN

RunOption = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="Run folder of the swarm; with --own, a new one."),
]
OwnOption = Annotated[
    bool, typer.Option("--own", help="On a small swarm of its own, which ends with the shell.")
]


def shell(own: OwnOption = False, run: RunOption = None) -> None:
    """Type at a swarm: create, join, lookup, stop, list, send, broadcast, status.

    \b
      cicada shell
      cicada shell --own
      printf 'list\\nlookup core-1\\n' | cicada shell --own

    Without a running swarm it starts five peers of its own, which end with it. From standard input it stops at the first
    line that fails, with that line's exit code.
    """
    from launcher.shell.session import converse, swarm_of

    with swarm_of(run, LATEST_RUN, own=own) as swarm:
        code = converse(swarm)
    raise typer.Exit(code)
