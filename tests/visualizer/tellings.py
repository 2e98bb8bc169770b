"""Events for tests: of a small ring, and made up without any sense."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, Union, get_args, get_origin

import msgspec

from cicada.bus.topics import kinds
from cicada.events import (
    AnyEvent,
    Envelope,
    HopTaken,
    PeerStarted,
    PhaseChanged,
    PredecessorChanged,
    SuccessorsChanged,
    TrafficCounted,
)
from cicada.ids import Address, place_of
from visualizer.model.fold import SwarmFold
from visualizer.model.state import PeerView

START_MS = 1_700_000_000_000
WORDS = (
    *("", "core-0", "core-1", "core-2", "edge-0", "worker-0", "worker-1", "launcher", "nobody", "x" * 500),
    *(f"10.0.0.{index}:7000" for index in range(8)),
    *(
        "@" + "ab" * 32,
        "member",
        "alone",
        "joining",
        "idle",
        "left",
        "killed",
        "failed",
        "freeze",
        "partition",
    ),
    *("data", "receipt", "broadcast", "lookup", "altered", "lost", "intact", "drop", "alter", "unreadable"),
    *("trip/1", "trip/2", "delivered", "stopping", "proven", "ff" * 32, "0" * 64, "not hex", "\u2603\x00"),
)
INTEGERS = (0, 1, 1, 2, 3, 7, -1, 1000, 2**31, -(2**63), 2**63 - 1, START_MS)
ENDLESS = (10**4_000, -(10**4_000))
"""JSON can hold these; MessagePack cannot."""
FLOATS = (0.0, 0.5, 1.0, -1.0, 1e300, float("inf"), float("-inf"), float("nan"))


TELLING = {
    "phase": ("member", "member", "alone", "joining", "idle", "\u2603"),
    "how": ("left", "killed", "failed", "stopped", "nohow"),
    "worker": ("worker-0", "worker-1", "worker-2"),
    "child": ("worker-0", "worker-1", "core-0", "core-1", "router"),
    "trip": ("trip/1", "trip/2", "trip/3", ""),
    "behaviour": ("drop", "alter", "delay", ""),
    "kind": ("freeze", "partition", "data", "receipt", "lookup", "answer", "broadcast", "x"),
    "seconds": (1.0, 2.0, *FLOATS),
}
"""Of fields by these names: what means something, so that chance reaches more."""


def at(index: int) -> str:
    """The address of core-``index``."""
    return f"10.0.0.{index}:7000"


def told(
    event: AnyEvent, peer: str = "", *, source: str = "worker-0", ms: int = 0, sequence: int = 1
) -> Envelope:
    """An envelope, ``ms`` after the start."""
    return Envelope(source=source, sequence=sequence, time_ms=START_MS + ms, peer=peer, event=event)


def started(index: int, *, group: str = "core", source: str = "worker-0", ms: int = 0) -> Envelope:
    """A peer listens."""
    address = at(index)
    event = PeerStarted(address=address, place=f"{place_of(Address(address)):064x}")
    return told(event, f"{group}-{index}", source=source, ms=ms)


def ring(size: int, *, workers: int = 1, ms: int = 0) -> list[Envelope]:
    """A right ring of core-0 and so on."""
    order = sorted(range(size), key=lambda index: place_of(Address(at(index))))
    events = [started(index, source=f"worker-{index % workers}", ms=ms) for index in range(size)]
    for turn, index in enumerate(order):
        after = tuple(at(order[(turn + step) % size]) for step in range(1, min(size, 4)))
        peer, source = f"core-{index}", f"worker-{index % workers}"
        changes: tuple[AnyEvent, ...] = (
            PhaseChanged(phase="member" if size > 1 else "alone"),
            SuccessorsChanged(successors=after or (at(index),)),
            PredecessorChanged(predecessor=at(order[turn - 1])),
        )
        events += [told(event, peer, source=source, ms=ms) for event in changes]
    return events


def folded(envelopes: Iterable[Envelope]) -> SwarmFold:
    """The fold of these."""
    fold = SwarmFold()
    for envelope in envelopes:
        fold.apply(envelope)
    return fold


def peer_of(fold: SwarmFold, name: str) -> PeerView:
    """A peer that must be known."""
    return fold.state.peers[name]


def made_up(rng: Random, events: int, *, endless: bool = True) -> Iterator[Envelope]:
    """Events of every kind in any order, about anybody, with any numbers: everything that can be decoded, no more. ``endless``:
    also numbers that no machine word holds."""
    every = [*kinds().values(), *(PeerStarted, PhaseChanged, TrafficCounted, HopTaken) * 5]
    peers = (*(f"core-{index}" for index in range(6)), *WORDS[:6])
    ms = START_MS
    for sequence in range(1, events + 1):
        ms += rng.randrange(40)
        yield Envelope(
            source=rng.choice(("worker-0", "worker-1", "launcher")),
            sequence=sequence,
            time_ms=rng.choice((ms, ms, ms, ms - 5, rng.choice(INTEGERS + ENDLESS * endless))),
            peer=rng.choice(peers),
            event=_struct(rng, rng.choice(every), INTEGERS + ENDLESS * endless),
        )


def _struct(rng: Random, kind: type[Any], integers: tuple[int, ...]) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {}
    for name in kind.__struct_fields__:
        known = TELLING.get(name) if rng.random() < 0.9 else None
        fields[name] = _value(rng, hints[name], integers) if known is None else rng.choice(known)
    return kind(**fields)


def _value(rng: Random, kind: Any, integers: tuple[int, ...]) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _value(rng, rng.choice(inside), integers)
    if origin is tuple and inside[-1] is Ellipsis:
        return tuple(_value(rng, inside[0], integers) for _ in range(rng.randrange(5)))
    if origin is tuple:
        return tuple(_value(rng, each, integers) for each in inside)
    if origin is dict:
        return {
            _value(rng, inside[0], integers): _value(rng, inside[1], integers)
            for _ in range(rng.randrange(4))
        }
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(rng, kind, integers)
    plain: dict[Any, Any] = {
        str: WORDS,
        int: integers,
        float: FLOATS,
        bool: (True, False),
        type(None): (None,),
    }
    return rng.choice(plain[kind])
