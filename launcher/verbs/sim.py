"""The verb that runs the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launcher import output
from launcher.exits import Exit
from launcher.verbs.options import JsonOption, SetOption, assignments

ScenarioArgument = Annotated[Path, typer.Argument(metavar="FILE", help="TOML file of the scenario.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Run this seed only, instead of those of the file.")
]
PeersOption = Annotated[
    int | None,
    typer.Option("--peers", min=1, help="So many peers; of a sweep over peers, what is no larger."),
]
CaseOption = Annotated[
    float | None, typer.Option("--case", metavar="VALUE", help="Only this value of a sweep.")
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw the result into FILE (.svg, .png, .pdf).")
]


def sim(
    file: ScenarioArgument,
    seed: SeedOption = None,
    peers: PeersOption = None,
    case: CaseOption = None,
    settings: SetOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a swarm under virtual time, and check what its file expects. Exit code 3 when that is missed.

    \b
      cicada sim configs/sim/kill-30.toml
      cicada sim configs/sim/kill-30.toml --seed 7 --peers 200 --json
      cicada sim configs/sim/paths.toml --peers 2048 --plot paths.svg

    The peers are the real ring nodes and routers, on a simulated network; the same seed gives the same run.
    """
    changes = assignments(settings or (), "KEY=VALUE, for example --set sim.seeds=3")
    from launcher.sim.simulate import Choice, simulate
    from launcher.sim.text import outcome_lines

    if plot is not None:
        from launcher.sim.plots import check_plot

        check_plot(plot)
    choice = Choice(file=file, seed=seed, peers=peers, case=case, settings=tuple(changes))
    outcome = simulate(choice, output.progress)
    if as_json:
        output.show_json(outcome)
    else:
        output.show(outcome_lines(outcome))
    if plot is not None:
        from launcher.sim.plots import draw

        draw(outcome.report, plot)
        output.progress(f"drawn into {plot}")
    if not outcome.ok:
        raise typer.Exit(Exit.THRESHOLD)
