"""The configuration of a swarm: TOML in, values out, every mistake with its position."""

from cicada.config.loader import load_config, parse_config, to_toml
from cicada.config.model import Config, Group, Launch, PeerSettings, Ring, Supervision, Swarm

__all__ = [
    "Config",
    "Group",
    "Launch",
    "PeerSettings",
    "Ring",
    "Supervision",
    "Swarm",
    "load_config",
    "parse_config",
    "to_toml",
]
