"""What a swarm takes of a machine, from its configuration alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.config import parse_config
from cicada.errors import Unavailable
from cicada.limits import ENDPOINT, FOOTPRINT
from cicada.transport.descriptors import budget_of
from launcher.needs import PortRange, descriptors_for, needs_of
from launcher.plan import plan_swarm
from launcher.summary import plan_lines, summarize

TOML = """
[swarm]
name = "s"
peers_per_worker = 15
key_file = "swarm.key"

[[group]]
name = "core"
count = 30
address = "127.0.0.1:20000"

[[group]]
name = "edge"
count = 10
address = "[::1]:30000"
"""


def test_processes_ports_and_memory_follow_from_the_plan() -> None:
    config = parse_config(TOML)
    needs = needs_of(config, plan_swarm(config, 2))
    assert (needs.peers, needs.workers, needs.fullest_worker, needs.processes) == (40, 3, 14, 6)
    assert needs.ports == (
        PortRange(group="core", host="127.0.0.1", first=20000, last=20029),
        PortRange(group="edge", host="::1", first=30000, last=30009),
    )
    more = needs_of(config, plan_swarm(config, 2)).memory_bytes - FOOTPRINT.launcher_bytes
    assert more == 3 * FOOTPRINT.worker_bytes + 40 * FOOTPRINT.peer_bytes
    assert needs.key_files == ("swarm.key",)


@given(st.integers(0, 100_000))
def test_the_limit_is_the_smallest_under_which_a_worker_takes_its_peers(peers: int) -> None:
    limit = descriptors_for(peers)
    budget_of(limit, ENDPOINT).check_listeners(peers)
    with pytest.raises(Unavailable):
        budget_of(limit - 2, ENDPOINT).check_listeners(max(peers, 1))


def test_the_plan_counts_the_sections_that_have_the_swarm_do_something() -> None:
    kill = '[[fault]]\nat = "{}s"\ndo = "kill"\nselect = "core-1"\n'
    summary = summarize(parse_config(TOML + kill.format(1) + kill.format(2)), 2)
    assert summary.also == {"fault": 2}
    assert "  [fault]      2 of them" in plan_lines("s.toml", summary)
    assert summarize(parse_config(TOML), 2).also == {}
