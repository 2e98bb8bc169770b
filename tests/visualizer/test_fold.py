"""The state of a swarm follows from its events: how peers come, change and end, and what a window shows of it."""

from __future__ import annotations

import pytest

from cicada.bus.tolerant import Unknown
from cicada.events import (
    AddressChanged,
    AnyEvent,
    ChildExited,
    ChildRestarted,
    EdgeCount,
    Escalated,
    EventsLost,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    LinkClosed,
    LinkOpened,
    LoadEnded,
    LoadInterval,
    LoadStarted,
    MessageDropped,
    MessageSettled,
    OpInterval,
    PeerMeasured,
    PeerStarted,
    PeerStopped,
    PeerSuspected,
    PhaseChanged,
    PortMapped,
    PortMappingLost,
    PredecessorChanged,
    RunStateChanged,
    SuccessorsChanged,
    TrafficCounted,
    WorkerExited,
    WorkerStarted,
)
from cicada.ids import Address, place_of
from visualizer.model import roll
from visualizer.model.fold import SwarmFold
from visualizer.model.peers import by_address, find_peers
from visualizer.model.state import Kind, PeerState

from .tellings import START_MS, at, folded, peer_of, ring, started, told


def settled(status: str) -> MessageSettled:
    return MessageSettled(message=7, status=status, reason="timed out", attempts=2, hops=1, round_trip_s=0.1)


def freeze(*peers: str, number: int = 1, kind: str = "freeze") -> FaultStarted:
    return FaultStarted(
        fault=number,
        kind=kind,
        one="",
        other="",
        peers=peers,
        others=(),
        seconds=0,
        jitter=0,
        percent=0,
        lasts=None,
    )


def thaw(*peers: str, number: int = 1, kind: str = "freeze") -> FaultEnded:
    return FaultEnded(fault=number, kind=kind, peers=peers, reason="thawed")


def states(fold: SwarmFold) -> dict[str, PeerState]:
    return {name: peer.state for name, peer in fold.state.peers.items()}


def test_a_peer_that_starts_has_its_place_group_and_worker() -> None:
    peer = peer_of(folded([started(3, source="worker-1", ms=5)]), "core-3")
    assert (peer.address, peer.group, peer.worker) == (at(3), "core", "worker-1")
    assert (peer.state, peer.place) == (PeerState.STARTING, place_of(Address(at(3))))
    assert peer.since_ms == START_MS + 5


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("joining", PeerState.JOINING),
        ("alone", PeerState.ALONE),
        ("member", PeerState.MEMBER),
        ("idle", PeerState.STARTING),
        ("never heard of", PeerState.STARTING),
    ],
)
def test_a_peer_is_in_the_phase_that_its_ring_says(phase: str, state: PeerState) -> None:
    fold = folded([started(0), told(PhaseChanged(phase=phase), "core-0")])
    assert peer_of(fold, "core-0").state is state


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ("left", PeerState.LEFT),
        ("stopped", PeerState.LEFT),
        ("killed", PeerState.DEAD),
        ("failed", PeerState.DEAD),
    ],
)
def test_a_peer_that_ended_stays_in_the_picture_without_its_tables(how: str, state: PeerState) -> None:
    fold = folded([*ring(3), told(LinkOpened(remote=at(1), dialled=True), "core-0")])
    fold.apply(told(PeerStopped(how=how), "core-0", ms=9))
    peer = peer_of(fold, "core-0")
    assert (peer.state, peer.since_ms) == (state, START_MS + 9)
    assert (peer.successors, peer.predecessor, peer.links) == ((), "", set())


def test_what_a_dead_peer_said_before_does_not_bring_it_back_but_a_new_start_does() -> None:
    fold = folded([*ring(3), told(PeerStopped(how="killed"), "core-0")])
    fold.apply(told(PhaseChanged(phase="member"), "core-0"))
    assert peer_of(fold, "core-0").state is PeerState.DEAD
    fold.apply(started(0, ms=3))
    assert peer_of(fold, "core-0").state is PeerState.STARTING
    assert len(peer_of(fold, "core-0").events) > 3, "its last events are those of its life before too"


