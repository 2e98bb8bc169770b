"""What goes in and out of port mapping: news for its users, and the inputs and outputs of the mapper.

Requests to routers, and their answers, are in ``requests``. Seconds are floats; addresses are texts.
"""

from __future__ import annotations

import msgspec

from cicada.nat.requests import TCP, AnyAnswer, AnyRequest

# News: what users of port mapping are told


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """The router forwards ``external_ip:external_port`` to ``port``. Said anew when any of it changed, not when it is renewed.

    ``lease_s``: as granted; 0: until it is deleted. ``external_ip``: as the router says; empty when it said none or nonsense.
    Not ``is_global``: that address is itself behind another NAT (double NAT, CGNAT), so it must never be advertised.
    """

    port: int
    protocol: str  # of PROTOCOLS
    gateway: str
    external_ip: str
    external_port: int
    lease_s: float
    is_global: bool
    local_ip: str = ""  # of this machine, as the router knows it


class MappingLost(msgspec.Struct, frozen=True, kw_only=True):
    """What was Mapped is so no more, or nobody knows. The next word is Mapped or NotMapped. ``reason``: see advice.REASONS."""

    port: int
    reason: str


class NotMapped(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt failed, for a reason (see advice.REASONS), with advice for people. The next comes by itself."""

    port: int
    reason: str
    advice: str
    retry_in_s: float  # at the latest; sooner when the network changes or the router comes back


NatNews = Mapped | MappingLost | NotMapped


# Inputs


class AddPort(msgspec.Struct, frozen=True, kw_only=True):
    """Have a port mapped from now on. Of one that is mapped already, the news are told again."""

    port: int
    transport: str = TCP
    external_port: int = 0  # wished for; 0: the same number as ``port``


class RemovePort(msgspec.Struct, frozen=True, kw_only=True):
    """Delete a port's mapping and tell nothing of it any more."""

    port: int


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to the request that was asked. One to an earlier request changes nothing."""

    id: int
    answer: AnyAnswer


class RouterSpoke(msgspec.Struct, frozen=True, kw_only=True):
    """A router at this address said, unasked, that it has started anew. Anybody could say so: it is a hint."""

    gateway: str


class Stop(msgspec.Struct, frozen=True):
    """Delete everything; Stopped follows."""


class TimerFired(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed. Early, late and double wakes are harmless."""


MapperInput = AddPort | RemovePort | Answered | RouterSpoke | Stop | TimerFired

# Outputs


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Have the request carried out; Answered, with this id, within ``deadline_s``. There is no other meanwhile."""

    id: int
    request: AnyRequest
    deadline_s: float


class Tell(msgspec.Struct, frozen=True):
    """News for whoever added the port."""

    news: NatNews


class Stopped(msgspec.Struct, frozen=True):
    """Nothing is left that could be deleted."""


MapperOutput = Ask | Tell | Stopped
