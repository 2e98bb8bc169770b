"""What panels say, as rows of text: values that a picture or a terminal can show."""

from __future__ import annotations

from typing import Final, NamedTuple

from visualizer.model.state import Kind, PeerState, PeerView, SwarmState
from visualizer.scene.detail import sampling_notice
from visualizer.scene.palette import Tone
from visualizer.scene.paths import copy_numbers, has_copies, hop_text, hop_times, known_to
from visualizer.view import Prompt, View

BITS: Final = 256
LONGEST_LIST: Final = 8
LONGEST_TABLE: Final = 24


class Row(NamedTuple):
    """A line of a panel: a label on the left, a value beside it. ``peer``: whom a click on it chooses. ``copy``: whose
    colour is beside it."""

    label: str
    value: str = ""
    tone: Tone = Tone.PLAIN
    peer: str = ""
    copy: int = -1


class Panel(NamedTuple):
    """A titled list of rows. ``name`` is what a click on it is called."""

    name: str
    title: str
    rows: tuple[Row, ...]


def clock(time_ms: float) -> str:
    """The time of day of an event, in UTC as the logs have it."""
    seconds = int(time_ms // 1000) % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def span(milliseconds: float) -> str:
    """A length of time: 3.2 s, 4 min 5 s, 2 h 3 min."""
    seconds = max(0.0, milliseconds / 1000)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rate(number: float) -> str:
    """A rate in three digits at most."""
    if number >= 10_000:
        return f"{number / 1000:.0f}k"
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")


def place_text(place: int) -> str:
    """The first digits of a place, and where that is on the circle."""
    return f"{place >> (BITS - 32):08x}  {place * 360 / (1 << BITS):.1f}°"


def state_tone(peer: PeerView) -> Tone:
    """How good its state is."""
    if peer.state.is_live:
        return Tone.GOOD
    return Tone.BAD if peer.state in (PeerState.DEAD, PeerState.SUSPECT) else Tone.PLAIN


def hover_card(state: SwarmState, name: str) -> Panel | None:
    """The few things to know of a peer that is pointed at; None when nobody of that name is known."""
    peer = state.peers.get(name)
    if peer is None:
        return None
    rows = [
        Row("state", peer.state.value, state_tone(peer)),
        Row("address", short(peer.address)),
        Row("knows", f"{len(known_to(peer))} peers, {len(peer.links)} links"),
        Row("messages", f"{rate(peer.sent)} out, {rate(peer.delivered)} in /s"),
    ]
    if peer.behaviour:
        rows.insert(1, Row("behaviour", peer.behaviour, Tone.BAD))
    if peer.hidden:
        rows.append(Row("hidden", "lodges with relays", Tone.QUIET))
    return Panel("hover", peer.name, tuple(rows))


def short(address: str) -> str:
    """An address that fits: a hidden one by its first digits."""
    return address if not address.startswith("@") else f"@{address[1:13]}…"


def inspector(state: SwarmState, view: View) -> Panel | None:
    """All about the pinned peer; None when none is."""
    peer = state.peers.get(view.pinned)
    if peer is None:
        return None
    names = {other.address: other.name for other in state.peers.values()}
    rows = [*_about(state, peer), *_neighbours(state, peer, names), *_work(peer), *_recent(peer, view)]
    return Panel("inspector", peer.name, tuple(rows))


def _about(state: SwarmState, peer: PeerView) -> list[Row]:
    since = f"  for {span(state.now_ms - peer.since_ms)}" if peer.since_ms else ""
    rows = [
        Row("state", f"{peer.state.value}{since}", state_tone(peer)),
        Row("group", f"{peer.group}  on {peer.worker}" if peer.worker else peer.group),
        Row("address", short(peer.address)),
        Row("place", place_text(peer.place)),
    ]
    if peer.mapped:
        rows.append(Row("mapped", peer.mapped))
    if peer.behaviour:
        rows.append(Row("behaviour", peer.behaviour, Tone.BAD))
    return rows


def _neighbours(state: SwarmState, peer: PeerView, names: dict[str, str]) -> list[Row]:
    wrong = {link.peer: link.due for link in state.health.wrong}
    rows = [_peer_row("predecessor", peer.predecessor, names)]
    for index, address in enumerate(peer.successors[:LONGEST_LIST]):
        row = _peer_row("successors" if not index else "", address, names)
        if not index and peer.name in wrong:
            row = row._replace(tone=Tone.BAD, value=f"{row.value}, due {wrong[peer.name]}")
        rows.append(row)
    if not peer.successors:
        rows.append(Row("successors", "none", Tone.BAD if peer.name in wrong else Tone.QUIET))
    if len(peer.successors) > LONGEST_LIST:
        rows.append(Row("", f"and {len(peer.successors) - LONGEST_LIST} more", Tone.QUIET))
    rows.append(Row("fingers", f"{len(peer.fingers)}   links {len(peer.links)}"))
    return rows


def _peer_row(label: str, address: str, names: dict[str, str]) -> Row:
    name = names.get(address, "")
    return Row(label, name or short(address) or "none", Tone.LINK if name else Tone.QUIET, name)


def _work(peer: PeerView) -> list[Row]:
    tone = Tone.BAD if peer.failed or peer.dropped else Tone.PLAIN
    return [
        Row("mailbox", f"{peer.mailbox} waiting   {peer.in_flight} in flight"),
        Row("messages", f"{rate(peer.sent)} out   {rate(peer.delivered)} in /s"),
        Row("trouble", f"{rate(peer.failed)} failed   {rate(peer.dropped)} dropped /s", tone),
        Row("round trip", f"{peer.round_trip_s * 1000:.1f} ms" if peer.round_trip_s else "not measured"),
        Row("restarts", str(peer.restarts), Tone.BAD if peer.restarts else Tone.PLAIN),
    ]


def _recent(peer: PeerView, view: View) -> list[Row]:
    rows = [
        Row(clock(line.time_ms), line.text, Tone.BAD if line.is_bad else Tone.QUIET)
        for line in list(peer.events)[-5:]
    ]
    tail = [Row("log", line, Tone.QUIET) for line in view.log_tail[-4:]]
    return rows + tail


def finger_table(state: SwarmState, name: str) -> Panel | None:
    """A peer's fingers by how far they are, as shares of the circle; None when nobody of that name is known."""
    peer = state.peers.get(name)
    if peer is None:
        return None
    by_address = {other.address: other for other in state.peers.values()}
    known = [by_address[address] for address in peer.fingers if address in by_address]
    ordered = sorted(known, key=lambda other: (other.place - peer.place) % (1 << BITS))
    rows = [Row(distance_text(peer, other), other.name, Tone.LINK, other.name) for other in ordered]
    unseen = len(peer.fingers) - len(known)
    if unseen:
        rows.append(Row("", f"{unseen} that nobody told of", Tone.QUIET))
    return Panel("fingers", f"fingers of {name}", _shortened(rows))


def distance_text(start: PeerView, end: PeerView) -> str:
    """How far clockwise it is: the power of two of the finger that reaches so far, and the share of the circle."""
    distance = (end.place - start.place) % (1 << BITS)
    share = distance / (1 << BITS)
    return f"2^{max(0, distance.bit_length() - 1)}  {share:.1%}"


def known_peers(state: SwarmState, name: str) -> Panel | None:
    """Whom a peer knows and as what; None when nobody of that name is known."""
    peer = state.peers.get(name)
    if peer is None:
        return None
    names = {other.address: other.name for other in state.peers.values()}
    rows = [_peer_row(_roles(peer, address), address, names) for address in known_to(peer)]
    rows.sort(key=lambda row: (row.label, row.value))
    return Panel("known", f"{name} knows {len(rows)}", _shortened(rows))


def _roles(peer: PeerView, address: str) -> str:
    roles = [
        word
        for word, is_it in (
            ("successor", address in peer.successors),
            ("predecessor", address == peer.predecessor),
            ("finger", address in peer.fingers),
        )
        if is_it
    ]
    return ", ".join(roles) or "link"


def _shortened(rows: list[Row]) -> tuple[Row, ...]:
    if len(rows) <= LONGEST_TABLE:
        return tuple(rows) or (Row("", "none", Tone.QUIET),)
    return (*rows[: LONGEST_TABLE - 1], Row("", f"and {len(rows) - LONGEST_TABLE + 1} more", Tone.QUIET))


def results(view: View) -> Panel | None:
    """What the last command answered; None when there is nothing."""
    if not view.results:
        return None
    return Panel("results", "result", tuple(Row("", line) for line in view.results[:LONGEST_TABLE]))


def trip_panel(state: SwarmState, view: View) -> Panel | None:
    """The followed message, hop by hop; None when none is followed."""
    trip = state.trips.get(view.followed)
    if trip is None:
        return None
    rows = [Row("from", trip.origin, Tone.LINK, trip.origin)]
    if trip.target:
        rows.append(
            Row("to", trip.target, Tone.LINK if trip.target in state.peers else Tone.PLAIN, trip.target)
        )
    if trip.kind is Kind.BROADCAST:
        reached = len({flight.end for flight in trip.flights} - {trip.origin})
        depth = max((flight.hops for flight in trip.flights), default=0)
        rows += [Row("reached", f"{reached} peers"), Row("depth", f"{depth} hops")]
    else:
        rows += [
            Row(f"hop {flight.hops}", f"{flight.end}   {hop_text(time)}", Tone.PLAIN, flight.end)
            for flight, time in hop_times(trip.flights)
            if not has_copies(trip)
        ]
    rows += [
        Row(f"copy {index}", fate, Tone.GOOD if fate == "intact" else Tone.BAD, copy=number)
        for index, (fate, number) in enumerate(zip(trip.fates, copy_numbers(trip), strict=True))
        if has_copies(trip)
    ]
    if trip.outcome:
        rows.append(Row("outcome", trip.outcome))
    return Panel("trip", trip.kind.value, _shortened(rows))


class Health(NamedTuple):
    """The corner that answers at a glance whether the ring is right."""

    percent: str
    caption: str
    tone: Tone
    rows: tuple[Row, ...]


def health(state: SwarmState) -> Health:
    """The convergence in large, and what it is made of. A ring of nobody is neither right nor wrong."""
    ring = state.health
    if not ring.members:
        return Health("-", "nobody is in the ring", Tone.QUIET, ())
    percent = "100%" if ring.convergence >= 1 else f"{min(99.9, ring.convergence * 100):.1f}%"
    tone = Tone.GOOD if ring.convergence >= 1 else Tone.BAD
    caption = "ring converged" if ring.convergence >= 1 else "of the ring is right"
    rows = (
        Row("members", str(ring.members)),
        _share_row("successors", ring.right_heads, ring.members),
        _share_row("predecessors", ring.right_predecessors, ring.members),
    )
    return Health(percent, caption, tone, rows)


def _share_row(label: str, right: int, of: int) -> Row:
    return Row(label, f"{right} of {of}", Tone.PLAIN if right == of else Tone.BAD)


def traffic_rows(state: SwarmState) -> tuple[Row, ...]:
    """What goes through the swarm, and its load and faults."""
    peers = state.peers.values()
    rows = [
        Row("sent", f"{rate(sum(peer.sent for peer in peers))} /s"),
        Row("delivered", f"{rate(sum(peer.delivered for peer in peers))} /s"),
    ]
    failed = sum(peer.failed for peer in peers)
    if failed:
        rows.append(Row("failed", f"{rate(failed)} /s", Tone.BAD))
    restarts = sum(peer.restarts for peer in peers)
    if restarts:
        rows.append(Row("restarts", str(restarts)))
    if state.load is not None:
        word = "load" if state.load.running else "load ended"
        rows.append(Row(word, f"{rate(state.load.rate)} of {rate(state.load.target)} /s"))
    rows += [
        Row(f"fault {fault.number}", f"{fault.kind}, {span(state.now_ms - fault.since_ms)}", Tone.BAD)
        for fault in list(state.faults.values())[:3]
    ]
    return tuple(rows)


def census(state: SwarmState) -> list[tuple[PeerState, int]]:
    """How many peers are in each state that somebody is in."""
    counts = dict.fromkeys(PeerState, 0)
    for peer in state.peers.values():
        counts[peer.state] += 1
    return [(kind, number) for kind, number in counts.items() if number]


class StatusPart(NamedTuple):
    """A piece of the status line."""

    text: str
    tone: Tone


def status_line(state: SwarmState, view: View, share: int) -> tuple[StatusPart, ...]:
    """Whence the events come, how late they are, what is missing, what is not shown."""
    feed = view.feed
    parts = []
    if feed.source:
        here = feed.source.startswith("ipc:")  # whose path nobody needs to read
        parts.append(StatusPart("this machine" if here else feed.source, Tone.PLAIN))
    if feed.problem:
        parts.append(StatusPart(feed.problem, Tone.BAD))
    elif feed.source:
        word = "connected" if feed.connected else "not connected"
        parts.append(StatusPart(word, Tone.GOOD if feed.connected else Tone.BAD))
    if feed.connected:
        parts.append(StatusPart(f"lag {feed.lag_ms:.0f} ms", Tone.BAD if feed.lag_ms > 1_000 else Tone.QUIET))
    lost = feed.lost + state.lost
    if lost:
        parts.append(StatusPart(f"{lost} events lost, {feed.healed} snapshots taken", Tone.BAD))
    unknown = sum(state.unknown.values())
    if unknown:
        parts.append(StatusPart(f"{unknown} events of a newer version", Tone.BAD))
    notice = sampling_notice(state.sampled, share)
    if notice:
        parts.append(StatusPart(notice, Tone.STRONG))
    if feed.source and not feed.can_command:
        parts.append(StatusPart("read-only", Tone.QUIET))
    return tuple(parts)


def prompt_text(view: View) -> str:
    """What is asked for, with what was typed; empty when nothing is."""
    if view.prompt is Prompt.NONE:
        return ""
    return f"{view.prompt.value}: {view.typed}" if view.typed else view.prompt.value
