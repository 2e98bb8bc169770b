"""Actors for applications: beside a peer, under supervision, in other processes and at other peers. ``docs/actors.md`` says how.

Public names are loaded when first used (PEP 562), as those of ``cicada`` are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cicada.actors.base import ActorExit, BlockingActor, GuardedRef, Overflow
    from cicada.actors.lasting import LastingRef, SyncLastingRef
    from cicada.actors.loop import LoopActor, LoopDispatcher
    from cicada.actors.remote import Exported, RemoteCall, export
    from cicada.actors.subscription import ActorRef, Subscription
    from cicada.actors.supervision import Restart, Strategy
    from cicada.actors.tree import Child, Supervisor
    from cicada.control import RemoteRef, SyncRemoteRef, Terminated

__all__ = [
    "ActorExit",
    "ActorRef",
    "BlockingActor",
    "Child",
    "Exported",
    "GuardedRef",
    "LastingRef",
    "LoopActor",
    "LoopDispatcher",
    "Overflow",
    "RemoteCall",
    "RemoteRef",
    "Restart",
    "Strategy",
    "Subscription",
    "Supervisor",
    "SyncLastingRef",
    "SyncRemoteRef",
    "Terminated",
    "export",
]

_HOMES: Final = {
    "ActorExit": "cicada.actors.base",
    "ActorRef": "cicada.actors.subscription",
    "BlockingActor": "cicada.actors.base",
    "Child": "cicada.actors.tree",
    "Exported": "cicada.actors.remote",
    "GuardedRef": "cicada.actors.base",
    "LastingRef": "cicada.actors.lasting",
    "LoopActor": "cicada.actors.loop",
    "LoopDispatcher": "cicada.actors.loop",
    "Overflow": "cicada.actors.base",
    "RemoteCall": "cicada.actors.remote",
    "RemoteRef": "cicada.control",
    "Restart": "cicada.actors.supervision",
    "Strategy": "cicada.actors.supervision",
    "Subscription": "cicada.actors.subscription",
    "Supervisor": "cicada.actors.tree",
    "SyncLastingRef": "cicada.actors.lasting",
    "SyncRemoteRef": "cicada.control",
    "Terminated": "cicada.control",
    "export": "cicada.actors.remote",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
