"""Established sessions: what seals this peer's messages, and opens those of others.

A session that this peer opened is used at once. One that another opened is used to answer in; own messages go by it only
when its key is verified to be that of the peer's address, and after its first good frame, because message 1 can be replayed.
"""

from __future__ import annotations

import struct
from typing import Final

from cicada.ids import Peer, Place
from cicada.keys.io import SessionKeys
from cicada.keys.trust import Trust
from cicada.limits import KEYS, DeliveryLimits, KeyLimits
from cicada.tokens import TokenBucket
from cicada.wire.routed import Data

DATA: Final = 34
ACK: Final = 35
_HEADER = struct.Struct(">BIH").pack
_COPY = struct.Struct(">IQHH").pack
_OWN_INDEX: Final = 0  # no message that came over a link can name it


class Session:
    """One session with ``peer``, in its life ``boot``."""

    __slots__ = (
        "_cipher", "boot", "born", "conflict", "index", "initiated", "is_confirmed", "peer", "peer_id", "remote_index",
        "reports", "trust", "verified",
    )  # fmt: skip

    def __init__(self, keys: SessionKeys, now: float, reports: TokenBucket) -> None:
        self.peer: Peer = keys.peer
        self.peer_id = keys.peer_id
        self.boot = keys.boot
        self.index = keys.index
        self.remote_index = keys.remote_index
        self.initiated = keys.initiated
        self.verified = keys.verified
        self.trust: Trust = keys.trust
        self.conflict = keys.conflict
        self.born = now
        self.is_confirmed = keys.initiated
        self.reports = reports
        self._cipher = keys.cipher()

    def seal(self, kind: int, attempt: int, body: bytes) -> tuple[int, bytes]:
        """The counter, and ``body`` sealed under it for a Data or DataAck of that attempt."""
        return self._cipher.seal(_HEADER(kind, self.remote_index, attempt), body)

    def open(self, kind: int, attempt: int, counter: int, body: bytes) -> bytes:
        """What was sealed. Raises PeerFault ``replayed``, ``too-old`` or ``seal``, and then nothing changed."""
        return self._cipher.open(counter, _HEADER(kind, self.index, attempt), body)

    def tag(self, counter: int, attempt: int, copy: int, way: bytes) -> bytes:
        """What proves to the other side which copy of what was sealed under ``counter`` this is."""
        return self._cipher.tag(_COPY(self.remote_index, counter, attempt, copy) + way)

    def fits(self, data: Data) -> bool:
        """Whether its tag proves which copy a Data of this session is."""
        return self._cipher.fits(
            data.tag, _COPY(self.index, data.counter, data.attempt, data.copy) + data.way
        )

    @property
    def has_received(self) -> bool:
        """Whether anything good came in it."""
        return self._cipher.received > 0

    def __repr__(self) -> str:
        return f"Session({self.peer.address}, index={self.index}, {self.trust.word})"


class Sessions:
    """The sessions of one peer, each for ``KeyLimits.session_reject`` seconds, at most ``DeliveryLimits.sessions``."""

    def __init__(self, own: Peer, boot: int, limits: DeliveryLimits, keys: KeyLimits = KEYS) -> None:
        self._limits = limits
        self._keys = keys
        self._by_index: dict[int, Session] = {}  # oldest first: all live equally long
        self._outgoing: dict[Place, Session] = {}
        self._unconfirmed: dict[int, None] = {}
        self.own = self._session_with_oneself(own, boot)
        """For messages to oneself, which cross no link: nothing is sealed."""

    def __len__(self) -> int:
        return len(self._by_index)

    def to(self, place: Place, now: float) -> Session | None:
        """The one to send own messages by."""
        session = self._outgoing.get(place)
        return None if session is None or self._is_over(session, now) else session

    def at(self, index: int, now: float) -> Session | None:
        """The one that this peer knows by ``index``."""
        session = self._by_index.get(index)
        if session is None:
            return self.own if index == self.own.index else None
        return None if self._is_over(session, now) else session

    def must_renew(self, session: Session, now: float) -> bool:
        """Whether an active session is old enough for another one to take its place."""
        keys = self._keys
        if session is self.own:
            return False
        return now - session.born >= (keys.session_renewal if session.initiated else keys.responder_renewal)

    def add(self, keys: SessionKeys, now: float) -> Session:
        """A session was agreed on."""
        self.expire(now)
        reports = TokenBucket(self._limits.hints_per_second, self._limits.hints_burst)
        session = Session(keys, now, reports)
        self._remove(session.index)
        self._by_index[session.index] = session
        if session.initiated:
            self._outgoing[session.peer.place] = session
        else:
            self._unconfirmed[session.index] = None
            self._bound(self._unconfirmed, self._limits.unconfirmed)
        self._bound(self._by_index, self._limits.sessions)
        return session

    def confirm(self, session: Session) -> bool:
        """Whether own messages may go by it from now on, as they could not before: its first good frame came."""
        if session.is_confirmed or not session.has_received:
            return False
        session.is_confirmed = True
        self._unconfirmed.pop(session.index, None)
        present = self._outgoing.get(session.peer.place)
        if not session.verified or (present is not None and present.born > session.born):
            return False
        self._outgoing[session.peer.place] = session
        return True

    def expire(self, now: float) -> None:
        """Forget what is over."""
        while self._by_index:
            oldest = next(iter(self._by_index.values()))
            if not self._is_over(oldest, now):
                return
            self._remove(oldest.index)

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        for oldest in self._by_index.values():
            return oldest.born + self._keys.session_reject
        return None

    def _is_over(self, session: Session, now: float) -> bool:
        return now >= session.born + self._keys.session_reject  # as next_deadline has it, to the last bit

    def _bound(self, held: dict[int, None] | dict[int, Session], most: int) -> None:
        while len(held) > most:
            self._remove(next(iter(held)))

    def _remove(self, index: int) -> None:
        session = self._by_index.pop(index, None)
        self._unconfirmed.pop(index, None)
        if session is not None and self._outgoing.get(session.peer.place) is session:
            del self._outgoing[session.peer.place]

    def _session_with_oneself(self, own: Peer, boot: int) -> Session:
        keys = SessionKeys(
            peer=own,
            boot=boot,
            index=_OWN_INDEX,
            remote_index=_OWN_INDEX,
            initiated=True,
            verified=True,
            trust=Trust.PRE_SHARED,
        )
        return Session(keys, 0.0, TokenBucket(self._limits.hints_per_second, self._limits.hints_burst))
