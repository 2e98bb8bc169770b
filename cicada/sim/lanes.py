"""One direction of a link, and what the network has to know of the peers at its ends."""

from __future__ import annotations

import math
from typing import Protocol

from cicada.ids import Address, Peer
from cicada.sim.agenda import Action
from cicada.sim.conditions import Conditions
from cicada.wire.codec import Message


class Station(Protocol):
    """A peer as the network sees it, whether it is up or not."""

    peer: Peer
    life: int  # another one whenever its process begins or ends
    is_up: bool
    is_frozen: bool  # up, but it does not get to run
    has_vanished: bool  # down together with its host, so that nothing says that it is gone
    lanes: dict[Address, Lane]

    def local(self) -> float:
        """Seconds on its own clock."""
        ...

    def postpone(self, action: Action, one: object, other: object) -> None:
        """Have this happen when it gets to run again."""
        ...

    def receive(self, sender: Peer, message: Message) -> None:
        """A message arrived."""
        ...

    def on_proven(self, peer: Peer) -> None:
        """A dial succeeded that somebody here wanted."""
        ...

    def on_unreachable(self, peer: Peer, undelivered: tuple[Message, ...]) -> None:
        """A link broke or a dial failed; what was sent or waited, and was not acknowledged, comes back."""
        ...


class Lane:
    """What ``sender`` has under way to ``receiver``. It lasts as long as the sender's life, through links that come and go.

    ``waiting`` holds messages that wait for a dial while the lane is not open, and for a retransmission while it is.
    """

    __slots__ = (
        *(
            "free_at",
            "is_dialled",
            "is_dialling",
            "is_open",
            "is_smooth",
            "is_wanted",
            "late",
            "low",
            "receiver",
        ),
        *(
            "receiver_life",
            "sender",
            "sender_life",
            "since",
            "span",
            "conditions",
            "timeout",
            "twin",
            "unacked",
        ),
        *("used_at", "waiting"),
    )

    def __init__(self, sender: Station, receiver: Station, conditions: Conditions) -> None:
        self.sender = sender
        self.receiver = receiver
        self.sender_life = sender.life
        self.receiver_life = -1  # with which the link is
        self.twin: Lane | None = None
        self.is_open = False
        self.is_dialled = False  # by the sender, which proves the receiver
        self.is_dialling = False
        self.is_wanted = False  # somebody waits for the proof
        self.used_at = -math.inf
        self.free_at = 0.0  # when the last message arrives: the next one arrives later
        self.waiting: list[Message] | None = None
        self.late = 0  # how many of them were sent before the first one stalled
        self.since = 0.0  # sender's seconds at which the first one stalled
        self.unacked: list[Message] | None = None  # arrived where nobody acknowledges
        self.suit(conditions)

    def suit(self, conditions: Conditions) -> None:
        """From now on the lane is like this."""
        self.conditions = conditions
        self.low = conditions.latency[0]
        self.span = conditions.latency[1] - conditions.latency[0]
        self.is_smooth = conditions.is_smooth
        self.timeout = conditions.timeout()

    @property
    def is_orphaned(self) -> bool:
        """Whether the life that sent over it has ended."""
        return self.sender.life != self.sender_life

    @property
    def is_stale(self) -> bool:
        """Whether the life of the receiver that the link is with has ended."""
        return self.receiver.life != self.receiver_life

    @property
    def is_spare(self) -> bool:
        """Whether nothing would be lost with it but the knowledge of a link that is not open."""
        return not (self.is_open or self.is_dialling or self.waiting is not None or self.unacked is not None)

    def take_unfinished(self) -> tuple[Message, ...]:
        """All that was not acknowledged, as far as the sender knows, in the order of sending."""
        unfinished = (*(self.unacked or ()), *(self.waiting or ()))
        self.unacked = self.waiting = None
        return unfinished
