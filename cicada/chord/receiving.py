"""Receiving: what each ring message means to this node."""

from __future__ import annotations

from typing import assert_never

from cicada.chord.io import ExtraReceived, LookupFailure
from cicada.chord.lifecycle import Lifecycle
from cicada.chord.lives import OLDER_LIFE
from cicada.chord.lookups import Lookup
from cicada.chord.phase import Phase, Reaction, reaction
from cicada.chord.relaying import FALSE_PATH
from cicada.chord.requests import Purpose
from cicada.chord.ring import Ring
from cicada.ids import Address, Peer, peer_at, place_from_bytes
from cicada.wire.ring import (
    FindSuccessor,
    Found,
    GetNextHop,
    GetState,
    Leaving,
    LookupFailed,
    NextHop,
    Notify,
    NotMember,
    Nudge,
    RingMessage,
    State,
)


class Receiver:
    """Hands every message to the rule it concerns, or refuses it when this node is in no ring."""

    __slots__ = ("_life", "_ring")

    def __init__(self, ring: Ring, life: Lifecycle) -> None:
        self._ring = ring
        self._life = life

    def on_message(self, sender: Peer, message: RingMessage) -> None:
        ring = self._ring
        if sender == ring.peer or not self._is_heard(sender, message):
            return
        ring.quarantine.heard_from(sender)
        if message.extra:
            ring.outputs.append(ExtraReceived(sender, message.extra))
        response = reaction(ring.phase, message)
        if response is Reaction.HANDLE:
            self._on_ring_message(sender, message)
        elif response is Reaction.REFUSE:
            self._refuse(sender, message)

    def _is_heard(self, sender: Peer, message: RingMessage) -> bool:
        """Whether the words are the sender's own, and of its present life as far as anybody knows.

        Older words may be late ones, or those of a peer whose clock was set back. A question tells: only the present life can
        answer it.
        """
        ring, lives = self._ring, self._ring.lives
        if isinstance(message, FindSuccessor) and message.path[-1] != sender.address:
            ring.refuse(FALSE_PATH)
            return False
        if isinstance(message, State | NotMember) and ring.requests.is_asked(
            message.request, sender, Purpose.LIFE
        ):
            lives.settle(sender, message.incarnation)
        if lives.is_former(sender, message.incarnation):
            ring.refuse(OLDER_LIFE)
            if ring.phase is not Phase.IDLE:
                ring.ask(sender, Purpose.LIFE)
            return False
        if sender in ring.proofs:
            lives.hear(sender, message.incarnation, isinstance(message, State | Notify | Nudge))
        return True

    def _on_ring_message(self, sender: Peer, message: RingMessage) -> None:
        match message:
            case FindSuccessor():
                self._on_find_successor(message)
            case Found() | LookupFailed():
                self._on_lookup_answer(sender, message)
            case GetState():
                self._on_get_state(sender, message)
            case State():
                self._on_state(sender, message)
            case NotMember():
                if self._ring.requests.answer(message.request, sender, self._ring.now) is not None:
                    self._life.drop(sender)
            case Notify():
                self._life.rectifier.on_notify(sender)
            case Nudge():
                self._life.stabilizer.hasten()
            case Leaving():
                self._on_leaving(sender, message)
            case GetNextHop():
                self._on_get_next_hop(sender, message)
            case NextHop():
                if self._ring.requests.answer(message.request, sender, self._ring.now) is not None:
                    self._life.upkeep.learn(message.hops)
                    self._life.searcher.on_next_hop(sender, message)
            case _:
                assert_never(message)

    def _refuse(self, sender: Peer, message: RingMessage) -> None:
        if isinstance(message, GetState | GetNextHop):
            ring = self._ring
            answer = NotMember(incarnation=ring.incarnation, extra=ring.extra, request=message.request)
            ring.send(sender, answer)
        elif isinstance(message, FindSuccessor) and not self._give_way(message):
            self._life.relay.refuse(message, LookupFailure.NOT_MEMBER)

    def _give_way(self, message: FindSuccessor) -> bool:
        """Peers that join only through each other would refuse each other for ever: the lowest place gives way, and is a
        ring of one for the others to find. Who sees but a part of them may do so too; rings that remember each other merge.
        """
        origin = peer_at(Address(message.path[0]))
        ring, joiner = self._ring, self._life.joiner
        if ring.phase is not Phase.JOINING or len(message.path) > 1:
            return False
        if not message.joining:
            joiner.meet(origin)
            return False
        if not joiner.gives_way(origin):
            return False
        for seed in joiner.seeds:
            ring.meet(seed)
        joiner.wait_for_peer()
        self._life.become_alone("waiting for a peer that joins through this one")
        self._on_find_successor(message)
        return True

    def _on_find_successor(self, message: FindSuccessor) -> None:
        origin = peer_at(Address(message.path[0]))
        if origin == self._ring.peer:
            return
        if message.joining and not self._ring.places.admits(origin):
            self._life.relay.refuse(message, LookupFailure.NOT_GLOBAL)
            return
        if message.joining:
            self._forget_former_life(origin, message)
        if (
            not message.joining
            and len(message.path) == 1
            and place_from_bytes(message.target) == origin.place
        ):
            self._life.upkeep.on_visitor(origin)
        self._life.upkeep.learn(message.path[1:])
        if self._ring.phase.is_member:
            self._life.relay.on_find_successor(message)
        else:
            self._life.relay.refuse(message, LookupFailure.NOT_MEMBER)

    def _forget_former_life(self, origin: Peer, message: FindSuccessor) -> None:
        """What is left here of a peer that joins anew goes: at once when it says so itself and is proven. Of whom others say so
        is asked, and goes when it is no member."""
        ring = self._ring
        if len(message.path) == 1 and origin in ring.proofs:
            if ring.lives.is_new_life(origin, message.joining):
                self._life.drop(origin)
                self._life.reconcile()
        elif ring.lives.may_be_new(origin, message.joining) and origin in ring.known:
            ring.ask(origin, Purpose.LIFE)

    def _on_lookup_answer(self, sender: Peer, message: Found | LookupFailed) -> None:
        ring = self._ring
        if message.path[message.position] != ring.peer.address:
            return
        if isinstance(message, Found):
            self._life.upkeep.learn((message.predecessor, *message.successors))
        elif (
            message.reason == LookupFailure.NOT_MEMBER.value
            and message.position == len(message.path) - 1
            and ring.phase.is_member
        ):
            self._life.drop(sender)  # the hop that this node chose
        if message.position > 0:
            self._life.relay.pass_back(message, message.position - 1)
        elif self._life.joiner.is_answer(message):
            self._on_join_answer(sender, message)
        elif isinstance(message, LookupFailed):
            self._life.searcher.on_failed(message)
        else:
            row = self._life.searcher.on_found(message)
            if row is not None:
                self._on_visit_answered(row, message)

    def _on_visit_answered(self, row: Lookup, message: Found) -> None:
        """A lookup for upkeep was answered: if it shows a ring that this one should merge into, join that."""
        ring = self._ring
        seeds = self._life.upkeep.on_lookup(row, message)
        if seeds:
            deadline = ring.now + ring.timings.rejoin_seconds
            self._life.become_joining(seeds, deadline, False, "merging into another ring")

    def _on_join_answer(self, sender: Peer, message: Found | LookupFailed) -> None:
        if isinstance(message, LookupFailed):
            self._life.joiner.on_failed(sender, message)
        else:
            self._life.joiner.on_found(message)

    def _on_get_state(self, sender: Peer, message: GetState) -> None:
        ring = self._ring
        state = State(
            incarnation=ring.incarnation,
            extra=ring.extra,
            request=message.request,
            predecessor=ring.predecessor.address if ring.predecessor else "",
            successors=tuple(entry.address for entry in ring.successors.entries),
        )
        ring.send(sender, state)

    def _on_state(self, sender: Peer, message: State) -> None:
        row = self._ring.requests.answer(message.request, sender, self._ring.now)
        if row is None:
            return
        self._life.upkeep.learn(message.successors)
        if row.purpose is Purpose.JOIN:
            if self._life.joiner.on_state(sender, message):
                self._life.enter()
        elif row.purpose is Purpose.ROUND:
            self._life.stabilizer.on_state(sender, message)
        elif sender == self._ring.predecessor:
            self._life.rectifier.on_predecessor_state(is_alone=not message.successors)

    def _on_leaving(self, sender: Peer, message: Leaving) -> None:
        was_predecessor = sender == self._ring.predecessor
        self._life.drop(sender)
        self._life.upkeep.learn(message.successors)
        if was_predecessor and message.predecessor and self._ring.phase.is_member:
            self._life.rectifier.on_notify(peer_at(Address(message.predecessor)))

    def _on_get_next_hop(self, sender: Peer, message: GetNextHop) -> None:
        ring = self._ring
        hops, final = self._life.searcher.own_step(place_from_bytes(message.target))
        answer = NextHop(
            incarnation=ring.incarnation,
            extra=ring.extra,
            request=message.request,
            hops=tuple(hop.address for hop in hops),
            final=final,
        )
        ring.send(sender, answer)
