"""Agreeing on sessions: opening handshakes with the key that was found, and answering those of others.

Pure but for the two things that it is given: entropy, and the wall clock, because records and handshakes say when they were
made. What must survive a crash is in its Memory. Keys leave it in SessionKeys alone. First contacts wait for their turn;
renewals of sessions do not, because messages go by them now.
"""

from __future__ import annotations

import math
from collections import Counter

from cicada.errors import PeerFault
from cicada.events import KeyChanged, KeyConflict
from cicada.ids import Address, Peer, Place, is_hidden, peer_at, place_from_bytes, place_to_bytes
from cicada.keys.answering import Answering, learned
from cicada.keys.finding import Found, NotFound, Search
from cicada.keys.handshakes import Opened, reason_of
from cicada.keys.hidden import homes_in
from cicada.keys.identity import Entropy
from cicada.keys.io import (
    Abandon,
    Answer,
    AnswerRecord,
    CheckStatement,
    Complete,
    Emit,
    FetchRecords,
    KeepRecord,
    LinksChanged,
    Lodge,
    NegotiatorInput,
    NegotiatorOutput,
    Opening,
    Prepare,
    RecordKept,
    RecordsFetched,
    RecordSigned,
    Refused,
    Reply,
    SessionReady,
    SignStatement,
    TimerFired,
    Vouch,
    Vouched,
)
from cicada.keys.memory import Given, Memory
from cicada.keys.record import Record
from cicada.keys.statements import check, sign
from cicada.keys.vouchers import sign_voucher
from cicada.wire.routed import GetRecord, RecordIs
from cicada.wire.security import Identified, Identify, Met, Unidentified


