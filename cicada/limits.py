"""All limits and timings, each with unit, reason and source.

Block one of each class is fixed by the protocol (peers must agree on it); block two is our choice and may be tuned.
Seconds are floats; sizes are bytes unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

import msgspec

KIB: Final = 1024
MIB: Final = 1024 * KIB


class WireLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes a frame or message may have."""

    max_frame: int = 64 * KIB  # length prefix excluded; a longer claim closes the connection
    max_payload: int = 32 * KIB  # one fragment; larger payloads wait for fragmentation
    max_extra: int = KIB  # what upper layers may put on a ring message
    max_list: int = 64  # entries of a successor list: 4r, the cap of the distinct-host rule
    max_path: int = 64  # hops a message may have made; 4x the mean path of the largest ring we simulate


class RingTimings(msgspec.Struct, frozen=True, kw_only=True):
    """When ring maintenance happens."""

    stabilize_min: float = 0.5  # design section 4; halved on change
    stabilize_max: float = 8.0  # a silent head is noticed within 10 s: one interval and its time-outs
    stabilize_joining: float = 0.2  # design: 0.1-0.25 s until the first quiet round
    growth: float = 1.25  # Ghinita and Teo 2006, as adopted by the design
    jitter: float = 0.25  # fraction by which jitter may shorten an interval; it never lengthens
    timeout_first: float = 1.0  # before a round trip was measured
    timeout_floor: float = 0.3  # a busy 2-core machine stalls this long without anyone being dead
    timeout_ceiling: float = 4.0  # a guess; twice this must fit in the 10 s for a silent head
    lookup_timeout: float = 3.0  # whole recursive lookup, then it is tried again
    lookup_attempts: int = 4
    join_timeout: float = 2.0  # one join lookup before another seed is tried
    admission_hold: float = 0.5  # how long one admitted joiner may keep others waiting at its predecessor
    fix_fingers_min: float = 1.0
    fix_fingers_max: float = 30.0
    finger_dial_rate: float = 0.5  # dials per second and peer (design section 4)
    finger_dial_burst: int = 16  # so that a new peer soon has one finger per populated interval
    reactive_rate: float = 20.0  # unscheduled rounds per second, token bucket
    reactive_burst: int = 8
    quarantine_probe: float = 0.1  # probes per node and round (facts 1b: merges halves in 17-18 rounds)
    quarantine_size: int = 64
    quarantine_seconds: float = 3600.0


class RingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of ring tables."""

    successors: int = 16  # r
    candidates: int = 16  # m, finger candidates per interval: mean hops 2.95 at N = 1000
    known_peers: int = 192  # design: 128-256; a known peer costs about 1 KB
    pending_lookups: int = 256
    waiting_joiners: int = 256  # join requests parked at one predecessor; the next is told to come back


class LinkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Links between two peers."""

    max_unacknowledged: int = 256 * KIB  # per link (design section 6)
    max_queued: int = 1 * MIB  # per link, all queues together
    control_share: float = 0.25  # of sent bytes while data waits
    ack_delay: float = 0.05  # a link ack waits this long for a frame to ride on
    ack_bytes: int = 64 * KIB  # or for this many unacknowledged bytes
    timeout_first: float = 1.0
    timeout_floor: float = 0.3
    timeout_ceiling: float = 4.0
    dial_timeout: float = 2.0  # a refused dial is silent (design section 2)
    idle_close: float = 60.0
    ping_interval: float = 60.0
    handshakes_per_second: float = 200.0  # per hosted peer, inbound; a guess, four times a join storm's share


class EndpointLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The shared sockets of a worker."""

    high_water_mark: int = 64  # messages, back-stop only
    unauthenticated_seconds: float = 5.0
    unauthenticated_per_source: int = 16
    unauthenticated_per_loopback: int = 1024
    unauthenticated_descriptor_share: float = 0.25
    connection_descriptor_share: float = 0.5
    max_connection_backlog: int = 1 * MIB  # bytes waiting for a peer that does not read
    retry_full_pipe: float = 0.005
    flush_bytes: int = 64 * KIB  # frames to one connection are joined up to this size


class DeliveryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """End-to-end delivery."""

    hop_limit: int = 48  # greedy paths at N = 16384 stay below 12; the rest is for rings in repair
    timeout: float = 10.0  # default of send(timeout=)
    attempts: int = 6
    retry_first: float = 1.0  # before a round trip to the destination was measured
    retry_floor: float = 0.5
    retry_ceiling: float = 3.0
    no_such_peer_after: float = 1.0  # a ring in repair may deny a peer that exists; deny only after asking again
    pending_sends: int = 65536
    contacts: int = 4096  # destinations whose boot id is remembered
    contact_seconds: float = 30.0
    dedupe_ids: int = 1024  # remembered message ids per origin
    dedupe_origins: int = 4096
    mailbox: int = 8192  # messages
    mailbox_bytes: int = 64 * MIB
    broadcast_ids: int = 4096
    broadcast_seconds: float = 120.0


class ActorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Actors and their inboxes."""

    inbox: int = 16384
    batch: int = 128  # messages one actor may handle before the others have a turn
    ask_timeout: float = 5.0


WIRE: Final = WireLimits()
RING_TIMINGS: Final = RingTimings()
RING: Final = RingLimits()
LINK: Final = LinkLimits()
ENDPOINT: Final = EndpointLimits()
DELIVERY: Final = DeliveryLimits()
ACTOR: Final = ActorLimits()
