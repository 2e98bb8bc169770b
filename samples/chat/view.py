"""The messenger's state as styled text. Nothing here is read as markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.text import Text

from samples.chat.chat import Chat, shown_name
from samples.chat.conversations import HOME, Conversation, Kind, Line
from samples.chat.names import Standing
from samples.chat.text import clean

SIDE: Final = 22  # columns
_MOST_SHOWN: Final = 200  # members in the side panel
_NAME_STYLES: Final = {
    Standing.VERIFIED: "bold green",
    Standing.UNKNOWN: "yellow",
    Standing.FALSE: "bold red",
}
_MARK_STYLES: Final = {"sending": "dim", "sent": "dim", "delivered": "dim green"}


def line_text(line: Line, clock: Callable[[float], str]) -> Text:
    """One line of a conversation."""
    text = Text()
    text.append(f"{clock(line.at)} ", "dim")
    name = shown_name(line.name, line.peer_id, line.standing) if line.name else ""
    match line.kind:
        case Kind.SAID:
            text.append(f"{name}: ", _NAME_STYLES[line.standing])
            text.append(line.text)
        case Kind.OWN:
            text.append(f"{name}: ", "bold cyan")
            text.append(line.text)
            text.append(f" [{line.mark}]", _MARK_STYLES.get(line.mark, "bold red"))
        case Kind.NOTICE:
            text.append(f"* {name}{' ' if name else ''}{line.text}", "dim")
        case Kind.PROBLEM:
            text.append(f"! {line.text}", "red")
    return text


def side_text(chat: Chat) -> Text:
    """The conversations, and who is in the one that is shown."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for number, talk in enumerate(chat.talks, 1):
        text.append_text(_entry(number, talk, is_current=talk is chat.talks.current))
    here = chat.talks.current.key
    if here in chat.rosters:
        roster = list(chat.rosters[here])
        text.append(f"\nhere: {len(roster) + 1}\n", "bold")
        text.append(f" {chat.name} (you)\n", "cyan")
        for member in sorted(roster, key=lambda one: one.name)[:_MOST_SHOWN]:
            standing = chat.names.standing(member.name, member.peer_id)
            text.append(f" {shown_name(member.name, member.peer_id, standing)}\n", _NAME_STYLES[standing])
    return text


def _entry(number: int, talk: Conversation, *, is_current: bool) -> Text:
    title = "messenger" if talk.key == HOME else talk.key
    unread = f" ({talk.unread})" if talk.unread else ""
    room = SIDE - 6 - len(unread)
    shown = title if len(title) <= room else title[: room - 1] + "…"
    style = "bold reverse" if is_current else "bold" if unread else ""
    return Text(f"{number:>2} {shown}{unread}\n", style)


def status_text(chat: Chat) -> Text:
    """Own name, address, and whether others are known."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {chat.name}{'' if chat.is_registered else '?'}", "bold")
    text.append(f"  {_shown_address(chat.address)}")
    text.append(f"  peers: {chat.peers}")
    text.append("  connected" if chat.peers else "  not connected", "green" if chat.peers else "red")
    return text


def _shown_address(address: str) -> str:
    """As others dial it; of one that nobody can dial the beginning is enough."""
    return f"{address[:9]}… hidden" if address.startswith("@") else clean(address, 70)


def words(chat: Chat) -> list[str]:
    """What Tab completes besides commands: channels, and names of those who are there."""
    members = {member.name for roster in chat.rosters.values() for member in roster}
    private = {talk.key[1:] for talk in chat.talks if talk.key.startswith("@")}
    return [*chat.rosters, *sorted(members | private)]
