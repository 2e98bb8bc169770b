"""The log of one process and of the peers in it: levels, a bounded queue, and a thread that writes.

Nobody who logs waits for a disk, or for anybody: what finds the queue full is dropped and counted, and so is what the disk
does not take. The count is a record itself.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from cicada.actors.host import whose_turn
from cicada.events import AnyEvent
from cicada.limits import LOG, LogLimits
from launcher.logs.events import RULES
from launcher.logs.files import LogFiles
from launcher.logs.levels import Levels, LevelSetting
from launcher.logs.records import TRACE, Detail, Facts, Level, Record, harmless, level_at

QUEUE_FULL = "more came than could be written"
DEFECT = "a defect in what describes them"

_logger = logging.getLogger("cicada.launcher.log")
_library = logging.getLogger("cicada")

Publish = Callable[[str, AnyEvent], None]


class _Entry(NamedTuple):
    """Something to be logged, as it was put into the queue; ``what`` are the arguments of ``tell``'s rule."""

    time_ms: int
    peer: str
    level: Level
    actor: str
    event: str
    what: AnyEvent | Facts


class LogBook:
    """Logs events and the records of ``logging`` under ``cicada`` into the files of ``folder``, between ``open`` and
    ``close``.

    ``source`` names the process, in whose own file stands what is about no peer. ``dropped`` counts records that were
    not written, by reason. May be used from any thread, except for ``open`` and ``close``.
    """

    def __init__(self, folder: Path, source: str, level: Level, *, limits: LogLimits = LOG) -> None:
        self._folder = folder
        self.source = source
        self._limits = limits
        self._levels = Levels(level)
        self._files = LogFiles(folder, limits)
        self._queue: deque[_Entry] = deque()
        self._encoder = msgspec.json.Encoder()
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._write_until_over, name="log writer", daemon=True)
        self._handler = _Handler(self.remark)
        self._warned = False
        self._told: Counter[str] = Counter()
        self.dropped = Counter({QUEUE_FULL: 0})

    def open(self) -> None:
        """Begin to write."""
        self._writer.start()
        _library.addHandler(self._handler)
        self._set_library_level()

    def close(self) -> None:
        """Write what is left, for ``LogLimits.close`` seconds at most, and end. Idempotent."""
        _library.removeHandler(self._handler)
        self._over.set()
        if self._writer.is_alive():
            self._writer.join(self._limits.close)
            _library.setLevel(logging.NOTSET)

    def set_levels(self, settings: Iterable[LevelSetting]) -> None:
        """Log some peers, or some of their actors, from another level on."""
        self._levels.set(settings)
        self._set_library_level()

    def tapped(self, publish: Publish) -> Publish:
        """``publish`` for the actors of peers, with each event also logged."""

        rule_of, levels, log = RULES.get, self._levels, self.event

        def both(peer: str, event: AnyEvent) -> None:
            publish(peer, event)
            rule = rule_of(type(event))
            if rule is not None and rule.level >= levels.floor:  # most events end here
                log(peer, event)

        return both

    def event(self, peer: str, event: AnyEvent) -> None:
        """Log an event about ``peer`` (empty: the process), if somebody wants it. Never blocks."""
        rule = RULES.get(type(event))
        if rule is None or not self._levels.wants(peer or self.source, rule.actor, rule.level):
            return
        if rule.skips is None or not rule.skips(event):
            self._put(peer, rule.level, rule.actor, type(event).__name__, event)

    def remark(self, record: logging.LogRecord) -> None:
        """Log what somebody told a logger. It is about the peer in its attribute ``peer``, or whose actor runs."""
        peer, actor = getattr(record, "peer", ""), ""
        if not peer:
            peer, actor = whose_turn()
        level = level_at(record.levelno)
        if self._levels.wants(peer or self.source, actor, level):
            facts = Facts(text=record.getMessage(), detail=_trace(record, self._limits.trace))
            self._put(peer, level, actor, record.name, facts)

    def _set_library_level(self) -> None:
        """So that what nobody wants is not even made; standard error wants warnings, whatever the logs do."""
        _library.setLevel(min(self._levels.floor, Level.WARNING))

    def _put(self, peer: str, level: Level, actor: str, event: str, what: AnyEvent | Facts) -> None:
        if len(self._queue) >= self._limits.queue:
            self.dropped[QUEUE_FULL] += 1
            return
        self._queue.append(_Entry(_now_ms(), peer, level, actor, event, what))

    # On the writer's thread

    def _write_until_over(self) -> None:
        while not self._over.wait(self._limits.flush):
            self._write()
        self._write()

    def _write(self) -> None:
        """Write what waits, a budget at a time. What comes meanwhile waits for the next look, so that this ends."""
        waiting = len(self._queue)
        while waiting > 0:
            some = [self._queue.popleft() for _ in range(min(waiting, self._limits.batch))]
            waiting -= len(some)
            self._write_some(_gathered(some))
        self._tell_dropped()

    def _write_some(self, entries: Iterable[tuple[_Entry, int]]) -> None:
        lines: dict[str, list[bytes]] = {}
        for entry, times in entries:
            try:
                line = self._line(entry, times)
            except Exception:  # noqa: BLE001  a record that cannot be made must cost itself only
                self.dropped[DEFECT] += 1
            else:
                lines.setdefault(entry.peer or self.source, []).append(line)
        for name, some in lines.items():
            if problem := self._append(name, some):
                self.dropped[problem] += len(some)
                self._warn(problem)

    def _append(self, name: str, lines: list[bytes]) -> str:
        """Why they could not be written; empty when they were."""
        try:
            self._files.append(name, lines)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _tell_dropped(self) -> None:
        for reason, count in list(self.dropped.items()):
            fresh = count - self._told[reason]
            if fresh > 0 and not self._append(self.source, [self._loss(fresh, reason)]):
                self._told[reason] += fresh

    def _loss(self, count: int, reason: str) -> bytes:
        facts = Facts(text=f"{count} records were not logged: {reason}", detail={"count": count})
        return self._line(_Entry(_now_ms(), "", Level.WARNING, "", "RecordsLost", facts), 1)

    def _line(self, entry: _Entry, times: int) -> bytes:
        return self._encoder.encode(_record(self.source, entry, times)) + b"\n"

    def _warn(self, reason: str) -> None:
        """Once: the peers go on, and the counter knows the rest."""
        if not self._warned:
            self._warned = True
            _logger.warning("records of %s cannot be written to %s: %s", self.source, self._folder, reason)


