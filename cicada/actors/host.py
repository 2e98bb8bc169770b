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
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ClassVar, Protocol

import msgspec

from cicada.actors.alarm import Alarms, LoopClock
from cicada.actors.crypto import CryptoActor
from cicada.actors.family import Kind, Ref
from cicada.actors.loop import LoopDispatcher
from cicada.actors.mailbox import Mailbox
from cicada.actors.peer import Holdings, PeerSupervisor
from cicada.actors.peerkeys import KeySource, PeerKeys, PinKeeper
from cicada.actors.pump import Publish, Pump, Surroundings
from cicada.actors.receipt import Receipt, failed
from cicada.actors.ring import RingActor
from cicada.actors.router import RouterActor
from cicada.actors.standstill import Standstill
from cicada.actors.transport import Attachment, TransportActor
from cicada.errors import Misuse, Unavailable
from cicada.events import PeerStarted, PeerStopped
from cicada.ids import Address, Peer, canonical_address, is_loopback, is_unspecified, peer_at, split_address
from cicada.keys.ciphers import forget_after_fork
from cicada.keys.congestion import Window
from cicada.keys.identity import Identity
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.memory import Memory, host_bucket
from cicada.keys.pins import Pin
from cicada.keys.psks import Secrets
from cicada.keys.trust import TrustStore
from cicada.limits import KEYS, RING, RingLimits
from cicada.routing.io import Reason
from cicada.transport.base import Endpoint
from cicada.transport.faults import FaultTable
from cicada.transport.zeromq import ZmqEndpoint
from cicada.wire.security import LinkSecurity, Unsecured

__all__ = ["Host", "HostedPeer", "PeerStats", "Publish", "Trial", "whose_turn"]

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


class Trial(Protocol):
    """What a test may put a peer through."""

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        ...

    def freeze(self) -> None:
        """Have it stand still, as a stopped process would: it reads and answers nothing and no deadline of its passes.
        What it is asked to do waits; ending it thaws it. Not from inside an actor's turn."""
        ...

    def thaw(self) -> None:
        """Have it go on."""
        ...

    def set_faults(self, table: FaultTable) -> None:
        """These faults are in force from now on, as far as they concern the peer, and no others."""
        ...


class PeerStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one peer since it was bound. ``dropped`` counts messages by reason, those of relays included; ``refused``
    handshakes, records and claims of others, and peers that its ring did not admit (``host-cap``, ``not-global``)."""

    sent: int
    delivered: int
    failed: int
    dropped: dict[str, int]
    refused: dict[str, int]
    restarts: int


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
    ) -> HostedPeer:
        """Bind a peer and start its actors. Raises Unavailable or Misuse, and then nothing was started.

        ``keys``: where its keys and pins come from; None: fresh ones. ``secrets``: what it shares with others.
        ``encrypt=False`` is for measurements on loopback.
        """
        attachment = Attachment(self.endpoint)
        address = self._listen(attachment, host, port, external_ip, external_port)
        try:
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
            publish=publish,
            tally=Counter(),
            refusals=Counter(),
            entropy=self.entropy,
            ring=ring,
        )
        memory = None
        if lasting is not None:
            memory = Memory(
                peer,
                lasting.identity,
                swarm=swarm,
                wall_ms=self.clock.wall_ms,
                secrets=secrets,
                trust=lasting.trust,
                succession=lasting.succession,
                accepting=self._accepting,
                window=self._window,
            )
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


class HostedPeer:
    """The application's handle on one peer's actors."""

    def __init__(
        self,
        host: Host,
        around: Surroundings,
        standstill: Standstill,
        attachment: Attachment,
        swarm: str,
        create: bool,
        on_new_peer: Callable[[Peer], None] | None,
        memory: Memory | None,
        on_pin: Callable[[Pin, bytes], None] | None,
    ) -> None:
        self._host = host
        self._around = around
        self._standstill = standstill
        self._attachment = attachment
        self._holdings = Holdings(mailbox=Mailbox(), memory=memory)
        self.ended = False
        self.gone: asyncio.Future[None] = host.loop.create_future()
        self._supervisor: Ref = PeerSupervisor.start(
            around,
            attachment=attachment,
            incarnations=_incarnations(host.clock),
            boot=host.entropy.getrandbits(63) | 1,
            swarm=swarm,
            security=self._link_security(memory),
            create=create,
            holdings=self._holdings,
            on_failed=lambda reason: self.end("failed"),
            on_new_peer=on_new_peer,
            on_pin=on_pin,
            on_ended=self._on_ended,
        )

    @property
    def peer(self) -> Peer:
        """Who this is."""
        return self._around.own

    @property
    def mailbox(self) -> Mailbox:
        """Where its messages lie."""
        return self._holdings.mailbox

    @property
    def contacts(self) -> tuple[Peer, ...]:
        """The proven peers it knows."""
        return self._holdings.contacts

    @property
    def failure(self) -> str:
        """Why supervision gave it up; empty while it has not."""
        return self._holdings.failure

    @property
    def is_frozen(self) -> bool:
        return self._standstill.is_on

    def freeze(self) -> None:
        self._standstill.begin()

    def thaw(self) -> None:
        self._standstill.end()

    def set_faults(self, table: FaultTable) -> None:
        self._attachment.set_faults(table)

    def tell(self, message: object) -> None:
        """To its supervisor."""
        self._supervisor.tell(message)

    def now(self) -> float:
        """Seconds on the clock that deadlines are measured on."""
        return self._around.clock.now()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the peer."""
        self._host.spawn(work)

    def run_hook(self, name: str, hook: Callable[..., object], *arguments: object) -> None:
        """Run an application's hook off the loop."""
        self._host.run_hook(name, hook, *arguments)

    def stats(self) -> PeerStats:
        """Counters until now."""
        holdings = self._holdings
        dropped = +Counter(self._around.tally)
        if holdings.mailbox.refused:
            dropped["mailbox-full"] += holdings.mailbox.refused
        return PeerStats(
            sent=holdings.sent,
            delivered=holdings.delivered,
            failed=holdings.failed,
            dropped=dict(dropped),
            refused=dict(self._around.refusals),
            restarts=holdings.restarts,
        )

    def fail_unresolved(self, receipt: Receipt) -> None:
        """The target's host name means nothing, so nobody lives there."""
        self._holdings.sent += 1
        self._holdings.failed += 1
        receipt.settle(failed(0, Reason.NO_SUCH_PEER))

    def end(self, how: str) -> None:
        """Stop the actors and the listener. ``how`` is what the event says; ``killed`` cuts the links without a word.
        One that stands still goes on to end."""
        if self.ended:
            return
        self.ended = True
        if how == "killed":
            self._attachment.cut()
        self._standstill.end()
        self._host.endpoint.unlisten(self._around.own.address)
        self._supervisor.stop(block=False)
        if self._around.publish is not None:
            self._around.publish(self._around.name, PeerStopped(how=how))

    def _link_security(self, memory: Memory | None) -> LinkSecurity:
        return Unsecured() if memory is None else LinkHandshakes(memory, entropy=self._host.entropy)

    def _on_ended(self) -> None:
        if self._holdings.memory is not None:
            self._holdings.memory.first.close()
        if not self.gone.done():
            self.gone.set_result(None)
            self._host.gone(self)


def _incarnations(clock: LoopClock) -> Iterator[int]:
    """Wall-clock milliseconds, and always more than the last."""
    last = 0
    while True:
        last = max(clock.wall_ms(), last + 1)
        yield last


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
