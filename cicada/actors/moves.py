"""How a peer comes to live at another address: the decisions are Reachability's, the steps are here.

What its application has on its way goes along: messages that nobody acknowledged leave again from the new address, and whoever
got one of them already knows it by the sender's key.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cicada.actors.residence import Fixtures, Watchpost
from cicada.actors.transport import Attachment
from cicada.errors import CicadaError
from cicada.events import AddressChanged, NatEvent, PortMapped, PortMappingFailed, PortMappingLost
from cicada.ids import Address, Peer, peer_at
from cicada.limits import ACTOR, NAT
from cicada.nat.io import Mapped, MappingLost, NatNews, NotMapped
from cicada.nat.reachability import (
    Become,
    CannotBe,
    Connecting,
    DialledIn,
    Reachability,
    ReachabilityInput,
    TimerFired,
    Watch,
)
from cicada.routing.io import HaveDialled, Reason

if TYPE_CHECKING:
    from cicada.actors.hosted import HostedPeer

_logger = logging.getLogger("cicada.actors")


class Moves:
    """Of one hosted peer. A move takes some turns of its actors; what the peer is told meanwhile waits, as much of it as its
    supervisor's inbox would hold."""

    def __init__(self, hosted: HostedPeer, fixtures: Fixtures, reachability: Reachability) -> None:
        self._hosted = hosted
        self._fixtures = fixtures
        self._reachability = reachability
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._reopening: asyncio.TimerHandle | None = None  # the watchpost
        self._watchpost: Watchpost | None = None
        self._is_closing = False  # the watchpost
        self._candidate = Address("")
        self._next: Address | None = None  # where it is to be
        self._begins_anew = False  # there, with nobody of those that it belonged with
        self._arriving: Attachment | None = None  # what listens where it moves to
        self._arriving_at = Address("")
        self._seeds: tuple[Peer, ...] = ()  # whom it belonged with before
        self._waiting: list[object] = []
        self._is_over = False

    @property
    def wants_mapping(self) -> bool:
        """Whether a router may have to map a port to the peer."""
        return self._reachability.wants_mapping

    def keeps(self, message: object) -> bool:
        """Whether what the peer is told is for those of the next address."""
        if self._next is None or self._is_over:
            return False
        if len(self._waiting) < ACTOR.inbox + ACTOR.inbox_reserve:
            self._waiting.append(message)
        else:
            self._hosted.around.tally["inbox-full"] += 1
            self._hosted.refuse(message, Reason.OVERLOADED)
        return True

    def take_waiting(self) -> tuple[object, ...]:
        """What the peer was told while it moved, for whoever answers it now."""
        waiting, self._waiting = tuple(self._waiting), []
        return waiting

    def consider(self, input: ReachabilityInput) -> None:
        """Something happened that tells by which address the peer can be reached. On the thread of its loop."""
        if self._is_over:
            return
        if isinstance(input, Mapped | MappingLost | NotMapped):
            self._publish(_event_of(input))
        is_alone = not self._hosted.contacts
        for output in self._reachability.handle(input, self._hosted.now(), is_alone=is_alone):
            if isinstance(output, Become):
                self._next = output.address
                self._begins_anew |= isinstance(input, Connecting)
                self._take_step()
            elif isinstance(output, Watch):
                self._watch(output.candidate)
        self._arm()

    def go_on(self, left_over: tuple[object, ...]) -> bool:
        """The actors of the last address have ended, as they were told. False: nobody told them."""
        if self._arriving is None:
            return False
        attachment, self._arriving = self._arriving, None
        before, address = self._hosted.peer, self._arriving_at
        around = replace(self._hosted.around, own=peer_at(address))
        self._fixtures.endpoint.unlisten(before.address)
        self._hosted.settle(around, attachment, self._seeds)
        if self._next == address:
            self._next = None
        self._publish(
            AddressChanged(address=address, place=f"{around.own.place:064x}", before=before.address)
        )
        self._hand_over(left_over)
        self._open_watchpost()  # at the address where it was, perhaps
        self._take_step()
        return True

    def close(self) -> None:
        """The peer ends, wherever it is."""
        self._is_over = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self._reopening is not None:
            self._reopening.cancel()
        if self._arriving is not None:
            self._fixtures.endpoint.unlisten(self._arriving_at)
        if self._watchpost is not None and not self._is_closing:
            self._watchpost.close(lambda: None)

    def _take_step(self) -> None:
        """Begin the move that is due, unless one is under way or the watchpost stands in its way."""
        address = self._next
        if address is None or self._arriving is not None or self._is_closing or self._is_over:
            return
        if address == self._hosted.peer.address:
            self._stay()
            return
        attachment = Attachment(self._fixtures.endpoint)
        try:
            self._fixtures.endpoint.listen(address, attachment, bind_to=self._fixtures.bound, shared=True)
        except CicadaError:  # another peer of this process is there, or this machine has no socket for it
            _logger.warning("%s cannot be at %s", self._hosted.peer.address, address, exc_info=True)
            self._stay()
            self.consider(CannotBe(address, self._hosted.peer.address))
            return
        self._arriving, self._arriving_at = attachment, address
        self._seeds = () if self._begins_anew else self._hosted.fellows
        self._begins_anew = False
        self._hosted.leave_home()

    def _stay(self) -> None:
        """There is no move to be made: the actors of now do what was asked."""
        self._next = None
        self._begins_anew = False
        self._hand_over(())

    def _hand_over(self, left_over: tuple[object, ...]) -> None:
        """To the actors of now, unless there is another move before them already. What they have dialled is told by whoever is the
        last, for it may be another address by then."""
        if self._next is None:
            self._hosted.tell(HaveDialled(self._candidate))
        for message in (*left_over, *self.take_waiting()):
            self._hosted.tell(message)

    def _watch(self, candidate: Address) -> None:
        self._candidate = candidate
        if self._next is None:
            self._hosted.tell(HaveDialled(candidate))
        if self._watchpost is not None and not self._is_closing:
            self._is_closing = True
            self._watchpost.close(self._watch_closed)
        elif not self._is_closing:
            self._open_watchpost()

    def _watch_closed(self) -> None:
        self._watchpost, self._is_closing = None, False
        if self._is_over:
            return
        self._open_watchpost()
        self._take_step()

    def _open_watchpost(self) -> None:
        """At the candidate, unless a watchpost stands, or the peer is still there itself."""
        stands = self._watchpost is not None or self._is_closing
        if stands or self._is_over or not self._candidate or self._candidate == self._hosted.peer.address:
            return
        try:
            self._watchpost = Watchpost(
                self._fixtures, self._hosted.around, self._candidate, self._on_dialled, self._watch_failed
            )
        except CicadaError:  # another peer of this process has that address, or it is not free yet
            self._watch_failed()

    def _watch_failed(self) -> None:
        """There is no watchpost, and there should be one: soon."""
        self._watchpost = None
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = self._loop.call_later(NAT.reopening, self._open_watchpost)

    def _on_dialled(self, address: Address, source: str) -> None:
        self._loop.call_soon(self.consider, DialledIn(address, source))

    def _publish(self, event: AddressChanged | NatEvent) -> None:
        around = self._hosted.around
        if around.publish is not None:
            around.publish(around.name, event)

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self._reachability.next_deadline()
        if due is not None:
            pause = max(due - self._hosted.now(), 0.0)
            self._alarm = self._loop.call_later(pause, self.consider, TimerFired())


def _event_of(news: NatNews) -> NatEvent:
    match news:
        case Mapped():
            return PortMapped(
                port=news.port,
                protocol=news.protocol,
                gateway=news.gateway,
                external=f"{news.external_ip}:{news.external_port}" if news.external_ip else "",
                lease_s=news.lease_s,
                is_global=news.is_global,
            )
        case MappingLost():
            return PortMappingLost(port=news.port, reason=news.reason)
        case NotMapped():
            return PortMappingFailed(
                port=news.port, reason=news.reason, advice=news.advice, retry_in_s=news.retry_in_s
            )
