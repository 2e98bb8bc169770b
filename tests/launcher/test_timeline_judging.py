"""Whether an expectation holds, from what was seen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cicada.config.timeline import Expect
from launcher.faults.judging import in_words, judge_share, judge_status
from tests.launcher.test_cli_verbs import STATUS


def expect(check: str, **bounds: object) -> Expect:
    return Expect.model_validate({"check": check, **bounds})


@pytest.mark.parametrize(
    ("check", "bounds", "held"),
    [
        ("joined", {"at_least": 20}, True),
        ("joined", {"at_least": 21}, False),
        ("joined", {"at_most": 19}, False),
        ("joined", {"at_least": "100%"}, True),
        ("joined", {"at_most": "99%"}, False),
        ("joined", {"at_least": 10, "at_most": 20}, True),
        ("dead", {"at_most": 0}, True),
        ("dead", {"at_least": "5%"}, False),
        ("restarts", {"at_most": 0}, True),
        ("no_restarts", {}, True),
        ("ring_proven", {}, True),
    ],
)
def test_a_state_is_compared_with_its_bounds(check: str, bounds: dict[str, object], held: bool) -> None:
    calm = replace(STATUS, joined=20, peers=20, dead=0, restarts=0, ring_proven=True)
    assert judge_status(expect(check, **bounds), calm).held is held


def test_a_ring_that_is_not_proven_says_what_is_wrong() -> None:
    wrong = replace(STATUS, ring_proven=False, unproven="of 20 peers: 2 not joined")
    finding = judge_status(expect("ring_proven"), wrong)
    assert finding.found == "not proven: of 20 peers: 2 not joined"
    assert not finding.held
    restarted = judge_status(expect("no_restarts"), STATUS)
    assert (restarted.held, restarted.found) == (False, "2 restarts")


@pytest.mark.parametrize(
    ("right", "tried", "bounds", "held"),
    [
        (20, 20, {}, True),
        (19, 20, {}, False),
        (0, 0, {}, False),
        (19, 20, {"at_least": "95%"}, True),
        (19, 20, {"at_least": 0.96}, False),
        (1, 20, {"at_most": "5%"}, True),
        (2, 20, {"at_most": 0.05}, False),
    ],
)
def test_a_share_is_all_of_it_unless_bounds_say_otherwise(
    right: int, tried: int, bounds: dict[str, object], held: bool
) -> None:
    finding = judge_share(expect("delivered", **bounds), right, tried, "messages delivered")
    assert (finding.held, finding.found) == (held, f"{right} of {tried} messages delivered")


def test_an_expectation_reads_as_a_sentence() -> None:
    assert in_words(expect("joined", at_least="90%", at_most=20, at="30s", within="5s")) == (
        "joined at least 90% at most 20 at 30 s within 5 s"
    )
    assert in_words(expect("lookups")) == "lookups at the end"
