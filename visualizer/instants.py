"""Instants of a recording as people write them. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from cicada.errors import Misuse

_SECONDS = re.compile(r"(?:t=)?(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_UNITS = {"ms": 1.0, "s": 1000.0, "": 1000.0, "m": 60_000.0, "h": 3_600_000.0}


class Instant(NamedTuple):
    """``ms`` after the beginning, or a ``share`` of all of it."""

    ms: float = 0.0
    share: float | None = None

    def at(self, first_ms: int, last_ms: int) -> float:
        """When that is, in a recording from then to then; never outside of it."""
        wanted = first_ms + (self.ms if self.share is None else self.share * (last_ms - first_ms))
        return float(min(max(wanted, first_ms), last_ms))

    def is_within(self, first_ms: int, last_ms: int) -> bool:
        """Whether the recording is so long."""
        return self.share is not None or first_ms + self.ms <= last_ms


FIRST, LAST = Instant(share=0.0), Instant(share=1.0)


def instant(text: str) -> Instant:
    """``t=30s`` (also ms, m, h, or plain seconds), ``50%``, ``first`` or ``last``. Raises Misuse for anything else."""
    words = {"first": FIRST, "last": LAST}
    if text in words:
        return words[text]
    if match := _SECONDS.fullmatch(text):
        return Instant(ms=float(match[1]) * _UNITS[match[2] or ""])
    share = _SHARE.fullmatch(text)
    if share and float(share[1]) <= 100:
        return Instant(share=float(share[1]) / 100)
    raise Misuse(f"{text!r} is no instant: write t=30s, 50%, first or last")
