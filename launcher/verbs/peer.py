"""``cicada peer``: one peer, driven by a script or by hand."""

from __future__ import annotations

import enum
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cicada.ids import MAX_PORT
from cicada.limits import SCRIPT
from launcher.verbs.options import JsonOption, seconds

if TYPE_CHECKING:
    from launcher.script.session import Stay


class Level(enum.StrEnum):
    """From which level on records are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


ScriptArgument = Annotated[
    str,
    typer.Argument(metavar="SCRIPT", help="A file of statements, - for standard input; none: a prompt."),
]
BindOption = Annotated[
    str,
    typer.Option(
        "--bind",
        metavar="[HOST][:PORT][@EXTERNAL[:PORT]]",
        help="Where to listen: an address, [IPv6], an interface or a host name; port 0 is a free one; EXTERNAL is what others "
        f"dial. By default port {SCRIPT.port}, wherever the peers to join can reach it.",
    ),
]
SeedsOption = Annotated[
    list[str] | None,
    typer.Option("--join", metavar="HOST[:PORT]", help="A peer to join through; may be repeated."),
]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="FILE", help="Key file: keys shared with other peers.")
]
SwarmKeyOption = Annotated[
    Path | None, typer.Option("--swarm-key", metavar="FILE", help="The key of a closed swarm.")
]
IdentityOption = Annotated[
    str,
    typer.Option(
        "--identity",
        metavar="WHICH",
        help="persistent (kept for its address), ephemeral, or an identity file.",
    ),
]
NoMappingOption = Annotated[
    bool, typer.Option("--no-port-mapping", help="Ask no router to forward the port.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="TIME", parser=seconds, help="How long to try to join.")
]
AttemptsOption = Annotated[
    int | None,
    typer.Option(
        "--mapping-attempts",
        metavar="N",
        min=1,
        max=SCRIPT.mapping_attempts,
        help="Ask the router no more after so many failures in a row.",
    ),
]
LevelOption = Annotated[
    Level, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
]
DebugOption = Annotated[bool, typer.Option("-d", help="The same as --log-level debug.")]
StdoutOption = Annotated[
    bool, typer.Option("--stdout", help="Log to standard output, not to standard error.")
]
PortOption = Annotated[
    int | None, typer.Option("-p", "--port", metavar="PORT", min=0, max=MAX_PORT, help="The port of --bind.")
]
InterfaceOption = Annotated[
    str, typer.Option("--interface", metavar="HOST", help="The host of --bind, or an interface.")
]


def peer(
    script: ScriptArgument = "",
    bind: BindOption = "",
    interface: InterfaceOption = "",
    port: PortOption = None,
    join: SeedsOption = None,
    keys: KeysOption = None,
    swarm_key: SwarmKeyOption = None,
    identity: IdentityOption = "persistent",
    no_port_mapping: NoMappingOption = False,
    mapping_attempts: AttemptsOption = None,
    timeout: TimeoutOption = SCRIPT.timeout,
    log_level: LevelOption = Level.WARNING,
    debug: DebugOption = False,
    stdout: StdoutOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one peer: by a script of statements, or by hand at a prompt.

    \b
      cicada peer --bind localhost                             a prompt; HELP shows what one can say
      cicada peer samples/runtimes/original.txt --interface localhost -p 49610 --no-port-mapping
      cicada peer samples/runtimes/joiner.txt -p 49611 --join localhost:49610
      echo 'BCAST hello, all' | cicada peer --bind localhost:0 --join localhost:49610

    Exit code 1 when a statement fails, 2 when the script or the command line is wrong, 3 when EXPECT is not met.
    docs/scripts.md has the statements.
    """
    from launcher.script.binding import parse_binding, parse_seed, with_options
    from launcher.script.session import Stay

    stay = Stay(
        binding=with_options(parse_binding(bind), interface, port),
        seeds=tuple(parse_seed(seed, SCRIPT.port) for seed in join or ()),
        identity=identity,
        keys=keys,
        swarm_keys=swarm_key,
        map_ports=not no_port_mapping,
        mapping_attempts=mapping_attempts,
        timeout=timeout,
    )
    _log(Level.DEBUG if debug else log_level, is_data=stdout)
    raise typer.Exit(_run(script, stay, as_json=as_json))


def _log(level: Level, *, is_data: bool) -> None:
    from launcher.serving import log_to

    number = getattr(logging, level.name)
    logging.getLogger("cicada").setLevel(number)
    log_to(sys.stdout if is_data else sys.stderr, "peer", number)


def _run(script: str, stay: Stay, *, as_json: bool) -> int:
    from launcher.script.run import STDIN, read_script, run_script

    if not script and sys.stdin.isatty():
        from launcher.script.prompt import run_prompt

        return run_prompt(stay, as_json=as_json)
    file = script or STDIN
    return run_script(stay, read_script(file), "<stdin>" if file == STDIN else file, as_json=as_json)
