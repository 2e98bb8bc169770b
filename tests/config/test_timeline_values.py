"""``[[fault]]`` and ``[[expect]]``: what may be written, what it means, and what every mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cicada.config import Config, load_config, parse_config, to_toml
from cicada.errors import ConfigErrors
from tests.config.test_values import CONFIGS

SWARM = """\
[swarm]
name = "test"
workers = 2

[[group]]
name = "core"
count = 20
address = "127.0.0.1:20000"

[[group]]
name = "edge"
count = 5
address = "127.0.0.1:20100"

"""

EVERY_VERB = """
[[fault]]
at = "1s"
do = "kill"
select = "core:10%"
for = "5s"
every = "10s"
until = "1m"
hard = false

[[fault]]
at = "2s"
do = "leave"
select = "core-3,core-4"
for = "5s"

[[fault]]
do = "restart"
select = "10%"

[[fault]]
do = "freeze"
select = "worker-1"
for = "1500ms"

[[fault]]
do = "thaw"

[[fault]]
do = "partition"
select = "core:50%"

[[fault]]
do = "delay"
between = ["worker-0", "worker-1"]
by = "100ms"
jitter = "20ms"

[[fault]]
do = "drop"
between = ["all", "all"]
percent = "5%"

[[fault]]
do = "duplicate"
select = "edge"
percent = 2.5

[[fault]]
do = "heal"
between = ["all", "all"]

[[fault]]
do = "crash"
select = "core-1"
actor = "ring"

[[fault]]
do = "add"
select = "edge"
count = 2

[[fault]]
do = "scale"
select = "edge"
count = 5

[[fault]]
do = "churn"
model = "poisson"
select = "core"
failures = 0.5
for = "10s"
until = "2m"

[[fault]]
do = "churn"
model = "pareto"
select = "edge"
lifetime = "60s"
shape = 2.5
until = "2m"
hard = false

[[fault]]
do = "churn"
model = "trace"
file = "day.churn"

[[expect]]
at = "30s"
check = "ring_proven"
within = "20s"

[[expect]]
check = "joined"
at_least = "90%"
at_most = 25

