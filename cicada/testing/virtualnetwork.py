"""The network of virtual time: what lies between peers, and how slow and how lossy it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cicada.errors import Misuse
from cicada.ids import Address
from cicada.targets import Addressed
from cicada.transport.faults import NOTHING, FaultRule, FaultTable, Verdict

if TYPE_CHECKING:
    from cicada.actors.hosted import HostedPeer

Ends = Addressed | Iterable[Addressed]
"""A peer, or several."""


class Network:
    """Of one ``virtual`` run; ``network()`` gives it. At the beginning everything arrives at once.

    ``latency`` is seconds one way; up to ``jitter`` seconds more are drawn for each frame, and of one connection none overtakes
    another. ``loss`` is the probability that a message is lost on its way to the next peer. Messages that are sent on
    (receipts, copies, retries) make up for it, as they do elsewhere.
    """

    def __init__(self) -> None:
        self._base = NOTHING
        self._rules: list[FaultRule] = []
        self._hosted: list[HostedPeer] = []

    def everywhere(self, *, latency: float = 0.0, jitter: float = 0.0, loss: float = 0.0) -> None:
        """From now on it is so between all peers, those that come later included. Raises Misuse for what is no time or
        probability."""
        self._base = _verdict(latency, jitter, loss)
        self._apply()

    def between(
        self,
        one: Ends,
        other: Ends,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        loss: float = 0.0,
        cut: bool = False,
    ) -> None:
        """In addition, this between each of ``one`` and each of ``other``, both ways, until ``heal``. ``cut``: nothing passes.
        It belongs to their addresses: whoever is bound there later has it too."""
        verdict = _verdict(latency, jitter, loss, cut=cut)
        self._rules.append(_rule(verdict, _addresses(one), _addresses(other)))
        self._apply()

    def heal(self) -> None:
        """Undo all ``between``. What a cut held back goes on, unless its connection has been given up."""
        self._rules.clear()
        self._apply()

    def started(self, hosted: HostedPeer) -> None:
        """There is a peer more."""
        self._hosted = [other for other in self._hosted if not other.ended]
        self._hosted.append(hosted)
        if self._base != NOTHING or self._rules:
            self._apply()

    async def end_all(self) -> None:
        """Every peer that was left running ends at once."""
        for hosted in self._hosted:
            hosted.end("killed")
        for hosted in self._hosted:
            await hosted.gone

    def _apply(self) -> None:
        live = [hosted for hosted in self._hosted if not hosted.ended]
        everybody = frozenset(hosted.peer.address for hosted in live)
        base = () if self._base == NOTHING else (_rule(self._base, everybody, everybody),)
        for hosted in live:
            hosted.set_faults(FaultTable((*base, *self._rules)).about(hosted.peer.address))


def _verdict(latency: float, jitter: float, loss: float, *, cut: bool = False) -> Verdict:
    if not (0.0 <= latency < float("inf") and 0.0 <= jitter < float("inf")):
        raise Misuse(f"latency and jitter are seconds, 0 or more, not {latency} and {jitter}")
    if not 0.0 <= loss <= 1.0:
        raise Misuse(f"loss is a probability from 0 to 1, not {loss}")
    return Verdict(cut=cut, delay=latency, jitter=jitter, drop=loss)


def _rule(verdict: Verdict, one: frozenset[Address], other: frozenset[Address]) -> FaultRule:
    return FaultRule(
        one=one, other=other, cut=verdict.cut, delay=verdict.delay, jitter=verdict.jitter, drop=verdict.drop
    )


def _addresses(ends: Ends) -> frozenset[Address]:
    found = (ends,) if isinstance(ends, Addressed) else ends
    return frozenset(peer.address for peer in found)