def test_tables_and_links_are_what_was_said_last() -> None:
    fold = folded([started(0)])
    for event in (
        FingersChanged(added=(at(1), at(2)), removed=()),
        FingersChanged(added=(at(3),), removed=(at(1),)),
        LinkOpened(remote=at(1), dialled=True),
        LinkOpened(remote=at(2), dialled=False),
        LinkClosed(remote=at(1), reason="gone"),
        LinkClosed(remote=at(2), reason="two of them", left=1),
        PortMapped(port=1, protocol="upnp", gateway="", external="1.2.3.4:5", lease_s=0.0, is_global=True),
    ):
        fold.apply(told(event, "core-0"))
    peer = peer_of(fold, "core-0")
    assert (peer.fingers, peer.links, peer.mapped) == ({at(2), at(3)}, {at(2)}, "1.2.3.4:5")
    fold.apply(told(PortMappingLost(port=1, reason=""), "core-0"))
    assert peer_of(fold, "core-0").mapped == ""


def test_a_peer_that_moves_is_found_at_both_addresses() -> None:
    fold = folded([started(0), started(1)])
    moved = AddressChanged(address=at(7), place=f"{place_of(Address(at(7))):064x}", before=at(0))
    fold.apply(told(moved, "core-0"))
    state = fold.state
    assert by_address(state, at(7)) is by_address(state, at(0)) is state.peers["core-0"]
    assert state.peers["core-0"].place == place_of(Address(at(7)))
    assert by_address(state, "nowhere") is None


def test_a_suspect_that_is_heard_of_again_is_none() -> None:
    fold = folded([*ring(3), told(PeerSuspected(suspect=at(0), reason="unreachable"), "core-1")])
    assert peer_of(fold, "core-0").state is PeerState.SUSPECT
    fold.apply(told(SuccessorsChanged(successors=(at(1),)), "core-0"))
    assert peer_of(fold, "core-0").state is PeerState.MEMBER


def test_a_suspect_that_somebody_takes_in_again_is_none() -> None:
    fold = folded([*ring(3), told(PeerSuspected(suspect=at(0), reason="unreachable"), "core-1")])
    fold.apply(told(PredecessorChanged(predecessor=at(0)), "core-2"))
    assert peer_of(fold, "core-0").state is PeerState.MEMBER


def test_a_worker_takes_its_peers_down_and_supervision_brings_them_back() -> None:
    fold = folded([told(WorkerStarted(worker="worker-0", pid=9)), *ring(4, workers=2)])
    fold.apply(told(WorkerExited(worker="worker-0", pid=9, exit="signal 9", expected=False)))
    assert fold.state.workers == {}
    dead, alive = PeerState.DEAD, PeerState.MEMBER
    assert states(fold) == {"core-0": dead, "core-1": alive, "core-2": dead, "core-3": alive}
    fold.apply(told(ChildRestarted(child="worker-0", restarts=1)))
    assert peer_of(fold, "core-0").state is peer_of(fold, "core-2").state is PeerState.RESTARTING
    fold.apply(started(0))
    assert (peer_of(fold, "core-0").state, peer_of(fold, "core-0").restarts) == (PeerState.STARTING, 1)
    fold.apply(told(Escalated(child="worker-0", reason="too often")))
    assert peer_of(fold, "core-2").state is PeerState.DEAD
    assert peer_of(fold, "core-0").state is PeerState.STARTING


def test_whoever_was_dead_before_its_worker_ended_is_not_brought_back_with_it() -> None:
    fold = folded([*ring(2), told(PeerStopped(how="killed"), "core-0")])
    fold.apply(told(WorkerExited(worker="worker-0", pid=9, exit="signal 9", expected=False)))
    fold.apply(told(ChildRestarted(child="worker-0", restarts=1)))
    assert states(fold) == {"core-0": PeerState.DEAD, "core-1": PeerState.RESTARTING}


