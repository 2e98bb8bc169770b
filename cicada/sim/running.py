"""One run of a scenario: a swarm, its timeline and load, and everything that is measured on the way."""

from __future__ import annotations

import msgspec
from msgspec import structs

from cicada.errors import Misuse
from cicada.sim.conditions import Conditions
from cicada.sim.harm import roles
from cicada.sim.measuring import Chart, Costs, Gauge, Meter, Point, Reached, begins
from cicada.sim.scenario import Scenario
from cicada.sim.swarm import Swarm
from cicada.sim.timeline import Timeline
from cicada.sim.traffic import Lookups, Messages, Traffic
from cicada.sim.warm import warm_start

LOOK = 0.02
"""Seconds between two looks at timed checks that are awaited: what is said of them is at most so much too late."""

_LINGER = 5.0  # a timed check must have been true this long before a run ends early
_STRIDE = 1.0  # seconds between two looks while nothing is awaited


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one run brought. The same for the same scenario and seed, in every process. ``beside``: what became of the same
    messages sent in the other way that the scenario compares with."""

    case: float | None
    seed: int
    peers: int
    live: int
    seconds: float
    is_ideal: bool
    lost_rings: int
    known: float
    reached: tuple[Reached, ...]
    costs: tuple[Costs, ...]
    lookups: Lookups
    messages: Messages
    points: tuple[Point, ...]
    beside: Messages | None = None

    @property
    def is_split(self) -> bool:
        """Whether a peer lost its ring, or the ring was not one and ideal in the end."""
        return self.lost_rings > 0 or not self.is_ideal


class Run:
    """Call ``advance`` until it returns False, then ``result``. The first call starts the swarm, which takes longest."""

    def __init__(self, scenario: Scenario, seed: int, case: float | None = None) -> None:
        self._scenario = scenario
        self._case = case
        self._end = scenario.sim.duration
        network = scenario.network
        self.swarm = Swarm(
            seed,
            limits=scenario.ring.limits(),
            delivery=scenario.delivery.limits(),
            conditions=Conditions(
                latency=network.latency,
                loss=network.loss,
                duplication=network.duplication,
                reordering=network.reordering,
            ),
            seals=scenario.load.messages > 0,
        )
        self._marks = sorted({begins(expect, scenario.settles_from) for expect in scenario.expects} | {0.0})
        self._timed = sorted(
            {
                (begins(expect, scenario.settles_from), expect.check)
                for expect in scenario.expects
                if expect.is_timed
            }
        )
        self._gauges: list[Gauge] = []
        self._meters: list[Meter] = []
        self._chart = Chart(self.swarm)
        self._traffic: Traffic | None = None
        self._runs_fully = any(
            not expect.is_timed and expect.check != "splits" for expect in scenario.expects
        )
        self._runs_fully |= not self._timed or scenario.load.lookups + scenario.load.messages > 0
        self._held_since: float | None = None
        self._done: RunResult | None = None
        self._rival: Run | None = None

    def advance(self) -> bool:
        """Let some virtual time pass; False when the run is over, and the one beside it."""
        if self._rival is not None:
            return self._rival.advance()
        if self._advance():
            return True
        if self._scenario.delivery.beside == "nothing":
            return False
        self._done = self.result()
        self._rival = Run(_plain(self._scenario), self.swarm.world.seed, self._case)
        self.swarm, self._traffic = self._rival.swarm, None  # a large ring need not be kept twice
        self._gauges, self._meters = [], []
        return True

    def _advance(self) -> bool:
        if self._traffic is None:
            self._traffic = self._start()
            return True
        swarm = self.swarm
        if swarm.now >= self._end or self._has_settled():
            return False
        until = min(self._end, swarm.now + (LOOK if self._is_awaiting() else _STRIDE))
        upcoming = [mark for mark in self._marks if mark > swarm.now]
        swarm.run_for(min([until, *upcoming[:1]]) - swarm.now)
        self._begin_marks()
        self._look()
        return True

    @property
    def progress(self) -> float:
        """The share of the run's longest duration that has passed, from 0 to 1."""
        share = min(1.0, self.swarm.now / self._end)
        if self._scenario.delivery.beside == "nothing":
            return share
        return (share + (self._rival is not None)) / 2

    def result(self) -> RunResult:
        """What was measured."""
        if self._done is not None and self._rival is not None:
            return structs.replace(self._done, beside=self._rival.result().messages)
        if self._traffic is None:
            raise Misuse("the run has not begun")
        swarm, live = self.swarm, self.swarm.live()
        known = sum(len(swarm.peer(peer).table.known) for peer in live)
        return RunResult(
            case=self._case,
            seed=swarm.world.seed,
            peers=self._scenario.peers(self._case),
            live=len(live),
            seconds=round(swarm.now, 6),
            is_ideal=swarm.is_ideal(),
            lost_rings=self._traffic.lost,
            known=known / len(live) if live else 0.0,
            reached=tuple(gauge.result() for gauge in self._gauges),
            costs=tuple(meter.result() for meter in self._meters),
            lookups=self._traffic.lookups(),
            messages=self._traffic.messages(),
            points=tuple(self._chart.points),
        )

    # Parts

    def _start(self) -> Traffic:
        swarm = self.swarm
        peers = [self._scenario.peer(number) for number in range(self._scenario.peers(self._case))]
        parts = roles(self._scenario, peers, swarm.rng_of("roles"))
        for peer, behaviour in parts.bad.items():
            swarm.peer(peer).behaviour = behaviour
        warm_start(swarm, peers)
        traffic = Traffic(swarm, self._scenario, parts)
        Timeline(swarm, self._scenario, self._case, traffic.changed)
        swarm.run_for(0.0)
        self._begin_marks()
        return traffic

    def _begin_marks(self) -> None:
        while len(self._meters) < len(self._marks) and self._marks[len(self._meters)] <= self.swarm.now:
            self._meters.append(Meter(self.swarm))
        while len(self._gauges) < len(self._timed) and self._timed[len(self._gauges)][0] <= self.swarm.now:
            after, check = self._timed[len(self._gauges)]
            self._gauges.append(Gauge(self.swarm, check, after))

    def _look(self) -> None:
        for gauge in self._gauges:
            gauge.look()
        for meter in self._meters:
            meter.look()
        self._chart.look()

    def _is_awaiting(self) -> bool:
        """Whether a timed check has not come true yet, or has only just."""
        return any(gauge.reached is None for gauge in self._gauges)

    def _has_settled(self) -> bool:
        swarm = self.swarm
        is_done = len(self._gauges) == len(self._timed) and not self._is_awaiting()
        if self._runs_fully or not is_done or swarm.now < self._scenario.settles_from:
            self._held_since = None
            return False
        if self._held_since is None:
            self._held_since = swarm.now
        return swarm.now - self._held_since >= _LINGER


def _plain(scenario: Scenario) -> Scenario:
    """The same scenario over plain Chord with excluded first hops."""
    update = {"coloured": False, "beside": "nothing"}
    return scenario.model_copy(update={"delivery": scenario.delivery.model_copy(update=update)})
