"""Carries out what is typed at the shell, on a swarm that runs, or on one of its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from cicada.commands import (
    Add,
    BroadcastResult,
    Done,
    GetPeers,
    GetStatus,
    Join,
    Lookup,
    LookupResult,
    Peers,
    Send,
    SendResult,
    SendToAll,
    Status,
    Stop,
)
from cicada.errors import CicadaError, DeliveryTimeout, Unavailable
from cicada.limits import BROADCAST, CLI, DELIVERY, LAUNCHER, SCRIPT
from launcher import output
from launcher.client import SwarmClient
from launcher.demo import demo_config
from launcher.detach import lifeline, spawn_detached
from launcher.exits import Exit, SwarmLost, exit_code
from launcher.shell.lines import (
    AnyLine,
    CreatePeers,
    Help,
    JoinLine,
    ListPeers,
    LookUp,
    Quit,
    SendTo,
    SendToEach,
    ShowStatus,
    StopLine,
    completions,
    help_lines,
    parse_line,
)
from launcher.terminal import line_editor

_PROMPT = "swarm> "


@contextlib.contextmanager
def swarm_of(run: Path | None, default: Path, *, own: bool) -> Iterator[SwarmClient]:
    """The swarm in the run folder; where none runs and no folder is named, or with ``own``, one that ends with the shell."""
    found = None if own else _running(run, default)
    if found is not None:
        with found:
            output.progress(f"at the swarm {found.info.name}; help shows what there is")
            yield found
        return
    config = demo_config(SCRIPT.own_peers, "shell")
    output.progress(f"starting a swarm of {config.peer_count} peers of its own ...")
    with lifeline() as life:
        folder = Path(spawn_detached(config, run, lifeline=life).run_dir)
        with SwarmClient(folder) as swarm:
            try:
                swarm.wait_proven(CLI.demo_wait)
                output.progress("ring proven; help shows what there is")
                yield swarm
            finally:
                swarm.down(CLI.down)
                output.progress(f"the swarm has ended; its record is in {folder}")


def _running(run: Path | None, default: Path) -> SwarmClient | None:
    """None: there is none, and none was named."""
    try:
        return SwarmClient(run or default)
    except SwarmLost:
        raise
    except Unavailable:
        if run is not None:
            raise
        return None


def converse(swarm: SwarmClient) -> Exit:
    """Lines from a terminal until quit, each mistake shown; or from standard input, until the first that fails."""
    return _at_terminal(swarm) if sys.stdin.isatty() else _from_input(swarm)


def _at_terminal(swarm: SwarmClient) -> Exit:
    names = _Names(swarm)
    editor = line_editor("shell", lambda before: completions(before, names.known))
    names.refresh()
    while True:
        try:
            asked = parse_line(editor.prompt(_PROMPT))
            if isinstance(asked, Quit):
                return Exit.OK
            if asked is not None:
                carry_out(swarm, asked)
            if isinstance(asked, CreatePeers):
                names.refresh()
        except EOFError:
            return Exit.OK
        except KeyboardInterrupt:
            continue  # another line; what the launcher was asked it goes on with
        except SwarmLost:
            raise
        except CicadaError as error:
            output.progress(str(error))


def _from_input(swarm: SwarmClient) -> Exit:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            asked = parse_line(line.decode(errors="surrogateescape"))
            if isinstance(asked, Quit):
                break
            if asked is not None and not carry_out(swarm, asked):
                output.progress(f"<stdin>:{number}: not the result that was asked for")
                return Exit.FAILURE
        except CicadaError as error:
            output.progress(f"<stdin>:{number}: {error}")
            return exit_code(error)
    return Exit.OK


class _Names:
    """Of the swarm's peers, for completion. The launcher is not asked while somebody types: its answer may take a while."""

    def __init__(self, swarm: SwarmClient) -> None:
        self._swarm = swarm
        self.known: list[str] = []

    def refresh(self) -> None:
        """Ask which there are."""
        with contextlib.suppress(DeliveryTimeout):  # then those of before are completed
            self.known = [row.name for row in _peers(self._swarm, "all").rows]


def carry_out(swarm: SwarmClient, asked: AnyLine) -> bool:
    """Ask the launcher and show its answer; whether it is what was asked for. Raises CicadaError when it refuses."""
    match asked:
        case CreatePeers(count=count, group=group):
            _change(swarm, Add(group=group or _first_group(swarm), count=count), "created")
        case JoinLine(select=select):
            _change(swarm, Join(select=select), "joined")
        case StopLine(select=select):
            _change(swarm, Stop(select=select), "stopped")
        case LookUp(value=value, via=via):
            return _look_up(swarm, value, via)
        case ListPeers(select=select):
            output.show(output.peer_lines(_peers(swarm, select)))
        case SendTo(target=target, data=data):
            return _send(swarm, target, data)
        case SendToEach(data=data):
            return _broadcast(swarm, data)
        case ShowStatus():
            output.show(output.status_lines(swarm.ask(GetStatus(), Status, CLI.read)))
        case Help():
            output.show(help_lines())
        case Quit():
            pass
    return True


def _change(swarm: SwarmClient, command: Add | Join | Stop, verb: str) -> None:
    output.show(output.done_lines(verb, swarm.ask(command, Done, CLI.change)))


def _peers(swarm: SwarmClient, select: str) -> Peers:
    return swarm.ask(GetPeers(select=select), Peers, CLI.read)


def _first_group(swarm: SwarmClient) -> str:
    rows = _peers(swarm, "all").rows
    if not rows:
        raise Unavailable("the swarm has no peer whose group could be taken: write create COUNT GROUP")
    return rows[0].name.rpartition("-")[0]


def _look_up(swarm: SwarmClient, value: str, via: str) -> bool:
    found = swarm.ask(Lookup(value=value, via=via), LookupResult, LAUNCHER.lookup + CLI.grace)
    output.show(output.lookup_lines(found))
    return found.right and not found.failure


def _send(swarm: SwarmClient, target: str, data: str) -> bool:
    command = Send(target=target, payload=data.encode(), timeout=DELIVERY.timeout)
    result = swarm.ask(command, SendResult, DELIVERY.timeout + CLI.grace)
    output.show(output.send_lines(result))
    return result.status == "delivered"


def _broadcast(swarm: SwarmClient, data: str) -> bool:
    command = SendToAll(payload=data.encode(), timeout=BROADCAST.timeout)
    result = swarm.ask(command, BroadcastResult, BROADCAST.timeout + CLI.grace)
    output.show(output.broadcast_lines(result))
    return result.reached >= result.expected