def test_whoever_came_back_once_and_was_killed_then_is_not_brought_back_again() -> None:
    ended = told(WorkerExited(worker="worker-0", pid=9, exit="signal 9", expected=False))
    again = told(ChildRestarted(child="worker-0", restarts=1))
    fold = folded(
        [started(0), ended, again, started(0), told(PeerStopped(how="killed"), "core-0"), ended, again]
    )
    assert peer_of(fold, "core-0").state is PeerState.DEAD


def test_a_peer_that_failed_is_brought_back_by_name_and_an_actor_without_a_change() -> None:
    fold = folded([*ring(2), told(PeerStopped(how="failed"), "core-0")])
    fold.apply(told(ChildRestarted(child="core-0", restarts=2)))
    assert peer_of(fold, "core-0").state is PeerState.RESTARTING
    fold.apply(told(ChildRestarted(child="router", restarts=1), "core-1"))
    assert peer_of(fold, "core-1").state is PeerState.MEMBER
    assert peer_of(fold, "core-1").restarts == 1
    fold.apply(started(0))
    assert peer_of(fold, "core-0").restarts == 2


def test_a_frozen_peer_thaws_to_what_it_was() -> None:
    fold = folded([*ring(3), told(freeze("core-0", "core-1"))])
    assert peer_of(fold, "core-0").state is PeerState.FROZEN
    fold.apply(told(PeerSuspected(suspect=at(0), reason="silent"), "core-2"))
    assert peer_of(fold, "core-0").state is PeerState.FROZEN
    fold.apply(told(thaw("core-0")))
    assert (peer_of(fold, "core-0").state, peer_of(fold, "core-1").state) == (
        PeerState.MEMBER,
        PeerState.FROZEN,
    )
    assert fold.state.faults[1].peers == {"core-1"}
    fold.apply(told(thaw("core-1")))
    assert (fold.state.faults, peer_of(fold, "core-1").state) == ({}, PeerState.MEMBER)


def test_frozen_twice_is_thawed_when_both_are_over_and_a_partition_freezes_nobody() -> None:
    fold = folded([*ring(2), told(freeze("core-0")), told(freeze("core-0", number=2))])
    fold.apply(told(thaw("core-0")))
    assert peer_of(fold, "core-0").state is PeerState.FROZEN
    fold.apply(told(thaw("core-0", number=2)))
    fold.apply(told(freeze("core-1", number=3, kind="partition")))
    assert set(states(fold).values()) == {PeerState.MEMBER}
    fold.apply(told(thaw("core-1", number=3, kind="partition")))
    assert fold.state.faults == {}


def test_a_worker_that_ends_while_it_is_frozen_leaves_dead_peers() -> None:
    fold = folded([*ring(2), told(freeze("core-0", "core-1"))])
    fold.apply(told(WorkerExited(worker="worker-0", pid=1, exit="signal 9", expected=False)))
    fold.apply(told(thaw("core-0", "core-1")))
    assert set(states(fold).values()) == {PeerState.DEAD}


def test_edges_are_those_that_their_sender_counted_last() -> None:
    fold = folded(ring(3))
    both = (EdgeCount(remote=at(1), counts={"data": 6, "ring": 2}), EdgeCount(remote="unknown", counts={}))
    fold.apply(told(TrafficCounted(seconds=2.0, edges=both), "core-0", ms=4))
    assert list(fold.state.edges) == [("core-0", "core-1")]
    edge = fold.state.edges["core-0", "core-1"]
    assert (edge.rate, edge.rates, edge.at_ms) == (4.0, {"data": 3.0, "ring": 1.0}, START_MS + 4)
    other = (EdgeCount(remote=at(2), counts={"data": 1}),)
    fold.apply(told(TrafficCounted(seconds=1.0, edges=other), "core-0"))
    assert list(fold.state.edges) == [("core-0", "core-2")]
    fold.apply(told(PeerStopped(how="killed"), "core-0"))
    assert fold.state.edges == {}


