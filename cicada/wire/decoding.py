"""How bytes of strangers become messages, in one place: a total decoder ends in a message or in MalformedMessage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from cicada.errors import MalformedMessage

M = TypeVar("M")

UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that msgspec raises for bytes that are something else. ValueError: text that is no UTF-8, and what a message's own checks
refuse; RecursionError: what is nested too deeply."""

_WORDS: Final = 200  # characters of what msgspec says; some of it quotes the sender


def total(decode: Callable[[bytes], M], longest: int, what: str) -> Callable[[bytes], M]:
    """``decode``, made total: the function returns what ``decode`` returns, or raises MalformedMessage and nothing else. It does
    not look at more than ``longest`` bytes. ``what`` is what the reason begins with.

    To be called once for each kind of message: what it makes is as quick as one written by hand.
    """

    def decode_or_refuse(raw: bytes) -> M:
        if len(raw) > longest:
            raise MalformedMessage("message-size")
        try:
            return decode(raw)
        except UNDECODABLE as error:
            raise MalformedMessage(f"{what}: {str(error)[:_WORDS]}") from None

    return decode_or_refuse
