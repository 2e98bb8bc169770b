"""Keys that ask something of the swarm or its peers."""

from __future__ import annotations

from cicada.commands import Add, Heal, Join, Kill, Restart, SendToAll, Stop
from visualizer.controls.actions import Action
from visualizer.controls.desk import ENDED, OUTSIDE, Desk, named, read_only, selector
from visualizer.model.state import PeerState
from visualizer.view import Prompt

_EVERYBODY = "all"


def join_all(desk: Desk) -> list[Action]:
    """Everybody who is in no ring joins, each through a member drawn at random."""
    living = [peer for peer in desk.state.peers.values() if peer.state.is_live]
    alone = [peer.name for peer in living if peer.state is PeerState.ALONE and len(living) > 1]
    outside = [peer.name for peer in desk.state.peers.values() if peer.state in OUTSIDE] + alone
    if not outside:
        return desk.say("everybody is in the ring already")
    command = Join(select=selector(outside), through=_EVERYBODY, again=True)
    return desk.ask(command, f"{named(outside)} join at random")


def join(desk: Desk) -> list[Action]:
    """The selected join through whoever is clicked next."""
    if not desk.chosen:
        return desk.say("select who is to join first")
    if all(desk.state.peers[name].state is PeerState.MEMBER for name in desk.chosen):
        return desk.say(f"{named(desk.chosen)}: in the ring already")
    return _prompt(desk, Prompt.JOIN)


def lookup(desk: Desk) -> list[Action]:
    """Ask the ring, from the selected peer, who owns a place."""
    return _prompt(desk, Prompt.LOOKUP)


def message(desk: Desk) -> list[Action]:
    """Send from the selected peer to whoever is clicked, with as many copies as are asked for."""
    desk.view.copies = 0
    return _prompt(desk, Prompt.COPIES)


def broadcast(desk: Desk) -> list[Action]:
    """The selected peer tells all others."""
    teller = desk.via or "somebody"
    return desk.ask(SendToAll(payload=b"hello, all", via=desk.via), f"{teller} tells all others")


def add(desk: Desk) -> list[Action]:
    """One more peer, of the group that is looked at."""
    peers = desk.state.peers
    via = peers.get(desk.via)
    groups = [desk.view.only_group, via.group if via else "", *(peer.group for peer in peers.values())]
    group = next((name for name in groups if name), "")
    if not group:
        return desk.say("there is no group to add a peer to yet")
    return desk.ask(Add(group=group), f"one more peer of {group}")


def disconnect(desk: Desk) -> list[Action]:
    """The selected leave the ring and end."""
    living = [name for name in desk.chosen if desk.state.peers[name].state not in ENDED]
    if not living:
        return desk.say("select a living peer first")
    return desk.ask(Stop(select=selector(living)), f"disconnect {named(living)}")


def kill(desk: Desk) -> list[Action]:
    """The selected die without a farewell."""
    living = [name for name in desk.chosen if desk.state.peers[name].state not in ENDED]
    if not living:
        return desk.say("select a living peer first")
    return desk.ask(Kill(select=selector(living), hard=True), f"kill {named(living)}")


def restart(desk: Desk) -> list[Action]:
    """The selected start again, under the same names and addresses."""
    if not desk.chosen:
        return desk.say("select who is to restart first")
    return desk.ask(Restart(select=selector(desk.chosen)), f"restart {named(desk.chosen)}")


def partition(desk: Desk) -> list[Action]:
    """Cut the selected off from the others."""
    if not desk.chosen:
        return desk.say("draw a rectangle around one side first")
    return _prompt(desk, Prompt.PARTITION)


def heal(desk: Desk) -> list[Action]:
    """End all faults."""
    return desk.ask(Heal(), "heal")


def _prompt(desk: Desk, prompt: Prompt) -> list[Action]:
    """Nothing is asked for that could not be done with anyway."""
    if not desk.view.feed.can_command:
        return desk.say(f"not possible: {read_only(desk.view)}", bad=True)
    return desk.prompt(prompt)
