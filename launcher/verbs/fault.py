"""``cicada fault``: what can be done to a running swarm besides killing it. Each verb is one function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cicada.commands import (
    AnyCommand,
    Delay,
    Done,
    Drop,
    Duplicate,
    FaultList,
    Freeze,
    GetFaults,
    Heal,
    Partition,
    Thaw,
)
from cicada.limits import CLI
from launcher import output
from launcher.verbs.options import (
    LATEST_RUN,
    ForOption,
    JsonOption,
    OneArgument,
    OtherArgument,
    PercentArgument,
    RunOption,
    SelectArgument,
    moment,
)
from launcher.verbs.swarm import connect

app = typer.Typer(no_args_is_help=True)


@app.callback()
def fault() -> None:
    """Freeze peers and workers, cut sides off from each other, slow messages down, lose and repeat them.

    \b
      cicada fault partition core:50% --for 30s
      cicada fault freeze worker-1 --for 10s
      cicada fault delay worker-0 worker-1 100ms --jitter 20ms
      cicada fault list
      cicada fault heal
      cicada status --wait proven

    A selector is core-3, worker-1, core, core:10%, 10% or all; whom it names is settled when the fault is set.
    """


@app.command()
def freeze(select: SelectArgument, lasts: ForOption = None, run: RunOption = LATEST_RUN) -> None:
    """Have peers stand still: they read and answer nothing, and their clocks stop. A worker's process gets SIGSTOP.

    \b
      cicada fault freeze core-3
      cicada fault freeze worker-1 --for 30s
    """
    _set(run, Freeze(select=select, lasts=lasts))


@app.command()
def thaw(select: SelectArgument, run: RunOption = LATEST_RUN) -> None:
    """Have frozen peers and workers go on.

    \b
      cicada fault thaw worker-1
      cicada fault thaw all
    """
    with connect(run) as swarm:
        done = swarm.ask(Thaw(select=select), Done, CLI.read)
    output.show(output.done_lines("thawed", done))


@app.command()
def partition(
    one: OneArgument,
    other: Annotated[
        str, typer.Argument(metavar="[B]", help="The other side: a selector; otherwise everybody else.")
    ] = "",
    lasts: ForOption = None,
    run: RunOption = LATEST_RUN,
) -> None:
    """Cut two sides off from each other: links fall silent, and dials find nobody.

    \b
      cicada fault partition worker-0 worker-1
      cicada fault partition core:50% --for 30s
    """
    _set(run, Partition(one=one, other=other, lasts=lasts))


@app.command()
def delay(
    one: OneArgument,
    other: OtherArgument,
    by: Annotated[float, typer.Argument(metavar="TIME", parser=moment, help="How much later, one way.")],
    jitter: Annotated[
        float, typer.Option("--jitter", metavar="TIME", parser=moment, help="Up to so much later still.")
    ] = 0.0,
    lasts: ForOption = None,
    run: RunOption = LATEST_RUN,
) -> None:
    """Have everything between two sides take longer, both ways. Nothing on a link overtakes anything.

    \b
      cicada fault delay worker-0 worker-1 100ms --jitter 20ms
      cicada fault delay all all 50ms
    """
    _set(run, Delay(one=one, other=other, seconds=by, jitter=jitter, lasts=lasts))


@app.command()
def drop(
    one: OneArgument,
    other: OtherArgument,
    percent: PercentArgument,
    lasts: ForOption = None,
    run: RunOption = LATEST_RUN,
) -> None:
    """Lose a share of the messages between two sides, both ways. Links stay whole: TCP loses no frames.

    \b
      cicada fault drop all all 5%
    """
    _set(run, Drop(one=one, other=other, percent=percent, lasts=lasts))


@app.command()
def duplicate(
    one: OneArgument,
    other: OtherArgument,
    percent: PercentArgument,
    lasts: ForOption = None,
    run: RunOption = LATEST_RUN,
) -> None:
    """Send a share of the messages between two sides twice, both ways.

    \b
      cicada fault duplicate core edge 10% --for 1m
    """
    _set(run, Duplicate(one=one, other=other, percent=percent, lasts=lasts))


@app.command()
def heal(
    one: Annotated[
        str,
        typer.Argument(metavar="[A]", help="One side, as it was named; otherwise all faults between peers."),
    ] = "",
    other: Annotated[str, typer.Argument(metavar="[B]", help="The other side, as it was named.")] = "",
    run: RunOption = LATEST_RUN,
) -> None:
    """End partitions, delays, losses and repetitions: all, or those that name these sides. Frozen peers stay frozen.

    \b
      cicada fault heal
      cicada fault heal worker-0 worker-1
    """
    with connect(run) as swarm:
        ended = swarm.ask(Heal(one=one, other=other), FaultList, CLI.read)
    if not ended.rows:
        output.progress("there was nothing to heal")
    output.show(f"ended {line}" for line in output.fault_lines(ended.rows))


@app.command("list")
def list_faults(as_json: JsonOption = False, run: RunOption = LATEST_RUN) -> None:
    """Show the faults in force.

    \b
      cicada fault list
      cicada fault list --json
    """
    with connect(run) as swarm:
        found = swarm.ask(GetFaults(), FaultList, CLI.read)
    if as_json:
        output.show_json(found.rows)
    elif found.rows:
        output.show(output.fault_lines(found.rows))
    else:
        output.progress("no fault is in force")


def _set(run: Path, command: AnyCommand) -> None:
    with connect(run) as swarm:
        found = swarm.ask(command, FaultList, CLI.read)
    output.show(f"set {line}" for line in output.fault_lines(found.rows))
