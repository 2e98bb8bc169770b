"""What one peer's negotiator must not forget when it crashes: its own keys, whom it trusts, and what it accepted already."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2s

import msgspec

from cicada.errors import PeerFault
from cicada.ids import RING_SIZE, Address, Peer, Place, peer_at
from cicada.keys.congestion import FirstContacts, Window
from cicada.keys.hidden import HiddenRecords
from cicada.keys.identity import Identity
from cicada.keys.psks import Secrets
from cicada.keys.record import Record, read_record, sign_record
from cicada.keys.trust import TrustStore
from cicada.limits import KEYS, KeyLimits
from cicada.tokens import TokenBucket

WallClock = Callable[[], int]
"""Milliseconds since 1970."""


class Given(msgspec.Struct, frozen=True):
    """A record as it came, and what it says."""

    raw: bytes
    record: Record


class OwnRecord:
    """The peer's own record, signed anew after ``record_renewal`` seconds, and when its vouchers change."""

    def __init__(
        self, own: Peer, identity: Identity, swarm: str, wall_ms: WallClock, limits: KeyLimits
    ) -> None:
        self._own = own
        self._identity = identity
        self._swarm = swarm
        self._wall_ms = wall_ms
        self._limits = limits
        self._raw = b""
        self._signed_ms = 0
        self._vouchers: tuple[bytes, ...] = ()

    def lodge(self, vouchers: tuple[bytes, ...]) -> None:
        """The peer is hidden, and these are what its relays signed."""
        self._vouchers = vouchers
        self._raw = b""

    def raw(self) -> bytes:
        """What is shown to others now."""
        now = self._wall_ms()
        if self._signed_ms >= now + self._limits.clock_skew * 1000:
            self._raw, self._signed_ms = b"", 0  # the clock was set back: nobody takes records of that future
        if not self._raw or now - self._signed_ms >= self._limits.record_renewal * 1000:
            sequence = max(now, self._signed_ms + 1)
            self._raw = sign_record(
                self._identity, self._own.address, self._swarm, now, sequence, self._vouchers
            )
            self._signed_ms = sequence
        return self._raw


class Neighbours:
    """Records of peers that this one met over links, the nearest ones after its place: others ask for them. A record that will
    expire before long is to be renewed by asking whose it is; one that has expired is told to nobody."""

    def __init__(self, own: Peer, limits: KeyLimits) -> None:
        self._own = own
        self._limits = limits
        self._records: dict[Place, Given] = {}
        self._asked: dict[Place, float] = {}  # when those were asked for a new one

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, place: Place) -> bool:
        return place in self._records

    def put(self, peer: Peer, given: Given) -> None:
        """Met this one."""
        self._records[peer.place] = given
        self._asked.pop(peer.place, None)
        if len(self._records) > self._limits.neighbours:
            self._forget(max(self._records, key=lambda place: (place - self._own.place) % RING_SIZE))

    def get(self, place: Place, wall_ms: int) -> Given | None:
        """The record of whoever lives at ``place``, if it is good at that time."""
        given = self._records.get(place)
        return None if given is None or given.record.expires_ms <= wall_ms else given

    def next_old(self, wall_ms: int, now: float) -> Peer | None:
        """Who is to be asked for a new record now: whose will expire first. One is forgotten that gave none for the length of
        another record's life."""
        for place, given in tuple(self._records.items()):
            if given.record.expires_ms + self._limits.record_seconds * 1000 <= wall_ms:
                self._forget(place)
        old = [
            (given.record.expires_ms, place)
            for place, given in self._records.items()
            if given.record.expires_ms - wall_ms <= self._limits.neighbour_renewal * 1000
            and now - self._asked.get(place, -math.inf) >= self._limits.neighbour_retry
        ]
        if not old:
            return None
        place = min(old)[1]
        self._asked[place] = now
        return peer_at(Address(self._records[place].record.address))

    def _forget(self, place: Place) -> None:
        del self._records[place]
        self._asked.pop(place, None)


