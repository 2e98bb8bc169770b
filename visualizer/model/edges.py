"""What goes over each edge, as its sender last counted it."""

from __future__ import annotations

from itertools import islice

from cicada.events import TrafficCounted
from visualizer.model.bounds import EDGE_KINDS, EDGES, NAME, amount
from visualizer.model.state import Edge, SwarmState


class Edges:
    """The edges of a state. An Edge is never changed, only replaced, so copies of a state share them."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self._ends: dict[str, tuple[str, ...]] = {}  # by start

    def share(self, state: SwarmState) -> Edges:
        """The edges of a copy of the state."""
        other = Edges(state)
        other._ends = dict(self._ends)
        return other

    def count(self, start: str, event: TrafficCounted) -> None:
        """All that ``start`` sent of late: edges that are not named carry nothing any more."""
        self.forget(start)
        seconds = amount(event.seconds)
        state = self._state
        if not seconds or start not in state.peers:
            return
        edges, addresses, now = state.edges, state.addresses, state.now_ms
        ends = []
        for told in islice(event.edges, max(0, EDGES - len(edges))):
            end = addresses.get(told.remote)
            if end is None:
                continue
            rates = {
                kind[:NAME]: amount(sent) / seconds for kind, sent in islice(told.counts.items(), EDGE_KINDS)
            }
            edges[start, end] = Edge(start, end, rates, now)
            ends.append(end)
        self._ends[start] = tuple(ends)

    def forget(self, start: str) -> None:
        """Whoever sends nothing has no edges."""
        for end in self._ends.pop(start, ()):
            self._state.edges.pop((start, end), None)
