"""Why a port is not mapped, in a word and in words, and what people can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cicada.errors import MappingFailed

_BY_HAND: Final = "or forward a port to this machine by hand and pass it with --bind HOST:PORT@EXTERNAL:PORT"
_ENABLE: Final = f"enable UPnP, NAT-PMP or PCP in the router, {_BY_HAND}"

REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        # the router's own word
        "refused": ("the router refuses to map this port", f"allow this machine to map ports, {_BY_HAND}"),
        "conflict": (
            "the external ports that were tried belong to others",
            f"delete old mappings in the router, {_BY_HAND}",
        ),
        "no-resources": (
            "the router has no room for more mappings",
            f"delete old mappings in the router, {_BY_HAND}",
        ),
        "no-wan": (
            "the router is not connected to the internet, or has no public address",
            "look at the router's connection; behind a carrier's NAT only the provider can give a public address",
        ),
        "gone": ("the router does not know the mapping any more", "nothing: it is made again"),
        # nobody there
        "timeout": ("the router did not answer in time", _ENABLE),
        "closed": ("the router does not listen", _ENABLE),
        "unsupported": ("the router does not speak the protocol", _ENABLE),
        "no-device": ("no router was found by UPnP", _ENABLE),
        "malformed": ("the router answered nonsense", f"update the router's firmware, {_BY_HAND}"),
        "unreachable": ("the router cannot be reached", "look at this machine's network connection"),
        "no-gateway": ("this machine has no default route", "look at this machine's network connection"),
        "silent": ("the router stopped answering", "look at the router; it is used as soon as it answers"),
        # not the router
        "not-needed": ("this machine has a public address itself", "nothing: bind to that address"),
        "network-changed": ("this machine is in another network now", "nothing: it is mapped there"),
        "expired": ("the lease ended and could not be renewed", _ENABLE),
        "too-many": (
            "this process maps as many ports as it may",
            "map fewer ports, or start another process",
        ),
        "helper-failed": (
            "the helper process that talks to the router failed",
            f"start with a Python that can start subprocesses, {_BY_HAND}",
        ),
        "not-installed": ("a library is missing", "install cicada-swarm with its dependencies"),
    }
)
"""Every reason slug of ``MappingLost``, ``NotMapped``, ``Failed`` and ``MappingFailed``: what it means, and the advice."""

OF_THE_PORT: Final = frozenset({"refused", "conflict", "no-resources", "gone"})
"""Reasons of which a router that answers has said something about one port. All others are about the protocol as a whole."""

# Without a public address of its own a router may refuse every port as PCP's NO_RESOURCES and as UPnP's 501.
_TELLING: Final = (
    *("no-wan", "refused", "conflict", "no-resources", "malformed", "helper-failed", "not-installed"),
    *("unreachable", "timeout", "no-device", "closed", "unsupported"),
)


def most_telling(reasons: list[str]) -> str:
    """The one reason, of those of several protocols, that people should hear."""
    known = [reason for reason in _TELLING if reason in reasons]
    return known[0] if known else (reasons[0] if reasons else "timeout")


def meaning(reason: str) -> str:
    """What a reason means, as half a sentence."""
    return REASONS.get(reason, (reason, ""))[0]


def advice(reason: str) -> str:
    """What to do about it."""
    return REASONS.get(reason, ("", _ENABLE))[1]


def failure(*reasons: str, detail: str = "") -> MappingFailed:
    """The error to raise when a port was mapped by no protocol; ``reasons`` are those of each."""
    reason = most_telling(list(reasons))
    problem = meaning(reason) + (f" ({detail})" if detail else "")
    return MappingFailed(problem, reason=reason, advice=advice(reason))
