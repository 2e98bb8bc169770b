"""What can be asked about a swarm and its peers, and of them."""

from __future__ import annotations

import enum
from typing import Literal

from cicada.commands.base import Command


class GetStatus(Command, frozen=True, kw_only=True, tag=True):
    """Status of the swarm, with fresh snapshots of every live peer compared with the sorted truth. Not ``fresh``: with those
    that the launcher took last, at most ``LauncherLimits.poll_calm`` seconds ago, so that asking every second costs little.
    """

    fresh: bool = True


class GetPeers(Command, frozen=True, kw_only=True, tag=True):
    """One row for each peer that the selector names."""

    select: str = "all"


class Join(Command, frozen=True, kw_only=True, tag=True):
    """Have peers that are not in the ring join it.

    ``through``: each through a member that is drawn from those that this selector names; empty: the launcher knows best.
    ``again``: those of them that have ended are started first. Otherwise they are left as they are.
    """

    select: str = "all"
    through: str = ""
    again: bool = False


class Lookup(Command, frozen=True, kw_only=True, tag=True):
    """Who owns ``value`` (an address, a peer's name, or a place in hex), as seen from peer ``via`` (empty: any)."""

    value: str
    via: str = ""
    iterative: bool = False


class Send(Command, frozen=True, kw_only=True, tag=True):
    """Send from peer ``via`` (empty: any) to a name or address, and wait for the receipt."""

    target: str
    payload: bytes
    via: str = ""
    duplicates: int | None = None
    timeout: float = 10.0


class SendToAll(Command, frozen=True, kw_only=True, tag=True):
    """Broadcast from peer ``via`` (empty: any), and count who got it within ``timeout`` seconds."""

    payload: bytes
    via: str = ""
    timeout: float = 5.0


class Kill(Command, frozen=True, kw_only=True, tag=True):
    """End peers, which stay dead until Restart. ``hard``: without a farewell. A worker gets SIGKILL and is supervised back,
    which counts as no failure; it stays dead until Restart where supervision restarts nobody."""

    select: str
    hard: bool = False


class Stop(Command, frozen=True, kw_only=True, tag=True):
    """Have peers leave the ring and end. They stay stopped until Restart."""

    select: str


class Restart(Command, frozen=True, kw_only=True, tag=True):
    """Start peers again (stopping them first when they live), under the same names and addresses, and join them.

    ``rolling``: ``at_once`` peers after the others (0: a tenth of them), each time once the ring is proven. When it is not
    within ``timeout`` seconds after a wave, the rest is left as it is and the answer is Refused.
    """

    select: str
    rolling: bool = False
    at_once: int = 0
    timeout: float = 60.0


class Crash(Command, frozen=True, kw_only=True, tag=True):
    """Have one actor of each peer fail (``transport``, ``ring`` or ``router``), as a defect would. Supervision brings it back."""

    select: str
    actor: str


class Add(Command, frozen=True, kw_only=True, tag=True):
    """Start and join ``count`` more peers of a group."""

    group: str
    count: int = 1


class Scale(Command, frozen=True, kw_only=True, tag=True):
    """Have exactly ``count`` peers of a group: add, or stop those with the highest numbers."""

    group: str
    count: int


class SetLogLevel(Command, frozen=True, kw_only=True, tag=True):
    """Log the selected peers from ``level`` on, of every actor or of one (``transport``, ``ring``, ``router``,
    ``supervisor``). It holds until it is changed, also for a peer that is restarted. A worker's name and ``all`` mean
    what the processes say of themselves too.
    """

    select: str
    level: Literal["debug", "info", "warning", "error"]
    actor: Literal["", "transport", "ring", "router", "crypto", "supervisor"] = ""


class RotationPhase(enum.Enum):
    """How far the change of a swarm's key is: both keys are accepted; the new one is dialled with; the old one is refused
    and its links close. ``now`` is the last of them at once, for a key that leaked."""

    ACCEPT = "accept"
    DIAL = "dial"
    FINISH = "finish"
    NOW = "now"


class RotateSwarmKey(Command, frozen=True, kw_only=True, tag=True):
    """Enter a phase of the change to the key in ``file``, which the launcher reads. Answered by Done."""

    file: str
    phase: RotationPhase


class Down(Command, frozen=True, kw_only=True, tag=True):
    """End the swarm, gracefully."""
