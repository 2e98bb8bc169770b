"""Which event loops have threads beside them. All do, but those of virtual time, which a thread would not keep to."""

from __future__ import annotations

import asyncio
import weakref

from cicada.errors import Misuse

_alone: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def forbid_threads(loop: asyncio.AbstractEventLoop) -> None:
    """From now on nothing runs beside the loop."""
    _alone.add(loop)


def has_threads(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether something may run beside the loop."""
    return loop not in _alone


def check_threads(what: str) -> None:
    """Raises Misuse when ``what`` is asked for on a loop that has no threads beside it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if not has_threads(loop):
        raise Misuse(
            f"{what} needs a thread, and there are none in virtual time: use LocalSwarm for that test"
        )
