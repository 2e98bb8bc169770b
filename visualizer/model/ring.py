"""The ring as it ought to be, and how far the peers' own tables are from that."""

from __future__ import annotations

from operator import attrgetter

from visualizer.model.state import Health, PeerView, SwarmState, WrongLink


def ring_of(state: SwarmState) -> tuple[PeerView, ...]:
    """The live members in the order of their places. Peers that nobody can dial are in no ring."""
    live = [peer for peer in state.peers.values() if peer.state.is_live and not peer.hidden]
    live.sort(key=attrgetter("place", "name"))
    return tuple(live)


def health_of(state: SwarmState) -> Health:
    """Every live member's head must be the next live member, and its predecessor the one before. In a ring of one both are the
    member itself, or nobody."""
    ring = ring_of(state)
    members = len(ring)
    heads = predecessors = 0
    wrong: list[WrongLink] = []
    for index, peer in enumerate(ring):
        due = ring[(index + 1) % members]
        head = peer.successors[0] if peer.successors else ""
        if head == due.address or (members == 1 and not head):
            heads += 1
        else:
            wrong.append(WrongLink(peer=peer.name, seen=head, due=due.name))
        before = peer.predecessor
        predecessors += before == ring[index - 1].address or (members == 1 and not before)
    return Health(members=members, right_heads=heads, right_predecessors=predecessors, wrong=tuple(wrong))
