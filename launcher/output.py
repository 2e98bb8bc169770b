"""What commands print: data on standard output, for people or as JSON; progress on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import typer

from cicada.commands import (
    BroadcastResult,
    Done,
    FaultRow,
    LookupResult,
    PeerRow,
    Peers,
    Reply,
    SendResult,
    Status,
    TimelineStatus,
)
from launcher.plaintext import counted, duration, fault_words
from launcher.status.overview import ring_in_words

_MIB = 1024 * 1024
_NAMED = 5


def progress(text: str) -> None:
    """Say on standard error how far it is."""
    typer.echo(text, err=True)


def show(lines: Iterable[str]) -> None:
    """Print data for people."""
    for line in lines:
        typer.echo(line)


def show_json(value: object) -> None:
    """Print data for programs, indented, in the order of its fields."""
    typer.echo(msgspec.json.format(_json(value)).decode())


def show_json_line(value: object) -> None:
    """The same on one line, for a stream of such values."""
    typer.echo(_json(value).decode())


def _json(value: object) -> bytes:
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict) and isinstance(value, Reply):
        del plain["type"]  # which of the replies it is follows from what was asked
    return msgspec.json.encode(plain)


def good(text: str) -> str:
    """Text about something that is as it should be."""
    return typer.style(text, fg=typer.colors.GREEN)


def bad(text: str) -> str:
    """Text about something that is not as it should be."""
    return typer.style(text, fg=typer.colors.RED)


def warn(text: str) -> str:
    """Text about something that somebody may want to look at."""
    return typer.style(text, fg=typer.colors.YELLOW)


def strong(text: str) -> str:
    """Text that heads other text."""
    return typer.style(text, bold=True)


def faint(text: str) -> str:
    """Text that explains other text."""
    return typer.style(text, dim=True)


def status_lines(status: Status) -> Iterator[str]:
    """A swarm on one screen."""
    yield f"{strong(status.name)}  {status.state}  {faint(status.run)}"
    ring = ring_in_words(status)
    yield f"  ring      {good(ring) if status.ring_proven else bad(ring)}"
    dead = f", {status.dead} dead" if status.dead else ""
    frozen = f", {status.frozen} frozen" if status.frozen else ""
    yield f"  peers     {status.joined} of {status.peers} joined{dead}{frozen}"
    if len(status.groups) > 1 or status.joined < status.peers:
        yield from _group_lines(status)
    believed = f"{status.estimated_size:.0f} members, {status.churn_per_s:.2f} come or go a second"
    yield f"  estimate  {believed} {faint('(median of what peers believe)')}"
    for index, worker in enumerate(status.workers):
        memory = f"{worker.rss_bytes / _MIB:.0f} MiB"
        restarts = f", {counted(worker.restarts, 'restart')}" if worker.restarts else ""
        label = "workers" if index == 0 else ""
        yield f"  {label:<9} {worker.name}  pid {worker.pid}  {worker.peers} peers, {memory}{restarts}  {worker.state}"
    messages = status.messages
    failed = bad(f", {messages.failed} failed") if messages.failed else ""
    yield f"  messages  {messages.sent} sent, {messages.delivered} delivered{failed}{_reasons(messages.dropped)}"
    yield f"  traffic   {_traffic(status.traffic)}"
    if status.refused:
        yield f"  refused   {_in_order(status.refused)}"
    if status.harmful:
        yield warn(f"  harmful   {_in_order(status.harmful)} {faint('(peers that do so on purpose)')}")
    yield f"  restarts  {status.restarts}"
    for index, line in enumerate(fault_lines(status.faults)):
        yield bad(f"  {'' if index else 'faults':<9} {line}")
    if status.timeline is not None:
        yield from _timeline_lines(status.timeline)
    yield f"  up        {duration(status.uptime_s)}  {faint(f'launcher pid {status.launcher_pid}')}"
    for problem in status.problems:
        yield bad(f"  problem   {problem}")


def timeline_line(timeline: TimelineStatus) -> str:
    """How far a timeline is, in one line."""
    running = timeline.state == "running"
    where = f"at {timeline.elapsed_s:.0f} of {timeline.ends_s:.0f} s" if running else timeline.state
    failed = bad(f", {timeline.failed} could not be done") if timeline.failed else ""
    checked = f"{timeline.held} of {timeline.expected} expectations held"
    return f"timeline  {where}; {timeline.done} of {timeline.planned} done{failed}; {checked}"


def _timeline_lines(timeline: TimelineStatus) -> Iterator[str]:
    """How far a timeline is, what comes next, and what was missed so far."""
    yield f"  {timeline_line(timeline)}"
    if timeline.next_s is not None:
        yield f"            {faint(f'next: {timeline.upcoming} at {timeline.next_s:g} s')}"
    for missed in timeline.missed:
        yield bad(f"            missed: {missed}")


def _group_lines(status: Status) -> Iterator[str]:
    for index, group in enumerate(status.groups):
        counts = {"joining": group.joining, "suspect": group.suspect, "dead": group.dead}
        others = "".join(f", {count} {what}" for what, count in counts.items() if count)
        words = f"{group.name}: {group.joined} of {group.peers} joined{others}"
        yield f"  {'' if index else 'groups':<9} {words if group.joined == group.peers else warn(words)}"
    for index, text in enumerate(status.worst):
        yield warn(f"  {'' if index else 'worst':<9} {text}")


def _traffic(counts: dict[str, int]) -> str:
    frames, sent = counts.get("frames.sent", 0), counts.get("bytes.sent", 0)
    failed = sum(count for name, count in counts.items() if name.startswith("dial-failed."))
    dials = counts.get("connections.dialled", 0)
    return f"{frames} frames sent, {sent / _MIB:.1f} MiB; {dials} connections dialled, {failed} dials failed"


def _reasons(counts: dict[str, int]) -> str:
    return f"; dropped: {_in_order(counts)}" if counts else ""


def _in_order(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda entry: -entry[1])
    return ", ".join(f"{count} {reason}" for reason, count in ordered)


def fault_lines(rows: Iterable[FaultRow]) -> Iterator[str]:
    """One line for each fault: what it does to whom, and for how long."""
    for row in rows:
        what = fault_words(row, peers=len(row.peers), others=len(row.others))
        left = "" if row.left_s is None else f", {row.left_s:.0f} s left"
        yield f"{what}, for {row.age_s:.0f} s{left}"


def peer_lines(peers: Peers) -> Iterator[str]:
    """One line for each peer, in columns."""
    header = (
        "NAME",
        "ADDRESS",
        "PLACE",
        "PHASE",
        "WORKER",
        "PREDECESSOR",
        "SUCCESSOR",
        "FINGERS",
        "RESTARTS",
    )
    return columns([header, *map(_peer_cells, peers.rows)])


def _peer_cells(row: PeerRow) -> tuple[str, ...]:
    head = row.successors[0] if row.successors else "-"
    place = row.place[:8]
    neighbours = (row.predecessor or "-", head)
    return (
        row.name,
        row.address,
        place,
        f"{row.phase} ({row.behaviour})" if row.behaviour else row.phase,
        row.worker,
        *neighbours,
        str(row.fingers),
        str(row.restarts),
    )


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of equally many cells, each column as wide as it must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def done_lines(verb: str, done: Done) -> Iterator[str]:
    """Which peers a command concerned."""
    names = ", ".join(done.peers[:_NAMED]) + (", ..." if len(done.peers) > _NAMED else "")
    yield f"{verb} {counted(len(done.peers), 'peer')}{': ' if names else ''}{names}"


def lookup_lines(result: LookupResult) -> Iterator[str]:
    """Who owns a place, and how that was found."""
    if result.failure:
        yield bad(f"not found: {result.failure}")
        return
    verdict = good("right") if result.right else bad("wrong owner")
    yield f"{result.owner_name or result.owner}  {result.owner}  {verdict}"
    took = f"{counted(result.hops, 'hop')} in {result.seconds * 1000:.1f} ms"
    yield f"  {took}: {' > '.join(result.route)}" if result.route else f"  {took}"


def send_lines(result: SendResult) -> Iterator[str]:
    """How a receipt settled."""
    attempts = counted(result.attempts, "attempt")
    if result.status == "delivered":
        yield (
            f"{good('delivered')} in {result.round_trip_s * 1000:.1f} ms "
            f"over {counted(result.hops, 'hop')}, {attempts}"
        )
    else:
        yield f"{bad('failed')}: {result.reason}, {attempts}"


def broadcast_lines(result: BroadcastResult) -> Iterator[str]:
    """How many peers a broadcast reached."""
    paint = good if result.reached >= result.expected else bad
    yield (
        paint(f"reached {result.reached} of {result.expected} peers")
        + f" within {result.seconds * 1000:.0f} ms"
    )


def failed_by_group(groups: dict[str, tuple[int, int]]) -> str:
    """How many sends to each group failed; empty when none did, or there is one group only."""
    failed = {name: astray for name, (_, astray) in groups.items() if astray}
    return ", ".join(f"{name}: {astray}" for name, astray in failed.items()) if len(groups) > 1 else ""
