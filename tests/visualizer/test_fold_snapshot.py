"""Whoever joins late sees what everybody sees: a snapshot and what came after it give the state that all events give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.bus.snapshot import Snapshot, assemble, make_part, read_snapshot
from cicada.bus.standing import Standing
from cicada.bus.tolerant import Unknown
from cicada.events import (
    AddressChanged,
    AnyEvent,
    ChildRestarted,
    Envelope,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    LinkClosed,
    LinkOpened,
    LoadEnded,
    LoadInterval,
    OpInterval,
    PeerStarted,
    PeerStopped,
    PhaseChanged,
    PortMapped,
    PortMappingLost,
    PredecessorChanged,
    RelaysChanged,
    RunStateChanged,
    SuccessorsChanged,
    WorkerExited,
    WorkerStarted,
)
from cicada.ids import Address, place_of
from visualizer.model.fold import SwarmFold
from visualizer.model.state import Kind, PeerState, SwarmState

from .tellings import START_MS, at, folded, ring, told

WORKERS = ("worker-0", "worker-1")


class Swarm:
    """A swarm that behaves, though by chance: workers and a launcher that tell only what may happen, and can say what stands."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._standing: defaultdict[str, Standing] = defaultdict(Standing)
        self._known: dict[str, Standing] = {}
        self._living: dict[str, int] = {}  # where each lives: the number of its address
        self._links: defaultdict[str, list[str]] = defaultdict(list)
        self._running: set[str] = set()
        self._restarts: defaultdict[str, int] = defaultdict(int)
        self._frozen: dict[int, tuple[str, ...]] = {}
        self._faults = 0
        self._ms = 0

    def events(self, steps: int) -> Iterator[Envelope]:
        for worker in WORKERS:
            yield from self._launch(worker)
        for _ in range(steps):
            self._ms += 1
            yield from self._rng.choice(
                (
                    *(self._of_peer,) * 9,
                    self._come,
                    self._come,
                    self._go,
                    self._fault,
                    self._crash,
                    self._load,
                )
            )()

    def snapshot(self) -> Snapshot:
        parts = {
            source: make_part(source, 1, {}, self._standing[source].events(), START_MS + self._ms)
            for source in ("launcher", *WORKERS)
        }
        launcher = parts.pop("launcher")
        raw = assemble(launcher, parts.values(), time_ms=START_MS + self._ms, name="swarm", run="run")
        return read_snapshot(raw)

    def _tell(self, source: str, event: AnyEvent, peer: str = "") -> Iterator[Envelope]:
        yield told(event, peer, source=source, ms=self._ms)
        for more in self._standing[source].note(peer, event):
            yield from self._tell(source, more, peer)

    def _of(self, name: str) -> str:
        return WORKERS[int(name[-1]) % 2]

    def _launch(self, worker: str) -> Iterator[Envelope]:
        self._running.add(worker)
        self._standing[worker] = Standing()
        yield from self._tell("launcher", WorkerStarted(worker=worker, pid=self._rng.randrange(9)))

    def _come(self) -> Iterator[Envelope]:
        name = f"core-{self._rng.randrange(8)}"
        if name in self._living or self._of(name) not in self._running:
            return
        yield from self._start(name)

    def _start(self, name: str) -> Iterator[Envelope]:
        self._living[name] = number = int(name[-1])
        place = f"{place_of(Address(at(number))):064x}"
        event = PeerStarted(address=at(number), place=place, behaviour=self._rng.choice(("", "drop")))
        self._links[name].clear()
        yield from self._tell(self._of(name), event, name)

    def _go(self) -> Iterator[Envelope]:
        if self._living:
            name = self._rng.choice(list(self._living))
            del self._living[name]
            yield from self._tell(self._of(name), PeerStopped(how=self._rng.choice(("left", "killed"))), name)

    def _of_peer(self) -> Iterator[Envelope]:
        if not self._living:
            return
        name = self._rng.choice(list(self._living))
        if not any(name in peers for peers in self._frozen.values()):
            yield from self._tell(self._of(name), self._change(name), name)

    def _change(self, name: str) -> AnyEvent:
        rng, links = self._rng, self._links[name]
        other = at(rng.randrange(8))
        match rng.randrange(10):
            case 0 if links:
                closed = rng.choice(links)
                links.remove(closed)
                return LinkClosed(remote=closed, reason="gone", left=links.count(closed))
            case 1:
                links.append(other)
                return LinkOpened(remote=other, dialled=True)
            case 2:
                return FingersChanged(added=(other,), removed=(at(rng.randrange(8)),))
            case 3:
                return PredecessorChanged(predecessor=rng.choice(("", other)))
            case 4:
                return ChildRestarted(child="router", restarts=rng.randrange(1, 5))
            case 5:
                return PortMapped(
                    port=1, protocol="upnp", gateway="", external=other, lease_s=0.0, is_global=True
                )
            case 6:
                return PortMappingLost(port=1, reason="")
            case 7:
                links.clear()
                before, self._living[name] = at(self._living[name]), rng.randrange(8)
                now = at(self._living[name])
                return AddressChanged(address=now, place=f"{place_of(Address(now)):064x}", before=before)
            case 8:
                return RelaysChanged(relays=rng.choice(((), (other,))))
            case _ if rng.random() < 0.5:
                return PhaseChanged(phase=rng.choice(("member", "member", "joining", "alone", "idle")))
            case _:
                return SuccessorsChanged(successors=(other, at(rng.randrange(8))))

    def _fault(self) -> Iterator[Envelope]:
        if self._frozen and self._rng.random() < 0.6:
            number, peers = self._rng.choice(list(self._frozen.items()))
            ended = tuple(peer for peer in peers if self._rng.random() < 0.7) or peers
            self._frozen[number] = tuple(peer for peer in peers if peer not in ended)
            if not self._frozen[number]:
                del self._frozen[number]
            yield from self._tell(
                "launcher", FaultEnded(fault=number, kind="freeze", peers=ended, reason="thawed")
            )
        elif self._living:
            self._faults += 1
            kind = self._rng.choice(("freeze", "partition"))
            peers = tuple(
                self._rng.sample(sorted(self._living), self._rng.randrange(1, len(self._living) + 1))
            )
            if kind == "freeze":
                self._frozen[self._faults] = peers
            event = FaultStarted(
                fault=self._faults,
                kind=kind,
                one="",
                other="",
                peers=peers,
                others=(),
                seconds=0.0,
                jitter=0.0,
                percent=0.0,
                lasts=None,
            )
            yield from self._tell("launcher", event)

    def _crash(self) -> Iterator[Envelope]:
        worker = self._rng.choice(WORKERS)
        lost = [name for name in self._living if self._of(name) == worker]
        for number in [number for number, peers in self._frozen.items() if set(peers) & set(lost)]:
            event = FaultEnded(
                fault=number, kind="freeze", peers=self._frozen.pop(number), reason="worker-ended"
            )
            yield from self._tell("launcher", event)
        yield from self._tell("launcher", WorkerExited(worker=worker, pid=1, exit="signal 9", expected=False))
        self._restarts[worker] += 1
        yield from self._tell("launcher", ChildRestarted(child=worker, restarts=self._restarts[worker]))
        yield from self._launch(worker)
        for name in lost:
            del self._living[name]
            yield from self._start(name)

    def _load(self) -> Iterator[Envelope]:
        ops = (OpInterval(op="send", started=5),)
        interval = LoadInterval(load=1, start_s=0.0, end_s=1.0, warmup=False, target=5.0, ops=ops)
        over = LoadEnded(load=1, outcome="finished", verdict="", seconds=1.0)
        yield from self._tell("launcher", self._rng.choice((interval, over)))
        yield from self._tell("launcher", RunStateChanged(state=self._rng.choice(("proven", "degraded"))))


