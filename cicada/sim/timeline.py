"""What a scenario does to its swarm, and when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

from cicada.ids import Peer
from cicada.sim.faults import CutOff, Freeze, do
from cicada.sim.scenario import Fault as Planned
from cicada.sim.scenario import Scenario, amount_of, are_hosts
from cicada.sim.swarm import Swarm

Changed = Callable[[Peer], None]
"""Told whenever a peer died, froze or thawed by the timeline."""

_SEEDS = 3  # whom a joiner may ask: one of them may die meanwhile
_FEWEST = 2  # churn leaves so many peers alive


class Timeline:
    """Enters all faults of a scenario into its swarm's agenda. ``peers`` are those that the swarm was started with."""

    def __init__(self, swarm: Swarm, scenario: Scenario, case: float | None, changed: Changed) -> None:
        self._swarm = swarm
        self._changed = changed
        self._end = scenario.sim.duration
        self._newcomers = map(scenario.peer, count(scenario.peers(case)))
        for index, planned in enumerate(scenario.faults):
            rng = swarm.rng_of("fault", index)
            if planned.do == "churn":
                is_varied = scenario.sweep is not None and scenario.sweep.over == "churn"
                self._churn(planned, case if is_varied else None, rng)
            else:
                swarm.at(planned.at, partial(self._happen, planned, rng))

    def _happen(self, planned: Planned, rng: Random) -> None:
        swarm = self._swarm
        if planned.do == "join":
            through = swarm.members()[:1] if planned.through == "one" else ()
            for _ in range(amount_of(planned.select, len(swarm.live()))):
                self._join(rng, through)
            return
        if planned.do == "part":
            do(swarm, CutOff(_parts(swarm.live(), planned.into, rng), planned.for_))
            return
        for peer in self._chosen(planned, rng):
            if planned.do == "restart":
                self._restart(peer, rng)
            else:
                self._end_peer(peer, planned)

    def _chosen(self, planned: Planned, rng: Random) -> list[Peer]:
        live = self._swarm.live()
        if not are_hosts(planned.select):
            return rng.sample(live, amount_of(planned.select, len(live)))
        host_of = self._swarm.world.host_of
        hosts = sorted({host_of(peer.address) for peer in live})
        chosen = rng.sample(hosts, amount_of(planned.select, len(hosts)))
        return [peer for peer in live if host_of(peer.address) in chosen]

    def _end_peer(self, peer: Peer, planned: Planned) -> None:
        swarm = self._swarm
        if planned.do == "freeze":
            do(swarm, Freeze(peer, planned.for_))
            swarm.at(planned.end, partial(self._changed, peer))
        elif planned.do == "leave":
            swarm.leave(peer)
        else:
            swarm.crash(peer, closes_links=planned.do == "kill")
        self._changed(peer)

    def _restart(self, peer: Peer, rng: Random) -> None:
        others = [member for member in self._swarm.members() if member != peer]
        self._swarm.crash(peer)
        self._changed(peer)
        self._swarm.join(peer, *rng.sample(others, min(_SEEDS, len(others))))

    def _join(self, rng: Random, through: tuple[Peer, ...] = ()) -> None:
        members = self._swarm.members()
        seeds = through or tuple(rng.sample(members, min(_SEEDS, len(members))))
        self._swarm.join(next(self._newcomers), *seeds)

    def _churn(self, planned: Planned, rate: float | None, rng: Random) -> None:
        for part, own_rate, act in (
            ("joins", planned.joins, self._join),
            ("failures", planned.failures, self._fail),
        ):
            split = self._swarm.rng_of("churn", part, rng.getrandbits(64))
            self._next(planned.at, own_rate if rate is None else rate, act, split)

    def _next(self, after: float, rate: float, act: Callable[[Random], None], rng: Random) -> None:
        at = after + rng.expovariate(rate) if rate > 0 else self._end
        if at < self._end:
            self._swarm.at(at, partial(self._arrive, at, rate, act, rng))

    def _arrive(self, at: float, rate: float, act: Callable[[Random], None], rng: Random) -> None:
        act(rng)
        self._next(at, rate, act, rng)

    def _fail(self, rng: Random) -> None:
        members = self._swarm.members()
        if len(members) > _FEWEST:
            peer = rng.choice(members)
            self._swarm.crash(peer, closes_links=False)
            self._changed(peer)


def _parts(peers: tuple[Peer, ...], into: int, rng: Random) -> tuple[tuple[Peer, ...], ...]:
    shuffled = rng.sample(peers, len(peers))
    return tuple(tuple(shuffled[start::into]) for start in range(into))
