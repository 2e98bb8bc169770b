"""Records of peers that nobody can dial: who keeps them for others, and what is read from them.

A hidden address is the hash of its key, so such a record needs nobody's word: whoever shows it proves it. Only the vouchers in it
run out, and with the last of them the record is worth nothing.
"""

from __future__ import annotations

import msgspec

from cicada.errors import PeerFault
from cicada.ids import RING_SIZE, Address, Peer, Place, is_hidden, peer_at
from cicada.keys.record import Record, read_record
from cicada.keys.vouchers import Voucher, read_voucher
from cicada.limits import LODGING, LodgingLimits


class Kept(msgspec.Struct, frozen=True):
    """A record as it came, and until when (wall-clock milliseconds) any voucher in it is good."""

    raw: bytes
    sequence: int
    expires_ms: int


class HiddenRecords:
    """Those that one peer keeps for others, at most ``records``; the nearest before its place stay."""

    def __init__(self, own: Peer, swarm: str, limits: LodgingLimits = LODGING) -> None:
        self._own = own
        self._swarm = swarm
        self._limits = limits
        self._records: dict[Place, Kept] = {}

    def __len__(self) -> int:
        return len(self._records)

    def put(self, raw: bytes, now_ms: int) -> tuple[Place, tuple[Address, ...]]:
        """Keep a record. Returns whose it is, and where that one lodges. Raises PeerFault when it is not a hidden peer's, not
        authentic, older than one that is kept (``record-stale``), or has no good voucher (those of ``read_voucher``)."""
        record = read_record(raw, now_ms, self._swarm)
        if not is_hidden(record.address):
            raise PeerFault("record-address")
        place = peer_at(Address(record.address)).place
        known = self._records.get(place)
        if known is not None and known.sequence > record.sequence:
            raise PeerFault("record-stale")
        vouchers = good_vouchers(record, self._swarm, now_ms)
        self._records[place] = Kept(raw, record.sequence, max(each.expires_ms for each in vouchers))
        if len(self._records) > self._limits.records:
            self._make_room(now_ms)
        return place, _relays(vouchers)

    def get(self, place: Place, now_ms: int) -> bytes:
        """The record of the hidden peer at ``place``; empty: none is known."""
        kept = self._records.get(place)
        if kept is None:
            return b""
        if kept.expires_ms <= now_ms:
            del self._records[place]
            return b""
        return kept.raw

    def _make_room(self, now_ms: int) -> None:
        for place in [place for place, kept in self._records.items() if kept.expires_ms <= now_ms]:
            del self._records[place]
        while len(self._records) > self._limits.records:
            del self._records[max(self._records, key=self._distance)]

    def _distance(self, place: Place) -> int:
        return (self._own.place - place) % RING_SIZE


def good_vouchers(record: Record, swarm: str, now_ms: int) -> tuple[Voucher, ...]:
    """The vouchers in a hidden peer's record that are good at that time, at least one. Raises PeerFault, with the fault of the
    last one (``no-voucher`` when it has none)."""
    found: list[Voucher] = []
    last = PeerFault("no-voucher")
    for raw in record.vouchers:
        try:
            found.append(read_voucher(raw, Address(record.address), swarm, now_ms))
        except PeerFault as fault:
            last = fault
    if not found:
        raise last
    return tuple(found)


def homes_in(record: Record, swarm: str, now_ms: int) -> tuple[Address, ...]:
    """Where a hidden peer lodges, as its record says; empty when no voucher in it is good."""
    try:
        vouchers = good_vouchers(record, swarm, now_ms)
    except PeerFault:
        return ()
    return _relays(vouchers)


def _relays(vouchers: tuple[Voucher, ...]) -> tuple[Address, ...]:
    return tuple(dict.fromkeys(Address(voucher.relay) for voucher in vouchers))
