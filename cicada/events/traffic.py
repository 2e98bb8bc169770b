"""What passes between peers: counted on every edge, and sampled hop by hop. Made only while somebody subscribes."""

from __future__ import annotations

import msgspec

from cicada.events.base import Event


class EdgeCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one peer sent to ``remote`` (an address), by kind: ring, lookup, data, receipt, broadcast, session, other."""

    remote: str
    counts: dict[str, int]


class TrafficCounted(Event, frozen=True, kw_only=True, tag=True):
    """All that the links of a peer transmitted within the last ``seconds``, by edge: whole, never sampled. A link that ended within
    them is not in it. Each edge is told by its sender only."""

    seconds: float
    edges: tuple[EdgeCount, ...]


class HopTaken(Event, frozen=True, kw_only=True, tag=True):
    """A message goes from this peer over a link to ``remote`` (an address).

    ``kind`` is lookup, answer, data, receipt or broadcast. ``trip`` is the same at every hop of the copies of one attempt, of a
    lookup and its answers, of a broadcast: its origin, and a number there. Relays cannot see which attempts and which receipt
    belong together: CopiesTraced names them. ``copy`` and ``attempt`` tell copies apart. ``hops`` counts links crossed, this one
    included. ``at_us`` is the wall clock in microseconds. One trip of ``sampled`` is told (1: every one).
    """

    trip: str
    kind: str
    remote: str
    origin: str
    target: str
    hops: int
    at_us: int
    copy: int = 0
    attempt: int = 1
    sampled: int = 1


class CopiesTraced(Event, frozen=True, kw_only=True, tag=True):
    """What became of the copies of a message that this peer sent: ``fates`` in the order of the copies, each intact, altered,
    lost or unattributed. ``trip`` as in HopTaken; ``message`` as in MessageSettled. Each attempt, and the receipt, is sealed
    anew, so that relays cannot tell what belongs together: ``trips`` are all of them, in the order in which they left, and
    ``attempts`` names for each copy the attempt that it left with. One message of ``sampled`` is told."""

    message: int
    trip: str
    target: str
    fates: tuple[str, ...]
    trips: tuple[str, ...] = ()
    attempts: tuple[int, ...] = ()
    sampled: int = 1


class PeerMeasured(Event, frozen=True, kw_only=True, tag=True):
    """How busy a peer was within the last ``seconds``. ``mailbox`` messages wait for its owner, ``in_flight`` for their
    receipts. Rates are application messages a second. ``round_trip_s``: to its successor (0: unknown)."""

    seconds: float
    mailbox: int
    in_flight: int
    links: int
    sent: float
    delivered: float
    failed: float
    dropped: float
    round_trip_s: float = 0.0


class SequencesTold(Event, frozen=True, kw_only=True, tag=True):
    """The last sequence of every kind of event that this source has told, itself excepted. Whoever has seen less has lost some,
    and whoever hears nothing for some seconds has lost the source."""

    sequences: dict[str, int]


TrafficEvent = TrafficCounted | HopTaken | CopiesTraced | PeerMeasured | SequencesTold
