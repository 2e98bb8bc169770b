"""Configurations with timelines, for tests."""

from __future__ import annotations

from cicada.config import Config, parse_config


def timeline(text: str, *, seed: int = 7, core: int = 20, edge: int = 10, port: int = 20000) -> Config:
    """A swarm of the groups core and edge with this timeline."""
    return parse_config(
        f"""
        [swarm]
        name = "test"
        seed = {seed}
        workers = 2

        [[group]]
        name = "core"
        count = {core}
        address = "127.0.0.1:{port}"

        [[group]]
        name = "edge"
        count = {edge}
        address = "127.0.0.1:{port + core}"
        {text}
        """
    )
