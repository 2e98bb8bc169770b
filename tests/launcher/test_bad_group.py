"""A launched swarm with groups that do harm: it says so, carries it into its workers, and keeps its load honest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cicada.commands import GetPeers, LoadResult, Peers, RunLoad
from launcher.load.text import load_lines
from launcher.output import peer_lines, status_lines
from tests.launcher.swarms import RunningSwarm, config, free_ports, running

HONEST, ALTERING, DROPPING = 10, 4, 2


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwarm]:
    first = free_ports(HONEST + ALTERING + DROPPING)
    groups = f"""
        [[group]]
        name = "altering"
        count = {ALTERING}
        address = "127.0.0.1:{first + HONEST}"
        behaviour = "alter"

        [[group]]
        name = "dropping"
        count = {DROPPING}
        address = "127.0.0.1:{first + HONEST + ALTERING}"
        behaviour = "drop"
        behaviour_share = "50%"

        [delivery]
        direct = false
    """
    made = config(HONEST, first_port=first, extra=groups)
    with running(made, tmp_path_factory.mktemp("runs") / "run") as made_swarm:
        yield made_swarm


def test_status_and_peers_say_who_does_harm(swarm: RunningSwarm) -> None:
    status = swarm.status()
    assert status.ring_proven
    assert status.harmful == {"alter": ALTERING, "drop 50%": DROPPING}
    assert any("harmful" in line and "4 alter" in line for line in status_lines(status))
    rows = swarm.ask(GetPeers(select="all"), Peers).rows
    assert {row.name.partition("-")[0]: row.behaviour for row in rows} == {
        "core": "",
        "altering": "alter",
        "dropping": "drop 50%",
    }
    assert sum("(alter)" in line for line in peer_lines(Peers(rows=rows))) == ALTERING


@pytest.mark.prove
def test_a_load_goes_between_honest_peers_and_says_what_became_of_copies(swarm: RunningSwarm) -> None:
    result = swarm.ask(RunLoad(rate=40.0, count=120, duplicates=3, timeout=20.0), LoadResult, 60.0)
    assert result.delivered == result.sent == 120
    assert (result.altered, result.duplicated, result.wrong_peer, result.acknowledged_lost) == (0, 0, 0, 0)
    assert sum(result.copies.values()) >= 4 * 120
    assert result.copies["altered"] > 0, "they do alter"
    assert any(line.startswith("  copies ") and "altered" in line for line in load_lines(result))


def test_a_load_within_a_group_is_refused_where_nobody_may_send(swarm: RunningSwarm) -> None:
    assert "keep to the rules are in core" in swarm.refusal(RunLoad(rate=10.0, count=1, group="altering"))
    assert swarm.ask(RunLoad(rate=50.0, count=10, group="core"), LoadResult).sent == 10
