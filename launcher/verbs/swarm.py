"""What can be asked of a running swarm from any terminal. Each verb is one function that typer turns into a command."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cicada.commands import (
    Add,
    AnyCommand,
    BroadcastResult,
    Crash,
    Done,
    GetPeers,
    Join,
    Kill,
    Lookup,
    LookupResult,
    Peers,
    Restart,
    Scale,
    Send,
    SendResult,
    SendToAll,
    Stop,
)
from cicada.limits import CLI, DELIVERY, LAUNCHER, WIRE
from launcher import output
from launcher.exits import Exit
from launcher.verbs import completion
from launcher.verbs.options import (
    LATEST_RUN,
    JsonOption,
    RunOption,
    SelectArgument,
    TimeoutOption,
    ViaOption,
    payload_of,
    seconds,
)

if TYPE_CHECKING:
    from launcher.client import SwarmClient


class Kind(enum.StrEnum):
    """Actors of a peer that can be made to fail."""

    TRANSPORT = "transport"
    RING = "ring"
    ROUTER = "router"
    CRYPTO = "crypto"


def connect(run: Path) -> SwarmClient:
    """The swarm in a run folder. The client is loaded here, because help must not wait for it."""
    from launcher.client import SwarmClient

    return SwarmClient(run)


def peers(select: SelectArgument = "all", as_json: JsonOption = False, run: RunOption = LATEST_RUN) -> None:
    """List peers: where they are, their phase and neighbours.

    \b
      cicada peers
      cicada peers core-3 --json
    """
    with connect(run) as swarm:
        found = swarm.ask(GetPeers(select=select), Peers, CLI.read)
    if as_json:
        output.show_json(found.rows)
    else:
        output.show(output.peer_lines(found))


def lookup(
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE",
            help="A peer's name, an address, or a place in hex.",
            autocompletion=completion.peers,
        ),
    ],
    via: ViaOption = "",
    iterative: Annotated[
        bool, typer.Option("--iterative", help="Ask every peer on the way from here, to see where it goes.")
    ] = False,
    as_json: JsonOption = False,
    run: RunOption = LATEST_RUN,
) -> None:
    """Find the owner of a place by asking the ring. Exit code 1 when it is not found or not the right one.

    \b
      cicada lookup core-7
      cicada lookup 127.0.0.1:20003 --via core-0
    """
    with connect(run) as swarm:
        command = Lookup(value=value, via=via, iterative=iterative)
        found = swarm.ask(command, LookupResult, LAUNCHER.lookup + CLI.grace)
    if as_json:
        output.show_json(found)
    else:
        output.show(output.lookup_lines(found))
    _exit_unless(found.right and not found.failure)


def send(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A peer's name or address.", autocompletion=completion.peers),
    ],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A text, or - for standard input.")],
    via: ViaOption = "",
    duplicates: Annotated[
        int | None, typer.Option("--duplicates", min=0, help="Extra copies of every attempt.")
    ] = None,
    timeout: TimeoutOption = DELIVERY.timeout,
    as_json: JsonOption = False,
    run: RunOption = LATEST_RUN,
) -> None:
    """Send a message and show its receipt. Exit code 1 when it was not delivered.

    \b
      cicada send core-7 "hello"
      cicada send 127.0.0.1:20003 - --via core-0 < photo.png
    """
    payload = payload_of(data, WIRE.max_message)
    with connect(run) as swarm:
        command = Send(target=target, payload=payload, via=via, duplicates=duplicates, timeout=timeout)
        result = swarm.ask(command, SendResult, timeout + CLI.grace)
    if as_json:
        output.show_json(result)
    else:
        output.show(output.send_lines(result))
    _exit_unless(result.status == "delivered")


def broadcast(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A text, or - for standard input.")],
    via: ViaOption = "",
    timeout: TimeoutOption = 5.0,
    as_json: JsonOption = False,
    run: RunOption = LATEST_RUN,
) -> None:
    """Send a message to every peer and count who got it. Exit code 1 when somebody did not.

    \b
      cicada broadcast "all of you"
    """
    payload = payload_of(data, WIRE.max_payload)
    with connect(run) as swarm:
        command = SendToAll(payload=payload, via=via, timeout=timeout)
        result = swarm.ask(command, BroadcastResult, timeout + CLI.grace)
    if as_json:
        output.show_json(result)
    else:
        output.show(output.broadcast_lines(result))
    _exit_unless(result.reached >= result.expected)


def join(select: SelectArgument = "all", run: RunOption = LATEST_RUN) -> None:
    """Have peers that are not in the ring join it.

    \b
      cicada join core-3
    """
    _change(run, Join(select=select), "joined")


def kill(
    select: SelectArgument,
    hard: Annotated[bool, typer.Option("--hard", help="Drop actors and links without a farewell.")] = False,
    run: RunOption = LATEST_RUN,
) -> None:
    """Kill peers, which stay dead until `restart`, or a worker, which is supervised back.

    \b
      cicada kill core-3 --hard
      cicada kill 10%
      cicada kill worker-1
    """
    _change(run, Kill(select=select, hard=hard), "killed")


def stop(select: SelectArgument, run: RunOption = LATEST_RUN) -> None:
    """Have peers leave the ring and end. They stay stopped until `restart`.

    \b
      cicada stop core-3
    """
    _change(run, Stop(select=select), "stopped")


def restart(
    select: SelectArgument,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="Wave by wave, each once the ring is proven.")
    ] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", min=0, help="Peers in a wave; 0: a tenth of those named.")
    ] = 0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="TIME", parser=seconds, help="How long the ring may need after a wave."
        ),
    ] = CLI.proven,
    run: RunOption = LATEST_RUN,
) -> None:
    """Start peers again under the same names and addresses, and have them join.

    \b
      cicada restart core-3
      cicada restart all --rolling --timeout 30s

    A rolling restart stops, with exit code 1, when the ring is not proven in time after a wave.
    """
    command = Restart(select=select, rolling=rolling, at_once=at_once, timeout=timeout)
    _change(run, command, "restarted", CLI.rolling if rolling else CLI.change)


def crash(
    select: SelectArgument,
    actor: Annotated[Kind, typer.Argument(metavar="ACTOR", help="transport, ring, router or crypto.")],
    run: RunOption = LATEST_RUN,
) -> None:
    """Have one actor of each peer fail, to watch supervision bring it back.

    \b
      cicada crash core-3 ring
    """
    _change(run, Crash(select=select, actor=actor.value), "crashed an actor of")


def add(
    group: Annotated[str, typer.Argument(metavar="GROUP", autocompletion=completion.groups)],
    count: Annotated[int, typer.Argument(metavar="COUNT", min=1)] = 1,
    run: RunOption = LATEST_RUN,
) -> None:
    """Start more peers of a group and have them join.

    \b
      cicada add core 5
    """
    _change(run, Add(group=group, count=count), "added")


def scale(
    group: Annotated[str, typer.Argument(metavar="GROUP", autocompletion=completion.groups)],
    count: Annotated[int, typer.Argument(metavar="COUNT", min=0)],
    run: RunOption = LATEST_RUN,
) -> None:
    """Make a group exactly so large: add peers, or stop those with the highest numbers.

    \b
      cicada scale core 300
    """
    _change(run, Scale(group=group, count=count), "started or stopped")


def down(
    timeout: TimeoutOption = CLI.down,
    run: RunOption = LATEST_RUN,
) -> None:
    """End a swarm, gracefully, and wait until nothing of it is left.

    \b
      cicada down
    """
    with connect(run) as swarm:
        swarm.down(timeout)
        output.progress(f"the swarm {swarm.info.name} has ended; its run folder is {run.resolve()}")


def _change(run: Path, command: AnyCommand, verb: str, timeout: float = CLI.change) -> None:
    """Carry out a command that changes the swarm, and name the peers concerned."""
    with connect(run) as swarm:
        done = swarm.ask(command, Done, timeout)
    output.show(output.done_lines(verb, done))


def _exit_unless(right: bool) -> None:
    if not right:
        raise typer.Exit(Exit.FAILURE)
