"""Programs in virtual time, from their first to their last line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cicada.actors.platform import platform_of, provide
from cicada.errors import DeliveryTimeout, Misuse
from cicada.limits import HARNESS
from cicada.testing.virtualloop import VirtualLoop
from cicada.testing.virtualnetwork import Network
from cicada.testing.virtualplatform import VirtualPlatform

T = TypeVar("T")


def virtual(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    seed: int = 0,
    latency: float = 0.0,
    jitter: float = 0.0,
    loss: float = 0.0,
    timeout: float = HARNESS.virtual_timeout,
) -> T:
    """Run ``main()``, a whole application of ``cicada.aio.SwarmPeer`` objects, in virtual time, and return what it returns.

    Its peers find each other in memory, at whatever addresses they bind. Time stands still while anything is to be done and
    then jumps to the next timer, so waiting costs nothing. Whatever Cicada draws (keys, jitter, paths) follows from ``seed``:
    with the same seed, and a ``main`` that is deterministic itself, everything happens in the same order again, in any
    process of the same Python. Let it take the time from its event loop (``loop.time()``, seconds since the start) and chance
    from a ``random.Random`` of its own.

    ``latency``, ``jitter``, ``loss``: how the network is at the beginning, as Network says; within ``main``, ``network()``
    changes it. ``peer.kill()`` kills. At the end peers and tasks that ``main`` left are ended.

    Misuse is raised for what a thread or the world outside would be needed for: hooks, actors that block, sync SwarmPeers,
    executors, sockets, subprocesses; use LocalSwarm there. Routers are not asked for port mappings. Raises DeliveryTimeout when
    ``main`` is not done after ``timeout`` virtual seconds, and Misuse on a thread whose event loop runs.
    """
    _check_no_loop()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        between = Network()
        provide(loop, VirtualPlatform(loop, seed, between))
        between.everywhere(latency=latency, jitter=jitter, loss=loss)
        return runner.run(_whole(main, between, timeout))


def network() -> Network:
    """What lies between the peers of the running ``virtual`` program. Raises Misuse elsewhere."""
    try:
        platform = platform_of(asyncio.get_running_loop())
    except RuntimeError:
        platform = None
    if not isinstance(platform, VirtualPlatform):
        raise Misuse("only virtual time has a network to be changed: call this within virtual(main)")
    return platform.network


async def _whole(main: Callable[[], Coroutine[Any, Any, T]], between: Network, timeout: float) -> T:
    try:
        async with asyncio.timeout(timeout) as limit:
            return await main()
    except TimeoutError:
        if limit.expired():
            raise DeliveryTimeout(f"main was not done after {timeout:g} virtual seconds") from None
        raise
    finally:
        async with asyncio.timeout(HARNESS.virtual_end):
            await _end_tasks()
            await between.end_all()


async def _end_tasks() -> None:
    """Those that main left. Before their peers end, of which they would complain."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise Misuse(
        "an event loop runs on this thread already: call virtual() from a function that is not async"
    )
