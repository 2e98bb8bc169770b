"""A swarm in lines of text, for whoever has no display. As long for a thousand peers as for ten. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from visualizer.limits import TERMINAL
from visualizer.model.state import Health, Line, PeerState, PeerView, SwarmState
from visualizer.view import Feed

MARKS = {
    PeerState.MEMBER: "●",
    PeerState.ALONE: "○",
    PeerState.STARTING: "·",
    PeerState.JOINING: "◌",
    PeerState.SUSPECT: "?",
    PeerState.FROZEN: "❄",
    PeerState.RESTARTING: "↻",
    PeerState.LEFT: "-",
    PeerState.DEAD: "x",
}
"""How a peer in each state is drawn, the worst last."""
PLAIN_MARKS = dict(zip(MARKS, "oO.+?*r-x", strict=True))
"""The same for a terminal that has no other letters."""
_CELLS = 64  # of the ring, rolled out


class Styled(NamedTuple):
    """A piece of a line. ``style``: empty, good, bad, strong or faint."""

    text: str
    style: str = ""


TextLine = tuple[Styled, ...]


def screen(state: SwarmState, feed: Feed, marks: Mapping[PeerState, str] = MARKS) -> Iterator[TextLine]:
    """The whole view."""
    yield (
        Styled(state.name or feed.source or "swarm", "strong"),
        Styled(f"  {state.run_state}"),
        _clock(state),
    )
    yield _feed_line(feed, state)
    yield _ring_line(state)
    yield (Styled("  peers     "), Styled(", ".join(counts(state)) or "none yet"))
    yield (Styled("  ring      "), Styled(rolled_out(state, marks)))
    if state.load is not None:
        yield (Styled(f"  load      {_load(state)}"),)
    if state.faults:
        yield (Styled(f"  faults    {', '.join(_faults(state))}", "bad"),)
    yield ()
    yield (Styled("  busiest", "strong"), Styled("   sent/s  delivered/s  failed/s  mailbox  state", "faint"))
    for peer in busiest(state):
        yield (Styled(_peer_line(peer)),)
    yield ()
    yield (Styled("  last events", "strong"),)
    for line in list(state.log)[-TERMINAL.last :]:
        yield (Styled(f"  {event_text(line)}", "bad" if line.is_bad else ""),)


def calm_line(state: SwarmState, feed: Feed) -> str:
    """One look in one line."""
    health = state.health
    lost = f"; {feed.lost} events lost" if feed.lost else ""
    connection = f"; {_connection(feed)}" if feed.problem or not feed.connected else ""
    return (
        f"{_time(state.now_ms)} {state.run_state or 'unknown'}: ring {_right(health)}; "
        f"{', '.join(counts(state)) or 'no peers yet'}; {_rates(state)}{lost}{connection}"
    )


def counts(state: SwarmState) -> list[str]:
    """How many peers are in each state, the usual ones first."""
    found = Counter(peer.state for peer in state.peers.values())
    return [f"{found[kind]} {kind.value}" for kind in PeerState if found[kind]]


def rolled_out(state: SwarmState, marks: Mapping[PeerState, str] = MARKS) -> str:
    """The ring from place 0 to its end, in cells; each shows the worst of its peers."""
    worst: dict[int, PeerState] = {}
    order = list(MARKS)
    for peer in state.peers.values():
        cell = peer.place * _CELLS >> 256
        before = worst.get(cell, PeerState.MEMBER)
        worst[cell] = max(before, peer.state, key=order.index)
    return "".join(marks[worst[cell]] if cell in worst else " " for cell in range(_CELLS)).rstrip() or "-"


def busiest(state: SwarmState) -> list[PeerView]:
    """Peers with the most to do, first those whose messages fail."""
    ordered = sorted(
        state.peers.values(), key=lambda p: (-p.failed, -(p.sent + p.delivered), -p.mailbox, p.name)
    )
    return ordered[: TERMINAL.busiest]


def event_text(line: Line) -> str:
    """A line of the event log."""
    return f"{_time(line.time_ms)}  {line.peer or '-':<12}  {line.text}"


def _clock(state: SwarmState) -> Styled:
    return Styled(f"  {_time(state.now_ms)}" if state.now_ms else "", "faint")


def _feed_line(feed: Feed, state: SwarmState) -> TextLine:
    words = [_connection(feed), f"{feed.lag_ms:.0f} ms behind"]
    if feed.lost:
        words.append(f"{feed.lost} events lost, {feed.healed} snapshots taken since")
    if state.sampled > 1:
        words.append(f"1 message of {state.sampled} is shown")
    if state.unknown:
        words.append(f"{sum(state.unknown.values())} events of kinds that this version does not know")
    return (
        Styled("  feed      "),
        Styled(", ".join(words), "" if feed.connected and not feed.problem else "bad"),
    )


def _connection(feed: Feed) -> str:
    if feed.problem:
        return feed.problem
    return "connected" if feed.connected else "not connected"


def _ring_line(state: SwarmState) -> TextLine:
    health = state.health
    tone = "" if not health.members else "good" if health.convergence == 1 else "bad"
    figure = Styled(_right(health), tone)
    wrong = f", {len(health.wrong)} wrong successors" if health.wrong else ""
    return (Styled("  health    "), figure, Styled(f": {health.members} members{wrong}; {_rates(state)}"))


def _right(health: Health) -> str:
    """How much of the ring is right; a ring of nobody is neither right nor wrong."""
    return f"{health.convergence:.1%} right" if health.members else "-"


def _rates(state: SwarmState) -> str:
    peers = state.peers.values()
    failed = sum(peer.failed for peer in peers)
    bad = f", {failed:.1f}/s failed" if failed else ""
    return f"{sum(p.sent for p in peers):.1f}/s sent, {sum(p.delivered for p in peers):.1f}/s delivered{bad}"


def _load(state: SwarmState) -> str:
    load = state.load
    if load is None:
        return ""
    how = "runs" if load.running else load.outcome or "over"
    failed = f", {load.failed} failed" if load.failed else ""
    return f"#{load.number} {how}: {load.rate:.0f} of {load.target:.0f} a second, {load.succeeded} succeeded{failed}"


def _faults(state: SwarmState) -> Iterator[str]:
    for fault in state.faults.values():
        yield f"#{fault.number} {fault.kind} of {len(fault.peers)} peers"


def _peer_line(peer: PeerView) -> str:
    figures = f"{peer.sent:8.1f}  {peer.delivered:11.1f}  {peer.failed:8.1f}  {peer.mailbox:7d}"
    return f"  {peer.name:<9}{figures}  {peer.state.value}"


def _time(ms: int) -> str:
    """The time of day, UTC."""
    seconds = ms // 1000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" if ms else "--:--:--"
