"""An overview for people: a screen on a terminal, a line where a screen cannot be drawn over. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cicada.commands import GroupStatus
from launcher import output
from launcher.plaintext import counted, duration
from launcher.status.overview import Overview, WorkerLoad

_MIB = 1024 * 1024
_HEADER = ("group", "peers", "joined", "joining", "suspect", "dead", "restarts")


def screen_lines(seen: Overview) -> Iterator[str]:
    """A screen. Its length depends on the groups, workers and faults that are shown, never on the number of peers."""
    yield f"{output.strong(seen.name)}  {seen.state}  {output.faint('up ' + duration(seen.uptime_s))}"
    yield f"  ring      {output.good(seen.ring) if seen.proven else output.bad(seen.ring)}"
    yield from (f"  {line}" for line in _group_lines(seen))
    yield f"  messages  {_messages(seen)}"
    yield from _worker_lines(seen)
    fresh = output.warn(f", {seen.fresh_restarts} just now") if seen.fresh_restarts else ""
    yield f"  restarts  {seen.restarts}{fresh}"
    for index, line in enumerate(output.fault_lines(seen.faults)):
        yield output.bad(f"  {'' if index else 'faults':<9} {line}")
    for index, line in enumerate(seen.worst):
        yield output.warn(f"  {'' if index else 'worst':<9} {line}")


def calm_line(seen: Overview) -> str:
    """The same on one line."""
    ring = seen.state if seen.proven else f"{seen.state}, ring {seen.ring}"
    faults = f", {counted(len(seen.faults), 'fault')} in force" if seen.faults else ""
    worst = f"; worst: {seen.worst[0]}" if seen.worst else ""
    return (
        f"{duration(seen.uptime_s)}: {ring}; {_counts(seen.total)}; {_messages(seen)}; "
        f"{counted(seen.restarts, 'restart')}{faults}{worst}"
    )


def _counts(group: GroupStatus) -> str:
    others = {"joining": group.joining, "suspect": group.suspect, "dead": group.dead}
    words = "".join(f", {count} {what}" for what, count in others.items() if count)
    return f"{group.joined} of {group.peers} joined{words}"


def _messages(seen: Overview) -> str:
    counts, rates = seen.messages, seen.rates
    if rates is None:
        failed = f", {counts.failed} failed" if counts.failed else ""
        return f"{counts.sent} sent, {counts.delivered} delivered{failed} so far"
    failed = f", {rates.failed:.1f}/s failed" if rates.failed else ""
    return f"{rates.sent:.1f}/s sent, {rates.delivered:.1f}/s delivered{failed}"


def _group_lines(seen: Overview) -> Iterator[str]:
    shown = list(seen.groups)
    if len(shown) + seen.hidden_groups > 1:
        shown.append(seen.total)
    lines = list(output.columns([_HEADER, *map(_cells, shown)]))
    yield output.faint(lines[0])
    for group, line in zip(shown, lines[1:], strict=True):
        yield line if group.joined == group.peers else output.warn(line)
    if seen.hidden_groups:
        yield output.faint(f"and {seen.hidden_groups} more groups, which are no worse")


def _cells(group: GroupStatus) -> tuple[str, ...]:
    numbers = (group.peers, group.joined, group.joining, group.suspect, group.dead, group.restarts)
    return (
        group.name,
        *(f"{number:>{len(title)}}" for number, title in zip(numbers, _HEADER[1:], strict=True)),
    )


def _worker_lines(seen: Overview) -> Iterator[str]:
    count = len(seen.workers) + seen.hidden_workers
    summary = f"{seen.running_workers} of {count} running, {seen.rss_bytes / _MIB:.0f} MiB, {seen.cpu:.0%} of a core"
    yield f"  workers   {summary if seen.running_workers == count else output.bad(summary)}"
    for load in seen.workers:
        yield f"            {_worker(load)}"
    if seen.hidden_workers:
        yield output.faint(f"            and {seen.hidden_workers} more")


def _worker(load: WorkerLoad) -> str:
    worker = load.worker
    restarts = f", {counted(worker.restarts, 'restart')}" if worker.restarts else ""
    words = (
        f"{worker.name}  {worker.peers} peers, {worker.rss_bytes / _MIB:.0f} MiB, {load.cpu:.0%}{restarts}"
    )
    return words if worker.state == "running" else output.bad(f"{words}  {worker.state}")
