"""Being hidden: finding relays, keeping them, replacing those that are lost, and saying where one lodges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.hosts import by_ip, by_peer
from cicada.ids import (
    RING_SIZE,
    Address,
    Peer,
    canonical_address,
    hidden_address,
    peer_at,
    place_from_bytes,
    place_to_bytes,
)
from cicada.keys.io import Lodge
from cicada.limits import LODGING, LodgingLimits
from cicada.routing.io import Findable, Forward, Keep, Lodged, NotLodged, RouterOutput, SeekLodging
from cicada.routing.lodging import Lodging
from cicada.transport.linkio import Need
from cicada.wire.routed import GetRecord, LodgingGranted, LodgingRefused, LodgingRequest, PutRecord, RecordIs
from cicada.wire.routed import Lodging as Where
from tests.routing.swarm import peers_at

MEMBERS: Final = peers_at(30400, 40)
OWN: Final = peer_at(hidden_address("5e" * 32))
GAP: Final = RING_SIZE // 40


def at_hosts(*numbers: int) -> tuple[Peer, ...]:
    return tuple(peer_at(canonical_address(f"203.0.{number}.7", 50000)) for number in numbers)


class Tenant:
    """A hidden peer's Lodging, and members that answer it: by default each grants at once."""

    def __init__(self, *, limits: LodgingLimits = LODGING, by: Callable[[Address], object] = by_peer) -> None:
        self.lodging = Lodging(OWN, by, Random(1), limits)  # type: ignore[arg-type]
        self.now = 0.0
        self.asked: list[tuple[float, Peer, LodgingRequest]] = []
        self.put: list[tuple[float, Peer, PutRecord]] = []
        self.kept: list[Keep] = []
        self.questions: list[tuple[float, GetRecord]] = []
        self.findable: list[bool] = []
        self.kept_there: bytes | None = b"record"  # what members have; None: they do not answer
        self.said: list[Lodged | NotLodged] = []
        self.signed: list[Lodge] = []
        self.others: tuple[Peer, ...] = ()
        self.silent: set[Peer] = set()
        self.refusing: dict[Peer, str] = {}
        self._unanswered: list[tuple[Peer, int]] = []
        self._is_answering = False

    def seek(self, seeds: Iterable[Peer], seconds: float = 30.0) -> None:
        self.take(self.lodging.seek(SeekLodging(tuple(seeds), self.now + seconds), self.now))

    def take(self, outputs: list[RouterOutput]) -> None:
        for output in outputs:
            match output:
                case Forward(peer, LodgingRequest() as request):
                    self.asked.append((self.now, peer, request))
                    self._unanswered.append((peer, request.request))
                case Forward(peer, PutRecord() as put):
                    self.put.append((self.now, peer, put))
                case Forward(peer, GetRecord() as question):
                    assert peer in self.relays
                    self.questions.append((self.now, question))
                    self.show(question, self.kept_there)
                case Findable(is_found):
                    self.findable.append(is_found)
                case Keep():
                    self.kept.append(output)
                case Lodged() | NotLodged():
                    self.said.append(output)
                case Lodge():
                    self.signed.append(output)
                case _:
                    raise AssertionError(output)
        if self._is_answering:
            return
        self._is_answering = True
        for _ in range(1000):
            if not self._unanswered:
                break
            peer, number = self._unanswered.pop(0)
            if peer not in self.silent:
                self.answer(peer, number)
        else:
            raise AssertionError("it asks for ever")
        self._is_answering = False

    def show(self, question: GetRecord, record: bytes | None) -> None:
        """A member says that it has this record; None: nobody does."""
        if record is not None:
            answer = RecordIs(
                target=place_to_bytes(OWN.place),
                origin=MEMBERS[0].address,
                hops=1,
                request=question.request,
                about=question.about,
                record=record,
                succession=b"",
            )
            self.take(self.lodging.on_shown(answer))

    def answer(self, peer: Peer, request: int) -> None:
        others = tuple(each.address for each in self.others)
        if peer in self.refusing:
            refused = LodgingRefused(request=request, reason=self.refusing[peer], others=others)
            self.take(self.lodging.on_refused(peer, refused, self.now))
        else:
            voucher = f"{peer.address} {self.now}".encode()
            granted = LodgingGranted(
                request=request, voucher=voucher, others=others, gap=GAP.to_bytes(32, "big")
            )
            self.take(self.lodging.on_granted(peer, granted, self.now))

    def lose(self, peer: Peer) -> None:
        self.take(self.lodging.on_lost(peer, self.now))

    def publish(self, record: bytes = b"record") -> None:
        self.take(self.lodging.on_record(record, self.now))

    def pass_time(self, seconds: float) -> None:
        """Do all that comes due."""
        end = self.now + seconds
        for _ in range(10_000):
            due = self.lodging.next_deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self.take(self.lodging.fire(self.now))
        raise AssertionError("it never rests")

    @property
    def relays(self) -> set[Peer]:
        return set(self.lodging.relays)


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


