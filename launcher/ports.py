"""Who listens where: whether the addresses of a plan are free, asked before anything starts."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import psutil

from cicada.config import Config
from cicada.errors import Unavailable
from cicada.ids import Address, canonical_address, split_address
from cicada.limits import LAUNCHER

IN_USE: Final = "in use"
NOT_HERE: Final = "not an address of this machine"
REFUSED: Final = "not allowed"
_STEPS: Final = {
    IN_USE: "end what listens there (`cicada down`?), or change {}",
    NOT_HERE: "change {} to an address of this machine",
    REFUSED: "change {} to a port from 1024 on, which anybody may use",
}
_REASONS: Final = {errno.EADDRINUSE: IN_USE, errno.EADDRNOTAVAIL: NOT_HERE, errno.EACCES: REFUSED}


class Listener(Protocol):
    """Somebody who is to listen: a planned peer, or an endpoint."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> Address: ...


class Endpoint(msgspec.Struct, frozen=True):
    """Where the launcher listens itself; ``name`` is the section that says so."""

    name: str
    address: Address


class PortProblem(msgspec.Struct, frozen=True):
    """The address of a peer, or of an endpoint, cannot be bound. ``pid`` is the process that listens there, 0 when it cannot be
    seen."""

    peer: str
    address: str
    reason: str
    pid: int = 0


def endpoints_of(config: Config) -> tuple[Endpoint, ...]:
    """The endpoints of metrics and of watchers, who have the port after theirs too."""
    return tuple(_endpoints(config))


def _endpoints(config: Config) -> Iterator[Endpoint]:
    if config.metrics.listen is not None:
        yield Endpoint("[metrics]", Address(config.metrics.listen))
    if config.watch.listen is not None:
        host, port = split_address(config.watch.listen)
        for number in (port, port + 1):
            yield Endpoint("[watch]", canonical_address(host, number))


def require_free(listeners: Iterable[Listener], swarms: Mapping[int, str]) -> None:
    """Raise Unavailable when any of the addresses cannot be bound, naming all of them and what to do.

    ``swarms`` maps the launcher's process id to the run folder of every swarm that is known to run.
    """
    problems = port_problems(listeners)
    if problems:
        raise Unavailable(_message(problems, swarms))


def port_problems(listeners: Iterable[Listener]) -> list[PortProblem]:
    """The addresses that cannot be bound now."""
    failures = [(one, error) for one in listeners if (error := _bind_error(one.address)) is not None]
    listening = _listeners() if any(error.errno == errno.EADDRINUSE for _, error in failures) else {}
    return [_problem(one, error, listening) for one, error in failures]


def advice_on(reasons: Collection[str], names: Collection[str]) -> str:
    """What to do about listeners of these names that cannot listen for these reasons."""
    sections = sorted({name for name in names if name.startswith("[")})
    are_peers = any(not name.startswith("[") for name in names)
    where = " and ".join(["[[group]] address"] * are_peers + [f"{section} listen" for section in sections])
    known = [step.format(where) for reason, step in _STEPS.items() if reason in reasons]
    return "; ".join(known) or f"change {where}"


def _bind_error(address: str) -> OSError | None:
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the endpoint does: TIME_WAIT is no obstacle
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


def _problem(one: Listener, error: OSError, listening: Mapping[int, int]) -> PortProblem:
    words = os.strerror(error.errno) if error.errno else str(error)
    reason = _REASONS.get(error.errno or 0, words.lower())
    pid = listening.get(split_address(one.address)[1], 0) if reason == IN_USE else 0
    return PortProblem(one.name, one.address, reason, pid)


def _message(problems: Sequence[PortProblem], swarms: Mapping[int, str]) -> str:
    lines = [f"{len(problems)} of the swarm's addresses cannot be listened at:"]
    owners = {pid: _owner(pid, swarms) for pid in {problem.pid for problem in problems if problem.pid}}
    for problem in problems[: LAUNCHER.port_problems]:
        by = f" by {owners[problem.pid].who}" if problem.pid else ""
        lines.append(f"  {problem.address} ({problem.peer}): {problem.reason}{by}")
    if len(problems) > LAUNCHER.port_problems:
        lines.append(f"  ... and {len(problems) - LAUNCHER.port_problems} more")
    lines += sorted({owner.advice for owner in owners.values() if owner.advice})
    lines.append(advice_on({problem.reason for problem in problems}, [problem.peer for problem in problems]))
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
