"""Whether a machine is fit for a swarm, and what to change where it is not. Pure: a machine in, findings out."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from cicada.limits import ENDPOINT, FOOTPRINT
from cicada.transport.descriptors import budget_of
from launcher.needs import Needs, descriptors_for
from launcher.ports import IN_USE, advice_on

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat": ("textual",),
    "fast": ("cryptography", "uvloop"),
    "load": ("hdrh", "matplotlib"),
    "metrics": ("prometheus_client",),
    "testing": ("pytest",),
    "viz": ("pygame", "imageio", "imageio_ffmpeg"),
}
"""The modules that each extra of the distribution brings."""

_WITHOUT: Final = {
    "chat": "samples/messenger.py does not run",
    "fast": "sealing takes three times as long",
    "load": "no histograms of loads, and no pictures of simulations",
    "metrics": "no [metrics] endpoint",
    "testing": "no fixture cicada_swarm",
    "viz": "`cicada watch` shows text, and makes no pictures or films",
}
_MIB: Final = 1024 * 1024


class Level(enum.StrEnum):
    """How a finding is meant: a swarm runs, runs badly or without something, or does not run."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what was found and, when that is not ok, what to change."""

    about: str
    level: Level
    found: str
    advice: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """An address of the swarm that cannot be listened at: that of a peer, or of the section that ``peer`` names."""

    address: str
    peer: str
    reason: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. None for a limit means that there is none, or that it is not known.

    ``descriptors`` is the present limit, ``most_descriptors`` what a process may raise it to. ``missing``: modules of each
    extra that are not installed. Problems are empty where there is none.
    """

    system: str
    cores: int
    memory_bytes: int
    free_memory_bytes: int
    descriptors: int | None
    most_descriptors: int | None
    ephemeral: tuple[int, int] | None
    taken: tuple[Taken, ...]
    display: str
    missing: Mapping[str, tuple[str, ...]]
    runs: str
    runs_problem: str
    free_disk_bytes: int
    sockets_problem: str
    wall_clock: float
    resolution: float
    start_methods: tuple[str, ...]


def examine(machine: Machine, needs: Needs | None = None) -> tuple[Finding, ...]:
    """Everything that was found. With ``needs`` it is compared with what that swarm takes."""
    return (
        Finding(about="system", level=Level.OK, found=machine.system),
        _start_method(machine),
        _descriptors(machine, needs),
        *_ports(machine, needs),
        _memory(machine, needs),
        _cores(machine, needs),
        _folder(machine),
        _disk(machine, needs),
        _sockets(machine),
        _clock(machine),
        _display(machine),
        *_extras(machine, needs),
    )


def _ok(about: str, found: str) -> Finding:
    return Finding(about=about, level=Level.OK, found=found)


def _warn(about: str, found: str, advice: str) -> Finding:
    return Finding(about=about, level=Level.WARN, found=found, advice=advice)


def _fail(about: str, found: str, advice: str) -> Finding:
    return Finding(about=about, level=Level.FAIL, found=found, advice=advice)


def _start_method(machine: Machine) -> Finding:
    about = "processes"
    if "forkserver" in machine.start_methods:
        return _ok(about, "workers are forked from a fork server")
    offered = ", ".join(machine.start_methods)
    return _fail(about, f"no fork server here, only {offered}", "use Linux or macOS; on Windows, WSL")


def _descriptors(machine: Machine, needs: Needs | None) -> Finding:
    about = "descriptors"
    most = machine.most_descriptors
    if most is None:
        return _ok(about, "no limit")
    room = max(0, budget_of(most, ENDPOINT).listeners)
    found = f"limit {most}: room for {room} peers in a worker"
    if needs is None:
        little = room < FOOTPRINT.peers_per_worker
        wanted = descriptors_for(FOOTPRINT.peers_per_worker)
        advice = f"raise it, as root or in limits.conf: ulimit -Hn {wanted}"
        return _warn(about, found, advice) if little else _ok(about, found)
    wanted = max(needs.worker_descriptors, needs.launcher_descriptors)
    if most < wanted:
        advice = f"raise it to {wanted} (ulimit -Hn {wanted}), or set swarm.peers_per_worker = {max(room, 1)}"
        return _fail(about, f"{found}, {needs.fullest_worker} are planned", advice)
    return _ok(about, f"{found}, {needs.fullest_worker} are planned")


def _ports(machine: Machine, needs: Needs | None) -> Iterator[Finding]:
    if needs is None:
        if machine.ephemeral:
            lowest, highest = machine.ephemeral
            yield _ok("ports", f"{lowest} to {highest} are handed out by the system: use others for peers")
        return
    count = needs.own_ports + sum(ports.last - ports.first + 1 for ports in needs.ports)
    if machine.taken:
        first, reasons = machine.taken[0], {taken.reason for taken in machine.taken}
        state = "are taken" if reasons == {IN_USE} else "cannot be listened at"
        found = f"{len(machine.taken)} of {count} {state}: {first.address} ({first.peer}): {first.reason}"
        yield _fail("ports", found, advice_on(reasons, [taken.peer for taken in machine.taken]))
    else:
        yield _ok("ports", f"all {count} are free")
    if shared := _shared_with_system(machine, needs):
        lowest, highest = machine.ephemeral or (0, 0)
        found = (
            f"{shared} of {count} lie between {lowest} and {highest}, which the system hands out to anybody"
        )
        yield _warn("ports", found, f"start groups so that they end below {lowest}")


def _shared_with_system(machine: Machine, needs: Needs) -> int:
    if machine.ephemeral is None:
        return 0
    lowest, highest = machine.ephemeral
    return sum(max(0, min(ports.last, highest) - max(ports.first, lowest) + 1) for ports in needs.ports)


def _memory(machine: Machine, needs: Needs | None) -> Finding:
    about = "memory"
    free = machine.free_memory_bytes
    found = f"{free / _MIB:.0f} of {machine.memory_bytes / _MIB:.0f} MiB free"
    if needs is None:
        peers = (
            max(0, free - FOOTPRINT.launcher_bytes - machine.cores * FOOTPRINT.worker_bytes)
            // FOOTPRINT.peer_bytes
        )
        few = peers < FOOTPRINT.peers_per_worker
        words = f"{found}: enough for some {peers} peers"
        return _warn(about, words, "end other programs") if few else _ok(about, words)
    wanted = f"{found}, the swarm takes about {needs.memory_bytes / _MIB:.0f} MiB"
    if needs.memory_bytes > free:
        return _fail(about, wanted, "use fewer peers (-n GROUP=COUNT), or end other programs")
    if needs.memory_bytes > FOOTPRINT.memory_share * free:
        return _warn(about, wanted, "a load will need more: use fewer peers (-n GROUP=COUNT)")
    return _ok(about, wanted)


def _cores(machine: Machine, needs: Needs | None) -> Finding:
    about = "cores"
    if needs is None:
        return _ok(about, f"{machine.cores}: good for some {machine.cores * FOOTPRINT.peers_per_core} peers")
    found = f"{machine.cores} for {needs.peers} peers in {needs.workers} workers"
    if needs.peers > machine.cores * FOOTPRINT.peers_per_core:
        most = machine.cores * FOOTPRINT.peers_per_core
        return _warn(about, found, f"the ring will be slow to form: use at most {most} peers, or more cores")
    if needs.workers > max(2, 2 * machine.cores):
        return _warn(about, found, 'more workers than cores only cost memory: swarm.workers = "auto"')
    return _ok(about, found)


def _folder(machine: Machine) -> Finding:
    about = "run folder"
    if machine.runs_problem:
        advice = "free space or change permissions, start from another folder, or name one with --run"
        return _fail(about, f"{machine.runs} cannot be written: {machine.runs_problem}", advice)
    return _ok(about, f"{machine.runs} can be written")


def _disk(machine: Machine, needs: Needs | None) -> Finding:
    about = "disk"
    free = machine.free_disk_bytes
    found = f"{free / _MIB:.0f} MiB free"
    if free < FOOTPRINT.disk_bytes:
        return _fail(about, found, "free some, or name a run folder on another disk with --run")
    if needs is not None and needs.disk_bytes > free:
        words = f"{found}, a long run may record and log {needs.disk_bytes / _MIB:.0f} MiB"
        return _warn(about, words, "free some, or remove old folders below runs/")
    return _ok(about, found)


def _sockets(machine: Machine) -> Finding:
    about = "sockets"
    if machine.sockets_problem:
        return _fail(
            about, machine.sockets_problem, "set TMPDIR to a folder that can be written, with a short path"
        )
    return _ok(about, "their folder can be made, and its path is short enough")


def _clock(machine: Machine) -> Finding:
    about = "clock"
    if machine.wall_clock < FOOTPRINT.oldest_clock:
        return _fail(about, "the time of day was never set", "set it: keys and logs are dated by it")
    if machine.resolution > FOOTPRINT.resolution:
        found = f"resolution {machine.resolution * 1000:g} ms"
        return _warn(about, found, "latencies will be no more exact than that: use another clock source")
    return _ok(about, "set, and fine enough for latencies")


def _display(machine: Machine) -> Finding:
    about = "display"
    if machine.display:
        return _ok(about, machine.display)
    return _warn(
        about, "none, so no window can open", "set DISPLAY or WAYLAND_DISPLAY; everything else works without"
    )


def _extras(machine: Machine, needs: Needs | None) -> Iterator[Finding]:
    needed = set() if needs is None else set(needs.modules)
    for extra, modules in machine.missing.items():
        about = f"extra {extra}"
        if modules:
            found = f"{', '.join(modules)} not installed: {_WITHOUT[extra]}"
            judged = _fail if needed.intersection(modules) else _warn
            yield judged(about, found, f"pip install 'cicada-swarm[{extra}]'")
        else:
            yield _ok(about, "installed")
