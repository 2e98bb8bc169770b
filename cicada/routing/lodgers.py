"""Being a relay: hidden peers keep a link with this one, which passes on to them what is for them.

They come over links that proved their keys, so nobody can take in another's messages. At most so many of one source, so that one
host cannot use up a member's places.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from itertools import islice
from random import Random

from cicada.ids import (
    Address,
    Peer,
    Place,
    Reach,
    is_hidden,
    peer_at,
    place_to_bytes,
    reach_of,
    split_address,
)
from cicada.keys.io import Vouch, Vouched
from cicada.limits import LODGING, LodgingLimits
from cicada.routing.io import DialBack, Forward, Keep, LodgingHeard, RouterOutput
from cicada.routing.table import Routes
from cicada.tokens import Shares, TokenBucket
from cicada.transport.linkio import Need
from cicada.wire.routed import LodgingGranted, LodgingRefused, LodgingRequest

_LOCAL = "local"
_FULL = "full"


class _Lodger:
    __slots__ = ("came_at", "dialled_at", "finds", "peer", "requests", "source", "until")

    def __init__(self, peer: Peer, source: str, now: float, limits: LodgingLimits) -> None:
        self.peer = peer
        self.source = source
        self.came_at = now
        self.until = 0.0  # when its voucher ends
        self.dialled_at = -math.inf
        self.requests = TokenBucket(limits.request_rate, limits.request_burst)
        self.finds = TokenBucket(limits.find_rate, limits.find_burst)


class Lodgers:
    """The hidden peers that one member serves, at most ``lodgers``. When there are as many, the first of those ``newcomers`` that
    came last makes way for whoever asks."""

    def __init__(self, own: Peer, routes: Routes, rng: Random, limits: LodgingLimits = LODGING) -> None:
        self._own = own
        self._routes = routes
        self._rng = rng
        self._limits = limits
        self._lodgers: dict[Place, _Lodger] = {}  # in the order of their coming
        self._strangers = Shares(limits.stranger_rate, limits.stranger_burst, limits.stranger_sources)
        self._dials = Shares(
            limits.lodgers_per_source / limits.dialled_pause,
            limits.lodgers_per_source,
            limits.dialled_sources,
        )
        self._asked: dict[int, tuple[Peer, int]] = {}  # tickets of vouchers that are being signed
        self._tickets = 0
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._lodgers)

    def all(self) -> tuple[Peer, ...]:
        """Those that lodge here."""
        return tuple(lodger.peer for lodger in self._lodgers.values())

    def at(self, place: Place) -> Peer | None:
        """The hidden peer at ``place``, if it lodges here."""
        lodger = self._lodgers.get(place)
        return None if lodger is None else lodger.peer

    def may_find(self, peer: Peer, now: float) -> bool:
        """Whether a lookup of the peer is made: it lodges here and does not ask too often."""
        lodger = self._lodgers.get(peer.place)
        if lodger is not None and lodger.finds.take(now):
            return True
        self.counts["dropped:lodging-rate"] += 1
        return False

    def on_request(self, heard: LodgingHeard, request: LodgingRequest, now: float) -> list[RouterOutput]:
        """A peer asks to be served, or to be served on. Those whose vouchers have ended are served no more."""
        peer = heard.sender
        if not self._may_ask(heard, now):
            self.counts["dropped:lodging-rate"] += 1
            return []
        outputs: list[RouterOutput] = []
        is_changed = self._expire(now)
        objection = self._objection(peer, heard.source)
        if objection == _FULL:
            outputs = self._make_way(now)
            objection = "" if outputs else _FULL
        if objection:
            self.counts[f"lodging-refused:{objection}"] += 1
            refusal = LodgingRefused(request=request.request, reason=objection, others=self._others(peer))
            outputs.append(Forward(peer, refusal, None))
        else:
            is_changed = is_changed or peer.place not in self._lodgers  # as it is too when another made way
            outputs += self._serve(peer, heard.source, request, now)
        return [*(self._keep() if is_changed else ()), *outputs]

    def _may_ask(self, heard: LodgingHeard, now: float) -> bool:
        """Whether one more request is looked at. Strangers of one source take nothing from those of another; on this machine, where
        all are of one, each has a share of its own."""
        lodger = self._lodgers.get(heard.sender.place)
        if lodger is not None:
            return lodger.requests.take(now)
        return self._strangers.take(heard.sender if _is_here(heard.source) else heard.source, now)

    def _serve(self, peer: Peer, source: str, request: LodgingRequest, now: float) -> list[RouterOutput]:
        lodger = self._lodgers.get(peer.place)
        if lodger is None:
            lodger = self._lodgers[peer.place] = _Lodger(peer, source, now, self._limits)
        lodger.source, lodger.until = source, now + self._limits.voucher_seconds
        self._tickets += 1
        self._asked[self._tickets] = (peer, request.request)
        if len(self._asked) > 2 * self._limits.lodgers:
            del self._asked[next(iter(self._asked))]
        outputs: list[RouterOutput] = [Vouch(self._tickets, peer.address)]
        candidate = Address(request.candidate)
        is_due = now - lodger.dialled_at >= self._limits.dialled_pause
        if candidate and is_due and _names(candidate, source) and self._may_dial(source, now):
            lodger.dialled_at = now
            outputs.append(DialBack(peer_at(candidate)))
        return outputs

    def _may_dial(self, source: str, now: float) -> bool:
        """Whether one more may be dialled at that source. Its lodgers may leave and come again, or be others each time."""
        return _is_here(source) or self._dials.take(source, now)

    def on_vouched(self, vouched: Vouched) -> list[RouterOutput]:
        """The voucher is signed: the peer gets it."""
        peer, request = self._asked.pop(vouched.ticket, (None, 0))
        table = self._routes.table()
        if peer is None or peer.place not in self._lodgers or table is None:
            return []
        granted = LodgingGranted(
            request=request,
            voucher=vouched.voucher,
            others=self._others(peer),
            gap=place_to_bytes(Place(min(table.mean_gap(), _WIDEST))),
        )
        return [Forward(peer, granted, None)]

    def on_lost(self, peer: Peer) -> list[RouterOutput]:
        """There is no link with the peer any more."""
        if self._lodgers.pop(peer.place, None) is None:
            return []
        return self._keep()

    def _expire(self, now: float) -> bool:
        """Forget those that did not ask again in time: they have other relays by now, though the link may still be there."""
        over = [place for place, lodger in self._lodgers.items() if lodger.until <= now]
        for place in over:
            del self._lodgers[place]
        return bool(over)

    def _keep(self) -> list[RouterOutput]:
        return [Keep(frozenset(self.all()), Need.LODGING)]

    def on_links_lost(self) -> list[RouterOutput]:
        """There are no links any more: whoever lodged here notices, and asks again."""
        if not self._lodgers:
            return []
        self._lodgers.clear()
        return self._keep()

    def _objection(self, peer: Peer, source: str) -> str:
        """Why the peer is not served; empty: it is."""
        if not is_hidden(peer.address) or is_hidden(self._own.address):
            return "not-hidden"
        if self._routes.table() is None:
            return "not-member"
        if peer.place in self._lodgers:
            return ""
        beside = sum(lodger.source == source for lodger in self._lodgers.values())
        if not _is_here(source) and beside >= self._limits.lodgers_per_source:
            return "crowded"
        return _FULL if len(self._lodgers) >= self._limits.lodgers else ""

    def _make_way(self, now: float) -> list[RouterOutput]:
        """Have the first newcomer go, and tell it; nothing: it has not been here long enough."""
        place = next(islice(self._lodgers, self._limits.lodgers - self._limits.newcomers, None), None)
        if place is None or now - self._lodgers[place].came_at < self._limits.newcomer_seconds:
            return []
        peer = self._lodgers.pop(place).peer
        return [Forward(peer, LodgingRefused(request=0, reason=_FULL, others=self._others(peer)), None)]

    def _others(self, peer: Peer) -> tuple[Address, ...]:
        """Members that the peer may ask too, by chance, so that lodgers spread."""
        table = self._routes.table()
        known = () if table is None else table.last_before(peer.place, len(table))
        chosen = self._rng.sample(known, min(len(known), self._limits.named))
        return tuple(each.address for each in chosen if not is_hidden(each.address))


_WIDEST = (1 << 256) - 1


def _is_here(source: str) -> bool:
    """Whether a source is this machine, where many peers share one address."""
    try:
        return source == _LOCAL or ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False


def _names(candidate: Address, source: str) -> bool:
    """Whether a candidate address is that of the host that asks: nobody has others dialled."""
    if _is_here(source):
        return reach_of(candidate) is Reach.MACHINE
    return split_address(candidate)[0] == source
