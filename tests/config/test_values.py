"""A configuration that is right becomes one immutable value, and comes back from its own TOML."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.config import Config, load_config, parse_config, to_toml
from cicada.errors import ConfigError, ConfigErrors, Misuse
from cicada.limits import RING, RingLimits

CONFIGS = Path(__file__).parents[2] / "configs"

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).filter(
    lambda name: name not in ("all", "worker", "launcher")
)
POSITIVE = st.floats(min_value=1e-6, max_value=1e6)


def mistakes_in(text: str) -> tuple[ConfigError, ...]:
    try:
        parse_config(text)
    except ConfigErrors as errors:
        return errors.errors
    return ()


@st.composite
def documents(draw: st.DrawFn) -> dict[str, object]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    groups = [
        {
            "name": name,
            "count": draw(st.integers(1, 99)),
            "address": f"127.0.0.{index}:{draw(st.integers(1, 65000))}",
        }
        for index, name in enumerate(names, start=1)
    ]
    swarm: dict[str, object] = {"name": draw(NAMES), "seed": draw(st.integers(0, 2**63 - 1))}
    if draw(st.booleans()):
        swarm["peers_per_worker"] = draw(st.integers(1, 500))
    else:
        swarm["workers"] = draw(st.one_of(st.just("auto"), st.integers(1, 256)))
    return {
        "swarm": swarm,
        "group": groups,
        "peer": {"log_level": draw(st.sampled_from(["debug", "info", "warning", "error"]))},
        "supervision": {"max_restarts": draw(st.integers(0, 99)), "within_s": draw(POSITIVE)},
        "launch": {"waves": draw(st.booleans())},
        "ring": {"group_hosts": draw(st.booleans()), "places_per_host": draw(st.integers(80, 10_000))},
    }


@given(documents())
def test_a_configuration_written_as_toml_reads_back_as_the_same_value(document: dict[str, object]) -> None:
    config = Config.model_validate(document)
    assert parse_config(to_toml(config)) == config


@given(st.text(max_size=300))
def test_any_text_gives_a_configuration_or_its_mistakes_and_nothing_else(text: str) -> None:
    with pytest.raises(ConfigErrors):
        parse_config(text)


@given(st.data())
def test_a_file_with_a_changed_character_gives_positions_within_it(data: st.DataObject) -> None:
    text = (CONFIGS / "swarm-20.toml").read_text()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(codec="utf-8")) + text[at + 1 :]
    lines = changed.replace("\r\n", "\n").split("\n")
    for error in mistakes_in(changed):
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


@pytest.mark.parametrize(("count", "port"), [(20, 20000), (200, 21000), (1000, 22000)])
def test_the_shipped_configurations_are_right_and_below_the_ephemeral_ports(count: int, port: int) -> None:
    config = load_config(CONFIGS / f"swarm-{count}.toml")
    addresses = [address for group in config.groups for _, address in group.peers()]
    assert (config.peer_count, addresses[0]) == (count, f"127.0.0.1:{port}")
    assert addresses[-1] == f"127.0.0.1:{port + count - 1}"
    assert port + count < 32768


def test_hosts_are_not_grouped_unless_a_file_says_so_and_then_all_tables_know() -> None:
    given = "[ring]\ngroup_hosts = true\nplaces_per_host = 1000\n"
    text = (CONFIGS / "swarm-20.toml").read_text()
    assert parse_config(text).ring.limits() == RING
    assert parse_config(given + text).ring.limits() == RingLimits(group_hosts=True, places_per_host=1000)


def test_peers_of_a_group_are_numbered_and_follow_the_first_ones_port() -> None:
    group = load_config(CONFIGS / "swarm-20.toml", counts={"core": 3}).groups[0]
    assert group.peers() == (
        ("core-0", "127.0.0.1:20000"),
        ("core-1", "127.0.0.1:20001"),
        ("core-2", "127.0.0.1:20002"),
    )


def test_a_peer_added_past_the_last_port_is_refused() -> None:
    group = load_config(CONFIGS / "swarm-20.toml").groups[0]
    assert group.address_of(45535) == "127.0.0.1:65535"
    with pytest.raises(Misuse):
        group.address_of(45536)
