"""What strangers can have one member do about hidden peers: nothing that is not theirs to ask for, and of the rest its share."""

from __future__ import annotations

from random import Random
from typing import Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.ids import (
    RING_SIZE,
    Address,
    Peer,
    Place,
    hidden_address,
    peer_at,
    place_from_bytes,
    place_to_bytes,
)
from cicada.keys.io import Answered, KeepRecord, RecordKept, Vouch, Vouched
from cicada.limits import DELIVERY, KEYS, LODGING, WIRE
from cicada.routing.io import (
    DialBack,
    Forward,
    Locate,
    Lodged,
    LodgingHeard,
    NextHopLost,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SeekLodging,
)
from cicada.routing.router import Router
from cicada.wire.codec import decode, encode
from cicada.wire.routed import (
    Contact,
    ContactReply,
    GetRecord,
    Lodging,
    LodgingFind,
    LodgingGranted,
    LodgingMessage,
    LodgingRequest,
    NoSuchPeer,
    PutRecord,
    RoutedMessage,
)
from tests.routing.swarm import clockwise, ideal_table, peers_at
from tests.wire.catalogue import legal

MEMBERS: Final = peers_at(30500, 40)
OWN: Final = MEMBERS[0]
EVIL: Final = MEMBERS[7]
AFTER: Final = clockwise(OWN, MEMBERS)[0]
DEAD: Final = Place((OWN.place + 1) % RING_SIZE)
"""A place in the arc that the member sees, which is nobody's."""
SHE: Final = next(
    peer
    for peer in (peer_at(hidden_address(f"{number:064x}")) for number in range(10_000))
    if (peer.place - OWN.place) % RING_SIZE < (AFTER.place - OWN.place) % RING_SIZE
)
"""Her place is in that arc too."""
HE: Final = peer_at(hidden_address("4e" * 32))
RECORD_BYTES: Final = KEYS.record_bytes


class Member:
    """The Router of OWN in a ring of forty, with which SHE lodges."""

    def __init__(self) -> None:
        self.router = Router(OWN, 7, rng=Random(1))
        self.router.handle(ideal_table(OWN, MEMBERS), 0.0)
        self.now = 1.0
        self.say(SHE, LodgingRequest(request=1), "203.0.114.1")

    def do(self, input: RouterInput) -> list[RouterOutput]:
        return self.router.handle(input, self.now)

    def say(self, peer: Peer, message: LodgingMessage, source: str = "203.0.114.9") -> list[RouterOutput]:
        return self.do(LodgingHeard(peer, message, source))

    def hear(self, message: RoutedMessage, sender: Peer = EVIL) -> list[RouterOutput]:
        return self.do(RoutedReceived(sender, message))

    def dropped(self, reason: str) -> int:
        return self.router.counters().get(f"dropped:{reason}", 0)


@pytest.fixture
def member() -> Member:
    return Member()


def question(
    target: Peer, *, hops: int = 1, lodging: Lodging | None = None, origin: Peer = EVIL
) -> GetRecord:
    return GetRecord(
        target=place_to_bytes(target.place),
        origin=origin.address,
        hops=hops,
        lodging=lodging,
        request=5,
        about=place_to_bytes(target.place),
    )


def put(about: int, record: bytes = b"junk", *, target: int | None = None) -> PutRecord:
    return PutRecord(
        target=place_to_bytes(Place(about if target is None else target)),
        origin=EVIL.address,
        hops=1,
        about=place_to_bytes(Place(about)),
        record=record,
    )


# Links that a message may cross


@pytest.mark.parametrize("hops", [DELIVERY.hop_limit, WIRE.max_path])
@pytest.mark.parametrize(
    "stale",
    [
        question(OWN, lodging=Lodging(to=place_to_bytes(SHE.place))),  # to be passed on to a lodger
        question(SHE),  # which names no relay
        question(SHE, lodging=Lodging(home=EVIL.address), origin=HE),
    ],
)
def test_a_message_that_has_crossed_too_many_links_is_not_passed_on_to_a_lodger(
    member: Member, stale: GetRecord, hops: int
) -> None:
    """The lodger would find it malformed, and blame its relay."""
    (forward,) = member.hear(replace(stale, hops=DELIVERY.hop_limit - 1))
    assert isinstance(forward, Forward)
    assert forward.peer == SHE
    assert not any(isinstance(output, Forward) for output in member.hear(replace(stale, hops=hops)))
    assert member.dropped("hop-limit") == 1


PLACES: Final = [place_to_bytes(place) for place in (OWN.place, SHE.place, DEAD, AFTER.place)]
ROUTED: Final[tuple[type[RoutedMessage], ...]] = get_args(RoutedMessage)
LODGING_MESSAGES: Final[tuple[type[LodgingMessage], ...]] = get_args(LodgingMessage)


