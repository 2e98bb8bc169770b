"""First contact: agreeing on a session with a destination before anything is sent to it.

However many messages wait for a destination, one introduction asks. The negotiator makes message 1 of the handshake; what is
sent again are the same bytes, on two ways and then on four, until message 2 comes.
"""

from __future__ import annotations

from random import Random

from cicada.ids import Address, Peer, Place, place_to_bytes
from cicada.keys.io import Abandon, Complete, Opening, Prepare
from cicada.limits import DeliveryLimits
from cicada.routing.contacts import Contacts
from cicada.routing.io import Forward, RouterOutput
from cicada.routing.paths import Leg, Ways, denial, peer_named
from cicada.routing.table import Routes, RoutingTable
from cicada.routing.timers import Timers
from cicada.wire.routed import Contact, ContactReply, GetRecord

_REQUEST_BITS = 62


class _Introduction:
    __slots__ = (
        "address", "asked", "avoid", "denial_trip", "denied_since", "is_denied", "is_prepared", "is_renewal", "is_seeking",
        "opening", "tries", "waiting",
    )  # fmt: skip

    def __init__(self, address: Address) -> None:
        self.address = address
        self.opening: Opening | None = None  # as long as there is none, the negotiator works on it
        self.waiting: dict[int, None] = {}
        self.asked: dict[int, float] = {}  # when each request left
        self.tries = 0
        self.avoid: tuple[Peer, ...] = ()
        self.denied_since: float | None = None
        self.denial_trip = 0.0  # how long the last denial took
        self.is_denied = False
        self.is_seeking = (
            False  # the negotiator looks for the key: what may be denied are questions for the record
        )
        self.is_prepared = False  # the negotiator was asked, and has not said its last word
        self.is_renewal = False  # lives on without messages that wait


