"""``cicada doctor``: whether this machine is fit for a swarm, and what to change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launcher import output
from launcher.exits import Exit
from launcher.verbs.options import CountsOption, JsonOption, SetOption, assignments, group_counts

if TYPE_CHECKING:
    from launcher.doctor.judgement import Finding


def doctor(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="Whether this swarm can be started here.")
    ] = None,
    counts: CountsOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether this machine is fit for a swarm, and what to change. Exit code 1 when something would keep it from starting.

    \b
      cicada doctor
      cicada doctor configs/swarm-1000.toml
      cicada doctor configs/swarm-200.toml -n core=5000 --json
    """
    if config is None and (counts or settings):
        raise typer.BadParameter("-n and --set change a configuration: name it")
    from launcher.doctor.judgement import Level, examine
    from launcher.doctor.machine import measure
    from launcher.runfolder import RUNS

    if config is None:
        machine, needs = measure(RUNS), None
    else:
        from cicada.config import load_config
        from launcher.inputs import file_problems
        from launcher.needs import needs_of
        from launcher.plan import plan_swarm
        from launcher.ports import endpoints_of

        changes = assignments(settings or (), "KEY=VALUE, for example --set swarm.seed=7")
        loaded = load_config(config, changes, group_counts(counts or ()), file_problems)
        plan = plan_swarm(loaded, os.cpu_count() or 1)
        machine = measure(RUNS, (*plan.peers, *endpoints_of(loaded)))
        needs = needs_of(loaded, plan)
    findings = examine(machine, needs)
    if as_json:
        output.show_json({"findings": findings, "machine": machine, "needs": needs})
    else:
        output.show(_lines(findings))
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(Exit.FAILURE)


def _lines(findings: tuple[Finding, ...]) -> Iterator[str]:
    paint = {"ok": output.good, "warn": output.warn, "fail": output.bad}
    width = max(len(finding.about) for finding in findings)
    for finding in findings:
        yield f"{paint[finding.level](finding.level.ljust(4))}  {finding.about.ljust(width)}  {finding.found}"
        if finding.advice:
            yield f"{' ' * (width + 8)}{output.faint(finding.advice)}"
