"""What a directory of names is asked and what it answers, besides the messages of ``cicada.services.io``."""

from __future__ import annotations

import msgspec

from cicada.limits import NAMES
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired
from cicada.services.namerecords import NameRecord


class Register(msgspec.Struct, frozen=True):
    """Make the name this peer's for ``lease`` seconds, and renew it until Release. Answered by Registered or Refused, once when
    the same is asked twice. Of a name that is this peer's already it changes the lease. ``again``: it was this peer's when an
    earlier machine of it ended. That is not answered: it is tried until most replicas keep it, and Lost says that it is
    another's."""

    request: int
    name: str
    lease: float = NAMES.lease
    again: bool = False


class Resolve(msgspec.Struct, frozen=True):
    """Whose is the name? Answered by Resolved."""

    request: int
    name: str


class Release(msgspec.Struct, frozen=True):
    """Give the name back, so that others can have it at once. Without effect when it is not this peer's. ``lease``: it was this
    peer's when an earlier machine of it ended, whose records of it may be good for so many seconds yet."""

    name: str
    lease: float = 0.0


class RingChanged(msgspec.Struct, frozen=True):
    """The peers around this one are others than before: look soon whether its records are where they belong."""


class Registered(msgspec.Struct, frozen=True):
    """Answer to Register: most replicas keep the record. Lost may still follow, see docs/names.md."""

    request: int
    record: NameRecord


class Refused(msgspec.Struct, frozen=True):
    """Answer to Register: the name is not this peer's.

    ``name-invalid`` (see ``normal_name``), ``lease-invalid``, ``too-many-names``, ``taken`` (``holder``: by whom), ``full``,
    ``busy``, ``elsewhere`` (the ring is changing), ``invalid`` (this clock is wrong, or the swarm another), ``no-answer``,
    ``released`` (by this peer, meanwhile). All but the first three may go well later. A name that was this peer's before stays so
    until Lost.
    """

    request: int
    reason: str
    holder: NameRecord | None = None


class Resolved(msgspec.Struct, frozen=True):
    """Answer to Resolve. Without a record ``reason`` is ``name-invalid``, ``no-such-name``, ``no-answer`` (of most replicas),
    ``disputed`` (replicas name different owners, none of them most) or ``busy``."""

    request: int
    record: NameRecord | None
    reason: str = ""


class Released(msgspec.Struct, frozen=True):
    """Answer to Release: the replicas know it, or had their time to."""

    name: str


class Lost(msgspec.Struct, frozen=True):
    """A name that was Registered is this peer's no more: ``taken``, by ``holder``, or ``expired`` because no majority of the
    replicas took a renewal in time."""

    name: str
    reason: str
    holder: NameRecord | None = None


NameInput = Register | Resolve | Release | RingChanged | Received | Sent | FoundOwner | TimerFired
NameOutput = Registered | Refused | Resolved | Released | Lost | Send | Find
