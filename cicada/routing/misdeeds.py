"""What peers that do not keep to the rules do to messages that pass through them. Pure.

Each misdeed is asked what becomes of one message that an honest relay would forward, and answers what leaves instead.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Protocol, get_args

from msgspec.structs import asdict

from cicada.errors import MalformedMessage
from cicada.ids import Peer
from cicada.limits import TRIAL, TrialLimits
from cicada.transport.linkio import Forward
from cicada.wire.codec import Message, decode, encode
from cicada.wire.routed import RouterMessage

_ROUTER = frozenset(get_args(RouterMessage))
UNREADABLE = "unreadable"
"""In place of a field's name: what was altered is no message any more."""


class Misdeed(Protocol):
    """One peer's way of doing harm."""

    touched: str
    """What was altered in the last message: a field's name, or UNREADABLE. Empty where nothing is altered."""

    def commit(self, honest: Forward, now: float) -> list[Forward]:
        """What leaves instead of ``honest``."""
        ...

    def due(self, now: float) -> list[Forward]:
        """What was kept and leaves by now."""
        ...

    def next_deadline(self) -> float | None:
        """When ``due`` has something."""
        ...

    def know(self, peers: tuple[Peer, ...]) -> None:
        """These peers could be next hops."""
        ...


class Drop:
    """Nothing leaves. Base of those that keep nothing and need to know nobody."""

    touched = ""

    def commit(self, honest: Forward, now: float) -> list[Forward]:
        return []

    def due(self, now: float) -> list[Forward]:
        return []

    def next_deadline(self) -> float | None:
        return None

    def know(self, peers: tuple[Peer, ...]) -> None:
        """Nobody is misled."""


class Alter(Drop):
    """One byte of the encoded message is another one, anywhere in it.

    What no longer decodes does not leave: the next hop would take it for a fault of this peer and close the link, which
    is the same loss for the message and ends the harm.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def commit(self, honest: Forward, now: float) -> list[Forward]:
        message, self.touched = altered(honest.message, self._rng)
        return [] if message is None else [Forward(honest.peer, message, honest.source)]


class Misroute(Drop):
    """It leaves for any other peer that this one knows, also for one that it came through."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._known: tuple[Peer, ...] = ()

    def know(self, peers: tuple[Peer, ...]) -> None:
        self._known = peers

    def commit(self, honest: Forward, now: float) -> list[Forward]:
        wrong = [peer for peer in self._known if peer != honest.peer]
        return [Forward(self._rng.choice(wrong), honest.message, honest.source)] if wrong else []


class Replay(Drop):
    """It leaves twice, and with it one of those that left before."""

    def __init__(self, rng: Random, limits: TrialLimits) -> None:
        self._rng = rng
        self._past: deque[Forward] = deque(maxlen=limits.replayed)

    def commit(self, honest: Forward, now: float) -> list[Forward]:
        old = [self._rng.choice(self._past)] if self._past else []
        self._past.append(honest)
        return [honest, honest, *old]


class Delay(Drop):
    """It leaves later, while there is room for it."""

    def __init__(self, limits: TrialLimits) -> None:
        self._limits = limits
        self._held: deque[tuple[float, Forward]] = deque()

    def commit(self, honest: Forward, now: float) -> list[Forward]:
        if len(self._held) < self._limits.delayed:
            self._held.append((now + self._limits.delay, honest))
        return []

    def due(self, now: float) -> list[Forward]:
        freed = []
        while self._held and self._held[0][0] <= now:
            freed.append(self._held.popleft()[1])
        return freed

    def next_deadline(self) -> float | None:
        return self._held[0][0] if self._held else None


def altered(message: Message, rng: Random) -> tuple[RouterMessage | None, str]:
    """The message with one byte of its encoding changed, and the name of the field that is another one now; None and
    UNREADABLE when that is no routed message any more."""
    raw = bytearray(encode(message))
    while True:
        at, flip = rng.randrange(len(raw)), rng.randrange(1, 256)
        raw[at] ^= flip
        try:
            changed = decode(bytes(raw))
        except MalformedMessage:
            return None, UNREADABLE
        raw[at] ^= flip
        if type(changed) not in _ROUTER:
            return None, UNREADABLE
        if changed != message:  # other bytes may mean the same
            return changed, _difference(message, changed)  # type: ignore[arg-type,return-value]


def _difference(one: Message, other: RouterMessage) -> str:
    if type(one) is not type(other):
        return "tag"
    fields, others = asdict(one), asdict(other)
    return next(name for name, value in fields.items() if value != others[name])


def misdeed(kind: str, rng: Random, limits: TrialLimits = TRIAL) -> Misdeed:
    """The misdeed that a relay of this behaviour commits. Raises KeyError for a behaviour that spares what it relays."""
    match kind:
        case "drop":
            return Drop()
        case "alter":
            return Alter(rng)
        case "misroute":
            return Misroute(rng)
        case "replay":
            return Replay(rng, limits)
        case "delay":
            return Delay(limits)
        case _:
            raise KeyError(kind)
