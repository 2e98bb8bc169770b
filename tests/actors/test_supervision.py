"""The decision of a supervisor, by table and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.actors.supervision import (
    Action,
    ChildSpec,
    Escalate,
    Exit,
    History,
    Restart,
    Start,
    Stop,
    Strategy,
    SupervisorSpec,
    decide,
    recorded,
    start_all,
    stop_all,
)
from cicada.errors import Misuse

ALL, REST, ONE = Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ONE


def spec_of(strategy: Strategy, *restarts: Restart, **options: float) -> SupervisorSpec:
    children = tuple(ChildSpec(name="abcdef"[i], restart=restart) for i, restart in enumerate(restarts))
    return SupervisorSpec(
        children=children,
        strategy=strategy,
        max_restarts=int(options.get("max_restarts", 3)),
        within_s=options.get("within_s", 10.0),
        backoff_s=options.get("backoff_s", 0.5),
    )


def text(actions: tuple[Action, ...]) -> str:
    """Actions in short: -a stops a, +a starts a, ! escalates."""
    signs = {Stop: "-", Start: "+", Escalate: "!"}
    return " ".join(signs[type(action)] + action.child for action in actions)


THREE = (Restart.ALWAYS, Restart.ALWAYS, Restart.ALWAYS)


@pytest.mark.parametrize(
    ("strategy", "child", "expected"),
    [
        (ONE, "a", "+a"),
        (ONE, "b", "+b"),
        (REST, "a", "-c -b +a +b +c"),
        (REST, "b", "-c +b +c"),
        (REST, "c", "+c"),
        (ALL, "a", "-c -b +a +b +c"),
        (ALL, "b", "-c -a +a +b +c"),
    ],
)
def test_the_strategy_says_who_is_restarted_with_a_child(
    strategy: Strategy, child: str, expected: str
) -> None:
    end = Exit(child=child, failed=True, reason="boom")
    assert text(decide(spec_of(strategy, *THREE), (), end, 0.0)) == expected


@pytest.mark.parametrize(
    ("restart", "failed", "expected"),
    [
        (Restart.ALWAYS, True, "+a"),
        (Restart.ALWAYS, False, "+a"),
        (Restart.ON_FAILURE, True, "+a"),
        (Restart.ON_FAILURE, False, ""),
        (Restart.NEVER, True, ""),
        (Restart.NEVER, False, ""),
    ],
)
def test_the_child_says_which_exits_call_for_a_restart(restart: Restart, failed: bool, expected: str) -> None:
    spec, end = spec_of(ONE, restart), Exit(child="a", failed=failed, reason="")
    assert text(decide(spec, (), end, 0.0)) == expected
    assert recorded(spec, (), end, 7.0) == ((7.0,) if expected else ())


def test_a_child_that_is_never_restarted_is_not_started_with_its_siblings_either() -> None:
    spec = spec_of(ALL, Restart.ALWAYS, Restart.NEVER, Restart.ON_FAILURE)
    assert text(decide(spec, (), Exit(child="a", failed=True, reason=""), 0.0)) == "-c -b +a +c"


def test_the_back_off_doubles_with_each_restart_within_the_window() -> None:
    spec = spec_of(ONE, Restart.ALWAYS, max_restarts=9, within_s=100.0, backoff_s=0.5)
    end = Exit(child="a", failed=True, reason="")
    history: History = ()
    delays = []
    for _ in range(5):
        (action,) = decide(spec, history, end, 10.0)
        assert isinstance(action, Start)
        delays.append(action.at - 10.0)
        history = recorded(spec, history, end, 10.0)
    assert delays == [0.5, 1.0, 2.0, 4.0, 5.0]  # the last one: half a window, divided among ten


def test_more_restarts_than_allowed_within_the_window_stop_all_and_escalate() -> None:
    spec = spec_of(ONE, *THREE, max_restarts=2)
    actions = decide(spec, (1.0, 2.0), Exit(child="b", failed=True, reason="boom"), 3.0)
    assert text(actions) == "-c -b -a !b"
    assert actions[-1] == Escalate("b", "b failed (boom) after 2 restarts within 10 s")


def test_restarts_before_the_window_are_forgotten() -> None:
    spec = spec_of(ONE, Restart.ALWAYS, max_restarts=2)
    end = Exit(child="a", failed=True, reason="")
    assert text(decide(spec, (1.0, 2.0), end, 11.5)) == "+a"
    assert recorded(spec, (1.0, 2.0), end, 11.5) == (2.0, 11.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"children": (ChildSpec(name="a"), ChildSpec(name="a"))},
        {"children": (), "max_restarts": -1},
        {"children": (), "within_s": 0.0},
        {"children": (), "backoff_s": -0.1},
    ],
)
def test_a_specification_that_makes_no_sense_is_misuse(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        SupervisorSpec(**wrong)  # type: ignore[arg-type]


def test_an_exit_of_a_stranger_is_misuse() -> None:
    with pytest.raises(Misuse, match="no child is called 'z'"):
        decide(spec_of(ONE, *THREE), (), Exit(child="z", failed=True, reason=""), 0.0)


specs = st.builds(
    lambda strategy, restarts, max_restarts, within_s, backoff_s: spec_of(
        strategy, *restarts, max_restarts=max_restarts, within_s=within_s, backoff_s=backoff_s
    ),
    st.sampled_from(Strategy),
    st.lists(st.sampled_from(Restart), min_size=1, max_size=6),
    st.integers(0, 20),
    st.floats(0.01, 1000),
    st.floats(0, 1000),
)


@given(specs, st.data())
def test_a_child_that_fails_at_every_start_always_escalates_and_in_time(
    spec: SupervisorSpec, data: st.DataObject
) -> None:
    child = data.draw(st.sampled_from(spec.children))
    end = Exit(child=child.name, failed=True, reason="")
    history: History = ()
    now, starts = 0.0, 0
    while True:
        actions = decide(spec, history, end, now)
        history = recorded(spec, history, end, now)
        if not actions:
            assert child.restart is Restart.NEVER
            return
        if isinstance(actions[-1], Escalate):
            break
        starts += 1
        now = max(action.at for action in actions if isinstance(action, Start))
    assert starts == spec.max_restarts
    assert now <= spec.within_s / 2 + 1e-9


@given(specs, st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(0, 100)), max_size=40))
def test_every_decision_keeps_its_order_and_its_bounds(
    spec: SupervisorSpec, exits: list[tuple[int, bool, float]]
) -> None:
    names = [child.name for child in spec.children]
    history: History = ()
    now = 0.0
    for index, failed, passed in exits:
        now += passed
        end = Exit(child=names[index % len(names)], failed=failed, reason="r")
        actions = decide(spec, history, end, now)
        stopped = [action.child for action in actions if isinstance(action, Stop)]
        started = [action.child for action in actions if isinstance(action, Start)]
        assert stopped == sorted(stopped, reverse=True)
        assert started == sorted(started)
        kinds = [type(action) for action in actions]
        assert kinds == sorted(kinds, key=[Stop, Start, Escalate].index)
        assert Escalate not in kinds or (not started and stopped == names[::-1])
        assert not started or end.child in started
        assert all(action.at >= now for action in actions if isinstance(action, Start))
        history = recorded(spec, history, end, now)
        assert len(history) <= spec.max_restarts + 1
        assert list(history) == sorted(history)


@given(specs)
def test_children_stop_in_the_reverse_of_their_start_order(spec: SupervisorSpec) -> None:
    assert [action.child for action in stop_all(spec)] == [action.child for action in start_all(spec, 0.0)][
        ::-1
    ]


@given(specs, st.lists(st.floats(0.001, 10), min_size=1, max_size=60))
def test_failures_that_are_rare_enough_never_escalate(spec: SupervisorSpec, gaps: list[float]) -> None:
    if spec.max_restarts == 0:
        return
    end = Exit(child="a", failed=True, reason="")
    history: History = ()
    now = 0.0
    for gap in gaps:
        now += spec.within_s / spec.max_restarts * 1.001 + gap
        assert Escalate not in [type(action) for action in decide(spec, history, end, now)]
        history = recorded(spec, history, end, now)