def test_a_measured_peer_shows_how_busy_it_is() -> None:
    measured = PeerMeasured(
        seconds=1.0,
        mailbox=3,
        in_flight=2,
        links=5,
        sent=7.5,
        delivered=float("nan"),
        failed=-1.0,
        dropped=0.0,
        round_trip_s=0.01,
    )
    peer = peer_of(folded([*ring(1), told(measured, "core-0")]), "core-0")
    assert (peer.mailbox, peer.in_flight, peer.sent, peer.round_trip_s) == (3, 2, 7.5, 0.01)
    assert (peer.delivered, peer.failed) == (0.0, 0.0), "no rate is negative or no number"


def test_the_load_adds_its_intervals_up() -> None:
    begins = LoadStarted(
        load=2,
        model="open",
        ops={"send": 1.0},
        stages=((1.0, 10.0, 50.0),),
        warmup_s=0.0,
        payload="64B",
        targets="uniform",
        duplicates=None,
        timeout_s=1.0,
        seed=1,
        peers=2,
        generators=1,
    )
    ops = (OpInterval(op="send", started=20, succeeded=18, failed=1, dropped=1),)
    second = LoadInterval(load=2, start_s=0.0, end_s=2.0, warmup=False, target=11.0, ops=ops)
    fold = folded([told(begins)])
    assert fold.state.load is not None
    assert fold.state.load.target == 50.0
    for event in (second, second, LoadEnded(load=2, outcome="finished", verdict="", seconds=4.0)):
        fold.apply(told(event))
    load = fold.state.load
    assert load is not None
    assert (load.succeeded, load.failed, load.dropped) == (36, 2, 2)
    assert (load.running, load.outcome, load.target) == (False, "finished", 11.0)


def test_counts_and_losses_add_up() -> None:
    fold = folded([started(0)])
    for event in (settled("delivered"), settled("failed"), EventsLost(count=3, reason="slow")):
        fold.apply(told(event, "core-0"))
    fold.note_lost(2)
    assert (fold.state.counts["delivered"], fold.state.counts["failed"], fold.state.lost) == (1, 1, 5)


def test_kinds_that_are_not_known_are_counted_by_name_and_not_without_end() -> None:
    fold = SwarmFold()
    for index in range(500):
        fold.note_unknown(Unknown(f"Kind{index}", 9, "worker-0"))
    fold.note_unknown(Unknown("Kind0", 9, "worker-0"))
    assert fold.state.unknown["Kind0"] == 2
    assert sum(fold.state.unknown.values()) == 501
    assert len(fold.state.unknown) < 200


def test_lines_name_peers_and_say_what_is_bad() -> None:
    fold = folded(ring(2))
    change = fold.apply(told(PeerSuspected(suspect=at(1), reason="unreachable"), "core-0", ms=7))
    assert change.line is not None
    assert change.line == (START_MS + 7, Kind.RING, "core-0", "suspects core-1: unreachable", True)
    assert fold.state.log[-1] == peer_of(fold, "core-0").events[-1] == change.line
    quiet = fold.apply(told(LinkOpened(remote=at(1), dialled=True), "core-0"))
    assert fold.state.log[-1] == change.line, "links are in the peer's own events only"
    assert peer_of(fold, "core-0").events[-1] == quiet.line
    assert fold.apply(told(settled("delivered"), "core-0")).line is None
    head = peer_of(fold, "core-0").successors[0]
    fold.apply(told(SuccessorsChanged(successors=(head, at(5))), "core-0"))
    assert fold.state.log[-1] == change.line, "a longer list is no news"
    fold.apply(told(SuccessorsChanged(successors=(at(5),)), "core-0"))
    assert fold.state.log[-1].text == f"successor {at(5)}, 1 in the list"


def test_a_phase_is_told_with_its_reason_if_that_says_more() -> None:
    fold = folded([started(0)])
    for phase, reason in (("member", "joined"), ("idle", "lost its ring"), ("dreaming", "")):
        fold.apply(told(PhaseChanged(phase=phase, reason=reason), "core-0"))
    texts = [line.text for line in peer_of(fold, "core-0").events]
    assert texts[1:] == ["is in the ring", "is in no ring: lost its ring", "dreaming"]


