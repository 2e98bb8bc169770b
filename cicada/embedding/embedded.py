"""What is known of a peer that an application embeds, and what its keeper may do with it."""

from __future__ import annotations

import asyncio

from cicada.actors.family import ChangeSwarmKeys, InjectCrash, Kind, TakeSnapshot
from cicada.actors.hosted import HostedPeer, PeerStats, Trial
from cicada.actors.loop import LoopDispatcher
from cicada.actors.mailbox import HostPort
from cicada.chord.io import RingSnapshot
from cicada.embedding.waiting import answered
from cicada.errors import NotBound
from cicada.ids import Address, Place
from cicada.keys.psks import SwarmKeys


class Embedded:
    """A peer, from its making on; it has an address once it was bound."""

    _hosted: HostedPeer | None = None
    _closed = False

    def change_swarm_keys(self, keys: SwarmKeys) -> None:
        """Dial with and accept these keys of a closed swarm from now on. Links made with others are closed; what they had
        not finished goes over new ones."""
        self._own().tell(ChangeSwarmKeys(keys))

    def stop_mapping(self) -> None:
        """Ask the router no more to map this peer's port; a mapping that it granted is deleted."""
        self._own().stop_mapping()

    def crash(self, kind: str) -> None:
        """Make the actor ``transport``, ``ring``, ``router`` or ``crypto`` fail; supervision starts it again. For tests."""
        self._own().tell(InjectCrash(Kind(kind)))

    @property
    def trial(self) -> Trial:
        """For tests: have the peer stand still and go on, and set faults between it and others."""
        return self._own()

    async def snapshot(self, timeout: float = 5.0) -> RingSnapshot:
        """The ring's state at this peer, at one instant."""
        reply: asyncio.Future[RingSnapshot] = asyncio.get_running_loop().create_future()
        self._own().tell(TakeSnapshot(reply))
        return await answered(reply, timeout, "snapshot")

    def stats(self) -> PeerStats:
        """Counters since ``bind``."""
        return self._own(closed_is_fine=True).stats()

    @property
    def listener(self) -> HostPort:
        """The address others dial."""
        return HostPort.of(self._bound(closed_is_fine=True).peer.address)

    @property
    def address(self) -> Address:
        """The same as text; of a peer that nobody can dial ``@`` with its peer id. It changes when a router maps its port and
        others have dialled it by that, and when the router does so no more."""
        return self._bound(closed_is_fine=True).peer.address

    @property
    def hash(self) -> Place:
        """This peer's place on the ring."""
        return self._bound(closed_is_fine=True).peer.place

    @property
    def peers(self) -> tuple[HostPort, ...]:
        """The peers this one knows and has dialled."""
        return tuple(HostPort.of(peer.address) for peer in self._own().contacts)

    @property
    def bound(self) -> bool:
        """Whether the peer listens."""
        return self._hosted is not None and not self._hosted.ended

    @property
    def failed(self) -> str:
        """Why supervision gave this peer up; empty while it has not."""
        return "" if self._hosted is None else self._hosted.failure

    @property
    def dispatcher(self) -> LoopDispatcher:
        """For LoopActors of the application: they have their turns on the peer's event loop, in line with its actors."""
        return self._own().dispatcher

    def __repr__(self) -> str:
        where = "unbound" if self._hosted is None else self._hosted.peer.address
        return f"<SwarmPeer {where}{' closed' if self._closed else ''}>"

    def _bound(self, *, closed_is_fine: bool = False) -> HostedPeer:
        if self._hosted is None:
            raise NotBound("this peer has no address yet: call bind() first")
        if self._hosted.ended and not closed_is_fine:
            raise NotBound(self._hosted.failure or "this peer is closed: make a new one")
        return self._hosted

    async def _gone(self) -> None:
        """Returns once the last of its actors has ended. For ``cicada.testing``, which leaves nothing behind."""
        await self._bound(closed_is_fine=True).gone

    def _own(self, *, closed_is_fine: bool = False) -> HostedPeer:
        """The same, where it may be used."""
        hosted = self._bound(closed_is_fine=closed_is_fine)
        hosted.ownership.check()
        return hosted
