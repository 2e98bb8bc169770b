"""Which peers of a scenario do harm on purpose, and which the messages go to."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from cicada.ids import Peer
from cicada.routing.behaviour import Behaviour
from cicada.sim.scenario import Scenario, amount_of


class Roles(msgspec.Struct, frozen=True):
    """``bad`` peers with what they do, and the ``targets`` of all messages (none: everybody)."""

    bad: dict[Peer, Behaviour]
    targets: tuple[Peer, ...]


HONEST = Roles({}, ())
"""Nobody does harm, and everybody is sent to."""


def roles(scenario: Scenario, peers: Sequence[Peer], rng: Random) -> Roles:
    """Draw them. A target is honest, and peers before one are bad by ``neighbours`` only, where that is said."""
    ordered = sorted(peers, key=lambda peer: peer.place)
    at = rng.sample(range(len(ordered)), min(scenario.load.targets or 0, len(ordered)))
    targets = tuple(ordered[index] for index in at)
    near = [_before(ordered, index, scenario.ring.limits().successors) for index in at]
    bad: dict[Peer, Behaviour] = {}
    spared = set(targets)
    for planned in sorted(scenario.bad, key=lambda planned: planned.where != "neighbours"):
        behaviour = Behaviour(planned.behaviour, planned.behaviour_share)
        if planned.where == "neighbours":
            spared.update(peer for group in near for peer in group)
        for group in near if planned.where == "neighbours" else [ordered]:
            but = {*bad, *(targets if group is not ordered else spared)}
            free = [peer for peer in group if peer not in but]
            chosen = rng.sample(free, min(amount_of(planned.select, len(group)), len(free)))
            bad |= dict.fromkeys(chosen, behaviour)
    return Roles(bad, targets)


def _before(ordered: Sequence[Peer], index: int, count: int) -> list[Peer]:
    """The peers before the one at ``index``, nearest first."""
    return [ordered[(index - step) % len(ordered)] for step in range(1, min(count, len(ordered) - 1) + 1)]
