"""Snapshots: the state of a whole swarm, as a few events and the sequences that they are as of. Pure.

Each source knows what stands of all that it has told (Standing), and so can make its Part at one instant. A Snapshot is made of
the parts of all sources. Whoever folds its events, and after them every event with a greater sequence, has the exact state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cicada.bus.standing import Told
from cicada.bus.tolerant import EventReader, Malformed, Unknown
from cicada.errors import Unavailable
from cicada.events import Envelope, WorkerExited
from cicada.wire.decoding import UNDECODABLE

__all__ = [
    "Malformed",
    "Part",
    "Snapshot",
    "SnapshotRequest",
    "Unknown",
    "assemble",
    "encode_request",
    "make_part",
    "read_request",
    "read_snapshot",
]

_encoder = msgspec.msgpack.Encoder()


class SnapshotRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to a run's ``snapshots`` endpoint, as a MessagePack map. ``heard``: a topic that the asker has subscribed to,
    which nobody else has, after those that it wants: every source waits a moment until that has reached it, so that nothing is
    lost between the snapshot and the first event. Empty: do not wait."""

    heard: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one source has to say, at one instant. ``events`` are encoded envelopes."""

    source: str
    life: int
    sequences: dict[str, int]
    events: tuple[msgspec.Raw, ...]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a swarm. ``sequences``: by source and kind the last event that is in it. ``events``: their fold, from nothing,
    is the state. ``lives`` are those of the sources. ``stale`` names sources that were silent: of them it has what they said
    before, or nothing. ``unknown``: what a newer version says."""

    time_ms: int
    name: str
    run: str
    sequences: dict[str, dict[str, int]]
    events: tuple[Envelope, ...]
    lives: dict[str, int] = {}
    stale: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


class _Travelling(msgspec.Struct, frozen=True, kw_only=True):
    """A Snapshot on its way. Its events were encoded where they were told."""

    time_ms: int
    name: str
    run: str
    sequences: dict[str, dict[str, int]]
    events: tuple[msgspec.Raw, ...]
    lives: dict[str, int] = {}
    stale: tuple[str, ...] = ()


_travelling = msgspec.msgpack.Decoder(_Travelling)
_requests = msgspec.msgpack.Decoder(SnapshotRequest)


def make_part(
    source: str, life: int, sequences: Mapping[str, int], told: Iterable[Told], time_ms: int
) -> Part:
    """What stands at ``source``, each event as if it were the last one of its kind."""
    return Part(
        source=source,
        life=life,
        sequences=dict(sequences),
        events=tuple(
            msgspec.Raw(
                _encoder.encode(
                    Envelope(
                        source=source,
                        sequence=sequences.get(type(event).__name__, 0),
                        time_ms=time_ms,
                        peer=peer,
                        event=event,
                        life=life,
                    )
                )
            )
            for peer, event in told
        ),
    )


def assemble(
    launcher: Part, workers: Iterable[Part], *, time_ms: int, name: str, run: str, stale: Iterable[str] = ()
) -> bytes:
    """An encoded Snapshot. What the launcher says of workers that ended comes last, since it is about their peers."""
    told = list(workers)
    parts = [launcher, *told]
    standing = [raw for raw in launcher.events if not _ends_a_worker(raw)]
    ends = [raw for raw in launcher.events if _ends_a_worker(raw)]
    return _encoder.encode(
        _Travelling(
            time_ms=time_ms,
            name=name,
            run=run,
            sequences={part.source: part.sequences for part in parts},
            events=(*standing, *(raw for part in told for raw in part.events), *ends),
            lives={part.source: part.life for part in parts},
            stale=tuple(stale),
        )
    )


def encode_request(request: SnapshotRequest) -> bytes:
    """As it travels."""
    return _encoder.encode(request)


def read_request(raw: bytes) -> SnapshotRequest | None:
    """What was asked; None: that is no request."""
    try:
        return _requests.decode(raw)
    except UNDECODABLE:
        return None


def read_snapshot(raw: bytes) -> Snapshot:
    """The snapshot that was answered. Raises Unavailable when it is none; single events that are not understood are not in it."""
    try:
        travelling = _travelling.decode(raw)
    except UNDECODABLE as error:
        raise Unavailable(f"what was answered is no snapshot: {error}") from None
    reader = EventReader()
    items = [reader.read(event) for event in travelling.events]
    return Snapshot(
        time_ms=travelling.time_ms,
        name=travelling.name,
        run=travelling.run,
        sequences=travelling.sequences,
        events=tuple(item for item in items if isinstance(item, Envelope)),
        lives=travelling.lives,
        stale=travelling.stale,
        unknown=tuple(item for item in items if isinstance(item, Unknown)),
    )


def _ends_a_worker(raw: msgspec.Raw) -> bool:
    item = EventReader().read(raw)
    return isinstance(item, Envelope) and isinstance(item.event, WorkerExited)
