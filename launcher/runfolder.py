"""The run folder: everything about one run of a swarm, and the lock that says it is running.

``runs/<name>-<utc>-<id>/`` is private to the user (0700). ``runs/latest`` links to the newest. The launcher holds the
lock on ``run.lock`` for as long as it lives, so neither a crash nor a reused process id can make a dead swarm look
alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from cicada.errors import Misuse, Unavailable
from cicada.wire.decoding import UNDECODABLE

RUNS = Path("runs")
LATEST = "latest"
CONFIG_FILE = "config.resolved.toml"
RUN_FILE = "run.json"
EVENTS_FILE = "events.jsonl"
LOG_FILE = "launcher.log"
LOGS = "logs"
REPORT_FOLDER = "report"
CONTROL_SOCKET = "launcher"

_ELSEWHERE = "make room, or name another folder with --run"
_RECORDS = (EVENTS_FILE, LOG_FILE, LOGS, REPORT_FOLDER, CONFIG_FILE, RUN_FILE)
_LOCK_FILE = "run.lock"
_PRIVATE = 0o700
_SOCKET_PATH = 107  # bytes, the terminating zero included: sun_path of Linux, less on no other system we know
_LONGEST_SOCKET_NAME = 24
_GIT_SECONDS = 2.0
_LOCK_TRIES = 5
_LOCK_PAUSE = 0.01


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``run.json``: what is needed to find the launcher again, and to repeat the run."""

    run: str
    name: str
    control: str  # path of the launcher's control socket
    events: str  # endpoint to subscribe to the bus at
    launcher_pid: int
    started: str
    version: str
    git: str
    python: str
    host: str
    seed: int
    argv: tuple[str, ...]
    exit_code: int | None = None  # of the launcher, once it knows; None also when the swarm did not come up
    verdict: tuple[str, ...] = ()  # what somebody ought to know of how it ended
    snapshots: str = ""  # endpoint that answers requests for snapshots
    ended: str = ""  # when the launcher took the swarm down; empty while it runs, and for ever if it died


class RunFolder:
    """A run folder that this process holds the lock of. Close it, or use it as a context manager."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock

    @property
    def run(self) -> str:
        """The run's id: the folder's name."""
        return self.path.name

    @property
    def events(self) -> Path:
        """Where the run's events are recorded."""
        return self.path / EVENTS_FILE

    @property
    def logs(self) -> Path:
        """The folder with a log for each peer and process."""
        return self.path / LOGS

    def write_config(self, toml: str) -> None:
        """Keep the configuration with everything resolved. Raises Unavailable when that cannot be written."""
        _write(self.path / CONFIG_FILE, toml.encode())

    def write_info(self, info: RunInfo) -> None:
        """Tell others where the launcher is. Readers see the old file or the new one, never half of it; but for a full disk,
        where the old one is written over, as that takes no room. Raises Unavailable when neither can be done."""
        content = msgspec.json.format(msgspec.json.encode(info)) + b"\n"
        try:
            _write(self.path / RUN_FILE, content)
        except Unavailable:
            if not _written_over(self.path / RUN_FILE, content):
                raise

    def close(self) -> None:
        """Let go of the lock; the folder stays."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_run_folder(name: str, path: Path | None = None, runs: Path = RUNS) -> RunFolder:
    """Create the folder (``path``, or a new one under ``runs``), lock it and point ``latest`` at it.

    ``path`` is a folder that is empty, or missing, or of an earlier run, whose records are all kept under other names. Raises
    Misuse when it has files of somebody else, which stay as they are, or a swarm runs in it; Unavailable when it cannot be made.
    """
    folder = path if path is not None else runs / _new_name(name)
    try:
        require_own(folder)
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=path is not None)
        opened = RunFolder(folder.resolve(), _locked(folder))
        _keep_earlier_run(opened.path)
        opened.logs.mkdir(mode=_PRIVATE)
        _point_latest(opened.path)
    except OSError as error:
        raise Unavailable(
            f"cannot make the run folder {folder}: {(error.strerror or str(error)).lower()}; {_ELSEWHERE}"
        ) from None
    return opened


def require_own(folder: Path) -> None:
    """Raises Misuse for a folder with files in it that no run has made: a run would move them away."""
    try:
        files = sorted(path.name for path in folder.iterdir())
    except OSError:
        return  # it is not there; or it cannot be read, which whoever uses it will find
    if files and not _is_run_folder(folder):
        raise Misuse(f"{folder} is not a run folder: it has {files[0]}; name an empty folder, or a new one")


def already_running(folder: Path) -> Misuse:
    """What to tell somebody who wants to run a swarm in the folder of a running one."""
    return Misuse(
        f"a swarm is already running in {folder}: end it with `cicada down --run {folder}`, or choose another folder"
    )


def is_running(folder: Path) -> bool:
    """Whether a launcher holds the lock of this run folder."""
    try:
        lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def read_info(folder: Path) -> RunInfo | None:
    """What ``run.json`` says; None when there is none or it is not ours."""
    try:
        return msgspec.json.decode((folder / RUN_FILE).read_bytes(), type=RunInfo)
    except (OSError, *UNDECODABLE):
        return None


def running_swarms(*parents: Path) -> dict[int, str]:
    """Launcher process id to run folder, for every swarm that runs in a folder directly below ``parents``."""
    found: dict[int, str] = {}
    for parent in parents:
        for run_file in parent.glob(f"*/{RUN_FILE}"):
            info = read_info(run_file.parent)
            if info is not None and is_running(run_file.parent):
                found[info.launcher_pid] = str(run_file.parent.resolve())
    return found


class ControlFolder:
    """A private folder for the run's sockets, short enough for their paths; removed by ``close``. Raises Unavailable when it
    cannot be made."""

    def __init__(self) -> None:
        try:
            preferred = Path(tempfile.gettempdir())
            parent = preferred if _fits(preferred) else Path("/tmp")  # noqa: S108 (mkdtemp makes the folder private)
            self.path = Path(tempfile.mkdtemp(prefix="cicada-", dir=parent))
        except OSError as error:
            raise Unavailable(
                f"cannot make a folder for sockets: {error.strerror or error}; set TMPDIR to one that can be written"
            ) from None

    def socket(self, name: str) -> str:
        """The path of a socket in the folder."""
        return str(self.path / name)

    def close(self) -> None:
        """Remove the folder and whatever is in it. Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)


