"""Lists, fingers and tables when several peers share a host, against brute force; and who may not enter at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.chord.circle import distance, interval_of
from cicada.chord.fingers import Fingers
from cicada.chord.io import (
    CreateRing,
    JoinFailed,
    JoinRing,
    LookupFailure,
    MessageReceived,
    PeerProven,
    PeerUnreachable,
    Prove,
    Refused,
    RingInput,
    RingOutput,
    SendTo,
    TableChanged,
    TimerFired,
)
from cicada.chord.node import RingNode
from cicada.chord.successors import SuccessorList, arrange, cut
from cicada.hosts import by_ip, by_peer, is_global
from cicada.ids import Address, Peer, canonical_address, peer_at, place_to_bytes
from cicada.limits import RingLimits, longest_list
from cicada.sim.names import peer_on
from cicada.wire.ring import FindSuccessor, Found, GetState, Leaving, LookupFailed, Notify, RingMessage, State
from tests.chord.test_rules import Bench, member

OWN = peer_on(0, 0)
HOSTS = 12
SHARED = [peer_on(host, number) for host in range(HOSTS) for number in range(1, 13)]


@st.composite
def crowds(draw: st.DrawFn) -> list[Peer]:
    """Some peers of some of the hosts."""
    some = draw(st.integers(1, HOSTS))
    return draw(st.lists(st.sampled_from(SHARED[: 12 * some]), min_size=1, max_size=60, unique=True))


def ip(peer: Peer) -> str:
    return peer.address.rpartition(":")[0]


def clockwise(own: Peer, peers: list[Peer]) -> list[Peer]:
    return sorted((peer for peer in peers if peer != own), key=lambda peer: distance(own.place, peer.place))


def listed(own: Peer, peers: list[Peer], hosts: int) -> tuple[Peer, ...]:
    """The list by trying: entry after entry, until they are on so many hosts or the list is as long as it may be."""
    entries: list[Peer] = []
    for peer in clockwise(own, peers):
        if len({ip(entry) for entry in entries}) == hosts or len(entries) == 4 * hosts:
            break
        entries.append(peer)
    return tuple(entries)


def shared_list(own: Peer, hosts: int) -> SuccessorList:
    return SuccessorList(own, hosts, by_ip)


# Successor lists


def test_a_list_names_peers_until_they_are_on_r_hosts() -> None:
    first, beside, second, third = clockwise(
        OWN, [peer_on(1, 1), peer_on(1, 2), peer_on(1, 3), peer_on(1, 4)]
    )
    other, another = clockwise(third, [peer_on(host, 9) for host in range(2, 9)])[:2]
    entries = (first, beside, second, third, other, another)
    assert cut(entries, 1, by_ip) == (first,)
    assert cut(entries, 2, by_ip) == entries[:5]
    assert cut(entries, 3, by_ip) == entries
    assert cut(entries, 4, by_ip) == entries, "there are no more"
    assert cut(entries, 2, by_peer) == entries[:2]


@given(crowds(), st.integers(1, 6))
def test_a_list_is_what_trying_entry_after_entry_finds(peers: list[Peer], hosts: int) -> None:
    successors = shared_list(OWN, hosts)
    found = successors.fit(clockwise(OWN, peers))
    assert found == listed(OWN, peers, hosts)
    assert len(found) <= longest_list(hosts) == 4 * hosts
    if not successors.is_full(found):
        assert set(found) == set(peers), "who stops early has named everybody"


@given(crowds(), st.integers(1, 6))
def test_the_heads_list_behind_the_head_is_always_long_enough(peers: list[Peer], hosts: int) -> None:
    """So ideal lists stay ideal when they are adopted from each other, without a further question."""
    ring = sorted({OWN, *peers}, key=lambda peer: peer.place)
    for own in ring if len(ring) > 1 else ():
        head = clockwise(own, ring)[0]
        successors = shared_list(own, hosts)
        successors.adopt(head, listed(head, ring, hosts), lambda _: False)
        assert successors.entries == listed(own, ring, hosts)


@given(crowds(), st.integers(1, 6))
def test_peers_with_a_host_each_are_listed_as_if_there_were_no_hosts(peers: list[Peer], hosts: int) -> None:
    entries = clockwise(OWN, peers)
    alone = SuccessorList(OWN, hosts)
    assert alone.fit(entries) == arrange(OWN, entries, hosts) == tuple(entries[:hosts])
    assert alone.is_full(entries[:hosts]) == (len(entries) >= hosts)


def test_a_suspect_makes_room_for_another_peer_of_its_host_or_of_a_further_one() -> None:
    entries = clockwise(OWN, SHARED)
    whole = listed(OWN, SHARED, 4)
    successors = shared_list(OWN, 4)
    successors.adopt(entries[0], entries[1:], lambda peer: peer == whole[-1])
    assert successors.entries == listed(OWN, [peer for peer in entries if peer != whole[-1]], 4)
    assert len({ip(entry) for entry in successors.entries}) == 4


def test_lists_of_hosts_fit_in_a_message() -> None:
    assert [longest_list(successors) for successors in (1, 4, 16, 17, 64)] == [4, 16, 64, 64, 64]


# What a list says of its ring

SMALLER = clockwise(OWN, [peer_on(host, number) for host in (1, 2) for number in range(20, 24)])
"""A whole ring on two hosts, with more peers than a list has hosts."""


def full_member() -> tuple[Bench, tuple[Peer, ...]]:
    """A member whose list is full, with nobody of the smaller ring in it, and whose head lies behind some of that."""
    entries = clockwise(OWN, [peer_on(host, 50) for host in range(3, 12)])
    predecessor, entries = entries[-1], [peer for peer in entries[:-1] if peer.place != SMALLER[0].place]
    head = next(
        peer for peer in entries if distance(OWN.place, peer.place) > distance(OWN.place, SMALLER[0].place)
    )
    start = entries.index(head)
    whole = tuple(entries[start : start + 3])
    return member(OWN, *whole, predecessor=predecessor, successors=3, group_hosts=True), whole


def test_a_heads_predecessor_that_lists_a_whole_ring_on_few_hosts_costs_no_full_list() -> None:
    bench, whole = full_member()
    candidate, *rest = SMALLER
    bench.give(PeerProven(candidate))
    bench.wake(GetState)
    bench.answer(whole[0], candidate, *whole[1:])
    bench.answer(candidate, SMALLER[-1], *rest)
    assert bench.node.snapshot().successors == whole, f"{len(rest)} entries, and yet not full"
    assert [to for to, _ in bench.said(Notify)] == [whole[0]]


def test_a_newcomer_before_the_head_is_adopted_however_few_hosts_it_lists_alone() -> None:
    bench, whole = full_member()
    candidate = SMALLER[0]
    bench.give(PeerProven(candidate))
    bench.wake(GetState)
    bench.answer(whole[0], candidate, *whole[1:])
    bench.answer(candidate, OWN, *whole[:2])
    assert bench.node.snapshot().successors == (candidate, *whole[:2])


def test_a_full_list_is_not_linked_to_a_whole_ring_on_few_hosts() -> None:
    bench, whole = full_member()
    stranger = SMALLER[3]
    bench.give(JoinRing((stranger,), bench.now + 5.0))
    bench.give(PeerProven(stranger))
    ((_, asked),) = bench.said(FindSuccessor)
    assert isinstance(asked, FindSuccessor)
    found = Found(
        incarnation=1,
        request=asked.request,
        predecessor=SMALLER[-1].address,
        successors=tuple(peer.address for peer in SMALLER[:-1]),
        path=(OWN.address, stranger.address),
        position=0,
    )
    bench.hear(stranger, found)
    assert not bench.said(Notify)
    bench.wake(GetState)
    assert [to for to, _ in bench.said(GetState)] == [whole[0]], "it joins ours, not we it"


def test_a_joiner_has_its_whole_list_as_soon_as_it_is_a_member() -> None:
    bench = Bench(OWN, successors=3, group_hosts=True)
    predecessor, *entries = SMALLER[-1], *SMALLER[:-1]
    bench.give(JoinRing((predecessor,), 60.0))
    ((_, asked),) = bench.said(FindSuccessor)
    assert isinstance(asked, FindSuccessor)
    bench.give(PeerProven(entries[0]))
    found = Found(
        incarnation=1,
        request=asked.request,
        predecessor=predecessor.address,
        successors=tuple(peer.address for peer in entries),
        path=(OWN.address, predecessor.address),
        position=0,
    )
    bench.hear(predecessor, found)
    bench.answer(entries[0], predecessor, *entries[1:], predecessor)
    assert bench.node.snapshot().successors == tuple(SMALLER)


# Fingers


def nearest_of_each_host(peers: list[Peer], candidates: int) -> set[Peer]:
    rows: defaultdict[int, dict[str, Peer]] = defaultdict(dict)
    for peer in clockwise(OWN, peers):
        rows[interval_of(OWN.place, peer.place)].setdefault(ip(peer), peer)
    return {peer for row in rows.values() for peer in list(row.values())[:candidates]}


@settings(deadline=None)
@given(crowds(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_an_interval_keeps_the_nearest_peer_of_each_host_whatever_the_order(
    peers: list[Peer], rng: Random, candidates: int
) -> None:
    fingers = Fingers(OWN, candidates, 1000, by_ip)
    for peer in rng.sample(peers, len(peers)):
        fingers.add(peer)
    assert set(fingers.peers()) == nearest_of_each_host(peers, candidates)
    assert len(fingers) == len(fingers.peers())
    assert set(fingers.take_changes()[0]) == set(fingers.peers())


@settings(deadline=None)
@given(crowds(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_so_do_the_hints_and_none_is_offered_that_a_finger_of_its_host_beats(
    peers: list[Peer], rng: Random, candidates: int
) -> None:
    fingers = Fingers(OWN, candidates, 1000, by_ip)
    for peer in rng.sample(peers, len(peers)):
        fingers.hint(peer)
    assert set(fingers.hints()) == nearest_of_each_host(peers, candidates)
    known = rng.choice(peers)
    fingers.add(known)
    interval = interval_of(OWN.place, known.place)
    while (offered := fingers.take_hint()) is not None:
        if ip(offered) == ip(known) and interval_of(OWN.place, offered.place) == interval:
            assert distance(OWN.place, offered.place) < distance(OWN.place, known.place)


def test_a_full_table_still_changes_a_finger_for_a_nearer_one_of_its_host() -> None:
    rows: defaultdict[tuple[int, str], list[Peer]] = defaultdict(list)
    for peer in clockwise(OWN, SHARED):
        rows[interval_of(OWN.place, peer.place), ip(peer)].append(peer)
    near, far, *_ = next(row for row in rows.values() if len(row) > 1)
    fingers = Fingers(OWN, 4, 1, by_ip)
    fingers.add(far)
    fingers.take_changes()
    fingers.add(near)
    assert fingers.take_changes() == ((near,), (far,))
    assert fingers.peers() == [near]
    fingers.add(far)
    assert fingers.peers() == [near]


# The cap


class Flooded:
    """A node whose dials all succeed, and whoever it asks answers with ever new peers of one host."""

    def __init__(self, own: Peer, limits: RingLimits, flood: list[Peer]) -> None:
        self.node = RingNode(own, 1, limits=limits, rng=Random(1))
        self.now = 0.0
        self.refused: Counter[str] = Counter()
        self.dialled: list[Peer] = []
        self.most = 0
        self._flood = flood
        self._host = by_ip(flood[0].address)

    def give(self, input: RingInput) -> None:
        waiting = [input]
        while waiting:
            outputs = self.node.handle(waiting.pop(0), self.now)
            self.most = max(self.most, self.node.places()[self._host])
            for output in outputs:
                waiting += self._response(output)

    def hear(self, sender: Peer, message: RingMessage) -> None:
        self.give(MessageReceived(sender, message))

    def _response(self, output: RingOutput) -> list[RingInput]:
        match output:
            case Refused(reason, count):
                self.refused[reason] += count
            case Prove(peer):
                self.dialled.append(peer)
                return [PeerProven(peer)]
            case SendTo(peer, GetState() as asked):
                behind = clockwise(peer, self._flood)[:64]
                self._flood.append(self._flood.pop(0))
                state = State(
                    incarnation=1,
                    request=asked.request,
                    predecessor=behind[-1].address,
                    successors=tuple(entry.address for entry in behind),
                )
                return [MessageReceived(peer, state)]
            case _:
                pass
        return []


def visit(visitor: Peer) -> FindSuccessor:
    return FindSuccessor(
        incarnation=1, request=1, target=place_to_bytes(visitor.place), path=(visitor.address,)
    )


def flooded(cap: int) -> Flooded:
    """One host with 1,000 ports does what it can to fill the tables of a node: it visits, notifies, answers with lists of
    its own, links that break, and lets them be dialled."""
    ports = [peer_on(7, number) for number in range(1000)]
    limits = RingLimits(successors=4, group_hosts=True, places_per_host=cap)
    bench = Flooded(OWN, limits, ports[:])
    bench.give(CreateRing())
    for number, port in enumerate(ports[:500]):
        bench.hear(port, visit(port))
        bench.hear(port, Notify(incarnation=1))
        if number % 3 == 0:
            bench.give(PeerUnreachable(port))
        bench.now += 1.0  # visits are returned at this rate
        bench.give(TimerFired())
    return bench


@pytest.mark.parametrize("cap", [20, 50])
def test_a_host_with_a_thousand_ports_has_no_more_places_in_all_tables_than_its_cap(cap: int) -> None:
    bench = flooded(cap)
    assert bench.most == cap
    assert bench.refused["host-cap"] > 100
    snapshot = bench.node.snapshot()
    assert len(snapshot.successors) == 16, (
        "the list is as long as ever, for leaving somebody out would break the ring"
    )
    for table in (snapshot.successors, snapshot.fingers, snapshot.quarantined):
        assert len(table) <= cap


def test_without_that_cap_it_would_have_more() -> None:
    assert flooded(10_000).most > 256


def test_peers_with_a_host_each_know_no_cap() -> None:
    bench = Flooded(OWN, RingLimits(successors=4, places_per_host=20), [peer_on(1, 1)])
    bench.give(CreateRing())
    for peer in SHARED:
        bench.give(PeerProven(peer))
    assert sum(bench.node.places().values()) > 100
    assert max(bench.node.places().values()) == 1
    assert not bench.refused


def test_beyond_the_cap_hints_go_first_then_proofs_then_suspects_and_fingers_last() -> None:
    node = RingNode(
        OWN, 1, limits=RingLimits(successors=4, group_hosts=True, places_per_host=20), rng=Random(1)
    )
    node.handle(CreateRing(), 0.0)
    ports = [peer_on(7, number) for number in range(200)]
    for port in ports[:100]:
        node.handle(PeerProven(port), 0.0)
    fingers = node.snapshot().fingers
    assert 3 < len(fingers) < 20
    for port in ports[100:110]:
        node.handle(PeerUnreachable(port), 0.0)
    snapshot = node.snapshot()
    assert snapshot.fingers == fingers
    assert snapshot.quarantined == tuple(ports[100:110])
    for port in ports[110:140]:
        node.handle(PeerUnreachable(port), 0.0)
    snapshot = node.snapshot()
    assert snapshot.fingers == fingers
    assert snapshot.quarantined == tuple(ports[100 : 120 - len(fingers)])
    assert node.places() == {"127.1.0.7": 20}


def test_who_is_asked_for_its_list_keeps_its_proof_however_many_its_host_has() -> None:
    """Or somebody would become head whose proof was dropped meanwhile."""
    own = max(SHARED, key=lambda peer: peer.place if peer.place < 9 << 252 else 0)
    ports = clockwise(own, [peer_on(20, number) for number in range(400)])
    nearer, candidate = next(
        pair for pair in pairwise(ports) if len({interval_of(own.place, peer.place) for peer in pair}) == 1
    )
    others = clockwise(candidate, [peer_on(host, 60) for host in range(30, 40)])
    bench = member(
        own, *others[:4], predecessor=others[-1], successors=4, places_per_host=20, group_hosts=True
    )
    for port in (nearer, *(port for port in ports if port.place < own.place)):
        bench.give(PeerProven(port))
    assert bench.node.places()[by_ip(candidate.address)] == 20
    bench.wake(GetState)
    bench.answer(others[0], candidate, *others[1:4])
    bench.give(PeerProven(candidate))
    assert candidate not in bench.node.snapshot().fingers
    bench.answer(candidate, own, *others[:4])
    snapshot = bench.node.snapshot()
    assert snapshot.successors[0] == candidate
    assert candidate not in snapshot.unverified


# Who is not admitted at all

GLOBAL = [peer_at(canonical_address(f"8.8.{number}.1", 20000 + number)) for number in range(1, 60)]
LOCAL = [peer_at(canonical_address(f"10.0.0.{number}", 20000)) for number in range(1, 30)] + SHARED[:20]
ANYBODY = st.sampled_from(GLOBAL[1:] + LOCAL)
several = st.lists(ANYBODY, max_size=8).map(lambda peers: tuple(peer.address for peer in peers))


class Stranger:
    """A node among strangers; remembers whom it dialled or asked, and who stood in any table it showed."""

    def __init__(self, own: Peer) -> None:
        self.node = RingNode(own, 1, rng=Random(1))
        self.now = 0.0
        self.requests: list[tuple[Peer, int]] = []
        self.named: set[Peer] = set()
        self.refused: Counter[str] = Counter()
        self.last: list[RingOutput] = []

    def give(self, input: RingInput) -> None:
        self.last = self.node.handle(input, self.now)
        for output in self.last:
            match output:
                case Prove(peer):
                    self.named.add(peer)
                case SendTo(peer, GetState() | FindSuccessor() as asked):
                    self.requests.append((peer, asked.request))
                    self.named.add(peer)
                case TableChanged(head, predecessor, known):
                    self.named |= {peer for peer in (head, predecessor, *known) if peer is not None}
                case Refused(reason, count):
                    self.refused[reason] += count
                case _:
                    pass
        snapshot = self.node.snapshot()
        self.named |= {*snapshot.successors, *snapshot.fingers, *snapshot.quarantined}
        if snapshot.predecessor is not None:
            self.named.add(snapshot.predecessor)


@st.composite
def inputs(draw: st.DrawFn, bench: Stranger) -> RingInput:
    requests = bench.requests[-8:]
    peer = draw(ANYBODY)
    kind = draw(
        st.sampled_from(["proven", "gone", "timer", "notify", "visit", "leaving", "state", "found", "join"])
    )
    addresses = draw(several)
    named = draw(ANYBODY).address
    simple: dict[str, RingInput] = {
        "proven": PeerProven(peer),
        "gone": PeerUnreachable(peer),
        "timer": TimerFired(),
        "notify": MessageReceived(peer, Notify(incarnation=1)),
        "visit": MessageReceived(peer, visit(peer)),
        "leaving": MessageReceived(peer, Leaving(incarnation=1, predecessor=named, successors=addresses)),
        # A peer in no ring would ask any seed that it was given
        "join": JoinRing((peer,), bench.now + 5.0)
        if bench.node.snapshot().phase == "member"
        else TimerFired(),
    }
    if kind in simple:
        return simple[kind]
    asked, request = draw(st.sampled_from(requests)) if requests else (peer, 1)
    if kind == "state":
        state = State(incarnation=1, request=request, predecessor=named, successors=addresses)
        return MessageReceived(asked, state)
    path = (GLOBAL[0].address, asked.address)
    return MessageReceived(
        asked,
        Found(
            incarnation=1,
            request=request,
            predecessor=named,
            successors=addresses or (named,),
            path=path,
            position=0,
        ),
    )


@pytest.mark.prove
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_peer_with_a_global_address_never_dials_or_lists_one_without(data: st.DataObject) -> None:
    bench = Stranger(GLOBAL[0])
    is_first = data.draw(st.booleans())
    bench.give(CreateRing() if is_first else JoinRing((GLOBAL[1], GLOBAL[2]), 1e6))
    for _ in range(30):
        bench.now += data.draw(st.sampled_from([0.0, 0.2, 3.0]))
        bench.give(data.draw(inputs(bench)))
    assert all(is_global(peer.address) for peer in bench.named - {GLOBAL[0]})
    assert all(host.endswith("/24") for host in bench.node.places())


def test_such_refusals_are_counted_and_the_rest_of_a_list_is_adopted() -> None:
    own, *others = GLOBAL[:8]
    bench = Stranger(own)
    bench.give(CreateRing())
    head, *rest = clockwise(own, others)
    for peer in (head, LOCAL[0]):
        bench.give(PeerProven(peer))
        bench.give(MessageReceived(peer, Notify(incarnation=1)))
    assert bench.refused["not-global"] == 2
    bench.now = 1.0
    bench.give(TimerFired())
    asked, request = bench.requests[-1]
    assert asked == head
    mixed = tuple(peer.address for peer in clockwise(own, rest + LOCAL[:3]))
    bench.give(
        MessageReceived(
            head, State(incarnation=1, request=request, predecessor=LOCAL[4].address, successors=mixed)
        )
    )
    assert bench.node.snapshot().successors == (head, *rest)
    assert bench.refused["not-global"] > 4


def test_a_joiner_without_a_global_address_is_told_so() -> None:
    seed, joiner = GLOBAL[0], LOCAL[0]
    member, newcomer = Stranger(seed), Stranger(joiner)
    member.give(CreateRing())
    newcomer.give(JoinRing((seed,), 5.0))
    (asked,) = [output.message for output in newcomer.last if isinstance(output, SendTo)]
    member.give(MessageReceived(joiner, asked))
    (refusal,) = [output.message for output in member.last if isinstance(output, SendTo)]
    assert isinstance(refusal, LookupFailed)
    assert refusal.reason == LookupFailure.NOT_GLOBAL.value
    newcomer.give(MessageReceived(seed, refusal))
    newcomer.now = 5.0
    newcomer.give(TimerFired())
    (failed,) = [output for output in newcomer.last if isinstance(output, JoinFailed)]
    assert "takes in global addresses only" in failed.reason


def test_a_peer_without_a_global_address_takes_everybody() -> None:
    bench = Stranger(LOCAL[0])
    bench.give(CreateRing())
    for peer in (*GLOBAL[:3], *LOCAL[1:4]):
        bench.give(PeerProven(peer))
    assert set(bench.node.snapshot().fingers) == {*GLOBAL[:3], *LOCAL[1:4]}
    assert not bench.refused


def test_neighbours_in_a_network_of_the_internet_are_one_host_without_any_setting() -> None:
    near = [peer_at(Address(f"8.8.4.{number}:20000")) for number in range(1, 41)]
    far = [peer_at(Address(f"9.9.{number}.1:20000")) for number in range(1, 41)]
    entries = clockwise(OWN, near + far)
    found = SuccessorList(OWN, 4).fit(entries)
    networks = [".".join(entry.address.split(".")[:3]) for entry in found]
    assert len(set(networks)) == 4
    assert len(set(networks[:-1])) == 3


def test_a_member_with_a_global_address_does_not_visit_a_seed_without_one() -> None:
    bench = Stranger(GLOBAL[0])
    bench.give(CreateRing())
    bench.give(PeerProven(GLOBAL[1]))
    bench.give(MessageReceived(GLOBAL[1], Notify(incarnation=1)))
    bench.now = 1.0
    bench.give(TimerFired())
    ((head, request),) = bench.requests
    state = State(
        incarnation=1, request=request, predecessor=GLOBAL[0].address, successors=(GLOBAL[0].address,)
    )
    bench.give(MessageReceived(head, state))
    assert bench.node.snapshot().phase == "member"
    bench.give(JoinRing((LOCAL[0], GLOBAL[2]), 9.0))
    assert [output.peer for output in bench.last if isinstance(output, Prove)] == [GLOBAL[2]]
    assert bench.node.snapshot().quarantined == (GLOBAL[2],)


def test_a_seed_without_a_global_address_is_asked_and_not_remembered() -> None:
    lower, higher = sorted(GLOBAL[:2], key=lambda peer: peer.place)
    bench = Stranger(lower)
    bench.give(JoinRing((LOCAL[0], higher), 9.0))
    assert [peer for peer, _ in bench.requests] == [LOCAL[0]]
    bench.give(PeerUnreachable(LOCAL[0]))
    joining = FindSuccessor(
        incarnation=1, request=1, target=place_to_bytes(higher.place), path=(higher.address,), joining=1
    )
    bench.give(MessageReceived(higher, joining))
    snapshot = bench.node.snapshot()
    assert snapshot.phase == "alone", "it gave way, so that they find each other"
    assert snapshot.quarantined == (higher,)
