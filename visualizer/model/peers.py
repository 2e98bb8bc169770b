"""Questions about peers: who is at an address, who is near, who is meant."""

from __future__ import annotations

from visualizer.model.bounds import place_in
from visualizer.model.state import PeerView, SwarmState


def by_address(state: SwarmState, address: str) -> PeerView | None:
    """The peer that an address names, also by one where it was before. None: nobody is known there."""
    name = state.addresses.get(address)
    return state.peers.get(name) if name is not None else None


def name_at(state: SwarmState, address: str) -> str:
    """The name of whoever is at an address, and the address itself when nobody is known there."""
    return state.addresses.get(address, address)


def name_of_target(state: SwarmState, target: str) -> str:
    """The name of whoever is exactly at an address, or at a place of 64 hexadecimal digits; else the text itself."""
    if target in state.addresses:
        return state.addresses[target]
    return state.places.get(place_in(target, -1), target)


def group_of(name: str) -> str:
    """The group of a peer by its name, ``group-7``. Empty for a name of another form."""
    group, dash, number = name.rpartition("-")
    return group if dash and number.isdigit() else ""


def find_peers(state: SwarmState, text: str) -> list[str]:
    """The peers whose name, address, mapped address, group or state holds ``text``, or whose place begins with it. Whoever has
    that very name or address comes first."""
    wanted = text.strip().casefold()
    if not wanted:
        return []
    found = [peer for peer in state.peers.values() if _matches(peer, wanted)]
    found.sort(key=lambda peer: (wanted not in (peer.name.casefold(), peer.address), peer.group, peer.place))
    return [peer.name for peer in found]


def _matches(peer: PeerView, wanted: str) -> bool:
    return (
        wanted in peer.name.casefold()
        or wanted in peer.address
        or (peer.mapped != "" and wanted in peer.mapped)
        or wanted == peer.state.value
        or f"{peer.place:064x}".startswith(wanted)
    )
