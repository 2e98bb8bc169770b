"""What the paper tests share: rings to measure, one node among scripted neighbours, and rings in any state at all."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from cicada.chord.io import (
    FindOwner,
    JoinRing,
    MessageReceived,
    OwnerFound,
    OwnerNotFound,
    PeerProven,
    PeerUnreachable,
    Prove,
    RingInput,
    RingOutput,
    SendTo,
    TimerFired,
)
from cicada.chord.node import RingNode
from cicada.ids import Peer, Place
from cicada.limits import RING, RING_TIMINGS, RingLimits, RingTimings
from cicada.sim.names import peer_number
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start
from cicada.wire.ring import FindSuccessor, Found, GetState, RingMessage, State

NODES = int(os.environ.get("CICADA_NODES", "1024"))
"""Size of the largest calm ring that is measured, at least 1,024; rings to which something happens have an eighth of it."""

CLASSIC = RingLimits(successors=2, candidates=1)
"""The tables of the 2001 paper: one finger an interval. Its lone successor is two here, the fewest that Zave allows."""

_FOREVER = 1e6
STILL = RingTimings(
    stabilize_min=_FOREVER,
    stabilize_max=_FOREVER,
    stabilize_joining=_FOREVER,
    fix_fingers_min=_FOREVER,
    fix_fingers_max=_FOREVER,
)
"""No upkeep: tables stay as they were put."""

Answer = OwnerFound | OwnerNotFound
Told = tuple[Peer | None, tuple[Peer, ...]]
"""A predecessor and a successor list."""

# Rings to measure


def ring(
    count: int,
    seed: int,
    *,
    limits: RingLimits = RING,
    timings: RingTimings = RING_TIMINGS,
    age: float = 60.0,
) -> Swarm:
    """An ideal ring with full tables, calm for ``age`` seconds. The seed is printed, for when the test fails."""
    print(f"ring of {count}, seed {seed}")
    swarm = Swarm(seed, limits=limits, timings=timings)
    warm_start(swarm, [peer_number(number) for number in range(count)], age=age)
    return swarm


def strangers(count: int) -> list[Peer]:
    """Peers that are in no ring made here."""
    return [peer_number(number) for number in range(100_000, 100_000 + count)]


def questions(swarm: Swarm, count: int) -> list[tuple[Peer, Place]]:
    """Who asks, and for which place: both at random."""
    live, rng = swarm.live(), swarm.rng
    return [(rng.choice(live), Place(rng.getrandbits(256))) for _ in range(count)]


def ask(swarm: Swarm, asked: Sequence[tuple[Peer, Place]]) -> list[Answer]:
    """Ask all of it at once, and run until everything is answered."""
    answers: dict[tuple[Peer, int], Answer] = {}

    def note(now: float, peer: Peer, output: object) -> None:
        if isinstance(output, OwnerFound | OwnerNotFound):
            answers[peer, output.id] = output

    swarm.world.observers.append(note)
    keys = []
    for peer, place in asked:
        keys.append((peer, swarm.peer(peer).new_id()))
        swarm.give(peer, FindOwner(keys[-1][1], place))
    swarm.run_until(lambda: len(answers) == len(keys), 60.0)
    swarm.world.observers.remove(note)
    return [answers[key] for key in keys]


def hops(swarm: Swarm, asked: Sequence[tuple[Peer, Place]]) -> list[int]:
    """How many links each lookup took; each must have found the true owner."""
    taken = []
    for (peer, place), answer in zip(asked, ask(swarm, asked), strict=True):
        assert isinstance(answer, OwnerFound), f"{peer} asked for {place:064x} and was told {answer}"
        assert answer.owner == swarm.truth.owner(place), f"{peer} was told {answer.owner} owns {place:064x}"
        taken.append(answer.hops)
    return taken


def churn(swarm: Swarm, rate: float, seconds: float) -> Counter[str]:
    """Have ``rate`` joins and as many silent deaths a second, and two lookups, all at random times.

    Counts ``joins``, ``failures``, and lookups that were ``right`` or ``failed``: did not end at the owner of the moment.
    """
    rng, counts = swarm.rng, Counter[str]()
    wanted: dict[tuple[Peer, int], Place] = {}

    def judge(now: float, peer: Peer, output: object) -> None:
        if isinstance(output, OwnerFound | OwnerNotFound):
            place = wanted.pop((peer, output.id))
            is_right = isinstance(output, OwnerFound) and output.owner == swarm.truth.owner(place)
            counts["right" if is_right else "failed"] += 1

    swarm.world.observers.append(judge)
    newcomers = iter(strangers(round(3 * rate * seconds) + 10))
    end = swarm.now + seconds
    while swarm.now < end:
        swarm.run_for(rng.expovariate(2.0 + 2.0 * rate))
        chance = rng.random() * (2.0 + 2.0 * rate)
        peer = rng.choice(swarm.members())
        if chance < rate:
            swarm.join(next(newcomers), peer)
            counts["joins"] += 1
        elif chance < 2.0 * rate:
            swarm.crash(peer, closes_links=False)
            counts["failures"] += 1
        else:
            (_, place), id = questions(swarm, 1)[0], swarm.peer(peer).new_id()
            wanted[peer, id] = place
            swarm.give(peer, FindOwner(id, place))
    swarm.run_for(RING_TIMINGS.lookup_timeout)
    swarm.world.observers.remove(judge)
    return counts


# One node among scripted neighbours


class Stage:
    """One node, on a stage where the others say what the test has them say.

    ``answers`` holds what each would answer to GetState, ``dead`` who cannot be reached, ``mute`` whose answers are held
    back until ``speak``. All others can be dialled. Whatever can happen at once does; time passes in ``round``,
    ``fire`` and ``run_to``.
    """

    def __init__(self, node: RingNode, now: float = 0.0) -> None:
        self.node = node
        self.own = node.snapshot().peer
        self.now = now
        self.answers: dict[Peer, Told] = {}
        self.dead: set[Peer] = set()
        self.mute: set[Peer] = set()
        self.outputs: list[RingOutput] = []
        self._told: tuple[Peer, tuple[Peer, ...]] | None = None
        self._held: list[tuple[Peer, RingInput]] = []

    @property
    def successors(self) -> tuple[Peer, ...]:
        """The node's list."""
        return self.node.snapshot().successors

    @property
    def predecessor(self) -> Peer | None:
        """The node's predecessor."""
        return self.node.snapshot().predecessor

    def enter(self, predecessor: Peer, *told: Peer) -> None:
        """Join: ``predecessor`` answers with the list ``told``, whose head must have its answer ready."""
        self._told = predecessor, told
        self.give(JoinRing((predecessor,), self.now + 60.0))

    def round(self) -> None:
        """Let the node's next round of stabilize come, and all that follows from it at once."""
        rounds = self.node.rounds
        while self.node.rounds == rounds:
            self.fire()

    def fire(self) -> None:
        """Let time pass until the next timer of the node fires."""
        deadline = self.node.next_deadline()
        assert deadline is not None, "the node waits for nothing"
        self.now = max(self.now, deadline)
        self.give(TimerFired())

    def run_to(self, end: float) -> None:
        """Let all timers fire that are due by then."""
        while (self.node.next_deadline() or end) < end:
            self.fire()
        self.now = max(self.now, end)

    def hear(self, sender: Peer, message: RingMessage) -> None:
        """A message comes out of the blue."""
        self.give(MessageReceived(sender, message))

    def speak(self, peer: Peer) -> None:
        """What a mute peer wanted to say arrives now."""
        self.mute.discard(peer)
        said = [input for sender, input in self._held if sender == peer]
        self._held = [held for held in self._held if held[0] != peer]
        for input in said:
            self.give(input)

    def sent(self, kind: type[RingMessage]) -> list[Peer]:
        """Who was sent a message of this kind since the outputs were last cleared, in order."""
        sent = [output for output in self.outputs if isinstance(output, SendTo)]
        return [output.peer for output in sent if isinstance(output.message, kind)]

    def give(self, input: RingInput) -> None:
        """Hand an input to the node, and have the others react until nothing is left to react to."""
        inputs = deque([input])
        while inputs:
            outputs = self.node.handle(inputs.popleft(), self.now)
            self.outputs += outputs
            for output in outputs:
                if isinstance(output, SendTo | Prove):
                    inputs.extend(self._react(output))

    def _react(self, output: SendTo | Prove) -> list[RingInput]:
        peer = output.peer
        if peer in self.dead:
            undelivered = (output.message,) if isinstance(output, SendTo) else ()
            return [PeerUnreachable(peer, undelivered)]
        if isinstance(output, Prove):
            return [PeerProven(peer)]
        answer = self._answer(peer, output.message)
        if answer is None:
            return []
        if peer in self.mute:
            self._held.append((peer, MessageReceived(peer, answer)))
            return []
        return [MessageReceived(peer, answer)]

    def _answer(self, peer: Peer, message: RingMessage) -> RingMessage | None:
        if isinstance(message, GetState):
            predecessor, successors = self.answers[peer]
            return State(
                incarnation=1,
                request=message.request,
                predecessor=predecessor.address if predecessor else "",
                successors=tuple(entry.address for entry in successors),
            )
        if isinstance(message, FindSuccessor) and message.joining and self._told is not None:
            predecessor, successors = self._told
            return Found(
                incarnation=1,
                request=message.request,
                predecessor=predecessor.address,
                successors=tuple(entry.address for entry in successors),
                path=(self.own.address, peer.address),
                position=0,
            )
        return None


