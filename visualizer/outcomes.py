"""What a command answered, in lines for the window, and which of the swarm's trips it was. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cicada.commands import (
    Add,
    AnyCommand,
    AnyReply,
    BroadcastResult,
    Done,
    FaultList,
    Lookup,
    LookupResult,
    Refused,
    Send,
    SendResult,
    SendToAll,
)
from visualizer.limits import WINDOW
from visualizer.model.state import Kind, SwarmState

NOBODY: Mapping[str, str] = MappingProxyType({})

_NAMED = 6
_TRIPS = {Lookup: Kind.LOOKUP, Send: Kind.DATA, SendToAll: Kind.BROADCAST}


class Outcome(NamedTuple):
    """A command that was answered, or was not: then ``problem`` says why and ``reply`` is None."""

    command: AnyCommand
    title: str
    reply: AnyReply | None
    problem: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether it did not go as it was asked for."""
        match self.reply:
            case None | Refused():
                return True
            case LookupResult(failure=failure, right=right):
                return bool(failure) or not right
            case SendResult(status=status):
                return status != "delivered"
            case BroadcastResult(reached=reached, expected=expected):
                return reached < expected
            case _:
                return False


def outcome_lines(outcome: Outcome, names: Mapping[str, str] = NOBODY) -> tuple[str, ...]:
    """Its title, and what came of it. At most ``WINDOW.results`` lines. ``names``: of peers by address."""
    lines = [outcome.title, *_reply_lines(outcome, names)]
    if len(lines) > WINDOW.results:
        left = len(lines) - WINDOW.results + 1
        lines = [*lines[: WINDOW.results - 1], f"  and {left} more"]
    return tuple(lines)


def verdict(outcome: Outcome) -> str:
    """The same in one sentence."""
    if isinstance(outcome.reply, Done) and not isinstance(outcome.command, Add):
        return f"{outcome.title}: done"
    return f"{outcome.title}: {_reply_lines(outcome, NOBODY)[0].strip()}"


def trip_of(state: SwarmState, command: AnyCommand, before: Collection[str]) -> str:
    """The trip that a command set off: the first of its kind, and of its peer, that was not known before. Empty: not seen yet."""
    kind = _TRIPS.get(type(command))
    via = getattr(command, "via", "")
    peer = state.peers.get(via)
    origins = {via, peer.address} if peer else set()
    for name, trip in state.trips.items():
        if name not in before and trip.kind is kind and (not via or trip.origin in origins):
            return name
    return ""


def sets_off_a_trip(command: AnyCommand) -> bool:
    """Whether messages of it can be followed."""
    return type(command) in _TRIPS


def _reply_lines(outcome: Outcome, names: Mapping[str, str]) -> list[str]:
    match outcome.reply:
        case None:
            return [f"  {outcome.problem}"]
        case Refused(reason=reason):
            return [f"  {reason}"]
        case LookupResult():
            return _lookup_lines(outcome.reply, names)
        case SendResult():
            return _send_lines(outcome.reply)
        case BroadcastResult(reached=reached, expected=expected, seconds=seconds):
            return [f"  reached {reached} of {expected} peers within {_ms(seconds)}"]
        case FaultList(rows=rows):
            return [f"  #{row.fault} {row.kind}: {_sides(row.peers, row.others)}" for row in rows] or [
                "  no fault"
            ]
        case Done(peers=peers):
            return [f"  done: {_listed(peers)}"]
        case _:
            return ["  done"]


def _lookup_lines(found: LookupResult, names: Mapping[str, str]) -> list[str]:
    """Who it is, and the route; each peer but the first with how long it took to answer, where that is known."""
    if found.failure:
        return [f"  not found: {found.failure}"]
    judged = "right" if found.right else "WRONG: another one owns it"
    took = ["", *(f"  {_ms(seconds)}" for seconds in found.seconds_per_hop)]
    route = [
        f"  {number}. {names.get(stop, stop)}{took[number] if number < len(took) else ''}"
        for number, stop in enumerate(found.route)
    ]
    whole = f"  {_counted(found.hops, 'hop')} in {_ms(found.seconds)}"
    return [f"  {found.owner_name or found.owner}, {judged}", whole, *route]


def _send_lines(receipt: SendResult) -> list[str]:
    attempts = _counted(receipt.attempts, "attempt")
    fates = [f"  copy {index}: {fate}" for index, fate in enumerate(receipt.copies)]
    if receipt.status != "delivered":
        return [f"  {receipt.status}: {receipt.reason or 'no receipt came'}, {attempts}", *fates]
    took = f"  delivered in {_ms(receipt.round_trip_s)} over {_counted(receipt.hops, 'hop')}, {attempts}"
    shared = [] if receipt.disjoint else ["  some copies shared a relay"]
    return [took, *shared, *fates]


def _sides(peers: tuple[str, ...], others: tuple[str, ...]) -> str:
    return f"{_listed(peers)} and {_listed(others)}" if others else _listed(peers)


def _listed(names: tuple[str, ...]) -> str:
    if not names:
        return "nobody"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
