"""Which broadcasts were taken, and the bodies of the latest, for peers that lack them.

A broadcast is remembered until no clock may say that it is still good, so that nobody can have it delivered again. When there are
too many, the oldest go, and from then on no number up to theirs is taken from that life of their origin. Addresses and lives are
free, so what counts is the key: one that has as much here as is free for others pushes out what it sent itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from cicada.limits import BroadcastLimits
from cicada.wire.fields import DIGEST_BYTES
from cicada.wire.routed import Broadcast

_Origin = tuple[str, str, int]


def broadcast_id(origin: str, boot: int, message: int) -> bytes:
    """By what neighbours name a broadcast to each other."""
    text = f"{origin} {boot} {message}"
    return blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


def id_of(body: Broadcast) -> bytes:
    """The id of the broadcast that this is the body of."""
    return broadcast_id(body.origin, body.origin_boot, body.message)


class Taken:
    """One broadcast that was taken. ``limit``: how far this peer has served it, as a distance; ``body`` is None once it made
    way for others; ``rounds`` are the digest rounds left, ``quiet`` those since somebody lacked it."""

    __slots__ = (
        *("body", "entered_at", "extensions", "forget_at", "id", "life", "limit", "message", "quiet"),
        *("rounds", "statement"),
    )

    def __init__(
        self, id: bytes, body: Broadcast, life: _Origin, statement: bytes, forget_at: float, now: float
    ) -> None:
        self.id = id
        self.body: Broadcast | None = body
        self.life = life
        self.message = body.message
        self.statement = statement
        self.forget_at = forget_at
        self.entered_at = now
        self.limit = 0
        self.extensions = 0
        self.rounds = 0
        self.quiet = 0


class _Life:
    """What is known of one life of an origin. Numbers up to ``floor`` are not taken; ``until`` then, that no longer matters."""

    __slots__ = ("first", "floor", "ids", "missing", "newest", "until")

    def __init__(self, first: int) -> None:
        self.first = first
        self.newest = first - 1
        self.missing = 0
        self.floor = 0
        self.until = 0.0
        self.ids: dict[bytes, None] = {}


class _Signer:
    """What is here of one key, or, where nobody signs, of one address: oldest first."""

    __slots__ = ("bodies", "bytes", "ids")

    def __init__(self) -> None:
        self.ids: dict[bytes, None] = {}
        self.bodies: dict[bytes, None] = {}
        self.bytes = 0


class BroadcastLog:
    """The broadcasts taken, oldest first, bounded in number, bytes and age. ``missing`` counts numbers that origins must have
    used, between others that came, and that did not come."""

    def __init__(self, limits: BroadcastLimits) -> None:
        self._limits = limits
        self._taken: dict[bytes, Taken] = {}
        self._lives: dict[_Origin, _Life] = {}
        self._resting: dict[
            _Origin, None
        ] = {}  # of these nothing is remembered but the floor, while it matters
        self._of_key: Counter[str] = Counter()
        self._signers: dict[str, _Signer] = {}
        self._kept: dict[bytes, Taken] = {}
        self._bytes = 0
        self.missing = 0

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def kept_bytes(self) -> int:
        """Payload bytes of the bodies it keeps."""
        return self._bytes

    def get(self, id: bytes) -> Taken | None:
        """The broadcast, if it was taken."""
        return self._taken.get(id)

    def kept(self) -> Iterator[Taken]:
        """Those whose bodies are there, the newest first."""
        return reversed(self._kept.values())

    def refusal(self, body: Broadcast, peer_id: str, now: float) -> str:
        """Why an authentic body that is not in the log cannot be taken; empty when it can."""
        life = self._lives.get((peer_id, body.origin, body.origin_boot))
        if life is not None:
            return "broadcast-below-floor" if body.message <= life.floor else ""
        if self._is_crowded(peer_id):
            self.expire(now)
        return "broadcast-crowded" if self._is_crowded(peer_id) else ""

    def take(
        self, id: bytes, body: Broadcast, peer_id: str, statement: bytes, forget_at: float, now: float
    ) -> Taken:
        """Enter what nothing speaks against. ``forget_at``: from then on nobody takes it for good."""
        key = (peer_id, body.origin, body.origin_boot)
        life = self._lives.get(key)
        if life is None:
            life = self._lives[key] = _Life(body.message)
            self._of_key[peer_id] += 1
        self._resting.pop(key, None)
        self._note_gap(life, body.message)
        taken = self._taken[id] = Taken(id, body, key, statement, forget_at, now)
        life.ids[id] = None
        self._kept[id] = taken
        self._bytes += len(body.payload)
        self._keep_to_share(taken, now)
        self.expire(now)
        return taken

    def _keep_to_share(self, taken: Taken, now: float) -> None:
        """Enter it among what its key sent, and have the oldest of that make way for it if others need the room."""
        limits, id = self._limits, taken.id
        signer = self._signers.setdefault(_signer_of(taken), _Signer())
        signer.ids[id] = signer.bodies[id] = None
        signer.bytes += len(taken.body.payload) if taken.body is not None else 0
        while len(signer.ids) > 1 and len(signer.ids) > min(limits.origin_ids, limits.ids - len(self._taken)):
            self._push_out(self._taken[next(iter(signer.ids))], now)
        while len(signer.bodies) > 1 and signer.bytes > limits.log_share * (limits.log_bytes - self._bytes):
            self._drop_body(self._taken[next(iter(signer.bodies))])

    def expire(self, now: float) -> None:
        """Give up what is too old, and the oldest of what is too much."""
        limits = self._limits
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if self._bytes <= limits.log_bytes and now - oldest.entered_at <= limits.log_seconds:
                break
            self._drop_body(oldest)
        while self._taken:
            oldest = next(iter(self._taken.values()))
            if oldest.forget_at > now and len(self._taken) <= limits.ids:
                break
            self._push_out(oldest, now)
        while self._resting:
            key = next(iter(self._resting))
            if self._lives[key].until > now:
                return
            self._forget(key)

    def _push_out(self, taken: Taken, now: float) -> None:
        self._drop_body(taken)
        del self._taken[taken.id]
        signer = self._signers[_signer_of(taken)]
        del signer.ids[taken.id]
        if not signer.ids:
            del self._signers[_signer_of(taken)]
        life = self._lives[taken.life]
        del life.ids[taken.id]
        if taken.forget_at > now:
            life.floor = max(life.floor, taken.message)
            life.until = max(life.until, taken.forget_at)
        if not life.ids:
            self._resting[taken.life] = None

    def _drop_body(self, taken: Taken) -> None:
        if self._kept.pop(taken.id, None) is not None and taken.body is not None:
            self._bytes -= len(taken.body.payload)
            signer = self._signers[_signer_of(taken)]
            signer.bytes -= len(taken.body.payload)
            del signer.bodies[taken.id]
            taken.body = None

    def _is_crowded(self, peer_id: str) -> bool:
        """Whether no further life can be kept, of this key (none: nobody signs) or at all."""
        is_key = peer_id != "" and self._of_key[peer_id] >= self._limits.key_lives
        return is_key or len(self._lives) >= self._limits.origins

    def _forget(self, key: _Origin) -> None:
        del self._resting[key]
        self.missing -= self._lives.pop(key).missing
        self._of_key[key[0]] -= 1
        if not self._of_key[key[0]]:
            del self._of_key[key[0]]

    def _note_gap(self, life: _Life, message: int) -> None:
        """Whoever makes up numbers far ahead counts for no more than is remembered of anybody."""
        if message > life.newest:
            change = min(message - life.newest - 1, self._limits.ids)
        elif message < life.first:
            change = min(life.first - message - 1, self._limits.ids)
        else:
            change = -min(1, life.missing)
        life.first = min(life.first, message)
        life.newest = max(life.newest, message)
        life.missing += change
        self.missing += change


def _signer_of(taken: Taken) -> str:
    peer_id, address, _ = taken.life
    return peer_id or address
