"""Answering handshakes of others: at most so many a second, each message 1 once, and only from whoever it should be.

What is too much gets no answer, so that it costs nothing: whoever opened it says the same bytes again. What a message 1 claims
costs nobody but its sender: the share of a key, and what all may have together, is charged once the handshake has proven that
key. Before that only the link over which it came is charged, and it alone cannot use up what all links may have.
"""

from __future__ import annotations

from collections import Counter

from cicada.errors import PeerFault
from cicada.events import HandshakeRefused, KeyChanged, PinMade
from cicada.ids import Address, Peer, peer_at, place_to_bytes
from cicada.keys.handshakes import Heard, Opened, is_for, new_index, reason_of
from cicada.keys.hidden import homes_in
from cicada.keys.identity import Entropy
from cicada.keys.io import Answered, Emit, NegotiatorOutput, NotTaken, PinLearned
from cicada.keys.memory import Memory, digest_of
from cicada.keys.pins import Pin
from cicada.tokens import Shares, TokenBucket
from cicada.wire.routed import Contact, ContactReply


class Answering:
    """The responder's half of a Negotiator, whose ``counts`` it shares."""

    def __init__(self, memory: Memory, boot: int, entropy: Entropy, counts: Counter[str]) -> None:
        self._memory = memory
        self._boot = boot
        self._entropy = entropy
        self._counts = counts
        limits = memory.limits
        self._tries = TokenBucket(limits.try_rate, limits.try_burst)
        self._tries_by_link = Shares(limits.try_link_rate, limits.try_link_burst, limits.links)
        self._all = TokenBucket(limits.accept_rate, limits.accept_burst)
        self._by_link = Shares(limits.accept_link_rate, limits.accept_link_burst, limits.links)
        self._by_key = Shares(limits.accept_key_rate, limits.accept_key_burst, limits.accepted_keys)
        self._told = TokenBucket(limits.told_rate, limits.told_burst)
        self._told_of_keys = TokenBucket(limits.told_rate, limits.told_burst)

    def answer(
        self, contact: Contact, link: Peer | None, crossing: Opened | None, now: float
    ) -> list[NegotiatorOutput]:
        """What to say to a Contact that came over the link with ``link``. ``crossing``: the handshake that this side has open with
        the same peer."""
        peer = peer_at(Address(contact.origin))
        digest = digest_of(contact.origin.encode(), contact.selector, contact.handshake)
        known = self._memory.accepted.answer_to(digest, now)
        if known is not None:
            return [Answered(self._reply(contact, peer, known), None)]
        if not is_for(contact, self._memory.own):
            return self._refuse(peer, "not-for-here", now)
        if not (self._tries_by_link.take(link, now) and self._tries.take(now)):
            return self._refuse(peer, "rate", now)
        try:
            heard = Heard(self._memory, self._entropy, contact, peer)
            if not self._may_open(heard.record.static_key, link, now):
                raise PeerFault("rate")
            return self._accept(heard, contact, crossing, digest, now)
        except PeerFault as fault:
            return self._refuse(peer, reason_of(fault), now)

    def _accept(
        self, heard: Heard, contact: Contact, crossing: Opened | None, digest: bytes, now: float
    ) -> list[NegotiatorOutput]:
        memory = self._memory
        peer, record = heard.peer, heard.record
        if self._own_wins(crossing, record.static_key, now):
            raise PeerFault("crossed")
        try:
            is_pinned = memory.trust.check(record, heard.opening.succession)
        except PeerFault as fault:
            if fault.reason == "key-changed":
                return [*self._refuse(peer, fault.reason, now), *self._changed(peer, record.peer_id, now)]
            raise
        memory.accepted.note_time(record.static_key, heard.opening.time_ms, memory.wall_ms())
        trust = memory.trust.trust(peer.address)
        index = new_index(self._entropy)
        message = heard.answer(memory, self._boot, index)
        memory.accepted.note_answer(digest, message, now)
        verified = is_pinned or (crossing is not None and crossing.static_key == record.static_key)
        keys = heard.keys(index, trust, verified=verified)
        homes = homes_in(record, memory.swarm, memory.wall_ms())
        outputs: list[NegotiatorOutput] = [Answered(self._reply(contact, peer, message), keys, homes)]
        before = memory.trust.pin(peer.address)
        pin = memory.trust.learn(record, memory.wall_ms()) if is_pinned else None
        return outputs if pin is None else outputs + learned(before, pin)

    def _own_wins(self, crossing: Opened | None, static_key: bytes, now: float) -> bool:
        """Two peers opened a session at once, so that both messages 1 are on their way: that of the lower place goes on. When
        it got no answer for a while, the other one is as good."""
        if crossing is None or crossing.static_key != static_key:
            return False
        is_recent = now - crossing.began < self._memory.limits.handshake_doubt
        return is_recent and self._memory.own.place < crossing.peer.place

    def _may_open(self, static_key: bytes, link: Peer | None, now: float) -> bool:
        """The narrowest share first: whoever has used up his own takes nothing of what all have."""
        return (
            self._by_key.take(static_key, now)
            and self._by_link.take(link, now)
            and self._all.take(now)
            and self._memory.accepting.take(now)
        )

    def _reply(self, contact: Contact, peer: Peer, message: bytes) -> ContactReply:
        return ContactReply(
            target=place_to_bytes(peer.place),
            origin=self._memory.own.address,
            hops=0,
            way=contact.way,
            request=contact.request,
            handshake=message,
        )

    def _changed(self, peer: Peer, shown: str, now: float) -> list[NegotiatorOutput]:
        if not self._told_of_keys.take(now):
            return []
        pin = self._memory.trust.pin(peer.address)
        pinned = "" if pin is None else pin.peer_id
        return [Emit(KeyChanged(address=peer.address, pinned=pinned, shown=shown))]

    def _refuse(self, peer: Peer, reason: str, now: float) -> list[NegotiatorOutput]:
        """All are counted, but few told of: a stranger must not fill a log, in whose name he likes."""
        self._counts[f"refused:{reason}"] += 1
        told = self._told.take(now)
        return [
            NotTaken(reason),
            *([Emit(HandshakeRefused(remote=peer.address, reason=reason))] if told else []),
        ]


def learned(before: Pin | None, pin: Pin) -> list[NegotiatorOutput]:
    """What to tell about a pin that is new or changed."""
    if before is not None and before.signing_key == pin.signing_key:
        return [PinLearned(pin)]
    succeeds, replaced = (b"", "") if before is None else (before.signing_key, before.peer_id)
    return [
        PinLearned(pin, succeeds),
        Emit(PinMade(address=pin.address, key=pin.peer_id, replaced=replaced)),
    ]
