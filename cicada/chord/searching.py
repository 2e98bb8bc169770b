"""Searching: this node's own lookups. Recursive ones travel by themselves; iterative ones ask every hop from here."""

from __future__ import annotations

from cicada.chord.circle import distance, in_open_closed
from cicada.chord.io import Emit, LookupFailure, OwnerFound, OwnerNotFound
from cicada.chord.lookups import Lookup, Lookups, Wanted
from cicada.chord.requests import Purpose
from cicada.chord.ring import Ring
from cicada.events import LookupFinished
from cicada.ids import Address, Peer, Place, peer_at, place_to_bytes
from cicada.limits import WIRE
from cicada.wire.ring import FindSuccessor, Found, GetNextHop, LookupFailed, NextHop
from cicada.wire.trips import lookup_trip


class Searcher:
    """Begins lookups, tries them again over another first hop, and answers those who wait."""

    __slots__ = ("_lookups", "_ring")

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._lookups = Lookups(ring.limits.pending_lookups)

    def find_owner(self, id: int, place: Place, iterative: bool) -> None:
        """The application asks who owns ``place``."""
        ring = self._ring
        row = Lookup(Wanted.OWNER, place, ring.new_request(), id, ring.now)
        own = self._own_answer(place)
        if own is not None:
            self._succeed(row, own[0], own[1], [ring.peer])
        elif self._lookups.is_full:
            self._fail(row, LookupFailure.OVERLOADED)
        elif iterative:
            row.queue = ring.next_hops(place, (), ring.limits.step_hops)
            row.route = [ring.peer]
            row.deadline = ring.now + ring.timings.lookup_timeout * ring.timings.lookup_attempts
            self._lookups.add(row)
            self._step(row)
        else:
            self._lookups.add(row)
            self._attempt(row)

    def refuse(self, id: int, place: Place) -> None:
        """This node is in no ring."""
        self._fail(Lookup(Wanted.OWNER, place, 0, id, self._ring.now), LookupFailure.NOT_MEMBER)

    def find_fingers(self, place: Place) -> None:
        """Learn who follows ``place``: once, without a second attempt."""
        ring = self._ring
        if not ring.owns(place) and not self._lookups.is_full:
            row = Lookup(Wanted.FINGERS, place, ring.new_request(), 0, ring.now)
            row.attempts = ring.timings.lookup_attempts - 1
            self._lookups.add(row)
            self._attempt(row)

    def find_in_other_ring(self, stranger: Peer) -> None:
        """Ask a peer that may be in another ring who would own this node's place there: once."""
        ring = self._ring
        if not self._lookups.is_full:
            row = Lookup(Wanted.MERGE, ring.peer.place, ring.new_request(), 0, ring.now)
            row.attempts = ring.timings.lookup_attempts - 1
            self._lookups.add(row)
            self._send(row, stranger)

    def on_found(self, message: Found) -> Lookup | None:
        """An answer came; returns the lookup when it is not the application's, for whoever wanted it."""
        row = self._lookups.get(message.request)
        if row is None or row.is_iterative:
            return None
        owner = peer_at(Address(message.successors[0])) if message.successors else None
        predecessor = peer_at(Address(message.predecessor))
        if owner is None or not in_open_closed(predecessor.place, row.place, owner.place):
            self._retry_soon(row, LookupFailure.NO_ROUTE)
            return None
        if row.wanted is not Wanted.OWNER:
            self._lookups.remove(row)
            return row
        self._succeed(row, owner, predecessor, [peer_at(Address(address)) for address in message.path])
        return None

    def on_failed(self, message: LookupFailed) -> None:
        """The lookup got stuck: try again in a moment, over another hop."""
        row = self._lookups.get(message.request)
        if row is not None and not row.is_iterative:
            reasons = {reason.value: reason for reason in LookupFailure}
            self._retry_soon(row, reasons.get(message.reason, LookupFailure.NO_ROUTE))

    def on_undelivered(self, message: FindSuccessor) -> None:
        """The first hop of a lookup is gone: choose another at once."""
        row = self._lookups.get(message.request)
        if row is not None and row.wanted is Wanted.OWNER:
            row.attempts -= 1
            self._attempt(row)
        elif row is not None:
            self._lookups.remove(row)

    def on_busy(self, message: FindSuccessor) -> None:
        """This peer had no room for a dial to the first hop: try again in a moment, over another one."""
        row = self._lookups.get(message.request)
        if row is not None:
            self._retry_soon(row, LookupFailure.OVERLOADED)

    def on_next_hop(self, sender: Peer, message: NextHop) -> None:
        """One step of an iterative lookup was answered, by the peer that was asked."""
        row = self._lookups.get(message.request)
        if row is None or row.queue is None:
            return
        hops = [peer_at(Address(address)) for address in message.hops]
        row.route.append(sender)
        row.seconds.append(self._ring.now - row.asked_at)
        if message.final and hops and in_open_closed(sender.place, row.place, hops[0].place):
            self._succeed(row, hops[0], sender, row.route)
            return
        left = distance(sender.place, row.place)
        nearer = [hop for hop in hops if distance(sender.place, hop.place) < left]
        row.queue = [*nearer, *(hop for hop in row.queue if hop not in nearer)][: WIRE.max_path]
        self._step(row)

    def on_gone(self, peer: Peer) -> None:
        """The peer left all tables: an iterative lookup that asked it asks the next best."""
        for row in self._lookups.iterative():
            if row.tried and row.tried[-1] == peer:
                self._step(row)

    def on_timer(self) -> None:
        """Try overdue lookups again, or give them up."""
        for row in self._lookups.overdue(self._ring.now):
            if row.is_iterative:
                self._fail(row, LookupFailure.TIMED_OUT)
            else:
                self._attempt(row)

    def fail_all(self, reason: LookupFailure) -> None:
        """This node is in no ring any more."""
        for row in self._lookups.take_all():
            self._fail(row, reason)

    def next_deadline(self) -> float | None:
        """When the first lookup is overdue."""
        return self._lookups.next_deadline()

    def own_step(self, place: Place) -> tuple[tuple[Peer, ...], bool]:
        """What this node answers to one step of another peer's iterative lookup: hops, and whether the first owns."""
        own = self._own_answer(place)
        if own is not None:
            return (own[0],), True
        return tuple(self._ring.next_hops(place, (), self._ring.limits.step_hops)), False

    def _own_answer(self, place: Place) -> tuple[Peer, Peer] | None:
        """Owner and its predecessor, when this node knows without asking."""
        ring = self._ring
        if place == ring.peer.place:
            return ring.peer, ring.predecessor or ring.peer
        return (ring.successors.head or ring.peer, ring.peer) if ring.owns(place) else None

    def _attempt(self, row: Lookup) -> None:
        ring = self._ring
        own = self._own_answer(row.place)
        if own is not None:  # the ring changed since the last attempt
            self._succeed(row, own[0], own[1], [ring.peer])
            return
        if row.attempts >= ring.timings.lookup_attempts:
            self._fail(row, LookupFailure.TIMED_OUT)
            return
        hops = ring.next_hops(row.place, row.tried, 1) or ring.next_hops(row.place, (), 1)
        if hops:
            self._send(row, hops[0])
        else:
            row.attempts += 1
            self._retry_soon(row, LookupFailure.NO_ROUTE)

    def _send(self, row: Lookup, hop: Peer) -> None:
        ring = self._ring
        row.attempts += 1
        row.tried.append(hop)
        row.deadline = ring.now + ring.timings.lookup_timeout
        message = FindSuccessor(
            incarnation=ring.incarnation,
            extra=ring.extra,
            request=row.request,
            target=place_to_bytes(row.place),
            path=(ring.peer.address,),
        )
        ring.send(hop, message)

    def _retry_soon(self, row: Lookup, reason: LookupFailure) -> None:
        if row.attempts >= self._ring.timings.lookup_attempts:
            self._fail(row, reason)
        else:
            row.deadline = self._ring.now + self._ring.timings.retry_pause

    def _step(self, row: Lookup) -> None:
        ring = self._ring
        hop = next((hop for hop in row.queue or () if hop not in row.tried and hop != ring.peer), None)
        if hop is None or len(row.tried) >= WIRE.max_path:
            self._fail(row, LookupFailure.NO_ROUTE if hop is None else LookupFailure.HOP_LIMIT)
            return
        row.tried.append(hop)
        row.asked_at = ring.now
        message = GetNextHop(
            incarnation=ring.incarnation,
            extra=ring.extra,
            request=row.request,
            target=place_to_bytes(row.place),
        )
        ring.requests.add(hop, Purpose.STEP, message, ring.now)
        ring.send(hop, message)

    def _succeed(self, row: Lookup, owner: Peer, predecessor: Peer, route: list[Peer]) -> None:
        self._lookups.remove(row)
        if row.wanted is Wanted.OWNER:
            hops = len(route) - 1
            self._ring.outputs.append(
                OwnerFound(row.id, owner, predecessor, tuple(route), hops, tuple(row.seconds))
            )
            self._report(row, owner.address, hops, "")

    def _fail(self, row: Lookup, reason: LookupFailure) -> None:
        self._lookups.remove(row)
        if row.wanted is Wanted.OWNER:
            self._ring.outputs.append(OwnerNotFound(row.id, reason))
            self._report(row, "", 0, reason.value)

    def _report(self, row: Lookup, owner: str, hops: int, reason: str) -> None:
        seconds = self._ring.now - row.started
        event = LookupFinished(
            place=f"{row.place:064x}",
            owner=owner,
            hops=hops,
            seconds=seconds,
            reason=reason,
            lookup=row.id,
            trip=lookup_trip(self._ring.peer.address, row.request) if row.tried else "",
        )
        self._ring.outputs.append(Emit(event))
