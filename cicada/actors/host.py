"""The host: everything the peers of one event loop share. It starts with the first of them and ends with the last."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

import pykka

from cicada.actors.alarm import Alarms
from cicada.actors.correspondence import Correspondence, Holdings
from cicada.actors.crypto import CryptoActor
from cicada.actors.family import Kind
from cicada.actors.hosted import HostedPeer, Voice, incarnations
from cicada.actors.loop import LoopDispatcher
from cicada.actors.mailbox import Mailbox
from cicada.actors.ownership import Ownership
from cicada.actors.peer import PeerSupervisor
from cicada.actors.peerkeys import PeerKeys, PinKeeper
from cicada.actors.platform import Platform, platform_of
from cicada.actors.pump import Pump, Surroundings
from cicada.actors.residence import Fixtures
from cicada.actors.ring import RingActor
from cicada.actors.router import RouterActor
from cicada.actors.settings import DEFAULTS, Settings
from cicada.actors.standstill import Standstill
from cicada.actors.threads import check_threads, has_threads
from cicada.actors.transport import Attachment, TransportActor
from cicada.errors import Misuse, Unavailable
from cicada.events import PeerStarted
from cicada.ids import (
    Address,
    Peer,
    canonical_address,
    hidden_address,
    is_loopback,
    is_unspecified,
    peer_at,
    reach_of,
    split_address,
)
from cicada.keys.ciphers import forget_after_fork
from cicada.keys.congestion import Window
from cicada.keys.identity import Identity
from cicada.keys.memory import Memory, host_bucket
from cicada.keys.trust import TrustStore
from cicada.limits import KEYS
from cicada.nat.io import NatNews
from cicada.nat.reachability import Reachability
from cicada.routing.admission import Admission, Quota
from cicada.routing.allowance import Allowance
from cicada.routing.behaviour import Behaviour
from cicada.transport.base import Endpoint

if TYPE_CHECKING:
    from cicada.actors.nat import NatActor

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
        if (
            host is None or host.ownership.is_foreign
        ):  # a forked child may go on with its parent's loop, not with its peers
            host = cls._by_loop[loop] = cls(loop)
        return host

    @classmethod
    def traffic(cls) -> dict[str, int]:
        """Counters of the running loop's endpoint, as Endpoint.counters has them; empty where no peer is hosted."""
        host = cls._by_loop.get(asyncio.get_running_loop())
        return {} if host is None else host.endpoint.counters()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ownership = Ownership(loop)
        self.dispatcher = LoopDispatcher(loop)
        self.platform: Platform = platform_of(loop)
        self.clock = self.platform.clock()
        self.alarms = Alarms(self.clock, loop)
        self.endpoint: Endpoint = self.platform.endpoint()
        self.entropy = self.platform.entropy
        self.admission = Admission()
        self._accepting = host_bucket()
        self._window = Window(KEYS)
        self.allowance = Allowance()
        self._hosted: set[HostedPeer] = set()
        self._hooks: concurrent.futures.ThreadPoolExecutor | None = None
        self._writer: concurrent.futures.ThreadPoolExecutor | None = None
        self._mapping: pykka.ActorRef[NatActor] | None = None
        self._mapped: dict[HostedPeer, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start_peer(
        self,
        settings: Settings = DEFAULTS,
        *,
        host: str,
        port: int,
        external_ip: str | None = None,
        external_port: int | None = None,
    ) -> HostedPeer:
        """Bind a peer and start its actors. Raises Unavailable or Misuse, and then nothing was started."""
        attachment = Attachment(self.endpoint)
        address, bound = self._listen(attachment, host, port, external_ip, external_port)
        try:
            _check_harmless(settings.behaviour, address, host)
            keys = self._keys(address, settings)
            hidden = _hidden(keys, settings.reachable)
        except BaseException:
            self.endpoint.unlisten(address)
            self._close_if_empty()
            raise
        local = address
        if not settings.reachable:
            self.endpoint.listen(hidden, attachment, bind_to=bound, shared=True)
            self.endpoint.unlisten(address)
            address = hidden
        is_fixed = not settings.reachable or external_ip is not None or keys is None
        reachability = Reachability(address, local, hidden, is_fixed=is_fixed)
        hosted = self._host(settings, attachment, reachability, bound, keys)
        if settings.publish is not None:
            place = f"{hosted.peer.place:064x}"
            behaviour = "" if settings.behaviour is None else str(settings.behaviour)
            started = PeerStarted(address=address, place=place, behaviour=behaviour)
            settings.publish(hosted.around.name, started)
        if settings.map_ports and has_threads(self.loop):
            self._map(hosted, split_address(bound)[1])
        self.platform.started(hosted)
        return hosted

    def _host(
        self,
        settings: Settings,
        attachment: Attachment,
        reachability: Reachability,
        bound: Address,
        keys: PeerKeys | None,
    ) -> HostedPeer:
        standstill = Standstill(self.dispatcher, self.clock, self.alarms)
        around = self._around(settings, standstill, peer_at(reachability.own), reachability.local)
        holdings = Holdings(
            mailbox=Mailbox(settings.mailbox),
            quota=Quota(self.admission),
            now=self.clock.now,
            create=settings.create,
        )
        boot = self.entropy.getrandbits(63) | 1
        fixtures = Fixtures(
            endpoint=self.endpoint,
            bound=bound,
            boot=boot,
            swarm=settings.swarm,
            incarnations=incarnations(self.clock),
            entropy=self.entropy,
            holdings=holdings,
            correspondence=Correspondence(around, holdings, boot),
            memory=None if keys is None else lambda peer: self._memory(peer, keys, settings),
            on_failed=lambda reason: hosted.end("failed"),
            on_new_peer=settings.on_new_peer,
            pins=self._keeper(keys),
            on_unreached=lambda peer: hosted.unreached(peer),
        )
        hosted = HostedPeer(self, around, standstill, attachment, fixtures, reachability)
        self._hosted.add(hosted)
        if settings.watch is not None:
            settings.watch.measure(hosted)
        return hosted

    def _around(self, settings: Settings, standstill: Standstill, own: Peer, local: Address) -> Surroundings:
        return Surroundings(
            own=own,
            name=settings.name or own.address,
            dispatcher=standstill.dispatcher,
            clock=standstill.clock,
            alarms=standstill.alarms,
            publish=None if settings.publish is None else Voice(settings.publish),
            tally=Counter(),
            refusals=Counter(),
            entropy=self.entropy,
            ring=settings.ring,
            allowance=self.allowance,
            delivery=settings.delivery,
            behaviour=settings.behaviour,
            reach=reach_of(local),
            watch=settings.watch,
        )

    def run_hook(self, name: str, hook: Callable[..., object], *arguments: object) -> None:
        """Run an application's hook off the loop, one at a time, in order. Raises Misuse where there are no threads."""
        check_threads(f"the hook {name!r}")
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
        if hosted.around.watch is not None:
            hosted.around.watch.forget(hosted)
        self.unmap(hosted)
        self._close_if_empty()

    def _map(self, hosted: HostedPeer, port: int) -> None:
        """Have the router forward ``port`` to a peer, for as long as it lives. Nothing waits for it."""
        consider = hosted.news_of_mapping
        if consider is None:
            return
        from cicada.actors.nat import MapPort, NatActor  # few peers need it, and its helper

        if self._mapping is None:
            self._mapping = NatActor.start()
        loop = self.loop

        def tell(news: NatNews) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the peer with it
                loop.call_soon_threadsafe(consider, news)

        self._mapped[hosted] = port
        self._mapping.tell(MapPort(port=port, tell=tell))

    def unmap(self, hosted: HostedPeer) -> None:
        """Have the router forward nothing to that peer, and ask it no more."""
        port = self._mapped.pop(hosted, None)
        if port is not None and self._mapping is not None:
            from cicada.actors.nat import UnmapPort

            self._mapping.tell(UnmapPort(port=port))

    def _keys(self, address: Address, settings: Settings) -> PeerKeys | None:
        """None: nothing is encrypted."""
        if settings.encrypt:
            if settings.keys is not None:
                return settings.keys(address)
            return PeerKeys(Identity.generate(self.entropy), TrustStore())
        if not is_loopback(address):
            raise Misuse(f"{address} is not a loopback address: links that leave this machine are encrypted")
        _logger.warning("links of %s are NOT ENCRYPTED and nobody's word is checked", address)
        return None

    def _memory(self, peer: Peer, keys: PeerKeys, settings: Settings) -> Memory:
        return Memory(
            peer,
            keys.identity,
            swarm=settings.swarm,
            wall_ms=self.clock.wall_ms,
            secrets=settings.secrets,
            trust=keys.trust,
            succession=keys.succession,
            accepting=self._accepting,
            window=self._window,
        )

    def _keeper(self, keys: PeerKeys | None) -> PinKeeper | None:
        """Writes pins down, off the loop."""
        return None if keys is None or keys.keep is None else PinKeeper(keys.keep, self._write)

    def _write(self, write: Callable[[], None]) -> None:
        """Not on the thread of the hooks: closing waits for it, and not for a hook of the application."""
        check_threads("a file of pins")
        if self._writer is None:
            self._writer = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="cicada-pins")
        self._writer.submit(_guarded, "pin", write)

    def _close_if_empty(self) -> None:
        if self._hosted:
            return
        self._by_loop.pop(self.loop, None)
        for task in self._tasks:
            task.cancel()
        self.alarms.close()
        self.clock.close()
        self.endpoint.close()
        if (
            self._mapping is not None
        ):  # it takes its time to delete what it made; the process waits for it at its end
            self._mapping.stop(block=False)
        for threads in (self._hooks, self._writer):
            if threads is not None:
                threads.shutdown(wait=False)

    def _listen(
        self, attachment: Attachment, host: str, port: int, external_ip: str | None, external_port: int | None
    ) -> tuple[Address, Address]:
        """Bind, at a free port when ``port`` is 0, and return the address that others dial, and where it is bound."""
        for tries_left in reversed(range(_FREE_PORT_TRIES)):
            try:
                bound = canonical_address(host, port or self.platform.free_port(host))
                dialled = external_ip or (self.platform.local_ip(host) if is_unspecified(bound) else host)
                advertised = canonical_address(dialled, external_port or split_address(bound)[1])
                self.endpoint.listen(advertised, attachment, bind_to=bound)
            except (Unavailable, Misuse) as error:
                if port or not tries_left or isinstance(error, Misuse):
                    self._close_if_empty()
                    raise
            else:
                return advertised, bound
        raise Unavailable(f"no free port at {host} in {_FREE_PORT_TRIES} tries")


def _check_harmless(behaviour: Behaviour | None, address: Address, bound: str) -> None:
    """Peers that do harm on purpose do so to peers of this machine. Raises Misuse."""
    if behaviour is None:
        return
    for each in (address, canonical_address(bound, split_address(address)[1])):
        if not is_loopback(each):
            raise Misuse(f"{each} is not a loopback address: a peer that does harm on purpose needs one")


def _hidden(keys: PeerKeys | None, reachable: bool) -> Address:
    """The address of a peer with these keys when nobody can dial it. Raises Misuse when it has none and needs it."""
    if keys is not None:
        return hidden_address(keys.identity.peer_id)
    if not reachable:
        raise Misuse("a peer that nobody can dial is known by its key: encrypt its links")
    return Address("")


def _guarded(name: str, hook: Callable[..., object], *arguments: object) -> None:
    try:
        hook(*arguments)
    except Exception:  # the application's fault: it must not cost messages
        _logger.exception("the %s hook failed", name)
