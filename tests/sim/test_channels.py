"""Channels of whole swarms in virtual time: what holds while peers die, the root among them, and while some swallow or alter."""

from __future__ import annotations

from collections import Counter

import pytest

from cicada.ids import Peer, canonical_address
from cicada.limits import CHANNEL
from cicada.services.channelssigned import place_of_channel
from cicada.sim.channels import ChannelSwarm, Harm, Weather, alter, swallow

ROOM = "#general"


def peers(number: int) -> list[Peer]:
    return [Peer(canonical_address("127.0.0.1", 20000 + index)) for index in range(number)]


def gathered(seed: int, number: int, *, pause: float = 0.02, weather: Weather | None = None) -> ChannelSwarm:
    """All joined one after the other, and have had time to attach."""
    swarm = ChannelSwarm(seed, peers(number), weather=weather)
    for peer in swarm.peers:
        swarm.join(peer, ROOM)
        swarm.run(pause)
    swarm.run(10.0)
    return swarm


def chatter(swarm: ChannelSwarm, messages: int, pause: float, text: str = "m") -> None:
    """Live members publish, anyone of them."""
    for number in range(messages):
        speaker = swarm.rng.choice([member.peer for member in swarm.members(ROOM)])
        swarm.publish(speaker, ROOM, f"{text}{number}".encode())
        swarm.run(pause)


def time_to_heal(swarm: ChannelSwarm, patience: float = 60.0) -> float:
    begun = swarm.agenda.now
    while swarm.faults(ROOM) and swarm.agenda.now < begun + patience:
        swarm.run(0.5)
    assert swarm.faults(ROOM) == []
    return swarm.agenda.now - begun


def missed(swarm: ChannelSwarm) -> int:
    return sum(item.count for peer in swarm.live() for item in peer.missed)


def test_members_form_one_shallow_tree_in_which_each_message_costs_one_copy_a_member() -> None:
    swarm = gathered(1, 100)
    assert swarm.faults(ROOM) == []
    assert max(swarm.depths(ROOM)) <= 4
    before = swarm.sent["Post"]
    chatter(swarm, 30, 0.1)
    swarm.run(5.0)
    assert swarm.missing(ROOM) == []
    assert swarm.repeated() == []
    useful = 30 * (len(swarm.members(ROOM)) - 1)
    assert useful <= swarm.sent["Post"] - before <= 1.02 * useful


def test_everybody_sees_who_is_there_who_comes_and_who_goes() -> None:
    swarm = gathered(2, 40)
    everybody = tuple(sorted(peer.address for peer in swarm.peers))
    assert {member.presence[ROOM].members for member in swarm.members(ROOM)} == {everybody}
    leaver, dead, stays = list(swarm.peers)[:3]
    swarm.leave(leaver, ROOM)
    swarm.kill(dead)
    swarm.run(CHANNEL.lease + CHANNEL.grace + 20.0)
    rest = tuple(name for name in everybody if name not in (leaver.address, dead.address))
    assert {member.presence[ROOM].members for member in swarm.members(ROOM)} == {rest}
    swarm.join(leaver, ROOM)
    swarm.run(10.0)
    news = swarm.peers[stays].presence[ROOM]
    assert (news.count, news.joined) == (39, (leaver.address,))


def test_200_members_of_which_30_in_100_die_at_once_and_then_every_root_attach_again_and_miss_nothing() -> (
    None
):
    swarm = gathered(3, 200)
    chatter(swarm, 10, 0.1, "before ")
    for peer in swarm.rng.sample(list(swarm.peers), 60):
        swarm.kill(peer)
    chatter(swarm, 10, 0.2, "while ")
    assert time_to_heal(swarm) < 30.0
    for turn in range(3):
        swarm.kill(swarm.owner(ROOM))
        chatter(swarm, 8, 0.5, f"root {turn} ")
        assert time_to_heal(swarm) < 20.0
    swarm.run(15.0)
    assert swarm.missing(ROOM) == []
    assert swarm.repeated() == []
    assert missed(swarm) == 0


@pytest.mark.parametrize("seed", range(3))
def test_churn_with_losses_leaves_nobody_without_what_was_said_while_it_was_there(seed: int) -> None:
    swarm = gathered(seed, 40, weather=Weather(lost=0.002))
    for turn in range(15):
        draw = swarm.rng.random()
        member = swarm.rng.choice(swarm.members(ROOM)).peer
        if draw < 0.3:
            swarm.kill(member)
        elif draw < 0.5:
            swarm.leave(member, ROOM)
        else:
            away = [peer.peer for peer in swarm.live() if ROOM not in peer.joined]
            dead = [peer.peer for peer in swarm.peers.values() if not peer.is_up]
            if dead:
                swarm.start(dead[0])
                swarm.join(dead[0], ROOM)
            elif away:
                swarm.join(away[0], ROOM)
        chatter(swarm, 4, 0.5, f"turn {turn} ")
    time_to_heal(swarm)
    swarm.run(30.0)
    assert swarm.missing(ROOM) == []
    assert swarm.repeated() == []


