"""What follows a handshake: each counter once, in order or within a window, and never in a forked process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cicada.errors import Misuse, PeerFault
from cicada.keys import ciphers
from cicada.keys.ciphers import LinkCipher, ReplayWindow, SessionCipher
from cicada.limits import KEYS
from tests.keys.parties import secret, state_of

ROOT: Final = Path(__file__).parents[2]
WINDOW: Final = KEYS.replay_window


def session() -> tuple[SessionCipher, SessionCipher]:
    return SessionCipher(secret("a"), secret("b")), SessionCipher(secret("b"), secret("a"))


def link() -> tuple[LinkCipher, LinkCipher]:
    a, b, proof_a, proof_b = map(secret, ("a", "b", "proof a", "proof b"))
    return LinkCipher(a, b, proof_a, proof_b), LinkCipher(b, a, proof_b, proof_a)


def refused(reason: str, opening: Callable[..., object], *frame: object) -> None:
    with pytest.raises(PeerFault) as caught:
        opening(*frame)
    assert caught.value.reason == reason


class WindowAgainstASet(RuleBasedStateMachine):
    """The window, and a set that remembers every counter for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.window = ReplayWindow()
        self.seen: set[int] = set()

    @property
    def highest(self) -> int:
        return max(self.seen, default=0)

    @rule(offset=st.integers(-WINDOW - 3, 3) | st.sampled_from([-WINDOW - 1, -WINDOW, -WINDOW + 1, -1, 0, 1]))
    def present_near_the_highest(self, offset: int) -> None:
        self.present(max(1, self.highest + offset))

    @rule(step=st.integers(1, 3 * WINDOW) | st.sampled_from([WINDOW - 1, WINDOW, WINDOW + 1, 1 << 31]))
    def jump_ahead(self, step: int) -> None:
        self.present(self.highest + step)

    @rule(data=st.data())
    def present_again(self, data: st.DataObject) -> None:
        if self.seen:
            self.present(data.draw(st.sampled_from(sorted(self.seen))))

    def present(self, counter: int) -> None:
        before = state_of(self.window)
        if counter <= self.highest - WINDOW:
            refused("too-old", self.window.check, counter)
        elif counter in self.seen:
            refused("replayed", self.window.check, counter)
        else:
            self.window.check(counter)
            assert state_of(self.window) == before
            self.window.mark(counter)
            self.seen.add(counter)
            return
        assert state_of(self.window) == before

    @invariant()
    def it_agrees_about_the_edges(self) -> None:
        for counter in (self.highest, self.highest - WINDOW + 1, self.highest - WINDOW):
            if counter >= 1:
                self.is_fresh(counter)

    @invariant()
    def it_stays_small(self) -> None:
        assert sys.getsizeof(0) + WINDOW // 7 > max(
            map(sys.getsizeof, cast("list[int]", state_of(self.window)))
        )

    def is_fresh(self, counter: int) -> None:
        try:
            self.window.check(counter)
        except PeerFault:
            assert counter in self.seen or counter <= self.highest - WINDOW
        else:
            assert counter not in self.seen


TestWindowAgainstASet = WindowAgainstASet.TestCase
TestWindowAgainstASet.settings = settings(max_examples=60, stateful_step_count=40)


# Sessions.


@given(st.data())
def test_frames_that_are_overtaken_and_doubled_are_opened_once_each(data: st.DataObject) -> None:
    ours, theirs = session()
    sent = [ours.seal(b"header", bytes([number])) for number in range(12)]
    order = data.draw(st.lists(st.sampled_from(sent), max_size=40))
    opened: dict[int, bytes] = {}
    for counter, sealed in [*order, *sent]:
        if counter in opened:
            refused("replayed", theirs.open, counter, b"header", sealed)
        else:
            opened[counter] = theirs.open(counter, b"header", sealed)
    assert [opened[counter] for counter, _ in sent] == [bytes([number]) for number in range(12)]
    assert theirs.received == ours.sent == 12


def test_no_counter_is_sealed_twice() -> None:
    ours, _ = session()
    assert [ours.seal(b"", b"text")[0] for _ in range(1000)] == list(range(1, 1001))


def test_a_session_whose_counters_are_used_up_refuses_to_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers, "KEYS", msgspec.structs.replace(KEYS, session_frames=3))
    ours, theirs = session()
    frames = [ours.seal(b"", b"text") for _ in range(3)]
    for _ in range(2):
        with pytest.raises(Misuse, match="used up"):
            ours.seal(b"", b"text")
    assert [theirs.open(counter, b"", sealed) for counter, sealed in frames] == [b"text"] * 3
    assert ours.sent == 3


@pytest.mark.parametrize(
    "counter", [0, -1, KEYS.session_frames + 1, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 200]
)
def test_a_counter_that_no_session_has_is_refused_and_changes_nothing(counter: int) -> None:
    ours, theirs = session()
    first, second = ours.seal(b"", b"text"), ours.seal(b"", b"text")
    theirs.open(first[0], b"", first[1])
    before = state_of(theirs)
    refused("counter", theirs.open, counter, b"", second[1])
    assert state_of(theirs) == before


def test_what_was_not_sealed_for_it_moves_no_window() -> None:
    ours, theirs = session()
    counter, sealed = ours.seal(b"header", b"text")
    before = state_of(theirs)
    for forged in (
        (counter + 1, b"header", sealed),
        (KEYS.session_frames, b"header", sealed),
        (counter, b"other", sealed),
        (counter, b"header", sealed[:-1]),
        (counter, b"header", b""),
        (counter, b"header", theirs.seal(b"header", b"text")[1]),
    ):
        refused("seal", theirs.open, *forged)
    theirs = session()[1]
    assert state_of(theirs) == before
    assert theirs.open(counter, b"header", sealed) == b"text"


