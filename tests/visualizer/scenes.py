"""Swarms made by hand, as a fold would make them: what drawing is tried on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from itertools import pairwise
from random import Random

from cicada.ids import RING_SIZE
from visualizer.model.state import (
    Edge,
    FaultView,
    Flight,
    Health,
    Kind,
    Line,
    Mark,
    PeerState,
    PeerView,
    SwarmState,
    Trip,
    WrongLink,
)
from visualizer.view import Feed, Playback, View

NOW_MS = 1_790_000_000_000


def place_of(address: str) -> int:
    return int.from_bytes(hashlib.sha256(address.encode()).digest(), "big")


def peer(name: str, number: int, group: str = "core", state: PeerState = PeerState.MEMBER) -> PeerView:
    address = f"127.0.0.1:{20_000 + number}"
    return PeerView(
        name=name,
        address=address,
        place=place_of(address),
        group=group,
        worker=f"worker-{number % 2}",
        state=state,
        since_ms=NOW_MS - 42_000,
        sent=3.0,
        delivered=2.5,
        round_trip_s=0.0004,
    )


def swarm(count: int, groups: tuple[str, ...] = ("core",), name: str = "demo") -> SwarmState:
    """A converged ring of ``count`` members with their neighbours, fingers and links."""
    state = SwarmState(name=name, run_state="ready", now_ms=NOW_MS)
    for number in range(count):
        group = groups[number % len(groups)]
        one = peer(f"{group}-{number // len(groups)}", number, group)
        state.peers[one.name] = one
    wire(state)
    state.health = healthy(state)
    return state


def ring(state: SwarmState) -> list[PeerView]:
    live = [one for one in state.peers.values() if one.state.is_live and not one.hidden]
    return sorted(live, key=lambda one: one.place)


def wire(state: SwarmState, successors: int = 4) -> None:
    members = ring(state)
    places = [one.place for one in members]
    for index, one in enumerate(members):
        others = [members[(index + step) % len(members)] for step in range(1, successors + 1)]
        one.successors = tuple(other.address for other in others if other is not one)
        one.predecessor = members[index - 1].address
        one.fingers = {
            members[next_at(places, (one.place + (1 << bit)) % RING_SIZE)].address for bit in range(240, 256)
        } - {one.address}
        one.links = {*one.successors[:2], one.predecessor, *sorted(one.fingers)[:3]} - {one.address, ""}


def next_at(places: list[int], wanted: int) -> int:
    return next((index for index, place in enumerate(places) if place >= wanted), 0)


def healthy(state: SwarmState) -> Health:
    """The truth of it, slowly."""
    members = ring(state)
    addresses = {one.address: one for one in members}
    wrong, right_predecessors = [], 0
    for before, one, due in zip(members[-1:] + members, members, members[1:] + members[:1], strict=False):
        seen = one.successors[0] if one.successors else ""
        if seen != due.address:
            wrong.append(WrongLink(one.name, seen, due.name))
        right_predecessors += one.predecessor in addresses and one.predecessor == before.address
    return Health(len(members), len(members) - len(wrong), right_predecessors, tuple(wrong))


def kill(state: SwarmState, share: float, seed: int = 7) -> None:
    """Some of the peers die at once, and nobody has noticed."""
    random = Random(seed)
    victims = random.sample(sorted(state.peers), round(len(state.peers) * share))
    for name in victims:
        state.peers[name].state = PeerState.DEAD
        state.peers[name].since_ms = NOW_MS - 900
    state.health = healthy(state)
    for name in victims[:24]:
        state.log.append(Line(NOW_MS - 800, Kind.RUN, name, "died: killed by signal 9", True))
    state.marks.append(Mark(NOW_MS - 900, Kind.FAULT, f"kill {share:.0%} of all", True))


def traffic(state: SwarmState, edges: int, seed: int = 3) -> None:
    """Messages counted on so many edges: successors, fingers, then others."""
    random = Random(seed)
    members = ring(state)
    names = {one.address: one.name for one in members}
    pairs = [(one.name, names[other]) for one in members for other in sorted(one.fingers) if other in names]
    random.shuffle(pairs)
    while len(pairs) < edges:
        one, other = random.sample(members, 2)
        pairs.append((one.name, other.name))
    for start, end in pairs[:edges]:
        rates = {"ring": random.uniform(0.2, 2), "data": random.paretovariate(1.2)}
        state.edges[start, end] = Edge(start, end, rates, NOW_MS)


def flights(state: SwarmState, count: int, seed: int = 5, span_ms: float = 250.0) -> Iterable[Flight]:
    """Hops that began within the last ``span_ms``."""
    random = Random(seed)
    members = [one.name for one in ring(state)]
    kinds = (Kind.DATA, Kind.DATA, Kind.LOOKUP, Kind.RECEIPT, Kind.BROADCAST)
    for number in range(count):
        start, end = random.sample(members, 2)
        at_us = round((state.now_ms - random.uniform(0, span_ms)) * 1000)
        yield Flight(f"{start}/{number}", random.choice(kinds), start, end, at_us, 0, 1, 1)


def way(state: SwarmState, start: str, end: str) -> list[str]:
    """The peers that a greedy lookup passes, both ends included."""
    members = ring(state)
    by_address = {one.address: one for one in members}
    here, goal, found = state.peers[start], state.peers[end], [start]
    while here.name != end:
        known = [
            by_address[address] for address in {*here.fingers, *here.successors} if address in by_address
        ]
        distance = (goal.place - here.place) % RING_SIZE
        before = [one for one in known if 0 < (one.place - here.place) % RING_SIZE <= distance]
        here = max(before, key=lambda one: (one.place - state.peers[found[-1]].place) % RING_SIZE)
        found.append(here.name)
    return found


def lookup(state: SwarmState, start: str, end: str, trip: str = "lookup") -> Trip:
    passed = way(state, start, end)
    made = Trip(trip, Kind.LOOKUP, start, end, outcome="found in 3 hops")
    for hops, (one, other) in enumerate(pairwise(passed), 1):
        at_us = NOW_MS * 1000 - 4_000 + hops * 700
        made.flights.append(Flight(trip, Kind.LOOKUP, one, other, at_us, 0, 1, hops))
    at_us = NOW_MS * 1000 - 4_000 + (len(passed) + 1) * 700
    made.flights.append(Flight(trip, Kind.LOOKUP, end, start, at_us, 0, 1, len(passed)))
    state.trips[trip] = made
    return made


def send(state: SwarmState, start: str, end: str, fates: tuple[str, ...], seed: int = 11) -> Trip:
    """A message in copies, each over two relays of its own."""
    random = Random(seed)
    names = [one.name for one in ring(state) if one.name not in (start, end)]
    relays = random.sample(names, 2 * len(fates))
    made = Trip("send", Kind.DATA, start, end, fates=fates, outcome="delivered")
    for copy, fate in enumerate(fates):
        passed = [start, *relays[2 * copy : 2 * copy + 2], end]
        if fate == "altered":
            state.peers[passed[2]].behaviour = "alters"
        for hops, (one, other) in enumerate(pairwise(passed), 1):
            at_us = NOW_MS * 1000 - 3_000 + hops * 640 + copy * 90
            if fate == "lost" and hops == 3:
                break
            harm = fate if (fate == "altered" and hops == 3) or (fate == "lost" and hops == 2) else ""
            made.flights.append(Flight("send", Kind.DATA, one, other, at_us, copy, 1, hops, harm))
    state.trips["send"] = made
    return made


def broadcast(state: SwarmState, start: str) -> Trip:
    """A tree by halving, as the ring's broadcast makes it."""
    members = [one.name for one in ring(state)]
    first = members.index(start)
    order = members[first:] + members[:first]
    made = Trip("broadcast", Kind.BROADCAST, start, "")
    parts = [(0, len(order), 1)]
    while parts:
        low, high, depth = parts.pop(0)
        while high - low > 1:
            middle = (low + high) // 2
            at_us = NOW_MS * 1000 - 4_000 + depth * 500
            made.flights.append(
                Flight("broadcast", Kind.BROADCAST, order[low], order[middle], at_us, 0, 1, depth)
            )
            parts.append((middle, high, depth + 1))
            high = middle
    made.flights.sort(key=lambda flight: (flight.hops, flight.at_us))
    state.trips["broadcast"] = made
    return made


