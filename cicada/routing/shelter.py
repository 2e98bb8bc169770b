"""All that a Router does about peers that nobody can dial: those it sends to, those it serves, and itself when it is one."""

from __future__ import annotations

from random import Random
from typing import assert_never

from msgspec.structs import replace

from cicada.hosts import HostOf
from cicada.ids import Peer, is_hidden, place_from_bytes, place_to_bytes
from cicada.keys.io import RecordSigned, Vouched
from cicada.routing.finding import FindsForOthers, OwnFinds
from cicada.routing.homes import Homes
from cicada.routing.io import (
    FindOwner,
    Forward,
    HaveDialled,
    LeaveLodging,
    LinksLost,
    Located,
    LodgingHeard,
    RelayLost,
    RouterOutput,
    SeekLodging,
)
from cicada.routing.lodgers import Lodgers
from cicada.routing.lodging import Lodging
from cicada.routing.postings import Postings
from cicada.routing.table import Routes
from cicada.wire.routed import Lodging as Where
from cicada.wire.routed import (
    LodgingFind,
    LodgingFound,
    LodgingGranted,
    LodgingRefused,
    LodgingRequest,
    PutRecord,
    RecordIs,
    RoutedBase,
    RoutedMessage,
)

ShelterInput = (
    SeekLodging
    | LeaveLodging
    | HaveDialled
    | LodgingHeard
    | RelayLost
    | LinksLost
    | FindOwner
    | Located
    | Vouched
    | RecordSigned
    | RecordIs
)


class Shelter:
    """For ``own``. It changes ``routes`` when ``own`` is hidden and its relays change."""

    def __init__(self, own: Peer, routes: Routes, host_of: HostOf, rng: Random) -> None:
        self._own = own
        self._target = place_to_bytes(own.place)
        self._routes = routes
        self.is_hidden = is_hidden(own.address)
        self.homes = Homes()
        self.lodgers = Lodgers(own, routes, rng)
        self.postings = Postings(own, self.lodgers.counts)
        self._lodging = Lodging(own, host_of, rng)
        self._relays: tuple[Peer, ...] = ()
        self._own_finds = OwnFinds()
        self._finds = FindsForOthers()

    def handle(self, input: ShelterInput, now: float) -> list[RouterOutput]:
        """What is to be done about ``input``."""
        outputs = self._dispatch(input, now)
        self._settle()
        return outputs

    def fire(self, now: float) -> list[RouterOutput]:
        """Do what is due."""
        if not self.is_hidden:
            return []
        outputs = self._lodging.fire(now)
        self._settle()
        return outputs

    def next_deadline(self) -> float | None:
        """When ``fire`` has something to do."""
        return self._lodging.next_deadline() if self.is_hidden else None

    # Messages

    def receive(self, message: RoutedMessage, sender: Peer) -> RoutedMessage | Forward | None:
        """A message with a lodging ends here, having crossed less than the most links: as this peer is to take it, or on its way to
        whom it serves; None: that one does not lodge here."""
        self.homes.hear(message)
        to = b"" if message.lodging is None else message.lodging.to
        if to == self._target:
            return _to_itself(message, to)
        if not to or message.target != self._target:
            return message
        lodger = self.lodgers.at(place_from_bytes(to))
        return None if lodger is None else Forward(lodger, replace(message, hops=message.hops + 1), sender)

    def redirect(self, message: RoutedMessage) -> RoutedMessage | Forward:
        """An answer for a hidden peer goes to its relay, or over its link when it lodges here; others go as they are, and so do
        records, which are for the members around its place."""
        if isinstance(message, PutRecord) or (message.lodging is not None and message.lodging.to):
            return message
        place = place_from_bytes(message.target)
        lodger = self.lodgers.at(place)
        if lodger is not None:
            return Forward(lodger, replace(message, hops=message.hops + 1), None)
        home = self.homes.back(place)
        if home is None or home == self._own:
            return message
        where = Where(to=message.target, home=_home(message))
        return replace(message, target=place_to_bytes(home.place), lodging=where)

    def regain(self, message: RoutedMessage, lost: Peer) -> RoutedMessage:
        """``lost`` did not take a message. If it was the relay of a hidden peer, another may be; else it is sent as it was."""
        lodging = message.lodging
        if lodging is None or not lodging.to or message.target != place_to_bytes(lost.place):
            return message
        self.homes.lose(message, lost)
        return _to_itself(message, lodging.to)

    def sign(self, outputs: list[RouterOutput]) -> list[RouterOutput]:
        """What a hidden peer sends says by which relay it can be answered: the one that it leaves by."""
        return [self._signed(output) if isinstance(output, Forward) else output for output in outputs]

    def _signed(self, output: Forward) -> Forward:
        message = output.message
        if not isinstance(message, RoutedBase):
            return output
        to = b"" if message.lodging is None else message.lodging.to
        where = Where(to=to, home=output.peer.address)
        return replace(output, message=replace(message, lodging=where))

    # The own relays, and those whom this peer serves

    def _dispatch(self, input: ShelterInput, now: float) -> list[RouterOutput]:
        lodging, lodgers = self._lodging, self.lodgers
        match input:
            case SeekLodging():
                return lodging.seek(input, now)
            case LeaveLodging():
                return lodging.leave()
            case HaveDialled(candidate):
                return lodging.have_dialled(candidate, now)
            case LodgingHeard(sender, LodgingGranted() as granted):
                return lodging.on_granted(sender, granted, now)
            case LodgingHeard(sender, LodgingRefused() as refused):
                return lodging.on_refused(sender, refused, now)
            case LodgingHeard(_, LodgingRequest() as request):
                return lodgers.on_request(input, request, now)
            case LodgingHeard(sender, LodgingFind() as find):
                return self._finds.begin(sender, find) if lodgers.may_find(sender, now) else []
            case LodgingHeard(sender, LodgingFound() as found):
                return self._own_finds.end(self._own, sender, found)
            case LodgingHeard():
                return []
            case FindOwner():
                return self._own_finds.begin(input, lodging.relays)
            case Located():
                return self._finds.end(input)
            case RelayLost(peer):
                return self.lose(peer, now)
            case LinksLost():
                return lodging.on_links_lost(now) if self.is_hidden else lodgers.on_links_lost()
            case Vouched():
                return lodgers.on_vouched(input)
            case RecordSigned(record):
                return lodging.on_record(record, now)
            case RecordIs():
                return lodging.on_shown(input)
            case _:
                assert_never(input)

    def lose(self, peer: Peer, now: float) -> list[RouterOutput]:
        """There is no link with the peer."""
        if self.is_hidden:
            outputs = self._lodging.on_lost(peer, now)
            self._settle()
            return outputs + self._own_finds.lose(peer, self._relays)
        return self.lodgers.on_lost(peer)

    def _settle(self) -> None:
        """Route by the relays that there are now."""
        if self.is_hidden and self._lodging.relays != self._relays:
            self._relays = self._lodging.relays
            self.homes.own = tuple(peer.address for peer in self._relays)
            self._routes.lodge(self._relays, self._lodging.gap)


def _home(message: RoutedMessage) -> str:
    return "" if message.lodging is None else message.lodging.home


def _to_itself(message: RoutedMessage, place: bytes) -> RoutedMessage:
    """The message for the place of a hidden peer, by no relay in particular; where its own origin lodges stays in it."""
    home = _home(message)
    return replace(message, target=place, lodging=Where(home=home) if home else None)
