"""The product's side of the relay benchmark: its own endpoint, links, TransportActor and RouterActor, as shipped."""

from __future__ import annotations

import asyncio
import importlib
import random
from collections import Counter
from functools import partial
from typing import Any, ClassVar

from benchmarks.graph import Node
from cicada.actors.alarm import Alarms, LoopClock
from cicada.actors.family import Wired
from cicada.actors.loop import LoopActor, LoopDispatcher
from cicada.actors.pump import Surroundings
from cicada.actors.router import RouterActor
from cicada.actors.transport import Attachment, TransportActor
from cicada.chord.io import TableChanged
from cicada.ids import Peer, place_to_bytes
from cicada.keys import aead, ciphers, linkhandshake
from cicada.keys.identity import Identity
from cicada.keys.io import SessionKeys, SessionReady
from cicada.keys.memory import Memory
from cicada.keys.trust import Trust
from cicada.routing.admission import Admission, Quota
from cicada.routing.io import Deliver, RoutedReceived
from cicada.routing.router import Router
from cicada.transport.zeromq import ZmqEndpoint
from cicada.wire.codec import encode
from cicada.wire.frames import PREFIXED
from cicada.wire.routed import Data
from cicada.wire.sealed import DataBody, encode_body
from cicada.wire.security import LinkSecurity, Unsecured

_LINK_ACK_BYTES = 12  # what a DATA frame carries before its message


class CountedRouter(RouterActor):
    """The product's RouterActor, whose core can be asked how far it got."""

    cores: ClassVar[list[Router]] = []

    def make_core(self) -> Router:
        core = super().make_core()
        self.cores.append(core)
        return core


def hops_made() -> int:
    """Links that Data messages were sent over by the peers of this process, be it as origin or as relay."""
    return sum(core.counters()["forwarded"] for core in CountedRouter.cores)


class Sink(LoopActor):
    """Stands where the PeerSupervisor does: for each message that arrives, one more to somebody else leaves."""

    def __init__(
        self, around: Surroundings, peers: tuple[Peer, ...], payload: bytes, rng: random.Random
    ) -> None:
        super().__init__(around.dispatcher)
        self._own = around.own
        self._index = index_of(around.own, peers)
        self._peers = peers
        self._payload = payload
        self._rng = rng
        self._numbers = 0
        self.wired: Wired | None = None

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Wired):
            self.wired = message
        elif isinstance(message, Deliver) and self.wired is not None:
            self.launch()

    def launch(self) -> None:
        """One message to a random other peer."""
        target = self._own
        while target == self._own:
            target = self._rng.choice(self._peers)
        self._numbers += 1
        data = relayed(self._own, self._index, target, self._numbers, self._payload)
        if self.wired is not None:
            self.wired.router.tell(RoutedReceived(self._own, data))


def relayed(origin: Peer, index: int, target: Peer, number: int, payload: bytes) -> Data:
    """A copy on its way, in the session that every other peer has with ``origin`` as number ``index``."""
    body = DataBody(origin_boot=1, message=number, boot=1, payload=payload)
    return Data(
        target=place_to_bytes(target.place),
        origin=origin.address,
        hops=0,
        index=index,
        counter=number,
        attempt=1,
        copy=0,
        body=encode_body(body),
    )


def index_of(peer: Peer, peers: tuple[Peer, ...]) -> int:
    """The number of a peer's sessions."""
    return 1 + peers.index(peer)


def session_with(peer: Peer, peers: tuple[Peer, ...]) -> SessionReady:
    """What the negotiator would have said, had they met: here only relaying is measured."""
    index = index_of(peer, peers)
    return SessionReady(
        SessionKeys(
            peer=peer,
            boot=1,
            index=index,
            remote_index=index,
            initiated=True,
            verified=True,
            trust=Trust.UNVERIFIED,
        )
    )


def payload_for(frame_bytes: int, peer: Peer) -> bytes:
    """As many bytes as make a DATA frame ``frame_bytes`` long."""
    bare = PREFIXED.size + _LINK_ACK_BYTES + len(encode(relayed(peer, 1, peer, 1 << 20, b"")))
    return bytes(frame_bytes - bare)


class ProductRelay:
    """One process of the product's relay."""

    def __init__(
        self, nodes: tuple[Node, ...], process: int, frame_bytes: int, seed: int, links: str
    ) -> None:
        loop = asyncio.get_running_loop()
        self._nodes = nodes
        self._process = process
        self._dispatcher = LoopDispatcher(loop)
        self._clock = LoopClock(loop)
        self._alarms = Alarms(self._clock, loop)
        self._endpoint = ZmqEndpoint(loop)
        self._admission = Admission()
        self._rng = random.Random(seed)
        self._payload = payload_for(frame_bytes, nodes[0].peer)
        self._links = links
        if links == "pynacl":
            aead.seal, aead.open_sealed = aead.seal_by_nacl, aead.open_by_nacl
            aead.sealer_of = partial(partial, aead.seal_by_nacl)
            aead.opener_of = partial(partial, aead.open_by_nacl)
            importlib.reload(ciphers)
            importlib.reload(linkhandshake)
        self._sinks: list[Any] = []
        self._refs: list[Any] = []
        self.tally: Counter[str] = Counter()

    def bind(self) -> None:
        """Start every peer of this process."""
        for node in self._nodes:
            if node.process == self._process:
                self._start(node)

    def inject(self, frames: int) -> None:
        """Put this process's share of the load in flight."""
        for number in range(frames):
            self._sinks[number % len(self._sinks)].tell(_DELIVERED)

    async def run(self, seconds: float) -> int:
        """Relay for so long; returns the hops made."""
        before = hops_made()
        await asyncio.sleep(seconds)
        return hops_made() - before

    async def close(self) -> None:
        """Give everything back."""
        for ref in self._refs:
            ref.stop(block=False)
        while any(ref.is_alive() for ref in self._refs):
            await asyncio.sleep(0)
        self._endpoint.close()
        self._alarms.close()
        self._clock.close()

    def _security(self, peer: Peer) -> LinkSecurity:
        if self._links == "plain":
            return Unsecured()
        entropy = random.SystemRandom()
        memory = Memory(peer, Identity.generate(entropy), swarm="", wall_ms=self._clock.wall_ms)
        return linkhandshake.LinkHandshakes(memory, entropy=entropy)

    def _start(self, node: Node) -> None:
        attachment = Attachment(self._endpoint)
        around = Surroundings(
            own=node.peer,
            name=node.peer.address,
            dispatcher=self._dispatcher,
            clock=self._clock,
            alarms=self._alarms,
            publish=None,
            tally=self.tally,
            refusals=Counter(),
            entropy=random.SystemRandom(),
        )
        self._endpoint.listen(node.peer.address, attachment)
        peers = tuple(other.peer for other in self._nodes)
        sink = Sink.start(around, peers, self._payload, self._rng)
        transport = TransportActor.start(around, attachment, 1, "", self._security(node.peer))
        router = CountedRouter.start(around, 1, Quota(self._admission))
        wired = Wired(sink, transport, sink, router, sink)
        for ref in (sink, transport, router):
            ref.tell(wired)
        known = tuple(self._nodes[index].peer for index in node.known)
        router.tell(TableChanged(known[0], None, known))
        router.tell_all([session_with(peer, peers) for peer in peers if peer != node.peer])
        self._sinks.append(sink)
        self._refs += (sink, transport, router)


_DELIVERED = Deliver(ticket=0, origin=Peer("127.0.0.1:1"), origin_boot=0, message=0, payload=b"", hops=0)  # type: ignore[arg-type]
