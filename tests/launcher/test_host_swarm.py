"""A real swarm on two hosts: 127.0.0.1 and 127.0.0.2, as the configuration says that they count."""

from __future__ import annotations

from pathlib import Path

from cicada.commands import Done, GetPeers, Kill, Peers
from cicada.config import parse_config
from tests.launcher.swarms import free_ports, running

MANY, FEW = 18, 6


def test_lists_of_a_swarm_on_two_hosts_hold_both_and_one_of_them_may_go(tmp_path: Path) -> None:
    port = free_ports(MANY)
    made = parse_config(
        f"""
        [swarm]
        name = "hosts"
        workers = 2

        [ring]
        group_hosts = true

        [[group]]
        name = "many"
        count = {MANY}
        address = "127.0.0.1:{port}"

        [[group]]
        name = "few"
        count = {FEW}
        address = "127.0.0.2:{port}"
        """
    )
    with running(made, tmp_path / "run") as swarm:
        rows = swarm.ask(GetPeers(), Peers).rows
        assert [len(row.successors) for row in rows] == [MANY + FEW - 1] * (MANY + FEW), (
            "two hosts are not 16"
        )
        swarm.ask(Kill(select="few"), Done)
        swarm.wait_for(lambda status: status.ring_proven and status.joined == MANY)
