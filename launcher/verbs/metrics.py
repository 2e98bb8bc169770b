"""``cicada metrics``: a running swarm in the words of Prometheus."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cicada.commands import GetStatus, Status
from cicada.errors import Misuse
from cicada.limits import CLI, LAUNCHER
from launcher import output
from launcher.verbs.options import LATEST_RUN, RunOption


def metrics(
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Serve them here until Ctrl-C instead of printing them."
        ),
    ] = "",
    run: RunOption = LATEST_RUN,
) -> None:
    """Print metrics of a swarm for Prometheus, by group and worker. They need the extra `metrics`.

    \b
      cicada metrics
      cicada metrics --listen 127.0.0.1:9610

    With `metrics.listen = "127.0.0.1:9610"` in its configuration the launcher itself serves them.
    """
    from launcher.client import SwarmClient
    from launcher.metrics.endpoint import exposition, require_extra

    require_extra()
    if listen:
        _serve(run, _address(listen))
        return
    with SwarmClient(run) as swarm:
        text = exposition(swarm.ask(GetStatus(fresh=False), Status, CLI.read))
    output.show(text.splitlines())


def _address(text: str) -> str:
    from cicada.ids import canonical_address, split_address

    try:
        return canonical_address(*split_address(text))
    except Misuse as error:
        raise typer.BadParameter(f"{error}, for example 127.0.0.1:9610") from None


def _serve(run: Path, listen: str) -> None:
    """Until Ctrl-C; SwarmLost ends it when the swarm is gone."""
    from launcher.client import SwarmClient
    from launcher.metrics.endpoint import MetricsEndpoint

    with SwarmClient(run) as swarm, MetricsEndpoint(listen) as endpoint:
        output.progress(f"metrics at http://{listen}/metrics until Ctrl-C")
        while True:
            endpoint.show(swarm.ask(GetStatus(fresh=False), Status, CLI.read))
            time.sleep(LAUNCHER.metrics)
