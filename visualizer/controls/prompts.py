"""What a click or a typed line answers."""

from __future__ import annotations

from cicada.commands import Join, Lookup, Partition, Send
from visualizer.controls.actions import Action
from visualizer.controls.desk import Desk, named, selector
from visualizer.controls.inputs import Key
from visualizer.limits import WINDOW
from visualizer.view import Prompt

TYPED = (Prompt.LOOKUP, Prompt.FIND, Prompt.SEND)
"""Prompts that take a line; of these only FIND takes no click."""


def on_key(desk: Desk, key: Key) -> list[Action] | None:
    """What follows from a key while something is asked for; None: the key means what it always means."""
    view = desk.view
    if key.name == "escape" or view.prompt is Prompt.NONE:
        return None
    if view.prompt is Prompt.COPIES:
        return _on_copies(desk, key)
    if key.name == "return":
        return _on_line(desk)
    if view.prompt not in TYPED:
        return None
    if key.name == "backspace":
        view.typed = view.typed[:-1]
    elif key.text.isprintable():
        view.typed = (view.typed + key.text)[: WINDOW.typed]
    if view.prompt is Prompt.FIND:
        view.found = set(desk.sight.find(view.typed)) if view.typed else set()
    return []


def on_click(desk: Desk, peer: str) -> list[Action]:
    """What follows from a click on a peer while something is asked for."""
    match desk.view.prompt:
        case Prompt.JOIN:
            return _join(desk, peer)
        case Prompt.LOOKUP:
            return _lookup(desk, peer)
        case Prompt.SEND | Prompt.COPIES:
            return _send(desk, peer)
        case Prompt.PARTITION:
            return _partition(desk, peer)
        case _:
            desk.clear_prompt()
            desk.view.selected, desk.view.pinned = {peer}, peer
            return []


def _on_copies(desk: Desk, key: Key) -> list[Action]:
    """A digit, or Enter for none; anything else is no answer."""
    if key.text.isdecimal() or key.name == "return":
        desk.view.copies = int(key.text or 0) if key.name != "return" else 0
        return desk.prompt(Prompt.SEND)
    return desk.say(f"type how many copies go beside the first, 0 to {WINDOW.copies}")


def _on_line(desk: Desk) -> list[Action]:
    typed = desk.view.typed.strip()
    match desk.view.prompt:
        case Prompt.LOOKUP if typed:
            return _lookup(desk, typed)
        case Prompt.SEND if typed:
            return _send(desk, typed)
        case Prompt.FIND:
            return _choose_found(desk, typed)
        case Prompt.PARTITION:
            return _partition(desk, "")
        case _:
            desk.clear_prompt()
            return []


def _choose_found(desk: Desk, typed: str) -> list[Action]:
    """Whoever was found is selected; one alone, or the one that is called just so, is opened and put into the middle."""
    found = list(desk.sight.find(typed)) if typed else []
    desk.clear_prompt()
    desk.view.found = set()
    if not found:
        return desk.say(f"nobody is like {typed!r}") if typed else []
    exact = [name for name in found if name == typed]
    desk.view.selected = set(exact or found)
    desk.view.pinned = (exact or found)[0] if len(exact or found) == 1 else ""
    return desk.say(f"found {named(exact or found)}")


def _join(desk: Desk, through: str) -> list[Action]:
    joining = [name for name in desk.chosen if name != through]
    desk.clear_prompt()
    if not joining:
        return desk.say("nobody joins through itself: click another peer")
    command = Join(select=selector(joining), through=through, again=True)
    return desk.ask(command, f"{named(joining)} join through {through}")


def _lookup(desk: Desk, value: str) -> list[Action]:
    desk.clear_prompt()
    asker = desk.via or "somebody"
    return desk.ask(Lookup(value=value, via=desk.via, iterative=True), f"{asker} looks up {value}")


def _send(desk: Desk, target: str) -> list[Action]:
    copies = desk.view.copies
    desk.clear_prompt()
    if target == desk.via:
        return desk.say(f"{target} sends to others only: select who sends, then who receives")
    sender = desk.via or "somebody"
    command = Send(target=target, payload=b"hello", via=desk.via, duplicates=copies)
    beside = f" with {copies} more {'copy' if copies == 1 else 'copies'}" if copies else ""
    return desk.ask(command, f"{sender} sends to {target}{beside}")


def _partition(desk: Desk, other: str) -> list[Action]:
    one = [name for name in desk.chosen if name != other]
    desk.clear_prompt()
    if not one:
        return desk.say("both sides are the same peer")
    command = Partition(one=selector(one), other=other)
    return desk.ask(command, f"{named(one)} cut off from {other or 'everybody else'}")