def test_one_seed_leads_to_three_relays_which_are_kept_and_named(tenant: Tenant) -> None:
    tenant.others = MEMBERS[1:10]
    tenant.seek(MEMBERS[:1])
    assert len(tenant.relays) == LODGING.relays
    assert MEMBERS[0] in tenant.relays
    assert tenant.kept[-1] == Keep(frozenset(tenant.relays), Need.LODGING)
    assert len(tenant.signed[-1].vouchers) == LODGING.relays
    assert isinstance(tenant.said[-1], Lodged)
    assert set(tenant.said[-1].relays) == tenant.relays
    assert tenant.lodging.gap == GAP


def test_it_asks_no_more_members_than_it_needs(tenant: Tenant) -> None:
    tenant.seek(MEMBERS)
    assert len(tenant.asked) == LODGING.relays
    tenant.pass_time(LODGING.renewal - 1)
    assert len(tenant.asked) == LODGING.relays


def test_the_first_relay_is_enough_to_have_entered_and_one_member_is_a_swarm(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:1])
    assert tenant.said == [Lodged((MEMBERS[0],))]
    tenant.pass_time(120.0)
    assert tenant.said == [Lodged((MEMBERS[0],))]


def test_relays_are_of_different_hosts_as_far_as_there_are_such() -> None:
    tenant = Tenant(by=by_ip)
    crowd = [peer_at(canonical_address("203.0.1.9", 40000 + number)) for number in range(20)]
    tenant.seek([*crowd, *at_hosts(2, 3)])
    assert len({by_ip(relay.address) for relay in tenant.relays}) == LODGING.relays
    alone = Tenant(by=by_ip)
    alone.seek(crowd)
    assert len(alone.relays) == LODGING.relays


def test_a_relay_that_is_lost_is_replaced_and_the_record_says_so(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:10])
    lost = tenant.lodging.relays[0]
    tenant.lose(lost)
    assert lost not in tenant.relays
    assert len(tenant.relays) == LODGING.relays
    assert tenant.kept[-1] == Keep(frozenset(tenant.relays), Need.LODGING)
    assert len(tenant.signed[-1].vouchers) == LODGING.relays
    assert not any(voucher.startswith(lost.address.encode()) for voucher in tenant.signed[-1].vouchers)


def test_when_all_are_lost_it_asks_them_again_after_a_while(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    for relay in tenant.lodging.relays:
        tenant.lose(relay)
    assert tenant.relays == set()
    assert tenant.kept[-1] == Keep(frozenset(), Need.LODGING)
    tenant.pass_time(LODGING.pause)
    assert tenant.relays == set(MEMBERS[:3])
    assert isinstance(tenant.said[-1], Lodged)


def test_a_stranger_that_is_lost_changes_nothing(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    said, kept = list(tenant.said), list(tenant.kept)
    tenant.lose(MEMBERS[20])
    assert (tenant.said, tenant.kept) == (said, kept)


def test_who_refuses_is_left_alone_for_a_while_and_those_it_names_are_asked(tenant: Tenant) -> None:
    tenant.refusing = {MEMBERS[0]: "full"}
    tenant.others = MEMBERS[1:4]
    tenant.seek(MEMBERS[:1])
    assert tenant.relays == set(MEMBERS[1:4])
    tenant.refusing = {}
    for relay in tenant.lodging.relays:
        tenant.silent.add(relay)
        tenant.lose(relay)
    assert MEMBERS[0] not in tenant.relays
    tenant.pass_time(LODGING.pause)
    assert MEMBERS[0] in tenant.relays


def test_a_silent_member_is_given_up_for_another(tenant: Tenant) -> None:
    tenant.silent = {MEMBERS[0]}
    tenant.seek(MEMBERS[:4])
    tenant.pass_time(LODGING.patience)
    assert tenant.relays == set(MEMBERS[1:4])


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda tenant: tenant.silent.update(MEMBERS), f"{MEMBERS[0].address} did not answer"),
        (lambda tenant: tenant.refusing.update({MEMBERS[0]: "full"}), f"{MEMBERS[0].address} refused: full"),
    ],
)
def test_it_gives_up_at_the_deadline_and_says_why(
    tenant: Tenant, prepare: Callable[[Tenant], None], reason: str
) -> None:
    prepare(tenant)
    tenant.seek(MEMBERS[:1], seconds=20.0)
    tenant.pass_time(19.9)
    assert tenant.said == []
    tenant.pass_time(0.1)
    assert tenant.said == [NotLodged(reason)]
    asked = len(tenant.asked)
    tenant.pass_time(1000.0)
    assert len(tenant.asked) == asked
    assert tenant.lodging.next_deadline() is None


