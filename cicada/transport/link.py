"""One open link: counters, acks, the window of unacknowledged bytes, and what waits above it.

Frames of a link ride one ordered connection, so the receiver accepts exactly the next counter. DATA and PING ask to be
acknowledged; acks are cumulative and name the last frame that asked. PROVE and PROVEN ride another connection, so they
count apart, from 2^63 up: no counter, which is a cipher's nonce, is ever used twice.
"""

from __future__ import annotations

from collections import deque

import msgspec

from cicada.errors import PeerFault
from cicada.ids import Address, Peer
from cicada.limits import KEYS, WIRE, LinkLimits
from cicada.transport.base import ConnectionId
from cicada.transport.linkio import LinkOutput, LinkRow, Transmit
from cicada.transport.linkqueues import FairQueue, Waiting
from cicada.transport.linktimers import NEVER
from cicada.wire.codec import Message, encode
from cicada.wire.frames import HEADER, LENGTH, LINK_ACK, PREFIXED, Frame, FrameType, header_of
from cicada.wire.security import Credentials, Established
from cicada.wire.trips import FAMILIES, FAMILY

MAX_MESSAGE = WIRE.max_frame - HEADER.size - LINK_ACK.size - WIRE.seal_overhead
"""Bytes of the longest encoding that fits into one frame."""

_FRAME_OVERHEAD = WIRE.max_frame - MAX_MESSAGE + LENGTH.size
_FIRST_PROOF = 1 << 63
_NO_ACK = LINK_ACK.pack(0, 0)
_ACK_BYTES = LINK_ACK.size
_LONGEST_HOLD_US = (1 << 32) - 1
_DATA = FrameType.DATA
_LENGTH_BYTES = LENGTH.size
_LEAST_DATA = PREFIXED.size + LINK_ACK.size
_pack_prefixed = PREFIXED.pack
_unpack_ack = LINK_ACK.unpack_from


class InFlight(msgspec.Struct, frozen=True, gc=False):
    """A frame that waits for its ack; ``message`` is None for a PING."""

    counter: int
    size: int
    sent_at: float
    message: Message | None
    source: Address | None


