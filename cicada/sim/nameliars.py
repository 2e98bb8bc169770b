"""Replicas of names that lie."""

from __future__ import annotations

from cicada.limits import NAMES
from cicada.services.namerecords import read_name, sign_name
from cicada.sim.directory import SWARM, Keeping, Lie, Question
from cicada.wire.names import GetName, NameHeld, NameKept, NameMessage, Verdict


def none(_node: Keeping, question: Question) -> NameMessage:
    """Says that it keeps everything, and shows nothing."""
    return _answer(question, b"")


def silent(_node: Keeping, _question: Question) -> None:
    """Says nothing."""
    return


def forged(node: Keeping, question: Question) -> NameMessage:
    """Shows a record of another address under a signature that does not fit."""
    if not isinstance(question, GetName):
        return NameKept(question.number, Verdict.KEPT)
    signed = _own_record(node, question.name)
    return NameHeld(question.number, bytes(64) + signed[64:])


def rival(node: Keeping, question: Question) -> NameMessage:
    """Says that every name is its own, with a signature that fits."""
    if isinstance(question, GetName):
        return NameHeld(question.number, _own_record(node, question.name))
    return NameKept(question.number, Verdict.TAKEN)


def old() -> Lie:
    """Keeps the first record that it is told of a name, and shows no later one."""
    first: dict[str, bytes] = {}

    def lie(node: Keeping, question: Question) -> NameMessage:
        if isinstance(question, GetName):
            return NameHeld(question.number, first.get(question.name, b""))
        first.setdefault(read_name(question.record, node.wall_ms(), SWARM).record.name, question.record)
        return NameKept(question.number, Verdict.KEPT)

    return lie


def _answer(question: Question, record: bytes) -> NameMessage:
    if isinstance(question, GetName):
        return NameHeld(question.number, record)
    return NameKept(question.number, Verdict.KEPT)


def _own_record(node: Keeping, name: str) -> bytes:
    now_ms = node.wall_ms()
    return sign_name(
        node.identity,
        name,
        node.peer.address,
        SWARM,
        sequence=now_ms,
        now_ms=now_ms,
        expires_ms=now_ms + int(NAMES.lease * 1000),
    ).raw
