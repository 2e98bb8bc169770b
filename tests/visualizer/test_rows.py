"""What the panels say."""

from __future__ import annotations

from visualizer.model.state import Kind, Line, LoadView, PeerState, SwarmState
from visualizer.scene.palette import Tone
from visualizer.scene.rows import (
    Panel,
    clock,
    finger_table,
    health,
    hover_card,
    inspector,
    known_peers,
    place_text,
    prompt_text,
    rate,
    results,
    span,
    status_line,
    traffic_rows,
    trip_panel,
)
from visualizer.view import Feed, Prompt, View

from .scenes import NOW_MS, broadcast, healthy, kill, lookup, partition, ring, send, swarm, view


def said(panel: Panel | None) -> dict[str, str]:
    assert panel is not None
    return {row.label: row.value for row in panel.rows}


def test_the_card_says_the_few_things_that_matter() -> None:
    state = swarm(12)
    card = hover_card(state, "core-3")
    assert card is not None
    assert card.title == "core-3"
    assert said(card)["state"] == "member"
    assert said(card)["messages"] == "3 out, 2.5 in /s"
    assert hover_card(state, "gone") is None


def test_the_card_tells_of_harm_and_of_hiding() -> None:
    state = swarm(12)
    state.peers["core-3"].behaviour = "drops"
    state.peers["core-3"].address = "@" + "ab" * 32
    card = said(hover_card(state, "core-3"))
    assert card["behaviour"] == "drops"
    assert card["address"] == "@abababababab…"
    assert card["hidden"] == "lodges with relays"


def test_the_inspector_names_neighbours_that_a_click_goes_to() -> None:
    state = swarm(12)
    one, after = ring(state)[4:6]
    panel = inspector(state, View(pinned=one.name, log_tail=("a", "b")))
    assert panel is not None
    successors = next(row for row in panel.rows if row.label == "successors")
    assert (successors.value, successors.peer, successors.tone) == (after.name, after.name, Tone.LINK)
    assert said(panel)["restarts"] == "0"
    assert [row.value for row in panel.rows if row.label == "log"] == ["a", "b"]
    assert inspector(state, View()) is None


def test_the_inspector_says_whose_turn_a_wrong_successor_is() -> None:
    state = swarm(12)
    one, dead, due = ring(state)[4:7]
    dead.state = PeerState.DEAD
    state.health = healthy(state)
    panel = inspector(state, View(pinned=one.name))
    assert panel is not None
    row = next(row for row in panel.rows if row.label == "successors")
    assert row.value == f"{dead.name}, due {due.name}"
    assert row.tone is Tone.BAD
    one.successors = ()
    assert said(inspector(state, View(pinned=one.name)))["successors"] == "none"


def test_the_inspector_remembers_the_last_events() -> None:
    state = swarm(3)
    state.peers["core-0"].events.append(Line(NOW_MS, Kind.RING, "core-0", "successor is core-1", False))
    assert said(inspector(state, View(pinned="core-0")))[clock(NOW_MS)] == "successor is core-1"


def test_fingers_are_sorted_by_distance() -> None:
    state = swarm(60)
    panel = finger_table(state, "core-3")
    assert panel is not None
    powers = [int(row.label.split()[0].removeprefix("2^")) for row in panel.rows]
    assert powers == sorted(powers)
    assert {row.peer for row in panel.rows} <= set(state.peers)
    state.peers["core-3"].fingers = {"10.9.9.9:9"}
    assert [row.value for row in (finger_table(state, "core-3") or panel).rows] == ["1 that nobody told of"]
    assert finger_table(state, "gone") is None


def test_known_peers_come_with_what_they_are() -> None:
    state = swarm(12)
    one = ring(state)[4]
    panel = known_peers(state, one.name)
    assert panel is not None
    row = next(row for row in panel.rows if row.peer == ring(state)[5].name)
    assert row.label.startswith("successor")
    assert known_peers(state, "gone") is None
    one.successors, one.predecessor, one.fingers, one.links = (), "", set(), set()
    assert [row.value for row in (known_peers(state, one.name) or panel).rows] == ["none"]


