"""The peers of a state: how each comes, changes and ends. Events may come in any order and about anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Final

from cicada.ids import Address, place_of
from visualizer.model.bounds import NAME, NAMES, PEERS, place_in
from visualizer.model.peers import by_address, group_of
from visualizer.model.state import PeerState, PeerView, SwarmState

FREEZE: Final = "freeze"
GONE: Final = (PeerState.LEFT, PeerState.DEAD, PeerState.RESTARTING)
"""Whoever is so says nothing any more: what still arrives was said before. Only a new start ends it."""

_fields: Final = attrgetter(
    *(field.name for field in fields(PeerView))
)  # copy.copy takes three times as long

_PHASES: Final = {
    "idle": PeerState.STARTING,
    "joining": PeerState.JOINING,
    "alone": PeerState.ALONE,
    "member": PeerState.MEMBER,
}
_ENDS: Final = {"left": PeerState.LEFT, "stopped": PeerState.LEFT}


class Roll:
    """The peers of a state. They are shared with copies of it until they change. ``changed``: the ring is not what it was."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._own: set[str] = set()
        self._lost_with: dict[str, frozenset[str]] = {}  # by worker: those who ended with it
        self._restarts: Counter[str] = Counter()  # by worker and peer, as the launcher counts
        self.changed = False

    def share(self, state: SwarmState) -> Roll:
        """The roll of a copy of the state. Whichever of both changes a peer first does so on a copy of it."""
        self._own.clear()
        other = Roll(state)
        other._lost_with = dict(self._lost_with)
        other._restarts = self._restarts.copy()
        other.changed = self.changed
        return other

    def at(self, name: str) -> PeerView | None:
        """A peer to be changed. None: nobody is known by that name."""
        peer = self._state.peers.get(name)
        if peer is None or name in self._own:
            return peer
        peer = PeerView(*_fields(peer))
        peer.fingers, peer.links, peer.events = set(peer.fingers), set(peer.links), peer.events.copy()
        self._state.peers[name] = peer
        self._own.add(name)
        return peer

    def start(self, name: str, address: str, place: str, worker: str, behaviour: str) -> None:
        """It listens. Whatever was known of a life before is over, but for how often it, or its worker, was started again."""
        if not 0 < len(name) <= NAME or len(address) > NAME or not self._has_room_for(name):
            return
        before = self._state.peers.get(name)
        peer = PeerView(
            name=name,
            address=address,
            place=place_in(place, place_of(Address(address))),
            group=group_of(name),
            worker=worker[:NAME],
            behaviour=behaviour[:NAME],
            restarts=self._restarts[name] + self._restarts[worker],
        )
        if before is not None:
            peer.events = before.events.copy()
        self._state.peers[name] = peer
        self._own.add(name)
        self._claim(peer)
        self._become(peer, self._held_or(peer))

    def move(self, name: str, address: str, place: str, worker: str) -> None:
        """It is reached elsewhere. Others may name its former address for a while."""
        peer = self.at(name)
        if peer is None or peer.state in GONE:
            self.start(name, address, place, worker, peer.behaviour if peer is not None else "")
        elif len(address) <= NAME:
            peer.address, peer.place = address, place_in(place, place_of(Address(address)))
            self._claim(peer)
            self.changed = True

    def enter(self, name: str, phase: str) -> None:
        """Its ring says in which phase it is."""
        peer = self.at(name)
        if peer is not None and peer.state not in GONE and phase in _PHASES:
            peer.phase = _PHASES[phase]
            self._become(peer, self._held_or(peer))

    def hear(self, peer: PeerView) -> None:
        """It said something, or somebody took it in again: so it is no suspect any more."""
        if peer.state is PeerState.SUSPECT:
            self._become(peer, self._held_or(peer))

    def hear_of(self, address: str) -> None:
        """Somebody has this peer at the head of its table."""
        found = by_address(self._state, address)
        if found is not None and found.state is PeerState.SUSPECT:
            peer = self.at(found.name)
            if peer is not None:
                self.hear(peer)

    def suspect(self, address: str) -> None:
        """Somebody took it out of its tables."""
        found = by_address(self._state, address)
        if found is not None and found.state not in GONE and found.state is not PeerState.FROZEN:
            peer = self.at(found.name)
            if peer is not None:
                self._become(peer, PeerState.SUSPECT)

    def stop(self, name: str, how: str) -> None:
        """It ended."""
        peer = self.at(name)
        if peer is not None:
            self._end(peer, _ENDS.get(how, PeerState.DEAD))

    def lose(self, worker: str) -> list[str]:
        """A worker ended, and these peers with it."""
        lost = [
            peer.name
            for peer in self._state.peers.values()
            if peer.worker == worker and peer.state not in GONE
        ]
        if lost or worker in self._lost_with:
            self._lost_with[worker] = frozenset(lost)
        self._end_all(lost, PeerState.DEAD)
        return lost

    def count_actors(self, name: str, restarts: int) -> None:
        """So many actors of a peer were started again within its present life."""
        peer = self.at(name)
        if peer is not None:
            peer.restarts = self._restarts[name] + self._restarts[peer.worker] + restarts

    def bring_back(self, child: str, restarts: int) -> None:
        """Supervision starts a worker or a peer again, for the so manieth time."""
        if child in self._restarts or len(self._restarts) < PEERS:
            self._restarts[child[:NAME]] = restarts
        peer = self._state.peers.get(child)
        lost = self._lost_with.get(child, frozenset()) if peer is None else (child,)
        self._end_all((n for n in lost if peer or self._is(n, PeerState.DEAD)), PeerState.RESTARTING)

    def give_up(self, child: str) -> None:
        """Supervision does not start it any more. A peer that lives yet says itself when it ends."""
        names = [child, *self._lost_with.pop(child, ())]
        self._end_all((n for n in names if self._is(n, PeerState.RESTARTING)), PeerState.DEAD)

    def refresh(self, names: Iterable[str]) -> None:
        """A fault that concerns these began or ended."""
        for name in names:
            peer = self.at(name)
            if peer is None or peer.state in GONE:
                continue
            if peer.state is PeerState.FROZEN or self._is_frozen(name):
                self._become(peer, self._held_or(peer))

    def _is(self, name: str, state: PeerState) -> bool:
        peer = self._state.peers.get(name)
        return peer is not None and peer.state is state

    def _is_frozen(self, name: str) -> bool:
        return any(fault.kind == FREEZE and name in fault.peers for fault in self._state.faults.values())

    def _held_or(self, peer: PeerView) -> PeerState:
        return PeerState.FROZEN if self._is_frozen(peer.name) else peer.phase

    def _end_all(self, names: Iterable[str], state: PeerState) -> None:
        for name in names:
            peer = self.at(name)
            if peer is not None:
                self._end(peer, state)

    def _end(self, peer: PeerView, state: PeerState) -> None:
        """Its tables and rates end with it."""
        self._become(peer, state)
        peer.predecessor, peer.successors, peer.relays, peer.mapped = "", (), (), ""
        peer.fingers.clear()
        peer.links.clear()
        peer.mailbox = peer.in_flight = 0
        peer.sent = peer.delivered = peer.failed = peer.dropped = peer.round_trip_s = 0.0

    def _become(self, peer: PeerView, state: PeerState) -> None:
        self.changed = True
        if peer.state is not state or not peer.since_ms:
            peer.state, peer.since_ms = state, self._state.now_ms

    def _claim(self, peer: PeerView) -> None:
        """It is named by its present address and place, whoever was before."""
        addresses, places = self._state.addresses, self._state.places
        if len(addresses) >= NAMES:
            every = self._state.peers.values()
            addresses.clear()
            places.clear()
            addresses.update((each.address, each.name) for each in every)
            places.update((each.place, each.name) for each in every)
        addresses[peer.address] = places[peer.place] = peer.name

    def _has_room_for(self, name: str) -> bool:
        """Whether one more may be known, perhaps instead of one that ended."""
        peers = self._state.peers
        if name in peers or len(peers) < PEERS:
            return True
        ended = next((peer for peer in peers.values() if peer.state in GONE), None)
        if ended is None:
            self._state.counts["peers not shown"] += 1
            return False
        del peers[ended.name]
        self._own.discard(ended.name)
        if self._state.addresses.get(ended.address) == ended.name:
            del self._state.addresses[ended.address]
        if self._state.places.get(ended.place) == ended.name:
            del self._state.places[ended.place]
        return True
