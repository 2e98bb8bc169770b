"""The ``cicada`` command."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

from cicada.errors import CicadaError
from launcher import output
from launcher.exits import Exit, exit_code
from launcher.verbs import doctor as doctorverb
from launcher.verbs import fault as faultverbs
from launcher.verbs import keys as keyverbs
from launcher.verbs import load as loadverb
from launcher.verbs import logs as logverb
from launcher.verbs import metrics as metricsverb
from launcher.verbs import nat as natverbs
from launcher.verbs import peer as peerverb
from launcher.verbs import report as reportverbs
from launcher.verbs import schema as schemaverb
from launcher.verbs import shell as shellverb
from launcher.verbs import sim as simverb
from launcher.verbs import status as statusverb
from launcher.verbs import swarm as verbs
from launcher.verbs import up as upverbs
from launcher.verbs import watch as watchverb
from launcher.verbs.options import NewRunOption

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""How the system says that a file, or the disk under it, takes no more."""


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
def demo(
    run: NewRunOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it in a window; the swarm lives until that is closed.")
    ] = False,
) -> None:
    """Show what Cicada does: start 20 peers, prove their ring, deliver messages, end them.

    \b
      cicada demo
      cicada demo --watch
    """
    if watch:
        from launcher.watching import watch_demo

        raise typer.Exit(watch_demo(run))
    from launcher.demo import run_demo

    raise typer.Exit(run_demo(run))


for _verb in (
    upverbs.up,
    upverbs.check,
    statusverb.status,
    watchverb.watch,
    verbs.peers,
    logverb.logs,
    verbs.down,
    verbs.join,
    verbs.lookup,
    verbs.send,
    verbs.broadcast,
    loadverb.load,
    verbs.kill,
    verbs.stop,
    verbs.restart,
    verbs.crash,
    verbs.add,
    verbs.scale,
    peerverb.peer,
    shellverb.shell,
    simverb.sim,
    schemaverb.schema,
    doctorverb.doctor,
    metricsverb.metrics,
):
    app.command()(_verb)


app.add_typer(faultverbs.app, name="fault")
app.add_typer(keyverbs.app, name="keys")
app.add_typer(natverbs.app, name="nat")
app.add_typer(reportverbs.app, name="report")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if (
        sys.stdin is None
    ):  # whoever started it has closed it: as from /dev/null, which also keeps sockets off its number
        sys.stdin = open(os.devnull)  # noqa: SIM115  # for as long as the process lives
    try:
        app(prog_name="cicada")
    except Exception as error:  # the outermost boundary: a defect is one message too
        if "--debug" in sys.argv:
            raise
        if isinstance(error, OSError) and error.errno in _FULL:
            _let_go_of_output()
            what = error.filename or "what is printed"
            output.progress(f"{what} cannot be written: {(error.strerror or str(error)).lower()}")
            sys.exit(Exit.FAILURE)
        output.progress(f"defect: {type(error).__name__}: {error} (`cicada --debug ...` shows where)")
        sys.exit(Exit.FAILURE)


def _let_go_of_output() -> None:
    """Whatever is left to be printed goes nowhere; or the interpreter would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
