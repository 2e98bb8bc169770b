"""What this machine offers a swarm, measured. Nothing here judges."""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from cicada.errors import Unavailable
from launcher.doctor.judgement import EXTRAS, Machine, Taken
from launcher.ports import Listener, port_problems
from launcher.runfolder import ControlFolder

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def measure(runs: Path, listeners: Iterable[Listener] = ()) -> Machine:
    """This machine now. ``runs`` is where run folders go; the addresses of ``listeners`` are tried."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory = psutil.virtual_memory()
    folder = _existing(runs)
    return Machine(
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        cores=_cores(),
        memory_bytes=min(memory.total, _memory_limit()),
        free_memory_bytes=min(memory.available, _memory_limit()),
        descriptors=_limit(soft),
        most_descriptors=_limit(hard),
        ephemeral=_ephemeral_ports(),
        taken=tuple(Taken(address=p.address, peer=p.peer, reason=p.reason) for p in port_problems(listeners)),
        display=_display(),
        missing={extra: _missing(modules) for extra, modules in EXTRAS.items()},
        runs=str(runs),
        runs_problem=_in_the_way(runs) or _write_problem(folder),
        free_disk_bytes=shutil.disk_usage(folder).free,
        sockets_problem=_sockets_problem(),
        wall_clock=time.time(),
        resolution=time.get_clock_info("monotonic").resolution,
        start_methods=tuple(multiprocessing.get_all_start_methods()),
    )


def _cores() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _limit(value: int) -> int | None:
    return None if value == resource.RLIM_INFINITY else value


def _memory_limit() -> int:
    """What the control group allows, in a container; more than there is when nothing is said."""
    for path in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            return int(path.read_text())
    return sys.maxsize


def _ephemeral_ports() -> tuple[int, int] | None:
    try:
        first, last = _EPHEMERAL.read_text().split()
        return int(first), int(last)
    except (OSError, ValueError):
        return None


def _display() -> str:
    """What a window would be shown by; empty when there is nothing."""
    for name in ("SDL_VIDEODRIVER", "WAYLAND_DISPLAY", "DISPLAY"):
        if os.environ.get(name):
            return f"{name}={os.environ[name]}"
    return platform.system() if platform.system() in ("Darwin", "Windows") else ""


def _missing(modules: Iterable[str]) -> tuple[str, ...]:
    return tuple(module for module in modules if importlib.util.find_spec(module) is None)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _in_the_way(folder: Path) -> str:
    """What is there instead of a folder, of the folder or one above it; empty: nothing."""
    folder = folder.absolute()
    found = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    return "" if found.is_dir() else f"{found} is not a folder"


def _write_problem(folder: Path) -> str:
    """Why no file can be made and filled there; empty when it can. The file has no name, so it leaves no trace."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(resource.getpagesize()))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _sockets_problem() -> str:
    """Why the folder of a run's sockets cannot be made; empty when it can."""
    try:
        ControlFolder().close()
    except Unavailable as error:
        return str(error)
    return ""