def test_a_frame_older_than_the_window_is_refused_though_it_was_never_seen() -> None:
    ours, theirs = session()
    frames = [ours.seal(b"", b"text") for _ in range(WINDOW + 1)]
    theirs.open(frames[-1][0], b"", frames[-1][1])
    refused("too-old", theirs.open, frames[0][0], b"", frames[0][1])
    assert theirs.open(frames[1][0], b"", frames[1][1]) == b"text"


# Links.


def test_each_direction_of_a_link_opens_what_the_other_side_sealed_and_nothing_else() -> None:
    ours, theirs = link()
    for counter in (1, 2, 7):
        for one, other in ((ours, theirs), (theirs, ours)):
            sealed = one.seal(counter, b"header", b"text")
            assert len(sealed) == len(b"text") + LinkCipher.overhead
            assert other.open(counter, b"header", sealed) == b"text"
            for forged in (
                (counter + 1, b"header", sealed),
                (counter, b"head", sealed),
                (counter, b"header", b""),
            ):
                refused("seal", other.open, *forged)
            refused("seal", one.open, counter, b"header", sealed)


@pytest.mark.parametrize("which", [0, 1], ids=["dialler", "dialled"])
def test_rekeying_changes_one_direction_and_both_sides_follow(which: int) -> None:
    sides = link()
    one, other = sides[which], sides[1 - which]
    before = [one.seal(counter, b"", b"text") for counter in (1, 2)]
    back = other.seal(1, b"", b"back")
    assert other.open(1, b"", before[0]) == b"text"
    one.rekey_seal()
    early = one.seal(3, b"", b"text")
    refused("seal", other.open, 3, b"", early)
    assert other.open(2, b"", before[1]) == b"text"
    other.rekey_open()
    refused("seal", other.open, 2, b"", before[1])
    assert other.open(3, b"", early) == b"text"
    assert one.open(1, b"", back) == b"back"


def test_rekeying_many_times_in_both_directions_keeps_the_link() -> None:
    ours, theirs = link()
    seen = set()
    for counter in range(1, 20):
        for one, other in ((ours, theirs), (theirs, ours)):
            one.rekey_seal()
            other.rekey_open()
            sealed = one.seal(counter, b"", bytes(16))
            seen.add(sealed)
            assert other.open(counter, b"", sealed) == bytes(16)
    assert len(seen) == 38


def test_proofs_have_keys_of_their_own_that_rekeying_leaves_alone() -> None:
    ours, theirs = link()
    proof, frame = ours.seal_proof(1, b"", b"challenge"), ours.seal(1, b"", b"challenge")
    refused("seal", theirs.open, 1, b"", proof)
    refused("seal", theirs.open_proof, 1, b"", frame)
    refused("seal", ours.open_proof, 1, b"", proof)
    ours.rekey_seal()
    theirs.rekey_open()
    assert theirs.open_proof(1, b"", proof) == b"challenge"
    assert ours.open_proof(1, b"", theirs.seal_proof(1, b"", b"answer")) == b"answer"


@pytest.mark.parametrize("verb", ["seal", "seal_proof"])
@pytest.mark.parametrize("counter", [-1, 0, 1, 4, 5])
def test_a_counter_of_a_link_that_does_not_rise_is_never_sealed(verb: str, counter: int) -> None:
    ours, _ = link()
    sealing = getattr(ours, verb)
    sealing(5, b"", b"text")
    for _ in range(2):
        with pytest.raises(Misuse, match="counters rise"):
            sealing(counter, b"", b"other text")
    ours.rekey_seal()
    with pytest.raises(Misuse, match="counters rise"):
        sealing(counter, b"", b"other text")
    assert sealing(6, b"", b"text")


# Both.


@pytest.mark.parametrize("cipher", [*session(), *link()], ids=repr)
def test_a_cipher_is_neither_copied_nor_pickled_and_shows_no_key(cipher: SessionCipher | LinkCipher) -> None:
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            attempt(cipher)
    printed = f"{cipher!r} {cipher} {[cipher]}"
    keys = [secret(name) for name in ("a", "b", "proof a", "proof b")]
    assert [one for one in keys if one.hex() in printed or repr(one)[2:-1] in printed] == []


FORKING: Final = """
import os, sys
import cicada.actors.host
from cicada.errors import Misuse
from tests.keys.test_ciphers import link, session

made_before = [*session(), *link()]

def seal(cipher, counter):
    return cipher.seal(b"", b"x") if type(cipher).__name__ == "SessionCipher" else cipher.seal(counter, b"", b"x")

def refusals(ciphers):
    count = 0
    for cipher in ciphers:
        try:
            seal(cipher, 2)
        except Misuse as misuse:
            assert "forked" in str(misuse)
            count += 1
    for cipher in ciphers[2:]:
        try:
            cipher.seal_proof(2, b"", b"x")
        except Misuse:
            count += 1
    return count

for cipher in made_before:
    seal(cipher, 1)
child = os.fork()
if not child:
    code = 100
    try:
        made_after = [*session(), *link()]
        code = refusals(made_before) * 10 + refusals(made_after)
        grandchild = os.fork()
        if not grandchild:
            os._exit(refusals(made_before) * 10 + refusals(made_after))
        code = 100 if os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) != 66 else code
    finally:
        os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), refusals(made_before))
"""


def test_a_forked_process_never_seals_with_its_parents_ciphers_but_with_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["60", "0"]
