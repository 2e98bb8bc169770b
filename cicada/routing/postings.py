"""Records of hidden peers on their way to those who keep them: the peer before the place, and the successors of the place.

A record is passed on when the negotiator has found it authentic, and no sooner: it would be a cheap way to have others send.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

from msgspec.structs import replace

from cicada.ids import Peer, Place, place_from_bytes, place_to_bytes
from cicada.keys.io import KeepRecord, RecordKept
from cicada.limits import DELIVERY, LODGING, LodgingLimits
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.table import RoutingTable
from cicada.tokens import Shares
from cicada.wire.routed import PutRecord

_NEVER = (b"", float("-inf"), float("-inf"))


class Postings:
    """What one member keeps for hidden peers and passed on of late, at most ``records``, so that the same record from several
    relays spreads once. ``counts``: what was dropped, by reason."""

    def __init__(self, own: Peer, counts: Counter[str], limits: LodgingLimits = LODGING) -> None:
        self._own = own
        self._counts = counts
        self._limits = limits
        self._shares = Shares(limits.put_rate, limits.put_burst, DELIVERY.broadcast.links)
        self._posted: dict[Place, tuple[bytes, float, float]] = {}  # hash, when it spread last, when it ends
        self._checked: dict[int, PutRecord] = {}
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._posted)

    def has(self, place: Place, now: float) -> bool:
        """Whether the record of a hidden peer at ``place`` is kept, as far as it may still be good."""
        return self._posted.get(place, _NEVER)[2] > now

    def take(self, put: PutRecord, sender: Peer, now: float) -> list[RouterOutput]:
        """A record came over the link with ``sender``: have it checked, unless just that was passed on, or as a copy kept, a moment
        ago."""
        hashed, spread_at, ends_at = self._posted.get(place_from_bytes(put.about), _NEVER)
        done_at = ends_at - self._limits.voucher_seconds if put.is_copy else spread_at
        if hashed == _hash(put.record) and now - done_at < self._limits.publishing / 2:
            return []
        if not self._shares.take(sender, now):
            self._counts["dropped:record-rate"] += 1
            return []
        self._tickets += 1
        self._checked[self._tickets] = put
        if len(self._checked) > self._limits.puts:
            del self._checked[next(iter(self._checked))]
        return [KeepRecord(self._tickets, put.record)]

    def kept(self, kept: RecordKept, table: RoutingTable | None, now: float) -> list[RouterOutput]:
        """It is authentic. The first one to have it hands it to those after the place, unless it just did."""
        put = self._checked.pop(kept.ticket, None)
        if put is None or place_from_bytes(put.about) != kept.place:
            return []
        hashed = _hash(put.record)
        before, spread_at, _ = self._posted.pop(kept.place, _NEVER)
        if before != hashed:
            spread_at = float("-inf")  # what came as a copy first spreads when it comes as more than that
        spreads = now - spread_at >= self._limits.publishing / 2 and not put.is_copy and table is not None
        self._posted[kept.place] = (hashed, now if spreads else spread_at, now + self._limits.voucher_seconds)
        if len(self._posted) > self._limits.records:
            del self._posted[next(iter(self._posted))]
        if not spreads or table is None:
            return []
        copy = replace(put, origin=self._own.address, hops=1, way=b"", lodging=None, is_copy=True)
        return [
            Forward(peer, replace(copy, target=place_to_bytes(peer.place)), None)
            for peer in table.next_ones(self._limits.keepers)
        ]


def _hash(record: bytes) -> bytes:
    return blake2b(record, digest_size=16).digest()