class _Handler(logging.Handler):
    """Hands the records of ``logging`` on."""

    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(record)
        except Exception:  # noqa: BLE001  logging must not fail whoever logs
            self.handleError(record)


def _gathered(entries: Iterable[_Entry]) -> list[tuple[_Entry, int]]:
    """The entries in order, with how often each happened: those that gather stand where the first of them was."""
    gathered: list[tuple[_Entry, int]] = []
    places: dict[tuple[str, AnyEvent | Facts], int] = {}
    for entry in entries:
        if isinstance(entry.what, Facts) or not RULES[type(entry.what)].gathers:
            gathered.append((entry, 1))
            continue
        place = places.setdefault((entry.peer, entry.what), len(gathered))
        if place == len(gathered):
            gathered.append((entry, 1))
        else:
            first, times = gathered[place]
            gathered[place] = first, times + 1
    return gathered


def _record(source: str, entry: _Entry, times: int) -> Record:
    what = entry.what
    facts = what if isinstance(what, Facts) else RULES[type(what)].tell(what)
    return Record(
        time=_stamp(entry.time_ms),
        level=entry.level.word,
        source=source,
        event=entry.event,
        text=harmless(facts.text),
        peer=entry.peer,
        actor=entry.actor,
        message=facts.message,
        lookup=facts.lookup,
        remote=facts.remote,
        times=times,
        detail=facts.detail,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _stamp(time_ms: int) -> str:
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def _trace(record: logging.LogRecord, longest: int) -> dict[str, Detail]:
    """Where a failure came from: files, lines and functions, and never the values in them."""
    trace = record.exc_info[2] if record.exc_info else None
    if trace is None:
        return {}
    calls = traceback.extract_tb(trace)[-longest:]
    return {TRACE: tuple(f"{call.filename}:{call.lineno} {call.name}" for call in calls)}
