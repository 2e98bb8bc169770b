"""The endpoint's view of one connection: who uses it, what waits to leave, what arrived in part."""

from __future__ import annotations

import asyncio
import enum

from cicada.ids import Address
from cicada.transport.base import ConnectionId, Receiver
from cicada.transport.framing import FrameSplitter


class Phase(enum.Enum):
    """DIALLING (dialled ones only), then OPEN, then CLOSED for good."""

    DIALLING = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Connection:
    """Mutable state, owned by the endpoint; receivers only ever see its id.

    ``remote`` is set for connections we dialled, ``source`` (what counts as one stranger) for those we accepted.
    ``home`` is the bound address at which we accepted it. ``partner`` is the other end, when this endpoint holds both.
    """

    __slots__ = (
        "_hint_window",
        "_hints",
        "alarm",
        "home",
        "id",
        "last_used",
        "partner",
        "pending",
        "phase",
        "queued",
        "received",
        "remote",
        "source",
        "splitter",
        "stranger",
        "users",
        "waiting",
    )

    def __init__(
        self, id: ConnectionId, *, remote: Address | None, source: str, max_frame: int, now: float
    ) -> None:
        self.id = id
        self.remote = remote
        self.source = source
        self.home: Address | None = None
        self.phase = Phase.OPEN if remote is None else Phase.DIALLING
        self.users: dict[Receiver, None] = {}
        self.waiting: dict[Receiver, None] = {}
        self.pending: list[bytes] = []
        self.queued = 0
        self.splitter = FrameSplitter(max_frame)
        self.stranger = False
        self.received = 0
        self.last_used = now
        self.partner: Connection | None = None
        self.alarm: asyncio.TimerHandle | None = None
        self._hint_window = 0
        self._hints = 0

    def next_batch(self, most: int) -> tuple[int, bytes]:
        """How many pending frames leave next, and their bytes joined: up to ``most`` bytes, at least one frame."""
        pending = self.pending
        if len(pending) == 1:
            return 1, pending[0]
        if self.queued <= most:
            return len(pending), b"".join(pending)
        count = 0
        size = 0
        for frame in pending:
            size += len(frame)
            if size > most:
                break
            count += 1
        count = max(count, 1)
        return count, b"".join(pending[:count])

    def may_hint(self, now: float, most: int) -> bool:
        """Take one of the ``most`` hints (UNKNOWN, REFUSED, either way) of this second, if there is one left."""
        window = int(now)
        if window != self._hint_window:
            self._hint_window = window
            self._hints = 0
        self._hints += 1
        return self._hints <= most
