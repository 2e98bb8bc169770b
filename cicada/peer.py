"""The sync SwarmPeer: the original's socket-like face over the asyncio one, whose loop runs on a background thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from cicada import aio
from cicada.actors.broadcastreceipt import BroadcastReceipt
from cicada.actors.hosted import PeerStats, Trial
from cicada.actors.loop import LoopDispatcher
from cicada.actors.mailbox import BLOCKING, HostPort, Message
from cicada.actors.ownership import refuse_when_imported_again
from cicada.actors.peerkeys import PERSISTENT
from cicada.actors.pump import Publish
from cicada.actors.receipt import Receipt
from cicada.actors.subscription import ActorRef, Subscription
from cicada.actors.tree import Supervisor
from cicada.actors.watch import Watch
from cicada.aio import LOOPBACK, Hooks
from cicada.chord.io import LookupFailure, RingSnapshot
from cicada.control import Terminated
from cicada.embedding.blocking import BlockingChannel
from cicada.embedding.lookups import Lookup
from cicada.embedding.loopthread import SLACK, Lease
from cicada.embedding.sending import WAIT
from cicada.embedding.swarmactors import SwarmCall, SwarmExport, SwarmRef
from cicada.errors import DeliveryTimeout, NotBound
from cicada.ids import Address, Place
from cicada.keys.identity import Identity
from cicada.keys.psks import OPEN, PreShared, SwarmKeys
from cicada.keys.trust import TrustStore
from cicada.limits import ACTOR, BROADCAST, DELIVERY, NAMES, RING, DeliveryLimits, RingLimits
from cicada.routing.behaviour import Behaviour
from cicada.routing.mailstore import MailboxPolicy
from cicada.services.namerecords import NameRecord
from cicada.targets import Addressed, Target
from cicada.transport.faults import FaultTable

__all__ = ["SwarmPeer", "SyncSwarmRef"]

C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")
_Run = Callable[[Coroutine[Any, Any, Any], float | None], Any]


class SwarmPeer:
    """A peer of a swarm, for code without an event loop. All calls are safe from any thread.

    ``SwarmPeer(host, port)`` binds at once; ``SwarmPeer()`` waits for ``bind``. Use it as a context manager, or call
    ``close``. See ``cicada.aio.SwarmPeer`` for what each verb promises; here they block.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        hooks: Hooks | None = None,
        name: str = "",
        publish: Publish | None = None,
        identity: Identity | str | os.PathLike[str] = PERSISTENT,
        keys: str | os.PathLike[str] | Iterable[PreShared] = (),
        swarm: str = "",
        swarm_keys: str | os.PathLike[str] | SwarmKeys = OPEN,
        trust: TrustStore | None = None,
        encrypt: bool = True,
        ring: RingLimits = RING,
        mailbox: MailboxPolicy = BLOCKING,
        delivery: DeliveryLimits = DELIVERY,
        behaviour: Behaviour | None = None,
        reachable: bool = True,
        map_ports: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self._peer = aio.SwarmPeer(
            hooks=hooks,
            name=name,
            publish=publish,
            identity=identity,
            keys=keys,
            swarm=swarm,
            swarm_keys=swarm_keys,
            trust=trust,
            encrypt=encrypt,
            ring=ring,
            mailbox=mailbox,
            delivery=delivery,
            behaviour=behaviour,
            reachable=reachable,
            map_ports=map_ports,
            watch=watch,
        )
        self._lease: Lease | None = None
        self._closed = False
        if host is not None or port is not None:
            self.bind(host or LOOPBACK, port or 0)

    def bind(
        self,
        host: str = LOOPBACK,
        port: int = 0,
        external_ip: str | None = None,
        external_port: int | None = None,
        *,
        create: bool = True,
    ) -> HostPort:
        """Listen at ``host:port`` (port 0: a free one) and become a ring of one; returns the address others use."""
        if self._closed:
            raise NotBound("this peer is closed: make a new one")
        is_fresh = self._lease is None
        if self._lease is None:
            refuse_when_imported_again()
            self._lease = Lease()
        try:
            return self._call(lambda: self._peer.bind(host, port, external_ip, external_port, create=create))
        except BaseException:
            if is_fresh:
                self._end_lease()
            raise

    def create(self) -> None:
        """Become a ring of one, for others to connect to. Only needed after ``bind(create=False)``."""
        self._call(self._peer.create)

    def connect(
        self, host: str | tuple[str, int] | Addressed, port: int | None = None, timeout: float = 10.0
    ) -> None:
        """Enter the ring of the peer at ``host, port``; returns when this peer is in it, or raises RingNotReady. A peer that nobody
        can dial can send then, and is reached by others when ``joined`` returns."""
        self._run(self._peer.connect(host, port, timeout), timeout)

    def joined(self, timeout: float | None = 10.0) -> None:
        """Returns when this peer is in a ring with at least one other, and others reach it, or raises RingNotReady."""
        self._run(self._peer.joined(timeout), timeout)

    def send(
        self,
        target: Target,
        data: bytes | str,
        duplicates: int | None = None,
        timeout: float = DELIVERY.timeout,
        *,
        require: str | None = None,
        ordered: bool = False,
        on_full: str = WAIT,
    ) -> Receipt:
        """Send and return at once; ``receipt.result()`` waits until the message is delivered or failed."""
        return self._call(
            lambda: self._peer.send(
                target, data, duplicates, timeout, require=require, ordered=ordered, on_full=on_full
            )
        )

    def request(
        self, target: Target, data: bytes | str, timeout: float = 5.0, *, require: str | None = None
    ) -> Message:
        """Send a request and return the reply to it. Raises DeliveryTimeout when there is none within ``timeout`` seconds,
        RequestFailed when there will be none; that is KeyChanged when ``target`` shows another key than the pinned one."""
        return self._run(self._peer.request(target, data, timeout, require=require), timeout)

    def recv(self, timeout: float | None = None) -> Message:
        """The next message, waiting up to ``timeout`` seconds (None: for ever). Raises DeliveryTimeout when none came."""
        return self._run(self._peer.recv(timeout), timeout)

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                yield self.recv()
            except NotBound:
                return

    def broadcast(self, data: bytes | str, timeout: float = BROADCAST.timeout) -> BroadcastReceipt:
        """Give ``data`` to every other peer of the ring, and return at once; ``receipt.result()`` says how far it got."""
        return self._call(lambda: self._peer.broadcast(data, timeout))

    def lookup(
        self, value: Target | bytes, timeout: float = 5.0, *, iterative: bool = False
    ) -> Lookup | LookupFailure:
        """Who owns ``value``; a lookup that fails is a value too."""
        return self._run(self._peer.lookup(value, timeout, iterative=iterative), timeout)

    def get_route(self, value: Target | bytes, timeout: float = 5.0) -> tuple[HostPort, ...]:
        """The peers a lookup of ``value`` passes, this one first, the owner last."""
        return self._run(self._peer.get_route(value, timeout), timeout)

    def disconnect(self, timeout: float = 5.0) -> None:
        """Leave the ring with a farewell. The peer stays bound, as a ring of one."""
        self._run(self._peer.disconnect(timeout), timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Leave the ring and end, within about ``timeout`` seconds, with its pins kept. Idempotent; in a forked child it does
        nothing."""
        if self._closed:
            return
        self._closed = True
        if self._lease is not None:
            try:
                if not self._lease.is_foreign:
                    self._run(self._peer.close(timeout), timeout)
            finally:
                self._end_lease()

    def kill(self) -> None:
        """End at once without a farewell: actors, links and listener are dropped as if the process had died."""
        if self._closed:
            return
        self._closed = True
        if self._lease is not None:
            try:
                self._run(self._killed(), SLACK)
            finally:
                self._end_lease()

    def change_swarm_keys(self, keys: SwarmKeys) -> None:
        """Dial with and accept these keys of a closed swarm from now on. Links made with others are closed."""
        self._call(lambda: self._peer.change_swarm_keys(keys))

    def channel(self, name: str) -> BlockingChannel:
        """The channel of that name: ``with peer.channel("#general") as channel`` makes this peer a member."""
        return BlockingChannel(self._call(lambda: self._peer.channel(name)), self._run, self._call)

    def register(
        self, name: str, lease: float = NAMES.lease, timeout: float = DELIVERY.timeout
    ) -> NameRecord:
        """Make ``name`` this peer's in the swarm's directory until ``release``; the hook ``name_lost`` tells when it is lost."""
        return self._run(self._peer.register(name, lease, timeout), timeout)

    def resolve(self, name: str, timeout: float = DELIVERY.timeout) -> NameRecord | None:
        """Whose ``name`` is, a target of ``send``; None: nobody's."""
        return self._run(self._peer.resolve(name, timeout), timeout)

    def release(self, name: str) -> None:
        """Give a name back, so that others can have it."""
        self._call(lambda: self._peer.release(name))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are this peer's: those registered, and neither released nor lost since."""
        return self._peer.names if self._lease is None else self._call(lambda: self._peer.names)

    def stop_mapping(self) -> None:
        """Ask the router no more to map this peer's port; a mapping that it granted is deleted."""
        self._call(self._peer.stop_mapping)

    def crash(self, kind: str) -> None:
        """Make the actor ``transport``, ``ring``, ``router`` or ``crypto`` fail; supervision starts it again. For tests."""
        self._call(lambda: self._peer.crash(kind))

    @property
    def trial(self) -> Trial:
        """For tests: have the peer stand still and go on, and set faults between it and others."""
        return _Trial(self._call, self._call(lambda: self._peer.trial))

    def subscribe(self, ref: ActorRef[Message], *, prefetch: int = ACTOR.prefetch) -> Subscription:
        """Have an actor told the messages that come into the mailbox. ``cancel`` of what this returns ends it, from any thread."""
        return self._call(lambda: self._peer.subscribe(ref, prefetch=prefetch))

    def supervise(self, supervisor: Supervisor, timeout: float = ACTOR.ask_timeout) -> Supervisor:
        """Start an application's actors as part of this peer. ``ref`` and ``end`` of the supervisor are for any
        thread."""
        return self._run(self._peer.supervise(supervisor), timeout)

    @property
    def dispatcher(self) -> LoopDispatcher:
        """For LoopActors of the application, which then run on the peer's background loop and must not block."""
        return self._call(lambda: self._peer.dispatcher)

    def export(
        self,
        ref: ActorRef[SwarmCall],
        name: str,
        *,
        commands: Any,
        replies: Any,
        require: str | None = "pinned",
    ) -> SwarmExport:
        """Let other peers tell, ask and watch the actor, by ``name``, while the peer and the actor live."""
        return self._call(
            lambda: self._peer.export(ref, name, commands=commands, replies=replies, require=require)
        )

    def actor(
        self,
        target: Target,
        name: str,
        *,
        commands: Any,
        replies: Any,
        require: str | None = None,
    ) -> SyncSwarmRef[Any, Any]:
        """The actor that the peer at ``target`` exports as ``name``; annotate it as ``SyncSwarmRef[Commands, Replies]``."""
        ref = self._call(
            lambda: self._peer.actor(target, name, commands=commands, replies=replies, require=require)
        )
        return SyncSwarmRef(ref, self._run)

    def snapshot(self, timeout: float = 5.0) -> RingSnapshot:
        """The ring's state at this peer, at one instant."""
        return self._run(self._peer.snapshot(timeout), timeout)

    def stats(self) -> PeerStats:
        """Counters since ``bind``."""
        return self._call(self._peer.stats)

    @property
    def listener(self) -> HostPort:
        """The address others dial."""
        return self._peer.listener

    @property
    def address(self) -> Address:
        """The same as text; of a peer that nobody can dial ``@`` with its peer id."""
        return self._peer.address

    @property
    def hash(self) -> Place:
        """This peer's place on the ring."""
        return self._peer.hash

    @property
    def peers(self) -> tuple[HostPort, ...]:
        """The peers this one knows and has dialled."""
        return self._call(lambda: self._peer.peers)

    @property
    def peek(self) -> Message | None:
        """The message ``recv`` would return now, left in the mailbox; None when there is none."""
        return self._call(lambda: self._peer.peek)

    @property
    def bound(self) -> bool:
        """Whether the peer listens."""
        return self._peer.bound

    @property
    def failed(self) -> str:
        """Why supervision gave this peer up; empty while it has not."""
        return self._peer.failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._peer)

    async def _killed(self) -> None:
        """Ends, and the loop may end after it."""
        self._peer.kill()
        await self._peer.close()

    def _call(self, function: Callable[[], T]) -> T:
        """Run a function that does not block on the loop's thread."""

        async def called() -> T:
            return function()

        return self._run(called(), SLACK)

    def _run(self, work: Coroutine[Any, Any, T], timeout: float | None) -> T:
        lease = self._lease
        if lease is None:
            work.close()
            raise NotBound(
                "this peer is closed" if self._closed else "this peer has no address yet: call bind() first"
            )
        return lease.run(work, timeout)

    def _inside(self) -> tuple[aio.SwarmPeer, _Run] | None:
        """The peer on the loop that blocking peers share, and what runs something there for so many seconds; None when it has
        none, as it was closed. For ``cicada.testing``, which does something with several peers at once."""
        return None if self._lease is None else (self._peer, self._run)

    def _end_lease(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.end()


class SyncSwarmRef(Generic[C, R]):
    """A SwarmRef whose methods block, from any thread."""

    def __init__(self, ref: SwarmRef[C, R], run: _Run) -> None:
        self._ref = ref
        self._run = run

    def tell(self, command: C, timeout: float = ACTOR.ask_timeout) -> None:
        """Returns once the command lies in the actor's inbox."""
        self._run(self._ref.tell(command, timeout), timeout)

    def ask(self, command: C, timeout: float = ACTOR.ask_timeout) -> R:
        """The actor's reply."""
        reply: R = self._run(self._ref.ask(command, timeout), timeout)
        return reply

    def watch(self, timeout: float | None = None) -> Terminated:
        """Returns when the actor is gone. Raises DeliveryTimeout after ``timeout`` seconds (None: waits for ever)."""
        ended: Terminated = self._run(self._watch(timeout), timeout)
        return ended

    async def _watch(self, timeout: float | None) -> Terminated:
        try:
            async with asyncio.timeout(timeout):
                return await self._ref.watch()
        except TimeoutError:
            raise DeliveryTimeout(f"nothing ended within {timeout} s") from None


class _Trial:
    """A Trial on the loop of its peer, from any thread."""

    def __init__(self, call: Callable[[Callable[[], None]], None], trial: Trial) -> None:
        self._call = call
        self._trial = trial

    @property
    def is_frozen(self) -> bool:
        return self._trial.is_frozen

    def freeze(self) -> None:
        self._call(self._trial.freeze)

    def thaw(self) -> None:
        self._call(self._trial.thaw)

    def set_faults(self, table: FaultTable) -> None:
        self._call(lambda: self._trial.set_faults(table))