def test_a_seed_that_cannot_be_dialled_is_named_in_the_end(tenant: Tenant) -> None:
    tenant.silent = {MEMBERS[0]}
    tenant.seek(MEMBERS[:1], seconds=1.0)
    tenant.lose(MEMBERS[0])
    tenant.pass_time(1.0)
    assert tenant.said == [NotLodged(f"{MEMBERS[0].address} cannot be reached")]


def test_it_never_asks_itself_whoever_names_it(tenant: Tenant) -> None:
    tenant.others = (MEMBERS[1],)
    tenant.seek([OWN, MEMBERS[0]])
    tenant.pass_time(60.0)
    assert OWN not in {peer for _, peer, _ in tenant.asked}
    assert tenant.relays == set(MEMBERS[:2])


@pytest.mark.parametrize(
    ("seed", "is_asked"),
    [
        ("44.2.1.7", (True, False, False)),
        ("192.168.1.9", (True, True, False)),
        ("127.0.0.1", (True, True, True)),
    ],
)
@pytest.mark.parametrize("answer", ["granted", "refused"])
def test_nobody_has_it_dial_what_is_nearer_than_the_seeds_it_was_given(
    seed: str, is_asked: tuple[bool, ...], answer: str
) -> None:
    """Who is given a public member must not look for services in its own network, or on its own machine, on that one's word."""
    tenant = Tenant()
    first = peer_at(canonical_address(seed, 50000))
    far, near, here = (
        peer_at(canonical_address(host, 80)) for host in ("44.1.1.1", "192.168.1.1", "127.0.0.1")
    )
    tenant.others = (far, near, here)
    if answer == "refused":
        tenant.refusing = {first: "full"}
    tenant.silent = {far, near, here}
    tenant.seek([first], seconds=1e9)
    tenant.pass_time(60.0)
    assert tuple(each in {peer for _, peer, _ in tenant.asked} for each in (far, near, here)) == is_asked


def test_a_relay_that_serves_it_no_longer_says_so_unasked_and_is_replaced(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:4])
    first = tenant.lodging.relays[0]
    over = LodgingRefused(request=0, reason="full", others=())
    tenant.take(tenant.lodging.on_refused(MEMBERS[20], over, tenant.now))
    assert first in tenant.relays
    tenant.take(tenant.lodging.on_refused(first, over, tenant.now))
    assert first not in tenant.relays
    assert len(tenant.relays) == LODGING.relays
    assert tenant.kept[-1] == Keep(frozenset(tenant.relays), Need.LODGING)


LIAR, HONEST = MEMBERS[0], MEMBERS[1]
FRIENDS, OTHERS = MEMBERS[2:18], MEMBERS[18:34]


class Divided(Tenant):
    """Among its seeds is one that names its friends alone."""

    def answer(self, peer: Peer, request: int) -> None:
        self.others = FRIENDS if peer == LIAR or peer in FRIENDS else OTHERS
        super().answer(peer, request)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("relays", "most"), [(6, 3), (LODGING.relays, 2)])
def test_a_seed_that_names_its_friends_alone_has_its_share_of_the_relays_as_long_as_others_are_known(
    seed: int, relays: int, most: int
) -> None:
    limits = LodgingLimits(relays=relays)
    tenant = Divided(limits=limits)
    tenant.lodging = Lodging(OWN, by_peer, Random(seed), limits)
    tenant.seek([LIAR, HONEST])
    for _ in range(10):
        assert len(tenant.relays) == limits.relays
        assert len(tenant.relays & {LIAR, *FRIENDS}) <= most
        tenant.lose(next(relay for relay in tenant.lodging.relays if relay in (HONEST, *OTHERS)))


