"""The load of a scenario: lookups and messages, and what became of them."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from functools import partial
from itertools import islice
from random import Random

import msgspec

from cicada.chord.io import FindOwner, OwnerFound, OwnerNotFound, RingOutput
from cicada.errors import Misuse
from cicada.events import PhaseChanged
from cicada.ids import Address, Peer, Place
from cicada.routing.io import Deliver, RouterOutput, Settled, Status
from cicada.sim.harm import HONEST, Roles
from cicada.sim.letters import Letters
from cicada.sim.peer import SimPeer
from cicada.sim.scenario import Scenario
from cicada.sim.swarm import Swarm

_FRESH = 60.0  # seconds for which a session is used that nobody renews; half of what the product allows
_MEMBER = ("alone", "member")
_LEFT = "idle"


class Hops(msgspec.Struct, frozen=True, kw_only=True):
    """How long paths were, in links."""

    count: int
    mean: float
    p1: int
    median: int
    p99: int
    most: int


class Lookups(msgspec.Struct, frozen=True, kw_only=True):
    """Lookups that ended. ``failed``: by reason, ``wrong-owner`` for an answer that was not true at any instant between
    question and answer. ``unasked``: those whose asker ended or froze before the answer, counted nowhere else."""

    ended: int
    failed: dict[str, int]
    unasked: int
    hops: Hops | None
    seconds_mean: float

    @property
    def failed_share(self) -> float:
        """Of those that ended."""
        return sum(self.failed.values()) / self.ended if self.ended else 0.0


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that settled; hops are those of the acknowledged copy.

    ``delivered``: those that were in the destination's mailbox, whatever the receipt says. ``copies``: in the mean of all that
    were sent. ``wrong``: deliveries that should not have been, by what was wrong with them. ``lost``: messages that
    were acknowledged and never delivered.
    """

    settled: int
    failed: dict[str, int]
    hops: Hops | None
    delivered: int
    copies: float
    attempts: dict[int, int]
    wrong: dict[str, int]
    lost: int

    @property
    def delivered_share(self) -> float:
        """Of those that settled."""
        return self.delivered / self.settled if self.settled else 0.0

    @property
    def failed_share(self) -> float:
        """Of those that settled."""
        return sum(self.failed.values()) / self.settled if self.settled else 0.0


class Asked:
    """A lookup under way, and who owned its place since it began."""

    __slots__ = ("began", "owners", "place")

    def __init__(self, place: Place, owner: Peer, began: float) -> None:
        self.place = place
        self.owners = {owner}
        self.began = began


class Members:
    """Live members by place, kept up to date by whoever sees them come and go."""

    def __init__(self, peers: tuple[Peer, ...]) -> None:
        self.peers = sorted(peers, key=_place)

    def owner(self, place: int) -> Peer:
        """Who truly owns a place now."""
        return self.peers[bisect_left(self.peers, place, key=_place) % len(self.peers)]

    def add(self, peer: Peer) -> bool:
        """Whether it was none before."""
        if self.owner(peer.place) == peer:
            return False
        insort(self.peers, peer, key=_place)
        return True

    def remove(self, peer: Peer) -> bool:
        """Whether it was one before. The last one stays."""
        if self.owner(peer.place) != peer or len(self.peers) == 1:
            return False
        self.peers.remove(peer)
        return True


