"""First contact: learning the boot id of a destination before anything is sent to that life of it.

However many messages wait for a destination, one introduction asks. The session handshake will take its place.
"""

from __future__ import annotations

from random import Random

from cicada.ids import Peer, Place, place_to_bytes
from cicada.limits import DeliveryLimits
from cicada.routing.contacts import Contacts
from cicada.routing.io import Forward
from cicada.routing.paths import choose_paths, denial, peer_named
from cicada.routing.table import Routes
from cicada.routing.timers import Timers
from cicada.wire.routed import Contact, ContactReply

_REQUEST_BITS = 62


class _Introduction:
    __slots__ = ("asked", "avoid", "denied_since", "is_denied", "tries", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, None] = {}
        self.asked: dict[int, float] = {}  # when each request left
        self.tries = 0
        self.avoid: tuple[Peer, ...] = ()
        self.denied_since: float | None = None
        self.is_denied = False


class Introductions:
    """Open introductions by place. There are never more than messages waiting for one."""

    def __init__(
        self, own: Peer, routes: Routes, contacts: Contacts, limits: DeliveryLimits, rng: Random
    ) -> None:
        self._own = own
        self._routes = routes
        self._contacts = contacts
        self._limits = limits
        self._rng = rng
        self._open: dict[Place, _Introduction] = {}
        self._timers = Timers()

    def __len__(self) -> int:
        return len(self._open)

    def tries(self, place: Place) -> int:
        """How often the open introduction to ``place`` has asked."""
        introduction = self._open.get(place)
        return 0 if introduction is None else introduction.tries

    def ask(self, place: Place, waiting: int, now: float) -> list[Forward]:
        """Have message ``waiting`` wait for the boot id of ``place``, and ask unless an answer is awaited."""
        introduction = self._open.setdefault(place, _Introduction())
        introduction.waiting[waiting] = None
        if introduction.tries == 0:
            return self._try(place, introduction, now)
        if introduction.tries >= self._limits.attempts and not introduction.is_denied:
            introduction.tries = 0  # it had given up; somebody new asks
            return self._try(place, introduction, now)
        return []

    def drop(self, place: Place, waiting: int) -> None:
        """Message ``waiting`` settled otherwise."""
        introduction = self._open.get(place)
        if introduction is not None:
            introduction.waiting.pop(waiting, None)
            if not introduction.waiting:
                self._close(place)

    def answered(self, reply: ContactReply, now: float) -> tuple[int, ...]:
        """The boot id came: the messages that may leave now. Empty when nobody asked that."""
        place = peer_named(reply.origin).place
        introduction = self._open.get(place)
        if introduction is None or reply.request not in introduction.asked:
            return ()
        self._contacts.learn(place, reply.boot, now)
        self._contacts.measured(place, now - introduction.asked[reply.request])
        self._close(place)
        return tuple(introduction.waiting)

    def denied(self, place: Place, request: int, now: float) -> tuple[int, ...]:
        """Nobody lives there, says a peer. The messages that fail, once it has been said for long enough.

        Before that another question is due: a ring in repair may deny a peer that exists.
        """
        introduction = self._open.get(place)
        if introduction is None or introduction.asked.pop(request, None) is None:
            return ()
        if introduction.denied_since is None:
            introduction.denied_since = now
        elif now - introduction.denied_since >= self._limits.no_such_peer_after:
            self._close(place)
            return tuple(introduction.waiting)
        introduction.is_denied = True
        pause = max(now - introduction.denied_since, self._limits.denied_retry)
        self._timers.set(place, now + min(pause, self._limits.retry_floor))
        return ()

    def fire(self, now: float) -> list[Forward]:
        """Ask again where an answer is overdue, for at most ``batch`` places."""
        outputs: list[Forward] = []
        for key in self._timers.pop_due(now, self._limits.batch):
            place = Place(key)
            introduction = self._open[place]
            if introduction.is_denied or introduction.tries < self._limits.attempts:
                outputs += self._try(place, introduction, now)
        return outputs

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._timers.next_deadline()

    def _try(self, place: Place, introduction: _Introduction, now: float) -> list[Forward]:
        table = self._routes.table()
        hops = choose_paths(table, place, 1, introduction.avoid) if table is not None else ()
        is_owned = table is None or not table.nobody_at(place)
        if not hops and is_owned:  # the ring is in repair: nothing leaves, so it is no try
            self._timers.set(place, now + self._limits.retry_floor)
            return []
        introduction.tries += 1
        introduction.avoid = hops
        introduction.is_denied = False
        self._timers.set(place, now + self._contacts.patience(place, introduction.tries))
        question = self._question(place, introduction, now)
        if not hops:
            return [Forward(self._own, denial(self._own, question), None)]
        return [Forward(hops[0], question, None)]

    def _question(self, place: Place, introduction: _Introduction, now: float) -> Contact:
        request = 1 + self._rng.getrandbits(_REQUEST_BITS)
        _forget_oldest(introduction.asked, self._limits.attempts)
        introduction.asked[request] = now
        return Contact(target=place_to_bytes(place), origin=self._own.address, hops=1, request=request)

    def _close(self, place: Place) -> None:
        del self._open[place]
        self._timers.clear(place)


def _forget_oldest(asked: dict[int, float], keep: int) -> None:
    """Denied questions do not count as tries, so a long denial would remember them all."""
    for request in list(asked)[: max(len(asked) - keep, 0)]:
        del asked[request]
