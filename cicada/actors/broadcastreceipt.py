"""What the origin of a broadcast holds while it spreads, and after."""

from __future__ import annotations

from cicada.actors.awaited import Awaited
from cicada.actors.mailbox import HostPort
from cicada.routing.io import BroadcastSettled


class BroadcastReceipt(Awaited):
    """How far a broadcast got: a count that peers claim, and a few of them by their own signature.

    It settles when every part of the ring is accounted for, or at its timeout; the broadcast goes on spreading after that.
    Wait by ``receipt.result(timeout)`` from any thread but the event loop's, or by ``await receipt`` on a loop. Nobody needs
    to wait: the broadcast is under way.
    """

    __slots__ = ("_settled",)

    about = "broadcast"

    def __init__(self) -> None:
        super().__init__()
        self._settled: BroadcastSettled | None = None

    def settle(self, settled: BroadcastSettled) -> None:
        """For the peer that began it: the first word counts, later ones are ignored."""
        if self._settled is None:
            self._settled = settled
            self.tell_waiting()

    @property
    def settled(self) -> bool:
        """Whether all is known that will be."""
        return self._settled is not None

    @property
    def reason(self) -> str | None:
        """Why it never left this peer, in words; None while pending, and when it left."""
        return None if self._settled is None or self._settled.reason is None else self._settled.reason.value

    @property
    def reached(self) -> int:
        """How many peers took it, as those who passed it on claim: a peer that lies about that makes the number wrong. Those
        who got it from others than the tree, some seconds later, are not counted."""
        return 0 if self._settled is None else self._settled.reached

    @property
    def complete(self) -> bool:
        """Whether somebody answered for each part of the ring in time."""
        return self._settled is not None and self._settled.is_complete

    @property
    def sample(self) -> tuple[HostPort, ...]:
        """Peers that took it for certain: some 16, chosen at random by themselves, whose signatures were checked (all, where
        there are fewer). Between peers that do not encrypt nobody signs."""
        if self._settled is None:
            return ()
        return tuple(HostPort.of(address) for address in self._settled.sample)

    def __repr__(self) -> str:
        if self._settled is None:
            return "<BroadcastReceipt pending>"
        said = self.reason or f"{self.reached} claimed, {len(self.sample)} signed"
        return f"<BroadcastReceipt {said}{'' if self.complete else ', incomplete'}>"
