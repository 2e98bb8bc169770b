"""``cicada up`` and ``cicada check``: a swarm from its configuration."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launcher import output
from launcher.verbs.options import (
    ConfigArgument,
    CountsOption,
    JsonOption,
    NewRunOption,
    SetOption,
    assignments,
    group_counts,
    seconds,
)

if TYPE_CHECKING:
    from cicada.config import Config
    from launcher.run import Progress


def up(
    config: ConfigArgument,
    detach: Annotated[bool, typer.Option("-d", "--detach", help="Run it in the background.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", metavar="TIME", parser=seconds, help="Fail unless its ring is proven by then."
        ),
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Go on when the timeline of the configuration is over.")
    ] = False,
    counts: CountsOption = None,
    settings: SetOption = None,
    run: NewRunOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Start nothing; show what would be started, and what that takes."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan of --dry-run as JSON.")] = False,
) -> None:
    """Start a swarm from a configuration.

    \b
      cicada up configs/swarm-20.toml
      cicada up configs/swarm-200.toml -d --wait 60s
      cicada up configs/swarm-20.toml -n core=50 --set swarm.seed=8
      cicada up configs/swarm-1000.toml --dry-run
      cicada up configs/chaos-200.toml

    In the foreground it runs until Ctrl-C. With -d it runs until `cicada down`.

    \b
    With faults, expectations or a load in its configuration it goes through
    them once its ring is proven, and ends: exit code 3 when an expectation or
    threshold was missed, 1 when somebody died untold and was not brought back.
    """
    since = time.monotonic()
    loaded = _load(config, counts, settings)
    if dry_run:
        _show_plan(config, loaded, as_json=as_json)
        return
    if as_json:
        raise typer.BadParameter(
            "--json is for --dry-run; for a swarm that runs there is `cicada status --json`"
        )
    output.progress(f"starting {loaded.swarm.name}: {loaded.peer_count} peers ...")
    if detach:
        _run_behind(loaded, run, wait=wait, since=since, stay=stay)
    else:
        _run_here(loaded, run, wait=wait, since=since, stay=stay)


def _run_behind(loaded: Config, run: Path | None, *, wait: float | None, since: float, stay: bool) -> None:
    from launcher.detach import spawn_detached

    _announce(spawn_detached(loaded, run, wait=wait, since=since, stay=stay), loaded)
    where = f" --run {run}" if run else ""
    output.progress(f"see `cicada status{where}`, end it with `cicada down{where}`")
    if not stay and (loaded.faults or loaded.expects or loaded.load):
        output.progress("it ends by itself when its timeline is over")


def _run_here(loaded: Config, run: Path | None, *, wait: float | None, since: float, stay: bool) -> None:
    from launcher.run import ending_lines, report_lines, run_swarm

    ending = run_swarm(
        loaded,
        run,
        wait=wait,
        on_ready=lambda progress: _announce(progress, loaded),
        on_step=output.progress,
        since=since,
        stay=stay,
    )
    if ending.timeline is not None and ending.timeline.planned + ending.timeline.expected:
        output.progress(output.timeline_line(ending.timeline))
    for line in ending_lines(ending):
        output.progress(output.bad(line))
    output.show(report_lines(ending))
    raise typer.Exit(ending.code)


def check(
    config: ConfigArgument,
    counts: CountsOption = None,
    settings: SetOption = None,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Show everything that its timeline does, and when.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration, and show what it would start and do. Every mistake is shown with its line and column.

    \b
      cicada check configs/swarm-200.toml
      cicada check configs/chaos-200.toml --schedule

    The same seed gives the same schedule; peers are named as if everybody lived.
    """
    loaded = _load(config, counts, settings)
    from launcher.faults.text import schedule_lines, timeline_lines, timeline_plan
    from launcher.run import planned_schedule
    from launcher.summary import summarize, summary_lines

    occurrences = planned_schedule(loaded)
    if schedule:
        plan = timeline_plan(loaded, occurrences)
        output.show_json(plan) if as_json else output.show(schedule_lines(plan))
        return
    summary = summarize(loaded, os.cpu_count() or 1)
    if as_json:
        output.show_json(summary)
    else:
        output.show([*summary_lines(str(config), summary), *timeline_lines(loaded, occurrences)])


def _show_plan(config: Path, loaded: Config, *, as_json: bool) -> None:
    from launcher.run import planned_schedule
    from launcher.summary import plan_lines, summarize

    planned_schedule(loaded)  # whatever is wrong with it would keep the swarm from starting
    summary = summarize(loaded, os.cpu_count() or 1)
    if as_json:
        output.show_json(summary)
    else:
        output.show(plan_lines(str(config), summary))
        output.progress(f"whether this machine has that: cicada doctor {config}")


def _load(config: Path, counts: Sequence[str] | None, settings: Sequence[str] | None) -> Config:
    sizes = group_counts(counts or ())
    changes = assignments(settings or (), "KEY=VALUE, for example --set swarm.seed=7")
    from cicada.config import load_config
    from launcher.inputs import file_problems

    return load_config(config, changes, sizes, file_problems)


def _announce(progress: Progress, loaded: Config) -> None:
    if progress.proven_after_s is not None:
        output.progress(
            output.good("ring proven") + f": {loaded.peer_count} peers after {progress.proven_after_s:.1f} s"
        )
    output.progress(f"running in {progress.run_dir}")
