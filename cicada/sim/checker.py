"""The invariants of a running swarm, after every step and at little cost."""

from __future__ import annotations

from cicada.limits import longest_list
from cicada.sim.invariants import overlong, violations
from cicada.sim.swarm import Swarm


class Checker:
    """Checks the rings of the live members whenever something changed since the last look.

    ``least_principals`` is r + 1 for as long as nobody does to the swarm what Zave's theorem does not cover, else 0. Each
    check costs the square of the number of members: meant for small swarms.
    """

    def __init__(self, swarm: Swarm, least_principals: int = 0) -> None:
        self._swarm = swarm
        self._least_principals = least_principals
        self._version = -1
        self.checked = 0
        """How often there was something to check."""

    def broken(self) -> list[str]:
        """What is violated, in words; empty when nothing is, or nothing has changed since the last call."""
        version = self._swarm.world.version
        if version == self._version:
            return []
        self._version = version
        self.checked += 1
        lists, hosts, successors = (
            self._swarm.lists(),
            self._swarm.hosts(),
            self._swarm.world.limits.successors,
        )
        broken = violations(lists, least_principals=self._least_principals)
        return broken + overlong(lists, hosts, successors, longest_list(successors))
