"""Records of the log: what one line of a log file says, and how people read it. Pure.

A record never holds a payload or a key. What an exception or a remote says is text that nobody checked: bytes in it are
left out, control characters cannot reach a terminal, and it is cut.
"""

from __future__ import annotations

import enum
import re

import msgspec

from cicada.errors import without_bytes
from cicada.limits import LOG
from cicada.wire.decoding import UNDECODABLE

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?))?Z?")
_CUT = " ..."
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Level(enum.IntEnum):
    """How much a record matters; the numbers are those of ``logging``."""

    DEBUG = 10  # links, fingers, lookups
    INFO = 20  # changes of state that a person follows
    WARNING = 30  # faults, drops, restarts
    ERROR = 40  # nothing will bring it back

    @property
    def word(self) -> str:
        """As configurations and records spell it."""
        return self.name.lower()


def level_named(word: str) -> Level:
    """The level that ``word`` spells. Raises KeyError."""
    return Level[word.upper()]


def level_at(number: int) -> Level:
    """The level of a ``logging`` record: the highest that its number reaches."""
    return max((level for level in Level if level <= number), default=Level.DEBUG)


TRACE = "trace"
"""The detail with the calls that led to a failure, the innermost last."""

Detail = str | int | float | tuple[str, ...]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says: ``text`` for people, the rest for programs. Addresses of peers are ``remote``."""

    text: str
    message: int | None = None
    lookup: int | None = None
    remote: str = ""
    detail: dict[str, Detail] = {}


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. ``time`` is UTC with milliseconds, as ISO 8601 writes it, so that texts sort as times do.

    ``source`` is the process, ``peer`` empty when the record is about the process itself. ``event`` is the class of the
    event, or the name of the logger. It happened ``times`` times about then.
    """

    time: str
    level: str
    source: str
    event: str
    text: str
    peer: str = ""
    actor: str = ""
    message: int | None = None
    lookup: int | None = None
    remote: str = ""
    times: int = 1
    detail: dict[str, Detail] = {}

    @property
    def name(self) -> str:
        """Whose log it stands in: the peer's, or the process's own."""
        return self.peer or self.source


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records somebody wants to see: of at least this level, of this actor, with this text (empty: any), and not before
    ``since``, which is written as the times of records are, or begins as they do."""

    level: Level = Level.DEBUG
    actor: str = ""
    text: str = ""
    since: str = ""

    def takes(self, record: Record) -> bool:
        """Whether a record passes."""
        return (
            Level.__members__.get(record.level.upper(), Level.ERROR) >= self.level
            and self.actor in ("", record.actor)
            and self.since <= record.time
            and (not self.text or self.text in readable(record))
        )


def readable(record: Record, width: int = 0) -> str:
    """A record as one line for people, the name padded to ``width`` characters."""
    when = record.time.replace("T", " ").removesuffix("Z")
    times = f" ({record.times} times)" if record.times > 1 else ""
    trace = record.detail.get(TRACE)
    where = f", at {trace[-1]}" if isinstance(trace, tuple) and trace else ""
    text = f"{record.text}{times}{where}"
    return f"{when}  {record.level:<7}  {record.name:<{width}}  {record.actor:<10}  {text}"


def instant(text: str) -> str:
    """A time of day as a person writes it, so that it compares with the times of records: ``2026-11-25 18:40``, with or without
    seconds, or the date alone. Empty when it is none."""
    match = _INSTANT.fullmatch(text.strip())
    return "" if match is None else "T".join(part for part in match.groups() if part)


def harmless(text: str) -> str:
    """The text without literals of bytes, which may be payloads, on one line that a terminal shows as it is."""
    words = " ".join(without_bytes(text).split())
    clean = "".join(char if char.isprintable() else _UNREADABLE for char in words)
    return clean if len(clean) <= LOG.text else clean[: LOG.text - len(_CUT)] + _CUT


_decoder = msgspec.json.Decoder(Record)


def decoded(line: bytes) -> Record | None:
    """The record in a line; None when there is none, as where a writer was killed."""
    try:
        return _decoder.decode(line)
    except UNDECODABLE:
        return None
