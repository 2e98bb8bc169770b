"""What can be typed at the shell: from a line to a value, and how lines are completed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec

from cicada.errors import Misuse
from cicada.limits import CONFIG

_BLANK: Final = " \t"
_MOST: Final = 1000


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a line asks for."""


class CreatePeers(Line, frozen=True, kw_only=True):
    """Start more peers, of the group that the swarm began with unless another is named."""

    count: int = 1
    group: str = ""


class JoinLine(Line, frozen=True, kw_only=True):
    """Have peers join that are in no ring."""

    select: str = "all"


class LookUp(Line, frozen=True, kw_only=True):
    """Ask the ring who owns a place; ``via`` empty: any peer asks."""

    value: str
    via: str = ""


class StopLine(Line, frozen=True, kw_only=True):
    """Have peers leave and end."""

    select: str


class ListPeers(Line, frozen=True, kw_only=True):
    """List peers."""

    select: str = "all"


class SendTo(Line, frozen=True, kw_only=True):
    """Send a text to one peer."""

    target: str
    data: str


class SendToEach(Line, frozen=True, kw_only=True):
    """Send a text to every peer."""

    data: str


class ShowStatus(Line, frozen=True, kw_only=True):
    """Show the state of the swarm."""


class Help(Line, frozen=True, kw_only=True):
    """Show what can be typed."""


class Quit(Line, frozen=True, kw_only=True):
    """End the shell."""


AnyLine = (
    CreatePeers | JoinLine | LookUp | StopLine | ListPeers | SendTo | SendToEach | ShowStatus | Help | Quit
)

USAGE: Final = {
    "create": ("create [COUNT] [GROUP]", "start more peers, and have them join"),
    "join": ("join [SELECT]", "have peers join that are in no ring"),
    "lookup": ("lookup VALUE [PEER]", "who owns a peer's name, an address or a place; PEER asks"),
    "stop": ("stop SELECT", "have peers leave the ring and end"),
    "list": ("list [SELECT]", "where peers are, and their neighbours"),
    "send": ("send PEER TEXT", "send a text to a peer, and show its receipt"),
    "broadcast": ("broadcast TEXT", "send a text to every peer, and count who got it"),
    "status": ("status", "the state of the swarm"),
    "help": ("help", "this list"),
    "quit": ("quit", "end the shell, as Ctrl-D does"),
}
_NAMED: Final = ("join", "lookup", "stop", "list", "send")  # a peer's name follows these


def parse_line(line: str) -> AnyLine | None:
    """What a line asks for; None: it is blank or a comment. Raises Misuse."""
    body = line.strip("\r\n").lstrip(_BLANK)
    if not body or body.startswith("#"):
        return None
    try:
        body.encode()
    except UnicodeEncodeError:  # what a terminal sends that is no text
        raise Misuse("this is no UTF-8 text: write it in letters") from None
    typed = body.split(maxsplit=1)[0]
    verb = {"?": "help", "exit": "quit"}.get(typed.lower(), typed.lower())
    if verb not in USAGE:
        near = get_close_matches(verb, USAGE, n=1)
        hint = f"did you mean {near[0]}?" if near else "help shows what there is"
        raise Misuse(f"there is no {typed!r}: {hint}")
    return _PARSERS[verb](body[len(typed) :])


def render(line: AnyLine) -> str:
    """A line that parses to the same value."""
    match line:
        case CreatePeers(count=count, group=group):
            return f"create {count} {group}".rstrip()
        case JoinLine(select=select):
            return f"join {select}"
        case LookUp(value=value, via=via):
            return f"lookup {value} {via}".rstrip()
        case StopLine(select=select):
            return f"stop {select}"
        case ListPeers(select=select):
            return f"list {select}"
        case SendTo(target=target, data=data):
            return f"send {target} {data}"
        case SendToEach(data=data):
            return f"broadcast {data}"
        case ShowStatus():
            return "status"
        case Help():
            return "help"
        case Quit():
            return "quit"


def help_lines() -> Iterator[str]:
    """What can be typed."""
    width = max(len(form) for form, _ in USAGE.values())
    for form, about in USAGE.values():
        yield f"{form:<{width}}  {about}"
    yield "SELECT: core-3, worker-1, core, core:10%, 10% or all."


def completions(before: str, names: Sequence[str]) -> list[str]:
    """What the last word of the text before the cursor may become."""
    words = before.split(" ")
    last = words[-1].lower()
    if len(words) == 1:
        known = [f"{verb} " if " " in USAGE[verb][0] else verb for verb in USAGE]
    elif words[0].lower() in _NAMED and (len(words) == 2 or words[0].lower() == "lookup"):
        known = list(names)
    else:
        known = []
    return [each for each in known if each.lower().startswith(last)]


def _create(rest: str) -> CreatePeers:
    words = _words(rest, "create", 0, 2)
    if not words:
        return CreatePeers()
    count, *group = words
    if not (
        count.isascii() and count.isdigit() and len(count) <= len(str(_MOST)) and 1 <= int(count) <= _MOST
    ):
        raise Misuse(f"{count!r} is not a count: write {USAGE['create'][0]}, with 1 to {_MOST} peers")
    if group and len(group[0]) > CONFIG.max_name:
        raise Misuse(f"a group's name has at most {CONFIG.max_name} characters")
    return CreatePeers(count=int(count), group="".join(group))


def _join(rest: str) -> JoinLine:
    words = _words(rest, "join", 0, 1)
    return JoinLine(select=words[0]) if words else JoinLine()


def _lookup(rest: str) -> LookUp:
    value, *via = _words(rest, "lookup", 1, 2)
    return LookUp(value=value, via="".join(via))


def _stop(rest: str) -> StopLine:
    return StopLine(select=_words(rest, "stop", 1, 1)[0])


def _list(rest: str) -> ListPeers:
    words = _words(rest, "list", 0, 1)
    return ListPeers(select=words[0]) if words else ListPeers()


def _send(rest: str) -> SendTo:
    body = rest.lstrip(_BLANK)
    target = body.split(maxsplit=1)[0] if body.split() else ""
    data = body[len(target) + 1 :]
    if not data:
        raise _usage("send")
    return SendTo(target=target, data=data)


def _broadcast(rest: str) -> SendToEach:
    if not rest[1:]:
        raise _usage("broadcast")
    return SendToEach(data=rest[1:])


def _status(rest: str) -> ShowStatus:
    _words(rest, "status", 0, 0)
    return ShowStatus()


def _help(_rest: str) -> Help:
    return Help()


def _quit(rest: str) -> Quit:
    _words(rest, "quit", 0, 0)
    return Quit()


_PARSERS: Final[dict[str, Callable[[str], AnyLine]]] = {
    "create": _create,
    "join": _join,
    "lookup": _lookup,
    "stop": _stop,
    "list": _list,
    "send": _send,
    "broadcast": _broadcast,
    "status": _status,
    "help": _help,
    "quit": _quit,
}


def _words(rest: str, verb: str, least: int, most: int) -> list[str]:
    words = rest.split()
    if not least <= len(words) <= most:
        raise _usage(verb)
    return words


def _usage(verb: str) -> Misuse:
    return Misuse(f"write {USAGE[verb][0]}")
