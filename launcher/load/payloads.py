"""What is in a message of a load: which one it is, and a hash of itself. Pure."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

import msgspec

from launcher.load.plan import BROADCAST, LoadPlan, Shot

MAGIC: Final = b"CLD1"
_HEAD: Final = struct.Struct(
    ">4sQQIId"
)  # magic, run, number, index of source, index of target or rank of broadcast, start
_DIGEST_BYTES: Final = 16

LEAST: Final = _HEAD.size + _DIGEST_BYTES
"""Bytes of the smallest payload that can be accounted for: limits.LOAD.least_payload."""


class Letter(msgspec.Struct, frozen=True):
    """What an intact payload says. ``source`` indexes the plan's peers; so does ``target``, or it is a broadcast's rank."""

    run: int
    number: int
    source: int
    target: int
    at: float


def write(plan: LoadPlan, shot: Shot) -> bytes:
    """The bytes of an operation's message."""
    about = shot.rank if shot.op == BROADCAST else shot.target
    head = _HEAD.pack(MAGIC, plan.run, shot.number, shot.source, about, shot.at)
    body = head + bytes(shot.size - LEAST)
    return body + _digest(body)


def read(payload: bytes) -> Letter | None:
    """What a payload says; None when it is not what was sent."""
    body, digest = payload[:-_DIGEST_BYTES], payload[-_DIGEST_BYTES:]
    if len(payload) < LEAST or digest != _digest(body):
        return None
    _, run, number, source, target, at = _HEAD.unpack_from(body)
    return Letter(run, number, source, target, at)


def place_sought(plan: LoadPlan, rank: int) -> bytes:
    """The place that lookup ``rank`` asks for: 32 bytes."""
    return hashlib.blake2b(f"{plan.seed}/{rank}".encode(), digest_size=32).digest()


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
