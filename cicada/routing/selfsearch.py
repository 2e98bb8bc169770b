"""Whether others find a hidden peer: it looks for its own record, where those look who send to it.

Until the peer before its place keeps the record, that one tells whoever asks that nobody lives there.
"""

from __future__ import annotations

from random import Random

from cicada.ids import RING_SIZE, Peer, Place, place_to_bytes
from cicada.limits import LODGING, LodgingLimits
from cicada.routing.io import Forward
from cicada.wire.routed import GetRecord, RecordIs

_REQUEST_BITS = 62
_TRUSTING = 3  # questions that the peer before the place answers alone: should it lie, others are asked too


class SelfSearch:
    """For the hidden peer ``own``. It asks more and more rarely, until somebody has the newest record; idle until that is put."""

    def __init__(self, own: Peer, rng: Random, limits: LodgingLimits = LODGING) -> None:
        self._own = own
        self._rng = rng
        self._limits = limits
        self._record = b""
        self._tries = 0
        self._request: int | None = None
        self._again_at: float | None = None
        self.is_found = False
        """Whether somebody had the record since there are relays."""

    @property
    def again_at(self) -> float | None:
        """When the record is to be put again, since nobody showed it; None: it is found, or was not put."""
        return self._again_at

    def put(self, record: bytes, relays: tuple[Peer, ...], gap: int, now: float) -> list[Forward]:
        """The record was put, by these relays: ask for it, unless it was found before."""
        if self.is_found:
            return []
        if record != self._record:
            self._record, self._tries = record, 0
        self._request = 1 + self._rng.getrandbits(_REQUEST_BITS)
        self._again_at = now + min(self._limits.search * 2**self._tries, self._limits.publishing)
        question = GetRecord(
            target=place_to_bytes(self._point(gap)),
            origin=self._own.address,
            hops=1,
            request=self._request,
            about=place_to_bytes(self._own.place),
        )
        self._tries += 1
        return [Forward(relays[(self._tries - 1) % len(relays)], question, None)]

    def on_record(self, answer: RecordIs) -> bool:
        """Whether it is found now, by this answer."""
        if self._request is None or answer.request != self._request or answer.record != self._record:
            return False
        self.stop()
        self.is_found = True
        return True

    def stop(self) -> None:
        """There is no relay: nobody finds it any more."""
        self.is_found = False
        self._record = b""
        self._request = self._again_at = None

    def _point(self, gap: int) -> Place:
        """In the arc before the own place; later after it too, where senders also ask."""
        beyond = max(0, self._tries - _TRUSTING + 1)
        return Place((self._own.place - 1 + beyond * gap) % RING_SIZE)
