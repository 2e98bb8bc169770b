"""How a peer belongs to a swarm: as a member of its ring, or, when nobody can dial it, as a lodger of a few members. Entering,
leaving, and coming back after a crash."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cicada.actors.answers import answer
from cicada.actors.correspondence import Holdings
from cicada.actors.family import Enter, Kind, Withdraw
from cicada.chord.io import CreateRing, Joined, JoinFailed, JoinRing, LeaveRing, Left
from cicada.ids import Address, Peer, is_hidden
from cicada.routing.io import Findable, HaveDialled, LeaveLodging, Lodged, NotLodged, SeekLodging

Tell = Callable[[Kind, object], None]


class Membership:
    """For the peer ``own``, which enters the ring of the seeds that it holds, if there are any. ``on_relays``: told by whom it is
    reached, when nobody can dial it."""

    def __init__(
        self, own: Peer, holdings: Holdings, tell: Tell, on_relays: Callable[[tuple[Peer, ...]], None]
    ) -> None:
        self._holdings = holdings
        self._tell = tell
        self._on_relays = on_relays
        self._candidate = Address("")  # which others are to dial, to see whether they can
        self._is_hidden = is_hidden(own.address)
        self._entering: Enter | None = None
        self._withdrawing: Withdraw | None = None
        self._after_farewell: Callable[[], None] | None = None

    def handlers(self) -> dict[type, Callable[[Any], object]]:
        """What takes each class of message that is about it."""
        return {
            CreateRing: self._on_create,
            Enter: self._on_enter,
            Joined: self._on_joined,
            JoinFailed: self._on_failed,
            Withdraw: self._on_withdraw,
            Left: self._on_left,
            Lodged: self._on_lodged,
            NotLodged: self._on_failed,
            Findable: self._on_findable,
            HaveDialled: self._on_candidate,
        }

    def begin(self) -> None:
        """The peer's actors were started."""
        if self._holdings.seeds:
            self._enter(self._holdings.seeds, math.inf)
        else:
            self._stand_alone()

    def bring_back(self, child: str) -> None:
        """This child was started anew, and knows nothing of where it belonged."""
        if child == Kind.ROUTER.value and self._candidate:
            self._tell(Kind.ROUTER, HaveDialled(self._candidate))
        if child != (Kind.ROUTER if self._is_hidden else Kind.RING).value:
            return
        self._holdings.company.note(False)
        entering = self._entering
        if self._withdrawing is not None:
            self._on_left(Left())
        elif entering is not None:
            self._enter(entering.seeds, entering.deadline)
        elif self._holdings.contacts or self._holdings.seeds:
            self._enter((*self._holdings.contacts, *self._holdings.seeds), math.inf)
        else:
            self._stand_alone()

    def say_farewell(self, then: Callable[[], None]) -> bool:
        """Leave the ring, and call ``then`` when that was said to the neighbours. False: there is nobody to say it to."""
        if self._is_hidden or not self._holdings.contacts:
            return False
        self._after_farewell = then
        self._tell(Kind.RING, LeaveRing())
        return True

    def hand_over(self) -> tuple[object, ...]:
        """Requests that nobody has answered yet, for whoever goes on."""
        open = (self._entering, self._withdrawing)
        self._entering = self._withdrawing = None
        return tuple(request for request in open if request is not None)

    def close(self) -> None:
        """The peer ends."""
        if self._entering is not None:
            answer(self._entering.reply, "this peer was closed")
        if self._withdrawing is not None:
            answer(self._withdrawing.reply, None)

    def _enter(self, seeds: tuple[Peer, ...], deadline: float) -> None:
        if self._is_hidden:
            self._tell(Kind.ROUTER, SeekLodging(seeds, deadline))
        else:
            self._tell(Kind.RING, JoinRing(seeds, deadline))

    def _on_enter(self, enter: Enter) -> None:
        if self._entering is not None and not self._entering.reply.done():  # done: whoever asked gave up
            answer(enter.reply, "it is joining already")
            return
        self._entering = enter
        self._enter(enter.seeds, enter.deadline)

    def _on_joined(self, _: Joined) -> None:
        if self._entering is not None:
            self._holdings.seeds = self._entering.seeds
            answer(self._entering.reply, "")
            self._entering = None

    def _on_lodged(self, lodged: Lodged) -> None:
        self._holdings.contacts = lodged.relays
        self._on_relays(lodged.relays)
        self._on_joined(Joined())

    def _on_findable(self, output: Findable) -> None:
        self._holdings.company.note(output.is_found and bool(self._holdings.contacts))

    def _on_failed(self, output: JoinFailed | NotLodged) -> None:
        if self._entering is not None:
            answer(self._entering.reply, output.reason)
            self._entering = None
        if self._is_hidden:
            self._holdings.company.note(False)
        self._stand_alone()

    def _on_withdraw(self, withdraw: Withdraw) -> None:
        if self._withdrawing is not None:
            answer(self._withdrawing.reply, None)
        self._withdrawing = withdraw
        if self._is_hidden:
            self._tell(Kind.ROUTER, LeaveLodging())
            self._on_relays(())
            self._on_left(Left())
        else:
            self._tell(Kind.RING, LeaveRing())

    def _on_left(self, _: Left) -> None:
        if self._after_farewell is not None:
            self._after_farewell()
            return
        self._holdings.seeds = self._holdings.contacts = ()
        self._holdings.company.note(False)
        if self._withdrawing is not None:
            answer(self._withdrawing.reply, None)
            self._withdrawing = None
        self._stand_alone()

    def _on_candidate(self, request: HaveDialled) -> None:
        self._candidate = request.candidate
        self._tell(Kind.ROUTER, request)

    def _on_create(self, _: CreateRing) -> None:
        self._holdings.create = True
        self._stand_alone()

    def _stand_alone(self) -> None:
        """Outside any other ring the peer is a ring of one, unless it shall wait until it joins: a peer that came back
        and answered as a ring of one would tear the ring of those who still list it."""
        if self._holdings.create and not self._is_hidden:
            self._tell(Kind.RING, CreateRing())
