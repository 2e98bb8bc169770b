"""``[load]`` and ``[[threshold]]``: what may be written, what it means, and what is said when it means nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import RunLoad, Stage, Threshold
from cicada.config import parse_config, to_toml
from cicada.config.loader import LOAD_FILE, load_from, parse_as
from cicada.config.overrides import Override
from cicada.config.quantities import bytes_in, rates_in, seconds_in, sizes_in, targets_in, weights_in
from cicada.errors import ConfigErrors, Misuse
from launcher.verbs.load import _whole

SWARM = """[swarm]
name = "small"
seed = 9

[[group]]
name = "core"
count = 3
address = "127.0.0.1:20000"

"""


def command(text: str) -> RunLoad | None:
    return parse_config(SWARM + text).load_command


def problems(text: str) -> list[str]:
    """Where from the first line of the text on, and what."""
    with pytest.raises(ConfigErrors) as caught:
        parse_config(SWARM + text, file="f")
    above = SWARM.count("\n")
    return [f"{(error.line or 0) - above}:{error.column} {error.problem}" for error in caught.value.errors]


def test_without_a_load_there_is_none_and_with_an_empty_one_it_has_the_defaults_and_the_swarms_seed() -> None:
    assert command("") is None
    assert command("[load]") == RunLoad(seed=9)


def test_everything_may_be_written_as_people_write_it() -> None:
    text = """
    [load]
    payload = "64..1KiB"
    duplicates = 2
    ordered = true
    ops = { send = 80, lookup = 15, broadcast = 5 }
    warmup = "5s"
    targets = "zipf:1.2"
    group = "core"
    seed = 3
    timeout = "250ms"

    [[load.stage]]
    rate = 100
    duration = "1m"

    [[load.stage]]
    rate = "100..500"
    duration = 30

    [[threshold]]
    that = "send.p99 < 50ms"
    abort_on_fail = true
    after = "10s"

    [[threshold]]
    that = "delivered.rate >= 0.999"
    """
    assert command(text) == RunLoad(
        payload=64,
        payload_max=1024,
        duplicates=2,
        ordered=True,
        ops={"send": 80.0, "lookup": 15.0, "broadcast": 5.0},
        warmup=5.0,
        targets="zipf",
        skew=1.2,
        group="core",
        seed=3,
        timeout=0.25,
        stages=(Stage(60.0, 100.0, 100.0), Stage(30.0, 100.0, 500.0)),
        thresholds=(
            Threshold("send.p99 < 50ms", abort_on_fail=True, after=10.0),
            Threshold("delivered.rate >= 0.999"),
        ),
    )
    config = parse_config(SWARM + text)
    assert parse_config(to_toml(config)) == config, "the resolved configuration is another"


def test_a_closed_load_has_users() -> None:
    text = '[load]\nmodel = "closed"\nusers = 50\nthink = "100ms"\nduration = "30s"'
    assert command(text) == RunLoad(seed=9, model="closed", users=50, think=0.1, duration=30.0)


def test_every_mistake_is_reported_where_it_stands() -> None:
    text = """[load]
rat = 5
payload = "3 parsecs"
ops = { sned = 1 }
model = "opne"
targets = "pareto"
timeout = "soon"

[[load.stage]]
rate = "fast"
duration = "1s"
durration = 3

