"""The Router of one peer: its own messages, those it relays, those that are for it, and broadcasts.

Pure: ``handle(input, now)`` returns what is to be done. It holds the sessions with other peers, which a negotiator agrees on:
application messages and their acks are sealed and opened here. Broadcasts are signed, not sealed from end to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from random import Random
from typing import assert_never

from msgspec.structs import replace

from cicada.chord.io import TableChanged
from cicada.errors import PeerFault
from cicada.hosts import HostOf, by_peer
from cicada.ids import Peer, is_hidden, place_from_bytes, place_to_bytes
from cicada.keys.io import RouterBound
from cicada.limits import DELIVERY, DeliveryLimits
from cicada.routing.allowance import Account, Allowance
from cicada.routing.arrivals import Arrivals
from cicada.routing.broadcasting import Broadcasts
from cicada.routing.colours import ways_back
from cicada.routing.detours import Detours
from cicada.routing.fetching import Fetches
from cicada.routing.forwarding import Forwarding
from cicada.routing.io import (
    Alarm,
    Answer,
    Answered,
    AnswerRecord,
    FetchRecords,
    FindOwner,
    Forward,
    HaveDialled,
    Judged,
    LeaveLodging,
    LinksLost,
    Located,
    LodgingHeard,
    NegotiatorChanged,
    NextHopLost,
    Opening,
    RecordKept,
    RecordSigned,
    Refused,
    RelayLost,
    Reply,
    RoomMade,
    RoutedReceived,
    RouterInput,
    RouterOutput,
    SeekLodging,
    SendBroadcast,
    SendMessage,
    SessionReady,
    StatementChecked,
    StatementSigned,
    Vouched,
)
from cicada.routing.pace import Pace
from cicada.routing.paths import Entropy, Ways, denial, peer_named
from cicada.routing.sending import Sends
from cicada.routing.sessions import ACK, Session, Sessions
from cicada.routing.shelter import Shelter
from cicada.routing.table import Routes
from cicada.routing.timers import earlier
from cicada.routing.transfers import Transfers
from cicada.wire.routed import (
    BroadcastBase,
    BroadcastTaken,
    Contact,
    ContactReply,
    Data,
    DataAck,
    GetRecord,
    NoSuchPeer,
    NoSuchSession,
    PutRecord,
    RecordIs,
    RoutedBase,
    RoutedMessage,
    RouterMessage,
)
from cicada.wire.sealed import AckBody, decode_sealed


class Router:
    """Routes for ``own``, whose mailbox's life is ``boot`` (1 to 2**63 - 1).

    It does not remember what the mailbox took. A new Router that is given the unsettled messages and the ring's last
    TableChanged takes over from one that crashed; its ``rng`` must differ. ``entropy`` gives the seeds of coloured ways, and
    must be the operating system's except in simulations (None: ``rng``). ``host_of`` says which peers share a colour. What it
    holds of others' unfinished messages is charged to ``account``.
    """

    def __init__(
        self,
        own: Peer,
        boot: int,
        *,
        limits: DeliveryLimits = DELIVERY,
        rng: Random,
        entropy: Entropy | None = None,
        host_of: HostOf = by_peer,
        account: Account | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._own = own
        self._target = place_to_bytes(own.place)
        self._boot = boot
        self._limits = limits
        self._routes = Routes(own, limits, host_of)
        self._sessions = Sessions(own, boot, limits)
        self._shelter = Shelter(own, self._routes, host_of, rng)
        self._is_hidden = self._shelter.is_hidden
        ways = Ways(limits, entropy or rng, self._shelter.homes, self._shelter.lodgers.at)
        self._sends = Sends(own, boot, self._routes, self._sessions, ways, limits, rng, pace)
        self._transfers = Transfers(self._sends, limits.batch)
        charged = Allowance().account() if account is None else account
        self._arrivals = Arrivals(
            own, boot, self._routes, self._sessions, self._route, limits, rng, charged, ways.homes
        )
        self._fetches = Fetches(own, self._routes, ways, limits, rng)
        self._broadcasts = Broadcasts(own, boot, self._routes, limits, rng, self._shelter.lodgers.all)
        self._detours = Detours(limits)
        self._due: float | None = None
        self._is_due_known = False
        self._counts = self._arrivals.counts
        self._forwarding = Forwarding(own, self._routes, limits, self._counts)
        self._relay = self._forwarding.relay  # the hot path takes no detour

    def handle(self, input: RouterInput, now: float) -> list[RouterOutput]:
        """What is to be done about ``input`` at ``now`` (monotonic seconds), in order.

        No remote input makes it raise. Only an Alarm lets deadlines fire: whoever stalled drains its sockets first.
        """
        if isinstance(input, RoutedReceived):
            forward = self._relay(input.message, input.sender)
            if forward is not None:
                return [forward]
        self._is_due_known = False
        outputs = self._dispatch(input, now)
        outputs += self._sends.advance(now)
        outputs = self._do_own(outputs, now)
        if self._sends.ended:
            outputs += self._do_own(self._transfers.follow(now), now)
        return self._shelter.sign(outputs) if self._is_hidden else outputs

    def next_deadline(self) -> float | None:
        """When an Alarm is due. In the past: one call did not get through all that was due."""
        if not self._is_due_known:  # relaying, which is most of what a Router does, changes nothing about it
            self._due = self._earliest()
            self._is_due_known = True
        return self._due

    def _earliest(self) -> float | None:
        first = earlier(self._sends.next_deadline(), self._routes.next_deadline())
        first = earlier(first, earlier(self._transfers.next_deadline(), self._arrivals.next_deadline()))
        first = earlier(first, earlier(self._fetches.next_deadline(), self._sessions.next_deadline()))
        return earlier(earlier(first, self._broadcasts.next_deadline()), self._shelter.next_deadline())

    def close(self) -> None:
        """This Router will not be used any more: give back what it shares with others of its process."""
        self._sends.close()

    @property
    def held_back(self) -> int:
        """Own messages that wait until their destinations have room."""
        return self._sends.held_back

    def counters(self) -> dict[str, int]:
        """How often each named thing happened since this Router began.

        Messages ``forwarded`` for others, ``rerouted`` around lost hops and ``delivered`` to the mailbox's owner;
        ``copies`` and ``retries`` of own messages, copies reported ``altered``, and ``receipts:*`` by outcome; sessions
        ``refused:*`` and ``acks-again``; ``broadcasts`` taken, their ``bodies``,
        ``hand-overs`` and ``digests`` sent, ``broadcasts-missing``; ``ignored:*`` answers and ``dropped:*`` messages by reason.
        """
        total = Counter(forwarded=self._forwarding.forwarded)
        for counts in (self._counts, self._sends.counts, self._transfers.counts, self._broadcasts.counters()):
            total.update(counts)
        total.update(self._shelter.lodgers.counts)
        return dict(total)

    def _dispatch(self, input: RouterInput, now: float) -> list[RouterOutput]:
        match input:
            case RoutedReceived():
                return self._receive(input.message, input.sender, now)
            case Judged():
                return self._arrivals.judged(input, now)
            case RoomMade():
                word = self._arrivals.recalls.call(input)
                return [] if word is None else self._route(word, now)
            case SendMessage():
                return self._transfers.submit(input, now)
            case SendBroadcast():
                return self._broadcasts.start(input, now)
            case NextHopLost():
                return self._lose(input, now)
            case TableChanged():
                self._routes.update(input)
                if input.head is not None:
                    self._sends.on_table(now)
                return []
            case SeekLodging() | LeaveLodging() | HaveDialled() | LodgingHeard() | RelayLost() | LinksLost():
                return self._sheltered(self._shelter.handle(input, now), now)
            case FindOwner() | Located():
                return self._sheltered(self._shelter.handle(input, now), now)
            case NegotiatorChanged():
                self._sends.introductions.prepare_again(now)
                return [*self._broadcasts.ask_again()]
            case Alarm():
                self._routes.restore(now)
                self._sessions.expire(now)
                outputs = self._fetches.fire(now) + self._sends.fire(now) + self._transfers.fire(now)
                outputs += self._sheltered(self._shelter.fire(now), now)
                return outputs + self._arrivals.expire(now) + self._broadcasts.fire(now)
            case _:
                return self._negotiated(input, now)

    def _negotiated(self, input: RouterBound, now: float) -> list[RouterOutput]:
        match input:
            case Opening():
                if input.homes:
                    self._shelter.homes.learn(input.place, input.homes)
                return self._sends.on_opening(input, now)
            case Refused():
                return self._sends.on_refused(input, now)
            case SessionReady(keys):
                self._sends.on_session(self._sessions.add(keys, now), now)
                return []
            case Answered(reply, keys, homes):
                if homes:
                    self._shelter.homes.learn(place_from_bytes(reply.target), homes)
                if keys is None:
                    return self._route(reply, now)
                self._sessions.add(keys, now)
                return self._route_on_all(reply, now)
            case Reply(message):
                return self._route(message, now)
            case FetchRecords(place, is_hidden):
                knock = self._sends.introductions.knock(place, now)
                return self._fetches.start(place, knock, now, is_hidden=is_hidden)
            case RecordKept(_, place, homes):
                self._shelter.homes.learn(place, homes)
                return self._shelter.postings.kept(input, self._routes.table(), now)
            case Vouched() | RecordSigned():
                return self._sheltered(self._shelter.handle(input, now), now)
            case StatementSigned():
                outputs, word = self._broadcasts.signed(input, now)
                return outputs if word is None else outputs + self._route(word, now)
            case StatementChecked():
                if input.homes:
                    self._shelter.homes.learn(peer_named(input.origin).place, input.homes)
                return self._broadcasts.checked(input, now)
            case _:
                assert_never(input)

    def _receive(self, message: RouterMessage, sender: Peer, now: float) -> list[RouterOutput]:
        if isinstance(message, BroadcastBase):
            return self._broadcasts.on_message(message, sender, now)
        if isinstance(message, PutRecord) and self._is_for_keepers(message):
            return [] if self._is_hidden else self._shelter.postings.take(message, sender, now)
        if message.lodging is None:
            if isinstance(message, Contact) and message.target == self._target:
                return [Answer(message, sender)]
            return self._route(message, now)
        if message.hops >= self._limits.hop_limit:
            return self._drop("hop-limit")
        taken = self._shelter.receive(message, sender)
        if taken is None:
            return self._drop("not-lodging")
        return [taken] if isinstance(taken, Forward) else self._route(taken, now)

    def _is_for_keepers(self, put: PutRecord) -> bool:
        """Whether a record has come as far as it goes: to its target, or to the arc around that."""
        table = self._routes.table()
        place = place_from_bytes(put.target)
        return put.target == self._target or (table is not None and table.nobody_at(place))

    def _sheltered(self, outputs: list[RouterOutput], now: float) -> list[RouterOutput]:
        """The own relays may have changed: what waited for one goes on."""
        if self._is_hidden and self._routes.table() is not None:
            self._sends.on_table(now)
        return outputs

    def _do_own(self, outputs: list[RouterOutput], now: float) -> list[RouterOutput]:
        """Consume what is forwarded to this peer itself."""
        done: list[RouterOutput] = []
        for output in outputs:
            if isinstance(output, Forward) and output.peer is self._own:
                if isinstance(output.message, RoutedBase):
                    done += self._consume(output.message, now)
            else:
                done.append(output)
        return done

    def _route(
        self, message: RoutedMessage, now: float, exclude: Collection[Peer] = frozenset()
    ) -> list[RouterOutput]:
        """Consume the message, send it on, answer that its place is nobody's, or drop it."""
        if message.target == self._target:
            return self._consume(message, now)
        if message.hops >= self._limits.hop_limit:
            return self._drop("hop-limit")
        redirected = self._shelter.redirect(message)
        if isinstance(redirected, Forward):
            return [redirected]
        message = redirected
        table = self._routes.table()
        if table is None:
            return self._drop("not-in-ring")
        place = place_from_bytes(message.target)
        forward = self._forwarding.choose(table, place, message, exclude)
        if forward is not None:
            return [forward]
        if not table.nobody_at(place):
            return self._drop("no-route")
        if isinstance(message, GetRecord) and message.about != message.target:
            return self._consume(message, now)  # whoever owns the arc may know its neighbours
        if self._shelter.postings.has(place, now):
            return self._consume(message, now) if isinstance(message, GetRecord) else self._drop("hidden")
        if isinstance(message, Contact | Data | GetRecord):
            return self._route(denial(self._own, message), now)
        return self._drop("answer-to-nobody")

    def _route_on_all(self, message: ContactReply, now: float) -> list[RouterOutput]:
        """The first answer to a Contact goes back on every way of its colours, but no more than Contacts leave by: whoever asks in
        another's name must not have him flooded. Once to a peer that is known."""
        way, table = message.way, self._routes.table()
        if not way or (
            table is not None and table.knows(place_from_bytes(message.target)) and self._limits.direct
        ):
            return self._route(message, now)
        outputs: list[RouterOutput] = []
        for back in ways_back(way, min(way[-2], self._limits.copies_rising[-1])):
            outputs += self._route(replace(message, way=back), now)
        return outputs

    def _consume(self, message: RoutedMessage, now: float) -> list[RouterOutput]:
        match message:
            case Data() | DataAck():
                return self._open(message, now)
            case Contact():
                return [Answer(message)]
            case ContactReply():
                return self._sends.on_contact_reply(message, now)
            case NoSuchPeer():
                place = place_from_bytes(message.place)
                ended = self._fetches.on_denial(place, message.request)
                return ended + self._sends.on_no_such_peer(message, now)
            case NoSuchSession():
                return self._sends.on_no_such_session(message, now)
            case GetRecord():
                return [AnswerRecord(message)]
            case RecordIs():
                return self._fetches.on_record(message, now) + self._shelter.handle(message, now)
            case PutRecord():
                return self._drop("no-route")  # one that a lost hop gave back, to itself
            case BroadcastTaken():
                return self._broadcasts.on_taken(message, now)

    def _open(self, message: Data | DataAck, now: float) -> list[RouterOutput]:
        """A sealed message for this peer, in the session that it names."""
        session = self._sessions.at(message.index, now)
        if session is None:
            if isinstance(message, Data):
                return self._arrivals.unknown(message, now)
            self._counts["ignored:late-ack"] += 1
            return []
        if message.origin != session.peer.address:
            return self._drop("foreign-session")
        if isinstance(message, DataAck):
            return self._take_ack(message, session, now)
        outputs = self._arrivals.take(message, session, now)
        if self._sessions.confirm(session):
            self._sends.on_session(session, now)
        return outputs

    def _take_ack(self, ack: DataAck, session: Session, now: float) -> list[RouterOutput]:
        try:
            body = decode_sealed(session.open(ACK, ack.attempt, ack.counter, ack.body), AckBody)
        except PeerFault as fault:
            known = fault.reason in {"replayed", "too-old", "seal"}
            self._counts[f"ignored:ack-{fault.reason if known else 'malformed'}"] += 1
            return []
        return self._sends.on_ack(body, ack.counter, session, ack.way, now)

    def _lose(self, lost: NextHopLost, now: float) -> list[RouterOutput]:
        """Do without the peer for a while, and find other ways for what it did not take."""
        self._routes.lose(lost.peer, now)
        outputs = self._sheltered(self._shelter.lose(lost.peer, now), now)
        for message in lost.undelivered:
            if isinstance(message, BroadcastBase):
                outputs += self._broadcasts.lost(message, lost.peer, now)
            elif isinstance(message, RoutedBase) and is_hidden(lost.peer.address):
                outputs += self._drop("not-lodging")
            elif isinstance(message, RoutedBase):
                self._counts["rerouted"] += 1
                again = self._shelter.regain(message, lost.peer)
                outputs += self._route(again, now, self._detours.failed(message, lost.peer))
        return outputs

    def _drop(self, reason: str) -> list[RouterOutput]:
        return self._arrivals.drop(reason)
