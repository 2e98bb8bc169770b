"""Which members of a swarm take part in a load."""

from __future__ import annotations

from collections.abc import Iterable

from cicada.commands import RunLoad
from cicada.errors import Misuse
from cicada.ids import is_loopback
from launcher.roster import Member


def require_own(members: Iterable[Member], command: RunLoad) -> None:
    """A load is for one's own machine; what crosses a network may be somebody's."""
    beyond = [member for member in members if not is_loopback(member.address)]
    if beyond and not command.own_network:
        raise Misuse(
            f"{beyond[0].name} is at {beyond[0].address}, which is no loopback address: "
            "say --i-own-this-network (own_network = true) if nobody else is disturbed"
        )


def eligible(members: Iterable[Member], group: str) -> list[Member]:
    """Who may send and be sent to: what is said of messages holds between peers that keep to the rules."""
    honest = [member for member in members if member.planned.behaviour is None]
    chosen = [member for member in honest if group in ("", member.planned.group)]
    if group and not chosen:
        groups = ", ".join(sorted({member.planned.group for member in honest})) or "none"
        raise Misuse(f"nobody of group {group!r} can send: peers that keep to the rules are in {groups}")
    return chosen
