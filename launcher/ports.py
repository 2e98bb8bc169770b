"""Who listens where: whether the addresses of a plan are free, asked before anything starts."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import psutil

from cicada.errors import Unavailable
from cicada.ids import split_address
from cicada.limits import LAUNCHER
from launcher.plan import PlannedPeer


class PortProblem(msgspec.Struct, frozen=True):
    """A peer's address cannot be bound. ``pid`` is the process that listens there, 0 when it cannot be seen."""

    peer: str
    address: str
    reason: str
    pid: int = 0


def require_free(peers: Iterable[PlannedPeer], swarms: Mapping[int, str]) -> None:
    """Raise Unavailable when any of the addresses cannot be bound, naming all of them and what to do.

    ``swarms`` maps the launcher's process id to the run folder of every swarm that is known to run.
    """
    problems = port_problems(peers)
    if problems:
        raise Unavailable(_message(problems, swarms))


def port_problems(peers: Iterable[PlannedPeer]) -> list[PortProblem]:
    """The addresses that cannot be bound now."""
    failures = [(peer, error) for peer in peers if (error := _bind_error(peer.address)) is not None]
    listeners = _listeners() if any(error.errno == errno.EADDRINUSE for _, error in failures) else {}
    return [_problem(peer, error, listeners) for peer, error in failures]


def _bind_error(address: str) -> OSError | None:
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the endpoint does: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
            probe.listen(1)  # bound but not listening would not collide
        except OSError as error:
            return error
    return None


def _listeners() -> dict[int, int]:
    """Port to process id of whatever listens and may be seen by this user."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return {}
    listening = (c for c in connections if c.status == psutil.CONN_LISTEN)
    return {c.laddr.port: c.pid or 0 for c in listening if c.laddr}


def _problem(peer: PlannedPeer, error: OSError, listeners: Mapping[int, int]) -> PortProblem:
    reason = os.strerror(error.errno) if error.errno else str(error)
    in_use = error.errno == errno.EADDRINUSE
    pid = listeners.get(split_address(peer.address)[1], 0) if in_use else 0
    return PortProblem(peer.name, peer.address, "in use" if in_use else reason.lower(), pid)


def _message(problems: Sequence[PortProblem], swarms: Mapping[int, str]) -> str:
    lines = [f"{len(problems)} of the swarm's addresses cannot be listened at:"]
    owners = {pid: _owner(pid, swarms) for pid in {problem.pid for problem in problems if problem.pid}}
    for problem in problems[: LAUNCHER.port_problems]:
        by = f" by {owners[problem.pid].who}" if problem.pid else ""
        lines.append(f"  {problem.address} ({problem.peer}): {problem.reason}{by}")
    if len(problems) > LAUNCHER.port_problems:
        lines.append(f"  ... and {len(problems) - LAUNCHER.port_problems} more")
    lines += sorted({owner.advice for owner in owners.values() if owner.advice})
    lines.append("free them, or change [[group]] address in the configuration")
    return "\n".join(lines)


class _Owner(msgspec.Struct, frozen=True):
    who: str
    advice: str = ""


def _owner(pid: int, swarms: Mapping[int, str]) -> _Owner:
    """What listens, in words; a worker of a running swarm is known by its ancestors."""
    try:
        process = psutil.Process(pid)
        name, ancestors = process.name(), [pid, *(parent.pid for parent in process.parents())]
    except psutil.Error:
        return _Owner(f"process {pid}")
    folder = next((swarms[ancestor] for ancestor in ancestors if ancestor in swarms), None)
    if folder is None:
        return _Owner(f"{name} (process {pid})")
    return _Owner(f"the swarm in {folder}", f"to end that swarm: cicada down --run {folder}")
