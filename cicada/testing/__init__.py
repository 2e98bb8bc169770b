"""For tests of applications: swarms in this process, on loopback or in virtual time.

On loopback, with real sockets; here by a sync application::

    from cicada.testing import LocalSwarm


    def test_everybody_hears_a_broadcast() -> None:
        with LocalSwarm(5, seed=1) as swarm:
            swarm[0].broadcast("lunch!").result()
            for peer in swarm.peers[1:]:
                assert peer.recv(timeout=5.0).data == b"lunch!"

In virtual time, without sockets: an hour takes seconds, and the same seed gives the same run::

    from cicada.testing import LocalSwarm, network, virtual


    async def a_slow_hour() -> None:
        async with LocalSwarm(5, seed=1) as swarm:
            network().everywhere(latency=0.08, jitter=0.02)
            await swarm.kill(3)
            await swarm.proven()


    def test_the_ring_heals_when_everything_is_slow() -> None:
        virtual(a_slow_hour, seed=7)

The fixture ``cicada_swarm`` of the pytest plugin makes swarms that end with the test. Nothing here needs pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cicada.testing.localswarm import LocalSwarm, SyncSwarm
    from cicada.testing.running import network, virtual
    from cicada.testing.virtualnetwork import Network

__all__ = ["LocalSwarm", "SyncSwarm", "virtual", "network", "Network"]

_HOMES: Final = {  # loaded when first used: every run of pytest imports this package for its plugin
    "LocalSwarm": "localswarm",
    "SyncSwarm": "localswarm",
    "virtual": "running",
    "network": "running",
    "Network": "virtualnetwork",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