def processes_at(folder: Path) -> list[int]:
    """The processes that hold a socket in this folder, so far as this user may see them."""
    import psutil  # not needed by whoever finds a swarm that runs

    try:
        connections = psutil.net_connections("unix")
    except psutil.Error:
        return []
    here = f"{folder}/"
    return sorted({c.pid for c in connections if c.pid and str(c.laddr).startswith(here)})


def git_revision() -> str:
    """The commit that is checked out where this program lies, with ``+`` when files differ; empty when not in git."""
    home = Path(__file__).resolve().parent
    try:
        described = subprocess.run(  # noqa: S603 (fixed words, no shell)
            ["git", "-C", str(home), "describe", "--always", "--dirty=+", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()


def _new_name(name: str) -> str:
    return f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed; children do not inherit it."""
    lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE)  # somebody may only be looking, which takes microseconds
        else:
            return lock
    os.close(lock)
    raise already_running(folder)


def _keep_earlier_run(folder: Path) -> None:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    for kept in _RECORDS:
        earlier = folder / kept
        if earlier.exists():
            earlier.rename(earlier.with_name(f"{earlier.stem}.before-{stamp}{earlier.suffix}"))


def _is_run_folder(folder: Path) -> bool:
    """Whether a run was here: its lock is the first file that it makes, and never has anything in it."""
    try:
        return (folder / _LOCK_FILE).stat().st_size == 0
    except OSError:
        return False


def _point_latest(folder: Path) -> None:
    """Replace ``latest`` beside the folder in one step. One that leads to no run is somebody else's, and left alone."""
    link = folder.parent / LATEST
    if link.exists() and not (link.is_symlink() and _is_run_folder(link)):
        return
    fresh = folder.parent / f".{LATEST}-{secrets.token_hex(4)}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Unavailable(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}; {_ELSEWHERE}"
        ) from None


def _written_over(path: Path, content: bytes) -> bool:
    """Whether the file is there, has room for the content, and holds it now."""
    try:
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
    except OSError:
        return False
    return True


def _fits(parent: Path) -> bool:
    return len(os.fsencode(parent)) + len("/cicada-12345678/") + _LONGEST_SOCKET_NAME < _SOCKET_PATH
