"""The messages of one channel: published, checked, delivered once and in order, kept for those who lack them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from cicada.ids import Address, Peer
from cicada.keys.io import StatementChecked
from cicada.limits import KEYS, ChannelLimits
from cicada.services.channelsguard import Guard
from cicada.services.channelsio import Carried, Delivered, Missed, Published
from cicada.services.channelslog import Kept, Life, Log
from cicada.services.channelsorder import Waiting
from cicada.services.channelsoutbox import Outbox, Own
from cicada.services.channelssigned import Signing, life_of, said
from cicada.wire.channels import Post, Span, Want

_BLAMED: Final = frozenset(
    {"signature", "record-malformed", "record-signature", "record-address", "record-swarm"}
)
"""What no honest peer passes on: it checks as this one does, and these do not depend on clocks or pins."""


class Outcome(enum.Enum):
    """What became of a message that came."""

    FRESH = enum.auto()
    KNOWN = enum.auto()
    DROPPED = enum.auto()
    FORGED = enum.auto()


class Took(NamedTuple):
    """``kept``: the message, to be passed on, when it was FRESH."""

    outcome: Outcome
    kept: Kept | None = None


class Posts:
    """``joined_at``: from then on this peer's application is a member; None: it is none, and nothing is delivered."""

    def __init__(
        self, channel: str, own: Peer, signing: Signing, limits: ChannelLimits, outbox: Outbox, guard: Guard
    ) -> None:
        self._channel = channel
        self._own = own
        self._signing = signing
        self._limits = limits
        self._outbox = outbox
        self._guard = guard
        self._holding: dict[bytes, Life] = {}
        self._number = 0
        self._boot = 0
        self._told = 0  # all up to this number are carried
        self._life = b""  # this membership, once something was published in it
        self._said_at = 0.0
        self.log = Log(limits)
        self.joined_at: float | None = None

    @property
    def has_gap(self) -> bool:
        """Whether something that came early waits for what was before it."""
        return bool(self._holding)

    def join(self, boot: int, now: float) -> None:
        """From now on messages are delivered. ``boot`` names this membership: a higher one than the last."""
        self.joined_at, self._boot, self._number = now, boot, 0
        self._told, self._life = 0, b""

    def go_on_from(self, before: Posts) -> None:
        """The same membership, at another address."""
        self.log, self._holding = before.log, before._holding
        self.joined_at, self._boot, self._life = before.joined_at, before._boot, before._life
        self._number, self._told, self._said_at = before._number, before._told, before._said_at

    def leave(self) -> None:
        """From now on none is."""
        self.joined_at, self._life = None, b""
        self._holding.clear()
        self.log.forget_order()

    def publish(self, payload: bytes, now: float) -> Kept | None:
        """Sign a message, and keep it. None: that would be more than one origin's share."""
        if not self._guard.origins.take((self._channel, self._own.address), now):
            self._outbox.drop("channel-flood", self._channel)
            return None
        expires = self._signing.wall_ms() + int(self._limits.seconds * 1000)
        post = Post(
            channel=self._channel,
            origin=self._own.address,
            boot=self._boot,
            number=self._number + 1,
            expires_ms=expires,
            quiet_ms=int((now - self._said_at) * 1000) if self._number else 0,
            payload=payload,
            record=b"",
            signature=b"",
            age_ms=0,
        )
        return self._enter_own(post, now)

    def take(self, post: Post, sender: Peer, now: float) -> Took:
        """A message came from a peer that may send some."""
        if not self._guard.posts.take(sender.address, now):
            return self._drop("channel-useless")
        checked = self._signing.check(said(post), Address(post.origin), post.record, post.signature)
        if checked.reason in _BLAMED:
            self._drop("channel-signature")
            return Took(Outcome.FORGED)
        if checked.reason:
            return self._drop("channel-refused" if checked.reason != "record-expired" else "channel-expired")
        if not 0 < self._seconds_left(post, checked) <= self._limits.seconds + 2 * KEYS.clock_skew:
            return self._drop("channel-expired")
        took = self._enter(post, checked, now)
        if took.outcome is Outcome.FRESH:
            self._guard.posts.give_back(sender.address)
        return took

    def expire(self, now: float) -> None:
        """Give up waiting for what did not come in time, and keeping what is too old."""
        self.log.expire(now)
        for id, life in list(self._holding.items()):
            self._deliver(id, life, life.line.expire(now))

    def next_deadline(self) -> float | None:
        """When something that waits has waited long enough."""
        return min(
            (life.line.until for life in self._holding.values() if life.line.until is not None), default=None
        )

    # For those who lack some

    def fill(self, peer: Peer, spans: Sequence[Span], now: float, *, settled: float) -> bool:
        """Send what a peer that has ``spans`` lacks, and ask for what this one does. What came within ``settled`` seconds may
        be on its way yet. Whether there is more to send."""
        lacking = self.log.lacking(spans)
        if lacking:
            self._outbox.say(peer, Want(channel=self._channel, spans=lacking))
        return self._send(
            peer, (kept for kept in self.log.beyond(spans) if now - kept.entered_at >= settled), now
        )

    def own(self, kept: Kept) -> Own | None:
        """Which message of this membership it is; None: it is none."""
        return Own(kept.life, kept.post.number) if kept.life == self._life else None

    def all_carried(self) -> None:
        """Nobody else is to have any of them."""
        for number in range(self._told + 1, self._number + 1):
            self._outbox.tell(Carried(self._channel, number))
        self._told = self._number

    def carried(self, own: Own) -> None:
        """A neighbour has that message, and passes it on."""
        if own.life == self._life:
            self._outbox.tell(Carried(self._channel, own.number))

    def serve(self, peer: Peer, spans: Sequence[Span], now: float) -> None:
        """Send what a peer wants."""
        self._send(peer, self.log.within(spans), now)

    def _send(self, peer: Peer, some: Iterable[Kept], now: float) -> bool:
        size = 0
        for number, kept in enumerate(some):
            size += len(kept.post.payload)
            if size > self._limits.fill_bytes or number >= self._limits.fill_messages:
                return True
            if not self._outbox.send(peer, kept.aged(now), now, self.own(kept)):
                return True
        return False

    # Taking

    def _enter_own(self, post: Post, now: float) -> Kept | None:
        digest = said(post)
        record, signature = self._signing.sign(digest)
        checked = self._signing.check(digest, self._own.address, record, signature)
        signed = replace(post, record=record, signature=signature)
        id = life_of(signed, checked.peer_id)
        if self.log.room_for(id, checked.peer_id, post.origin, post.boot, now) is None:
            self._drop("channel-crowded")
            return None
        self._number, self._said_at, self._life = post.number, now, id
        self._outbox.tell(Published(self._channel, post.number))
        return self.log.add(signed, id, self._until(signed, checked, now), now)

    def _enter(self, post: Post, checked: StatementChecked, now: float) -> Took:
        id = life_of(post, checked.peer_id)
        if self.log.has(id, post.number):
            return Took(Outcome.KNOWN)
        if not self._guard.origins.take((self._channel, checked.peer_id or post.origin), now):
            return self._drop("channel-flood")
        life = self.log.room_for(id, checked.peer_id, post.origin, post.boot, now)
        if life is None:
            return self._drop("channel-crowded")
        kept = self.log.add(post, id, self._until(post, checked, now), now)
        if self.joined_at is not None and not self._is_own(post, checked):
            self._line_up(id, life, kept, checked, now)
        return Took(Outcome.FRESH, kept)

    def _line_up(self, id: bytes, life: Life, kept: Kept, checked: StatementChecked, now: float) -> None:
        post = kept.post
        message = Delivered(
            channel=self._channel,
            origin=Address(post.origin),
            peer_id=checked.peer_id,
            number=post.number,
            payload=post.payload,
            boot=post.boot,
            trust=checked.trust,
        )
        joined_at = self.joined_at or 0.0
        is_first = post.number == 1 or kept.born_at - post.quiet_ms / 1000 < joined_at
        ready = life.line.take(Waiting(message, is_old=kept.born_at < joined_at, is_first=is_first), now)
        if ready is None:
            self._drop("channel-late")
            return
        self._deliver(id, life, ready)
        if len(self._holding) > self._limits.holding:
            first = next(iter(self._holding))
            crowded = self._holding[first]
            self._deliver(first, crowded, crowded.line.go_on(now))

    def _deliver(self, id: bytes, life: Life, ready: list[Waiting]) -> None:
        missed = life.line.take_missed()
        if missed:
            self._outbox.tell(Missed(self._channel, Address(life.origin), life.peer_id, missed))
        for item in ready:
            if not item.is_old:
                self._outbox.tell(item.message)
        if len(life.line):
            self._holding.setdefault(id, life)
        else:
            self._holding.pop(id, None)

    def _is_own(self, post: Post, checked: StatementChecked) -> bool:
        """Also what was said at another address, or by an earlier life, as long as a key tells that from another peer's."""
        if self._signing.peer_id:
            return checked.peer_id == self._signing.peer_id
        return post.origin == self._own.address and post.boot == self._boot

    def _seconds_left(self, post: Post, checked: StatementChecked) -> float:
        """Until no clock may say that it is still good."""
        return (post.expires_ms - checked.wall_ms) / 1000 + KEYS.clock_skew

    def _until(self, post: Post, checked: StatementChecked, now: float) -> float:
        return now + self._seconds_left(post, checked)

    def _drop(self, reason: str) -> Took:
        self._outbox.drop(reason, self._channel)
        return Took(Outcome.DROPPED)