def test_why_a_message_was_dropped_is_said_in_words_and_what_was_to_be_expected_is_not_bad() -> None:
    fold = folded([started(0)])
    for reason in ("hop-limit", "broadcast-came-back", "some new reason"):
        fold.apply(told(MessageDropped(reason=reason, count=2), "core-0"))
    assert [(line.text, line.is_bad) for line in list(fold.state.log)[1:]] == [
        ("dropped 2 messages: it had crossed too many links", True),
        ("dropped 2 messages: an own broadcast", False),
        ("dropped 2 messages: some new reason", True),
    ]


def test_deaths_and_restarts_are_marked_but_not_those_of_the_end_of_the_run() -> None:
    fold = folded([*ring(3), told(PeerStopped(how="killed"), "core-0")])
    fold.apply(told(ChildExited(child="router", reason="bug"), "core-1"))
    assert [mark.text for mark in fold.state.marks] == ["core-0: ended: killed"]
    fold.apply(told(RunStateChanged(state="stopping")))
    change = fold.apply(told(PeerStopped(how="killed"), "core-1"))
    assert len(fold.state.marks) == 1
    assert change.line is not None
    assert (change.line.is_bad, peer_of(fold, "core-1").state) == (False, PeerState.LEFT)


def test_events_about_nobody_that_is_known_only_leave_a_line() -> None:
    fold = SwarmFold()
    for event in (PhaseChanged(phase="member"), SuccessorsChanged(successors=()), PeerStopped(how="left")):
        fold.apply(told(event, "ghost"))
    assert (fold.state.peers, len(fold.state.log)) == ({}, 3)


def test_a_peer_without_a_name_goes_by_its_address() -> None:
    fold = folded(
        [told(PeerStarted(address=at(1), place="not hex")), told(PhaseChanged(phase="alone"), at(1))]
    )
    peer = peer_of(fold, at(1))
    assert (peer.state, peer.place, peer.group) == (PeerState.ALONE, place_of(Address(at(1))), "")


def test_those_that_ended_make_room_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll, "PEERS", 3)
    fold = folded([started(0), started(1), started(2), told(PeerStopped(how="left"), "core-1"), started(3)])
    assert set(fold.state.peers) == {"core-0", "core-2", "core-3"}
    fold.apply(started(4))
    assert "core-4" not in fold.state.peers
    assert fold.state.counts["peers not shown"] == 1


def test_a_copy_and_its_original_go_their_own_ways() -> None:
    fold = folded(ring(3))
    copied = fold.copy()
    fold.apply(told(FingersChanged(added=(at(1),), removed=()), "core-0"))
    copied.apply(told(PeerStopped(how="killed"), "core-1"))
    assert peer_of(copied, "core-0").fingers == set()
    assert peer_of(fold, "core-1").state is PeerState.MEMBER
    assert len(fold.state.marks) == 0
    assert peer_of(fold, "core-2") is peer_of(copied, "core-2"), "what neither changed is shared"


def test_peers_are_found_by_name_address_place_and_state() -> None:
    fold = folded([*(started(index) for index in (1, 2, 12)), told(PhaseChanged(phase="alone"), "core-12")])
    assert find_peers(fold.state, "core-1") == ["core-1", "core-12"]
    assert find_peers(fold.state, at(2)) == ["core-2"]
    assert find_peers(fold.state, f"{place_of(Address(at(2))):064x}"[:12]) == ["core-2"]
    assert find_peers(fold.state, "ALONE") == ["core-12"]
    assert find_peers(fold.state, "  ") == find_peers(fold.state, "nobody") == []


@pytest.mark.parametrize(
    "event", [PeerStopped(how="failed"), WorkerExited(worker="w", pid=1, exit="x", expected=False)]
)
def test_bad_news_is_bad(event: AnyEvent) -> None:
    line = folded([started(0)]).apply(told(event, "core-0")).line
    assert line is not None
    assert line.is_bad
