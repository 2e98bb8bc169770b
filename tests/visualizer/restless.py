"""A swarm in which peers come, move and go all the time, told as its events; and somebody who cannot keep their hands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import cast

import pygame

from cicada.bus.snapshot import Snapshot
from cicada.bus.tolerant import Unknown
from cicada.events import (
    AddressChanged,
    AnyEvent,
    CopiesTraced,
    EdgeCount,
    Envelope,
    FingersChanged,
    HopTaken,
    PeerStarted,
    PeerStopped,
    PhaseChanged,
    PredecessorChanged,
    RelaysChanged,
    SuccessorsChanged,
    TrafficCounted,
)
from cicada.ids import Address, place_of
from visualizer.app import Show, Window
from visualizer.commands import Commander
from visualizer.model.state import Kind
from visualizer.stage import make_stage
from visualizer.view import Prompt, View
from visualizer.wiring import make_player, new_story

from .shows import FakeCommander, FakeFeed, HandClock
from .tellings import START_MS, at, told

FRAME_S = 1 / 60
HIDDEN = "@" + "{:02x}" * 32
SIZES = ((480, 360), (480, 360), (700, 380), (330, 330))
KEYS = "sjlfpmn/gtveo0+-= .,[]rbadkxh?123456789"
"""Those that type something. Without Q, which ends it."""
NAMED_KEYS = (pygame.K_ESCAPE, pygame.K_RETURN, pygame.K_HOME, pygame.K_END, pygame.K_TAB, pygame.K_LEFT)

Item = Snapshot | Envelope | Unknown


class Restless:
    """Tells what happens from ``START_MS`` on. ``forgets``: now and then a snapshot comes that knows of half of the peers."""

    def __init__(self, rng: Random, *, forgets: bool) -> None:
        self._rng, self._forgets = rng, forgets
        self._next = self._trips = 0
        self._addresses: dict[str, str] = {}  # of who lives, by name
        self._ms = 0

    def tell(self, seconds: float) -> Iterator[Item]:
        """All of it, in order."""
        for _ in range(6):
            yield from self._come()
        while self._ms < seconds * 1000:
            self._ms += self._rng.randrange(1, 35)
            yield from self._rng.choice(self._deeds())()

    def _deeds(self) -> Sequence[Callable[[], Iterator[Item]]]:
        few = len(self._addresses) < 4
        usual = [self._turn] * 8 + [self._send] * 5 + [self._count] * 3 + [self._come] * 3
        rare = [self._go, self._go, self._move] if not few else [self._come]
        return [*usual, *rare, *([self._forget] if self._forgets and not few else [])]

    def _said(self, event: AnyEvent, name: str) -> Envelope:
        return told(event, name, ms=self._ms)

    def _free(self) -> str:
        self._next += 1
        if self._rng.random() < 0.25:
            return HIDDEN.format(*(self._rng.randrange(256) for _ in range(32)))
        return at(self._next % 250)

    def _started(self, name: str) -> Iterator[Item]:
        address = self._addresses[name]
        yield self._said(PeerStarted(address=address, place=f"{place_of(Address(address)):064x}"), name)
        yield self._said(PhaseChanged(phase="member"), name)
        if address.startswith("@"):
            yield self._said(RelaysChanged(relays=tuple(self._some(2))), name)

    def _come(self) -> Iterator[Item]:
        address = self._free()
        name = f"{self._rng.choice(('core', 'edge'))}-{self._next}"
        self._addresses[name] = address
        yield from self._started(name)

    def _some(self, most: int) -> list[str]:
        every = list(self._addresses.values())
        return self._rng.sample(every, min(len(every), self._rng.randint(0, most)))

    def _one(self) -> str:
        return self._rng.choice(list(self._addresses))

    def _go(self) -> Iterator[Item]:
        name = self._one()
        del self._addresses[name]
        yield self._said(PeerStopped(how=self._rng.choice(("left", "killed"))), name)

    def _move(self) -> Iterator[Item]:
        """Perhaps behind a router, or out of it."""
        name, address = self._one(), self._free()
        before, self._addresses[name] = self._addresses[name], address
        place = f"{place_of(Address(address)):064x}"
        yield self._said(AddressChanged(address=address, place=place, before=before), name)

    def _turn(self) -> Iterator[Item]:
        name = self._one()
        events: tuple[AnyEvent, ...] = (
            SuccessorsChanged(successors=tuple(self._some(4))),
            PredecessorChanged(predecessor="".join(self._some(1))),
            FingersChanged(added=tuple(self._some(4)), removed=tuple(self._some(2))),
            RelaysChanged(relays=tuple(self._some(3))),
        )
        yield self._said(self._rng.choice(events), name)

    def _count(self) -> Iterator[Item]:
        edges = tuple(EdgeCount(remote=other, counts={"data": 9, "ring": 2}) for other in self._some(5))
        yield self._said(TrafficCounted(seconds=1.0, edges=edges), self._one())

    def _send(self) -> Iterator[Item]:
        self._trips += 1
        passed = [self._one() for _ in range(4)]
        origin, target = self._addresses[passed[0]], self._addresses[passed[-1]]
        trip, kind = f"{origin}/{self._trips}", self._rng.choice(("data", "lookup", "broadcast", "receipt"))
        for hops, (start, end) in enumerate(pairwise(passed), 1):
            event = HopTaken(
                trip=trip,
                kind=kind,
                remote=self._addresses[end],
                origin=origin,
                target=target,
                hops=hops,
                at_us=(START_MS + self._ms) * 1000 + hops,
                copy=self._rng.randrange(2),
            )
            yield self._said(event, start)
        fates = self._rng.choice(((), ("intact",), ("intact", "altered"), ("lost", "intact", "intact")))
        yield self._said(CopiesTraced(message=1, trip=trip, target=target, fates=fates), passed[0])

    def _forget(self) -> Iterator[Item]:
        known = self._rng.sample(list(self._addresses), len(self._addresses) // 2)
        self._addresses = {name: self._addresses[name] for name in known}
        events = [event for name in known for event in self._started(name)]
        told_by_it = tuple(event for event in events if isinstance(event, Envelope))
        yield Snapshot(time_ms=START_MS + self._ms, name="restless", run="r", sequences={}, events=told_by_it)


class Onlooker:
    """A window with the real picture behind it, and a hand that does something at every few frames."""

    def __init__(self, items: list[Item], rng: Random, pictures: Path, *, is_live: bool) -> None:
        self.clock, self.feed, self.commander = HandClock(), FakeFeed(), FakeCommander()
        self.view, self._rng, self._items, self._is_live = View(), rng, items, is_live
        self._pointer = (240, 180)
        self._began = self.clock.seconds
        show = Show(
            title="restless",
            feed=self.feed,
            story=new_story(),
            commander=cast(Commander, self.commander),
            make_player=partial(make_player, is_live=is_live),
            make_stage=make_stage,
        )
        self.window = Window(show, self.view, size=SIZES[0], pictures=pictures, clock=self.clock)

    def frame(self) -> None:
        """The next of 60 in a second."""
        self.clock.seconds += FRAME_S
        due = START_MS + (self.clock.seconds - self._began) * 1000
        while self._items and (not self._is_live or self._items[0].time_ms <= due):
            self.feed.coming.append(cast(int, self._items.pop(0)))
        self.window.frame()

    def stand_still(self) -> None:
        """Time stands, no message is shown on its way, which depends on what was shown before, and two seconds pass."""
        self.view.prompt, self.view.hidden_kinds, self.view.followed = Prompt.NONE, set(Kind), ""
        if not self.view.playback.paused:
            self._key(pygame.K_SPACE, " ")
        for _ in range(120):
            self.frame()

    def fidget(self) -> None:
        """Whatever a hand may do."""
        rng, view = self._rng, self.view
        if rng.random() < 0.2:  # else it would soon be stuck
            view.prompt = Prompt.NONE
            if view.playback.paused:
                self._key(pygame.K_SPACE, " ")
        match rng.randrange(24):
            case 0 | 1:
                self._seek()
            case 2:
                self._key(rng.choice(NAMED_KEYS), "")
            case 3 | 4:
                self._type(rng.choice(KEYS))
            case 5:
                self._click(rng.choice((1, 1, 3)))
            case 6 | 7:
                self._look_at_somebody()
            case 8:
                pygame.event.post(pygame.event.Event(pygame.MOUSEWHEEL, y=rng.choice((-3, -1, 1, 4))))
            case 9 if rng.random() < 0.2:
                pygame.display.set_mode(rng.choice(SIZES), pygame.RESIZABLE)
            case _:
                self._point()

    def _seek(self) -> None:
        """A click into the timeline, or End: a recording starts again."""
        if self._rng.random() < 0.3:
            self._key(pygame.K_END, "")
            return
        width, height = pygame.display.get_window_size()
        self._pointer = self._rng.randrange(width), height - 50
        self._click(1)

    def _look_at_somebody(self) -> None:
        """Who is there, or was."""
        state, view, rng = self.window.state, self.view, self._rng
        names = [*state.peers, *view.selected, "core-1", "nobody"]
        view.pinned, view.followed = rng.choice(names), rng.choice(["", *state.trips])
        view.selected, view.found = set(rng.sample(names, 2)), set(rng.sample(names, 1))
        view.hovered, view.shows_known = rng.choice(names), rng.random() < 0.3

    def _point(self) -> None:
        width, height = pygame.display.get_window_size()
        self._pointer = self._rng.randrange(width), self._rng.randrange(height)
        pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=self._pointer))

    def _click(self, button: int) -> None:
        for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            pygame.event.post(pygame.event.Event(kind, pos=self._pointer, button=button))
            self._pointer = (self._pointer[0] + self._rng.randrange(2) * 30, self._pointer[1])

    def _type(self, text: str) -> None:
        self._key(pygame.key.key_code(text) if text.isalnum() else pygame.K_UNKNOWN, text)

    def _key(self, key: int, text: str) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=text, mod=0))
