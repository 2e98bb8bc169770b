"""Whatever can be decoded can be folded: in any order, about anybody, with any numbers, and without end."""

from __future__ import annotations

import math
import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.bus.topics import kinds
from visualizer.model import bounds
from visualizer.model.fold import SwarmFold
from visualizer.model.lines import RULES
from visualizer.model.peers import find_peers
from visualizer.model.state import FLIGHTS, REMEMBERED_LINES, PeerView, SwarmState

from .tellings import made_up

EXAMPLES = int(os.environ.get("CICADA_FUZZ", "12000")) // 1_000


def bad_peers(state: SwarmState) -> list[PeerView]:
    """Those with something that nobody could draw."""
    return [
        peer
        for peer in state.peers.values()
        if not 0 <= peer.place < 2**256
        or len(peer.fingers) > bounds.TABLE
        or len(peer.links) > bounds.TABLE
        or len(peer.successors) > bounds.SUCCESSORS
        or min(peer.mailbox, peer.in_flight, peer.restarts) < 0
        or not all(math.isfinite(rate) for rate in (peer.sent, peer.delivered, peer.failed, peer.dropped))
    ]


@pytest.mark.sized
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_anything_in_any_order_is_folded_and_stays_within_bounds(seed: int) -> None:
    fold = SwarmFold()
    for envelope in made_up(Random(seed), 300):
        fold.apply(envelope)
    state = fold.state
    assert bad_peers(state) == []
    assert all(math.isfinite(edge.rate) and edge.rate >= 0 for edge in state.edges.values())
    assert len(state.flights) <= FLIGHTS
    assert len(state.log) <= REMEMBERED_LINES
    assert len(state.trips) <= bounds.TRIPS
    assert len(state.marks) <= bounds.MARKS
    assert all(len(line.text) <= bounds.TEXT for line in state.log)
    assert 0.0 <= state.health.convergence <= 1.0
    assert {name for name, peer in state.peers.items() if peer.name != name} == set()
    assert set(state.addresses.values()) <= set(state.peers)
    assert 0 <= state.now_ms <= bounds.LATEST_MS
    assert all(0 <= line.time_ms <= bounds.LATEST_MS for line in state.log)
    assert set(find_peers(state, "core")) <= set(state.peers)


@pytest.mark.sized
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 120))
def test_a_copy_folds_on_as_if_it_were_the_original(seed: int, cut: int) -> None:
    envelopes = list(made_up(Random(seed), 120))
    whole, first = SwarmFold(), SwarmFold()
    for envelope in envelopes:
        whole.apply(envelope)
    for envelope in envelopes[:cut]:
        first.apply(envelope)
    second = first.copy()
    for envelope in made_up(Random(seed + 1), 50):
        first.apply(envelope)  # what happens to one is nothing to the other
    for envelope in envelopes[cut:]:
        second.apply(envelope)
    assert second.state == whole.state


@pytest.mark.parametrize(("limit", "most"), [("MARKS", 8), ("TRIPS", 5)])
def test_what_is_remembered_ends_somewhere(limit: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"visualizer.model.{'fold' if limit == 'MARKS' else 'trips'}.{limit}", most)
    fold = SwarmFold()
    for envelope in made_up(Random(5), 1_500):
        fold.apply(envelope)
    assert 0 < len(fold.state.marks if limit == "MARKS" else fold.state.trips) <= most


def test_every_kind_of_event_has_a_line_or_is_drawn() -> None:
    drawn = {"HopTaken", "TrafficCounted", "PeerMeasured", "LoadInterval", "SequencesTold"}
    assert {name for name, kind in kinds().items() if kind not in RULES} == drawn
