"""How what a peer receives and finds is shown: lines for people, safe for a terminal, and values for programs."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec

from cicada.limits import SCRIPT

_TAB = "\t"


class Received(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """One message. ``encoding``: whether ``data`` is the text itself, ``utf-8``, or ``base64`` of bytes that are no text."""

    line: int
    kind: str
    source: str
    data: str
    encoding: str
    trust: str
    hops: int


class Found(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="lookup"):
    """Who owns a place. ``route`` begins with the asking peer."""

    line: int
    place: str
    owner: str
    route: tuple[str, ...]
    hops: int
    seconds: float


Shown = Received | Found


def encoded(data: bytes) -> tuple[str, str]:
    """The bytes as text, and the encoding that says how."""
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"


def shown_lines(shown: Shown) -> Iterator[str]:
    """For people."""
    if isinstance(shown, Received):
        to_all = " to all" if shown.kind == "broadcast" else ""
        data = base64.b64decode(shown.data) if shown.encoding == "base64" else shown.data.encode()
        yield f"{shown.source}{to_all}: {printable(data)}"
        return
    hops = f"{shown.hops} hop{'' if shown.hops == 1 else 's'}"
    yield f"{shown.owner} owns {shown.place[:8]}: {hops} in {shown.seconds * 1000:.1f} ms, {' > '.join(shown.route)}"


def printable(data: bytes, most: int = SCRIPT.shown) -> str:
    """The text on one line, with whatever a terminal would act upon written out: it is the word of a stranger."""
    text = data.decode(errors="backslashreplace")
    cut = text[:most]
    safe = "".join(mark if mark.isprintable() or mark == _TAB else _escaped(mark) for mark in cut)
    return safe if len(text) <= most else f"{safe}... ({len(data)} bytes)"


def _escaped(mark: str) -> str:
    return mark.encode("unicode_escape").decode()
