"""Two parties with fixed keys, and their handshakes at any point."""

from __future__ import annotations

from functools import cache
from hashlib import blake2s
from typing import Any, Final

import msgspec

from cicada.keys.noise import Handshake, KeyPair, pattern_of
from cicada.keys.psks import Terms

USED: Final = ("XX", "XXpsk0", "XXpsk0+psk3", "IK", "IKpsk0", "IKpsk0+psk2")
"""The patterns of links and sessions, as ``Terms.pattern`` names them."""

MESSAGES: Final = [(name, number) for name in USED for number in range(len(pattern_of(name).tokens))]
"""Each message of each of them."""

PROLOGUE: Final = b"cicada test"


def secret(name: str) -> bytes:
    """32 bytes that belong to ``name``."""
    return blake2s(name.encode()).digest()


def key(name: str) -> KeyPair:
    return KeyPair.of(secret(name))


STATICS: Final = {True: key("initiator's static"), False: key("responder's static")}
PSKS: Final = (secret("first psk"), secret("last psk"))


def is_first_open(pattern: str, number: int) -> bool:
    """Whether this message authenticates nothing yet: Noise leaves the first of XX to the second."""
    return pattern == "XX" and number == 0


def side(
    pattern: str,
    *,
    initiator: bool,
    run: str = "",
    prologue: bytes = PROLOGUE,
    static: KeyPair | None = None,
    ephemeral: KeyPair | None = None,
    remote: bytes | None = None,
    psks: tuple[bytes, ...] | None = None,
) -> Handshake:
    """One side of the handshake ``run``; whatever is not given is as the other side expects it."""
    known = initiator and pattern.startswith("IK")
    return Handshake(
        pattern,
        initiator=initiator,
        prologue=prologue,
        ephemeral=ephemeral or key(f"ephemeral {initiator} {run}"),
        static=static or STATICS[initiator],
        remote_static=(STATICS[False].public if remote is None else remote) if known else b"",
        psks=PSKS[: pattern.count("psk")] if psks is None else psks,
    )


def both(pattern: str, run: str = "") -> tuple[Handshake, Handshake]:
    """Initiator and responder."""
    return side(pattern, initiator=True, run=run), side(pattern, initiator=False, run=run)


def payload_of(number: int) -> bytes:
    return f"payload {number}".encode()


def messages_between(first: Handshake, second: Handshake, until: int | None = None) -> list[bytes]:
    """Have the two exchange their messages, all or the first ``until``; ``first`` is the initiator."""
    sides = (first, second)
    sent: list[bytes] = []
    while not first.is_finished and len(sent) != until:
        number = len(sent)
        message = sides[number % 2].write(payload_of(number))
        assert sides[1 - number % 2].read(message) == payload_of(number)
        sent.append(message)
    return sent


def about_to_read(pattern: str, number: int, run: str = "") -> tuple[Handshake, Handshake]:
    """Who writes the message and who reads it, with all before it exchanged."""
    first, second = both(pattern, run)
    messages_between(first, second, until=number)
    return (second, first) if number % 2 else (first, second)


def state_of(thing: object) -> object:
    """All that an object with slots consists of, to compare with later."""
    kind: Any = type(thing)
    names = _slots(kind)
    return [state_of(getattr(thing, name)) for name in names] if names else thing


@cache
def _slots(kind: type) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return ()  # values are immutable, and equal when their fields are
    return tuple(name for parent in kind.__mro__ for name in getattr(parent, "__slots__", ()))


def terms_named(pattern: str) -> Terms:
    """Terms that lead to this pattern."""
    psks = (*PSKS[: pattern.count("psk")], b"", b"")
    return Terms(first=psks[0], last=psks[1])
