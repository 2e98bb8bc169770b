"""The configuration of a swarm: TOML in, values out, every mistake with its position."""

from cicada.config.load import Load, ThresholdRule
from cicada.config.loader import load_config, load_from, parse_config, to_toml
from cicada.config.model import Config, Group, Launch, PeerSettings, Ring, Supervision, Swarm

__all__ = [
    "Config",
    "Group",
    "Launch",
    "Load",
    "PeerSettings",
    "Ring",
    "Supervision",
    "Swarm",
    "ThresholdRule",
    "load_config",
    "load_from",
    "parse_config",
    "to_toml",
]
