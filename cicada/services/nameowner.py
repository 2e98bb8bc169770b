"""The names that this peer holds itself: it registers them, renews each at half of its lease, and gives them back."""

from __future__ import annotations

from collections import Counter
from typing import Final

from cicada.errors import Misuse, PeerFault
from cicada.ids import Peer
from cicada.keys.identity import Identity
from cicada.keys.memory import WallClock
from cicada.limits import NameLimits
from cicada.services.nameasking import Answers, Asking, Owners
from cicada.services.nameio import Lost, Refused, Register, Registered, Released
from cicada.services.namerecords import SignedRecord, normal_name, place_of_name, read_name, sign_name
from cicada.wire.names import NameKept, Verdict

_TRIES: Final = 2  # more of a registration: few replicas answered, or an earlier life of this peer signed a higher sequence
_NO_ANSWER: Final = "no-answer"
_TAKEN: Final = "taken"
_PASSING: Final = frozenset({_NO_ANSWER, "elsewhere"})


class _Own:
    """One name. ``asked`` is the request that waits for its registration; None once that was answered."""

    __slots__ = (
        "asked",
        "doubted_at",
        "is_again",
        "is_registered",
        "is_settled",
        "keepers",
        "lease",
        "name",
        "signed",
        "step",
        "tries",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: int | None = None
        self.lease = 0.0
        self.signed: SignedRecord | None = None
        self.keepers: set[Peer] = set()  # replicas that have said so of this record, in time or not
        self.is_again = False  # it was this peer's before, and so is not given up for want of answers
        self.is_registered = False
        self.is_settled = False  # nobody who registered at the same time can have it any more
        self.doubted_at: float | None = None  # since when most replicas name another
        self.tries = 0
        self.step = 0  # what was begun before the last step is no longer of interest


def _may_pass(entry: _Own, reason: str) -> bool:
    return reason != _TAKEN if entry.is_again else reason in _PASSING and entry.tries < _TRIES


class Owner:
    """This peer's names."""

    def __init__(
        self,
        own: Peer,
        identity: Identity,
        swarm: str,
        wall_ms: WallClock,
        asking: Asking,
        limits: NameLimits,
    ) -> None:
        self._own = own
        self._identity = identity
        self._swarm = swarm
        self._wall_ms = wall_ms
        self._asking = asking
        self._limits = limits
        self._names: dict[str, _Own] = {}
        self._sequence = 0

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def register(self, asked: Register, now: float) -> None:
        """Claim a name, or change the lease of one."""
        try:
            name = normal_name(asked.name)
        except Misuse:
            self._refuse(asked.request, "name-invalid")
            return
        if not self._limits.lease_min <= asked.lease <= self._limits.lease_max:
            self._refuse(asked.request, "lease-invalid")
            return
        entry = self._names.get(name)
        if entry is None and len(self._names) >= self._limits.own:
            self._refuse(asked.request, "too-many-names")
            return
        if entry is None:
            entry = self._names[name] = _Own(name)
            entry.is_again = asked.again
        elif (
            asked.again or entry.asked == asked.request
        ):  # the application asked meanwhile, or is asking this already
            return
        elif entry.asked is not None:
            self._refuse(asked.request, "busy")
            return
        entry.asked, entry.lease = None if asked.again else asked.request, asked.lease
        self._renew(entry, now)

    def release(self, name: str, lease: float, now: float) -> None:
        """Give a name back; also one of an earlier machine, whose records may be good for ``lease`` seconds yet. It is signed at
        once: whatever this peer signs of the name from now on counts more."""
        lasts = min(lease, self._limits.lease_max) if lease > 0 else 0.0
        until = self._wall_ms() + int(lasts * 1000)
        last = None
        entry = self._names.pop(name, None)
        if entry is not None:
            self._answer(entry, "released")
            entry.step += 1
            last = entry.signed
            until = max(until, last.record.expires_ms if last else 0)
        release = self._release_of(name, last, until)

        def told(_: Answers[NameKept], __: float) -> None:
            self._asking.outputs.append(Released(name))

        def found(owners: Owners, now: float) -> None:
            if release is not None:
                self._asking.put(owners, release.raw, now, told)

        if release is None:
            told([], now)
        else:
            self._asking.find(place_of_name(name), now, found)

    # A renewal, of which registration is the first

    def _renew(self, entry: _Own, now: float) -> None:
        """Sign a record with a lease that begins now, and bring it to the replicas."""
        now_ms = self._wall_ms()
        entry.signed = sign_name(
            self._identity,
            entry.name,
            self._own.address,
            self._swarm,
            sequence=self._next_sequence(entry.signed),
            now_ms=now_ms,
            expires_ms=now_ms + int(entry.lease * 1000),
        )
        entry.keepers = set()
        self._deposit(entry, now)

    def _next_sequence(self, last: SignedRecord | None) -> int:
        """Above all that this peer signed, and above one that an earlier life of it did."""
        least = max(self._sequence, last.record.sequence if last else 0) + 1
        self._sequence = max(self._wall_ms(), least)
        return self._sequence

    def _deposit(self, entry: _Own, now: float) -> None:
        entry.step += 1
        step, signed = entry.step, entry.signed
        if signed is None:
            return

        def found(owners: Owners, now: float) -> None:
            def late(peer: Peer, answer: NameKept, now: float) -> None:
                self._heard_late(entry, signed, owners, peer, answer, now)

            if step == entry.step:
                self._asking.put(owners, signed.raw, now, kept, late)

        def kept(answers: Answers[NameKept], now: float) -> None:
            if step == entry.step and self._names.get(entry.name) is entry:
                self._settle(entry, signed, answers, now)

        self._asking.find(place_of_name(entry.name), now, found)

    def _settle(self, entry: _Own, signed: SignedRecord, answers: Answers[NameKept], now: float) -> None:
        """The replicas have spoken."""
        verdicts = Counter(answer.verdict for _, answer in answers if answer is not None)
        entry.keepers |= {peer for peer, answer in answers if answer and answer.verdict is Verdict.KEPT}
        silent = sum(answer is None and peer in entry.keepers for peer, answer in answers)
        if 2 * (verdicts[Verdict.KEPT] + silent) > len(answers):
            self._confirmed(entry, signed, now)
        elif self._is_superseded(entry, answers) and entry.tries < _TRIES:
            entry.tries += 1
            self._renew(entry, now)
        elif not entry.is_registered and _may_pass(entry, _reason(verdicts)):
            entry.tries += 1
            self._later(entry, now + self._limits.repair_tries)
        elif not entry.is_registered and entry.is_again:
            self._lose(entry, _reason(verdicts), answers, now)
        elif not entry.is_registered:
            self._give_up(entry, _reason(verdicts), answers, now)
        elif 2 * verdicts[Verdict.TAKEN] > len(answers) and self._is_lost(entry, now):
            self._lose(entry, "taken", answers, now)
        else:
            self._try_again(entry, answers, now)

    def _heard_late(
        self, entry: _Own, signed: SignedRecord, owners: Owners, peer: Peer, answer: NameKept, now: float
    ) -> None:
        """A replica answered when nobody waited for it any more: far away, a first contact may take longer than that."""
        is_held = self._names.get(entry.name) is entry and entry.signed is signed
        if not is_held or answer.verdict is not Verdict.KEPT:
            return
        entry.keepers.add(peer)
        if not entry.is_registered and 2 * len(entry.keepers.intersection(owners)) > len(owners):
            self._confirmed(entry, signed, now)

    def _confirmed(self, entry: _Own, signed: SignedRecord, now: float) -> None:
        is_new, entry.is_registered, entry.tries = not entry.is_registered, True, 0
        entry.is_settled, entry.doubted_at = not is_new, None
        if entry.asked is not None:
            self._asking.outputs.append(Registered(entry.asked, signed.record))
            entry.asked = None
        if is_new:  # somebody may have claimed it at the same time, with the better right
            self._later(entry, now + self._limits.settle + self._limits.ask)
        else:
            until_half = self._lasts(entry) - entry.lease / 2
            self._later(entry, now + min(max(until_half, self._limits.retry), self._limits.refresh))

    def _is_lost(self, entry: _Own, now: float) -> bool:
        """After a partition replicas may change their minds until they agree, so what they say at first is not their word."""
        if not entry.is_settled:
            return True
        if entry.doubted_at is None:
            entry.doubted_at = now
        return now - entry.doubted_at >= self._limits.doubt

    def _try_again(self, entry: _Own, answers: Answers[NameKept], now: float) -> None:
        self._answer(entry, _NO_ANSWER)
        if self._lasts(entry) <= 0:
            self._lose(entry, "expired", answers, now)
        else:
            self._later(entry, now + self._limits.retry)

    def _later(self, entry: _Own, at: float) -> None:
        """Bring the replicas the record again, or the next one when half of its lease is over."""
        entry.step += 1
        step = entry.step

        def due(now: float) -> None:
            if step != entry.step or self._names.get(entry.name) is not entry:
                return
            if self._lasts(entry) <= entry.lease / 2:
                self._renew(entry, now)
            else:
                self._deposit(entry, now)

        self._asking.later(at, due)

    def _lasts(self, entry: _Own) -> float:
        """Seconds for which the record is good."""
        return (entry.signed.record.expires_ms - self._wall_ms()) / 1000 if entry.signed else 0.0

    # Ends

    def _lose(self, entry: _Own, reason: str, answers: Answers[NameKept], now: float) -> None:
        holder = self._holder(answers)
        self._asking.outputs.append(Lost(entry.name, reason, holder.record if holder else None))
        self._give_up(entry, reason, answers, now)

    def _give_up(self, entry: _Own, reason: str, answers: Answers[NameKept], now: float) -> None:
        """The name is somebody else's, or nobody's. Replicas that may have taken the record hear that it is void."""
        del self._names[entry.name]
        self._answer(entry, reason, self._holder(answers))
        entry.step += 1
        took = tuple(peer for peer, answer in answers if answer is None or answer.verdict is Verdict.KEPT)
        release = self._release_of(
            entry.name, entry.signed, entry.signed.record.expires_ms if entry.signed else 0
        )
        if release is not None:
            self._asking.put(took, release.raw, now)

    def _release_of(self, name: str, last: SignedRecord | None, until_ms: int) -> SignedRecord | None:
        """A release counts as long as any record that it makes void might; None: there is none."""
        now_ms = self._wall_ms()
        if until_ms <= now_ms:
            return None
        return sign_name(
            self._identity,
            name,
            "",
            self._swarm,
            sequence=self._next_sequence(last),
            now_ms=now_ms,
            expires_ms=until_ms,
        )

    def _answer(self, entry: _Own, reason: str, holder: SignedRecord | None = None) -> None:
        if entry.asked is not None:
            self._refuse(entry.asked, reason, holder)
            entry.asked = None

    def _refuse(self, request: int, reason: str, holder: SignedRecord | None = None) -> None:
        self._asking.outputs.append(Refused(request, reason, holder.record if holder else None))

    # What replicas show

    def _is_superseded(self, entry: _Own, answers: Answers[NameKept]) -> bool:
        """Whether this key has signed a higher sequence: in an earlier life, by a clock that was ahead. It is exceeded then."""
        found = False
        for signed in self._shown(answers):
            own = entry.signed
            if own and signed.record.signing_key == own.record.signing_key and signed.age > own.age:
                entry.signed = signed
                found = True
        return found

    def _holder(self, answers: Answers[NameKept]) -> SignedRecord | None:
        rivals = (
            signed
            for signed in self._shown(answers)
            if signed.record.signing_key != self._identity.signing_public
        )
        return next(rivals, None)

    def _shown(self, answers: Answers[NameKept]) -> list[SignedRecord]:
        shown = []
        for _, answer in answers:
            if answer is not None and answer.record:
                try:
                    shown.append(read_name(answer.record, self._wall_ms(), self._swarm))
                except PeerFault:
                    continue
        return shown


def _reason(verdicts: Counter[Verdict]) -> str:
    """Why a registration failed: what says most about it."""
    for verdict in (
        Verdict.TAKEN,
        Verdict.FULL,
        Verdict.BUSY,
        Verdict.ELSEWHERE,
        Verdict.INVALID,
        Verdict.STALE,
    ):
        if verdicts[verdict]:
            return verdict.name.lower()
    return _NO_ANSWER
