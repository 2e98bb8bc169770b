"""What a sender holds while its message is on the way, and after."""

from __future__ import annotations

from msgspec.structs import replace

from cicada.actors.awaited import Awaited
from cicada.routing.io import Copy, Fate, Reason, Settled, Status, Traced


class Receipt(Awaited):
    """The fate of one message, known at once as an object and later as a fact.

    Wait by ``receipt.result(timeout)`` from any thread but the event loop's, or by ``await receipt`` on a loop.
    Waiting never raises for a message that failed: ``delivered`` and ``reason`` say so.
    """

    __slots__ = ("__weakref__", "_settled", "_traced")

    about = "message"

    def __init__(self) -> None:
        super().__init__()
        self._settled: Settled | None = None
        self._traced: Traced | None = None

    def settle(self, settled: Settled) -> None:
        """For the peer that sent the message: the first word counts, later ones are ignored."""
        if self._settled is None:
            self._settled = settled
            self.tell_waiting()

    def trace(self, traced: Traced) -> None:
        """For the peer that sent the message: what became of its copies in the end."""
        self._traced = traced

    def give_up(self) -> None:
        """For the peer that sent the message: whoever followed its copies is no more, so what is not known of them is lost."""
        if self._settled is not None and self._traced is None:
            copies = tuple(
                replace(copy, fate=Fate.LOST) if copy.fate is Fate.PENDING else copy
                for copy in self._settled.copies
            )
            self._traced = Traced(
                id=self._settled.id,
                copies=copies,
                disjoint=self._settled.disjoint,
                altered=self._settled.altered,
            )

    @property
    def settled(self) -> bool:
        """Whether the outcome is known."""
        return self._settled is not None

    @property
    def status(self) -> str:
        """``pending``, ``delivered`` or ``failed``."""
        return "pending" if self._settled is None else self._settled.status.value

    @property
    def delivered(self) -> bool:
        """The destination acknowledged: the message is in its application's mailbox."""
        return self._settled is not None and self._settled.status is Status.DELIVERED

    @property
    def reason(self) -> str | None:
        """Why it failed, in words; None while pending and when delivered."""
        return None if self._settled is None or self._settled.reason is None else self._settled.reason.value

    @property
    def attempts(self) -> int:
        """How often the message was sent, its copies counted as one."""
        return 0 if self._settled is None else self._settled.attempts

    @property
    def hops(self) -> int:
        """Links the acknowledged copy crossed."""
        return 0 if self._settled is None else self._settled.hops

    @property
    def round_trip_s(self) -> float:
        """Seconds from the acknowledged attempt to its ack."""
        return 0.0 if self._settled is None else self._settled.round_trip_s

    @property
    def trust(self) -> str | None:
        """How sure it is who got the message: ``pre-shared``, ``pinned``, ``first-contact``, or ``unverified`` between peers
        that do not encrypt; None while pending, and when no session with the destination came about."""
        return None if self._settled is None or self._settled.trust is None else self._settled.trust.word

    @property
    def peer_id(self) -> str:
        """What the destination proved to be; empty while that is not known, and where nobody proves anything."""
        return "" if self._settled is None else self._settled.peer_id

    @property
    def altered(self) -> int:
        """How many copies the destination reported as changed on their way. They were not taken."""
        known = self._traced or self._settled
        return 0 if known is None else known.altered

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Each copy of each attempt: ``attempt`` (from 1), ``colour``, ``via`` (the first hop it left by) and ``fate``.

        Fates are words: ``intact``, ``altered``, ``lost``, or ``unattributed`` where a copy arrived that does not prove which
        it was. The first intact copy settles the receipt; what is not known of the others by then is ``pending`` for some
        seconds. Empty while the receipt is pending.
        """
        known = self._traced or self._settled
        return () if known is None else known.copies

    @property
    def disjoint(self) -> bool:
        """Whether no relay is known to have had two copies of one attempt. False where relays were too few for disjoint paths:
        copies left by the same peer, or a relay reports that it knew none of the copy's colour."""
        known = self._traced or self._settled
        return known is None or known.disjoint

    @property
    def conflict(self) -> bool:
        """Whether neighbours of the destination named another key than it proved at its address, which still counts."""
        return self._settled is not None and self._settled.conflict

    def __repr__(self) -> str:
        because = f" ({self.reason})" if self.reason else ""
        return f"<Receipt {self.status}{because}, {self.attempts} attempts, {self.hops} hops>"


def failed(id: int, reason: Reason, attempts: int = 0) -> Settled:
    """A failure that happened before or beside routing."""
    return Settled(id=id, status=Status.FAILED, reason=reason, attempts=attempts, hops=0, round_trip_s=0.0)
