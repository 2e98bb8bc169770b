"""The host: everything the peers of one event loop share. It starts with the first of them and ends with the last."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import random
import socket
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from cicada.actors.alarm import Alarms, LoopClock
from cicada.actors.crypto import CryptoActor
from cicada.actors.family import Kind
from cicada.actors.hosted import HostedPeer, Voice
from cicada.actors.loop import LoopDispatcher
from cicada.actors.peer import PeerSupervisor
from cicada.actors.peerkeys import KeySource, PeerKeys, PinKeeper
from cicada.actors.pump import Publish, Pump, Surroundings
from cicada.actors.ring import RingActor
from cicada.actors.router import RouterActor
from cicada.actors.standstill import Standstill
from cicada.actors.transport import Attachment, TransportActor
from cicada.errors import Misuse, Unavailable
from cicada.events import PeerStarted
from cicada.ids import Address, Peer, canonical_address, is_loopback, is_unspecified, peer_at, split_address
from cicada.keys.ciphers import forget_after_fork
from cicada.keys.congestion import Window
from cicada.keys.identity import Identity
from cicada.keys.memory import Memory, host_bucket
from cicada.keys.pins import Pin
from cicada.keys.psks import Secrets
from cicada.keys.trust import TrustStore
from cicada.limits import DELIVERY, KEYS, RING, DeliveryLimits, RingLimits
from cicada.routing.allowance import Allowance
from cicada.routing.behaviour import Behaviour
from cicada.transport.base import Endpoint
from cicada.transport.zeromq import ZmqEndpoint

_logger = logging.getLogger("cicada.host")
_FREE_PORT_TRIES = 16
_KINDS: dict[type, str] = {
    TransportActor: Kind.TRANSPORT.value,
    RingActor: Kind.RING.value,
    RouterActor: Kind.ROUTER.value,
    CryptoActor: Kind.CRYPTO.value,
    PeerSupervisor: "supervisor",
}

# Whatever an application forks, its child never seals with what its parent goes on sealing with.
os.register_at_fork(after_in_child=forget_after_fork)


def whose_turn() -> tuple[str, str]:
    """The peer that the running actor belongs to, and what the actor is to it (``ring``), for logs. Empty texts when no
    actor of a peer has its turn on this thread.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return "", ""
    host = Host.of(loop)
    actor = None if host is None else host.dispatcher.current
    if isinstance(actor, Pump | PeerSupervisor):
        return actor.around.name, _KINDS.get(type(actor), "")
    return "", ""


