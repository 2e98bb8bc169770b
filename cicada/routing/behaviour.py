"""Peers that do harm on purpose, for simulations and for swarms on one machine.

Their cores are the product's own: a subclass lets its base do everything and changes what leaves for others. Towards what
concerns itself such a peer is honest, so that it stays in the ring and is trusted with other peers' messages. It proves
nothing about attackers that break the ring itself.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from cicada.chord import io as ring
from cicada.chord.node import RingNode
from cicada.events import RelayMisbehaved
from cicada.ids import Peer
from cicada.limits import TRIAL
from cicada.routing.io import Alarm, Forward, RoutedReceived, RouterInput, RouterOutput, TableChanged, Tell
from cicada.routing.misdeeds import Misdeed, misdeed
from cicada.routing.paths import denial
from cicada.routing.router import Router
from cicada.routing.timers import earlier
from cicada.wire.ring import FindSuccessor, Found, NextHop
from cicada.wire.routed import Broadcast, Contact, GetRecord, RoutedBase
from cicada.wire.trips import trip_of

Kind = Literal["drop", "alter", "misroute", "lie-in-lookups", "replay", "delay"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
LIE: Final = "lie-in-lookups"


class Behaviour(msgspec.Struct, frozen=True):
    """What a bad peer does to ``share`` (0 to 1) of the messages of others that come through it.

    drop: they do not leave. alter: one byte is another one, of the header too. misroute: they leave for a wrong peer.
    lie-in-lookups: it claims whatever place is looked for, and denies peers that are to be met. replay: they leave twice,
    with old ones. delay: they leave late (TRIAL.delay).
    """

    kind: Kind
    share: float = 1.0

    def __str__(self) -> str:
        return self.kind if self.share == 1.0 else f"{self.kind} {self.share:.0%}"


class BadRouter(Router):
    """A Router that treats what it relays for others by ``behaviour``, and tells of each message."""

    def __init__(self, own: Peer, boot: int, *, behaviour: Behaviour, rng: Random, **options: Any) -> None:
        super().__init__(own, boot, rng=rng, **options)
        self._behaviour = behaviour
        self._dice = Random(rng.getrandbits(64))
        self._misdeed: Misdeed | None = (
            None if behaviour.kind == LIE else misdeed(behaviour.kind, Random(rng.getrandbits(64)))
        )

    def handle(self, input: RouterInput, now: float) -> list[RouterOutput]:
        if self._misdeed is None:
            if isinstance(input, RoutedReceived) and self._denies(input):
                return self._deny(input, now)
            return super().handle(input, now)
        if isinstance(input, TableChanged):
            self._misdeed.know(tuple(peer for peer in input.known if peer != self._own))
        outputs: list[RouterOutput] = []
        for output in super().handle(input, now):
            outputs += self._treated(output, self._misdeed, now)
        return [*outputs, *(self._misdeed.due(now) if isinstance(input, Alarm) else ())]

    def next_deadline(self) -> float | None:
        kept = None if self._misdeed is None else self._misdeed.next_deadline()
        return earlier(super().next_deadline(), kept)

    def _treated(self, output: RouterOutput, misdeed: Misdeed, now: float) -> list[RouterOutput]:
        if not isinstance(output, Forward) or not self._is_of_others(output.message):
            return [output]
        if self._dice.random() >= self._behaviour.share:
            return [output]
        instead = misdeed.commit(output, now)
        return [self._told(output.message, misdeed.touched), *instead]

    def _is_of_others(self, message: object) -> bool:
        return isinstance(message, RoutedBase | Broadcast) and message.origin != self._own.address

    def _denies(self, received: RoutedReceived) -> bool:
        asked = received.message
        if not isinstance(asked, Contact | GetRecord) or not self._is_of_others(asked):
            return False
        return asked.target != self._target and self._dice.random() < self._behaviour.share

    def _deny(self, received: RoutedReceived, now: float) -> list[RouterOutput]:
        question = received.message
        if not isinstance(question, Contact | GetRecord):
            return []
        return [self._told(question, ""), *self._route(denial(self._own, question), now)]

    def _told(self, message: object, field: str) -> Tell:
        return Tell(
            RelayMisbehaved(
                behaviour=self._behaviour.kind,
                message=type(message).__name__,
                origin=getattr(message, "origin", ""),
                target=getattr(message, "target", b"").hex(),
                counter=getattr(message, "counter", 0),
                index=getattr(message, "index", 0),
                attempt=getattr(message, "attempt", 0),
                way=getattr(message, "way", b"").hex(),
                field=field,
                trip=trip_of(message),
            )
        )


class LyingRing(RingNode):
    """A RingNode that claims the places which others look for through it. Joins it answers honestly, or the ring that it
    is to harm would not form."""

    def __init__(self, own: Peer, incarnation: int, *, share: float, rng: Random, **options: Any) -> None:
        super().__init__(own, incarnation, rng=rng, **options)
        self._self = own
        self._share = share
        self._dice = Random(rng.getrandbits(64))
        self._joins: deque[tuple[str, int]] = deque(maxlen=TRIAL.delayed)

    def handle(self, input: ring.RingInput, now: float) -> list[ring.RingOutput]:
        if isinstance(input, ring.MessageReceived):
            asked = input.message
            if isinstance(asked, FindSuccessor) and asked.joining and asked.path:
                self._joins.append((asked.path[0], asked.request))
        return [self._treated(output) for output in super().handle(input, now)]

    def _treated(self, output: ring.RingOutput) -> ring.RingOutput:
        if not isinstance(output, ring.SendTo) or self._dice.random() >= self._share:
            return output
        own = self._self.address
        match output.message:
            case Found() as answer if (
                answer.path[0] != own and (answer.path[0], answer.request) not in self._joins
            ):
                others = tuple(peer for peer in answer.successors if peer != own)
                claims = (own, *others)[: max(len(answer.successors), 1)]
                return ring.SendTo(output.peer, replace(answer, successors=claims))
            case NextHop() as answer:
                return ring.SendTo(output.peer, replace(answer, hops=(own,), final=True))
            case _:
                return output


def router_for(own: Peer, boot: int, *, behaviour: Behaviour | None, rng: Random, **options: Any) -> Router:
    """A Router, or the one that goes with the behaviour. ``options`` are Router's."""
    if behaviour is None:
        return Router(own, boot, rng=rng, **options)
    return BadRouter(own, boot, behaviour=behaviour, rng=rng, **options)


def ring_for(
    own: Peer, incarnation: int, *, behaviour: Behaviour | None, rng: Random, **options: Any
) -> RingNode:
    """The same for a RingNode."""
    if behaviour is None or behaviour.kind != LIE:
        return RingNode(own, incarnation, rng=rng, **options)
    return LyingRing(own, incarnation, share=behaviour.share, rng=rng, **options)