@st.composite
def aimed(draw: st.DrawFn) -> RoutedMessage:
    """Any message that the wire lets through, for places that matter here, by ways that matter here."""
    message: RoutedMessage = draw(legal(draw(st.sampled_from(ROUTED))))
    changes: dict[str, Any] = {
        "target": draw(st.sampled_from(PLACES)),
        "hops": draw(st.sampled_from([0, DELIVERY.hop_limit - 1, WIRE.max_path])),
        "origin": draw(st.sampled_from([SHE, HE, EVIL, AFTER])).address,
        "lodging": draw(
            st.none()
            | st.builds(
                Lodging,
                st.sampled_from([b"", place_to_bytes(SHE.place), place_to_bytes(HE.place)]),
                st.sampled_from(["", OWN.address, EVIL.address, AFTER.address]),
            )
        ),
    }
    return replace(message, **changes)


class Tenant(Member):
    """The Router of SHE, who lodges with AFTER."""

    def __init__(self) -> None:
        self.router = Router(SHE, 7, rng=Random(1))
        self.now = 1.0
        (asked,) = self.do(SeekLodging((AFTER,), 1e9))
        assert isinstance(asked, Forward)
        assert isinstance(asked.message, LodgingRequest)
        granted = LodgingGranted(
            request=asked.message.request, voucher=b"signed", others=(EVIL.address,), gap=bytes(32)
        )
        assert any(isinstance(output, Lodged) for output in self.say(AFTER, granted))


PEERS: Final = st.sampled_from([SHE, HE, EVIL, AFTER])
said_of_lodging = st.sampled_from(LODGING_MESSAGES).flatmap(legal)
anything = st.one_of(
    st.builds(RoutedReceived, PEERS, aimed()),
    st.builds(lambda peer, message: NextHopLost(peer, (message,)), PEERS, aimed()),
    st.builds(LodgingHeard, PEERS, said_of_lodging, st.sampled_from(["local", "203.0.114.1"])),
    st.builds(
        lambda peer, message: LodgingHeard(peer, replace(message, request=0), "local"), PEERS, said_of_lodging
    ),
)


@pytest.mark.parametrize("kind", [Member, Tenant])
@given(history=st.lists(anything, max_size=8))
def test_whatever_comes_what_a_router_sends_is_decoded_again(
    kind: type[Member], history: list[RouterInput]
) -> None:
    router = kind()
    for came in history:
        outputs = router.do(came)
        for output in list(outputs):
            if isinstance(output, KeepRecord):
                outputs += router.do(RecordKept(output.ticket, SHE.place, (EVIL.address,)))
            elif isinstance(output, Vouch):
                outputs += router.do(Vouched(output.ticket, b"signed"))
        for output in outputs:
            if isinstance(output, Forward):
                assert decode(encode(output.message)) == output.message


# Records that are put


def test_a_hundred_records_that_are_none_cost_their_share_of_checks_and_no_message(member: Member) -> None:
    rng = Random(3)
    outputs = [
        output
        for _ in range(100)
        for output in member.hear(
            put(rng.getrandbits(256), rng.randbytes(RECORD_BYTES), target=OWN.place), EVIL
        )
    ]
    assert {type(output) for output in outputs} == {KeepRecord}
    assert len(outputs) == LODGING.put_burst
    assert member.dropped("record-rate") == 100 - LODGING.put_burst


def test_a_record_that_is_none_silences_no_denial(member: Member) -> None:
    """Nobody lives at the place: whoever asks is told so, whatever was put there."""
    asked = Contact(
        target=place_to_bytes(DEAD), origin=EVIL.address, hops=2, request=1, selector=b"", handshake=b"x"
    )
    for _ in range(2):
        (denied,) = member.hear(asked)
        assert isinstance(denied, Forward)
        assert isinstance(denied.message, NoSuchPeer)
        (check,) = member.hear(put(DEAD))
        assert isinstance(check, KeepRecord)
    assert member.dropped("hidden") == 0


def test_the_record_of_one_place_silences_no_denial_about_another(member: Member) -> None:
    (check,) = member.hear(put(DEAD, b"hers"))
    assert isinstance(check, KeepRecord)
    assert member.do(RecordKept(check.ticket, SHE.place, (EVIL.address,))) == []
    (denied,) = member.hear(replace(question(SHE), target=place_to_bytes(DEAD), about=place_to_bytes(DEAD)))
    assert isinstance(denied, Forward)
    assert isinstance(denied.message, NoSuchPeer)


def test_a_record_for_the_arc_is_kept_by_its_owner_whatever_lodging_it_names(member: Member) -> None:
    """It is not handed to the lodger that it names, which has no neighbours to give it to."""
    for lodging in (None, Lodging(home=EVIL.address), Lodging(to=place_to_bytes(SHE.place))):
        (check,) = member.hear(replace(put(DEAD, repr(lodging).encode()), lodging=lodging))
        assert isinstance(check, KeepRecord)


