"""Whether others can dial this machine: a peer joins their swarm, has its port mapped, and waits until it was dialled."""

from __future__ import annotations

import asyncio

import msgspec

from cicada.aio import SwarmPeer
from cicada.events import AddressChanged, AnyEvent, PortMapped, PortMappingFailed
from cicada.ids import is_hidden
from cicada.limits import CLI

ANY = "0.0.0.0"  # noqa: S104  # what the router forwards comes in by whichever interface faces it


class DialBack(msgspec.Struct, frozen=True, kw_only=True):
    """``dialled``: a member of the swarm at ``seed`` dialled ``external`` and finished a handshake. ``reason``: why none did."""

    seed: str
    dialled: bool
    external: str = ""
    reason: str = ""


class _Watch:
    """What happens to the peer, until it is known whether it can be dialled."""

    def __init__(self) -> None:
        self.verdict: asyncio.Future[DialBack] = asyncio.get_running_loop().create_future()
        self.external = ""

    def __call__(self, _name: str, event: AnyEvent) -> None:
        if isinstance(event, PortMapped):
            self.external = event.external
            if not event.is_global:
                self._settle(dialled=False, reason="the mapped address is not global")
        elif isinstance(event, PortMappingFailed):
            self._settle(dialled=False, reason=event.reason)
        elif isinstance(event, AddressChanged) and not is_hidden(event.address):
            self.external = event.address
            self._settle(dialled=True)

    def _settle(self, *, dialled: bool, reason: str = "") -> None:
        if not self.verdict.done():
            self.verdict.set_result(DialBack(seed="", dialled=dialled, external=self.external, reason=reason))


async def dial_back(seed: str, port: int, timeout: float = CLI.dial_back) -> DialBack:
    """Join the open swarm of the peer at ``seed`` with an ephemeral peer at ``port`` (0: a free one), and see. Raises RingNotReady
    when it cannot be joined."""
    watch = _Watch()
    async with SwarmPeer(ANY, port, identity="ephemeral", publish=watch) as peer:
        await peer.connect(seed)
        if not is_hidden(peer.address):
            return DialBack(seed=seed, dialled=False, external=peer.address, reason="not behind a router")
        try:
            verdict = await asyncio.wait_for(watch.verdict, timeout)
        except TimeoutError:
            reason = "nobody dialled it in time" if watch.external else "no port was mapped in time"
            return DialBack(seed=seed, dialled=False, external=watch.external, reason=reason)
    return msgspec.structs.replace(verdict, seed=seed)
