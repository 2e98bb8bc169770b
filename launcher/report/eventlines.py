"""The lines of a recording, as far as a report needs them: nine in ten are about links and keys, and are not decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from cicada.events import Envelope
from cicada.wire.decoding import UNDECODABLE
from launcher.report.fold import FOLDED

_NEEDED: Final = frozenset(kind.__name__.encode() for kind in FOLDED)
_KIND: Final = b'"event":{"event":"'  # no text of an event can hold it: quotes inside are escaped


@dataclass(slots=True)
class LineCounts:
    """What became of the lines. ``torn``: the last one has no end, so its writer died or is writing."""

    read: int = 0
    bad: int = 0
    torn: bool = False


def envelopes(lines: Iterable[bytes], counts: LineCounts) -> Iterator[Envelope]:
    """The envelopes of the kinds that a report needs, and the last one of any kind, which tells how long the run was.

    Never raises for what the lines say: ``counts`` tells how many are none.
    """
    decoder = msgspec.json.Decoder(Envelope)
    passed = b""
    for line in lines:
        if not line.endswith(b"\n"):
            counts.torn = True
            break
        counts.read += 1
        if _is_needed(line):
            passed = b""
            yield from _decoded(decoder, line, counts)
        elif line.endswith(b"}\n"):
            passed = line
        else:
            counts.bad += 1
    if passed:
        yield from _decoded(decoder, passed, counts)


def _is_needed(line: bytes) -> bool:
    """Whether it is of such a kind, or looks like no event at all and must be looked at."""
    start = line.find(_KIND)
    if start < 0:
        return True
    start += len(_KIND)
    return line[start : line.find(b'"', start)] in _NEEDED


def _decoded(decoder: msgspec.json.Decoder[Envelope], line: bytes, counts: LineCounts) -> Iterator[Envelope]:
    try:
        yield decoder.decode(line)
    except UNDECODABLE:
        counts.bad += 1