def view(**chosen: object) -> View:
    """A view with a live feed and a timeline of four minutes."""
    histogram = tuple(
        round(40 + 30 * math.sin(index / 5) + 25 * ((index * 7919) % 13) / 13) for index in range(90)
    )
    made = View(
        playback=Playback(first_ms=NOW_MS - 240_000, last_ms=NOW_MS, histogram=histogram),
        feed=Feed(source="runs/demo", connected=True, lag_ms=12.0, can_command=True),
    )
    for name, value in chosen.items():
        setattr(made, name, value)
    return made


def chatter(state: SwarmState, lines: int = 30) -> None:
    """Lines in the log."""
    names = sorted(state.peers)
    texts = (
        (Kind.LOOKUP, "found 9f3a… in 3 hops, 1.2 ms"),
        (Kind.DATA, "message 41 to core-7 delivered after 2.1 ms"),
        (Kind.LINK, "link to 127.0.0.1:20007 opened"),
        (Kind.RING, "successor is now core-4"),
        (Kind.BROADCAST, "received a broadcast at depth 3"),
    )
    for number in range(lines):
        kind, text = texts[number % len(texts)]
        at = NOW_MS - (lines - number) * 700
        state.log.append(Line(at, kind, names[number % len(names)], text, False))


def partition(state: SwarmState, names: set[str]) -> None:
    others = frozenset(state.peers) - names
    state.faults[1] = FaultView(1, "partition", frozenset(names), others, NOW_MS - 5_000)
    state.marks.append(Mark(NOW_MS - 5_000, Kind.FAULT, "partition", True))


# The four scenes that pictures are kept of.


def calm() -> tuple[SwarmState, View]:
    state = swarm(20)
    traffic(state, 90)
    chatter(state)
    state.flights.extend(flights(state, 24))
    return state, view(hovered="core-3")


def killed() -> tuple[SwarmState, View]:
    state = swarm(200, ("core", "edge"), name="two hundred")
    traffic(state, 1_000)
    chatter(state, 10)
    kill(state, 0.3)
    return state, view()


def copies() -> tuple[SwarmState, View]:
    state = swarm(40)
    traffic(state, 160)
    chatter(state)
    send(state, "core-2", "core-31", ("intact", "altered", "intact", "lost"))
    return state, view(followed="send", selected={"core-2"})


def spreading() -> tuple[SwarmState, View]:
    state = swarm(60, ("core", "edge", "leaf"))
    chatter(state)
    broadcast(state, "core-4")
    return state, view(followed="broadcast")


SCENES = {"calm": calm, "killed": killed, "copies": copies, "broadcast": spreading}