def visible(state: SwarmState) -> object:
    """All that is to be the same, whenever one joined. Whoever ended long ago may be forgotten, and what it listened to."""
    peers = {
        name: (
            *(peer.address, peer.place, peer.worker, peer.state, peer.behaviour, peer.mapped),
            *(peer.predecessor, peer.successors, peer.fingers, peer.links, peer.restarts, peer.relays),
        )
        for name, peer in state.peers.items()
        if peer.state not in (PeerState.LEFT, PeerState.DEAD)
    }
    faults = {number: (fault.kind, fault.peers) for number, fault in state.faults.items()}
    return peers, faults, set(state.workers), state.run_state, state.health


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), before=st.integers(0, 80), after=st.integers(0, 40))
def test_a_snapshot_and_the_rest_are_as_good_as_everything(seed: int, before: int, after: int) -> None:
    swarm = Swarm(Random(seed))
    whole = folded(swarm.events(before))
    late = folded(ring(3))  # another swarm, of which nothing may be left
    late.reset(swarm.snapshot())
    assert visible(late.state) == visible(whole.state)
    for _ in range(after):
        for envelope in swarm._of_peer():
            whole.apply(envelope)
            late.apply(envelope)
    assert visible(late.state) == visible(whole.state)


def test_what_the_window_remembers_outlives_a_snapshot_and_is_not_told_twice() -> None:
    fold = folded([*ring(3), told(PeerStopped(how="killed"), "core-0")])
    lines, marks = list(fold.state.log), list(fold.state.marks)
    snapshot = Snapshot(
        time_ms=START_MS + 9,
        name="swarm",
        run="run",
        sequences={},
        events=tuple(ring(2)),
        unknown=(Unknown("Strange", 9, "worker-0"),),
    )
    fold.reset(snapshot)
    state = fold.state
    assert (state.name, set(state.peers), state.now_ms) == ("swarm", {"core-0", "core-1"}, START_MS + 9)
    assert state.marks == marks
    assert list(state.log) == [
        *lines,
        (START_MS + 9, Kind.RUN, "", "a snapshot of 2 peers was taken", False),
    ]
    assert state.unknown == {"Strange": 1}


def test_the_figures_of_a_load_outlive_a_snapshot_that_knows_only_its_last_second() -> None:
    ops = (OpInterval(op="send", started=5, succeeded=5),)
    second = told(LoadInterval(load=1, start_s=0.0, end_s=1.0, warmup=False, target=5.0, ops=ops))
    other = told(LoadInterval(load=2, start_s=0.0, end_s=1.0, warmup=False, target=5.0, ops=ops))
    for last, succeeded in ((second, 15), (other, 5)):
        fold = folded([second] * 3)
        fold.reset(Snapshot(time_ms=1, name="", run="", sequences={}, events=(last,)))
        assert fold.state.load is not None
        assert fold.state.load.succeeded == succeeded
    assert SwarmFold().state.load is None
