"""One replica: it answers for the records that it keeps, and sees to it that they are where they belong.

Every ``repair`` seconds it looks up who keeps each of its names and asks the others what they have. Who lacks the newest record
is told; a name that belongs here no more is forgotten once all who keep it now have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cicada.errors import PeerFault
from cicada.ids import RING_SIZE, Peer
from cicada.keys.memory import WallClock
from cicada.limits import NameLimits
from cicada.services.nameasking import Answers, Asking, Owners
from cicada.services.namerecords import NameRecord, SignedRecord, place_of_name, read_name
from cicada.services.namestore import NameStore
from cicada.services.namevotes import Word, behind, count, should_yield
from cicada.tokens import Shares
from cicada.wire.names import GetName, NameHeld, NameKept, PutName, Verdict

_SOON = 0.2  # of ``repair``, over which looks are spread that a change of the ring calls for


class Keeper:
    """The records at one node. ``counted`` says what was refused, and why."""

    def __init__(self, own: Peer, swarm: str, wall_ms: WallClock, limits: NameLimits) -> None:
        self._own = own
        self._swarm = swarm
        self._wall_ms = wall_ms
        self._limits = limits
        self._asking: Asking
        self._looks: dict[str, float] = {}  # when each name is looked at next
        self._placing = 0
        self._puts = Shares(limits.put_rate, limits.put_burst, limits.metered)
        self.store = NameStore(limits)
        self.counted: Counter[str] = Counter()

    def start(self, asking: Asking) -> None:
        """Before anything else: by whom questions are asked."""
        self._asking = asking

    def shown(self, name: str) -> NameRecord | None:
        """The record of a name, a release as well, that whoever asks would be shown."""
        held = self.store.find(name, self._wall_ms())
        return held.record if held else None

    # What others ask

    def answer_self(self, message: GetName | PutName, now: float) -> NameHeld | NameKept:
        """Answer this peer's own question. It has just looked up that the name belongs here."""
        if isinstance(message, GetName):
            return self._held(message)
        signed = self.read(message.record)
        verdict = Verdict.INVALID if signed is None else self._admit_and_keep(signed, self._own.address, now)
        return self._kept(0, verdict, signed)

    def get(self, peer: Peer, message: GetName) -> None:
        """A peer asks for a record."""
        self._asking.say(peer, self._held(message))

    def put(self, peer: Peer, sender: str, message: PutName, now: float) -> None:
        """A peer brings a record. ``sender``: what tells it from others."""
        if not self._puts.take(sender, now):
            self._asking.say(peer, self._kept(message.number, Verdict.BUSY, None))
            return
        signed = self.read(message.record)
        if signed is None:
            self._asking.say(peer, self._kept(message.number, Verdict.INVALID, None))
        elif self.store.is_new(signed.record, self._wall_ms()):
            self._take_up(peer, sender, message.number, signed, now)
        else:
            verdict = self._keep(signed, sender, now)
            self._asking.say(peer, self._kept(message.number, verdict, signed))

    def read(self, raw: bytes) -> SignedRecord | None:
        """The record that a peer shows; None, and counted, when it is not valid."""
        try:
            return read_name(raw, self._wall_ms(), self._swarm)
        except PeerFault as fault:
            self.counted[fault.reason] += 1
            return None

    def words(self, answers: Answers[NameHeld], name: str) -> list[Word]:
        """What the replicas said of a name. Who shows what is not a valid record of it has not answered."""
        words = []
        for peer, answer in answers:
            held = self.read(answer.record) if answer is not None and answer.record else None
            if answer is None or (answer.record and held is None):
                continue
            if held is not None and held.record.name != name:
                self.counted["name-other"] += 1
                continue
            words.append(Word(peer, held))
        return words

    # Repair

    def look_soon(self, now: float) -> None:
        """The ring has changed: look at all names, some after another."""
        for name in self.store:
            self._look_at(name, now + self._spread(name) * self._interval() * _SOON)

    def _look_at(self, name: str, at: float) -> None:
        if at < self._looks.get(name, at + 1):
            self._looks[name] = at
            self._asking.later(at, lambda now: self._look(name, at, now))

    def _look(self, name: str, at: float, now: float) -> None:
        if self._looks.get(name) != at:
            return  # an earlier look took its place
        del self._looks[name]
        if not self.store.drop_lapsed(name, self._wall_ms()):
            self._asking.find(place_of_name(name), now, lambda owners, at: self._ask_others(name, owners, at))

    def _ask_others(self, name: str, owners: Owners, now: float) -> None:
        if not owners:
            self._look_at(name, now + self._limits.repair_tries)
            return
        others = [peer for peer in owners if peer != self._own]
        self._asking.get(others, name, now, lambda answers, at: self._judge(name, owners, answers, at))

    def _judge(self, name: str, owners: Owners, answers: Answers[NameHeld], now: float) -> None:
        own = self.store.find(name, self._wall_ms())
        if own is None:
            self._look_at(name, now + self._interval())
            return
        said = self.words(answers, name)
        belongs = self._own in owners
        counted = count([*said, Word(self._own, own)] if belongs else said)
        newest = counted.newest
        if newest is not None and belongs:
            self._learn(own, newest, should_yield(own, counted, len(owners), len(said) + 1), now)
        own = self.store.find(name, self._wall_ms()) or own
        late = behind(said, own)
        if not (belongs or late) and len(said) == len(owners):
            self.store.drop(name)
            self.counted["name-handed-over"] += 1
            return
        self._asking.put(late, own.raw, now)
        self._look_at(name, now + self._interval())

    def _learn(self, own: SignedRecord, newest: SignedRecord, yields: bool, now: float) -> None:
        if newest.record.signing_key == own.record.signing_key:
            self.store.keep(newest, "", now, self._wall_ms())
        elif yields:
            self.store.overrule(newest, "", now)
            self.counted["name-outvoted"] += 1

    # Parts

    def _take_up(self, peer: Peer, sender: str, number: int, signed: SignedRecord, now: float) -> None:
        """A name that is new here: is there room, and does it belong here?"""
        verdict = self.store.admit(signed.record, sender, now)
        if verdict is Verdict.KEPT and self._placing >= self._limits.puts_waiting:
            verdict = Verdict.BUSY
        if verdict is not Verdict.KEPT:
            self._asking.say(peer, self._kept(number, verdict, signed))
            return

        def placed(owners: Sequence[Peer], now: float) -> None:
            self._placing -= 1
            verdict = self._placed(owners, signed, sender, now)
            self._asking.say(peer, self._kept(number, verdict, signed))

        self._placing += 1
        self._asking.find(place_of_name(signed.record.name), now, placed)

    def _placed(self, owners: Sequence[Peer], signed: SignedRecord, sender: str, now: float) -> Verdict:
        if not owners:
            return Verdict.BUSY
        return self._keep(signed, sender, now) if self._own in owners else Verdict.ELSEWHERE

    def _admit_and_keep(self, signed: SignedRecord, sender: str, now: float) -> Verdict:
        if self.store.is_new(signed.record, self._wall_ms()):
            verdict = self.store.admit(signed.record, sender, now)
            if verdict is not Verdict.KEPT:
                return verdict
        return self._keep(signed, sender, now)

    def _keep(self, signed: SignedRecord, sender: str, now: float) -> Verdict:
        verdict = self.store.keep(signed, sender, now, self._wall_ms())
        name = signed.record.name
        if verdict is Verdict.KEPT and name not in self._looks:
            self._look_at(name, now + self._interval() * (0.5 + self._spread(name) / 2))
        return verdict

    def _kept(self, number: int, verdict: Verdict, signed: SignedRecord | None) -> NameKept:
        if verdict is not Verdict.KEPT:
            self.counted[f"name-put-{verdict.name.lower()}"] += 1
        shown = verdict in (Verdict.TAKEN, Verdict.STALE) and signed is not None
        held = self.store.find(signed.record.name, self._wall_ms()) if shown and signed else None
        return NameKept(number, verdict, held.raw if held else b"")

    def _held(self, message: GetName) -> NameHeld:
        held = self.store.find(message.name, self._wall_ms())
        return NameHeld(message.number, held.raw if held else b"")

    def _interval(self) -> float:
        """Seconds between two looks at a name."""
        return max(self._limits.repair, len(self.store) / self._limits.look_rate)

    def _spread(self, name: str) -> float:
        """Where within an interval a name has its turn here: anywhere, but for other replicas elsewhere."""
        return float((place_of_name(name) ^ self._own.place) / RING_SIZE)
