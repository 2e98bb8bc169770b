"""What the rules of one node share: its tables, and the outputs that the input being handled causes.

The rules (joining, stabilizing, rectifying, searching, upkeep) act on it and never on each other's state.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from random import Random

from cicada.chord.circle import between, distance, in_open_closed
from cicada.chord.estimates import Estimates
from cicada.chord.fingers import Fingers
from cicada.chord.io import Emit, Prove, RingOutput, SendTo, TableChanged
from cicada.chord.lives import Lives
from cicada.chord.phase import Phase
from cicada.chord.places import Places
from cicada.chord.proofs import Proofs
from cicada.chord.quarantine import Quarantine
from cicada.chord.requests import Purpose, Requests
from cicada.chord.successors import SuccessorList
from cicada.chord.timers import Timers
from cicada.events import FingersChanged, PeerSuspected, PhaseChanged
from cicada.ids import Address, Peer, Place, peer_at
from cicada.limits import RingLimits, RingTimings
from cicada.wire.ring import GetState, Notify, Nudge, RingMessage

_REQUEST_BITS = 53


class Ring:
    """A node's view of the ring. Everything a rule may read or change."""

    __slots__ = (
        *(
            "estimates",
            "extra",
            "fingers",
            "incarnation",
            "limits",
            "lives",
            "now",
            "outputs",
            "peer",
            "phase",
            "predecessor",
        ),
        *("places", "proofs", "quarantine", "requests", "rng", "successors", "timers", "timings"),
        *("_known", "_stale", "_table"),
    )

    def __init__(
        self, peer: Peer, incarnation: int, limits: RingLimits, timings: RingTimings, rng: Random
    ) -> None:
        self.peer = peer
        self.incarnation = incarnation
        self.limits = limits
        self.timings = timings
        self.rng = rng
        self.extra = b""
        self.now = 0.0
        self.outputs: list[RingOutput] = []
        self.phase = Phase.IDLE
        self.predecessor: Peer | None = None
        self.places = Places(peer, limits)
        self.successors = SuccessorList(peer, limits.successors, self.places.host_of)
        self.fingers = Fingers(peer, limits.candidates, limits.known_peers, self.places.host_of)
        self.estimates = Estimates(peer, timings.churn_memory)
        self.proofs = Proofs()
        self.lives = Lives(limits.remembered)
        self.quarantine = Quarantine(timings.quarantine_size, timings.quarantine_seconds)
        self.requests = Requests(timings, limits.timed_peers)
        self.timers = Timers()
        self._known: tuple[Peer, ...] = ()
        self._table = TableChanged(None, None, ())
        self._stale = True

    # Questions

    def owns(self, place: Place) -> bool:
        """Whether this node's arc, from itself to its head, holds ``place``: then it knows the owner."""
        head = self.successors.head or self.peer
        return self.phase.is_member and in_open_closed(self.peer.place, place, head.place)

    def is_nearer_successor(self, peer: Peer) -> bool:
        """Whether ``peer`` lies strictly between this node and its head."""
        head = self.successors.head or self.peer
        return between(self.peer.place, peer.place, head.place)

    def is_nearer_predecessor(self, peer: Peer) -> bool:
        """Whether ``peer`` lies strictly between the predecessor and this node, or none is known."""
        low = self.predecessor or self.peer
        return between(low.place, peer.place, self.peer.place)

    def is_avoided(self, peer: Peer) -> bool:
        """Whether the peer must not be listed: it was found unreachable a moment ago, or may not stand in any table."""
        is_suspect = self.quarantine.suspected_within(peer, self.timings.suspect_hold, self.now)
        return is_suspect or not self.places.admits(peer)

    def tables(self) -> list[Sequence[Peer]]:
        """Everybody who has a place in this node's tables, those first whom it can do without least."""
        neighbours = (
            (*self.successors.entries, self.predecessor) if self.predecessor else self.successors.entries
        )
        fingers = self.fingers
        return [neighbours, fingers.peers(), self.quarantine.peers(), self.proofs.peers(), fingers.hints()]

    def next_hops(self, place: Place, exclude: Collection[Peer], count: int) -> list[Peer]:
        """Up to ``count`` known peers strictly between this node and ``place``, those nearest to ``place`` first."""
        known = self.known
        index = bisect_left(known, distance(self.peer.place, place) or 1 << 256, key=self._distance)
        hops: list[Peer] = []
        while index and len(hops) < count:
            index -= 1
            if known[index] not in exclude:
                hops.append(known[index])
        return hops

    @property
    def known(self) -> tuple[Peer, ...]:
        """Proven peers of all tables, clockwise; empty while this node is no member."""
        if self._stale:
            self._known = self._proven_clockwise() if self.phase.is_member else ()
            self._stale = False
        return self._known

    # Changes

    def become(self, phase: Phase, reason: str) -> None:
        """Enter another phase; what depends on it is set by the caller."""
        self.phase = phase
        self._stale = True
        self.emit(PhaseChanged(phase=phase.value, reason=reason))

    def adopt(self, head: Peer, rest: Iterable[Peer]) -> None:
        """Take over the list of a live, proven ``head`` that just answered."""
        before = self.successors.entries
        self.successors.adopt(head, rest, self.is_avoided)
        if self.successors.entries != before:
            self._stale = True
            for entry in self.successors.entries:
                self.places.enter(entry)

    def set_predecessor(self, peer: Peer | None) -> None:
        """A proven peer, or nobody, is the predecessor."""
        self.predecessor = peer
        self._stale = True

    def mark_proven(self, peer: Peer) -> None:
        """A dial proof arrived: the peer may enter tables, and enters the fingers if it fits."""
        self.proofs.add(peer)
        self.places.enter(peer)
        self.fingers.add(peer)
        self._stale = True

    def meet(self, peer: Peer, *, is_stranger: bool = False) -> None:
        """There is a peer that may be alive in another ring, or a stranger says so: remember it."""
        if self.places.admits(peer):
            self.quarantine.meet(peer, self.now, is_stranger=is_stranger)
            self.places.enter(peer)

    def forget(self, peer: Peer) -> bool:
        """Take the peer out of all tables: it is unreachable, left, or begins a new life; whether it was a neighbour."""
        was_neighbour = self.successors.drop(peer) or self.predecessor == peer
        self.fingers.remove(peer)
        self.requests.drop_peer(peer)
        if self.predecessor == peer:
            self.predecessor = None
        self._stale = True
        return was_neighbour

    def forget_all(self) -> None:
        """Know nobody and wait for nothing."""
        self.fingers.clear()
        self.proofs.clear()
        self.quarantine.clear()
        self.timers.stop_all()
        self._stale = True

    def suspect(self, peer: Peer, reason: str) -> bool:
        """Take an unreachable peer out of all tables, and remember it; whether it was a neighbour."""
        was_proven = peer in self.proofs
        was_neighbour = self.forget(peer)
        self.proofs.remove(peer)
        if self.places.admits(peer):
            self.quarantine.suspect(peer, self.now, is_stranger=not (was_proven or was_neighbour))
            self.places.enter(peer)
        if was_proven or was_neighbour:
            self.emit(PeerSuspected(suspect=peer.address, reason=reason))
        return was_neighbour

    def learn(self, addresses: Iterable[str]) -> bool:
        """Peers that somebody named, as hints for the fingers; whether one of them was news."""
        news = False
        fingers = self.fingers
        for peer in fingers.others(peer_at(Address(address)) for address in addresses):
            if peer in self.proofs:
                fingers.add(peer)
                self._stale |= bool(fingers.added)
            elif self._is_news(peer):
                self.places.enter(peer)
                news = True
        return news

    def _is_news(self, peer: Peer) -> bool:
        """Somebody named a peer that is not proven: whether it is a hint now and was none."""
        is_suspect = self.quarantine.suspected_within(peer, self.timings.hint_hold, self.now)
        return not is_suspect and self.places.admits(peer) and self.fingers.hint(peer)

    def keep_to_cap(self) -> None:
        """Put out of all tables whoever is one too many of a host. Whoever is asked something right now stays."""
        if not self.places.is_crowded:
            return
        safe, *others = self.tables()
        for peer in self.places.excess((*safe, *self.requests.neighbours()), others):
            self.fingers.remove(peer)
            self.quarantine.release(peer)
            self.proofs.drop(peer)
            self._stale = True

    # Outputs

    def send(self, peer: Peer, message: RingMessage) -> None:
        """Send a message."""
        self.outputs.append(SendTo(peer, message))

    def emit(self, event: PhaseChanged | PeerSuspected | FingersChanged) -> None:
        """Tell whoever watches."""
        self.outputs.append(Emit(event))

    def refuse(self, reason: str) -> None:
        """Count somebody who was not believed."""
        self.places.refused[reason] += 1

    def prove(self, peer: Peer) -> None:
        """Have the peer dialled, unless that is under way."""
        if self.proofs.dial(peer, self.now + self.timings.prove_timeout):
            self.outputs.append(Prove(peer))

    def ask(self, peer: Peer, purpose: Purpose) -> None:
        """Ask for the peer's predecessor and list, unless that is under way."""
        if self.requests.is_asking(peer, purpose):
            return
        message = GetState(incarnation=self.incarnation, extra=self.extra, request=self.new_request())
        self.requests.add(peer, purpose, message, self.now)
        self.send(peer, message)

    def notify(self, peer: Peer) -> None:
        """Tell the peer that this node believes to be its predecessor."""
        self.send(peer, Notify(incarnation=self.incarnation, extra=self.extra))

    def nudge(self, peer: Peer) -> None:
        """Tell the peer that something changed here that it should look at."""
        self.send(peer, Nudge(incarnation=self.incarnation, extra=self.extra))

    def new_request(self) -> int:
        """A fresh request id. Random, so that answers to an earlier life of this node match nothing."""
        return self.rng.getrandbits(_REQUEST_BITS)

    def publish_table(self) -> None:
        """Tell the Router what it may route by, if that changed."""
        if self._stale or self.fingers.added or self.fingers.removed:
            self._publish_fingers()
        head, predecessor, known = self._proven_head(), self._proven_predecessor(), self.known
        told = self._table
        if known is told.known and head == told.head and predecessor == told.predecessor:
            return  # as after most inputs
        table = TableChanged(head, predecessor, known)
        if table != told:
            self.outputs.append(table)
        self._table = table

    def _publish_fingers(self) -> None:
        added, removed = self.fingers.take_changes()
        self._stale = True
        if added or removed:
            to_text = [tuple(peer.address for peer in peers) for peers in (added, removed)]
            self.emit(FingersChanged(added=to_text[0], removed=to_text[1]))

    def _proven_clockwise(self) -> tuple[Peer, ...]:
        peers = {*self.fingers.peers(), *self.successors.entries, self.predecessor or self.peer}
        return tuple(sorted((peer for peer in peers if peer in self.proofs), key=self._distance))

    def _proven_head(self) -> Peer | None:
        if self.phase is Phase.ALONE:
            return self.peer
        if self.phase is not Phase.MEMBER:
            return None
        return next((entry for entry in self.successors.entries if entry in self.proofs), None)

    def _proven_predecessor(self) -> Peer | None:
        return self.predecessor if self.phase.is_member else None

    def _distance(self, peer: Peer) -> int:
        return distance(self.peer.place, peer.place)