def test_a_long_list_is_cut_and_says_so() -> None:
    panel = results(View(results=tuple(f"line {number}" for number in range(200))))
    assert panel is not None
    assert len(panel.rows) == 24
    state = swarm(80)
    state.peers["core-1"].links = {one.address for one in state.peers.values()}
    known = known_peers(state, "core-1")
    assert known is not None
    assert known.rows[-1].value == "and 56 more"
    assert results(View()) is None


def test_a_followed_lookup_is_told_hop_by_hop() -> None:
    state = swarm(40)
    trip = lookup(state, "core-1", "core-30")
    panel = trip_panel(state, View(followed="lookup"))
    assert panel is not None
    hops = [row.value for row in panel.rows if row.label.startswith("hop")]
    assert hops[0] == f"{trip.flights[0].end}   0.7 ms"
    assert trip_panel(state, View(followed="gone")) is None


def test_a_followed_broadcast_says_whom_it_reached() -> None:
    state = swarm(60)
    broadcast(state, "core-4")
    assert said(trip_panel(state, View(followed="broadcast")))["reached"] == "59 peers"


def test_copies_are_told_with_their_colours_and_fates() -> None:
    state = swarm(40)
    send(state, "core-2", "core-31", ("intact", "altered"))
    panel = trip_panel(state, View(followed="send"))
    assert panel is not None
    rows = [(row.value, row.copy, row.tone) for row in panel.rows if row.label.startswith("copy")]
    assert rows == [("intact", 0, Tone.GOOD), ("altered", 1, Tone.BAD)]
    assert not [row for row in panel.rows if row.label.startswith("hop")]


def test_health_is_a_figure_and_never_rounded_up_to_right() -> None:
    state = swarm(200)
    assert health(state)[:3] == ("100%", "ring converged", Tone.GOOD)
    state.health.right_heads -= 1
    state.health.members = state.health.right_predecessors = 100_000
    state.health.right_heads = 99_999
    assert health(state).percent == "99.9%"
    kill(state, 0.3)
    assert health(state).tone is Tone.BAD
    assert health(SwarmState())[:3] == ("-", "nobody is in the ring", Tone.QUIET)


def test_traffic_load_and_faults_are_summed_up() -> None:
    state = swarm(10)
    state.load = LoadView(1, target=100, rate=48)
    state.peers["core-1"].failed, state.peers["core-1"].restarts = 2.0, 3
    partition(state, {"core-1"})
    rows = {row.label: row.value for row in traffic_rows(state)}
    assert rows == {
        "sent": "30 /s",
        "delivered": "25 /s",
        "failed": "2 /s",
        "restarts": "3",
        "load": "48 of 100 /s",
        "fault 1": "partition, 5.0 s",
    }


def test_the_status_line_tells_of_all_that_is_missing() -> None:
    state = swarm(3)
    assert [part.text for part in status_line(state, view(), 1)] == ["runs/demo", "connected", "lag 12 ms"]
    state.lost, state.sampled = 4, 5
    state.unknown["Sung"] = 2
    feed = Feed(source="tcp://host:1", lost=3, healed=1, problem="cannot reach host")
    assert [part.text for part in status_line(state, View(feed=feed), 4)] == [
        "tcp://host:1",
        "cannot reach host",
        "7 events lost, 1 snapshots taken",
        "2 events of a newer version",
        "showing 1 of 20 messages",
        "read-only",
    ]


def test_numbers_and_times_are_short() -> None:
    assert [rate(number) for number in (0, 2.04, 12.6, 48_200)] == ["0", "2", "13", "48k"]
    assert [span(ms) for ms in (-5, 3_210, 245_000, 7_380_000)] == [
        "0.0 s",
        "3.2 s",
        "4 min 5 s",
        "2 h 3 min",
    ]
    assert place_text(1 << 255) == "80000000  180.0°"
    assert clock(0) == "00:00:00"


def test_a_prompt_shows_what_was_typed() -> None:
    assert prompt_text(View()) == ""
    assert prompt_text(View(prompt=Prompt.FIND, typed="cor")) == "find a peer: cor"
    assert prompt_text(View(prompt=Prompt.SEND)) == Prompt.SEND.value
