"""Reading the logs of a run, while it runs or later: whose they are, what is in them, and what comes on."""

from __future__ import annotations

import heapq
import os
import random
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cicada.errors import CicadaError, Unavailable
from cicada.limits import CLI, LOG
from launcher.logs.files import log_path, logged_names
from launcher.logs.records import Record, decoded
from launcher.plan import WORKER_PREFIX, Plan, plan_swarm
from launcher.runfolder import CONFIG_FILE, LOGS, is_running
from launcher.selectors import EVERYONE, Candidate, select

LAUNCHER_NAME = "launcher"

_HEAD = 1024  # bytes at most of the first line, which with the inode tell a file from all others: inodes are used again
_PIECE = 2 * LOG.file  # bytes read at once; no line is longer
_FileId = tuple[int, bytes]


class Line(NamedTuple):
    """A record and the bytes of its line, without the end."""

    record: Record
    raw: bytes


class RunLogs:
    """The logs in a run folder. Raises Unavailable when it has none."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._folder = run / LOGS
        if not self._folder.is_dir():
            raise Unavailable(
                f"no logs in {run}: start a swarm with `cicada up`, or name its run folder with --run"
            )
        self._plan = _planned(run)

    def names(self, text: str) -> list[str]:
        """Whose logs ``text`` means: a peer, a worker and its peers, the launcher, a group, a share, or all.

        Raises Misuse when nobody is called that.
        """
        logged = self.logged()
        planned = {} if self._plan is None else {peer.name: peer for peer in self._plan.peers}
        workers = dict.fromkeys(() if self._plan is None else self._plan.workers)
        workers |= dict.fromkeys(name for name in logged if _group(name) == WORKER_PREFIX)
        if text == LAUNCHER_NAME:
            return [LAUNCHER_NAME]
        peers = dict.fromkeys([*planned, *(n for n in logged if n not in workers and n != LAUNCHER_NAME)])
        candidates = [
            Candidate(
                name, _group(name), self._worker(name) or (planned[name].worker if name in planned else "")
            )
            for name in peers
        ]
        selection = select(text, candidates, list(workers), random.Random(0))
        if text == EVERYONE:
            return [LAUNCHER_NAME, *workers, *selection.peers]
        return [*selection.workers, *selection.peers]

    def logged(self) -> list[str]:
        """Whoever has logged anything."""
        return logged_names(self._folder)

    def tail(self, name: str) -> Tail:
        """The log of ``name``, from its oldest record on."""
        return Tail(self._folder, name)

    def is_running(self) -> bool:
        """Whether the swarm runs, so that more may come."""
        return is_running(self._run)

    def _worker(self, name: str) -> str:
        """The process that last began a log file for this peer: peers that were added are in no configuration."""
        first = next(iter(_lines(_beginning(log_path(self._folder, name)))), None)
        return "" if first is None else first.record.source


class Tail:
    """What one peer or process has logged; each ``read`` goes on where the last one ended, whatever was rotated."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._read: dict[_FileId, int] = {}
        self._seen: tuple[int, int] | None = None
        self.gaps = 0
        """How often files were given up before they were read."""

    def read(self) -> Iterator[Line]:
        """The records that are complete and were not read before, in order, a file at a time. Read it to its end."""
        try:
            status = log_path(self._folder, self._name).stat()
        except OSError:
            return
        if self._seen == (status.st_ino, status.st_size):
            return
        self._note_gap()
        while data := self._next_piece():
            yield from _lines(data)
        self._seen = (status.st_ino, status.st_size)

    def _note_gap(self) -> None:
        with ExitStack() as stack:
            present = {id for id, _ in self._open_all(stack)}
        if self._read and not present & self._read.keys():
            self.gaps += 1

    def _next_piece(self) -> bytes:
        """Whole lines of the oldest file that has any which were not read; empty when none has."""
        with ExitStack() as stack:
            files = self._open_all(stack)
            self._read = {id: self._read.get(id, 0) for id, _ in files}
            for id, file in files:
                file.seek(self._read[id])
                data = file.read(_PIECE)
                complete = data.rfind(b"\n") + 1
                self._read[id] += complete
                if complete:
                    return data[:complete]
        return b""

    def _open_all(self, stack: ExitStack) -> list[tuple[_FileId, BinaryIO]]:
        """The files, oldest first.

        Opened from the newest on: a rotation meanwhile moves files on to where they are looked for next, so that one
        may be met twice and none is missed.
        """
        found: dict[_FileId, BinaryIO] = {}
        for generation in range(LOG.files):
            try:
                file = stack.enter_context(log_path(self._folder, self._name, generation).open("rb"))
            except OSError:
                continue
            head, end, _ = file.read(_HEAD).partition(b"\n")
            if end or len(head) == _HEAD:  # otherwise its first line is being written
                found.setdefault((os.fstat(file.fileno()).st_ino, head), file)
        return list(reversed(found.items()))


def merged(streams: Iterable[Iterable[Line]]) -> Iterator[Line]:
    """The records of several logs in order of time; those of one log stay in their order."""
    return heapq.merge(*streams, key=_time)


class Follower:
    """What several logs say, in order of time, from their oldest records on and then as it comes.

    Somebody who writes is up to ``LogLimits.flush`` late, so with several logs a record is held back for
    ``CliLimits.settle`` seconds.
    """

    def __init__(self, logs: RunLogs, text: str) -> None:
        self._logs = logs
        self._text = text
        self._tails: dict[str, Tail] = {}
        self._held: list[Line] = []
        self._logged: list[str] = []

    def all(self) -> Iterator[Line]:
        """Everything that is there."""
        self._look_for_new()
        return merged(tail.read() for tail in self._tails.values())

    def more(self, *, last: bool) -> list[Line]:
        """What has come and is old enough to be in order; when it is the ``last`` look, all that has come."""
        self._look_for_new()
        fresh = list(merged(tail.read() for tail in self._tails.values()))
        lines = list(heapq.merge(self._held, fresh, key=_time))
        ready = len(lines)
        if len(self._tails) > 1 and not last:
            ready = bisect_right(lines, stamp(time.time() - CLI.settle), key=_time)
        self._held = lines[ready:]
        return lines[:ready]

    @property
    def gaps(self) -> int:
        """How often files were given up before they were read."""
        return sum(tail.gaps for tail in self._tails.values())

    def _look_for_new(self) -> None:
        """Peers may have been added. A share that was drawn stays as it is."""
        logged = self._logs.logged()
        if self._tails and (logged == self._logged or "%" in self._text):
            return
        self._logged = logged
        for name in self._logs.names(self._text):
            if name not in self._tails:
                self._tails[name] = self._logs.tail(name)


def _time(line: Line) -> str:
    return line.record.time


def stamp(seconds: float) -> str:
    """Seconds since 1970 as the time of a record."""
    whole, millis = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{millis:03d}Z"


def _lines(data: bytes) -> Iterator[Line]:
    for raw in data.splitlines():
        record = decoded(raw)
        if record is not None:
            yield Line(record, raw)


def _beginning(path: Path) -> bytes:
    """Enough for the first record; empty when there is none."""
    try:
        with path.open("rb") as file:
            return file.readline(_PIECE)
    except OSError:
        return b""


def _group(name: str) -> str:
    return name.rpartition("-")[0]


def _planned(run: Path) -> Plan | None:
    """The peers that the run began with; None when its configuration cannot be read."""
    from cicada.config import load_config

    try:
        return plan_swarm(load_config(run / CONFIG_FILE), os.cpu_count() or 1)
    except (CicadaError, OSError):
        return None
