"""A scenario file says what is done and expected; all its mistakes are told at once, each with its position."""

from __future__ import annotations

import pytest

from cicada.errors import ConfigErrors, Misuse
from cicada.sim.scenario import Scenario, amount_of, bound
from cicada.sim.scenariofile import limited_to, only_case, parse_scenario

MINIMAL = """\
[sim]
name = "small"
duration = "1m"
"""

MISTAKES = """\
[sim]
name = "bad"
duration = "soon"
sedes = 3

[sweep]
over = "peers"
values = [8, 16]
beside = [1.5]

[[fault]]
at = "10s"
do = "kil"

[[fault]]
at = "10s"
do = "freeze"
select = "110%"

[[fault]]
do = "kill"
select = "10%"
for = "3s"

[[expect]]
check = "ideal"
within = "eighteen rounds"

[[expect]]
check = "heads"

[[expect]]
check = "hops"
at_most = [1, 2, 3]

[[expect]]
check = "messages"
"""


def mistakes_in(text: str, *overrides: tuple[str, str]) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_scenario(text, file="bad.toml", overrides=overrides)
    return [str(error) for error in caught.value.errors]


def test_every_mistake_is_told_with_its_position_and_what_would_be_right() -> None:
    assert mistakes_in(MISTAKES) == [
        'bad.toml:3:12: sim.duration: expected a time such as "10s", "250ms" or "2m", got "soon"',
        "bad.toml:4:1: sim.sedes: unknown key: did you mean 'seeds'?",
        "bad.toml:9:10: sweep.beside: there must be one figure for each of the 2 values",
        'bad.toml:13:6: fault[0].do: expected one of "kill", "restart", "vanish", "leave", "freeze", "join", "part", "churn", '
        "got \"kil\": did you mean 'kill'?",
        'bad.toml:17:6: fault[1].do: freeze needs for: add for = "30s"',
        'bad.toml:18:10: fault[1].select: expected a share such as "30%" or a number of peers, got "110%"',
        'bad.toml:20:3: fault[2].at: missing: add at = "10s"',
        "bad.toml:21:6: fault[2].do: kill knows no for: it has at, do, select",
        'bad.toml:27:10: expect[0].within: expected "18 rounds" or a time such as "10s", got "eighteen rounds"',
        'bad.toml:30:9: expect[1].check: heads is reached at some moment: add within = "18 rounds" or within = "10s"',
        "bad.toml:33:9: expect[2].check: hops needs [load] with lookups = 20, which is so many a second",
        "bad.toml:34:11: expect[2].at_most: a list has one figure for each of the 2 values of [sweep], not 3",
        "bad.toml:37:9: expect[3].check: messages needs at_most or at_least, one of the two",
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[sweep]\nover = 'churn'\nvalues = [1]\n", "there is no churn to vary"),
        ("[sweep]\nover = 'peers'\nvalues = []\n", "there must be at least one value"),
        ("[[expect]]\ncheck = 'splits'\nwithin = '3s'\n", "splits is a figure: write at_most or at_least"),
        ("[[expect]]\ncheck = 'splits'\nat_most = 'few'\n", 'expected a number, or a share such as "0.3%"'),
        ("[network]\nlatency = ['1ms', 'long']\n", "network.latency[1]: expected a time"),
        ("[load]\nlookups = -1\n", "must be at least 0, got -1"),
        ("[faults]\nat = '3s'\n", "unknown section: did you mean 'fault'?"),
    ],
)
def test_a_mistake_is_explained(more: str, words: str) -> None:
    assert any(words in mistake for mistake in mistakes_in(MINIMAL + more))


def test_a_wrong_override_names_its_flag() -> None:
    assert mistakes_in(MINIMAL, ("sim.peers", "0")) == [
        "--set sim.peers=0: sim.peers: must be at least 1, got 0"
    ]


def test_times_shares_and_bounds_are_read() -> None:
    text = MINIMAL + "[[fault]]\nat = '250ms'\ndo = 'freeze'\nselect = '10%'\nfor = '1.5m'\n"
    text += "[[expect]]\ncheck = 'splits'\nat_most = '0.3%'\n"
    text += "[[expect]]\ncheck = 'ideal'\nwithin = '18 rounds'\n"
    text += "[[expect]]\ncheck = 'ideal'\nwithin = '2m'\n"
    scenario = parse_scenario(text)
    assert (scenario.sim.duration, scenario.faults[0].at, scenario.settles_from) == (60.0, 0.25, 90.25)
    assert [bound(expect, 0) for expect in scenario.expects] == [0.003, 18.0, 120.0]
    assert [expect.in_rounds for expect in scenario.expects] == [False, True, False]


def test_a_share_is_of_the_peers_there_are_and_at_least_one() -> None:
    assert [amount_of("30%", 1000), amount_of("30%", 2), amount_of(7, 5), amount_of("100%", 9)] == [
        300,
        1,
        5,
        9,
    ]


SWEPT = (
    MINIMAL
    + """\
[sweep]
over = "peers"
values = [8, 16, 32]
beside = [1.5, 2, 2.5]
[load]
lookups = 5
[[expect]]
check = "hops"
at_most = [1, 2, 3]
[[expect]]
check = "failed"
at_most = 0
"""
)


def columns_of(scenario: Scenario) -> list[object]:
    assert scenario.sweep is not None
    return [scenario.cases, scenario.sweep.beside, scenario.expects[0].at_most, scenario.expects[1].at_most]


def test_a_sweep_over_peers_is_limited_to_those_no_larger_with_all_their_columns() -> None:
    scenario = parse_scenario(SWEPT)
    assert columns_of(limited_to(scenario, 20)) == [(8.0, 16.0), (1.5, 2.0), (1.0, 2.0), 0.0]
    assert columns_of(only_case(scenario, 16)) == [(16.0,), (2.0,), (2.0,), 0.0]
    with pytest.raises(Misuse, match="the smallest is 8"):
        limited_to(scenario, 4)
    with pytest.raises(Misuse, match="no case 9: there is 8, 16, 32"):
        only_case(scenario, 9)
    with pytest.raises(Misuse, match="there is no sweep"):
        only_case(parse_scenario(MINIMAL), 9)