class Traffic:
    """Makes the load and keeps account of it. ``lost`` counts the peers that were members and lost their ring, ``open``
    holds the lookups that are not answered, by asker and id."""

    def __init__(self, swarm: Swarm, scenario: Scenario, parts: Roles = HONEST) -> None:
        self._swarm = swarm
        self._end = scenario.sim.duration
        self._load = scenario.load
        self._copies_each = 0 if scenario.load.duplicates is None else scenario.load.duplicates + 1
        self._members = Members(swarm.members())
        self._bad = frozenset(parts.bad)
        self._targets = parts.targets
        self._letters = Letters(swarm.world.seed, scenario.load.payload)
        self._sent: dict[tuple[Address, int], bytes] = {}
        self._met: dict[tuple[Address, Address], float] = {}
        self._attempts: Counter[int] = Counter()
        self._copies = 0
        self.open: dict[tuple[Address, int], Asked] = {}
        self._lookup_hops: Counter[int] = Counter()
        self._message_hops: Counter[int] = Counter()
        self._lookup_failures: Counter[str] = Counter()
        self._message_failures: Counter[str] = Counter()
        self._seconds = 0.0
        self._unasked = 0
        self.lost = 0
        swarm.world.observers.append(self._observe)
        load = scenario.load
        until = self._end if load.until is None else min(load.until, self._end)
        for rate, act, part, end in (
            (load.lookups, self._look_up, "lookups", self._end),
            (load.messages, self._send, "messages", until),
        ):
            act_so = partial(act, swarm.rng_of("load", part))
            self._next(load.at, end, rate, act_so, swarm.rng_of("pace", part))

    def changed(self, peer: Peer) -> None:
        """A peer died, froze or thawed. Whatever one that does not run had asked, nobody waits for the answer."""
        if self._swarm.is_live(peer):
            self._change(peer, self._swarm.peer(peer).phase)
            return
        if self._members.remove(peer):
            self._note_owners()
        if not self._swarm.peer(peer).is_up:
            self._forget(peer)
        gone = [key for key in self.open if key[0] == peer.address]
        self._unasked += len(gone)
        for key in gone:
            del self.open[key]

    def lookups(self) -> Lookups:
        """What became of the lookups until now."""
        ended = self._lookup_hops.total() + self._lookup_failures.total()
        return Lookups(
            ended=ended,
            failed=dict(sorted(self._lookup_failures.items())),
            unasked=self._unasked,
            hops=_hops(self._lookup_hops),
            seconds_mean=self._seconds / ended if ended else 0.0,
        )

    def messages(self) -> Messages:
        """What became of the messages until now."""
        return Messages(
            settled=self._message_hops.total() + self._message_failures.total(),
            failed=dict(sorted(self._message_failures.items())),
            hops=_hops(self._message_hops),
            delivered=self._letters.delivered,
            copies=self._copies_sent() / self._letters.written if self._letters.written else 0.0,
            attempts=dict(sorted(self._attempts.items())),
            wrong=dict(sorted(self._letters.wrong.items())),
            lost=self._letters.lost,
        )

    def _forget(self, peer: Peer) -> None:
        """Its sessions and receipts ended with it; its next life counts its messages from 1."""
        for pair in [pair for pair in self._met if peer.address in pair]:
            del self._met[pair]
        for sent in [sent for sent in self._sent if sent[0] == peer.address]:
            del self._sent[sent]

    # Making it

    def _next(self, after: float, end: float, rate: float, act: partial[None], pace: Random) -> None:
        at = after + pace.expovariate(rate) if rate > 0 else end
        if at < end:
            self._swarm.at(at, partial(self._arrive, at, end, rate, act, pace))

    def _arrive(self, at: float, end: float, rate: float, act: partial[None], pace: Random) -> None:
        act()
        self._next(at, end, rate, act, pace)

    def _look_up(self, rng: Random) -> None:
        asker = self._honest(rng)
        place = Place(rng.getrandbits(256))
        peer = self._swarm.peer(asker)
        id = peer.new_id()
        self.open[asker.address, id] = Asked(place, self._members.owner(place), self._swarm.now)
        peer.give(FindOwner(id, place))

    def _send(self, rng: Random) -> None:
        origin, target = self._honest(rng), self._target(rng)
        while origin == target:
            origin = self._honest(rng)
        self._introduce(origin, target)
        payload = self._letters.write(origin, target)
        timeout = self._load.timeout
        id = self._swarm.send(origin, target, payload, copies=self._copies_each, timeout=timeout)
        self._sent[origin.address, id] = payload

    def _honest(self, rng: Random) -> Peer:
        """Any live member that does no harm."""
        peer = rng.choice(self._members.peers)
        while peer in self._bad:
            peer = rng.choice(self._members.peers)
        return peer

    def _target(self, rng: Random) -> Peer:
        return rng.choice(self._targets) if self._targets else self._honest(rng)

    def _introduce(self, origin: Peer, target: Peer) -> None:
        """See to it that a session stands which need not be renewed before the message is through."""
        pair, now = (origin.address, target.address), self._swarm.now
        if not self._load.warm or now - self._met.get(pair, -math.inf) < _FRESH:
            return
        for old in [pair for pair, at in islice(self._met.items(), 2) if now - at >= _FRESH]:
            del self._met[old]
        self._met.pop(pair, None)
        self._met[pair] = now
        self._swarm.introduce(origin, target)

    def _copies_sent(self) -> int:
        return self._copies + sum(_copies(self._swarm.peer(peer)) for peer in self._swarm.live())

    # Keeping account

    def _observe(self, now: float, peer: Peer, output: RingOutput | RouterOutput) -> None:
        match output:
            case OwnerFound() | OwnerNotFound():
                self._swarm.peer(peer).answers.clear()
                self._judge(now, self.open.pop((peer.address, output.id), None), output)
            case Settled():
                self._swarm.peer(peer).settled.clear()
                self._settle(peer, output)
            case Deliver():
                self._swarm.peer(peer).mailbox.clear()
                self._letters.arrived(peer, output.origin, output.payload)
            case _:
                event = getattr(output, "event", None)
                if isinstance(event, PhaseChanged):
                    self._change(peer, event.phase)

    def _judge(self, now: float, asked: Asked | None, output: OwnerFound | OwnerNotFound) -> None:
        if asked is None:
            return
        self._seconds += now - asked.began
        if isinstance(output, OwnerNotFound):
            self._lookup_failures[output.reason.value] += 1
        elif output.owner not in asked.owners:
            self._lookup_failures["wrong-owner"] += 1
        else:
            self._lookup_hops[output.hops] += 1

    def _settle(self, peer: Peer, settled: Settled) -> None:
        is_delivered = settled.status is Status.DELIVERED
        payload = self._sent.pop((peer.address, settled.id), None)
        if payload is not None:
            self._letters.settled(payload, acknowledged=is_delivered)
        self._attempts[settled.attempts] += 1
        if is_delivered:
            self._message_hops[settled.hops] += 1
        else:
            self._message_failures[settled.reason.value if settled.reason else settled.status.value] += 1

    def _change(self, peer: Peer, phase: str) -> None:
        if phase in _MEMBER:
            changed = self._members.add(peer)
        else:
            changed = self._members.remove(peer)
            self.lost += changed and phase != _LEFT
        if changed:
            self._note_owners()

    def _note_owners(self) -> None:
        for asked in self.open.values():
            asked.owners.add(self._members.owner(asked.place))


def _copies(peer: SimPeer) -> int:
    return peer.router.counters().get("copies", 0) if peer.is_up else 0


def _place(peer: Peer) -> int:
    return peer.place


def _hops(counted: Counter[int]) -> Hops | None:
    total = counted.total()
    if total == 0:
        return None
    return Hops(
        count=total,
        mean=sum(hops * times for hops, times in counted.items()) / total,
        p1=_percentile(counted, 0.01),
        median=_percentile(counted, 0.5),
        p99=_percentile(counted, 0.99),
        most=max(counted),
    )


def _percentile(counted: Counter[int], share: float) -> int:
    """The least number of hops that ``share`` of all paths do not exceed."""
    if not counted:
        raise Misuse("there are no paths")
    below = 0
    for hops in sorted(counted):
        below += counted[hops]
        if below >= share * counted.total():
            return hops
    return max(counted)