@pytest.mark.parametrize(
    "harm",
    [pytest.param(swallow, id="messages are swallowed"), pytest.param(alter, id="messages are altered")],
)
def test_a_fifth_of_hostile_members_does_not_keep_messages_from_the_others_for_long(harm: Harm) -> None:
    swarm = gathered(5, 60)
    bad = swarm.rng.sample(list(swarm.peers), 12)
    for peer in bad:
        swarm.peers[peer].harm = harm
    good = [peer for peer in swarm.peers if peer not in bad]
    for number in range(60):
        swarm.publish(swarm.rng.choice(good), ROOM, f"m{number}".encode())
        swarm.run(0.5)
    swarm.run(45.0)
    lacking = [text for text in swarm.missing(ROOM) if not text.startswith(tuple(f"{peer} " for peer in bad))]
    assert lacking == []
    assert swarm.repeated() == []
    said = {said.payload for said in swarm.published}
    assert {message.payload for peer in good for message in swarm.peers[peer].delivered} <= said


def test_what_is_said_on_both_sides_of_a_cut_is_filled_in_when_it_heals() -> None:
    swarm = gathered(6, 40)
    half = set(list(swarm.peers)[:20])
    swarm.cut(lambda one, other: (one in half) != (other in half))
    chatter(swarm, 20, 1.0)
    assert swarm.missing(ROOM) != []
    swarm.cut(None)
    time_to_heal(swarm)
    swarm.run(20.0)
    assert swarm.missing(ROOM) == []
    assert swarm.repeated() == []


def test_what_is_too_old_to_be_filled_in_is_counted_and_told() -> None:
    swarm = gathered(7, 10)
    alone = next(peer for peer in swarm.peers if peer != swarm.owner(ROOM))
    speaker = next(peer for peer in swarm.peers if peer not in (alone, swarm.owner(ROOM)))
    swarm.publish(speaker, ROOM, b"first")
    swarm.run(2.0)
    swarm.cut(lambda one, other: alone in (one, other))
    for number in range(5):
        swarm.publish(speaker, ROOM, b"lost %d" % number)
    swarm.run(CHANNEL.log_seconds + 20.0)
    swarm.cut(None)
    swarm.run(30.0)
    swarm.publish(speaker, ROOM, b"last")
    swarm.run(CHANNEL.hold + 5.0)
    assert [message.payload for message in swarm.peers[alone].delivered] == [b"first", b"last"]
    assert [(item.origin, item.count) for item in swarm.peers[alone].missed] == [(speaker.address, 5)]


def test_the_root_moves_to_whoever_comes_to_own_the_place_and_takes_its_tree_along() -> None:
    everybody = peers(60)
    heir = min(everybody, key=lambda peer: (peer.place - place_of_channel(ROOM)) % (1 << 256))
    swarm = ChannelSwarm(8, [peer for peer in everybody if peer != heir])
    for peer in list(swarm.peers):
        swarm.join(peer, ROOM)
    swarm.run(10.0)
    old = swarm.owner(ROOM)
    swarm.start(heir)
    swarm.run(swarm.weather.ring_lag + 1.0)
    assert swarm.owner(ROOM) == heir != old
    assert time_to_heal(swarm) < 15.0
    chatter(swarm, 10, 0.1)
    swarm.run(5.0)
    assert swarm.missing(ROOM) == []
    assert swarm.peers[heir].delivered == []  # it passes on, and is no member


def test_a_root_without_members_forgets_the_channel() -> None:
    swarm = ChannelSwarm(9, peers(20))
    root = swarm.owner(ROOM)
    members = [peer for peer in swarm.peers if peer != root][:4]
    for peer in members:
        swarm.join(peer, ROOM)
    swarm.run(5.0)
    assert swarm.peers[root].machine.node(ROOM) is not None
    for peer in members:
        swarm.leave(peer, ROOM)
    swarm.run(5.0)
    assert [len(peer.machine) for peer in swarm.live()] == [0] * 20


def test_the_same_seed_gives_the_same_history() -> None:
    histories = Counter[str]()
    for seed in (1, 1, 2):
        swarm = gathered(seed, 20)
        swarm.kill(swarm.owner(ROOM))
        chatter(swarm, 20, 0.3)
        swarm.run(20.0)
        histories[swarm.history()] += 1
    assert sorted(histories.values()) == [1, 2]
