"""What `cicada watch` shows: a run that goes on, one that has ended, a swarm elsewhere, or one that is started for it.

The only part of the launcher that knows the visualizer; itself loaded by the commands that show something alone.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cicada.bus.remote import WatchKeys, remote_endpoints
from cicada.errors import CicadaError, Misuse, Unavailable
from cicada.keys.store import read_swarm_key
from cicada.limits import CLI
from launcher import output
from launcher.client import SwarmClient
from launcher.demo import Tour, demo_config, run_demo
from launcher.detach import lifeline, spawn_detached
from launcher.exits import Exit
from launcher.runfolder import EVENTS_FILE, LOGS, is_running, read_info
from visualizer import entry
from visualizer.controls.bindings import Bindings
from visualizer.entry import Live, Look, Recorded
from visualizer.instants import instant
from visualizer.limits import WINDOW
from visualizer.parts import NoDisplay
from visualizer.view import Theme

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_REMOTE = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[^:/\[\]]+):\d{1,5}")
_ERASE_LINE = "\r\x1b[K"


def look_of(size: str, *, light: bool, text: bool, keys: Path | None, speed: float) -> Look:
    """How somebody wants to look. Raises Misuse for a size that no window has, and for keys that cannot be."""
    theme = Theme.LIGHT if light else Theme.DARK
    return Look(_pixels(size), theme, text, _keys(keys) if keys is not None else {}, speed)


def watch_demo(run_dir: Path | None) -> Exit:
    """The demo in a window: its swarm ends when that is closed. Without a display the tour comes first."""
    look = Look(text=not entry.has_display())
    if not look.text:
        entry.require_pygame()  # before anything is started
    return run_demo(run_dir, partial(_beside, look))


def _beside(look: Look, folder: Path, tour: Tour) -> bool:
    """The tour while somebody looks. One that is broken off by the end of the swarm went as far as it went."""
    if look.text:
        right = tour()
        if sys.stdout.isatty():
            watch_subject(subject_of(str(folder), read_only=False), look)
        return right
    touring = _Touring(tour)
    touring.start()
    try:
        watch_subject(subject_of(str(folder), read_only=False), look)
    finally:
        touring.leave()
    return touring.right


class _Touring(threading.Thread):
    """The tour, on a thread of its own."""

    def __init__(self, tour: Tour) -> None:
        super().__init__(name="tour", daemon=True)
        self.right = True
        self._tour = tour
        self._left = False

    def run(self) -> None:
        """What fails because nobody looks any more has not failed."""
        try:
            self.right = self._tour()
        except CicadaError as error:
            if not self._left:
                self.right = False
                output.progress(str(error))
        else:
            output.show(["", "the tour is over; the swarm ends when the window is closed"])

    def leave(self) -> None:
        """Nobody looks any more. It ends with its present step, which is a matter of seconds."""
        self._left = True
        self.join(CLI.demo_wait)


def subject_of(target: str, *, read_only: bool, watch_key: Path | None = None) -> Live | Recorded:
    """What a run folder or an address names; a run that has ended is replayed. Raises Unavailable when there is nothing, and
    Misuse for an address without the key that lets in there."""
    if "://" in target:
        return _remote(target, watch_key)
    folder = Path(target)
    info = read_info(folder)
    if info is None or not is_running(folder):
        return recorded(folder)
    control = "" if read_only else info.control
    return Live(info.name, info.events, info.snapshots, control, folder / LOGS)


def recorded(folder: Path) -> Recorded:
    """The record of a run, which may still go on. Raises Unavailable when there is none."""
    path = folder / EVENTS_FILE if folder.is_dir() else folder
    if not path.is_file():
        raise Unavailable(
            f"no run in {folder}: start a swarm with `cicada up configs/swarm-20.toml -d`, or see one of its own with"
            " `cicada watch --peers 12`"
        )
    info = read_info(path.parent)
    return Recorded(info.name if info else path.stem, path, path.parent / LOGS)


def watch_subject(subject: Live | Recorded, look: Look) -> None:
    """Show it in a window; as text where that is asked for, or there is no display."""
    problem = ""
    if not look.text and entry.has_display():
        try:
            entry.watch(subject, look)
        except NoDisplay as error:
            problem = str(error)
        else:
            return
    if not look.text:
        output.progress(f"{problem or 'no display'}: showing text")
    entry.watch(subject, look._replace(text=True))


def watch_own(peers: int, look: Look, *, read_only: bool) -> None:
    """Start a swarm, show it, and take it down in the end; also when this process is killed."""
    if not look.text and entry.has_display():
        entry.require_pygame()  # before anything is started
    output.progress(f"starting {peers} peers ...")
    with own_swarm(peers) as folder:
        watch_subject(subject_of(str(folder), read_only=read_only), look)


@contextlib.contextmanager
def own_swarm(peers: int) -> Iterator[Path]:
    """The run folder of a swarm that lives as long as this is entered, and not longer than this process."""
    with lifeline() as life:
        started = spawn_detached(demo_config(peers, "watch"), wait=CLI.demo_wait, lifeline=life)
        folder = Path(started.run_dir)
        try:
            yield folder
        finally:
            _end(folder)


def _end(folder: Path) -> None:
    if not is_running(folder):
        return
    with SwarmClient(folder) as swarm:
        swarm.down(CLI.down)
    output.progress(f"the swarm has ended; its record is in {folder}")


def shoot(subject: Recorded, look: Look, when: str, path: Path) -> str:
    """Write a picture; what somebody ought to know about it."""
    return entry.shoot(subject, look, instant(when), path)


def film(subject: Recorded, look: Look, path: Path, start: str, end: str) -> str:
    """Write a film; what somebody ought to know about it."""
    first, last = instant(start), instant(end)
    with _filming() as progress:
        return entry.film(subject, look, path, start=first, end=last, progress=progress)


@contextlib.contextmanager
def _filming() -> Iterator[Callable[[float], None]]:
    """Says on standard error how far a film is: over the last line on a terminal, a line now and then elsewhere."""
    over = sys.stderr.isatty()
    pause = CLI.progress if over else CLI.progress_lines
    due = time.monotonic() + pause

    def show(share: float) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + pause
            text = f"  {share:.0%} of the film"
            sys.stderr.write(f"{_ERASE_LINE}{text}" if over else f"{text}\n")
            sys.stderr.flush()

    yield show
    if over:
        sys.stderr.write(_ERASE_LINE)


def _remote(address: str, watch_key: Path | None) -> Live:
    """A bus elsewhere. Raises Misuse for what is no such address, and without a key."""
    match = _REMOTE.fullmatch(address)
    if match is None:
        raise Misuse(f"{address!r} is no address of a bus: write tcp://HOST:PORT")
    endpoints = remote_endpoints(address)
    if watch_key is None:
        raise Misuse(f"{address} lets in who has its key: name the file of [watch] key_file with --watch-key")
    keys = WatchKeys(read_swarm_key(watch_key).key_for("watch"))
    return Live(address, *endpoints, keys=keys)


def _pixels(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text)
    pixels = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(WINDOW.smallest <= side <= WINDOW.largest for side in pixels):
        bounds = f"each from {WINDOW.smallest} to {WINDOW.largest}"
        raise Misuse(f"--size {text!r}: write WIDTHxHEIGHT, as 1600x900, {bounds}")
    return pixels


def _keys(path: Path) -> dict[str, object]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        Bindings().changed(table)
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, Misuse) as error:
        raise Misuse(f"{path}: {error}") from None
    return table
