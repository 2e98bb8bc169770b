"""What one node keeps for the swarm, beside a list of all that it was ever told and the rules said plainly."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from cicada.keys.identity import Identity
from cicada.limits import NAMES, NameLimits
from cicada.services.namerecords import SKEW_MS, SignedRecord, rank_of, sign_name
from cicada.services.namestore import NameStore
from cicada.wire.names import Verdict

NOW = 1_790_000_000_000
LEASE_MS = 600_000
PEOPLE = sorted(
    (Identity(bytes([number]) * 32, bytes([number + 100]) * 32) for number in range(1, 5)),
    key=lambda person: rank_of(sign_name(person, "alice", "", "", sequence=0, now_ms=0, expires_ms=0).record),
)
FIRST, SECOND, THIRD, FOURTH = PEOPLE
"""By their rank for the name alice."""


def record(
    person: Identity, name: str = "alice", sequence: int = 1, *, at: int = NOW, release: bool = False
) -> SignedRecord:
    address = "" if release else "10.0.0.2:50000"
    return sign_name(person, name, address, "", sequence=sequence, now_ms=at, expires_ms=at + LEASE_MS)


def store(limits: NameLimits = NAMES) -> NameStore:
    return NameStore(limits)


def test_first_come_first_served_and_only_the_holder_changes_anything() -> None:
    names = store()
    assert names.keep(record(SECOND), "s", 0.0, NOW) is Verdict.KEPT
    assert names.keep(record(FIRST, sequence=9), "s", NAMES.settle, NOW) is Verdict.TAKEN
    assert names.keep(record(FIRST, sequence=9, release=True), "s", NAMES.settle, NOW) is Verdict.TAKEN
    assert names.keep(record(SECOND, sequence=2), "s", 10.0, NOW) is Verdict.KEPT
    assert names.keep(record(SECOND, sequence=1), "s", 10.0, NOW) is Verdict.STALE
    assert names.find("alice", NOW) == record(SECOND, sequence=2)


def test_of_two_at_the_same_time_the_smaller_rank_has_it_whoever_came_first() -> None:
    for order in ((FIRST, SECOND), (SECOND, FIRST)):
        names = store()
        for at, person in enumerate(order):
            names.keep(record(person), "s", at * (NAMES.settle - 0.1), NOW)
        assert names.find("alice", NOW) == record(FIRST)


def test_a_renewal_does_not_open_the_time_again_in_which_rank_decides() -> None:
    names = store()
    names.keep(record(SECOND), "s", 0.0, NOW)
    names.keep(record(SECOND, sequence=2), "s", 100.0, NOW)
    assert names.keep(record(FIRST), "s", 101.0, NOW) is Verdict.TAKEN


def test_a_name_that_was_given_back_is_anybodys_at_once_and_old_records_do_not_bring_it_back() -> None:
    names = store()
    names.keep(record(FIRST), "s", 0.0, NOW)
    names.keep(record(FIRST, sequence=2, release=True), "s", 10.0, NOW)
    assert names.keep(record(FIRST), "s", 10.0, NOW) is Verdict.STALE
    assert names.keep(record(SECOND), "s", 10.0, NOW) is Verdict.KEPT
    assert names.find("alice", NOW) == record(SECOND)


def test_a_lease_ends_to_the_millisecond_and_the_name_is_anothers_after_the_clock_skew() -> None:
    names = store()
    names.keep(record(FIRST), "s", 0.0, NOW)
    end = NOW + LEASE_MS
    assert names.find("alice", end - 1) == record(FIRST)
    assert names.find("alice", end) is None
    rival = record(SECOND, at=end)
    assert names.keep(rival, "s", 1000.0, end + SKEW_MS - 1) is Verdict.TAKEN
    assert names.keep(rival, "s", 1000.0, end + SKEW_MS) is Verdict.KEPT


def test_of_two_records_with_one_sequence_all_keep_the_same() -> None:
    one = record(FIRST)
    other = sign_name(FIRST, "alice", "10.0.0.9:50000", "", sequence=1, now_ms=NOW, expires_ms=NOW + LEASE_MS)
    kept = set()
    for order in ((one, other), (other, one)):
        names = store()
        for signed in order:
            names.keep(signed, "s", 0.0, NOW)
        kept.add(names.find("alice", NOW))
    assert len(kept) == 1


def test_one_key_has_no_more_names_than_its_share() -> None:
    names = store(replace(NAMES, held_by_key=2, key_burst=100))
    for number in range(2):
        assert names.admit(record(FIRST, f"n{number}").record, "s", 0.0) is Verdict.KEPT
        assert names.keep(record(FIRST, f"n{number}"), "s", 0.0, NOW) is Verdict.KEPT
    assert names.admit(record(FIRST, "n2").record, "s", 0.0) is Verdict.FULL
    assert names.keep(record(FIRST, "n2"), "s", 0.0, NOW) is Verdict.FULL
    assert names.admit(record(SECOND, "n2").record, "s", 0.0) is Verdict.KEPT


def test_names_are_not_registered_faster_than_the_rates_of_a_key_and_of_a_sender() -> None:
    names = store(replace(NAMES, key_burst=2, key_rate=0.1, sender_burst=3, sender_rate=1.0))
    asked = [names.admit(record(FIRST, f"n{number}").record, "s", 0.0) for number in range(3)]
    assert asked == [Verdict.KEPT, Verdict.KEPT, Verdict.BUSY]
    assert names.admit(record(SECOND, "m").record, "s", 0.0) is Verdict.BUSY  # the sender's are used up
    assert names.admit(record(SECOND, "m").record, "t", 0.0) is Verdict.KEPT
    assert names.admit(record(FIRST, "n3").record, "s", 10.0) is Verdict.KEPT
    assert names.admit(record(FIRST, "n4").record, "s", 10.0) is Verdict.BUSY


def test_one_sender_fills_half_of_the_store_and_others_always_find_room() -> None:
    names = store(replace(NAMES, held=64, sender_burst=1000, key_burst=1000, held_by_key=1000))
    brought = 0
    while names.admit(record(FIRST, f"n{brought}").record, "flood", 0.0) is Verdict.KEPT:
        names.keep(record(FIRST, f"n{brought}"), "flood", 0.0, NOW)
        brought += 1
    assert brought == 32
    assert names.admit(record(SECOND, "mine").record, "other", 0.0) is Verdict.KEPT


def test_what_is_forgotten_leaves_room() -> None:
    names = store(replace(NAMES, held=4, held_by_key=1, held_share=100))
    for turn in range(20):
        for number, person in enumerate(PEOPLE):
            now_ms = NOW + turn * (LEASE_MS + SKEW_MS)
            signed = record(person, f"n{number}", at=now_ms)
            assert names.keep(signed, f"s{number}", 0.0, now_ms) is Verdict.KEPT
    assert len(names) == 4
    for name in list(names):
        names.drop(name)
    assert names.admit(record(FIRST, "new").record, "s1", 0.0) is Verdict.KEPT


class Keeping(RuleBasedStateMachine):
    """One name at one store, beside its whole history. The model says by it whose the name is, and with which record."""

    def __init__(self) -> None:
        super().__init__()
        self.names = store()
        self.now = 0.0
        self.holder: Identity | None = None
        self.held: SignedRecord | None = None
        self.since = 0.0
        self.sequences = dict.fromkeys(range(len(PEOPLE)), 0)

    @property
    def now_ms(self) -> int:
        return NOW + int(self.now * 1000)

    def lapsed(self) -> bool:
        if self.held is None:
            return True
        wait = 0 if self.held.record.is_release else SKEW_MS
        return self.held.record.expires_ms + wait <= self.now_ms

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.9, 3.0, 60.0, 299.0, 300.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=st.integers(0, 3), step=st.sampled_from([-1, 0, 1]), release=st.booleans())
    def a_record_comes(self, who: int, step: int, release: bool) -> None:
        self.sequences[who] = sequence = max(0, self.sequences[who] + step)
        person = PEOPLE[who]
        signed = record(person, sequence=sequence, at=self.now_ms, release=release)
        verdict = self.names.keep(signed, "s", self.now, self.now_ms)
        assert verdict is self.expected(person, signed)

    def expected(self, person: Identity, signed: SignedRecord) -> Verdict:
        if self.lapsed() or self.held is None:
            return self.take(person, signed)
        if self.holder is person:
            if (signed.record.sequence, signed.raw) < (self.held.record.sequence, self.held.raw):
                return Verdict.STALE
            came_back = self.held.record.is_release and not signed.record.is_release
            self.held, self.since = signed, self.now if came_back else self.since
            return Verdict.KEPT
        if signed.record.is_release:
            return Verdict.TAKEN
        in_time = self.now - self.since < NAMES.settle
        if self.held.record.is_release or (in_time and PEOPLE.index(person) < PEOPLE.index(self.holder)):  # type: ignore[arg-type]
            return self.take(person, signed)
        return Verdict.TAKEN

    def take(self, person: Identity, signed: SignedRecord) -> Verdict:
        self.holder, self.held, self.since = person, signed, self.now
        return Verdict.KEPT

    @precondition(lambda self: self.held is not None)
    @rule()
    def the_name_is_looked_at(self) -> None:
        assert self.names.drop_lapsed("alice", self.now_ms) is self.lapsed()

    @invariant()
    def what_is_shown_is_the_holders_record_while_its_lease_lasts(self) -> None:
        shown = self.names.find("alice", self.now_ms)
        lasts = self.held is not None and self.held.record.expires_ms > self.now_ms
        assert shown == (self.held if lasts else None)


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
