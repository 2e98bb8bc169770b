"""Where a peer is at present: its address, what it holds of the endpoint there, and the actors that act under that address."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from cicada.actors.base import ActorExit
from cicada.actors.correspondence import Correspondence, Holdings
from cicada.actors.family import Ref
from cicada.actors.peer import PeerSupervisor
from cicada.actors.peerkeys import PinKeeper
from cicada.actors.porch import Porch
from cicada.actors.pump import Surroundings
from cicada.actors.transport import Attachment
from cicada.ids import Address, Peer, peer_at
from cicada.keys.identity import Entropy
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.memory import Memory
from cicada.transport.base import Endpoint
from cicada.wire.security import LinkSecurity, Unsecured


class Fixtures(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same wherever a peer is. ``memory`` makes the keys' memory for an address; None: nothing is encrypted."""

    endpoint: Endpoint
    bound: Address
    boot: int
    swarm: str
    incarnations: Iterator[int]
    entropy: Entropy
    holdings: Holdings
    correspondence: Correspondence
    memory: Callable[[Peer], Memory] | None
    on_failed: Callable[[str], None]
    on_new_peer: Callable[[Peer], None] | None
    pins: PinKeeper | None
    on_unreached: Callable[[Peer], None]

    def security(self, memory: Memory | None) -> LinkSecurity:
        """Makes the handshakes of links."""
        return Unsecured() if memory is None else LinkHandshakes(memory, entropy=self.entropy)

    def memory_at(self, peer: Peer) -> Memory | None:
        """What the negotiator must not forget there."""
        return None if self.memory is None else self.memory(peer)


class Residence:
    """One stay at ``around.own``. Its attachment listens there already."""

    def __init__(
        self,
        fixtures: Fixtures,
        around: Surroundings,
        attachment: Attachment,
        *,
        on_ended: Callable[[tuple[object, ...]], None],
    ) -> None:
        self.around = around
        self.attachment = attachment
        self.memory = fixtures.memory_at(around.own)
        fixtures.holdings.memory = self.memory
        self.supervisor: Ref = PeerSupervisor.start(
            around,
            attachment=attachment,
            incarnations=fixtures.incarnations,
            boot=fixtures.boot,
            swarm=fixtures.swarm,
            security=fixtures.security(self.memory),
            holdings=fixtures.holdings,
            correspondence=fixtures.correspondence,
            on_failed=fixtures.on_failed,
            on_new_peer=fixtures.on_new_peer,
            on_pin=fixtures.pins,
            on_unreached=fixtures.on_unreached,
            on_ended=on_ended,
        )


class Watchpost:
    """A Porch at one candidate address, beside the peer's own. ``on_failed``: it ended by itself, and the address is free. Raises
    what Endpoint.listen does."""

    def __init__(
        self,
        fixtures: Fixtures,
        around: Surroundings,
        candidate: Address,
        on_dialled: Callable[[Address, str], None],
        on_failed: Callable[[], None],
    ) -> None:
        self.candidate = candidate
        self._then = on_failed
        self._endpoint = fixtures.endpoint
        self._attachment = Attachment(fixtures.endpoint)
        self._endpoint.listen(candidate, self._attachment, bind_to=fixtures.bound, shared=True)
        peer = peer_at(candidate)
        self._actor: Ref = Porch.start(
            replace(around, own=peer),
            self._attachment,
            next(fixtures.incarnations),
            fixtures.swarm,
            fixtures.security(fixtures.memory_at(peer)),
            lambda source: on_dialled(candidate, source),
        )
        self._actor.watch(self._ended)

    def close(self, then: Callable[[], None]) -> None:
        """Let nobody in any more, and call ``then`` when the address is free."""
        self._then = then
        self._actor.stop(block=False)

    def _ended(self, _: ActorExit) -> None:
        self._attachment.reset()
        self._endpoint.unlisten(self.candidate)
        self._then()
