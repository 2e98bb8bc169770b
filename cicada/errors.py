"""Every error Cicada raises on purpose, sorted by who is to blame.

``Misuse`` is the caller's fault, ``PeerFault`` a remote peer's, ``Unavailable`` the environment's.
Expected outcomes (a lookup that times out, a message nobody acknowledged) are values, not exceptions.
"""

from __future__ import annotations

import re

_BYTES = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$))""", re.DOTALL)


def without_bytes(text: str) -> str:
    """The text without literals of bytes: what an exception says may hold the payload of a message, or a key."""
    return _BYTES.sub("<bytes>", text)


class CicadaError(Exception):
    """Base of every error raised by Cicada."""


class Misuse(CicadaError):
    """The caller asked for something that cannot be right. The message says what to do instead."""


class NotBound(Misuse, RuntimeError):
    """A peer was used before ``bind`` gave it an address, or after ``close``."""


class PayloadTooLarge(Misuse, ValueError):
    """A payload exceeds what one message, or one broadcast, may carry; ``size`` and ``max`` are in bytes."""

    def __init__(self, size: int, max: int, what: str = "message") -> None:
        super().__init__(f"payload of {size} bytes is too large: send at most {max} bytes in one {what}")
        self.size = size
        self.max = max


class ConfigError(CicadaError, ValueError):
    """One mistake in a configuration file, at ``file:line:column`` (line and column count from 1)."""

    def __init__(self, problem: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        where = f"{file}:{line}:{column}: " if line else f"{file}: " if file else ""
        super().__init__(where + problem)
        self.problem = problem
        self.file = file
        self.line = line
        self.column = column


class ConfigErrors(ConfigError):
    """Every mistake in a configuration, in the order of the file: ``errors`` is never empty."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class PeerFault(CicadaError):
    """Input from a remote peer broke a rule. It costs that peer only; nothing else stops."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MalformedMessage(PeerFault):
    """Bytes from a remote peer are not a message. The only error the wire decoders raise."""


class Unavailable(CicadaError, OSError):
    """The environment refused: a port in use, an address that cannot be bound, too few descriptors."""


class MappingFailed(Unavailable):
    """No router maps a port for this machine. ``reason`` is a slug of ``cicada.nat.advice``; ``advice`` says what to do."""

    def __init__(self, problem: str, *, reason: str, advice: str) -> None:
        super().__init__(f"{problem}: {advice}")
        self.reason = reason
        self.advice = advice


class RingNotReady(CicadaError):
    """The peer could not enter the ring, or is not in it at present."""


class MailboxFull(CicadaError):
    """A bounded mailbox had no room and its policy is to refuse."""


class DeliveryTimeout(CicadaError, TimeoutError):
    """A wait ended before its outcome was known."""


class RequestFailed(CicadaError):
    """A request will get no reply; ``reason`` says why, in the words of receipts. Whether it was read may be unknown."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no reply will come: {reason}")
        self.reason = reason


class KeyChanged(RequestFailed):
    """The peer that was asked showed another key than the pinned one, so it was told nothing. The event KeyChanged has both
    fingerprints."""


class NameTaken(CicadaError):
    """Another peer holds the name; ``holder`` is its peer id, as far as replicas said. Choose another name, or wait until it is
    released."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"the name {name!r} is taken{f' by {holder}' if holder else ''}: choose another")
        self.name = name
        self.holder = holder
