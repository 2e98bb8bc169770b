"""The last lines of a peer's own log, read now and then."""

from __future__ import annotations

from pathlib import Path

import msgspec

from visualizer.limits import WINDOW


class LogTail:
    """Reads the logs in a folder (None: there is none here) at most once in ``WINDOW.log_look`` seconds."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._peer = ""
        self._due = 0.0
        self._lines: tuple[str, ...] = ()

    def of(self, peer: str, now: float) -> tuple[str, ...]:
        """The last lines of this peer's log, the newest last; empty when it has none here."""
        if peer == self._peer and now < self._due:
            return self._lines
        self._peer, self._due = peer, now + WINDOW.log_look
        is_file_name = peer == Path(peer).name  # whoever publishes may call a peer what it likes
        self._lines = tuple(_lines(self._folder / f"{peer}.jsonl")) if self._folder and is_file_name else ()
        return self._lines


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - WINDOW.log_bytes))
            raw = file.read(WINDOW.log_bytes).splitlines()
    except OSError:
        return []
    whole = raw if size <= WINDOW.log_bytes else raw[1:]
    return [line for line in map(_line, whole) if line][-WINDOW.log_tail :]


def _line(raw: bytes) -> str:
    """A record as people read it; empty when it is none."""
    try:
        record = msgspec.json.decode(raw, type=_Record)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    return f"{record.time[11:19]} {record.level} {record.text}"


class _Record(msgspec.Struct):
    """As much as is shown of a record that launcher/logs/records.py describes."""

    time: str
    level: str
    text: str
