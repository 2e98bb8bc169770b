"""All numbers of the messenger. Times are seconds."""

from __future__ import annotations

from typing import Final

import msgspec

NAME: Final = 24  # characters
CHANNEL_NAME: Final = 32  # with its #
TEXT: Final = 2000  # characters of one message; as UTF-8 well below what a channel carries


class ChatLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one messenger. Guesses, unless a reason is named."""

    lines: int = 500  # kept of each conversation
    conversations: int = 32
    channels: int = 16
    members: int = 256  # of each channel; who was not heard for longest makes way
    sending: int = 64  # messages on their way
    held: int = 64  # private messages that wait until it is known whose the name is
    names: int = 512  # whose owners are remembered
    lookups: int = 16  # names that the directory is asked for at once
    lookups_at_tick: int = 4  # so that a crowd of strangers has nobody ask all the time
    history: int = 100  # lines that were typed

    announce: float = 20.0  # between two announcements in a channel
    missed: float = 2.5  # announcements that a member may miss; the timer's own pace makes it three at most
    answer: float = 2.0  # within which all members together answer a newcomer, and between two answers
    again: float = 5.0  # a newcomer announces itself once more: the channels of two rings need that long
    believed: float = 60.0  # that the directory's answer holds for what is said in channels
    fresh: float = 5.0  # the same for private messages; as long as the library remembers an answer
    doubt: float = 5.0  # until an owner that was not found is looked for again
    settled: float = 6.0  # then it is known who of two that registered one name at once has it
    renames: int = 5  # other names that are tried when the own one is taken

    @property
    def tick(self) -> float:
        """Between two looks at what is due."""
        return min(0.5, self.announce / 8)

    @property
    def gone(self) -> float:
        """Who was not heard for so long is shown as gone."""
        return self.announce * self.missed


LIMITS: Final = ChatLimits()