def test_a_seed_that_is_silent_holds_up_those_that_another_one_names_for_as_long_as_one_is_waited_for() -> (
    None
):
    tenant = Divided(limits=LodgingLimits(relays=6))
    tenant.silent = {HONEST}
    tenant.seek([LIAR, HONEST])
    assert len(tenant.relays) == 3
    tenant.pass_time(LODGING.patience)
    assert len(tenant.relays) == 6


def test_whom_two_seeds_name_is_asked_before_those_that_one_does() -> None:
    for seed in range(8):
        tenant = Tenant()
        tenant.lodging = Lodging(OWN, by_peer, Random(seed))
        tenant.silent = {LIAR, HONEST}
        tenant.seek([LIAR, HONEST])
        requests = {peer: request.request for _, peer, request in tenant.asked}
        for peer, named in ((LIAR, (*FRIENDS, OTHERS[0])), (HONEST, OTHERS[:1])):
            tenant.others = named
            tenant.answer(peer, requests[peer])
        assert tenant.relays == {LIAR, HONEST, OTHERS[0]}


def test_one_seed_leaves_room_for_those_that_another_one_named() -> None:
    tenant = Tenant(limits=LodgingLimits(candidates=12, relays=2))
    tenant.silent = {MEMBERS[0], MEMBERS[1]}
    tenant.seek(MEMBERS[:2])
    requests = {peer: request.request for _, peer, request in tenant.asked}
    for seed, named in ((0, MEMBERS[2:6]), (1, MEMBERS[6:40])):
        tenant.others = named
        tenant.answer(MEMBERS[seed], requests[MEMBERS[seed]])
    assert set(MEMBERS[2:6]) <= set(tenant.lodging._candidates)
    assert len(tenant.lodging._candidates) <= 12


def test_a_swarm_that_refuses_is_asked_in_bounded_numbers_and_the_seeds_again_and_again() -> None:
    limits = LodgingLimits(candidates=8)
    tenant = Tenant(limits=limits)
    tenant.others = MEMBERS[5:]
    tenant.refusing = dict.fromkeys(MEMBERS, "full")
    tenant.seek(MEMBERS[:2], seconds=600.0)
    assert len(tenant.asked) <= limits.candidates
    tenant.pass_time(10 * limits.pause)
    assert len(tenant.asked) <= 11 * limits.candidates
    asked = [peer for _, peer, _ in tenant.asked]
    assert all(asked.count(seed) >= 10 for seed in MEMBERS[:2])


def test_members_that_are_named_beyond_what_is_remembered_take_turns() -> None:
    tenant = Tenant(limits=LodgingLimits(candidates=8))
    tenant.others = MEMBERS[5:]
    tenant.refusing = dict.fromkeys(MEMBERS[:35], "full")
    tenant.seek(MEMBERS[:2], seconds=600.0)
    tenant.pass_time(300.0)
    assert tenant.relays <= set(MEMBERS[35:])
    assert len(tenant.relays) == LODGING.relays


def test_vouchers_are_renewed_when_half_of_their_life_is_over(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    before = tenant.signed[-1].vouchers
    tenant.pass_time(LODGING.renewal - 0.1)
    assert len(tenant.asked) == 3
    tenant.pass_time(0.2)
    assert len(tenant.asked) == 6
    assert set(tenant.signed[-1].vouchers).isdisjoint(before)
    assert len(tenant.kept) == 3, "the same relays are kept"
    for _ in range(3):
        tenant.pass_time(LODGING.renewal)
    assert len(tenant.asked) == 15


def test_a_relay_that_does_not_renew_is_replaced_before_its_voucher_ends(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:4])
    lazy = tenant.lodging.relays[0]
    tenant.silent = {lazy}
    tenant.pass_time(LODGING.renewal + LODGING.patience)
    assert lazy not in tenant.relays
    assert len(tenant.relays) == LODGING.relays
    assert tenant.now < LODGING.voucher_seconds


def test_a_relay_that_refuses_to_go_on_is_one_no_more(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:4])
    leaving = tenant.lodging.relays[0]
    tenant.refusing = {leaving: "not-member"}
    tenant.pass_time(LODGING.renewal)
    assert leaving not in tenant.relays
    assert len(tenant.relays) == LODGING.relays


