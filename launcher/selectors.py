"""Selectors: the words by which commands name peers.

``core-3`` is a peer, ``worker-1`` a worker, ``core`` a group, ``core:10%`` a share of a group, ``10%`` a share of the
swarm, ``all`` the swarm; ``core-3,core-7`` are several of these.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from cicada.errors import Misuse

EVERYONE = "all"

_SHARE = re.compile(r"(?:(?P<group>.+):)?(?P<percent>\d+(?:\.\d+)?)%")
_SUGGESTIONS = 3


class Candidate(msgspec.Struct, frozen=True):
    """A peer that a selector may name."""

    name: str
    group: str
    worker: str


class Selection(msgspec.Struct, frozen=True):
    """What a selector names. ``workers`` is empty unless it named a worker, whose peers ``peers`` are then."""

    peers: tuple[str, ...]
    workers: tuple[str, ...] = ()


class Draws(Protocol):
    """Whatever draws a share: a ``random.Random``, or something whose draws can be foretold."""

    def sample(self, population: Sequence[str], k: int) -> list[str]:
        """``k`` different members of the population."""


def select(text: str, candidates: Iterable[Candidate], workers: Sequence[str], rng: Draws) -> Selection:
    """What ``text`` names among the candidates; a share is drawn with ``rng`` and holds at least one peer.

    Raises Misuse when it, or a part of it, names nothing, with the nearest names there are.
    """
    everyone = tuple(candidates)
    parts = [_select_one(part.strip(), everyone, workers, rng) for part in text.split(",")]
    if len(parts) == 1:
        return parts[0]
    peers = {name for part in parts for name in part.peers}
    named = dict.fromkeys(worker for part in parts for worker in part.workers)
    if named and not all(part.workers for part in parts):
        raise Misuse(f"{text!r}: name workers or peers, not both at once")
    return Selection(tuple(c.name for c in everyone if c.name in peers), tuple(named))


def _select_one(text: str, everyone: Sequence[Candidate], workers: Sequence[str], rng: Draws) -> Selection:
    share = _SHARE.fullmatch(text)
    if share:
        return _draw(text, everyone, share["group"], float(share["percent"]), rng)
    if text in workers:
        return Selection(tuple(c.name for c in everyone if c.worker == text), (text,))
    names = _named(text, everyone)
    if not names:
        raise Misuse(_nothing(text, everyone, workers))
    return Selection(names)


def _named(text: str, everyone: Sequence[Candidate]) -> tuple[str, ...]:
    if text == EVERYONE:
        return tuple(c.name for c in everyone)
    return tuple(c.name for c in everyone if c.name == text) or tuple(
        c.name for c in everyone if c.group == text
    )


def _draw(
    text: str, everyone: Sequence[Candidate], group: str | None, percent: float, rng: Draws
) -> Selection:
    if not 0 < percent <= 100:
        raise Misuse(f"{text!r}: a share is more than 0% and at most 100%")
    pool = _named(group or EVERYONE, everyone)
    if not pool:
        raise Misuse(_nothing(group or EVERYONE, everyone, ()))
    size = max(1, round(len(pool) * percent / 100))
    drawn = set(rng.sample(pool, size))
    return Selection(tuple(name for name in pool if name in drawn))


def _nothing(text: str, everyone: Sequence[Candidate], workers: Sequence[str]) -> str:
    if text == EVERYONE:
        return "there is no peer to act on: see `cicada peers`"
    known = [EVERYONE, *dict.fromkeys(c.group for c in everyone), *workers, *(c.name for c in everyone)]
    near = difflib.get_close_matches(text, known, n=_SUGGESTIONS)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"no peer to act on is called {text!r}{hint}"