[[expect]]
check = "delivered"
at_least = 0.99
"""


def parsed(text: str) -> Config:
    return parse_config(SWARM + text, file="swarm.toml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        parsed(text)
    return [str(error) for error in raised.value.errors]


def fault(*lines: str) -> str:
    return "\n".join(["[[fault]]", 'at = "1s"', *lines, ""])


def expect(*lines: str) -> str:
    return "\n".join(["[[expect]]", *lines, ""])


def test_every_verb_and_check_reads_as_written_and_comes_back_from_its_own_toml() -> None:
    config = parsed(EVERY_VERB)
    assert parse_config(to_toml(config)) == config
    kill, leave = config.faults[:2]
    assert (kill.at, kill.for_, kill.every, kill.until, kill.hard) == (1.0, 5.0, 10.0, 60.0, False)
    assert leave.select == "core-3,core-4"
    assert config.faults[6].sides == ("worker-0", "worker-1")
    assert config.faults[5].sides == ("core:50%", "")
    assert [config.faults[index].percent for index in (7, 8)] == [5.0, 2.5]
    assert [each.at_least for each in config.expects] == [None, "90%", 0.99]


def test_a_configuration_without_a_timeline_has_an_empty_one() -> None:
    assert (parsed("").faults, parsed("").expects) == ((), ())


def test_the_shipped_chaos_is_right() -> None:
    config = load_config(CONFIGS / "chaos-200.toml")
    assert config.peer_count == 200
    assert {each.do for each in config.faults} >= {"kill", "partition", "freeze", "churn"}


@pytest.mark.parametrize(
    ("lines", "where", "words"),
    [
        (('do = "kil"',), "17:6", "did you mean 'kill'?"),
        (('do = "kill"',), "17:6", 'kill needs select: add select = "core:10%"'),
        (('do = "kill"', 'select = "cor"'), "18:10", "called 'cor': did you mean 'core'?"),
        (('do = "kill"', 'select = "cor:10%"'), "18:10", "called 'cor': did you mean 'core'?"),
        (('do = "kill"', 'select = "core-20"'), "18:10", "core has 20 peers: the last is core-19"),
        (('do = "kill"', 'select = "core-1,edg"'), "18:10", "called 'edg': did you mean 'edge'?"),
        (('do = "kill"', 'select = "worker-1,core-1"'), "18:10", "name workers or peers, not both at once"),
        (('do = "kill"', f'select = "core-{"9" * 5000}"'), "18:10", "no peer to act on is called"),
        (('do = "kill"', 'select = "core"', f"for = {'9' * 400}"), "19:7", "no number is that large"),
        (('do = "kill"', 'select = "worker-2"'), "18:10", "there are 2 workers: the last is worker-1"),
        (('do = "kill"', 'select = "core:150%"'), "18:10", "more than 0% and at most 100%"),
        (('do = "kill"', 'select = "core"', 'every = "5s"'), "19:9", 'every needs an end: add until = "2m"'),
        (
            ('do = "kill"', 'select = "core"', 'until = "5s"'),
            "19:9",
            'until needs a repetition: add every = "20s"',
        ),
        (
            ('do = "kill"', 'select = "core"', 'every = "1s"', 'until = "500ms"'),
            "20:9",
            "must be later than at, which is 1 s",
        ),
        (('do = "kill"', 'select = "core"', 'for = "0s"'), "19:7", "must be more than 0"),
        (('do = "kill"', 'select = "core"', "for = true"), "19:7", 'expected a time such as "10s"'),
        (
            ('do = "kill"', 'select = "core"', 'every = "1ms"', 'until = "10h"'),
            "19:9",
            "more than 10000 times",
        ),
        (
            ('do = "thaw"', 'select = "core"', 'for = "1s"'),
            "19:7",
            "thaw knows no for: it has at, do, select",
        ),
        (('do = "partition"',), "17:6", 'partition needs its sides: add select = "core:50%", or between'),
        (
            ('do = "partition"', 'select = "core"', 'between = ["core", "edge"]'),
            "19:11",
            "select names the sides already",
        ),
        (('do = "partition"', 'between = ["core"]'), "18:11", "expected two selectors such as"),
        (('do = "partition"', 'between = ["core", "egde"]'), "18:11", "did you mean 'edge'?"),
        (('do = "delay"', 'select = "core"'), "17:6", 'delay needs by: add by = "100ms"'),
        (('do = "delay"', 'select = "core"', 'by = "2m"'), "19:6", "at most 60 s; a partition is for ever"),
        (('do = "drop"', 'select = "core"', 'percent = "150%"'), "19:11", "must be at most 100"),
        (('do = "drop"', 'select = "core"', 'percent = "lots"'), "19:11", 'expected a share such as "5%"'),
        (('do = "crash"', 'select = "core"', 'actor = "rign"'), "19:9", "did you mean 'ring'?"),
        (('do = "add"', 'select = "core-1"', "count = 1"), "18:10", "no group 'core-1'"),
        (('do = "add"', 'select = "core"', "count = 0"), "19:9", "must be at least 1"),
        (('do = "churn"',), "17:6", 'churn needs model: add model = "poisson"'),
        (('do = "churn"', 'model = "poison"'), "18:9", "did you mean 'poisson'?"),
        (
            ('do = "churn"', 'model = "poisson"', 'until = "9s"'),
            "17:6",
            "poisson churn needs failures: add failures = 0.2",
        ),
        (
            ('do = "churn"', 'model = "pareto"', 'lifetime = "9s"', 'until = "9s"', "failures = 1"),
            "21:12",
            "pareto churn knows no failures",
        ),
        (
            ('do = "churn"', 'model = "pareto"', 'lifetime = "9s"', 'until = "9s"', "shape = 1"),
            "21:9",
            "must be more than 1",
        ),
        (
            (
                *('do = "churn"', 'model = "poisson"', 'until = "9s"'),
                *("failures = 1", "joins = 1", 'for = "1s"'),
            ),
            "22:7",
            "give one of the two",
        ),
        (
            ('do = "churn"', 'model = "poisson"', 'until = "1h"', "failures = 3"),
            "19:9",
            "more than 10000 times",
        ),
        (
            ('do = "churn"', 'model = "pareto"', 'until = "1h"', 'lifetime = "5s"'),
            "19:9",
            "more than 10000 times",
        ),
        (
            ('do = "churn"', 'model = "trace"', 'file = "x"', 'select = "worker-1"'),
            "20:10",
            "churn is of peers",
        ),
        (('do = "kill"', 'select = "core"', 'evry = "5s"'), "19:1", "did you mean 'every'?"),
    ],
)
def test_a_wrong_fault_is_told_where_and_what_to_write_instead(
    lines: tuple[str, ...], where: str, words: str
) -> None:
    (found,) = mistakes(fault(*lines))
    position, _, problem = found.removeprefix("swarm.toml:").partition(": ")
    assert (position, words in problem) == (where, True), problem


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (('check = "ring_provn"',), "did you mean 'ring_proven'?"),
        ((), 'missing: add check = "ring_proven"'),
        (('check = "joined"',), "joined needs a bound: add at_least = 20"),
        (('check = "ring_proven"', "at_least = 1"), "is true or not: leave at_least out"),
        (('check = "no_restarts"', 'within = "1s"'), "leave within out"),
        (('check = "delivered"', "at_least = 99"), 'a share is at most 1: write "99%", or 0.99'),
        (('check = "delivered"', 'at_least = "101%"'), "a share is at most 100%"),
        (('check = "restarts"', 'at_most = "5%"'), "restarts are counted"),
        (('check = "joined"', "at_least = -1"), "must be at least 0"),
        (('check = "joined"', "at_least = nan"), 'expected a number, or a share such as "99%", got nan'),
        (('check = "joined"', f"at_most = {'9' * 400}"), "expect[0].at_most: no number is that large"),
        (('check = "joined"', 'at_least = "many"'), 'expected a number, or a share such as "99%"'),
        (('check = "joined"', "at_least = 1", 'at = "soon"'), "expected a time such as"),
    ],
)
def test_a_wrong_expectation_is_told_what_to_write_instead(lines: tuple[str, ...], words: str) -> None:
    (found,) = mistakes(expect(*lines))
    assert words in found


def test_all_mistakes_of_a_timeline_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        fault('do = "kill"', 'select = "cor"', 'every = "0s"')
        + fault('do = "drop"')
        + expect('check = "joined"')
    )
    found = [error.split(": ")[1] for error in mistakes(text)]
    assert found == [
        "fault[0].select",
        *("fault[0].every", "fault[0].every"),
        *("fault[1].do", "fault[1].do"),
        "expect[0].check",
    ]


def test_a_peer_that_an_entry_adds_may_be_named() -> None:
    text = fault('do = "add"', 'select = "core"', "count = 1") + fault('do = "kill"', 'select = "core-20"')
    assert parsed(text).faults[1].select == "core-20"


def test_a_trace_stands_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_text(
        SWARM + fault('do = "churn"', 'model = "trace"', 'file = "day.churn"')
    )
    assert load_config(tmp_path / "swarm.toml").faults[0].file == str(tmp_path.resolve() / "day.churn")
