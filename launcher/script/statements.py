"""The statements of the runtime language: a closed family of values, and how each is written."""

from __future__ import annotations

from typing import Final

import msgspec

from cicada.ids import PLACE_BYTES


class HostTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A peer at an address; ``host`` may be a name. IPv6 stands without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HiddenTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A peer that nobody can dial, by ``@`` and its peer id."""

    address: str

    def __str__(self) -> str:
        return self.address


class PlaceTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A place on the ring, whoever owns it."""

    place: int

    def __str__(self) -> str:
        return f"{self.place:0{2 * PLACE_BYTES}x}"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all statements."""


class Send(Statement, frozen=True, kw_only=True):
    """Send to one peer, and wait until its receipt has settled."""

    target: HostTarget | HiddenTarget
    data: str


class Receive(Statement, frozen=True, kw_only=True):
    """Wait for messages, broadcasts among them, and show each."""

    count: int = 1


class Broadcast(Statement, frozen=True, kw_only=True):
    """Send to every other peer of the ring."""

    data: str


class Options(Statement, frozen=True, kw_only=True):
    """What holds for the statements after this one. None: as before."""

    duplicates: int | None = None
    timeout: float | None = None
    ordered: bool | None = None


class Wait(Statement, frozen=True, kw_only=True):
    """Wait until a peer joins, at most so many seconds. None: without limit."""

    seconds: float | None = None


class Pause(Statement, frozen=True, kw_only=True):
    """Do nothing for so many seconds."""

    seconds: float = 1.0


class Lookup(Statement, frozen=True, kw_only=True):
    """Ask the ring who owns a place."""

    target: HostTarget | HiddenTarget | PlaceTarget


class Expect(Statement, frozen=True, kw_only=True):
    """The last message received must be exactly this text."""

    text: str


AnyStatement = Send | Receive | Broadcast | Options | Wait | Pause | Lookup | Expect

VERBS: Final[dict[str, type[AnyStatement]]] = {
    "SEND": Send,
    "RECV": Receive,
    "BCAST": Broadcast,
    "OPT": Options,
    "WAIT": Wait,
    "PAUSE": Pause,
    "LOOKUP": Lookup,
    "EXPECT": Expect,
}
USAGE: Final = {
    "SEND": (
        "SEND host port data",
        "send to one peer; @ and a peer id instead of host and port: to a hidden one",
    ),
    "RECV": ("RECV [count]", "wait for messages, broadcasts among them, and show them"),
    "BCAST": ("BCAST data", "send to every other peer"),
    "OPT": ("OPT duplicates=2 timeout=5 ordered=yes", "for the statements after it: any of the three"),
    "WAIT": ("WAIT [seconds]", "until a peer joins; at most so long, -1 or nothing: without limit"),
    "PAUSE": ("PAUSE [seconds]", "do nothing for that long, or for one second"),
    "LOOKUP": ("LOOKUP host port", "who owns that place; also @ and a peer id, or a place in hex"),
    "EXPECT": ("EXPECT text", "the last message received must be exactly this"),
}


class ScriptLine(msgspec.Struct, frozen=True, kw_only=True):
    """A statement, and the number of its line, from 1."""

    number: int
    statement: AnyStatement


def verb_of(statement: AnyStatement) -> str:
    """The word that a statement begins with."""
    return next(verb for verb, kind in VERBS.items() if isinstance(statement, kind))


def render(statement: AnyStatement) -> str:
    """A statement as a line, which parses to the same statement."""
    return f"{verb_of(statement)} {_arguments(statement)}"


def _arguments(statement: AnyStatement) -> str:
    match statement:
        case Send(target=target, data=data):
            return f"{_spaced(target)} {data}"
        case Receive(count=count):
            return str(count)
        case Broadcast(data=data):
            return data
        case Options():
            return " ".join(_settings(statement))
        case Wait(seconds=seconds):
            return "-1" if seconds is None else _number(seconds)
        case Pause(seconds=seconds):
            return _number(seconds)
        case Lookup(target=target):
            return _spaced(target)
        case Expect(text=text):
            return text


def _settings(options: Options) -> list[str]:
    words = []
    if options.duplicates is not None:
        words.append(f"duplicates={options.duplicates}")
    if options.timeout is not None:
        words.append(f"timeout={_number(options.timeout)}")
    if options.ordered is not None:
        words.append(f"ordered={'yes' if options.ordered else 'no'}")
    return words


def _spaced(target: HostTarget | HiddenTarget | PlaceTarget) -> str:
    return f"{target.host} {target.port}" if isinstance(target, HostTarget) else str(target)


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