class Introductions:
    """Open introductions by place: never more than messages that wait, and sessions that are renewed."""

    def __init__(
        self,
        own: Peer,
        routes: Routes,
        contacts: Contacts,
        ways: Ways,
        limits: DeliveryLimits,
        rng: Random,
    ) -> None:
        self._own = own
        self._routes = routes
        self._contacts = contacts
        self._ways = ways
        self._limits = limits
        self._rng = rng
        self._open: dict[Place, _Introduction] = {}
        self._renewed: dict[Place, float] = {}
        self._abandoned: dict[Place, Abandon] = {}
        self._timers = Timers()

    def __len__(self) -> int:
        return len(self._open)

    def tries(self, place: Place) -> int:
        """How often the open introduction to ``place`` has asked."""
        introduction = self._open.get(place)
        return 0 if introduction is None else introduction.tries

    def ask(self, place: Place, address: Address, waiting: int, now: float) -> list[RouterOutput]:
        """Have message ``waiting`` wait for a session with ``place``, and ask unless an answer is awaited."""
        introduction = self._open.get(place)
        if introduction is None:
            introduction = self._open[place] = _Introduction(address)
            introduction.waiting[waiting] = None
            return self._try(place, introduction, now)
        introduction.waiting[waiting] = None
        introduction.address = introduction.address or address
        if introduction.tries >= self._limits.attempts and not introduction.is_denied:
            self._begin_anew(introduction)  # it had given up; somebody new asks
            return self._try(place, introduction, now)
        return []

    def renew(self, place: Place, address: Address, now: float) -> list[RouterOutput]:
        """Agree on a new session with ``place`` beside the one there is, not sooner than ``renegotiate`` after the last time."""
        if place in self._open or now - self._renewed.get(place, -1e9) < self._limits.renegotiate:
            return []
        self._renewed.pop(place, None)
        self._renewed[place] = now
        if len(self._renewed) > self._limits.contacts:
            del self._renewed[next(iter(self._renewed))]
        introduction = self._open[place] = _Introduction(address)
        introduction.is_renewal = True
        return self._try(place, introduction, now)

    def is_open(self, place: Place) -> bool:
        """Whether a session with ``place`` is being agreed on."""
        return place in self._open

    def drop(self, place: Place, waiting: int) -> None:
        """Message ``waiting`` settled otherwise."""
        introduction = self._open.get(place)
        if introduction is not None:
            introduction.waiting.pop(waiting, None)
            self._close_if_idle(place, introduction)

    def opened(self, opening: Opening, now: float) -> list[RouterOutput]:
        """The negotiator made message 1."""
        introduction = self._open.get(opening.place)
        if introduction is None or introduction.opening == opening:
            return []
        self._begin_anew(introduction)
        introduction.denied_since = None
        introduction.opening = opening
        return self._try(opening.place, introduction, now)

    def knock(self, place: Place, now: float) -> int | None:
        """The negotiator looks for the key of ``place``: a request for the question that asks whoever lives there.

        None when nobody waits. A denial of that question counts like one of a Contact.
        """
        introduction = self._open.get(place)
        if introduction is None:
            return None
        introduction.is_seeking = True
        introduction.tries += 1
        return self._new_request(introduction, now)

    def answered(self, reply: ContactReply, now: float) -> list[RouterOutput]:
        """Message 2 came. Empty when nobody asked that."""
        place = peer_named(reply.origin).place
        introduction = self._open.get(place)
        if introduction is None or reply.request not in introduction.asked:
            return []
        self._contacts.measured(place, now - introduction.asked[reply.request])
        return [Complete(place, Address(reply.origin), reply.handshake)]

    def agreed(self, place: Place, *, is_own: bool) -> tuple[int, ...]:
        """There is a session: the messages that may leave now. ``is_own``: the one that the negotiator was asked for."""
        introduction = self._open.get(place)
        if introduction is None:
            return ()
        introduction.is_prepared = introduction.is_prepared and not is_own
        self._close(place)
        return tuple(introduction.waiting)

    def refused(self, place: Place, *, is_final: bool, now: float) -> tuple[int, ...]:
        """The negotiator could not do it. The messages that fail, if that is final; else it is asked again soon."""
        introduction = self._open.get(place)
        if introduction is None:
            return ()
        if is_final:
            return self.agreed(place, is_own=True)
        introduction.opening = None
        introduction.is_seeking = introduction.is_prepared = False
        if introduction.is_renewal and not introduction.waiting:
            self._close(place)
        elif not introduction.is_denied:
            self._timers.set(place, now + self._limits.refused_retry)
        return ()

    def denied(self, place: Place, request: int, now: float) -> tuple[int, ...]:
        """Nobody lives there, says a peer. The messages that fail, once it has been said for long enough.

        Before that another question is due: a ring may deny a peer that exists, in repair, or because it has just joined.
        """
        introduction = self._open.get(place)
        asked_at = None if introduction is None else introduction.asked.pop(request, None)
        if introduction is None or asked_at is None:
            return ()
        introduction.denial_trip = now - asked_at
        if introduction.denied_since is None:
            introduction.denied_since = now
        elif now - introduction.denied_since >= self._newcomer_patience(introduction.denial_trip):
            self._close(place, is_denied=True)
            return tuple(introduction.waiting)
        introduction.is_denied = True
        pause = max(now - introduction.denied_since, self._limits.denied_retry)
        self._timers.set(place, now + min(pause, self._limits.retry_floor))
        return ()

    def is_denied(self, place: Place, now: float) -> bool:
        """Whether it has been said for a while that nobody lives there: enough for who has no more time."""
        introduction = self._open.get(place)
        if introduction is None or introduction.denied_since is None:
            return False
        least = max(self._limits.no_such_peer_after, self._limits.newcomer_trips * introduction.denial_trip)
        return now - introduction.denied_since >= least

    def prepare_again(self, now: float) -> None:
        """Have another negotiator asked for what the last one has not answered."""
        for place, introduction in self._open.items():
            if introduction.opening is None:
                introduction.is_seeking = introduction.is_denied = False
                self._timers.set(place, now)

    def fire(self, now: float) -> list[RouterOutput]:
        """Ask again where an answer is overdue, for at most ``batch`` places."""
        outputs: list[RouterOutput] = []
        for key in self._timers.pop_due(now, self._limits.batch):
            place = Place(key)
            introduction = self._open[place]
            is_unprepared = introduction.opening is None
            if is_unprepared or introduction.is_denied or introduction.tries < self._limits.attempts:
                outputs += self._try(place, introduction, now)
            elif introduction.is_renewal:
                introduction.is_renewal = False
                self._close_if_idle(place, introduction)
        return outputs

    def take_abandoned(self) -> list[RouterOutput]:
        """What the negotiator need not work on any more, since this was last called."""
        if not self._abandoned:
            return []
        abandoned = list(self._abandoned.values())
        self._abandoned.clear()
        return [*abandoned]

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._timers.next_deadline()

    def _newcomer_patience(self, round_trip: float) -> float:
        limits = self._limits
        return min(max(limits.newcomer_after, limits.newcomer_trips * round_trip), limits.newcomer_most)

    def _try(self, place: Place, introduction: _Introduction, now: float) -> list[RouterOutput]:
        table = self._routes.table()
        legs = self._legs(table, place, introduction) if table is not None else ()
        if not legs and (table is None or not table.nobody_at(place)):
            # The ring is in repair: nothing leaves, so it is no try.
            self._timers.set(place, now + self._limits.retry_floor)
            return []
        is_ready = introduction.opening is not None
        if legs and not is_ready and not (introduction.is_denied and introduction.is_seeking):
            introduction.is_denied = False
            self._timers.set(place, now + self._limits.prepare_patience)
            introduction.is_prepared = True
            self._abandoned.pop(place, None)
            return [Prepare(place, introduction.address, introduction.is_renewal)]
        introduction.tries += 1
        introduction.avoid = tuple(leg.hop for leg in legs)
        introduction.is_denied = False
        patience = (
            self._contacts.patience(place, introduction.tries) if is_ready else self._limits.prepare_patience
        )
        self._timers.set(place, now + patience)
        question = self._question(place, introduction, now)
        if not legs:
            return [Forward(self._own, denial(self._own, question), None)]
        return [leg.take(question) for leg in legs]

    def _legs(self, table: RoutingTable, place: Place, introduction: _Introduction) -> tuple[Leg, ...]:
        """A first word is worth more than one copy, because nothing can be sent before it is answered; not at first to a peer
        that is known, who gets it over a link."""
        tries = introduction.tries
        is_near = table.knows(place) is not None and self._limits.direct
        copies = (1, 2, 4)[min(tries + (not is_near), 2)]
        return self._ways.fresh(table, place, copies, tries + 1, introduction.avoid)

    def _question(self, place: Place, introduction: _Introduction, now: float) -> Contact | GetRecord:
        target, origin = place_to_bytes(place), self._own.address
        request = self._new_request(introduction, now)
        opening = introduction.opening
        if opening is None:
            return GetRecord(target=target, origin=origin, hops=1, request=request, about=target)
        return Contact(
            target=target,
            origin=origin,
            hops=1,
            request=request,
            selector=opening.selector,
            handshake=opening.handshake,
        )

    def _new_request(self, introduction: _Introduction, now: float) -> int:
        request = 1 + self._rng.getrandbits(_REQUEST_BITS)
        _forget_oldest(introduction.asked, self._limits.attempts)
        introduction.asked[request] = now
        return request

    def _begin_anew(self, introduction: _Introduction) -> None:
        introduction.opening = None
        introduction.is_seeking = introduction.is_denied = False
        introduction.tries = 0

    def _close_if_idle(self, place: Place, introduction: _Introduction) -> None:
        if not introduction.waiting and not introduction.is_renewal:
            self._close(place)

    def _close(self, place: Place, *, is_denied: bool = False) -> None:
        if self._open.pop(place).is_prepared:
            self._abandoned[place] = Abandon(place, is_denied)
        self._timers.clear(place)


def _forget_oldest(asked: dict[int, float], keep: int) -> None:
    """Denied questions do not count as tries, so a long denial would remember them all."""
    for request in list(asked)[: max(len(asked) - keep, 0)]:
        del asked[request]
