"""The ``cicada`` command."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from cicada.errors import CicadaError
from launcher.exits import Exit, exit_code
from launcher.verbs import fault as faultverbs
from launcher.verbs import keys as keyverbs
from launcher.verbs import logs as logverb
from launcher.verbs import nat as natverbs
from launcher.verbs import output
from launcher.verbs import sim as simverb
from launcher.verbs import swarm as verbs
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


class _Guarded(TyperGroup):
    """Turns the errors that Cicada raises on purpose into one message and an exit code."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except CicadaError as error:
            if ctx.obj:
                raise
            output.progress(str(error))
            raise typer.Exit(exit_code(error)) from None


app = typer.Typer(
    cls=_Guarded,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Swarms of peers on this machine: launch, watch, load and break them.

    \b
      cicada demo                       twenty peers, a few seconds
      cicada up configs/swarm-200.toml -d --wait 60s
      cicada load --count 10000         is every message delivered?
      cicada kill 10% --hard
      cicada status --wait proven       is the ring whole again?
      cicada down

    \b
    Exit codes: 0 ok, 1 failure, 2 wrong usage or configuration,
    3 not the result that was asked for, 4 swarm lost, 130 interrupted.
    """
    ctx.obj = debug
    if os.environ.get("NO_COLOR"):
        ctx.color = False


@app.command()
def demo(run: NewRunOption = None) -> None:
    """Show what Cicada does: start 20 peers, prove their ring, deliver messages, end them.

    \b
      cicada demo
    """
    from launcher.demo import run_demo

    raise typer.Exit(run_demo(run))


@app.command()
def up(
    config: ConfigArgument,
    detach: Annotated[bool, typer.Option("-d", "--detach", help="Run it in the background.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", metavar="TIME", parser=seconds, help="Fail unless its ring is proven by then."
        ),
    ] = None,
    counts: CountsOption = None,
    settings: SetOption = None,
    run: NewRunOption = None,
) -> None:
    """Start a swarm from a configuration.

    \b
      cicada up configs/swarm-20.toml
      cicada up configs/swarm-200.toml -d --wait 60s
      cicada up configs/swarm-20.toml -n core=50 --set swarm.seed=8

    In the foreground it runs until Ctrl-C. With -d it runs until `cicada down`.
    """
    since = time.monotonic()
    loaded = _load(config, counts, settings)
    from launcher.detach import spawn_detached
    from launcher.run import run_swarm

    size = f"{loaded.peer_count} peers"
    output.progress(f"starting {loaded.swarm.name}: {size} ...")
    if detach:
        _announce(spawn_detached(loaded, run, wait=wait, since=since), size)
        where = f" --run {run}" if run else ""
        output.progress(f"see `cicada status{where}`, end it with `cicada down{where}`")
        return
    code = run_swarm(loaded, run, wait=wait, on_ready=lambda progress: _announce(progress, size), since=since)
    raise typer.Exit(code)


@app.command()
def check(
    config: ConfigArgument,
    counts: CountsOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration, and show what it would start. Every mistake is shown with its line and column.

    \b
      cicada check configs/swarm-200.toml
    """
    loaded = _load(config, counts, settings)
    from launcher.summary import summarize, summary_lines

    summary = summarize(loaded, os.cpu_count() or 1)
    if as_json:
        output.show_json(summary)
    else:
        output.show(summary_lines(str(config), summary))


def _load(config: Path, counts: Sequence[str] | None, settings: Sequence[str] | None) -> Config:
    sizes = group_counts(counts or ())
    changes = assignments(settings or (), "KEY=VALUE, for example --set swarm.seed=7")
    from cicada.config import load_config

    return load_config(config, changes, sizes)


def _announce(progress: Progress, size: str) -> None:
    if progress.proven_after_s is not None:
        output.progress(output.good("ring proven") + f": {size} after {progress.proven_after_s:.1f} s")
    output.progress(f"running in {progress.run_dir}")


for _verb in (
    verbs.status,
    verbs.peers,
    logverb.logs,
    verbs.down,
    verbs.join,
    verbs.lookup,
    verbs.send,
    verbs.broadcast,
    verbs.load,
    verbs.kill,
    verbs.stop,
    verbs.restart,
    verbs.crash,
    verbs.add,
    verbs.scale,
    simverb.sim,
):
    app.command()(_verb)


app.add_typer(faultverbs.app, name="fault")
app.add_typer(keyverbs.app, name="keys")
app.add_typer(natverbs.app, name="nat")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        app(prog_name="cicada")
    except Exception as error:  # the outermost boundary: a defect is one message too
        if "--debug" in sys.argv:
            raise
        output.progress(f"defect: {type(error).__name__}: {error} (`cicada --debug ...` shows where)")
        sys.exit(Exit.FAILURE)
