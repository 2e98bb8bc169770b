"""A small replicated directory: ``Register("alice")`` at one peer, ``Resolve("alice")`` at another.

A name's record, signed by its owner, is kept by the peer that owns the name's place on the ring and by the peers after him. One
machine is all three at once: a replica for others, the owner of its own names, and who resolves. docs/names.md says what is
guaranteed and what is not.
"""

from __future__ import annotations

from collections import Counter

from cicada.errors import Misuse
from cicada.ids import Peer
from cicada.keys.identity import Identity
from cicada.keys.memory import WallClock
from cicada.limits import NAMES, NameLimits
from cicada.services.io import FoundOwner, Received, Sent, TimerFired
from cicada.services.nameasking import Asking
from cicada.services.nameio import NameInput, NameOutput, Register, Release, Released, Resolve, RingChanged
from cicada.services.namekeeper import Keeper
from cicada.services.nameowner import Owner
from cicada.services.namerecords import NameRecord, normal_name
from cicada.services.nameresolving import Resolver
from cicada.wire.names import GetName, NameHeld, NameKept, PutName


class Names:
    """The directory's part at one peer.

    ``identity`` signs this peer's names, ``swarm`` is part of what is signed. ``wall_ms`` tells the wall clock: leases last by it,
    everything else by ``now``. Requests are answered in any order; each Register and Resolve exactly once.
    """

    def __init__(
        self, own: Peer, identity: Identity, swarm: str, wall_ms: WallClock, limits: NameLimits = NAMES
    ) -> None:
        self._keeper = Keeper(own, swarm, wall_ms, limits)
        self._asking = Asking(own, limits, self._keeper.answer_self)
        self._keeper.start(self._asking)
        self._owner = Owner(own, identity, swarm, wall_ms, self._asking, limits)
        self._resolver = Resolver(wall_ms, self._asking, self._keeper, limits)
        self.counted: Counter[str] = self._keeper.counted
        """What others sent and was refused, by reason."""

    def __len__(self) -> int:
        """Records that are kept for the swarm."""
        return len(self._keeper.store)

    def shown(self, name: str) -> NameRecord | None:
        """The record of a name in normal form that is kept here, a release as well. For views and checks."""
        return self._keeper.shown(name)

    def handle(self, input: NameInput, now: float) -> list[NameOutput]:
        """Take an input in at ``now``, monotonic seconds. Never raises for what a peer sent."""
        match input:
            case Received():
                self._receive(input, now)
            case Sent(number, delivered):
                if not delivered:
                    self._asking.undelivered(number, now)
            case FoundOwner(number, owners):
                self._asking.found(number, owners, now)
            case Register():
                self._owner.register(input, now)
            case Resolve():
                self._resolver.resolve(input, now)
            case Release():
                self._release(input, now)
            case RingChanged():
                self._keeper.look_soon(now)
            case TimerFired():
                self._asking.tick(now)
        outputs, self._asking.outputs = self._asking.outputs, []
        return outputs

    def next_deadline(self) -> float | None:
        """When TimerFired is wanted next; it may be in the past when much was due at once."""
        return self._asking.next_deadline()

    def _release(self, release: Release, now: float) -> None:
        try:
            normal = normal_name(release.name)
        except Misuse:
            self._asking.outputs.append(Released(release.name))
            return
        self._resolver.forget(normal)
        self._owner.release(normal, release.lease, now)

    def _receive(self, received: Received, now: float) -> None:
        peer, message = received.peer, received.message
        match message:
            case GetName():
                self._keeper.get(peer, message)
            case PutName():
                self._keeper.put(peer, received.peer_id or peer.address, message, now)
            case NameHeld() | NameKept():
                if not self._asking.answered(peer, message, now):
                    self.counted["name-unasked"] += 1
            case _:
                self.counted["name-malformed"] += 1
