"""One peer's channels: what others can and cannot do to it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicada.hosts import by_ip
from cicada.ids import Peer, canonical_address
from cicada.keys.identity import Identity
from cicada.keys.memory import Memory
from cicada.keys.trust import Trust, TrustStore
from cicada.limits import CHANNEL, KEYS, ChannelLimits
from cicada.services.channels import Channels
from cicada.services.channelsio import (
    Blamed,
    Carried,
    ChannelOutput,
    Connected,
    Delivered,
    Dropped,
    Join,
    Leave,
    Missed,
    Presence,
    Publish,
    Published,
)
from cicada.services.channelssigned import KeySigning, PlainSigning, place_of_channel, said
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired
from cicada.wire.channels import (
    Attach,
    Attached,
    ChannelMessage,
    Compare,
    Detach,
    Post,
    Redirected,
    Span,
    Want,
)

NOW = 1_800_000_000_000
ROOM = "#a"
T = TypeVar("T")


def peer(number: int, host: int = 1) -> Peer:
    return Peer(canonical_address(f"127.0.0.{host}", 7000 + number))


OWN, ALICE, BOB, CAROL = (peer(number) for number in range(4))


class Bench:
    """One machine, with real keys, whose clock stands still unless told. It is given what it asks for."""

    def __init__(
        self, own: Peer = OWN, limits: ChannelLimits = CHANNEL, *, owners: tuple[Peer, ...] = ()
    ) -> None:
        self.own = own
        self.now = 0.0
        self.owners = owners or (own,)
        self.memory = memory_of(own)
        self.machine = Channels(own, KeySigning(self.memory), Random(1), limits, by_ip)
        self.dead: set[Peer] = set()  # who cannot be reached
        self.outputs: list[ChannelOutput] = []

    def give(self, *inputs: object) -> list[ChannelOutput]:
        """What is told and sent, once the ring and the network have answered that all is well."""
        told: list[ChannelOutput] = []
        waiting = list(inputs)
        while waiting:
            for output in self.machine.handle(waiting.pop(0), self.now):  # type: ignore[arg-type]
                told.append(output)
                if isinstance(output, Find):
                    waiting.append(FoundOwner(output.number, self.owners[: output.count]))
                elif isinstance(output, Send) and output.number:
                    waiting.append(Sent(output.number, output.peer not in self.dead))
        self.outputs += told
        return told

    def hear(self, source: Peer, *messages: ChannelMessage) -> list[ChannelOutput]:
        return self.give(*(Received(source, "", message) for message in messages))

    def wait(self, seconds: float) -> list[ChannelOutput]:
        told: list[ChannelOutput] = []
        end = self.now + seconds
        while (deadline := self.machine.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            told += self.give(TimerFired())
        self.now = end
        return told

    def post(self, number: int = 1, payload: bytes = b"hello", boot: int = 7) -> Post:
        """As this peer signs it."""
        unsigned = Post(
            channel=ROOM,
            origin=self.own.address,
            boot=boot,
            number=number,
            expires_ms=NOW + 100_000,
            quiet_ms=0,
            payload=payload,
            record=b"",
            signature=b"",
            age_ms=0,
        )
        return signed(unsigned, self.memory)


def memory_of(own: Peer) -> Memory:
    identity = Identity.derive(own.address.encode().ljust(32, b"-"), own.address)
    return Memory(own, identity, swarm="swarm", wall_ms=lambda: NOW, trust=TrustStore.load(()))


def signed(post: Post, memory: Memory) -> Post:
    record, signature = KeySigning(memory).sign(said(post))
    return replace(post, record=record, signature=signature)


def attach(**changes: object) -> Attach:
    plain = Attach(channel=ROOM, is_root=True, attempt=0, count=1, members=(), spans=())
    return replace(plain, **changes)


def attached(*path: Peer, **changes: object) -> Attached:
    names = tuple(one.address for one in path)
    plain = Attached(channel=ROOM, path=names, count=1, members=names, is_new=False, is_more=False)
    return replace(plain, **changes)


def of(kind: type[T], outputs: Iterable[object]) -> list[T]:
    return [output for output in outputs if isinstance(output, kind)]


def sent(kind: type[T], outputs: Iterable[object]) -> list[tuple[Peer, T]]:
    return [(output.peer, output.message) for output in of(Send, outputs) if isinstance(output.message, kind)]


def reasons(outputs: Iterable[object]) -> list[str]:
    return [dropped.reason for dropped in of(Dropped, outputs)]


def a_root(*children: Peer, limits: ChannelLimits = CHANNEL) -> Bench:
    """The owner of the place, a member, with these children."""
    bench = Bench(limits=limits)
    bench.give(Join(ROOM))
    for child in children:
        bench.hear(child, attach(members=(child.address,)))
    return bench


def a_child(parent: Peer = ALICE, root: Peer = CAROL) -> Bench:
    """A member below ``parent``, which is below ``root``."""
    bench = Bench(owners=(root,))
    bench.give(Join(ROOM))
    bench.hear(root, Redirected(channel=ROOM, to=(parent.address,)))
    bench.hear(parent, attached(root, parent))
    return bench


# The tree


def test_the_owner_of_the_place_is_the_root_and_others_ask_it() -> None:
    bench = Bench()
    outputs = bench.give(Join(ROOM))
    assert [find.place for find in of(Find, outputs)] == [place_of_channel(ROOM)]
    assert of(Connected, outputs) == [Connected(ROOM, 0)]
    bench = Bench(owners=(ALICE,))
    asked = sent(Attach, bench.give(Join(ROOM)))
    assert [(to, message.is_root) for to, message in asked] == [(ALICE, True)]
    outputs = bench.hear(ALICE, attached(ALICE))
    assert of(Connected, outputs) == [Connected(ROOM, 1)]


def test_a_root_that_is_full_names_its_children_and_has_room_left_for_who_was_refused_everywhere() -> None:
    children = [peer(10 + number, host=number + 1) for number in range(CHANNEL.children)]
    bench = a_root(*children)
    ((to, message),) = sent(Redirected, bench.hear(ALICE, attach()))
    assert (to, set(message.to)) == (ALICE, {child.address for child in children})
    assert sent(Attached, bench.hear(ALICE, attach(attempt=CHANNEL.spare_attempt)))
    strangers = [peer(50 + number, host=50 + number) for number in range(30)]
    for stranger in strangers:
        bench.hear(stranger, attach(attempt=9))
    node = bench.machine.node(ROOM)
    assert node is not None
    assert len(node.tree.children) == CHANNEL.children + CHANNEL.spare_children


def test_one_host_has_only_its_share_of_the_places_below_a_peer() -> None:
    bench = a_root(*(peer(10 + number, host=2) for number in range(8)))
    node = bench.machine.node(ROOM)
    assert node is not None
    assert len(node.tree.children) == CHANNEL.children_of_host
    assert sent(Attached, bench.hear(peer(1, host=3), attach()))


def test_who_is_taken_for_the_root_and_is_not_names_the_owner_and_keeps_nothing() -> None:
    bench = Bench(owners=(ALICE,))
    ((to, message),) = sent(Redirected, bench.hear(BOB, attach()))
    assert (to, message.to) == (BOB, (ALICE.address,))
    assert len(bench.machine) == 0


def test_the_owner_serves_a_channel_without_being_a_member() -> None:
    bench = Bench()
    bench.hear(ALICE, attach())
    bench.hear(BOB, attach())
    outputs = bench.hear(ALICE, Bench(ALICE).post())
    assert [to for to, _ in sent(Post, outputs)] == [BOB]
    assert of(Delivered, bench.outputs) + of(Presence, bench.outputs) == []


def test_a_root_that_is_none_any_more_hands_over() -> None:
    bench = a_root(ALICE)
    bench.owners = (BOB,)
    outputs = bench.wait(CHANNEL.refresh * 1.3)
    assert [(to, message.is_root) for to, message in sent(Attach, outputs)] == [(BOB, True)]
    bench = Bench()
    bench.hear(ALICE, attach())
    bench.owners = (BOB,)
    outputs = bench.wait(CHANNEL.refresh * 1.3)
    assert [(to, message.to) for to, message in sent(Redirected, outputs)] == [(ALICE, (BOB.address,))]
    assert len(bench.machine) == 0


def test_a_member_whose_parent_cannot_be_reached_asks_the_one_above_and_then_the_ring() -> None:
    bench = a_child(parent=ALICE, root=CAROL)
    number = bench.machine.handle(Publish(ROOM, b"x"), bench.now)
    (send,) = of(Send, number)
    outputs = bench.machine.handle(Sent(send.number, delivered=False), bench.now)
    assert [(to, message.is_root) for to, message in sent(Attach, outputs)] == [(CAROL, False)]
    assert of(Connected, outputs) == [Connected(ROOM, None)]


def test_who_says_nothing_for_the_length_of_a_lease_is_no_neighbour_any_more() -> None:
    bench = a_root(ALICE)
    outputs = bench.wait(CHANNEL.lease + 1.0)
    assert ALICE in [to for to, _ in sent(Detach, outputs)]
    bench = a_child()
    outputs = bench.wait(CHANNEL.lease + 1.0)
    assert Connected(ROOM, None) in outputs


def test_who_finds_itself_on_the_way_from_the_root_looks_anew() -> None:
    bench = a_child(parent=ALICE, root=CAROL)
    outputs = bench.hear(ALICE, attached(CAROL, OWN, ALICE))
    assert ALICE in [to for to, _ in sent(Detach, outputs)]
    assert Connected(ROOM, None) in outputs
    node = bench.machine.node(ROOM)
    assert node is not None
    assert node.tree.parent is None


def test_a_parent_that_forgot_a_child_is_told_its_members_again() -> None:
    bench = a_child(parent=ALICE, root=CAROL)
    outputs = bench.wait(CHANNEL.refresh * 1.2)
    assert [message.members for to, message in sent(Attach, outputs) if to == ALICE] == [None]
    bench.hear(ALICE, attached(CAROL, ALICE, is_new=True))
    outputs = bench.wait(CHANNEL.push)
    assert [message.members for to, message in sent(Attach, outputs) if to == ALICE] == [(OWN.address,)]


def test_nobody_is_a_child_of_who_is_above_it() -> None:
    bench = a_child(parent=ALICE, root=CAROL)
    for above in (ALICE, CAROL):
        outputs = bench.hear(above, attach(is_root=False))
        assert sent(Attached, outputs) == []
        assert [message.to for _, message in sent(Redirected, outputs)] == [()]


def test_a_member_that_leaves_tells_its_neighbours_where_to_go() -> None:
    bench = a_child(parent=ALICE)
    bench.hear(BOB, attach(is_root=False))
    outputs = bench.give(Leave(ROOM))
    assert [(to, message.to) for to, message in sent(Redirected, outputs)] == [(BOB, (ALICE.address,))]
    assert [to for to, _ in sent(Detach, outputs)] == [ALICE]
    assert len(bench.machine) == 0


def test_followers_of_an_owner_stand_in_for_it_when_several_hosts_take_nothing_from_it() -> None:
    bench = Bench(owners=(CAROL, OWN))
    askers = [peer(number, host=number) for number in range(2, 2 + CHANNEL.pleas)]
    for asker in askers[:-1]:
        bench.now += 2 * CHANNEL.check_owner
        assert sent(Attached, bench.hear(asker, attach(attempt=1))) == []
    bench.now += 2 * CHANNEL.check_owner
    assert sent(Attached, bench.hear(askers[-1], attach(attempt=1)))


def test_the_ring_is_asked_for_followers_of_an_owner_only_where_somebody_takes_nothing_from_one() -> None:
    bench = Bench(owners=(CAROL, OWN))
    assert [find.count for find in of(Find, bench.hear(ALICE, attach()))] == [1]
    bench.now += 2 * CHANNEL.check_owner
    assert [find.count for find in of(Find, bench.hear(BOB, attach(attempt=1)))] == [CHANNEL.heirs]


def test_an_owner_that_takes_all_questions_and_answers_none_is_passed_over() -> None:
    bench = Bench(owners=(CAROL, BOB))
    bench.give(Join(ROOM))
    told = bench.wait(CHANNEL.silences * (CHANNEL.answer + CHANNEL.retry_most))
    assert of(Blamed, told) == [Blamed(CAROL, "channel-silent")]
    assert {to for to, _ in sent(Attach, bench.wait(60.0))} == {BOB}


def test_an_owner_that_cannot_be_reached_or_answers_late_is_asked_again() -> None:
    bench = Bench(owners=(CAROL, BOB))
    bench.dead = {CAROL}
    bench.give(Join(ROOM))
    assert of(Blamed, bench.wait(120.0)) == []
    bench = Bench(owners=(CAROL, BOB))
    bench.give(Join(ROOM))
    for _ in range(2 * CHANNEL.silences):
        told = bench.wait(CHANNEL.answer)
        while not sent(Attach, told):
            told = bench.wait(1.0)
        bench.hear(CAROL, Redirected(channel=ROOM, to=()))  # to the question before
    assert of(Blamed, bench.outputs) == []


def test_silences_of_one_owner_are_not_those_of_the_next() -> None:
    bench = Bench(owners=(CAROL,))
    bench.give(Join(ROOM))
    while len(sent(Attach, bench.outputs)) < CHANNEL.silences - 1:
        bench.wait(1.0)
    bench.owners = (BOB,)
    while len(sent(Attach, bench.outputs)) < 2 * CHANNEL.silences - 2:
        bench.wait(1.0)
    assert [to for to, _ in sent(Attach, bench.outputs)] == [CAROL, CAROL, BOB, BOB]
    bench.wait(CHANNEL.answer)
    assert of(Blamed, bench.outputs) == []


# Messages


def test_a_message_is_delivered_once_and_passed_on_to_all_other_neighbours() -> None:
    bench = a_root(ALICE, BOB, CAROL)
    origin = Bench(peer(9))
    outputs = bench.hear(ALICE, origin.post())
    (message,) = of(Delivered, outputs)
    assert (message.origin, message.number, message.payload) == (origin.own.address, 1, b"hello")
    assert (message.peer_id, message.trust) == (origin.memory.identity.peer_id, Trust.FIRST_CONTACT)
    assert {to for to, _ in sent(Post, outputs)} == {BOB, CAROL}
    for source in (ALICE, BOB):
        assert of(Delivered, again := bench.hear(source, origin.post())) == []
        assert sent(Post, again) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": b"hellO"},
        {"number": 2},
        {"boot": 8},
        {"expires_ms": NOW + 99_999},
        {"quiet_ms": 1},
        {"origin": ALICE.address},
        {"signature": bytes(64)},
        {"signature": b""},
        {"record": b""},
    ],
)
def test_what_its_origin_did_not_sign_costs_who_passed_it_on_and_goes_no_further(
    changes: dict[str, object],
) -> None:
    bench = a_root(ALICE, BOB)
    forged = replace(Bench(peer(9)).post(), **changes)
    outputs = bench.hear(ALICE, forged)
    assert of(Blamed, outputs) == [Blamed(ALICE, "channel-signature")]
    assert of(Delivered, outputs) + sent(Post, outputs) == []
    assert bench.memory.trust.pins == ()
    assert reasons(bench.hear(ALICE, Bench(peer(9)).post())) == ["channel-banned"]
    assert of(Delivered, bench.hear(BOB, Bench(peer(9)).post()))


def test_a_message_for_one_channel_is_worth_nothing_in_another() -> None:
    bench = a_root(ALICE)
    bench.give(Join("#b"))
    bench.hear(ALICE, attach(channel="#b"))
    outputs = bench.hear(ALICE, replace(Bench(peer(9)).post(), channel="#b"))
    assert reasons(outputs) == ["channel-signature"]


@pytest.mark.parametrize("late", [-KEYS.clock_skew - 1.0, CHANNEL.seconds + KEYS.clock_skew + 1.0])
def test_what_is_too_old_or_signed_for_too_long_is_dropped_and_nobody_is_blamed(late: float) -> None:
    bench, origin = a_root(ALICE), Bench(peer(9))
    post = signed(replace(origin.post(), expires_ms=NOW + int(late * 1000)), origin.memory)
    outputs = bench.hear(ALICE, post)
    assert reasons(outputs) == ["channel-expired"]
    assert of(Blamed, outputs) == []


def test_messages_of_strangers_are_not_even_checked() -> None:
    bench = a_root(ALICE)
    outputs = bench.hear(BOB, Bench(peer(9)).post())
    assert reasons(outputs) == ["channel-stranger"]
    assert [to for to, _ in sent(Detach, outputs)] == [BOB]


def test_a_child_is_sent_what_it_lacks_and_asked_for_what_it_has_beyond_that() -> None:
    bench = a_root(ALICE)
    origin = Bench(peer(9))
    bench.hear(ALICE, origin.post(1), origin.post(2))
    span = Span(bytes(16), 3, 5)
    outputs = bench.hear(BOB, attach(spans=(span,)))
    assert [message.number for to, message in sent(Post, outputs) if to == BOB] == [1, 2]
    assert [(to, message.spans) for to, message in sent(Want, outputs)] == [(BOB, (span,))]
    bench.now += 2.0
    node = bench.machine.node(ROOM)
    assert node is not None
    outputs = bench.hear(BOB, attach(spans=node.posts.log.spans()))
    assert sent(Post, outputs) + sent(Want, outputs) == []


def test_a_child_that_could_not_be_reached_is_told_to_attach_anew() -> None:
    bench = a_root(ALICE, BOB)
    outputs = bench.machine.handle(Publish(ROOM, b"x"), bench.now)
    (to_bob,) = [send for send in of(Send, outputs) if send.peer == BOB]
    outputs = bench.machine.handle(Sent(to_bob.number, delivered=False), bench.now)
    assert [to for to, _ in sent(Detach, outputs)] == [BOB]
    node = bench.machine.node(ROOM)
    assert node is not None
    assert list(node.tree.children) == [ALICE.address]


def test_who_takes_nothing_in_time_is_parted_with_and_holds_up_nobody() -> None:
    bench = a_root(ALICE, BOB, limits=ChannelLimits(outstanding=3))
    outputs = []
    for number in range(6):
        step = bench.machine.handle(Publish(ROOM, b"%d" % number), bench.now)
        outputs += step
        for send in of(Send, step):
            if send.peer == ALICE and send.number:
                bench.machine.handle(Sent(send.number, delivered=True), bench.now)
    assert [message.number for to, message in sent(Post, outputs) if to == ALICE] == [1, 2, 3, 4, 5, 6]
    assert [message.number for to, message in sent(Post, outputs) if to == BOB] == [1, 2, 3]
    assert reasons(outputs) == ["channel-slow"]


def test_a_gap_makes_a_member_ask_above_and_others_for_what_is_missing() -> None:
    bench, origin = a_child(parent=ALICE, root=CAROL), Bench(peer(9))
    assert of(Delivered, bench.hear(ALICE, origin.post(1), origin.post(3))) != []
    outputs = bench.wait(CHANNEL.repair)
    assert {to for to, _ in sent(Compare, outputs)} == {ALICE, CAROL}
    assert [message.number for message in of(Delivered, bench.hear(CAROL, origin.post(2)))] == [2, 3]
    assert sent(Compare, bench.wait(CHANNEL.repair * 4)) == []


def test_a_member_looks_for_another_way_when_others_bring_what_its_parent_should_have_brought() -> None:
    bench, origin = a_child(parent=ALICE, root=CAROL), Bench(peer(9))
    for _ in range(5):
        bench.wait(4.0)
        bench.hear(ALICE, attached(CAROL, ALICE))
    bench.hear(CAROL, Compare(channel=ROOM, spans=()))
    late = [replace(origin.post(number), age_ms=6000) for number in range(1, CHANNEL.strikes + 1)]
    assert sent(Detach, bench.hear(CAROL, *late[:-1])) == []
    outputs = bench.hear(CAROL, late[-1])
    assert [to for to, _ in sent(Detach, outputs)] == [ALICE]
    assert [message.number for message in of(Delivered, outputs)] == [CHANNEL.strikes]
    assert of(Blamed, bench.outputs) == []


# The application


def test_publishing_needs_a_membership_and_a_payload_that_fits() -> None:
    bench = Bench()
    assert reasons(bench.give(Publish(ROOM, b"x"))) == ["channel-not-joined"]
    bench.give(Join(ROOM))
    assert reasons(bench.give(Publish(ROOM, bytes(CHANNEL.payload + 1)))) == ["channel-too-large"]
    assert of(Published, bench.give(Publish(ROOM, bytes(CHANNEL.payload)))) == [Published(ROOM, 1)]


def test_a_name_that_no_channel_can_have_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="not the name of a channel"):
        Bench().give(Join("#a b"))


def test_each_membership_counts_anew_under_a_number_of_its_own() -> None:
    bench = a_root(ALICE)
    first = [message for _, message in sent(Post, bench.give(Publish(ROOM, b"1")))]
    bench.give(Leave(ROOM), Join(ROOM))
    second = [message for _, message in sent(Post, bench.give(Publish(ROOM, b"2")))]
    assert [message.number for message in (*first, *second)] == [1, 1]
    assert second[0].boot > first[0].boot


def test_a_message_of_each_of_many_memberships_is_delivered_and_published() -> None:
    bench = a_root(ALICE)
    for boot in range(1, 3 * CHANNEL.key_lives):
        heard = bench.hear(ALICE, Bench(BOB).post(boot=boot, payload=b"%d" % boot))
        assert [message.payload for message in of(Delivered, heard)] == [b"%d" % boot]
        bench.give(Leave(ROOM), Join(ROOM))
        assert of(Published, bench.give(Publish(ROOM, b"mine")))
    assert reasons(bench.outputs) == []


def test_a_message_is_carried_when_it_came_to_a_neighbour_or_where_nobody_else_has_been_for_a_while() -> None:
    bench = a_root()
    assert of(Carried, bench.give(Publish(ROOM, b"early"))) == [], "another root may not know of this one yet"
    assert of(Carried, bench.wait(CHANNEL.lease + CHANNEL.refresh * 1.2)) == [Carried(ROOM, 1)]
    assert of(Carried, bench.give(Publish(ROOM, b"alone"))) == [Carried(ROOM, 2)]
    bench.dead = {ALICE}
    bench.hear(ALICE, attach(members=(ALICE.address,)))
    assert of(Carried, bench.give(Publish(ROOM, b"lost"))) == [], "she is there, though nothing comes to her"
    bench.dead = set()
    filled = bench.hear(ALICE, attach(members=(ALICE.address,)))
    assert [post.payload for _, post in sent(Post, filled)] == [b"early", b"alone", b"lost"]
    assert of(Carried, filled) == [Carried(ROOM, number) for number in (1, 2, 3)]
    assert of(Carried, bench.hear(ALICE, Bench(BOB).post())) == []


def test_a_message_of_an_earlier_membership_that_came_says_nothing_of_this_one() -> None:
    bench = a_root(ALICE)
    (post,) = of(Send, bench.machine.handle(Publish(ROOM, b"before"), bench.now))
    bench.give(Leave(ROOM), Join(ROOM))
    assert of(Published, bench.machine.handle(Publish(ROOM, b"now"), bench.now))
    assert of(Carried, bench.machine.handle(Sent(post.number, True), bench.now)) == []


def test_own_messages_that_come_back_are_not_delivered() -> None:
    bench = a_root(ALICE, BOB)
    ((_, post), _) = sent(Post, bench.give(Publish(ROOM, b"x")))
    assert of(Delivered, bench.hear(ALICE, post)) == []


def test_what_was_said_before_joining_is_passed_on_and_not_delivered() -> None:
    bench = a_root(ALICE, BOB)
    bench.now = 5.0
    outputs = bench.hear(ALICE, replace(Bench(peer(9)).post(1), age_ms=9_000), Bench(peer(9)).post(2))
    assert [message.number for message in of(Delivered, outputs)] == [2]
    assert [message.number for _, message in sent(Post, outputs)] == [1, 2]


def test_a_root_that_left_and_joins_again_waits_for_nothing_that_was_said_meanwhile() -> None:
    bench, carol = a_root(ALICE), Bench(CAROL)
    bench.hear(ALICE, carol.post(1), carol.post(2), carol.post(4))  # the third is waited for
    bench.give(Leave(ROOM))
    bench.now += 1.0
    assert of(Delivered, bench.hear(ALICE, carol.post(3), carol.post(5))) == []
    bench.now += 1.0
    bench.give(Join(ROOM))
    bench.now += 1.0
    late = signed(replace(carol.post(6), quiet_ms=2000), carol.memory)
    assert [message.number for message in of(Delivered, bench.hear(ALICE, late))] == [6]
    assert of(Missed, bench.wait(2 * CHANNEL.hold)) == []


def test_peers_that_do_not_encrypt_believe_who_does_not_sign() -> None:
    signing = PlainSigning(lambda: NOW)
    assert signing.check(b"", ALICE.address, b"", b"").reason == ""
    assert signing.check(b"", ALICE.address, b"r", b"s").reason == "signature"
    assert signing.sign(b"") == (b"", b"")


# Floods


def test_who_asks_too_often_is_not_heard() -> None:
    bench = a_root(ALICE)
    outputs = bench.hear(BOB, *[Compare(channel=ROOM, spans=())] * (CHANNEL.asks_burst + 10))
    assert reasons(outputs) == ["channel-asks"] * 10


def test_who_brings_what_is_not_new_is_not_heard_any_more() -> None:
    bench = a_root(ALICE)
    post = Bench(peer(9)).post()
    outputs = bench.hear(ALICE, *[post] * (CHANNEL.posts_burst + 11))
    assert reasons(outputs) == ["channel-useless"] * 10


def test_an_origin_that_floods_is_passed_on_up_to_its_share_and_others_still_are() -> None:
    bench, loud = a_root(ALICE, BOB), Bench(peer(9))
    outputs = bench.hear(ALICE, *(loud.post(number) for number in range(1, CHANNEL.origin_burst + 21)))
    assert len(of(Delivered, outputs)) == CHANNEL.origin_burst
    assert reasons(outputs) == ["channel-flood"] * 20
    assert of(Delivered, bench.hear(ALICE, Bench(peer(8)).post()))


def test_one_peer_makes_another_serve_only_so_many_channels() -> None:
    bench = Bench()
    names = [f"#{number}" for number in range(CHANNEL.channels_of_peer + 5)]
    outputs = bench.hear(ALICE, *(attach(channel=name) for name in names))
    assert len(bench.machine) == CHANNEL.channels_of_peer
    assert reasons(outputs) == ["channels-full"] * 5
    assert sent(Attached, bench.hear(BOB, attach(channel="#other")))
    assert reasons(bench.hear(BOB, attach(channel="#new", is_root=False))) == ["channel-unknown"]


def test_no_more_channels_are_joined_than_the_limit() -> None:
    bench = Bench()
    outputs = bench.give(*(Join(f"#{number}") for number in range(CHANNEL.joined + 1)))
    assert reasons(outputs) == ["channels-full"]


NAMES = st.lists(st.sampled_from([one.address for one in (OWN, ALICE, BOB, CAROL, peer(9))]), max_size=5).map(
    tuple
)
SPANS = st.lists(
    st.builds(lambda life, first, more: Span(bytes([life]) * 16, first, first + more),
              st.integers(0, 3), st.integers(1, 1 << 40), st.integers(0, 1 << 40)),
    max_size=4,
).map(tuple)  # fmt: skip
ROOMS = st.sampled_from([ROOM, "#b"])
HOSTILE = st.one_of(
    st.builds(
        Attach,
        channel=ROOMS,
        is_root=st.booleans(),
        attempt=st.integers(0, 9),
        count=st.integers(0, 1 << 24),
        members=st.none() | NAMES,
        spans=SPANS,
    ),
    st.builds(
        Attached,
        channel=ROOMS,
        path=NAMES,
        count=st.integers(0, 1 << 24),
        members=st.none() | NAMES,
        is_new=st.booleans(),
        is_more=st.booleans(),
    ),
    st.builds(Redirected, channel=ROOMS, to=NAMES),
    st.builds(Detach, channel=ROOMS),
    st.builds(Compare, channel=ROOMS, spans=SPANS),
    st.builds(Want, channel=ROOMS, spans=SPANS),
    st.integers(1, 9).map(lambda number: Bench(peer(9)).post(number)),
)


def test_what_a_member_said_at_another_address_or_in_an_earlier_life_does_not_come_back_to_it() -> None:
    bench = a_root(ALICE)
    moved = Memory(BOB, bench.memory.identity, swarm="swarm", wall_ms=lambda: NOW, trust=TrustStore.load(()))
    before = signed(replace(bench.post(), origin=BOB.address), moved)
    assert of(Delivered, bench.hear(ALICE, before, bench.post(boot=8))) == []
    assert [one.payload for one in of(Delivered, bench.hear(ALICE, Bench(ALICE).post()))] == [b"hello"]


def moved(bench: Bench, to: Peer, *, signs: bool = True) -> Bench:
    """The same peer, at another address."""
    there = Bench(to)
    there.memory = Memory(
        to, bench.memory.identity, swarm="swarm", wall_ms=lambda: NOW, trust=TrustStore.load(())
    )
    signing = KeySigning(there.memory) if signs else PlainSigning(lambda: NOW)
    there.machine = Channels(to, signing, Random(2), CHANNEL, by_ip)
    there.now = bench.now
    there.machine.go_on_from(bench.machine, there.now)
    return there


def test_a_member_that_moved_goes_on_in_the_same_membership() -> None:
    bench, carol = a_root(ALICE), Bench(CAROL)
    bench.hear(ALICE, carol.post(1), carol.post(3))
    (said,) = of(Published, bench.give(Publish(ROOM, b"before")))
    there = moved(bench, BOB)
    assert there.give(Publish(ROOM, b"at once"))
    there.give(Join(ROOM))
    assert [said.number, *(one.number for one in of(Published, there.outputs))] == [1, 2]
    filled = there.hear(ALICE, attach(members=(ALICE.address,)))
    posts = [post for _, post in sent(Post, filled)]
    assert [post.payload for post in posts if post.boot != 7] == [b"before", b"at once"]
    assert len({post.boot for post in posts if post.boot != 7}) == 1
    heard = of(Delivered, there.hear(ALICE, carol.post(1), carol.post(2), carol.post(3)))
    assert [message.number for message in heard] == [2, 3], "what it had is not delivered again, nor lost"
    there.give(Leave(ROOM), Join(ROOM))
    assert [one.number for one in of(Published, there.give(Publish(ROOM, b"anew")))] == [1]


def test_a_member_without_a_key_that_moved_begins_anew() -> None:
    there = moved(a_root(ALICE), BOB, signs=False)
    assert len(there.machine) == 0
    there.give(Join(ROOM))
    assert [one.number for one in of(Published, there.give(Publish(ROOM, b"anew")))] == [1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([ALICE, BOB, CAROL]), HOSTILE, st.sampled_from([0.0, 0.3, 6.0, 20.0])),
        max_size=25,
    ),
    st.sampled_from([OWN, ALICE]),
)
def test_whatever_neighbours_say_nothing_is_raised_nor_delivered_twice_and_no_child_is_above(
    said: list[tuple[Peer, ChannelMessage, float]], owner: Peer
) -> None:
    bench = Bench(owners=(owner, BOB))
    bench.give(Join(ROOM))
    for source, message, pause in said:
        bench.hear(source, message)
        bench.wait(pause)
        node = bench.machine.node(ROOM)
        assert node is not None
        assert not set(node.tree.children) & set(node.tree.path)
        deadline = bench.machine.next_deadline()
        assert deadline is None or deadline > bench.now
    got = [(message.boot, message.number) for message in of(Delivered, bench.outputs)]
    assert got == sorted(set(got))
