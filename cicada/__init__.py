"""Cicada: a resilient peer-to-peer communication framework.

``SwarmPeer`` is the way in; ``cicada.aio.SwarmPeer`` is its twin on asyncio. Public names are loaded when first used
(PEP 562), so that importing one part, ``cicada.bus`` say, does not load the others.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cicada import aio
    from cicada.aio import BroadcastReceipt, Message, Receipt
    from cicada.errors import (
        CicadaError,
        ConfigError,
        DeliveryTimeout,
        KeyChanged,
        MailboxFull,
        MalformedMessage,
        MappingFailed,
        Misuse,
        NameTaken,
        NotBound,
        PayloadTooLarge,
        PeerFault,
        RequestFailed,
        RingNotReady,
        Unavailable,
    )
    from cicada.nat.portmapping import PortMapping
    from cicada.peer import SwarmPeer
    from cicada.routing.mailstore import MailboxPolicy

__all__ = [
    "SwarmPeer",
    "aio",
    "MailboxPolicy",
    "Message",
    "PortMapping",
    "Receipt",
    "BroadcastReceipt",
    "CicadaError",
    "ConfigError",
    "DeliveryTimeout",
    "KeyChanged",
    "MailboxFull",
    "MalformedMessage",
    "MappingFailed",
    "Misuse",
    "NameTaken",
    "NotBound",
    "PayloadTooLarge",
    "PeerFault",
    "RequestFailed",
    "RingNotReady",
    "Unavailable",
    "__version__",
]

logging.getLogger("cicada").addHandler(logging.NullHandler())  # where logs go is the application's business

_HOMES: Final = {
    "SwarmPeer": "cicada.peer",
    "MailboxPolicy": "cicada.routing.mailstore",
    "Message": "cicada.aio",
    "PortMapping": "cicada.nat.portmapping",
    "Receipt": "cicada.aio",
    "BroadcastReceipt": "cicada.aio",
}
_MODULES: Final = frozenset({"aio"})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("cicada-swarm")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    value = getattr(importlib.import_module(_HOMES.get(name, "cicada.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
