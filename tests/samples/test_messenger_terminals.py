"""The messenger as people use it: on three real terminals, in one swarm on loopback. ``--rewrite`` takes the pictures anew."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from samples.chat.limits import LIMITS
from tests.launcher.swarms import free_ports
from tests.samples.messengers import GENERAL, Person
from tests.samples.screens import save
from tests.samples.terminals import Server, terminals

PICTURED_PORT = 50000
"""Of the first one on the pictures; tests take ports that are free."""
GONE_S = LIMITS.gone + 30.0


class Friends(NamedTuple):
    """Three people, all in one channel, and where a fourth can sit down."""

    alice: Person
    bob: Person
    carol: Person
    server: Server
    seed: str
    free: str


@pytest.fixture(scope="module")
def friends(request: pytest.FixtureRequest) -> Iterator[Friends]:
    first = PICTURED_PORT if request.config.getoption("--rewrite") else free_ports(4)
    seed, *others, free = [f"127.0.0.1:{port}" for port in range(first, first + 4)]
    with terminals() as server:
        alice = Person(server, "alice", seed)
        alice.sees_here("alice")
        bob, carol = (
            Person(server, name, at, join=seed) for name, at in zip(("bob", "carol"), others, strict=True)
        )
        for person in (alice, bob, carol):
            person.sees_here("alice", "bob", "carol")
        yield Friends(alice, bob, carol, server, seed, free)


def test_what_one_says_in_a_channel_all_see(friends: Friends, rewrite: bool) -> None:
    alice, bob, carol = friends[:3]
    said = ""
    for person, text in (
        (alice, "Lunch at noon?"),
        (bob, "Yes. The usual place?"),
        (carol, "I bring a friend, so a table for four."),
    ):
        person.enters(text)
        said = f"{person.name}: {text}"
        for reader in (alice, bob, carol):
            reader.sees(said)
    alice.sees("alice: Lunch at noon? [sent]", said)
    if rewrite:
        save("chat-channel", alice.terminal.coloured(), "alice")


def test_a_private_message_is_seen_by_whom_it_is_for_and_by_nobody_else(
    friends: Friends, rewrite: bool
) -> None:
    alice, bob, carol = friends[:3]
    bob.enters("/msg carol It is her birthday. Can you bring the cake?")
    carol.turns_to("@bob")
    carol.sees("bob: It is her birthday.")
    carol.enters("It is in the oven already.")
    bob.sees("[delivered]", "carol: It is in the oven already.")
    carol.sees("oven already. [delivered]")
    if rewrite:
        save("chat-private", carol.terminal.coloured(), "carol")
    bob.turns_to(GENERAL)
    bob.enters("See you there.")
    alice.sees("bob: See you there.")  # it left after the private ones
    read = alice.conversations()
    assert set(read) == {"messenger", GENERAL}
    assert not any("cake" in text or "oven" in text for text in read.values())
    alice.turns_to(GENERAL)


def test_a_line_goes_where_it_was_written_however_fast_the_next_key_follows(friends: Friends) -> None:
    alice, bob = friends[:2]
    alice.turns_to(GENERAL)
    alice.terminal.press(*"Fine.", "Enter", "F1", *"/who", "Enter", "F2")
    bob.turns_to(GENERAL)
    bob.sees("alice: Fine.")
    alice.turns_to("messenger")
    alice.sees("/who is for channels")
    alice.turns_to(GENERAL)


def test_who_parts_is_gone_from_the_others_lists_and_gets_no_more(friends: Friends) -> None:
    people = alice, bob, carol = friends[:3]
    for person in people:
        person.enters("/join #films")
    for person in people:
        person.turns_to("#films")
        person.sees_here("alice", "bob", "carol")
    carol.enters("/part")
    for person in (alice, bob):
        person.sees_here("alice", "bob", seconds=5.0)
        person.sees("carol left")
    alice.enters("Now that she is away")
    bob.sees("alice: Now that she is away")
    alice.enters("/part #films")
    alice.turns_to(GENERAL)
    alice.enters("I will book it.")
    carol.turns_to(GENERAL)
    carol.sees("alice: I will book it.")  # it left after the other one
    assert "#films" not in carol.conversations()
    assert not any("away" in text for text in carol.conversations().values())
    bob.enters("/part #films")
    for person in (bob, carol):
        person.turns_to(GENERAL)


def test_who_quits_ends_with_0_and_is_gone_from_the_others_lists_at_once(friends: Friends) -> None:
    alice = friends.alice
    alice.enters("/join #books")
    dave = Person(friends.server, "dave", friends.free, channel="#books")
    dave.sees_here("dave")
    dave.enters(f"/connect {friends.seed}")
    for person in (alice, dave):
        person.sees_here("alice", "dave")
    dave.enters("/quit")
    assert dave.terminal.exit_code(seconds=10.0) == 0
    alice.sees_here("alice", seconds=5.0)
    alice.enters("/part")
    alice.turns_to(GENERAL)


@pytest.mark.prove
@pytest.mark.timeout(GONE_S + 60)
def test_after_a_kill_the_others_go_on_and_miss_the_dead_one(friends: Friends, rewrite: bool) -> None:
    alice, bob, carol = friends[:3]
    carol.terminal.kill()
    assert carol.terminal.exit_code() == -signal.SIGKILL
    alice.enters("Carol, are you there?")
    bob.sees("alice: Carol, are you there?")
    bob.enters("Her machine is off, I think.")
    alice.sees("bob: Her machine is off, I think.")
    for person in (alice, bob):
        person.sees_here("alice", "bob", seconds=GONE_S)
    alice.sees("carol is gone")
    alice.enters("A table for two, then.")
    bob.sees("alice: A table for two, then.")
    alice.sees("for two, then. [sent]")
    if rewrite:
        save("chat-killed", alice.terminal.coloured(), "alice")