def clockwise(count: int) -> list[Peer]:
    """So many peers in the order of their places."""
    return sorted(map(peer_number, range(count)), key=lambda peer: peer.place)


def stage(own: Peer, *, timings: RingTimings = RING_TIMINGS, **limits: Any) -> Stage:
    """A node that is in no ring yet."""
    return Stage(RingNode(own, 1, limits=RingLimits(**limits), timings=timings, rng=Random(1)))


def member(
    own: Peer, predecessor: Peer, head: Peer, *rest: Peer, timings: RingTimings = RING_TIMINGS, **limits: int
) -> Stage:
    """A member with this predecessor and this list. Its first round is still to come."""
    made = stage(own, timings=timings, **limits)
    made.answers[head] = (predecessor, rest)
    made.enter(predecessor, head, *rest)
    assert (made.predecessor, made.successors) == (predecessor, (head, *rest))
    made.outputs.clear()
    return made


# Rings in any state


def place(swarm: Swarm, state: Mapping[Peer, tuple[Peer, tuple[Peer, ...]]]) -> None:
    """Start peers that hold these predecessors and lists, with no message under way. Who is named may be dead."""
    for peer, (predecessor, (head, *rest)) in state.items():
        placed = swarm.start(peer)
        alone = Stage(placed.node, placed.local())
        alone.answers[head] = (predecessor, tuple(rest))
        alone.enter(predecessor, head, *rest)
        assert (alone.predecessor, alone.successors) == (predecessor, (head, *rest))
        placed.settle(alone.outputs)
