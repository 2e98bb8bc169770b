"""The smallest parts of a line: words with their columns, numbers, times, ports and hosts, each told what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from difflib import get_close_matches
from typing import Final

import msgspec

from cicada.ids import MAX_PORT
from cicada.limits import SCRIPT

_WORD: Final = re.compile(r"[^ \t]+")
_TIME: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_ONLY_NUMBERS: Final = re.compile(r"[0-9.]+", re.ASCII)


class BadWord(Exception):
    """What is wrong with a word, and at which column of its line, from 1."""

    def __init__(self, problem: str, column: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.column = column


class Word(msgspec.Struct, frozen=True):
    """A word of a line and its column, from 1."""

    text: str
    column: int


def words_of(text: str, column: int) -> list[Word]:
    """The words of a text that begins at this column."""
    return [Word(match[0], column + match.start()) for match in _WORD.finditer(text)]


def near(word: str, known: tuple[str, ...]) -> str:
    """``: did you mean x?`` for a near miss, or else what there is."""
    close = get_close_matches(word, known, n=1)
    return f": did you mean {close[0]}?" if close else f": there is {', '.join(known)}"


def number_in(word: Word, least: int, most: int, what: str) -> int:
    """A whole number within bounds."""
    value = _digits(word.text)
    if value is None or not least <= value <= most:
        raise BadWord(
            f"{word.text!r} is not {what}: write a whole number from {least} to {most}", word.column
        )
    return value


def seconds_in(word: Word, *, zero_is_one: bool) -> float:
    """A time: plain seconds, or with a unit. ``zero_is_one``: 0 is a time too."""
    match = _TIME.fullmatch(word.text)
    value = float(match[1]) * _UNITS[match[2]] if match else -1.0
    if value < 0 or (value == 0 and not zero_is_one) or value > SCRIPT.max_wait:
        raise BadWord(f"{word.text!r} is not a time: write seconds, as 5 or 0.5, or 250ms or 2m", word.column)
    return value


def port_in(text: str, column: int, *, zero_is_one: bool = False) -> int:
    """A port. ``zero_is_one``: 0, for a free one, is a port too."""
    value = _digits(text)
    least = 0 if zero_is_one else 1
    if value is None or not least <= value <= MAX_PORT:
        raise BadWord(f"{text!r} is not a port: write a number from {least} to {MAX_PORT}", column)
    return value


def host_in(text: str, column: int) -> str:
    """A host: a numeric address, IPv6 with or without brackets, or the name of a host or an interface."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare or bare != text:
        return _ipv6(bare, column)
    if _ONLY_NUMBERS.fullmatch(bare):
        return _ipv4(bare, column)
    if not _HOST.fullmatch(bare):
        raise BadWord(f"{text!r} is neither an IP address nor a name of a host", column)
    return bare


def _ipv6(text: str, column: int) -> str:
    if "%" in text:
        raise BadWord(f"{text!r} has a zone: name the interface alone, or an address without one", column)
    try:
        return ipaddress.IPv6Address(text).compressed
    except ValueError:
        raise BadWord(f"{text!r} is not an IPv6 address: write it as [2001:db8::1]", column) from None


def _ipv4(text: str, column: int) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        pass
    if _digits(text) is not None:
        raise BadWord(f"{text!r} is a number and no host: write :{text} for a port", column)
    raise BadWord(f"{text!r} is not an IPv4 address: write four numbers from 0 to 255", column)


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