def test_the_record_is_put_at_the_own_place_by_each_relay_and_at_points_after_it(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    tenant.publish()
    own = [(peer, put) for _, peer, put in tenant.put if place_from_bytes(put.target) == OWN.place]
    assert {peer for peer, _ in own} == tenant.relays
    for _, peer, put in tenant.put:
        assert peer in tenant.relays
        assert put.lodging == Where(home=peer.address)
        assert (put.about, put.record, put.origin, put.hops) == (
            place_to_bytes(OWN.place),
            b"record",
            OWN.address,
            1,
        )
    beyond = [put for _, _, put in tenant.put if place_from_bytes(put.target) != OWN.place]
    assert all(put.is_copy for put in beyond)
    assert not any(put.is_copy for _, put in own)
    distances = sorted((place_from_bytes(put.target) - OWN.place) % RING_SIZE for put in beyond)
    assert distances == [GAP * number for number in range(1, len(beyond) + 1)]


def test_it_is_published_again_and_again(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    tenant.publish()
    first = len(tenant.put)
    tenant.pass_time(LODGING.publishing - 0.1)
    assert len(tenant.put) == first
    tenant.pass_time(0.2)
    assert len(tenant.put) == 2 * first
    tenant.pass_time(2 * LODGING.publishing)
    assert len(tenant.put) == 4 * first


def test_without_relays_nothing_is_published(tenant: Tenant) -> None:
    tenant.publish()
    tenant.pass_time(1000.0)
    assert tenant.put == []


def test_who_leaves_asks_and_publishes_no_more_and_lets_go_of_its_relays(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    tenant.publish()
    tenant.take(tenant.lodging.leave())
    asked, put = len(tenant.asked), len(tenant.put)
    assert tenant.kept[-1] == Keep(frozenset(), Need.LODGING)
    assert tenant.relays == set()
    tenant.lose(MEMBERS[0])
    tenant.pass_time(1000.0)
    assert (len(tenant.asked), len(tenant.put)) == (asked, put)


def test_an_answer_counts_once_and_only_from_who_was_asked() -> None:
    tenant = Tenant()
    tenant.silent = set(MEMBERS)
    tenant.seek(MEMBERS[:1])
    ((_, peer, request),) = tenant.asked
    strange = ((MEMBERS[1], request.request), (MEMBERS[1], 0), (peer, request.request + 1), (peer, 0))
    for stranger, number in strange:
        tenant.answer(stranger, number)
        assert tenant.relays == set()
    tenant.answer(peer, request.request)
    tenant.refusing = {peer: "full"}
    tenant.answer(peer, request.request)
    assert tenant.relays == {peer}


def test_an_answer_that_comes_after_it_left_makes_nobody_a_relay(tenant: Tenant) -> None:
    tenant.silent = set(MEMBERS)
    tenant.seek(MEMBERS[:1])
    ((_, peer, request),) = tenant.asked
    tenant.take(tenant.lodging.leave())
    tenant.answer(peer, request.request)
    assert tenant.relays == set()


def test_sought_again_while_it_lodges_it_says_so_at_once(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    tenant.said.clear()
    tenant.seek(MEMBERS[5:6])
    assert [set(said.relays) for said in tenant.said if isinstance(said, Lodged)] == [set(MEMBERS[:3])]


def test_an_address_is_to_be_dialled_by_each_relay_now_and_again(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    candidate = canonical_address("203.0.114.9", 50000)
    tenant.take(tenant.lodging.have_dialled(candidate, tenant.now))
    assert {request.candidate for _, _, request in tenant.asked[3:]} == {candidate}
    assert {peer for _, peer, _ in tenant.asked[3:]} == tenant.relays
    before = len(tenant.asked)
    tenant.pass_time(3 * LODGING.dial_back_pause)
    assert len(tenant.asked) - before == 9
    tenant.take(tenant.lodging.have_dialled(Address(""), tenant.now))
    quiet = len(tenant.asked)
    tenant.pass_time(60.0)
    assert len(tenant.asked) == quiet


steps = st.one_of(
    st.tuples(st.just("lose"), st.integers(0, 11)),
    st.tuples(st.just("silence"), st.integers(0, 11)),
    st.tuples(st.just("refuse"), st.integers(0, 11)),
    st.tuples(st.just("recover"), st.integers(0, 11)),
    st.tuples(st.just("time"), st.integers(0, 400)),
)


@settings(deadline=None)
@given(st.lists(steps, max_size=30))
def test_whatever_happens_it_has_at_most_three_relays_and_as_many_again_when_members_answer(
    history: list[tuple[str, int]],
) -> None:
    tenant = Tenant()
    members = MEMBERS[:12]
    tenant.others = members
    tenant.seek(members[:2], seconds=1e9)
    for what, number in history:
        member = members[number % 12]
        if what == "lose":
            tenant.lose(member)
        elif what == "silence":
            tenant.silent.add(member)
        elif what == "refuse":
            tenant.refusing[member] = "full"
        elif what == "recover":
            tenant.silent.discard(member)
            tenant.refusing.pop(member, None)
        else:
            tenant.pass_time(float(number))
        assert len(tenant.relays) <= LODGING.relays
        if tenant.kept:
            assert tenant.kept[-1] == Keep(frozenset(tenant.relays), Need.LODGING)
        assert OWN not in tenant.relays
        due = tenant.lodging.next_deadline()
        assert due is not None
        assert due > tenant.now or what != "time"
    tenant.silent.clear()
    tenant.refusing.clear()
    tenant.pass_time(LODGING.pause + LODGING.patience)
    assert len(tenant.relays) == LODGING.relays


def test_without_any_link_it_asks_its_relays_anew_at_once(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:3])
    tenant.take(tenant.lodging.on_links_lost(tenant.now))
    assert tenant.relays == set(MEMBERS[:3])
    assert len(tenant.asked) == 6
    assert tenant.kept[-1] == Keep(frozenset(MEMBERS[:3]), Need.LODGING)
    assert isinstance(tenant.said[-1], Lodged)
    idle = Tenant()
    idle.take(idle.lodging.on_links_lost(0.0))
    assert not idle.asked
    assert not idle.kept


def test_it_is_found_once_a_member_shows_its_newest_record(tenant: Tenant) -> None:
    tenant.kept_there = None
    tenant.seek(MEMBERS[:3])
    assert tenant.questions == []
    tenant.publish(b"older")
    tenant.publish(b"newer")
    (_, older), (_, newer) = tenant.questions
    assert place_from_bytes(newer.target) == OWN.place - 1
    assert place_from_bytes(newer.about) == OWN.place
    tenant.show(older, b"newer")
    tenant.show(newer, b"older")
    tenant.show(newer, b"")
    assert tenant.findable == []
    tenant.show(newer, b"newer")
    assert tenant.findable == [True]


def test_who_is_not_found_publishes_again_and_looks_again_more_and_more_rarely(tenant: Tenant) -> None:
    tenant.kept_there = b""
    tenant.seek(MEMBERS[:3])
    tenant.publish()
    tenant.pass_time(LODGING.search * 14.9)
    assert [at / LODGING.search for at, _ in tenant.questions] == [0, 1, 3, 7]
    assert len({at for at, _, _ in tenant.put}) == 4
    distances = [(place_from_bytes(question.target) - OWN.place + 1) for _, question in tenant.questions]
    assert distances == [0, 0, 0, GAP], "the first one there may be a liar"
    tenant.kept_there = b"record"
    tenant.pass_time(LODGING.search * 0.2)
    assert tenant.findable == [True]
    tenant.pass_time(LODGING.publishing * 3)
    assert len(tenant.questions) == 5


def test_who_lost_all_relays_is_not_found_until_members_show_its_next_record(tenant: Tenant) -> None:
    tenant.seek(MEMBERS[:1])
    tenant.publish()
    assert tenant.findable == [True]
    tenant.silent = {MEMBERS[0]}
    tenant.lose(MEMBERS[0])
    assert tenant.findable == [True, False]
    tenant.silent = set()
    tenant.pass_time(LODGING.pause)
    assert tenant.relays == {MEMBERS[0]}
    assert tenant.findable == [True, False]
    tenant.publish()
    assert tenant.findable == [True, False, True]


def test_who_left_is_looked_for_no_more(tenant: Tenant) -> None:
    tenant.kept_there = None
    tenant.seek(MEMBERS[:1])
    tenant.publish()
    ((_, question),) = tenant.questions
    tenant.take(tenant.lodging.leave())
    tenant.show(question, b"record")
    assert (tenant.findable, tenant.lodging.next_deadline()) == ([], None)
