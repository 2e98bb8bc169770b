"""Relaying: other peers' lookups on their way, and answers on their way back. Remembered are parked joins, and for a while
who asked: a path in an answer may be made up, and must not have this peer dial any address."""

from __future__ import annotations

from cicada.chord.admission import Admission, Verdict
from cicada.chord.io import LookupFailure
from cicada.chord.ring import Ring
from cicada.ids import Address, Peer, peer_at, place_from_bytes
from cicada.limits import WIRE
from cicada.tokens import TokenBucket
from cicada.wire.ring import FindSuccessor, Found, LookupFailed

FALSE_PATH = "false-path"
"""Why lookups and answers go no further."""


class Relay:
    """Answers lookups for this node's own arc and passes all others on by best progress."""

    __slots__ = ("_admission", "_askers", "_ring", "_tokens")

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._admission = Admission(
            ring.limits.waiting_joiners, ring.timings.admission_hold, ring.timings.join_timeout
        )
        # until when they may hear of their lookups; in the order of time
        self._askers: dict[Peer, float] = {}
        self._tokens = TokenBucket(ring.timings.visit_rate, ring.timings.visit_burst)

    def on_find_successor(self, message: FindSuccessor) -> None:
        """Answer, park, pass on, or send back that it cannot be done."""
        ring = self._ring
        target = place_from_bytes(message.target)
        if target == ring.peer.place or not ring.owns(target):
            self._pass_on(message)
            return
        joiner = peer_at(Address(message.path[0]))
        if not message.joining or joiner.place != target:
            self._answer(message)
            return
        verdict = self._admission.request(joiner, message, ring.now)
        if verdict is Verdict.ANSWER:
            self._answer(message)
        elif verdict is Verdict.OVERLOADED:
            self.refuse(message, LookupFailure.OVERLOADED)

    def refuse(self, message: FindSuccessor, reason: LookupFailure) -> None:
        """Send back along the path that the lookup ends here."""
        failed = LookupFailed(
            incarnation=self._ring.incarnation,
            extra=self._ring.extra,
            request=message.request,
            reason=reason.value,
            path=message.path,
            position=len(message.path) - 1,
        )
        self._ring.send(peer_at(Address(message.path[-1])), failed)

    def pass_back(self, message: Found | LookupFailed, position: int) -> None:
        """Send an answer to hop ``position`` of its path, if that one asked."""
        ring = self._ring
        hop = peer_at(Address(message.path[position]))
        if not self._may_hear(hop):
            ring.refuse(FALSE_PATH)
            return
        if isinstance(message, Found):
            copy: Found | LookupFailed = Found(
                incarnation=ring.incarnation,
                extra=ring.extra,
                request=message.request,
                predecessor=message.predecessor,
                successors=message.successors,
                path=message.path,
                position=position,
            )
        else:
            copy = LookupFailed(
                incarnation=ring.incarnation,
                extra=ring.extra,
                request=message.request,
                reason=message.reason,
                path=message.path,
                position=position,
            )
        ring.send(hop, copy)

    def on_undelivered(self, message: FindSuccessor) -> None:
        """A lookup of another peer did not reach its hop, which is in no table any more: choose again."""
        before = message.path[:-1]  # this node put itself at the end
        if not before:
            return
        if not self._ring.phase.is_member:
            self.refuse(self._copy(message, before), LookupFailure.NOT_MEMBER)
            return
        self.on_find_successor(self._copy(message, before))

    def on_busy(self, message: FindSuccessor) -> None:
        """This peer had no room for a dial to the hop, which is as good as before: the lookup ends here."""
        before = message.path[:-1]
        if before:
            self.refuse(self._copy(message, before), LookupFailure.OVERLOADED)

    def on_undelivered_answer(self, message: Found | LookupFailed) -> None:
        """A hop on the way back is gone: skip it. Without the asking peer itself the answer is for nobody."""
        if message.position > 0:
            self.pass_back(message, message.position - 1)

    def on_head_changed(self) -> None:
        """The gap is another one: decide anew about every parked join request."""
        self._admission.release()
        self.admit_next()

    def admit_next(self) -> None:
        """Answer the parked joiner in the middle of the gap, which halves it; pass on those that are not in it."""
        ring = self._ring
        if not self._admission.is_open(ring.now):
            return
        parked = self._admission.take_all(ring.now)
        mine = sorted(
            (entry for entry in parked if ring.owns(entry[0].place)),
            key=lambda entry: (entry[0].place - ring.peer.place) % (1 << 256),
        )
        middle = mine[len(mine) // 2 : len(mine) // 2 + 1]
        for _, message in middle + [entry for entry in parked if entry not in middle]:
            if ring.phase.is_member:
                self.on_find_successor(message)
            else:
                self.refuse(message, LookupFailure.NOT_MEMBER)

    def next_deadline(self) -> float | None:
        """When a parked joiner has its turn at the latest."""
        return self._admission.next_deadline()

    def _pass_on(self, message: FindSuccessor) -> None:
        ring = self._ring
        if len(message.path) >= WIRE.max_path:
            self.refuse(message, LookupFailure.HOP_LIMIT)
            return
        passed = {peer_at(Address(address)) for address in message.path}
        hops = ring.next_hops(place_from_bytes(message.target), passed, 1)
        if not hops:
            self.refuse(message, LookupFailure.NO_ROUTE)
            return
        self._note_asker(peer_at(Address(message.path[-1])))
        ring.send(hops[0], self._copy(message, (*message.path, ring.peer.address)))

    def _note_asker(self, asker: Peer) -> None:
        askers, now = self._askers, self._ring.now
        askers.pop(asker, None)
        askers[asker] = now + self._ring.timings.asker_seconds
        while len(askers) > self._ring.limits.askers or next(iter(askers.values())) <= now:
            del askers[next(iter(askers))]

    def _may_hear(self, hop: Peer) -> bool:
        """Whether the hop asked, or can be reached anyway. A few others may be those before a hop that is gone."""
        ring = self._ring
        is_waiting = self._askers.get(hop, ring.now) > ring.now or hop in ring.proofs
        return is_waiting or self._tokens.take(ring.now)

    def _answer(self, message: FindSuccessor) -> None:
        ring = self._ring
        joiner = message.path[0] if message.joining else ""
        listed = tuple(entry.address for entry in ring.successors.entries if entry.address != joiner)
        found = Found(
            incarnation=ring.incarnation,
            extra=ring.extra,
            request=message.request,
            predecessor=ring.peer.address,
            successors=listed or (ring.peer.address,),
            path=(*message.path, ring.peer.address),
            position=len(message.path) - 1,
        )
        ring.send(peer_at(Address(message.path[-1])), found)

    def _copy(self, message: FindSuccessor, path: tuple[str, ...]) -> FindSuccessor:
        return FindSuccessor(
            incarnation=self._ring.incarnation,
            extra=self._ring.extra,
            request=message.request,
            target=message.target,
            path=path,
            joining=message.joining,
        )
