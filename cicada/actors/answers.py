"""Answers to what a peer was asked, the last ones too: whoever waits learns that it will not be done."""

from __future__ import annotations

import asyncio
from typing import Any

from cicada.actors.correspondence import Correspondence
from cicada.actors.family import Announce, Enter, Locate, Submit, TakeSnapshot, Withdraw
from cicada.chord.io import LookupFailure, OwnerNotFound
from cicada.errors import NotBound
from cicada.routing.io import BroadcastSettled, LifeNamed, Reason


def answer(reply: asyncio.Future[Any], value: object) -> None:
    """Answer a request unless whoever asked has gone."""
    if _is_awaited(reply):
        reply.set_result(value)


def refuse(asked: object, correspondence: Correspondence, reason: Reason) -> None:
    """Nobody will do what was ``asked`` of a peer: it was CLOSED, or is OVERLOADED. What has no answer is left alone, and so is a
    Withdraw while the peer lives: whoever asked for that waits no longer than it said. For whom a message is, is noted all the
    same: it may leave again, from where the peer moves to."""
    is_closed = reason is Reason.CLOSED
    match asked:
        case Submit():
            correspondence.give_up(asked, reason)
        case LifeNamed():
            correspondence.note_life(asked)
        case Announce():
            asked.receipt.settle(BroadcastSettled(id=0, reason=reason))
        case Enter():
            answer(asked.reply, reason.value)
        case Withdraw() if is_closed:
            answer(asked.reply, None)
        case Locate():
            failure = LookupFailure.NOT_MEMBER if is_closed else LookupFailure.OVERLOADED
            answer(asked.reply, OwnerNotFound(0, failure))
        case TakeSnapshot() if is_closed and _is_awaited(asked.reply):
            asked.reply.set_exception(NotBound("the peer was closed: it has no ring to look at"))


def _is_awaited(reply: asyncio.Future[Any]) -> bool:
    """On a loop that is closed nobody waits."""
    return not reply.done() and not reply.get_loop().is_closed()