class Accepted:
    """Which handshakes were accepted, so that a message 1 that comes again opens nothing.

    Times of one key rise with each handshake. A key is forgotten when its last one is so old that no clock may say it. Whoever
    makes up keys can fill the table sooner; then one that ``is_strict`` refuses new keys, which have another pattern to go by, and
    one that is not forgets the oldest, whose last handshake may come again: it opens a session that nobody confirms.
    """

    def __init__(self, limits: KeyLimits, *, is_strict: bool = False) -> None:
        self._limits = limits
        self._is_strict = is_strict
        self._times: dict[bytes, int] = {}
        self._answers: dict[bytes, tuple[float, bytes]] = {}

    def __len__(self) -> int:
        return max(len(self._times), len(self._answers))

    def note_time(self, static_key: bytes, time_ms: int, now_ms: int) -> None:
        """Raises PeerFault ``replayed`` unless this is the newest of that key, ``clock-skew`` when its clock is too far off,
        and ``crowded`` when no more keys can be remembered.

        A time that was noted while this clock was ahead itself says nothing once it is right, but to one that ``is_strict``."""
        skew = int(self._limits.clock_skew * 1000)
        if abs(time_ms - now_ms) > skew:
            raise PeerFault("clock-skew")
        noted = self._times.get(static_key, 0)
        if time_ms <= noted and (self._is_strict or noted <= now_ms + skew):
            raise PeerFault("replayed")
        self._forget_times(now_ms - skew)
        if static_key not in self._times and len(self._times) >= self._limits.accepted_keys:
            if self._is_strict:
                raise PeerFault("crowded")
            del self._times[next(iter(self._times))]
        self._times.pop(static_key, None)
        self._times[static_key] = time_ms

    def answer_to(self, digest: bytes, now: float) -> bytes | None:
        """What was answered to exactly this message 1."""
        answered_at, answer = self._answers.get(digest, (0.0, None))
        return None if answer is None or now - answered_at > self._limits.answer_seconds else answer

    def note_answer(self, digest: bytes, answer: bytes, now: float) -> None:
        """This was answered."""
        self._answers[digest] = (now, answer)
        while self._answers:
            oldest = next(iter(self._answers))
            is_over = now - self._answers[oldest][0] > self._limits.answer_seconds
            if len(self._answers) <= self._limits.answers and not is_over:
                return
            del self._answers[oldest]

    def _forget_times(self, before: int) -> None:
        """No clock may say these any more. Those that were heard last stand last; a fast clock only keeps others longer."""
        while self._times:
            first = next(iter(self._times))
            if self._times[first] >= before:
                return
            del self._times[first]


class Memory:
    """All of it, for one peer in one swarm. Held by whoever starts the negotiator again. ``accepting`` is what all peers of one
    event loop may accept together; None: this one is alone."""

    def __init__(
        self,
        own: Peer,
        identity: Identity,
        *,
        swarm: str,
        wall_ms: WallClock,
        secrets: Secrets | None = None,
        trust: TrustStore | None = None,
        succession: bytes = b"",
        accepting: TokenBucket | None = None,
        window: Window | None = None,
        limits: KeyLimits = KEYS,
    ) -> None:
        self.own = own
        self.identity = identity
        self.swarm = swarm
        self.wall_ms = wall_ms
        self.secrets = secrets or Secrets()
        self.trust = TrustStore(limits) if trust is None else trust
        self.succession = succession
        self.limits = limits
        self.accepting = accepting or host_bucket(limits)
        self.window = window or Window(limits)
        self.first = FirstContacts(limits, self.window)
        self.own_record = OwnRecord(own, identity, swarm, wall_ms, limits)
        self.neighbours = Neighbours(own, limits)
        self.hidden = HiddenRecords(own, swarm)
        self.accepted = Accepted(limits)
        self._last_ms = 0

    def begin_anew(self) -> FirstContacts:
        """A negotiator begins its life: what an earlier one had begun is over."""
        self.first.close()
        self.first = FirstContacts(self.limits, self.window)
        return self.first

    def __repr__(self) -> str:
        return f"Memory({self.own.address}, {self.identity.peer_id})"

    def read(self, raw: bytes, address: str) -> Record:
        """The record in ``raw``. Raises PeerFault, also when it is of another ``address``."""
        record = self.read_any(raw)
        if record.address != address:
            raise PeerFault("record-address")
        return record

    def read_any(self, raw: bytes) -> Record:
        """The record in ``raw``, of whoever. Raises PeerFault."""
        return read_record(raw, self.wall_ms(), self.swarm)

    def left_ms(self, raw: bytes) -> int:
        """For how long the record in ``raw`` is good; 0: it is not, or not any more."""
        try:
            return self.read_any(raw).expires_ms - self.wall_ms()
        except PeerFault:
            return 0

    def next_ms(self) -> int:
        """The time of a handshake: now, and later than that of any before, unless the clock was set back so far that nobody took
        those."""
        now = self.wall_ms()
        is_later = self._last_ms < now + self.limits.clock_skew * 1000
        self._last_ms = max(now, self._last_ms + 1) if is_later else now
        return self._last_ms


def host_bucket(limits: KeyLimits = KEYS) -> TokenBucket:
    """What the peers of one event loop may accept together. Each handshake takes time from all of them."""
    return TokenBucket(limits.accept_host_rate, limits.accept_host_burst)


def digest_of(*parts: bytes) -> bytes:
    """A hash of all parts, and of where one ends."""
    hasher = blake2s()
    for part in parts:
        hasher.update(len(part).to_bytes(4, "big"))
        hasher.update(part)
    return hasher.digest()
