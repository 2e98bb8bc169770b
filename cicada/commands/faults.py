"""Faults of a running swarm."""

from __future__ import annotations

import msgspec

from cicada.commands.base import Command, Reply


class Fault(Command, frozen=True, kw_only=True):
    """Base of the faults. One is in force until it is ended, or for ``lasts`` seconds. Answered by FaultList."""

    lasts: float | None = None


class Freeze(Fault, frozen=True, kw_only=True, tag=True):
    """Have peers stand still: they read and answer nothing, and their clocks stop. A worker's process is stopped."""

    select: str


class PairFault(Fault, frozen=True, kw_only=True):
    """Base of the faults between two sides, both ways. Selectors are resolved when the fault is set; ``other`` empty:
    everybody who is not of ``one``."""

    one: str
    other: str = ""


class Partition(PairFault, frozen=True, kw_only=True, tag=True):
    """Neither side hears anything of the other: links fall silent, dials find a void."""


class Delay(PairFault, frozen=True, kw_only=True, tag=True):
    """Everything takes ``seconds`` longer one way, and up to ``jitter`` seconds more. The order on each link stays."""

    seconds: float
    jitter: float = 0.0


class Drop(PairFault, frozen=True, kw_only=True, tag=True):
    """``percent`` of the messages are lost before a link takes them. Links, which ride TCP, stay whole."""

    percent: float


class Duplicate(PairFault, frozen=True, kw_only=True, tag=True):
    """``percent`` of the messages are sent twice."""

    percent: float


AnyFault = Freeze | Partition | Delay | Drop | Duplicate


class Thaw(Command, frozen=True, kw_only=True, tag=True):
    """Have frozen peers and workers go on. Answered by Done."""

    select: str


class Heal(Command, frozen=True, kw_only=True, tag=True):
    """End the faults between these two sides, named as when they were set; ``one`` alone: all in which it is a side; none
    named: all. Answered by FaultList with those that ended."""

    one: str = ""
    other: str = ""


class GetFaults(Command, frozen=True, kw_only=True, tag=True):
    """The faults in force. Answered by FaultList."""


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault in force. ``kind`` is the command's name in small letters; ``peers`` are those frozen, or of side ``one``;
    ``others`` those of the other side. ``seconds``, ``jitter`` and ``percent`` as in the command, 0 where it has none."""

    fault: int
    kind: str
    one: str
    other: str
    peers: tuple[str, ...]
    others: tuple[str, ...]
    seconds: float
    jitter: float
    percent: float
    age_s: float
    left_s: float | None


class FaultList(Reply, frozen=True, kw_only=True, tag=True):
    """Faults, oldest first."""

    rows: tuple[FaultRow, ...]
