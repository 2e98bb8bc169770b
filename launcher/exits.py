"""Exit codes of the command line."""

from __future__ import annotations

import enum

from cicada.errors import CicadaError, ConfigError, Misuse, Unavailable


class Exit(enum.IntEnum):
    """What a script may branch on."""

    OK = 0
    FAILURE = 1
    USAGE = 2  # a wrong command line or configuration
    THRESHOLD = 3  # it ran, and the result is not what was asked for
    SWARM_LOST = 4  # the swarm that should be running is not
    INTERRUPTED = 130


class SwarmLost(Unavailable):
    """A swarm that should be running is gone."""


class Missed(CicadaError):
    """It ran, and something that was expected of it is not so."""


def exit_code(error: CicadaError) -> Exit:
    """The exit code for an error that ends a command."""
    if isinstance(error, SwarmLost):
        return Exit.SWARM_LOST
    if isinstance(error, Missed):
        return Exit.THRESHOLD
    if isinstance(error, ConfigError | Misuse):
        return Exit.USAGE
    return Exit.FAILURE
