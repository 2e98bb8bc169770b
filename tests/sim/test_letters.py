"""The book of a simulation's messages equals a naive count of what happened."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cicada.sim.letters import MIN_PAYLOAD, Letters
from cicada.sim.names import peer_number

ONE, OTHER, THIRD = (peer_number(number) for number in range(3))


def test_a_letter_is_as_long_as_asked_and_says_from_whom_to_whom() -> None:
    letters = Letters(7, 200)
    first, second = letters.write(ONE, OTHER), letters.write(OTHER, THIRD)
    assert (len(first), len(Letters(7).write(ONE, OTHER))) == (200, MIN_PAYLOAD)
    found = letters.read(second)
    assert found is not None
    assert found.number == 1
    assert (found.origin, found.target) == tuple(peer.place.to_bytes(32, "big") for peer in (OTHER, THIRD))


@given(st.integers(0, MIN_PAYLOAD - 1), st.integers(1, 255))
def test_whatever_byte_is_changed_the_letter_counts_as_altered(at: int, flip: int) -> None:
    letters = Letters(7)
    payload = bytearray(letters.write(ONE, OTHER))
    payload[at] ^= flip
    letters.arrived(OTHER, ONE, bytes(payload))
    assert letters.wrong == {"altered": 1}


def test_letters_of_another_run_are_forged_here() -> None:
    letters = Letters(7)
    letters.write(ONE, OTHER)
    letters.arrived(OTHER, ONE, Letters(8).write(ONE, OTHER))
    letters.arrived(OTHER, ONE, b"")
    assert letters.wrong == {"altered": 2}


def test_a_letter_at_the_wrong_peer_or_in_the_wrong_name_is_noticed() -> None:
    letters = Letters(7)
    payload = letters.write(ONE, OTHER)
    letters.arrived(THIRD, ONE, payload)
    letters.arrived(OTHER, THIRD, payload)
    letters.settled(payload, acknowledged=True)
    assert letters.wrong == {"wrong-peer": 1, "wrong-origin": 1}
    assert (letters.delivered, letters.lost) == (0, 1)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["arrive", "fail", "acknowledge"])), max_size=200)
)
def test_the_account_is_that_of_a_naive_count(happened: list[tuple[int, str]]) -> None:
    letters = Letters(3)
    payloads = [letters.write(ONE, OTHER) for _ in range(31)]
    arrived: Counter[int] = Counter()
    settled: set[int] = set()
    acknowledged: set[int] = set()
    for number, what in happened:
        if what == "arrive":
            letters.arrived(OTHER, ONE, payloads[number])
            arrived[number] += 1
        else:
            letters.settled(payloads[number], acknowledged=what == "acknowledge")
            settled.add(number)
            acknowledged |= {number} if what == "acknowledge" else set()
    assert letters.delivered == len(settled & arrived.keys())
    assert letters.lost == len(acknowledged - arrived.keys())
    assert letters.wrong["twice"] == sum(times - 1 for times in arrived.values())