class Negotiator:
    """Negotiates for the life ``boot`` of the peer whose Memory this is.

    No remote input makes it raise. Whatever it refuses is counted by reason in ``counts``.
    """

    def __init__(self, memory: Memory, boot: int, *, entropy: Entropy) -> None:
        self._memory = memory
        self._limits = memory.limits
        self._boot = boot
        self._entropy = entropy
        self._opened: dict[Place, Opened] = {}
        self._searches: dict[Place, Search] = {}
        self._first = memory.begin_anew()
        self.counts: Counter[str] = Counter()
        self._answering = Answering(memory, boot, entropy, self.counts)
        self._renew_at = math.inf

    def __len__(self) -> int:
        return len(self._opened) + len(self._searches) + len(self._first)

    def handle(self, input: NegotiatorInput, now: float) -> list[NegotiatorOutput]:
        """What is to be done about ``input`` at ``now`` (monotonic seconds), in order."""
        outputs = self._dispatch(input, now)
        if self._renew_at == math.inf and self._memory.neighbours:
            self._renew_at = now + self._limits.neighbour_pause
        self._note_ends(outputs, now)
        while (candidate := self._first.begin(now)) is not None:
            begun = self._begin(candidate.place, candidate.address, now)
            self._note_ends(begun, now)
            outputs += begun
        return outputs

    def _dispatch(self, input: NegotiatorInput, now: float) -> list[NegotiatorOutput]:
        match input:
            case Prepare():
                return self._prepare(input, now)
            case Abandon():
                return self._abandon(input, now)
            case Complete(place, _, handshake):
                return self._complete(place, handshake)
            case Answer(contact, link):
                crossing = self._opened.get(peer_at(Address(contact.origin)).place)
                return self._answering.answer(contact, link, crossing, now)
            case AnswerRecord(question):
                return [Reply(self._record_of(question, now))]
            case SignStatement():
                return [sign(self._memory, input)]
            case CheckStatement():
                return [check(self._memory, input)]
            case Vouch(ticket, lodger):
                return [Vouched(ticket, self._vouch(lodger))]
            case Lodge(vouchers):
                self._memory.own_record.lodge(vouchers)
                return [RecordSigned(self._memory.own_record.raw())]
            case KeepRecord(ticket, record):
                return self._keep(ticket, record)
            case RecordsFetched():
                return self._on_fetched(input, now)
            case Identified(peer, record):
                return self._on_dialled(peer, record, now)
            case Unidentified(peer, _):
                return self._on_dialled(peer, None, now)
            case Met(peer, record):
                return self._meet(peer, record)
            case LinksChanged():
                return [
                    Identify(search.peer)
                    for search in self._searches.values()
                    if search.peer is not None and not search.was_dialled
                ]
            case TimerFired():
                return self._fire(now)

    def next_deadline(self) -> float | None:
        """When TimerFired is due."""
        deadlines = [search.began + self._limits.handshake_seconds for search in self._searches.values()]
        deadlines += [self._deadline_of(opened) for opened in self._opened.values()]
        soonest = min(deadlines, default=math.inf)
        soonest = min(soonest, self._first.next_deadline(), self._renew_at)
        return None if soonest == math.inf else soonest

    # Opening

    def _prepare(self, asked: Prepare, now: float) -> list[NegotiatorOutput]:
        place = asked.place
        opened = self._opened.get(place)
        if opened is not None:
            return [Opening(place, opened.selector, opened.message)]
        search = self._searches.get(place)
        if search is not None:  # a Router that crashed has forgotten that it asks
            return [] if search.is_fetched else [FetchRecords(place, is_hidden(search.address))]
        if place not in self._first and len(self) >= self._limits.handshakes:
            return self._refuse(place, "busy")
        if asked.is_renewal:
            self._first.withdraw(place)
            return self._begin(place, asked.address, now)
        self._first.ask(place, asked.address, now)
        return []

    def _begin(self, place: Place, address: Address, now: float) -> list[NegotiatorOutput]:
        pin = self._memory.trust.pin_at(place)
        if pin is not None:
            peer = peer_at(pin.address)
            return self._open(peer, pin.static_key, pin.peer_id, is_pinned=True, conflict=False, now=now)
        search = self._searches[place] = Search(
            self._memory, place, address, now, is_doubt=False, counts=self.counts
        )
        outputs: list[NegotiatorOutput] = [FetchRecords(place, is_hidden(address))]
        if search.peer is not None:
            outputs.append(Identify(search.peer))
        return outputs

    def _abandon(self, abandoned: Abandon, now: float) -> list[NegotiatorOutput]:
        self._first.abandon(abandoned.place, now, is_denied=abandoned.is_denied)
        self._searches.pop(abandoned.place, None)
        self._opened.pop(abandoned.place, None)
        return []

    def _note_ends(self, outputs: list[NegotiatorOutput], now: float) -> None:
        """What its Router is told last of a first contact ends it."""
        for output in outputs:
            if isinstance(output, SessionReady):
                self._first.end(output.keys.peer.place, now)
            elif isinstance(output, Refused):
                is_open = output.place in self._opened or output.place in self._searches
                if not is_open:  # a late answer to an earlier handshake ends nothing
                    self._first.end(output.place, now)

    def _open(
        self,
        peer: Peer,
        static_key: bytes,
        peer_id: str,
        *,
        is_pinned: bool,
        conflict: bool,
        now: float,
        homes: tuple[Address, ...] = (),
    ) -> list[NegotiatorOutput]:
        try:
            opened = Opened(
                self._memory,
                self._entropy,
                self._boot,
                peer,
                static_key,
                peer_id=peer_id,
                conflict=conflict,
                is_pinned=is_pinned,
                now=now,
            )
        except PeerFault as fault:  # a static key with which everybody shares the same secret
            return self._refuse(peer.place, fault.reason)
        self._opened[peer.place] = opened
        return [Opening(peer.place, opened.selector, opened.message, homes)]

    def _complete(self, place: Place, handshake: bytes) -> list[NegotiatorOutput]:
        opened = self._opened.get(place)
        if opened is None:
            return [Refused(place, "unknown-handshake")]
        try:
            answer, record = opened.complete(self._memory, handshake)
            trust = self._memory.trust.trust(opened.peer.address)
            self._memory.trust.check(record, answer.succession)
        except PeerFault as fault:
            if not opened.handshake.is_finished:
                self.counts["refused:altered-answer"] += 1
                return []  # whoever altered it cannot end the handshake: the right answer may still come
            del self._opened[place]
            if fault.reason == "key-changed":
                return self._key_changed(opened.peer, record)
            return self._refuse(place, reason_of(fault))
        del self._opened[place]
        return [*self._learn(record), SessionReady(opened.keys(answer, record.peer_id, trust))]

    # Finding a key

    def _on_fetched(self, fetched: RecordsFetched, now: float) -> list[NegotiatorOutput]:
        search = self._searches.get(fetched.place)
        if search is None:
            return []
        if search.fetched(fetched) and search.peer is not None:
            return [Identify(search.peer)]
        return self._conclude(search, now)

    def _on_dialled(self, peer: Peer, record: bytes | None, now: float) -> list[NegotiatorOutput]:
        search = self._searches.get(peer.place)
        if search is None:
            return self._meet(peer, record) if record else []
        search.dialled(record)
        opened, proven = self._opened.get(peer.place), search.proven
        is_news = opened is not None and proven is not None and proven.static_key != opened.static_key
        if search.is_doubt and is_news and not search.is_fetched:
            return [FetchRecords(peer.place)]  # it may have a succession to show
        return self._conclude(search, now)

    def _conclude(self, search: Search, now: float) -> list[NegotiatorOutput]:
        if search.is_doubt:
            if search.was_dialled:
                del self._searches[search.place]
                return self._settle_doubt(search, now)
            return []
        verdict = search.verdict()
        if verdict is None:
            return []
        del self._searches[search.place]
        outputs: list[NegotiatorOutput] = []
        if verdict.named:
            proven = "" if search.proven is None else search.proven.peer_id
            outputs.append(Emit(KeyConflict(address=search.address, proven=proven, named=verdict.named)))
        if isinstance(verdict, NotFound):
            return outputs + self._refuse(search.place, verdict.reason)
        return outputs + self._use(verdict, now)

    def _use(self, found: Found, now: float) -> list[NegotiatorOutput]:
        record = found.record
        return self._open(
            peer_at(Address(record.address)),
            record.static_key,
            record.peer_id,
            is_pinned=False,
            conflict=bool(found.named),
            now=now,
            homes=homes_in(record, self._memory.swarm, self._memory.wall_ms()),
        )

    def _settle_doubt(self, search: Search, now: float) -> list[NegotiatorOutput]:
        """A pinned peer does not answer. Either it shows another key now, or it is only out of reach."""
        opened, record = self._opened.get(search.place), search.proven
        if opened is None or record is None or record.static_key == opened.static_key:
            return []
        del self._opened[search.place]
        for succession in (*search.successions, b""):
            try:
                self._memory.trust.check(record, succession)
            except PeerFault:
                continue
            return self._learn(record) + self._use(Found(record), now)
        return self._key_changed(opened.peer, record)

    # What others ask, and what links say

    def _record_of(self, question: GetRecord, now: float) -> RecordIs:
        memory = self._memory
        place = place_from_bytes(question.about)
        is_own = place == memory.own.place
        given = None if is_own else memory.neighbours.get(place, memory.wall_ms())
        if given is None and place in memory.neighbours:
            self.counts["ignored:record-expired"] += 1
            self._renew_at = now  # the machine slept
        kept = memory.hidden.get(place, memory.wall_ms()) if given is None else given.raw
        return RecordIs(
            target=place_to_bytes(peer_at(Address(question.origin)).place),
            origin=memory.own.address,
            hops=0,
            way=question.way,
            request=question.request,
            about=question.about,
            record=memory.own_record.raw() if is_own else kept,
            succession=memory.succession if is_own else b"",
        )

    def _vouch(self, lodger: Address) -> bytes:
        memory = self._memory
        return sign_voucher(memory.identity, memory.own.address, memory.swarm, lodger, memory.wall_ms())

    def _keep(self, ticket: int, record: bytes) -> list[NegotiatorOutput]:
        try:
            place, homes = self._memory.hidden.put(record, self._memory.wall_ms())
        except PeerFault as fault:
            self.counts[f"refused:{fault.reason}"] += 1
            return []
        return [RecordKept(ticket, place, homes)]

    def _meet(self, peer: Peer, raw: bytes) -> list[NegotiatorOutput]:
        try:
            record = self._memory.read(raw, peer.address)
        except PeerFault as fault:
            self.counts[f"refused:{fault.reason}"] += 1
            return []
        self._memory.neighbours.put(peer, Given(raw, record))
        return []

    # Time

    def _fire(self, now: float) -> list[NegotiatorOutput]:
        outputs = self._renew_neighbour(now)
        limit = self._limits.handshake_seconds
        for place, search in tuple(self._searches.items()):
            if now >= search.began + limit:
                del self._searches[place]
                outputs += [] if search.is_doubt else self._refuse(place, "timed-out")
        for place, opened in tuple(self._opened.items()):
            if now < self._deadline_of(opened):
                continue
            if now >= opened.began + limit:
                del self._opened[place]
                self._first.end(place, now)
            else:
                opened.is_doubted = True
                self._searches[place] = Search(
                    self._memory, place, opened.peer.address, now, is_doubt=True, counts=self.counts
                )
                outputs.append(Identify(opened.peer))
        return outputs

    def _renew_neighbour(self, now: float) -> list[NegotiatorOutput]:
        """Nothing shows the newest record of a peer whose link is kept, so it is asked who it is: its links dial it, and tell that
        they Met it. The wall clock says when, and runs on while the machine sleeps: so it is looked at again and again."""
        if now < self._renew_at:
            return []
        peer = self._memory.neighbours.next_old(self._memory.wall_ms(), now)
        pause = self._limits.neighbour_retry if peer is None else self._limits.neighbour_pause
        self._renew_at = now + pause
        return [] if peer is None else [Identify(peer)]

    def _deadline_of(self, opened: Opened) -> float:
        doubts = opened.is_pinned and not opened.is_doubted and opened.peer.place not in self._searches
        return opened.began + (self._limits.handshake_doubt if doubts else self._limits.handshake_seconds)

    # Outcomes

    def _learn(self, record: Record) -> list[NegotiatorOutput]:
        before = self._memory.trust.pin(Address(record.address))
        pin = self._memory.trust.learn(record, self._memory.wall_ms())
        if pin is None:
            return []
        return learned(before, pin)

    def _key_changed(self, peer: Peer, record: Record) -> list[NegotiatorOutput]:
        self.counts["refused:key-changed"] += 1
        pin = self._memory.trust.pin(peer.address)
        pinned = "" if pin is None else pin.peer_id
        return [
            Emit(KeyChanged(address=peer.address, pinned=pinned, shown=record.peer_id)),
            Refused(peer.place, "key-changed"),
        ]

    def _refuse(self, place: Place, reason: str) -> list[NegotiatorOutput]:
        self.counts[f"refused:{reason}"] += 1
        return [Refused(place, reason)]
