"""What a typed line means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from cicada.errors import Misuse
from cicada.ids import MAX_PORT, split_address
from samples.chat.limits import TEXT
from samples.chat.text import CHANNEL_RULE, NAME_RULE, channel_of, clean, name_of


class Say(msgspec.Struct, frozen=True):
    """Plain text, for the current conversation."""

    text: str


class ConnectTo(msgspec.Struct, frozen=True):
    """``/connect``"""

    host: str
    port: int


class JoinChannel(msgspec.Struct, frozen=True):
    """``/join``"""

    channel: str


class PartChannel(msgspec.Struct, frozen=True):
    """``/part``; without a channel the current conversation is meant."""

    channel: str | None


class Tell(msgspec.Struct, frozen=True):
    """``/msg``"""

    name: str
    text: str


class Plain(msgspec.Struct, frozen=True):
    """A command without arguments: ``who``, ``stats``, ``help`` or ``quit``."""

    verb: str


class Mistake(msgspec.Struct, frozen=True):
    """It means nothing; what to write instead."""

    advice: str


class Nothing(msgspec.Struct, frozen=True):
    """An empty line."""


Command = Say | ConnectTo | JoinChannel | PartChannel | Tell | Plain | Mistake | Nothing


class Verb(NamedTuple):
    """A command as ``/help`` shows it."""

    usage: str
    does: str
    read: Callable[[str], Command]


def parse(line: str) -> Command:
    """The command of a line. ``//`` begins a text that begins with a slash."""
    line = line.strip()
    if line.startswith("//") or not line.startswith("/"):
        return _say(line.removeprefix("/"))
    name, _, rest = line[1:].partition(" ")
    verb = VERBS.get(name.lower())
    if verb is None:
        return Mistake(f"there is no /{clean(name, 20)}: /help lists what there is, // begins a text with /")
    return verb.read(rest.strip())


def address_of(text: str) -> tuple[str, int]:
    """Host and port. Raises Misuse when the text is no HOST:PORT that can be dialled."""
    host, port = split_address(text)
    if not host or not 1 <= port <= MAX_PORT:
        raise Misuse(f"{text!r} is not an address: write host:port")
    return host, port


def _say(text: str) -> Command:
    text = clean(text, TEXT + 1)
    if len(text) > TEXT:
        return Mistake(f"a message has {TEXT} characters at most: send it in parts")
    return Say(text) if text else Nothing()


def _connect(rest: str) -> Command:
    try:
        return ConnectTo(*address_of(rest))
    except Misuse:
        return Mistake("write /connect HOST:PORT, the address of any member of the swarm")


def _join(rest: str) -> Command:
    channel = channel_of(rest)
    return JoinChannel(channel) if channel else Mistake(f"write /join #channel: {CHANNEL_RULE}")


def _part(rest: str) -> Command:
    if not rest:
        return PartChannel(None)
    channel = channel_of(rest)
    return PartChannel(channel) if channel else Mistake("write /part #channel, or /part for this one")


def _msg(rest: str) -> Command:
    to, _, text = rest.partition(" ")
    name = name_of(to.removeprefix("@"))
    said = _say(text)
    if isinstance(said, Say) and name is not None:
        return Tell(name, said.text)
    if isinstance(said, Mistake):
        return said
    return Mistake(f"write /msg NAME text, where a name is {NAME_RULE}")


def _plain(verb: str) -> Callable[[str], Command]:
    return lambda rest: Mistake(f"write /{verb} alone") if rest else Plain(verb)


VERBS: Final = {
    "connect": Verb("/connect HOST:PORT", "enter the swarm of that member", _connect),
    "join": Verb("/join #channel", "be in a channel, and show it", _join),
    "part": Verb("/part [#channel]", "leave it, or close a private conversation", _part),
    "msg": Verb("/msg NAME text", "to NAME alone, encrypted from end to end", _msg),
    "who": Verb("/who", "who is in this channel", _plain("who")),
    "stats": Verb("/stats", "what this peer did", _plain("stats")),
    "help": Verb("/help", "this list", _plain("help")),
    "quit": Verb("/quit", "leave; so do Ctrl+Q and Ctrl+C", _plain("quit")),
}
