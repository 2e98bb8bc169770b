"""The keys: what each is called, does, and how the key sheet explains it. The sheet in the window and the one in the
documents are made from this table."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from cicada.errors import Misuse
from visualizer.controls import asking, looking, playing
from visualizer.controls.actions import Action
from visualizer.controls.desk import Desk
from visualizer.controls.inputs import Key

Handler = Callable[[Desk], list[Action]]

_SHOWN = {
    " ": "Space",
    "escape": "Esc",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "left": "Left",
    "right": "Right",
    "up": "Up",
    "down": "Down",
}
NAMES = (
    *("escape", "return", "tab", "backspace", "delete", "insert"),
    *("home", "end", "left", "right", "up", "down", "page up", "page down"),
    *(f"f{number}" for number in range(1, 13)),
)
"""Keys that type no character."""


class Binding(NamedTuple):
    """One thing that keys do. ``keys``: characters in small letters, or names; ``line``: what they do, for the sheet."""

    name: str
    keys: tuple[str, ...]
    section: str
    line: str
    handler: Handler


_KINDS = "show or hide a kind of event, as numbered on the left"
_ASK, _LOOK, _TIME = "The swarm", "The picture", "Time"

BINDINGS: tuple[Binding, ...] = (
    Binding("select", ("s", "escape"), _ASK, "back to selecting; again: select nobody", looking.select),
    Binding(
        "join-all", ("r",), _ASK, "all outside the ring join, each through a random member", asking.join_all
    ),
    Binding("join", ("j",), _ASK, "the selected join through the peer clicked next", asking.join),
    Binding(
        "lookup", ("l",), _ASK, "look up the peer clicked next, or what is typed, hop by hop", asking.lookup
    ),
    Binding("fingers", ("f",), _ASK, "the finger table of the selected", looking.fingers),
    Binding("known", ("p",), _ASK, "the peers that the selected knows", looking.known),
    Binding("broadcast", ("b",), _ASK, "the selected tells all others", asking.broadcast),
    Binding(
        "message",
        ("m",),
        _ASK,
        "the selected sends to the peer clicked next, in copies",
        asking.message,
    ),
    Binding("add", ("a",), _ASK, "one more peer", asking.add),
    Binding("disconnect", ("d",), _ASK, "the selected leave the ring and end", asking.disconnect),
    Binding("kill", ("k",), _ASK, "the selected die without a farewell", asking.kill),
    Binding("restart", ("x",), _ASK, "the selected start again", asking.restart),
    Binding(
        "partition",
        ("n",),
        _ASK,
        "cut the selected off from the peer clicked next, or from all",
        asking.partition,
    ),
    Binding("heal", ("h",), _ASK, "end all faults", asking.heal),
    Binding("find", ("/",), _LOOK, "find peers by name, address or place", looking.find),
    Binding("group", ("g",), _LOOK, "only the next group", looking.next_group),
    *(
        Binding(
            f"kind-{kind.value}",
            (str(digit),),
            _LOOK,
            f"show or hide: {kind.value}",
            partial(looking.toggle_kind, kind=kind),
        )
        for digit, kind in enumerate(looking.KINDS, 1)
    ),
    Binding("traffic", ("v",), _LOOK, "show or hide traffic", looking.show_traffic),
    Binding("log", ("o",), _LOOK, "show or hide the log of events", looking.show_log),
    Binding("even", ("e",), _LOOK, "evenly spaced, or everybody at its place", looking.even_spacing),
    Binding("theme", ("t",), _LOOK, "dark or light", looking.theme),
    Binding("fit", ("0",), _LOOK, "the whole ring", looking.fit),
    Binding("zoom-in", ("+", "="), _LOOK, "nearer", looking.zoom_in),
    Binding("zoom-out", ("-",), _LOOK, "farther", looking.zoom_out),
    Binding("up", ("up",), _LOOK, "move the picture; sideways with Shift", playing.up),
    Binding("down", ("down",), _LOOK, "move the picture", playing.down),
    Binding("full-screen", ("f11",), _LOOK, "fill the screen", looking.full_screen),
    Binding("screenshot", ("f12",), _LOOK, "keep this picture in a file", looking.screenshot),
    Binding("keys", ("?", "f1"), _LOOK, "these keys", looking.show_keys),
    Binding("quit", ("q",), _LOOK, "close the window", looking.leave),
    Binding("pause", (" ",), _TIME, "time stands still, or goes on", playing.pause),
    Binding("step", (".",), _TIME, "one event on", playing.step),
    Binding("step-back", (",",), _TIME, "one event back", playing.step_back),
    Binding("slower", ("[",), _TIME, "slower", playing.slower),
    Binding("faster", ("]",), _TIME, "faster", playing.faster),
    Binding("back", ("left",), _TIME, "a second back", playing.back),
    Binding("forth", ("right",), _TIME, "a second on", playing.forth),
    Binding("first", ("home",), _TIME, "to the beginning", playing.first),
    Binding("live", ("end",), _TIME, "to the present", playing.live),
    Binding("fault", ("tab",), _TIME, "to the next fault or death", playing.next_fault),
)

MOUSE: tuple[tuple[str, str], ...] = (
    ("click", "select; with Shift more, or fewer"),
    ("drag", "select all in a rectangle; with Shift besides"),
    ("right drag", "move the picture"),
    ("wheel", "nearer or farther, about the pointer"),
)
"""What the mouse does, for the sheet."""


class Bindings:
    """Which key does what."""

    def __init__(self, table: Iterable[Binding] = BINDINGS) -> None:
        self.table = tuple(table)
        self._handlers = {key: binding.handler for binding in self.table for key in binding.keys}

    def handler(self, key: Key) -> Handler | None:
        """What a key does; None: nothing."""
        return self._handlers.get(key.text.lower()) or self._handlers.get(key.name)

    def changed(self, keys: Mapping[str, object]) -> Bindings:
        """These bindings with other keys for some: name to key, or to several.

        Raises Misuse, naming everything that is wrong: unknown names or keys, and keys that would do two things.
        """
        problems = [*self._unknown(keys)]
        fresh = {name: _keys_of(name, given, problems) for name, given in keys.items()}
        table = [b._replace(keys=fresh.get(b.name, b.keys)) for b in self.table]
        problems += _clashes(table)
        if problems:
            raise Misuse("; ".join(problems))
        return Bindings(table)

    def _unknown(self, keys: Mapping[str, object]) -> Iterable[str]:
        known = [binding.name for binding in self.table]
        for name in keys:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                yield f"nothing is called {name!r}" + (f": did you mean {near[0]!r}?" if near else "")

    def sheet(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Sections of the key sheet: title, and pairs of keys and what they do. Rows of digits are told together."""
        sections: dict[str, list[tuple[str, str]]] = {}
        digits = [b for b in self.table if b.name.startswith("kind-") and len(b.keys) == 1]
        for binding in self.table:
            if binding in digits[1:]:
                continue
            row = (" ".join(map(shown, binding.keys)), binding.line)
            if digits and binding == digits[0]:
                row = (f"{shown(digits[0].keys[0])}-{shown(digits[-1].keys[0])}", _KINDS)
            sections.setdefault(binding.section, []).append(row)
        return [*sections.items(), ("The mouse", list(MOUSE))]

    def lines(self) -> tuple[tuple[str, str], ...]:
        """The rows of the sheet, one section after the other."""
        return tuple(row for _, rows in self.sheet() for row in rows)


def shown(key: str) -> str:
    """A key as people call it."""
    return _SHOWN.get(key) or key.upper()


def _clashes(table: Iterable[Binding]) -> Iterable[str]:
    owners: dict[str, str] = {}
    for name, key in ((binding.name, key) for binding in table for key in binding.keys):
        if owners.setdefault(key, name) != name:
            yield f"{shown(key)} would do two things: {owners[key]} and {name}"


def _keys_of(name: str, given: object, problems: list[str]) -> tuple[str, ...]:
    """The keys that a file names, in small letters; what is none of them goes to the problems."""
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(key, str) for key in listed):
        problems.append(f"{name}: write one key, or a list of keys, as 'k' or ['k', 'delete']")
        return ()
    keys = tuple(" " if key.lower() == "space" else key.lower() for key in listed)
    known = ", ".join(NAMES)
    problems += [
        f"{name}: there is no key {key!r}: write one character, or one of {known}"
        for key in keys
        if len(key) != 1 and key not in NAMES
    ]
    return keys