class Link:
    """Sends and receives on one link. Emits Transmit and nothing else; what a peer did wrong is raised as PeerFault.

    ``confirmed``: the other end has sealed a frame, or answered our HELLO. ``kept``: pinged, never closed as idle.
    ``traffic``: how many messages of each family (FAMILIES) were transmitted.
    """

    __slots__ = (
        "_ack_at", "_blocked", "_cipher", "_heard_at", "_in_flight", "_keyed_at", "_limits", "_owed_at",
        "_owed_bytes", "_owed_counter", "_proofs", "_queue", "_received", "_rekey_after", "_retry_at", "_rtt",
        "_rtt_var", "_sent", "_timeout", "_used_at", "armed", "confirmed", "connection", "credentials", "dialled",
        "flight", "incarnation", "index", "kept", "peer", "remote", "remote_index", "secret_id", "traffic",
        "welcome",
    )  # fmt: skip

    def __init__(
        self,
        peer: Peer,
        *,
        index: int,
        remote_index: int,
        connection: ConnectionId,
        dialled: bool,
        incarnation: int,
        established: Established,
        limits: LinkLimits,
        now: float,
    ) -> None:
        self.peer = peer
        self.remote = peer.address
        self.index = index
        self.remote_index = remote_index
        self.connection = connection
        self.dialled = dialled
        self.incarnation = incarnation
        self.confirmed = dialled
        self.welcome = b""  # our answer, until the other end shows that it has it
        self.kept = False
        self.armed = NEVER
        self.flight = 0
        self.credentials: Credentials = established.credentials
        self.secret_id = established.secret_id
        self._cipher = established.cipher
        self._keyed_at = now
        self._rekey_after = KEYS.rekey_frames
        self._limits = limits
        self._sent = 0
        self._received = 0
        self._proofs = _FIRST_PROOF
        self._in_flight: deque[InFlight] = deque()
        self._queue: FairQueue | None = None
        self._blocked: deque[bytes] | None = None
        self._retry_at = NEVER
        self._owed_counter = 0
        self._owed_at = now
        self._owed_bytes = 0
        self._ack_at = NEVER
        self._rtt = 0.0
        self._rtt_var = 0.0
        self._timeout = limits.timeout_first
        self._used_at = now
        self._heard_at = now
        self.traffic = [0] * len(FAMILIES)

    # Sending

    def send(
        self, message: Message, raw: bytes, source: Address | None, now: float, out: list[LinkOutput]
    ) -> int:
        """Transmit, or wait in the queue when the window is full. Returns how many messages were dropped for it."""
        if self._queue is None:
            if len(raw) <= self._room():
                self._transmit(message, raw, source, now, out)
                return 0
            self._queue = FairQueue(self._limits)
        return self._queue.push(Waiting(message, raw, source))

    def flush(self, now: float, out: list[LinkOutput]) -> None:
        """Transmit what waits, as far as the window allows."""
        queue = self._queue
        while queue is not None:
            item = queue.pop(self._room())
            if item is None:
                if not queue.bytes:
                    self._queue = None
                return
            self._transmit(item.message, item.raw, item.source, now, out)

    def acknowledge(self, now: float, out: list[LinkOutput]) -> None:
        """Send the ack that is owed, by itself."""
        self._seal(FrameType.ACK, now, out)

    def ping(self, now: float, out: list[LinkOutput]) -> None:
        """Ask for an ack. Without one the link's time-out finds it dead."""
        self._cipher.rest()
        size = self._seal(FrameType.PING, now, out)
        self._in_flight.append(InFlight(self._sent, size, now, None, None))
        self.flight += size

    def close(self, now: float, out: list[LinkOutput]) -> None:
        """Say that the link ends, with the last ack, so that the other end knows what did not arrive."""
        self._seal(FrameType.CLOSE, now, out)

    def hold(self, frame: bytes, now: float) -> None:
        """The endpoint did not take ``frame``: keep it, and all after it, until it is offered again."""
        if self._blocked is None:
            self._blocked = deque()
            self._retry_at = now + self._limits.blocked_retry
        self._blocked.append(frame)

    # Receiving

    def open(self, frame: Frame, now: float) -> bytes:
        """The plaintext after the ack in front, which is taken to account. Raises PeerFault."""
        if frame.counter != self._received + 1:
            raise PeerFault("counter")
        body = self._cipher.open(frame.counter, frame.header, frame.body)
        if len(body) < _ACK_BYTES:
            raise PeerFault("short-body")
        acked, held_us = _unpack_ack(body)
        if acked:
            self._on_acked(acked, held_us, now)
        self._received = frame.counter
        self._heard_at = now
        return body[_ACK_BYTES:]

    def owe_ack(self, frame: Frame, now: float) -> None:
        """Remember to acknowledge the frame just opened."""
        self._used_at = now
        self._owed_counter = frame.counter
        self._owed_at = now
        self._owed_bytes += len(frame.body)
        if self._ack_at == NEVER:
            self._ack_at = now + self._limits.ack_delay

    @property
    def owes_too_much(self) -> bool:
        """So many bytes are to be acknowledged that the ack must not wait."""
        return self._owed_bytes >= self._limits.ack_bytes

    # Keys

    def rekey(self, now: float, out: list[LinkOutput]) -> None:
        """Seal what follows with the next key, and say so."""
        self._seal(FrameType.REKEY, now, out)
        self._cipher.rekey_seal()
        self._keyed_at = self._used_at = now  # the other end heard of us, so it may ping only later than this
        self._rekey_after = self._sent + KEYS.rekey_frames

    def rekeyed(self) -> None:
        """The other end did, with the frame just opened."""
        self._cipher.rekey_open()

    def _needs_rekey(self, now: float) -> bool:
        return self._sent >= self._rekey_after or now - self._keyed_at >= KEYS.rekey_seconds

    # Proofs

    def seal_proof(self, kind: FrameType, challenge: bytes) -> bytes:
        """The bytes of a PROVE or PROVEN frame for another connection than the link's."""
        counter = self._proofs
        self._proofs += 1
        header = header_of(kind, self.remote_index, counter)
        sealed = self._cipher.seal_proof(counter, header, challenge)
        return LENGTH.pack(len(header) + len(sealed)) + header + sealed

    def open_proof(self, frame: Frame) -> bytes:
        """The challenge in a PROVE or PROVEN frame. Raises PeerFault."""
        if frame.counter < _FIRST_PROOF:
            raise PeerFault("proof-counter")
        return self._cipher.open_proof(frame.counter, frame.header, frame.body)

    # Time

    def next_due(self) -> float:
        """When ``wake`` has something to do."""
        due = min(self._ack_at, self._retry_at)
        if self._in_flight:
            return min(due, self._given_up_at())
        if self.kept:
            return min(due, self._heard_at + self._limits.ping_interval)
        return min(due, self._used_at + self._limits.idle_close)

    def timed_out(self, now: float) -> bool:
        """The oldest frame waited for its ack longer than round trips take, and the other end has been silent as long. One that
        is heard is slow, not dead, and has ``timeout_heard``: to reroute what it was given would load others as well."""
        return bool(self._in_flight) and self._given_up_at() <= now

    def is_idle(self, now: float) -> bool:
        """Nobody used the link for ``idle_close``, and nobody marked it."""
        return (
            not self.kept
            and self.is_settled
            and self._ack_at == NEVER
            and self._used_at + self._limits.idle_close <= now
        )

    def wake(self, now: float, out: list[LinkOutput]) -> None:
        """Do what is due: offer frames again, acknowledge, ping."""
        if self._retry_at <= now:
            self._retry(now, out)
        if self._ack_at <= now:
            self.acknowledge(now, out)
        if self.kept and not self._in_flight and self._heard_at + self._limits.ping_interval <= now:
            self.ping(now, out)
        if self._needs_rekey(now):
            self.rekey(now, out)

    def expire_unused(self) -> None:
        """Opened only for a proof: idle after ``proof_linger`` unless somebody uses it."""
        self._used_at += self._limits.proof_linger - self._limits.idle_close

    @property
    def is_settled(self) -> bool:
        """Nothing waits and nothing is unacknowledged: no message can be overtaken by one on another link."""
        return not self._in_flight and self._queue is None

    @property
    def waits(self) -> bool:
        """Something waits above the window."""
        return self._queue is not None

    @property
    def sent(self) -> int:
        """Sealed frames sent."""
        return self._sent

    @property
    def received(self) -> int:
        """Sealed frames received."""
        return self._received

    def unfinished(self) -> tuple[Message, ...]:
        """The messages that were not acknowledged, oldest first, then those that wait."""
        sent = tuple(entry.message for entry in self._in_flight if entry.message is not None)
        return sent + tuple(item.message for item in self._queue or ())

    def take_unfinished(self) -> list[Waiting]:
        """The same, ready to be sent over another link; this link has them no more."""
        items = [
            Waiting(entry.message, encode(entry.message), entry.source)
            for entry in self._in_flight
            if entry.message is not None
        ]
        items.extend(self._queue or ())
        self._in_flight.clear()
        self._queue = None
        self.flight = 0
        return items

    @property
    def round_trip(self) -> float:
        """Seconds to the other end and back, as measured last; 0: never."""
        return self._rtt

    def row(self) -> LinkRow:
        """The link at this instant."""
        return LinkRow(
            peer=self.peer,
            index=self.index,
            connection=self.connection,
            dialled=self.dialled,
            incarnation=self.incarnation,
            sent=self._sent,
            received=self._received,
            unacknowledged=self.flight,
            queued=self._queue.bytes if self._queue is not None else 0,
            round_trip_s=self._rtt,
            timeout_s=self._timeout,
        )

    def _given_up_at(self) -> float:
        oldest = self._in_flight[0].sent_at
        return min(max(oldest, self._heard_at) + self._timeout, oldest + self._limits.timeout_heard)

    def _room(self) -> int:
        """How long an encoding the window takes now; below zero: none. An empty window takes any."""
        if self._blocked is not None:
            return -1
        if not self._in_flight:
            return MAX_MESSAGE
        return self._limits.max_unacknowledged - self.flight - _FRAME_OVERHEAD

    def _transmit(
        self, message: Message, raw: bytes, source: Address | None, now: float, out: list[LinkOutput]
    ) -> None:
        counter = self._sent = self._sent + 1
        cipher = self._cipher
        size = _LEAST_DATA + len(raw) + cipher.overhead
        prefixed = _pack_prefixed(size - _LENGTH_BYTES, _DATA, self.remote_index, counter)
        ack = _NO_ACK if self._ack_at == NEVER else self._take_ack(now)
        frame = prefixed + cipher.seal(counter, prefixed[_LENGTH_BYTES:], ack + raw)
        self._in_flight.append(InFlight(counter, size, now, message, source))
        self.flight += size
        self._used_at = now
        self.traffic[FAMILY[type(message)]] += 1
        out.append(Transmit(self.connection, frame, self.remote))

    def _seal(self, kind: FrameType, now: float, out: list[LinkOutput]) -> int:
        """Transmit a frame that carries an ack alone. Returns its size."""
        self._sent += 1
        header = header_of(kind, self.remote_index, self._sent)
        sealed = self._cipher.seal(self._sent, header, self._take_ack(now))
        frame = LENGTH.pack(len(header) + len(sealed)) + header + sealed
        if self._blocked is None:
            out.append(Transmit(self.connection, frame, self.remote))
        else:
            self._blocked.append(frame)
        return len(frame)

    def _retry(self, now: float, out: list[LinkOutput]) -> None:
        """Offer the frames that were not taken again, then go on."""
        held, self._blocked, self._retry_at = self._blocked, None, NEVER
        out.extend(Transmit(self.connection, frame, self.remote) for frame in held or ())
        self.flush(now, out)

    def _take_ack(self, now: float) -> bytes:
        """The ack that is owed, which then is owed no more."""
        if self._ack_at == NEVER:
            return _NO_ACK
        self._ack_at = NEVER
        self._owed_bytes = 0
        held_us = int((now - self._owed_at) * 1e6)
        return LINK_ACK.pack(self._owed_counter, min(max(held_us, 0), _LONGEST_HOLD_US))

    def _on_acked(self, counter: int, held_us: int, now: float) -> None:
        if counter > self._sent:
            raise PeerFault("ack-of-unsent")
        in_flight = self._in_flight
        last = None
        while in_flight and in_flight[0].counter <= counter:
            last = in_flight.popleft()
            self.flight -= last.size
        if last is not None and last.counter == counter:
            self._measure(now - last.sent_at - held_us * 1e-6)

    def _measure(self, round_trip: float) -> None:
        """Jacobson and Karels 1988, as RFC 6298 has it: smoothed round trip + 4 deviations. The time for which an ack
        may be held comes on top of the floor: a stall that the floor forgives may follow the longest hold."""
        sample = max(round_trip, 0.0)
        if self._rtt == 0.0:
            self._rtt, self._rtt_var = sample, sample / 2
        else:
            self._rtt_var += (abs(sample - self._rtt) - self._rtt_var) / 4
            self._rtt += (sample - self._rtt) / 8
        limits = self._limits
        timeout = max(self._rtt + 4 * self._rtt_var, limits.timeout_floor) + limits.ack_delay
        self._timeout = min(timeout, limits.timeout_ceiling)
