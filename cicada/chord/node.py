"""RingNode: one peer's part in the ring, a pure state machine.

Rules: Zave's corrected Chord, with a dial proof before anyone becomes head, predecessor, finger or next hop. This file
turns inputs into calls; the rules stand in joining, stabilizing, rectifying, relaying, searching and upkeep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain
from random import Random
from typing import assert_never

from cicada.chord.io import (
    BUSY,
    CreateRing,
    Emit,
    FindOwner,
    Joined,
    JoinRing,
    LeaveRing,
    Left,
    MessageReceived,
    PeerProven,
    PeerUnreachable,
    Prove,
    Refused,
    RingInput,
    RingOutput,
    RingSnapshot,
    SetExtra,
    TimerFired,
)
from cicada.chord.lifecycle import Lifecycle
from cicada.chord.phase import Phase, Reaction, reaction
from cicada.chord.receiving import Receiver
from cicada.chord.requests import Purpose
from cicada.chord.ring import Ring
from cicada.chord.timers import Timer
from cicada.events import PredecessorChanged, SuccessorsChanged
from cicada.hosts import Host
from cicada.ids import Peer
from cicada.limits import RING, RING_TIMINGS, RingLimits, RingTimings
from cicada.wire.ring import FindSuccessor, Found, GetNextHop, GetState, Leaving, LookupFailed, RingMessage


class RingNode:
    """One life of a peer in the ring. Everything goes through ``handle``; nothing here waits, sends or looks at a clock.

    ``incarnation`` is the wall clock in milliseconds at the beginning of this life, higher than in any earlier one. The
    node adds one whenever it loses or leaves its ring, so that it re-enters as a new life.
    """

    __slots__ = ("_life", "_receiver", "_ring")

    def __init__(
        self,
        peer: Peer,
        incarnation: int,
        *,
        limits: RingLimits = RING,
        timings: RingTimings = RING_TIMINGS,
        rng: Random,
    ) -> None:
        self._ring = Ring(peer, incarnation, limits, timings, rng)
        self._life = Lifecycle(self._ring)
        self._receiver = Receiver(self._ring, self._life)

    def handle(self, input: RingInput, now: float) -> list[RingOutput]:
        """Take one input in; returns what must be done, in this order. ``now`` is monotonic seconds and never falls."""
        ring = self._ring
        ring.now = now
        entries, predecessor = ring.successors.entries, ring.predecessor
        if reaction(ring.phase, input) is Reaction.HANDLE:
            self._dispatch(input)
        elif isinstance(input, FindOwner):
            self._life.searcher.refuse(input.id, input.place)
        self._conclude(entries, predecessor)
        outputs, ring.outputs = ring.outputs, []
        return outputs

    def next_deadline(self) -> float | None:
        """When TimerFired must be handled next; None while nothing is waited for."""
        return self._ring.timers.next_deadline()

    @property
    def rounds(self) -> int:
        """How many rounds of stabilize this node has begun. Never falls; cheap, unlike a snapshot."""
        return self._life.stabilizer.rounds

    @property
    def visits(self) -> int:
        """How often this node has dialled a remembered stranger, to see whether it is in another ring. Never falls."""
        return self._life.upkeep.visits

    def places(self) -> Counter[Host]:
        """How many different peers of each host stand in all tables of this node together."""
        ring = self._ring
        return Counter(ring.places.host_of(peer.address) for peer in set(chain(*ring.tables())))

    def snapshot(self) -> RingSnapshot:
        """The node as it is now."""
        ring = self._ring
        entries = ring.successors.entries
        return RingSnapshot(
            peer=ring.peer,
            phase=ring.phase.value,
            incarnation=ring.incarnation,
            predecessor=ring.predecessor,
            successors=entries,
            unverified=tuple(ring.proofs.unproven(entries)),
            fingers=tuple(ring.fingers.peers()),
            quarantined=ring.quarantine.peers(),
            stabilize_interval=self._life.stabilizer.interval,
            rounds=self.rounds,
            estimated_size=ring.estimates.size(entries, ring.predecessor),
            churn=ring.estimates.churn(entries, ring.predecessor, ring.now),
        )

    def _dispatch(self, input: RingInput) -> None:
        match input:
            case MessageReceived(sender, message):
                self._receiver.on_message(sender, message)
            case PeerProven(peer):
                self._on_proven(peer)
            case PeerUnreachable(peer, undelivered, reason) if reason == BUSY:
                self._on_busy(peer, undelivered)
            case PeerUnreachable(peer, undelivered, reason):
                self._life.joiner.note_refusal(peer, reason)
                self._on_unreachable(peer, undelivered)
            case TimerFired():
                self._on_timers()
            case FindOwner(id, place, iterative):
                self._life.searcher.find_owner(id, place, iterative)
            case SetExtra(data):
                self._ring.extra = data
            case CreateRing():
                self._life.become_alone("created")
            case JoinRing():
                self._on_join(input)
            case LeaveRing():
                self._on_leave()
            case _:
                assert_never(input)

    # Commands

    def _on_join(self, command: JoinRing) -> None:
        ring = self._ring
        if ring.phase is Phase.JOINING:
            self._life.joiner.start(command.seeds, command.deadline, asked_for=True)
        elif ring.phase is Phase.MEMBER:
            # In a ring already: whoever is named may be in another one, and visiting it merges the two.
            for seed in command.seeds:
                if seed != ring.peer and seed not in ring.proofs and ring.places.admits(seed):
                    ring.meet(seed)
                    self._life.upkeep.visit(seed)
            ring.outputs.append(Joined())
        else:
            self._life.become_joining(command.seeds, command.deadline, True, "join")

    def _on_leave(self) -> None:
        ring = self._ring
        if ring.phase.is_member:
            farewell = Leaving(
                incarnation=ring.incarnation,
                extra=ring.extra,
                predecessor=ring.predecessor.address if ring.predecessor else "",
                successors=tuple(entry.address for entry in ring.successors.entries),
            )
            for peer in dict.fromkeys((ring.predecessor, *ring.successors.entries)):
                if peer is not None and peer in ring.proofs:
                    ring.send(peer, farewell)
        self._life.joiner.fail("this peer was told to leave")
        self._life.become_idle("left")
        ring.outputs.append(Left())

    # What links report

    def _on_proven(self, peer: Peer) -> None:
        if peer == self._ring.peer or not self._ring.places.admits(peer):
            return
        self._ring.mark_proven(peer)
        self._life.joiner.on_proven(peer)
        self._life.stabilizer.on_proven(peer)
        self._life.rectifier.on_proven(peer)
        self._life.upkeep.on_proven(peer)

    def _on_unreachable(self, peer: Peer, undelivered: tuple[RingMessage, ...]) -> None:
        self._life.suspect(peer, "unreachable")
        self._life.reconcile()
        for message in undelivered:
            if isinstance(message, FindSuccessor):
                if len(message.path) == 1:
                    self._life.searcher.on_undelivered(message)
                else:
                    self._life.relay.on_undelivered(message)
            elif isinstance(message, Found | LookupFailed):
                self._life.relay.on_undelivered_answer(message)

    def _on_busy(self, peer: Peer, undelivered: tuple[RingMessage, ...]) -> None:
        """The own links have no room for a dial to the peer: nobody is suspected, and what can be done later is."""
        ring, life = self._ring, self._life
        ring.proofs.delay(peer, ring.now + ring.timings.retry_pause)
        for message in undelivered:
            if isinstance(message, GetState | GetNextHop):
                ring.requests.take_back(message.request)
            elif isinstance(message, FindSuccessor):
                if len(message.path) > 1:
                    life.relay.on_busy(message)
                elif life.joiner.is_answer(message):
                    life.joiner.on_busy(peer)
                else:
                    life.searcher.on_busy(message)
            elif isinstance(message, Found | LookupFailed):
                life.relay.on_undelivered_answer(message)

    # Timers

    def _on_timers(self) -> None:
        actions: dict[Timer, Callable[[], None]] = {
            Timer.REQUESTS: self._on_requests_overdue,
            Timer.PROOFS: self._on_proofs_overdue,
            Timer.LOOKUPS: self._life.searcher.on_timer,
            Timer.JOIN: self._on_join_timer,
            Timer.ADMISSION: self._life.relay.admit_next,
            Timer.STABILIZE: self._on_round_due,
            Timer.FIX_FINGERS: self._life.upkeep.fix_fingers,
            Timer.DIAL_FINGERS: self._life.upkeep.dial_finger,
        }
        for timer in self._ring.timers.take_due(self._ring.now):
            actions[timer]()

    def _on_round_due(self) -> None:
        if self._ring.phase.is_member:
            self._life.stabilizer.begin()
            self._life.upkeep.visit_suspect()

    def _on_requests_overdue(self) -> None:
        ring = self._ring
        for row in ring.requests.overdue(ring.now):
            if row.attempts <= ring.timings.query_attempts:
                ring.send(row.peer, row.message)
            elif row.purpose is Purpose.LIFE:
                ring.requests.give_up(row)
            else:
                self._life.suspect(row.peer, "silent")

    def _on_proofs_overdue(self) -> None:
        ring = self._ring
        for peer in ring.proofs.overdue(ring.now):
            if ring.proofs.is_delayed(peer):
                ring.proofs.cancel(peer)
                self._life.pass_over(peer)
            else:
                self._life.suspect(peer, "dial timed out")
        for peer in ring.proofs.take_delayed(ring.now):
            ring.outputs.append(Prove(peer))

    def _on_join_timer(self) -> None:
        reason = self._life.joiner.on_timer()
        if not reason:
            return
        if self._life.joiner.is_asked_for:
            self._life.fail_join(reason)
        else:
            self._life.settle_alone()

    # After every input

    def _conclude(self, entries: tuple[Peer, ...], predecessor: Peer | None) -> None:
        """Say what changed since before the input, to neighbours and to whoever watches, once for all."""
        ring = self._ring
        self._life.reconcile()
        if ring.phase.is_member:
            self._life.upkeep.verify_tail()
            self._tell_neighbours(entries, predecessor)
        if ring.successors.entries != entries:
            ring.estimates.on_list(entries, ring.successors.entries, ring.now)
            addresses = tuple(entry.address for entry in ring.successors.entries)
            ring.outputs.append(Emit(SuccessorsChanged(successors=addresses)))
        if ring.predecessor != predecessor:
            address = ring.predecessor.address if ring.predecessor else ""
            ring.outputs.append(Emit(PredecessorChanged(predecessor=address)))
        ring.keep_to_cap()
        ring.publish_table()
        ring.proofs.prune(ring.known, 2 * ring.limits.known_peers)
        ring.timers.start(Timer.REQUESTS, ring.requests.next_deadline())
        ring.timers.start(Timer.PROOFS, ring.proofs.next_deadline())
        ring.timers.start(Timer.LOOKUPS, self._life.searcher.next_deadline())
        ring.timers.start(Timer.ADMISSION, self._life.relay.next_deadline())
        if ring.places.refused:
            ring.outputs += (Refused(*entry) for entry in ring.places.take_refused().items())

    def _tell_neighbours(self, entries: tuple[Peer, ...], predecessor: Peer | None) -> None:
        ring = self._ring
        if ring.predecessor != predecessor:
            if predecessor is not None and predecessor in ring.proofs:
                ring.nudge(predecessor)  # it has a new successor: this node's new predecessor
            self._life.stabilizer.hasten()
        if ring.successors.entries != entries and ring.predecessor is not None:
            ring.nudge(ring.predecessor)
        if ring.successors.entries[:1] != entries[:1]:
            self._life.relay.on_head_changed()
