"""The phases of a RingNode and what it does with each input in them: one table."""

from __future__ import annotations

import enum
from typing import Final

from cicada.chord.io import (
    CreateRing,
    FindOwner,
    JoinRing,
    LeaveRing,
    MessageReceived,
    PeerProven,
    PeerUnreachable,
    RingInput,
    SetExtra,
    TimerFired,
)
from cicada.wire.ring import (
    FindSuccessor,
    Found,
    GetNextHop,
    GetState,
    Leaving,
    LookupFailed,
    NextHop,
    Notify,
    NotMember,
    Nudge,
    RingMessage,
    State,
)


class Phase(enum.StrEnum):
    """Where a node stands. Only ALONE and MEMBER own a part of the ring."""

    IDLE = "idle"  # in no ring: not yet, or no longer
    JOINING = "joining"  # looking for its place
    ALONE = "alone"  # a ring of one: head is the node itself
    MEMBER = "member"  # has a live successor other than itself

    @property
    def is_member(self) -> bool:
        """Whether the node owns its arc and answers for it."""
        return self is Phase.MEMBER or self is Phase.ALONE


class Reaction(enum.Enum):
    """What to do with an input."""

    HANDLE = enum.auto()
    IGNORE = enum.auto()
    REFUSE = enum.auto()  # and say so: NotMember, LookupFailed, OwnerNotFound


_EVERYWHERE: Final[dict[type, Reaction]] = dict.fromkeys(
    (
        *(JoinRing, LeaveRing, MessageReceived, PeerProven, PeerUnreachable, SetExtra, TimerFired),
        *(Found, LookupFailed),  # passed back along their path even by a node that has left since
    ),
    Reaction.HANDLE,
)
_OUTSIDE: Final[dict[type, Reaction]] = (
    _EVERYWHERE
    | dict.fromkeys((FindOwner, FindSuccessor, GetState, GetNextHop), Reaction.REFUSE)
    | dict.fromkeys((State, NextHop, NotMember, Notify, Nudge), Reaction.IGNORE)
)
_INSIDE: Final[dict[type, Reaction]] = (
    _EVERYWHERE
    | dict.fromkeys((FindOwner, FindSuccessor, GetState, GetNextHop), Reaction.HANDLE)
    | dict.fromkeys((State, NextHop, NotMember, Notify, Nudge, Leaving), Reaction.HANDLE)
    | {CreateRing: Reaction.IGNORE}
)

REACTIONS: Final[dict[Phase, dict[type, Reaction]]] = {
    Phase.IDLE: _OUTSIDE | {CreateRing: Reaction.HANDLE, Leaving: Reaction.IGNORE},
    Phase.JOINING: _OUTSIDE
    | {CreateRing: Reaction.IGNORE, Leaving: Reaction.HANDLE}
    | dict.fromkeys((State, NotMember), Reaction.HANDLE),
    Phase.ALONE: _INSIDE,
    Phase.MEMBER: _INSIDE,
}
"""Phase to class of input or ring message to reaction. Every class stands in every row."""


def reaction(phase: Phase, item: RingInput | RingMessage) -> Reaction:
    """What a node in ``phase`` does with an input or message."""
    return REACTIONS[phase][type(item)]