class Host:
    """One dispatcher, one clock, one endpoint for all peers of a loop."""

    _by_loop: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Host]] = (
        weakref.WeakKeyDictionary()
    )

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Host | None:
        """The host of a loop, if it has one."""
        return cls._by_loop.get(loop)

    @classmethod
    def current(cls) -> Host:
        """The host of the running loop. Raises Misuse when no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise Misuse(
                "no event loop is running: use cicada.SwarmPeer, or call this from a coroutine"
            ) from None
        host = cls._by_loop.get(loop)
        if host is None:
            host = cls._by_loop[loop] = cls(loop)
        return host

    @classmethod
    def traffic(cls) -> dict[str, int]:
        """Counters of the running loop's endpoint, as Endpoint.counters has them; empty where no peer is hosted."""
        host = cls._by_loop.get(asyncio.get_running_loop())
        return {} if host is None else host.endpoint.counters()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.dispatcher = LoopDispatcher(loop)
        self.clock = LoopClock(loop)
        self.alarms = Alarms(self.clock, loop)
        self.endpoint: Endpoint = ZmqEndpoint(loop)
        self.entropy = random.SystemRandom()
        self._accepting = host_bucket()
        self._window = Window(KEYS)
        self.allowance = Allowance()
        self._hosted: set[HostedPeer] = set()
        self._hooks: concurrent.futures.ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start_peer(
        self,
        *,
        host: str,
        port: int,
        external_ip: str | None = None,
        external_port: int | None = None,
        name: str = "",
        publish: Publish | None = None,
        on_new_peer: Callable[[Peer], None] | None = None,
        swarm: str = "",
        keys: KeySource | None = None,
        secrets: Secrets | None = None,
        encrypt: bool = True,
        create: bool = True,
        ring: RingLimits = RING,
        delivery: DeliveryLimits = DELIVERY,
        behaviour: Behaviour | None = None,
    ) -> HostedPeer:
        """Bind a peer and start its actors. Raises Unavailable or Misuse, and then nothing was started.

        ``keys``: where its keys and pins come from; None: fresh ones. ``secrets``: what it shares with others.
        ``encrypt=False`` is for measurements on loopback, ``behaviour`` for tests there.
        """
        attachment = Attachment(self.endpoint)
        address = self._listen(attachment, host, port, external_ip, external_port)
        try:
            _check_harmless(behaviour, address, host)
            lasting = self._keys(address, keys, encrypt)
        except BaseException:
            self.endpoint.unlisten(address)
            self._close_if_empty()
            raise
        peer = peer_at(address)
        standstill = Standstill(self.dispatcher, self.clock, self.alarms)
        around = Surroundings(
            own=peer,
            name=name or address,
            dispatcher=standstill.dispatcher,
            clock=standstill.clock,
            alarms=standstill.alarms,
            publish=None if publish is None else Voice(publish),
            tally=Counter(),
            refusals=Counter(),
            entropy=self.entropy,
            ring=ring,
            allowance=self.allowance,
            delivery=delivery,
            behaviour=behaviour,
        )
        memory = None if lasting is None else self._memory(peer, lasting, swarm, secrets)
        on_pin = self._keeper(lasting)
        hosted = HostedPeer(self, around, standstill, attachment, swarm, create, on_new_peer, memory, on_pin)
        self._hosted.add(hosted)
        if publish is not None:
            publish(around.name, PeerStarted(address=address, place=f"{peer.place:064x}"))
        return hosted

    def run_hook(self, name: str, hook: Callable[..., object], *arguments: object) -> None:
        """Run an application's hook off the loop, one at a time, in order."""
        if self._hooks is None:
            self._hooks = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="cicada-hooks")
        self._hooks.submit(_guarded, name, hook, *arguments)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, or to the end of the host."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def gone(self, hosted: HostedPeer) -> None:
        """A peer has ended completely. The last one closes the host."""
        self._hosted.discard(hosted)
        self._close_if_empty()

    def _keys(self, address: Address, keys: KeySource | None, encrypt: bool) -> PeerKeys | None:
        """None: nothing is encrypted."""
        if encrypt:
            return keys(address) if keys else PeerKeys(Identity.generate(self.entropy), TrustStore())
        if not is_loopback(address):
            raise Misuse(f"{address} is not a loopback address: links that leave this machine are encrypted")
        _logger.warning("links of %s are NOT ENCRYPTED and nobody's word is checked", address)
        return None

    def _memory(self, peer: Peer, keys: PeerKeys, swarm: str, secrets: Secrets | None) -> Memory:
        return Memory(
            peer,
            keys.identity,
            swarm=swarm,
            wall_ms=self.clock.wall_ms,
            secrets=secrets,
            trust=keys.trust,
            succession=keys.succession,
            accepting=self._accepting,
            window=self._window,
        )

    def _keeper(self, keys: PeerKeys | None) -> Callable[[Pin, bytes], None] | None:
        """Writes pins down, off the loop."""
        if keys is None or keys.keep is None:
            return None
        return PinKeeper(keys.keep, lambda write: self.run_hook("pin", write))

    def _close_if_empty(self) -> None:
        if self._hosted:
            return
        self._by_loop.pop(self.loop, None)
        for task in self._tasks:
            task.cancel()
        self.alarms.close()
        self.clock.close()
        self.endpoint.close()
        if self._hooks is not None:
            self._hooks.shutdown(wait=False)

    def _listen(
        self, attachment: Attachment, host: str, port: int, external_ip: str | None, external_port: int | None
    ) -> Address:
        """Bind, at a free port when ``port`` is 0, and return the address that others dial."""
        for tries_left in reversed(range(_FREE_PORT_TRIES)):
            try:
                bound = canonical_address(host, port or _free_port(host))
                advertised = canonical_address(external_ip or host, external_port or split_address(bound)[1])
                if is_unspecified(advertised):
                    raise Misuse(
                        f"{host} means every interface: say with external_ip which address others dial"
                    )
                self.endpoint.listen(advertised, attachment, bind_to=bound)
            except (Unavailable, Misuse) as error:
                if port or not tries_left or isinstance(error, Misuse):
                    self._close_if_empty()
                    raise
            else:
                return advertised
        raise Unavailable(f"no free port at {host} in {_FREE_PORT_TRIES} tries")


def _check_harmless(behaviour: Behaviour | None, address: Address, bound: str) -> None:
    """Peers that do harm on purpose do so to peers of this machine. Raises Misuse."""
    if behaviour is None:
        return
    for each in (address, canonical_address(bound, split_address(address)[1])):
        if not is_loopback(each):
            raise Misuse(f"{each} is not a loopback address: a peer that does harm on purpose needs one")


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise Unavailable(
                f"cannot bind {host}: {error.strerror}: use an address of this machine"
            ) from None
        port: int = probe.getsockname()[1]
        return port


def _guarded(name: str, hook: Callable[..., object], *arguments: object) -> None:
    try:
        hook(*arguments)
    except Exception:  # the application's fault: it must not cost messages
        _logger.exception("the %s hook failed", name)