[[threshold]]
that = "send.p98 < 50ms"
abort = true
"""
    assert problems(text) == [
        "2:1 load.rat: unknown key: did you mean 'rate'?",
        "3:11 load.payload: '3 parsecs' is not a size: write 256B, 4KiB or 1MiB",
        "4:7 load.ops: there is no operation 'sned': did you mean 'send'?",
        '5:9 load.model: expected one of "open", "closed", got "opne": did you mean \'open\'?',
        "6:11 load.targets: 'pareto' says not how targets are chosen: write uniform, zipf or zipf:1.2",
        '7:11 load.timeout: expected a time such as "10s", "250ms" or "2m", got "soon"',
        "10:8 load.stage[0].rate: 'fast' is not a rate: write 200, or 100..500 for a ramp",
        "12:1 load.stage[0].durration: unknown key: did you mean 'duration'?",
        "15:8 threshold[0].that: there is no figure 'send.p98': did you mean 'send.p99'?",
        "16:1 threshold[0].abort: unknown key: there is that, abort_on_fail, after",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[load]\nduration = 5\nwarmup = 7", "3:10 load.warmup: a warm-up of 7 s"),
        ('[load]\nrate = 5\nmodel = "closed"', "3:9 load.model: a closed load has no rate"),
        ("[load]\nusers = 5", "2:9 load.users: users and think are of the closed model"),
        ("[load]\ncount = 5\nduration = 1", "2:9 load.count: give a count or a duration, not both"),
        ("[load]\npayload = 12", "2:11 load.payload: a payload of 12 bytes"),
        ("[load]\nduplicates = 99", "2:14 load.duplicates: 99 duplicates"),
        ('[load]\ngroup = "edge"', "2:9 load.group: no group is called 'edge': there is core"),
        ("[load]\nrate = 0", "2:8 load.rate: must be more than 0"),
        (
            "[load]\nrate = 5\n[[load.stage]]\nrate = 1\nduration = 1",
            "3:3 load.stage[0]: stages say the rate",
        ),
        ("[load]\nstage = 3", "2:9 load.stage: expected [[load.stage]] tables"),
        ("[load]\n[[load.stage]]\nrate = 1", "2:3 load.stage[0].duration: missing: add duration ="),
        ("[[threshold]]\nafter = 1", "1:3 threshold[0].that: missing: add that ="),
        ('[load]\nrate = "1..2"', "2:8 load.rate: one rate only"),
    ],
)
def test_a_load_that_is_wrong_as_a_whole_is_reported_at_the_value_that_makes_it_so(
    text: str, found: str
) -> None:
    (problem,) = problems(text)
    assert problem.startswith(found)


@pytest.mark.parametrize(
    ("text", "value"),
    [("250ms", 0.25), ("60s", 60.0), ("2m", 120.0), ("1.5h", 5400.0), ("3", 3.0), ("5us", 5e-6)],
)
def test_times_have_units(text: str, value: float) -> None:
    assert seconds_in(text) == pytest.approx(value)


@given(
    st.integers(0, 10**6), st.sampled_from([("B", 1), ("", 1), ("KiB", 1024), ("MiB", 1024**2), ("kB", 1000)])
)
def test_sizes_have_units(number: int, unit: tuple[str, int]) -> None:
    name, factor = unit
    assert bytes_in(f"{number}{name}") == number * factor
    assert sizes_in(f"{number} {name}") == (number * factor, number * factor)
    assert sizes_in(f"1..{number}{name}") == (1, number * factor)


def test_rates_weights_and_targets_are_read() -> None:
    assert (rates_in("200"), rates_in("5/s"), rates_in("0..7.5")) == ((200.0, 200.0), (5.0, 5.0), (0.0, 7.5))
    assert weights_in("send=80, lookup=15") == {"send": 80.0, "lookup": 15.0}
    assert (targets_in("uniform"), targets_in("zipf"), targets_in("zipf:0.9")) == (
        *(("uniform", 1.0), ("zipf", 1.0)),
        ("zipf", 0.9),
    )


@given(st.text(max_size=12))
def test_no_text_makes_a_parser_fail_otherwise_than_with_what_to_write(text: str) -> None:
    for parser in (seconds_in, bytes_in, sizes_in, rates_in, weights_in, targets_in):
        try:
            parser(text)
        except Misuse as error:
            said = str(error)
        else:
            continue
        assert "write" in said


_ENDLESS = "9" * 400


@pytest.mark.parametrize(
    "line",
    [
        "rate = 1e308",
        *(
            f"{key} = {_ENDLESS}"
            for key in ("rate", "duration", "count", "payload", "seed", "users", "think")
        ),
        *(f'{key} = "{_ENDLESS}"' for key in ("rate", "duration", "payload", "timeout")),
        f'stage = ["{_ENDLESS[:308]}:10s"]',
        f"stage = [{{ rate = {_ENDLESS}, duration = 1 }}]",
        f"ops = {{ send = {_ENDLESS} }}",
        "ops = { send = 1e308, lookup = 1e308 }",
    ],
)
def test_a_number_beyond_all_bounds_is_one_clear_message(line: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_as(LOAD_FILE, f'[load]\nmodel = "{"closed" if "think" in line else "open"}"\n{line}\n')
    assert {error.line for error in raised.value.errors} == {3}


@pytest.mark.parametrize("digits", [40, 400, 5000])
@pytest.mark.parametrize("key", ["count", "seed", "users", "duplicates"])
def test_an_option_with_too_many_digits_is_one_clear_message(key: str, digits: int) -> None:
    option = Override(flag=f"--{key}", keys=("load", key), value=_whole("9" * digits))
    with pytest.raises(ConfigErrors, match=f"--{key}"):
        load_from(None, [option])
