"""Messengers on real terminals, one of them behind a router. ``--rewrite`` takes its picture anew."""

from __future__ import annotations

import pytest

from tests.nat.lab import Lab
from tests.nat.peers import PORT
from tests.samples.messengers import GENERAL, Person
from tests.samples.screens import save
from tests.samples.terminals import terminals

SEED = f"44.128.10.2:{PORT}"


@pytest.mark.parametrize(
    "maps", [False, pytest.param(True, marks=pytest.mark.prove)], ids=["hidden", "mapped"]
)
def test_one_behind_a_router_talks_with_two_outside_in_a_channel_and_in_private(
    lab: Lab, rewrite: bool, maps: bool
) -> None:
    if maps:
        lab.router.start_daemon()
    with terminals() as server:
        alice = Person(server, "alice", SEED, host=lab.outside)
        alice.sees_here("alice")
        bob = Person(server, "bob", f"192.168.77.10:{PORT}", join=SEED, host=lab.lan)
        carol = Person(server, "carol", f"44.128.20.2:{PORT}", join=SEED, host=lab.elsewhere)
        bob.terminal.shows("44.128.77.1:" if maps else "hidden")  # his address by now
        for person in (alice, bob, carol):
            person.sees_here("alice", "bob", "carol")
        talk_in_the_channel(alice, bob, carol)
        if rewrite and not maps:
            save("chat-router", bob.terminal.coloured(), "bob")
        talk_in_private(alice, bob, carol)
        bob.enters("/quit")
        assert bob.terminal.exit_code() == 0
        for person in (alice, carol):
            person.turns_to(GENERAL)
            person.sees_here("alice", "carol")


def talk_in_the_channel(alice: Person, bob: Person, carol: Person) -> None:
    """Each says something, and all see it."""
    for person, text in (
        (alice, "How is it at home?"),
        (bob, "Fine, though this router lets nobody in."),
        (carol, "We hear you all the same."),
    ):
        person.enters(text)
        for reader in (alice, bob, carol):
            reader.sees(f"{person.name}: {text}")
    bob.sees("lets nobody in. [sent]")


def talk_in_private(alice: Person, bob: Person, carol: Person) -> None:
    """The one behind the router and another one write to each other; the third sees none of it."""
    bob.enters("/msg carol Between you and me")
    carol.turns_to("@bob")
    carol.sees("bob: Between you and me")
    carol.enters("I tell nobody")
    bob.turns_to("@carol")
    bob.sees("me [delivered]", "carol: I tell nobody")
    bob.turns_to(GENERAL)
    bob.enters("So much for that.")
    alice.sees("bob: So much for that.")
    read = alice.conversations()
    assert set(read) == {"messenger", GENERAL}
    assert not any("Between" in text or "nobody" in text.replace("lets nobody", "") for text in read.values())
