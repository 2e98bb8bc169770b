"""A swarm some of whose peers nobody can dial: links begin at them, and end when either side does."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from cicada.chord.io import OwnerFound
from cicada.ids import Peer, hidden_address, is_hidden, peer_at, place_from_bytes
from cicada.keys.identity import Identity
from cicada.keys.trust import TrustStore
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.io import (
    DialBack,
    Findable,
    Keep,
    Locate,
    Located,
    Lodged,
    LodgingHeard,
    NextHopLost,
    NotLodged,
    RelayLost,
    RouterInput,
    SeekLodging,
)
from cicada.transport.linkio import Need
from cicada.wire.codec import decode, encode
from cicada.wire.routed import LodgingMessage, RoutedBase, RouterMessage
from tests.routing.swarm import LINK_TIMEOUT, ForHidden, Node, Swarm, clockwise

SOURCE: Final = "local"


class Sheltered(Swarm):
    """``members`` in an ideal ring, and ``hidden`` peers that begin by asking the first member. All have keys."""

    def __init__(
        self,
        members: int,
        hidden: int,
        *,
        seed: int = 1,
        limits: DeliveryLimits = DELIVERY,
        loss: float = 0.0,
    ) -> None:
        self.links: set[frozenset[Peer]] = set()  # that hidden peers made
        self.kept: dict[Peer, frozenset[Peer]] = {}
        self.lodged: dict[Peer, tuple[Peer, ...]] = {}
        self.findable: dict[Peer, bool] = {}
        self.unlodged: list[tuple[Peer, str]] = []
        self.undialled: list[tuple[Peer, Peer]] = []  # who had no link with the hidden peer it sent to
        self.found: dict[int, object] = {}
        super().__init__(members, seed=seed, limits=limits, loss=loss, encrypted=True)
        self.hidden: list[Peer] = []
        for number in range(hidden):
            self.hide(f"hidden {number}")
        self.run(self.is_settled, 10.0)

    def hide(self, name: str) -> Peer:
        """One hidden peer more; it begins to seek relays."""
        identity = Identity.derive(bytes(32), name)
        peer = peer_at(hidden_address(identity.peer_id))
        self.identities[peer] = identity
        self.secrets[peer] = []
        self.stores[peer] = TrustStore()
        self.nodes[peer] = self._new_node(peer)
        self.hidden.append(peer)
        self.feed(peer, SeekLodging(self.peers[:1], self.now + 10.0))
        return peer

    def is_settled(self) -> bool:
        """Whether each hidden peer has as many relays as it wants, and its record is with who keeps it."""
        wanted = min(3, len(self.peers))
        return all(len(self.relays(peer)) == wanted and self.is_published(peer) for peer in self.hidden)

    def relays(self, peer: Peer) -> tuple[Peer, ...]:
        return self.lodged.get(peer, ())

    def is_published(self, peer: Peer) -> bool:
        """Whether the first one after its place has the record that names its relays."""
        before = clockwise(peer, [each for each in self.peers if self.nodes[each].is_alive])[-1]
        keeper = self.nodes[before].memory
        memory = self.nodes[peer].memory
        assert keeper is not None
        assert memory is not None
        return keeper.hidden.get(peer.place, self.wall_ms()) == memory.own_record.raw()

    def keeps(self, peer: Peer, hidden: Peer) -> bool:
        """Whether it has a record of the hidden peer."""
        memory = self.nodes[peer].memory
        return memory is not None and bool(memory.hidden.get(hidden.place, self.wall_ms()))

    def kill(self, peer: Peer) -> None:
        """Gone without a word; whoever had a link that a hidden peer made notices soon."""
        super().kill(peer)
        for link in [link for link in self.links if peer in link]:
            self.links.discard(link)
            (other,) = link - {peer}
            self._at(self.now + LINK_TIMEOUT, partial(self._do, other, RelayLost(peer)))

    def cut(self, one: Peer, other: Peer) -> None:
        """The link between a hidden peer and a relay breaks, and both notice."""
        self.links.discard(frozenset((one, other)))
        self.feed(one, RelayLost(other))
        self.feed(other, RelayLost(one))

    def restart_hidden_router(self, peer: Peer) -> None:
        """As its supervisor does."""
        node = self.nodes[peer]
        node.router = node.fresh_router()
        unsettled: list[RouterInput] = [*node.unsettled.values()]
        for message in (SeekLodging(self.relays(peer), float("inf")), *unsettled):
            self.feed(peer, message)

    def _transmit(self, sender: Peer, receiver: Peer, message: RouterMessage) -> None:
        assert decode(encode(message)) == message, "what is sent, the other side can read"
        super()._transmit(sender, receiver, message)

    def say(self, sender: Peer, receiver: Peer, message: LodgingMessage) -> None:
        assert decode(encode(message)) == message, "what is sent, the other side can read"
        self._at(self.now + self.random.uniform(0.002, 0.05), partial(self._hear, sender, receiver, message))

    def _do(self, peer: Peer, input: RouterInput) -> None:
        self.feed(peer, input)

    def _hear(self, sender: Peer, receiver: Peer, message: LodgingMessage) -> None:
        if not self._reach(sender, receiver):
            self._at(self.now + LINK_TIMEOUT, partial(self._do, sender, NextHopLost(receiver, (message,))))
        else:
            self.feed(receiver, LodgingHeard(sender, message, SOURCE))

    def shelter(self, node: Node, output: ForHidden) -> None:
        match output:
            case Keep(peers, need):
                assert need is Need.LODGING
                self.kept[node.peer] = peers
            case Lodged(relays):
                self.lodged[node.peer] = relays
            case Findable(is_found):
                self.findable[node.peer] = is_found
            case NotLodged(reason):
                self.unlodged.append((node.peer, reason))
            case Locate(ticket, place):
                alive = [peer for peer in self.peers if self.nodes[peer].is_alive]
                owner = next((peer for peer in alive if peer.place >= place), alive[0])
                before = clockwise(owner, alive)[-1]
                found = OwnerFound(ticket, owner, before, (node.peer, before), 1)
                self._at(self.now, partial(self._do, node.peer, Located(ticket, found)))
            case DialBack():
                raise AssertionError("nobody here has a candidate")
            case _:
                self.found[output.id] = output

    def _reach(self, sender: Peer, receiver: Peer) -> bool:
        """Whether there is a link, or the sender can make one."""
        link = frozenset((sender, receiver))
        if not self.nodes[receiver].is_alive:
            return False
        if is_hidden(receiver.address):
            if link not in self.links:
                self.undialled.append((sender, receiver))
            return link in self.links
        if is_hidden(sender.address):
            self.links.add(link)
        return True

    def _arrive(self, sender: Peer, receiver: Peer, message: RouterMessage) -> None:
        if self._reach(sender, receiver):
            super()._arrive(sender, receiver, message)
        else:
            self._at(self.now + LINK_TIMEOUT, lambda: self._give_back(sender, receiver, message))

    def counted(self, *peers: Peer) -> dict[str, int]:
        """The counters of these, or of all, together."""
        total: dict[str, int] = {}
        for peer in peers or self.nodes:
            for name, number in self.nodes[peer].router.counters().items():
                total[name] = total.get(name, 0) + number
        return total


def place_in(message: RoutedBase) -> int:
    """Where the hidden peer is that a message is for; 0: none."""
    return place_from_bytes(message.lodging.to) if message.lodging is not None and message.lodging.to else 0


def delivered(swarm: Swarm, ids: Iterable[int]) -> list[bool]:
    """Whether the sender knows of each that it arrived."""
    return [id in swarm.settled and swarm.settled[id].reason is None for id in ids]


def mail(swarm: Sheltered, peer: Peer) -> list[bytes]:
    return [deliver.payload for deliver in swarm.nodes[peer].mailbox]


def exchange(swarm: Sheltered, one: Peer, other: Peer) -> None:
    """A message each way; both arrive, each once."""
    ids = [
        swarm.send(one, other.place, b"there", address=other.address),
        swarm.send(other, one.place, b"back", address=one.address),
    ]
    swarm.run_until_settled(ids)
    assert delivered(swarm, ids) == [True, True]
    assert (mail(swarm, other), mail(swarm, one)) == ([b"there"], [b"back"])
