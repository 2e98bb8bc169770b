"""Every peer is counted once in its group, and the worst off are named first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.roster import ENDED, State
from launcher.status.census import Sight, Standing, census, standing, worst

SIGHTS = st.builds(
    Sight,
    name=st.integers(0, 10**6).map(lambda number: f"core-{number}"),
    group=st.sampled_from(["core", "edge", "far"]),
    state=st.sampled_from(State),
    problem=st.sampled_from(["", "did not start: in use"]),
    frozen=st.booleans(),
    seen=st.booleans(),
    joined=st.booleans(),
    restarts=st.integers(0, 9),
)


def sight(name: str = "core-0", state: State = State.JOINED, **fields: object) -> Sight:
    given_fields: dict[str, object] = {"seen": True, "joined": state is State.JOINED, **fields}
    return Sight(name=name, group=name.partition("-")[0], state=state, **given_fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "counted_as"),
    [
        (sight(), Standing.JOINED),
        (sight(joined=False), Standing.JOINING),
        (sight(seen=False), Standing.SUSPECT),
        (sight(frozen=True), Standing.SUSPECT),
        (sight(state=State.LOST), Standing.SUSPECT),
        (sight(state=State.UP), Standing.JOINING),
        (sight(state=State.UP, seen=False), Standing.JOINING),
        (sight(state=State.IDLE), Standing.JOINING),
        (sight(state=State.IDLE, problem="did not start"), Standing.DEAD),
        (sight(state=State.KILLED, frozen=True), Standing.DEAD),
        (sight(state=State.FAILED), Standing.DEAD),
        (sight(state=State.STOPPED), Standing.DEAD),
    ],
)
def test_a_peer_counts_as_what_is_known_of_it(peer: Sight, counted_as: Standing) -> None:
    assert standing(peer) is counted_as


@given(st.lists(SIGHTS, max_size=30))
def test_each_peer_is_counted_once_in_its_own_group(sights: list[Sight]) -> None:
    groups = census(sights)
    assert [group.name for group in groups] == list(dict.fromkeys(s.group for s in sights))
    for group in groups:
        members = [s for s in sights if s.group == group.name]
        assert group.peers == len(members)
        assert group.joined + group.joining + group.suspect + group.dead == group.peers
        assert group.restarts == sum(s.restarts for s in members)


@given(st.lists(SIGHTS, max_size=30, unique_by=lambda s: s.name), st.integers(0, 5))
def test_only_so_many_are_named_and_never_one_that_was_told_to_end(sights: list[Sight], most: int) -> None:
    named = worst(sights, most)
    assert len(named) <= most
    told = {s.name for s in sights if s.state in ENDED - {State.FAILED} and not s.problem}
    assert told.isdisjoint(text.partition(":")[0] for text in named)


def test_those_that_gave_up_come_before_those_in_doubt_and_those_that_were_restarted() -> None:
    sights = [
        sight("core-0"),
        sight("core-1", restarts=2),
        sight("core-2", seen=False),
        sight("core-3", State.FAILED, problem="gave up: too many restarts"),
        sight("core-4", State.LOST),
        sight("core-5", State.UP, joined=False, problem="no answer from the seed"),
        sight("core-6", frozen=True, restarts=1),
    ]
    assert worst(sights, 9) == (
        "core-3: gave up: too many restarts",
        "core-6: stands still, 1 restart",
        "core-2: does not answer",
        "core-4: its worker ended and is coming back",
        "core-5: no answer from the seed",
        "core-1: 2 restarts",
    )
    assert worst(sights, 1) == ("core-3: gave up: too many restarts",)
