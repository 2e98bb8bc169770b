"""A feed from a recording: events.jsonl, whoever wrote it and whatever happened to it since."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cicada.bus.snapshot import Snapshot
from cicada.bus.tolerant import EventReader, Malformed, Unknown
from cicada.errors import Unavailable
from cicada.events import Envelope
from cicada.limits import BUS
from visualizer.view import Feed

EVENTS_FILE = "events.jsonl"


class RecordedFeed:
    """The events of a recording, or of the run folder that it is in, as fast as they are taken. One that is still being written
    goes on when more is there.

    ``malformed`` counts lines that are no events, ``unknown`` events of kinds that this version does not know. Raises Unavailable
    when the file cannot be opened; never for what is in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path / EVENTS_FILE if path.is_dir() else path
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise Unavailable(
                f"{self._path} cannot be read: {(error.strerror or str(error)).lower()}; "
                f"name a run folder or its {EVENTS_FILE}"
            ) from error
        self._reader = EventReader(json=True)
        self._lines = 0
        self._first_bad = 0
        self._is_overlong = False
        self._problem = ""
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self.is_torn = False
        """The last line has no end, so far."""
        self.at_end = False
        """Everything that is there was taken."""

    def take(self, budget: int) -> list[Snapshot | Envelope | Unknown]:
        """The next items, at most so many. Empty: there are no more at present."""
        items: list[Snapshot | Envelope | Unknown] = []
        self.at_end = False
        while len(items) < budget:
            line = self._line()
            if line is None:
                self.at_end = True
                break
            if not line.strip():
                continue
            item = self._reader.read(line)
            if isinstance(item, Malformed):
                self._note_bad()
                continue
            if isinstance(item, Unknown):
                self.unknown[item.kind] += 1
            items.append(item)
        return items

    @property
    def status(self) -> Feed:
        """How the feed does."""
        return Feed(source=str(self._path), connected=not self._file.closed, problem=self._in_words())

    def close(self) -> None:
        """Nothing more is taken. Safe to call twice."""
        self._file.close()

    def _line(self) -> bytes | None:
        """The next whole line. None: there is none yet, or the disk fails. What is longer than any event is passed over."""
        try:
            while not self._file.closed:
                start = self._file.tell()
                line = self._file.readline(BUS.max_event + 1)
                if not line.endswith(b"\n") and len(line) <= BUS.max_event:
                    self._file.seek(start)
                    self.is_torn = bool(line)
                    return None
                begins = not self._is_overlong
                self._lines += begins
                self._is_overlong = not line.endswith(b"\n")
                if begins and not self._is_overlong:
                    return line
                if begins:
                    self._note_bad()
        except OSError as error:
            self._problem = f"cannot be read any further: {(error.strerror or str(error)).lower()}"
        return None

    def _note_bad(self) -> None:
        self.malformed += 1
        self._first_bad = self._first_bad or self._lines

    def _in_words(self) -> str:
        told = [self._problem] if self._problem else []
        if self.malformed:
            lines = "1 line is no event" if self.malformed == 1 else f"{self.malformed} lines are no events"
            told.append(f"{lines} (line {self._first_bad}{' first' if self.malformed > 1 else ''})")
        if self.unknown:
            kinds = ", ".join(f"{count} {kind[:40]}" for kind, count in self.unknown.most_common(3))
            more = ", ..." if len(self.unknown) > 3 else ""
            told.append(f"not known to this version: {kinds}{more}")
        if self.is_torn and self.at_end:
            told.append("the last line has no end: it is being written, or its writer died")
        if self.at_end and not self._lines and not self.is_torn:
            told.append("nothing was recorded")
        return "; ".join(told)
