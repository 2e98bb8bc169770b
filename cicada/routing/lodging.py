"""Being hidden: a peer that nobody can dial keeps links with a few members, its relays, and says in its record which.

It asks the members that it was told of, one after the other, until it has as many relays as it wants; replaces those that it
loses; has their vouchers renewed; and publishes its record at its place again and again, because the neighbours of a place
come and go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import msgspec

from cicada.hosts import HostOf
from cicada.ids import Address, Peer, Place, Reach, peer_at, place_from_bytes, place_to_bytes, reach_of
from cicada.keys.io import Lodge
from cicada.limits import LODGING, LodgingLimits
from cicada.routing.io import Findable, Forward, Keep, Lodged, NotLodged, RouterOutput, SeekLodging
from cicada.routing.selfsearch import SelfSearch
from cicada.routing.timers import earlier
from cicada.transport.linkio import Need
from cicada.wire.routed import Lodging as Where
from cicada.wire.routed import LodgingGranted, LodgingRefused, LodgingRequest, PutRecord, RecordIs

_REQUEST_BITS = 62
_BEYOND = 4  # points after the own place at which the record is put too, should the node before it be bad


class _Relay(msgspec.Struct):
    voucher: bytes
    renew_at: float


class _Candidate(msgspec.Struct):
    ask_at: float  # not before
    seed: Peer | None  # by which it is known, be it by hearsay; None: by several


class Lodging:
    """The relays of the hidden peer ``own``. Idle until it is told to seek some."""

    def __init__(self, own: Peer, host_of: HostOf, rng: Random, limits: LodgingLimits = LODGING) -> None:
        self._own = own
        self._host_of = host_of
        self._rng = rng
        self._limits = limits
        self._sought: SeekLodging | None = None
        self._is_lodged = False
        self._reach = Reach.MACHINE
        self._relays: dict[Peer, _Relay] = {}
        self._asked: dict[Peer, tuple[int, float]] = {}  # request, and when an answer is overdue
        self._candidates: dict[Peer, _Candidate] = {}
        self._last = "nobody answered"
        self._candidate = Address("")
        self._dial_back_at = 0.0
        self._record = b""
        self.gap = 0
        """The mean distance between members, as the last relay said."""
        self._publish_at: float | None = None
        self._search = SelfSearch(own, rng, limits)

    @property
    def relays(self) -> tuple[Peer, ...]:
        """Those that serve it now."""
        return tuple(self._relays)

    def seek(self, sought: SeekLodging, now: float) -> list[RouterOutput]:
        """Find relays, beginning with the seeds. Answered by Lodged or NotLodged."""
        self._sought = sought
        self._reach = min((reach_of(seed.address) for seed in sought.seeds), default=Reach.MACHINE)
        self._is_lodged = bool(self._relays)
        for seed in sought.seeds:
            if seed != self._own:
                self._candidates[seed] = _Candidate(now, seed)
        answer: list[RouterOutput] = [Lodged(self.relays)] if self._is_lodged else []
        return answer + self._ask(now)

    def leave(self) -> list[RouterOutput]:
        """Be served by nobody any more."""
        self._sought = None
        self._relays.clear()
        self._asked.clear()
        self._publish_at = None
        self._search.stop()
        return [Keep(frozenset(), Need.LODGING)]

    def have_dialled(self, candidate: Address, now: float) -> list[RouterOutput]:
        """Have the relays dial this address, now and again until it is another one; empty: none."""
        self._candidate = candidate
        self._dial_back_at = now
        return self._renew(now)

    def on_granted(self, peer: Peer, granted: LodgingGranted, now: float) -> list[RouterOutput]:
        """A member serves this peer."""
        if not self._is_answer(peer, granted.request):
            return []
        is_new = peer not in self._relays
        self._relays[peer] = _Relay(granted.voucher, now + self._limits.renewal)
        self.gap = int(place_from_bytes(granted.gap))
        self._add(granted.others, peer, now)
        outputs: list[RouterOutput] = self._changed(now) if is_new else [self._lodge()]
        return outputs + self._ask(now)

    def on_refused(self, peer: Peer, refused: LodgingRefused, now: float) -> list[RouterOutput]:
        """A member does not, or does no longer."""
        is_over = refused.request == 0 and peer in self._relays
        if not is_over and not self._is_answer(peer, refused.request):
            return []
        self._last = f"{peer.address} refused: {refused.reason}"
        self._postpone(peer, now + self._limits.pause)
        self._add(refused.others, peer, now)
        lost = self._relays.pop(peer, None) is not None
        return (self._changed(now) if lost else []) + self._ask(now)

    def on_lost(self, peer: Peer, now: float) -> list[RouterOutput]:
        """There is no link with a member any more."""
        was_asked = self._asked.pop(peer, None) is not None
        if was_asked:
            self._last = f"{peer.address} cannot be reached"
        if was_asked or peer in self._relays:
            self._postpone(peer, now + self._limits.pause)
        lost = self._relays.pop(peer, None) is not None
        return (self._changed(now) if lost else []) + (self._ask(now) if lost or was_asked else [])

    def on_links_lost(self, now: float) -> list[RouterOutput]:
        """There are no links any more: the relays are asked anew, at once."""
        lost = self.relays
        for peer in (*lost, *self._asked):
            self._postpone(peer, now)
        self._relays.clear()
        self._asked.clear()
        return (self._changed(now) if lost else []) + self._ask(now)

    def on_record(self, record: bytes, now: float) -> list[RouterOutput]:
        """The own record is signed, with the vouchers there are."""
        self._record = record
        return self._publish(now)

    def on_shown(self, answer: RecordIs) -> list[RouterOutput]:
        """A member said which record of this peer it has."""
        return [Findable(is_found=True)] if self._search.on_record(answer) else []

    def fire(self, now: float) -> list[RouterOutput]:
        """Do what is due: give up silent members, renew vouchers, publish, ask others."""
        outputs: list[RouterOutput] = []
        for peer in [peer for peer, (_, overdue) in self._asked.items() if overdue <= now]:
            del self._asked[peer]
            self._postpone(peer, now + self._limits.pause)
            self._last = f"{peer.address} did not answer"
            if peer in self._relays and self._relays[peer].renew_at <= now:
                del self._relays[peer]
                outputs += self._changed(now)
        if self._publishes_at is not None and self._publishes_at <= now:
            outputs += self._publish(now)
        if self._sought is not None and not self._is_lodged and self._sought.deadline <= now:
            self._sought = None
            outputs.append(NotLodged(self._last))
        return outputs + self._renew(now) + self._ask(now)

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        if self._sought is None:
            return None
        due = [overdue for _, overdue in self._asked.values()]
        due += [relay.renew_at for peer, relay in self._relays.items() if peer not in self._asked]
        if self._publishes_at is not None:
            due.append(self._publishes_at)
        if not self._is_lodged:
            due.append(self._sought.deadline)
        if self._relays and self._candidate:
            due.append(self._dial_back_at)
        if self._missing > 0:
            due += [
                each.ask_at
                for peer, each in self._candidates.items()
                if self._is_free(peer) and not self._waits(each)
            ]
        return min(due, default=None)

    # Relays

    @property
    def _missing(self) -> int:
        fresh = sum(peer not in self._relays for peer in self._asked)
        return self._limits.relays - len(self._relays) - fresh

    def _is_free(self, peer: Peer) -> bool:
        return peer not in self._relays and peer not in self._asked

    def _is_answer(self, peer: Peer, request: int) -> bool:
        """Whether that was asked of the peer; then it is answered."""
        if self._sought is None or self._asked.get(peer, (None, 0.0))[0] != request:
            return False
        del self._asked[peer]
        return True

    def _postpone(self, peer: Peer, ask_at: float) -> None:
        self._candidates.setdefault(peer, _Candidate(ask_at, peer)).ask_at = ask_at

    def _add(self, named: Iterable[str], by: Peer, now: float) -> None:
        """Others that may be asked, as a member says. Nobody can have this peer dial into its own network, or machine, by naming
        them; and those that are known by one seed are half of the candidates at most."""
        seed = self._candidates[by].seed or by
        for peer in map(peer_at, map(Address, named)):
            known = self._candidates.get(peer)
            if known is not None:
                known.seed = seed if known.seed == seed else None
            elif peer != self._own and reach_of(peer.address) >= self._reach and self._has_room(seed, now):
                self._candidates[peer] = _Candidate(now, seed)

    def _has_room(self, seed: Peer, now: float) -> bool:
        """Whether one more that is known by this seed can be remembered. If there are too many, one makes way that may be asked
        too: who just refused stays, or it would be named and asked again at once."""
        seeds = () if self._sought is None else self._sought.seeds
        same = [peer for peer, each in self._candidates.items() if each.seed == seed]
        is_half = len(same) >= self._limits.candidates // 2
        if not is_half and len(self._candidates) < self._limits.candidates:
            return True
        for peer in same if is_half else list(self._candidates):
            if self._candidates[peer].ask_at <= now and self._is_free(peer) and peer not in seeds:
                del self._candidates[peer]
                return True
        return False

    def _waits(self, candidate: _Candidate) -> bool:
        """Whether half of the relays are known by its seed already, while one that is known by another may be about to answer."""
        known = self._known_by()[candidate.seed]
        others = (peer for peer in self._asked if self._candidates[peer].seed != candidate.seed)
        return known >= max(self._limits.relays // 2, 1) and any(peer not in self._relays for peer in others)

    def _known_by(self) -> Counter[Peer | None]:
        """How many of those that serve this peer, or are asked to, it knows by each seed alone."""
        known = Counter(self._candidates[peer].seed for peer in {*self._relays, *self._asked})
        del known[None]
        return known

    def _ask(self, now: float) -> list[RouterOutput]:
        """Ask as many members as are missing."""
        outputs: list[RouterOutput] = []
        while self._sought is not None and self._missing > 0:
            ready = [
                peer
                for peer, each in self._candidates.items()
                if each.ask_at <= now and self._is_free(peer) and not self._waits(each)
            ]
            if not ready:
                break
            outputs += self._ask_one(self._rng.choice(self._best(ready)), now)
        return outputs

    def _best(self, ready: list[Peer]) -> list[Peer]:
        """Of hosts that serve this peer not yet, if there are such; of those the ones by whose seed the fewest are known that do: a
        seed that names none but its friends must not choose all that this peer ever meets."""
        hosts = {self._host_of(peer.address) for peer in (*self._relays, *self._asked)}
        ready = [peer for peer in ready if self._host_of(peer.address) not in hosts] or ready
        known = self._known_by()
        fewest = min(known[self._candidates[peer].seed] for peer in ready)
        return [peer for peer in ready if known[self._candidates[peer].seed] == fewest]

    def _ask_one(self, peer: Peer, now: float) -> list[RouterOutput]:
        request = 1 + self._rng.getrandbits(_REQUEST_BITS)
        self._asked[peer] = (request, now + self._limits.patience)
        return [Forward(peer, LodgingRequest(request=request, candidate=self._candidate), None)]

    def _renew(self, now: float) -> list[RouterOutput]:
        """Ask relays again whose vouchers are half over, and all of them while an address is to be dialled."""
        is_dialling = bool(self._candidate) and self._dial_back_at <= now
        if is_dialling:
            self._dial_back_at = now + self._limits.dial_back_pause
        outputs: list[RouterOutput] = []
        for peer, relay in self._relays.items():
            if peer not in self._asked and (is_dialling or relay.renew_at <= now):
                outputs += self._ask_one(peer, now)
        return outputs

    # What others have to know

    def _changed(self, now: float) -> list[RouterOutput]:
        self._publish_at = None
        outputs: list[RouterOutput] = [Keep(frozenset(self._relays), Need.LODGING)]
        if self._relays:
            self._is_lodged = True
            outputs += [self._lodge(), Lodged(self.relays)]
        elif self._search.is_found:
            outputs.append(Findable(is_found=False))
        if not self._relays:
            self._search.stop()
        return outputs

    @property
    def _publishes_at(self) -> float | None:
        return earlier(self._publish_at, self._search.again_at)

    def _lodge(self) -> Lodge:
        return Lodge(tuple(relay.voucher for relay in self._relays.values()))

    def _publish(self, now: float) -> list[RouterOutput]:
        """Put the record at the own place by each relay, and at points after it."""
        if not self._relays or not self._record:
            self._publish_at = None
            return []
        self._publish_at = now + self._limits.publishing
        outputs: list[RouterOutput] = [self._put(relay, self._own.place) for relay in self._relays]
        relays = list(self._relays)
        for number in range(_BEYOND):
            point = Place((self._own.place + (number + 1) * self.gap) % (1 << 256))
            outputs.append(self._put(relays[number % len(relays)], point, is_copy=True))
        return outputs + self._search.put(self._record, self.relays, self.gap, now)

    def _put(self, relay: Peer, target: Place, *, is_copy: bool = False) -> Forward:
        record = PutRecord(
            target=place_to_bytes(target),
            origin=self._own.address,
            hops=1,
            lodging=Where(home=relay.address),
            about=place_to_bytes(self._own.place),
            record=self._record,
            is_copy=is_copy,
        )
        return Forward(relay, record, None)