def test_an_answer_to_a_hidden_peer_goes_where_its_record_says_that_it_lodges(member: Member) -> None:
    for liar in MEMBERS[10:13]:
        member.hear(question(OWN, origin=HE, lodging=Lodging(home=liar.address)))
    reply = ContactReply(
        target=place_to_bytes(HE.place), origin=OWN.address, hops=0, request=1, handshake=b"message 2"
    )
    (forward,) = member.do(Answered(reply, None, (AFTER.address,)))
    assert isinstance(forward, Forward)
    assert isinstance(forward.message, ContactReply)
    assert (forward.peer, forward.message.target) == (AFTER, place_to_bytes(AFTER.place))
    assert member.router._shelter.homes.to(HE.place) == (AFTER,)


# What lodgers ask


def test_one_lodger_has_so_many_vouchers_signed_and_others_none_the_less(member: Member) -> None:
    signed = [
        output
        for number in range(10_000)
        for output in member.say(SHE, LodgingRequest(request=number))
        if isinstance(output, Vouch)
    ]
    assert len(signed) == LODGING.request_burst
    assert member.dropped("lodging-rate") == 10_000 - LODGING.request_burst
    assert any(isinstance(output, Vouch) for output in member.say(HE, LodgingRequest(request=1)))


def test_all_strangers_of_one_source_have_so_many_requests_answered_and_lodgers_none_the_less(
    member: Member,
) -> None:
    answers = [
        output
        for number in range(1 << 64, (1 << 64) + 10_000)
        for output in member.say(peer_at(hidden_address(f"{number:064x}")), LodgingRequest(request=1))
        if isinstance(output, Vouch | Forward)
    ]
    assert len(answers) == LODGING.stranger_burst
    assert any(isinstance(output, Vouch) for output in member.say(SHE, LodgingRequest(request=1)))
    assert not member.say(HE, LodgingRequest(request=1))
    member.now += 1.0 / LODGING.stranger_rate
    assert member.say(HE, LodgingRequest(request=1))


def test_one_lodger_has_so_many_lookups_made_and_displaces_no_other_ones(member: Member) -> None:
    member.say(HE, LodgingRequest(request=1))
    (his,) = member.say(HE, LodgingFind(request=77, place=PLACES[0]))
    assert isinstance(his, Locate)
    made = [
        output
        for number in range(10_000)
        for output in member.say(SHE, LodgingFind(request=number, place=PLACES[0]))
        if isinstance(output, Locate)
    ]
    assert len(made) == LODGING.find_burst
    for _ in range(LODGING.finds):
        member.now += 1.0 / LODGING.find_rate
        member.say(SHE, LodgingFind(request=1, place=PLACES[0]))
    assert len(member.router._shelter._finds) == 1 + LODGING.finds_each


def test_who_does_not_lodge_here_has_no_lookup_made(member: Member) -> None:
    assert member.say(HE, LodgingFind(request=1, place=PLACES[0])) == []
    assert member.say(EVIL, LodgingFind(request=1, place=PLACES[0])) == []


def dialled(outputs: list[RouterOutput]) -> list[Address]:
    return [output.peer.address for output in outputs if isinstance(output, DialBack)]


def test_who_does_not_lodge_here_has_nobody_dialled() -> None:
    """A member could have the ports of a host that it shares looked for from here."""
    member = Member()
    asked = [LodgingRequest(request=port, candidate=f"203.0.114.9:{port}") for port in range(1, 2000)]
    for peer in (EVIL, peer_at(Address("203.0.114.9:77"))):
        assert [address for each in asked for address in dialled(member.say(peer, each))] == []


def test_a_lodger_has_one_address_dialled_in_a_while(member: Member) -> None:
    asked = [LodgingRequest(request=port, candidate=f"203.0.114.9:{port}") for port in range(1, 8)]
    assert [address for each in asked for address in dialled(member.say(SHE, each))] == ["203.0.114.9:1"]
    member.now += LODGING.dialled_pause
    assert dialled(member.say(SHE, asked[3])) == ["203.0.114.9:4"]


def test_a_record_that_is_kept_spreads_and_says_where_its_peer_lodges(member: Member) -> None:
    (check,) = member.hear(put(SHE.place, b"hers", target=OWN.place))
    assert isinstance(check, KeepRecord)
    outputs = member.do(RecordKept(check.ticket, SHE.place, (AFTER.address,)))
    copies = [output.message for output in outputs if isinstance(output, Forward)]
    assert len(copies) == LODGING.keepers
    assert {place_from_bytes(copy.about) for copy in copies if isinstance(copy, PutRecord)} == {SHE.place}
    assert member.router._shelter.homes.to(SHE.place) == (AFTER,)
