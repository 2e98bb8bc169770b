"""Who is bad in a scenario, and what its report says of messages among bad relays."""

from __future__ import annotations

from random import Random

import pytest

from cicada.errors import ConfigErrors
from cicada.ids import Peer
from cicada.routing.behaviour import Behaviour
from cicada.routing.io import Settled, Status
from cicada.sim.harm import roles
from cicada.sim.names import peer_number
from cicada.sim.running import Run, RunResult
from cicada.sim.scenario import Scenario
from cicada.sim.scenariofile import parse_scenario
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start

PEERS = [peer_number(number) for number in range(200)]


def scenario(more: str, load: str = "messages = 40", delivery: str = "attempts = 3") -> Scenario:
    return parse_scenario(
        f"""
        [sim]
        name = "test"
        peers = 150
        duration = "8s"
        [load]
        at = "1s"
        timeout = "4s"
        warm = true
        duplicates = 3
        {load}
        [delivery]
        {delivery}
        {more}
        """
    )


def bad(select: str, behaviour: str, more: str = "") -> str:
    return f'\n[[bad]]\nselect = "{select}"\nbehaviour = "{behaviour}"\n{more}\n'


def result(of: Scenario, seed: int = 1) -> RunResult:
    run = Run(of, seed)
    while run.advance():
        pass
    return run.result()


def test_shares_of_different_harm_are_taken_from_all_peers_and_do_not_overlap() -> None:
    chosen = roles(
        scenario(bad("10%", "drop") + bad("20%", "alter", "behaviour_share = '50%'")), PEERS, Random(1)
    )
    kinds = list(chosen.bad.values())
    assert kinds.count(Behaviour("drop")) == 20
    assert kinds.count(Behaviour("alter", 0.5)) == 40
    assert len(chosen.bad) == 60
    assert chosen.targets == ()


@pytest.mark.parametrize("seed", range(10))
def test_neighbours_are_those_before_each_target_and_nobody_else_there_is_bad(seed: int) -> None:
    text = bad("50%", "drop", "where = 'neighbours'") + bad("10%", "alter")
    chosen = roles(scenario(text, "messages = 40\ntargets = 1"), PEERS, Random(seed))
    (target,) = chosen.targets
    ordered = sorted(PEERS, key=lambda peer: (target.place - peer.place) % 2**256)
    near = set(ordered[1:17])
    assert target not in chosen.bad
    assert {peer for peer, what in chosen.bad.items() if what.kind == "drop"} < near
    assert len(near & chosen.bad.keys()) == 8
    assert list(chosen.bad.values()).count(Behaviour("alter")) == 20


def test_mistakes_about_bad_peers_are_named_with_their_places() -> None:
    with pytest.raises(ConfigErrors) as raised:
        scenario(bad("5%", "steal") + bad("3 hosts", "drop") + bad("5%", "drop", "where = 'neighbours'"))
    text = "\n".join(map(str, raised.value.errors))
    assert 'expected one of "drop", "alter"' in text
    assert "peers do harm, not hosts" in text
    assert "neighbours of whom? Add targets = 1 to [load]" in text


def test_without_harm_every_message_arrives_in_as_many_copies_as_asked_for() -> None:
    messages = result(scenario("")).messages
    assert messages.settled > 100
    assert messages.delivered == messages.settled
    assert messages.failed == {}
    assert messages.attempts == {1: messages.settled}
    assert 3.9 < messages.copies <= 4.0
    assert (messages.wrong, messages.lost) == ({}, 0)


def test_no_altered_copy_is_ever_delivered_although_every_relay_alters() -> None:
    messages = result(scenario(bad("90%", "alter"), delivery="attempts = 2")).messages
    assert messages.settled > 20
    assert messages.failed, "they do alter"
    assert (messages.wrong, messages.lost) == ({}, 0)


@pytest.mark.parametrize("kind", ["replay", "delay", "misroute", "lie-in-lookups"])
def test_what_is_said_twice_late_or_to_the_wrong_is_delivered_once(kind: str) -> None:
    messages = result(scenario(bad("30%", kind))).messages
    assert messages.delivered_share > 0.9
    assert (messages.wrong, messages.lost) == ({}, 0)


@pytest.mark.prove
def test_the_same_scenario_over_plain_chord_stands_beside_it() -> None:
    of = scenario(bad("20%", "drop"), delivery='attempts = 3\nbeside = "plain"')
    found = result(of)
    assert found.beside is not None
    assert found.beside.settled == pytest.approx(found.messages.settled, rel=0.2)
    assert result(of) == found, "and repeats"


def sealed_pair() -> tuple[Swarm, Peer, Peer]:
    swarm = Swarm(5, seals=True)
    warm_start(swarm, PEERS[:30])
    one, *_, other = swarm.live()
    return swarm, one, other


def settled(swarm: Swarm, origin: Peer, id: int) -> Settled:
    sender = swarm.peer(origin)
    swarm.run_until(lambda: id in sender.settled, 30.0)
    return sender.settled[id]


@pytest.mark.parametrize("is_introduced", [True, False])
def test_sealed_sessions_carry_messages_whether_they_were_introduced_or_meet_on_their_own(
    is_introduced: bool,
) -> None:
    swarm, one, other = sealed_pair()
    if is_introduced:
        swarm.introduce(one, other)
    assert settled(swarm, one, swarm.send(one, other, b"x")).status is Status.DELIVERED
    assert swarm.sent()["Contact"] == (0 if is_introduced else swarm.sent()["ContactReply"])
    assert [mail.payload for mail in swarm.peer(other).mailbox] == [b"x"]


def test_an_altered_handshake_makes_no_session() -> None:
    swarm, one, other = sealed_pair()
    for peer in swarm.live():
        if peer not in (one, other):
            swarm.peer(peer).behaviour = Behaviour("alter")
            swarm.restart_router(peer)
    for _ in range(30):
        settled(swarm, one, swarm.send(one, other, b"x", timeout=3.0))
    assert {mail.payload for mail in swarm.peer(other).mailbox} <= {b"x"}
