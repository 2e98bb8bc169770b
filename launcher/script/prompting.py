"""What can be typed at the prompt of a peer: the statements and a few words more, and how lines are completed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec

from cicada.errors import ConfigError
from launcher.script.parse import parse_statement
from launcher.script.statements import USAGE, VERBS, AnyStatement, HiddenTarget, HostTarget


class Help(msgspec.Struct, frozen=True):
    """Show what can be typed."""


class ShowStatus(msgspec.Struct, frozen=True):
    """Show where the peer is and what it did."""


class ShowPeers(msgspec.Struct, frozen=True):
    """Show which peers it knows."""


class Quit(msgspec.Struct, frozen=True):
    """Leave."""


PromptWord = Help | ShowStatus | ShowPeers | Quit

WORDS: Final[dict[str, PromptWord]] = {
    "HELP": Help(),
    "STATUS": ShowStatus(),
    "PEERS": ShowPeers(),
    "QUIT": Quit(),
}
_WORDS_AND_MORE: Final[dict[str, PromptWord]] = {**WORDS, "?": Help(), "EXIT": Quit()}
_ABOUT: Final = {
    "HELP": "this list",
    "STATUS": "where this peer is, and what it sent",
    "PEERS": "which peers it knows",
    "QUIT": "leave the ring and end, as Ctrl-D does",
}
_AT_PEERS: Final = ("SEND", "LOOKUP")
_SETTINGS: Final = ("duplicates=", "ordered=", "timeout=")


def parse_prompt(line: str) -> AnyStatement | PromptWord | None:
    """What a line asks for; None: nothing. Raises ConfigError."""
    typed = line.strip().upper()
    if typed in _WORDS_AND_MORE:
        return _WORDS_AND_MORE[typed]
    try:
        return parse_statement(line)
    except ConfigError as error:
        near = get_close_matches(typed, WORDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "HELP shows what there is"
        raise ConfigError(f"{error.problem}; {hint}") from None


def help_lines() -> Iterator[str]:
    """What can be typed."""
    rows = [*USAGE.values(), *_ABOUT.items()]
    width = max(len(form) for form, _ in rows)
    for form, about in rows:
        yield f"{form:<{width}}  {about}"
    yield "The first letter of a statement is enough, and its case does not matter. Ctrl-C ends a statement that waits."


def completions(before: str, peers: Sequence[HostTarget | HiddenTarget]) -> list[str]:
    """What the last word of the text before the cursor may become."""
    words = before.split(" ")
    last = words[-1]
    verb = _full(words[0])
    if len(words) == 1:
        known = [f"{verb} " for verb in VERBS] + list(WORDS)
    elif verb in _AT_PEERS and len(words) == 2:
        known = [_target(peer, data_follows=verb == "SEND") for peer in peers]
    elif verb == "OPT":
        known = list(_SETTINGS)
    else:
        known = []
    return [each for each in known if each.upper().startswith(last.upper())]


def _full(word: str) -> str:
    typed = word.upper()
    return next((verb for verb in VERBS if typed in (verb, verb[0])), typed)


def _target(peer: HostTarget | HiddenTarget, *, data_follows: bool) -> str:
    named = f"{peer.host} {peer.port}" if isinstance(peer, HostTarget) else peer.address
    return f"{named} " if data_follows else named
