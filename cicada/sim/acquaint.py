"""Sessions that are there from the beginning, so that what is measured is not first contact."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from cicada.ids import Peer
from cicada.keys.io import SessionKeys, SessionReady
from cicada.keys.trust import Trust
from cicada.sim.peer import SimPeer
from cicada.sim.swarm import Swarm
from cicada.wire.fields import MAX_INDEX

_KEY_BYTES = 32


def acquaint(swarm: Swarm, pairs: Iterable[tuple[Peer, Peer]]) -> None:
    """Give each pair of live peers a session that either may send by. It is sealed like the product's, so what relays alter is
    noticed; nothing crosses the network and no virtual time passes. Costs some 50 us a pair."""
    rng = swarm.rng_of("sessions")
    for one, other in pairs:
        _introduce(swarm.peer(one), swarm.peer(other), rng)


def _introduce(one: SimPeer, other: SimPeer, rng: Random) -> None:
    keys = rng.randbytes(_KEY_BYTES), rng.randbytes(_KEY_BYTES)
    indexes = rng.randint(1, MAX_INDEX), rng.randint(1, MAX_INDEX)
    for side, (own, there) in enumerate(((one, other), (other, one))):
        session = SessionKeys(
            peer=there.peer,
            boot=there.boot,
            index=indexes[side],
            remote_index=indexes[1 - side],
            initiated=True,
            verified=True,
            trust=Trust.FIRST_CONTACT,
            seal_key=keys[side],
            open_key=keys[1 - side],
        )
        own.route(SessionReady(session))
