"""The load that a configuration asks for, offered to its swarm while the timeline runs."""

from __future__ import annotations

from cicada.commands import LoadResult, RunLoad
from cicada.errors import Unavailable
from launcher.load.run import ABORTED, FAILED
from launcher.load.thresholds import value_in_words
from launcher.requests import Requests


class ConfiguredLoad:
    """Begins when it is run, and once only."""

    def __init__(self, command: RunLoad, requests: Requests) -> None:
        self._command = command
        self._requests = requests
        self.aborted = False
        """Whether a threshold that was missed has ended it."""

    async def run(self) -> tuple[str, ...]:
        """Offer it until it is over. Returns the thresholds that were missed, one line for each. Raises Misuse and Unavailable when
        it cannot be offered."""
        result = await self._requests.run_load(self._command)
        self.aborted = result.outcome == ABORTED
        if result.outcome == FAILED:
            raise Unavailable(result.verdict or "it did not come to its end")
        return missed(result)


def missed(result: LoadResult) -> tuple[str, ...]:
    """The thresholds that do not hold, each with what was found."""
    return tuple(f"{found.that} ({value_in_words(found)})" for found in result.thresholds if not found.held)
