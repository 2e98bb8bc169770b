"""SwarmPeer on asyncio: one peer of a swarm, embedded in an application's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

from msgspec.structs import replace

from cicada.actors.broadcastreceipt import BroadcastReceipt
from cicada.actors.family import (
    Announce,
    Enter,
    Withdraw,
)
from cicada.actors.host import Host
from cicada.actors.mailbox import BLOCKING, HostPort, Message
from cicada.actors.ownership import refuse_when_imported_again
from cicada.actors.peerkeys import PERSISTENT, secrets_of
from cicada.actors.pump import Publish
from cicada.actors.receipt import Receipt
from cicada.actors.settings import Settings
from cicada.actors.subscription import ActorRef, Subscription
from cicada.actors.threads import check_threads
from cicada.actors.tree import Supervisor
from cicada.actors.watch import Watch
from cicada.chord.io import CreateRing, LookupFailure
from cicada.embedding.channels import Channel, ChannelHub, ChannelMessage
from cicada.embedding.directory import Directory
from cicada.embedding.embedded import Embedded
from cicada.embedding.lookups import Lookup, look_up, route_of
from cicada.embedding.sending import WAIT, How, copies_of, is_patient, payload_of, reply, request, submit
from cicada.embedding.swarmactors import ActorExchange, SwarmCall, SwarmExport, SwarmRef
from cicada.embedding.waiting import answered
from cicada.errors import DeliveryTimeout, Misuse, NotBound, RingNotReady
from cicada.ids import Peer, is_hidden
from cicada.keys.identity import Identity
from cicada.keys.psks import OPEN, PreShared, SwarmKeys
from cicada.keys.trust import Trust, TrustStore
from cicada.limits import ACTOR, BROADCAST, CHANNEL, DELIVERY, NAMES, RING, WIRE, DeliveryLimits, RingLimits
from cicada.routing.behaviour import Behaviour
from cicada.routing.mailstore import MailboxPolicy
from cicada.services.namerecords import NameRecord
from cicada.targets import Addressed, Target, resolved
from cicada.wire.services import Service

__all__ = [
    "BroadcastReceipt",
    "Channel",
    "ChannelMessage",
    "HostPort",
    "Lookup",
    "Message",
    "NameRecord",
    "Receipt",
    "SwarmCall",
    "SwarmExport",
    "SwarmPeer",
    "SwarmRef",
    "Target",
]

LOOPBACK = "127.0.0.1"
_LAST_WORDS = 1.0  # seconds that its actors have to end, however long the farewell took

Hooks = Mapping[str, Callable[..., object]]
HOOKS = ("send", "recv", "new_peer", "name_lost")


class SwarmPeer(Embedded):
    """A peer of a swarm, on the running event loop.

    ``SwarmPeer(host, port)`` binds at once; ``SwarmPeer()`` waits for ``bind``. A bound peer is a ring of one until it
    connects to another or another connects to it. ``hooks`` may hold ``send(target, data)``, ``recv(message)``,
    ``new_peer(address)`` and ``name_lost(name, reason, holder)``; they run on a thread of their own, and a failing hook is logged
    and changes nothing. ``ring``: sizes of its tables and what counts as one host in them, which all peers of a swarm should
    agree on.

    ``identity``: whose keys it has. "persistent": those kept for its address in the user's state folder, made at first use
    (with port 0 there is no lasting address, and the keys are fresh); "ephemeral": fresh ones; or a file, or an Identity.
    ``keys``: a key file, or PreShared keys, for peers it shares keys with. ``swarm``: the swarm's name, equal on all peers.
    ``swarm_keys``: the swarm's key file, without whose key nobody links with it. ``trust``: pins to begin with, instead of
    those kept beside a lasting identity. ``mailbox``: how much it holds, and whether senders wait, fail or displace older
    messages when it is full. ``delivery`` is for measurements, ``encrypt=False`` for those on loopback, and ``behaviour``, harm
    that the peer does on purpose, for tests there. ``map_ports``: where only its own network can dial it, a router is asked to
    map its port. Until that is done, and others have dialled it, or with ``reachable=False`` always, it is hidden: it sends and
    receives by other members, who know it as ``@`` and its peer id.
    ``watch``: who looks at its traffic and measures it, for what is published.
    Raises ConfigErrors, Misuse or Unavailable when a file is not right.

    Use it as an async context manager, or call ``close``.
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
        for unknown in set(hooks or {}) - set(HOOKS):
            raise Misuse(f"there is no hook {unknown!r}: use {', '.join(HOOKS)}")
        self._hooks = dict(hooks or {})
        self._identity = identity
        self._trust = trust
        self._settings = Settings(
            name=name,
            publish=publish,
            on_new_peer=self._on_new_peer if "new_peer" in self._hooks else None,
            swarm=swarm,
            secrets=secrets_of(keys, swarm_keys, swarm),
            encrypt=encrypt,
            ring=ring,
            mailbox=mailbox,
            delivery=delivery,
            behaviour=behaviour,
            reachable=reachable,
            map_ports=map_ports,
            watch=watch,
        )
        self._channels: ChannelHub | None = None
        self._directory: Directory | None = None
        self._exchange: ActorExchange | None = None
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
        """Listen at ``host:port`` (port 0: a free one) and become a ring of one; returns the address others use.

        ``create=False``: stay outside any ring until ``connect`` or ``create``, for a peer that comes back to a ring in
        which others may still list it.

        ``external_ip`` and ``external_port`` are what others dial when a router translates the address.
        Raises Unavailable when the address cannot be bound, Misuse when it is not numeric or already bound.
        """
        refuse_when_imported_again()
        if self._closed:
            raise NotBound("this peer is closed: make a new one")
        if self._hosted is not None:
            raise Misuse(f"this peer is already bound to {self._hosted.peer.address}")
        if self._hooks:
            check_threads("a peer with hooks")
        home = Host.current()
        source = partial(home.platform.key_source, self._identity, self._trust, is_lasting=port != 0)
        settings = replace(self._settings, keys=lambda address: source()(address), create=create)
        self._hosted = home.start_peer(
            settings, host=host, port=port, external_ip=external_ip, external_port=external_port
        )
        self._hosted.mailbox.reply_by(partial(reply, self._hosted))
        self._channels = ChannelHub(self._hosted)
        if self._settings.encrypt:
            self._directory = Directory(self._hosted, partial(self._run_hook, "name_lost"))
        return self.listener

    def create(self) -> None:
        """Become a ring of one, for others to connect to. Only needed after ``bind(create=False)``."""
        self._own().tell(CreateRing())

    async def connect(
        self, host: str | tuple[str, int] | Addressed, port: int | None = None, timeout: float = 10.0
    ) -> None:
        """Enter the ring of the peer at ``host, port`` (or of an address tuple, or of another SwarmPeer).

        Returns when this peer is in that ring; or, when nobody can dial it, when a first member passes messages on for it. Then it
        can send, and others reach it as soon as ``joined`` returns. Raises RingNotReady when it is not there within ``timeout``
        seconds. Cancelled, it may still come to be there, unless it is told to connect to others.
        """
        hosted = self._own()
        seed = await resolved(host if port is None else (str(host), port))
        if seed == hosted.peer:
            raise Misuse(f"{seed.address} is this peer itself: connect to another")
        if is_hidden(seed.address):
            raise Misuse(f"nobody can dial {seed.address}: connect to a member of its swarm")
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        hosted.enter(Enter((seed,), hosted.now() + timeout, reply))
        failure = await answered(reply, timeout + 1.0, f"joining through {seed.address}")
        if failure:
            raise RingNotReady(f"cannot join through {seed.address}: {failure}")

    async def joined(self, timeout: float | None = 10.0) -> None:
        """Returns when this peer is in a ring with at least one other, or, when nobody can dial it, when members pass messages on
        for it and whoever sends to its address finds them.

        Raises RingNotReady when it is not within ``timeout`` seconds (None: for ever), NotBound when it is closed meanwhile.
        """
        hosted = self._own()
        try:
            async with asyncio.timeout(timeout):
                is_there = await hosted.joined()
        except TimeoutError:
            where = "found by nobody" if is_hidden(hosted.peer.address) else "alone in its ring"
            raise RingNotReady(f"{where} after {timeout} s: connect to another peer") from None
        if not is_there:
            raise NotBound(hosted.failure or "this peer was closed: make a new one")

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
        """Send to ``(host, port)``, ``"@peer id"``, a place or another SwarmPeer; returns at once.

        The receipt settles as delivered when the message is in the destination's mailbox, or as failed with a reason, within
        ``timeout`` seconds. ``data`` has at most 16 MiB; what is larger than 32 KiB leaves in fragments, and a slow way may need
        a longer ``timeout``.

        ``duplicates`` extra copies leave with each attempt, on paths that share no relay as far as there are relays; None: one
        copy, two after a loss, then four. ``require`` (``first-contact``, ``pinned`` or ``pre-shared``): with less trust in the
        destination's key nothing is sent, and the receipt fails. ``ordered``: it enters the mailbox after all ordered messages
        that this peer sent there before; one of them that fails may be missing, but never comes later. While the destination's
        mailbox is full the message waits for room; with ``on_full="error"`` its receipt fails instead.

        Raises PayloadTooLarge and Misuse at once, and MailboxFull when this process has more on its way than it can carry.
        """
        hosted = self._own()
        payload = payload_of(data)
        how = How(
            timeout=timeout,
            copies=copies_of(duplicates),
            require=Trust.required(require),
            ordered=ordered,
            patient=is_patient(on_full),
        )
        receipt = submit(hosted, target, payload, how)
        self._run_hook("send", target, payload)
        return receipt

    async def request(
        self, target: Target, data: bytes | str, timeout: float = 5.0, *, require: str | None = None
    ) -> Message:
        """Send a request and return the reply to it, a Message whose ``kind`` is ``reply``. The other side reads it as a Message
        whose ``kind`` is ``request``, and answers with ``message.reply(data)``.

        The reply counts once, and only from the peer that was asked. Raises DeliveryTimeout when there is none within ``timeout``
        seconds, RequestFailed when there will be none (KeyChanged when ``target`` shows another key than the pinned one), and what
        ``send`` raises. Cancelled, the request is forgotten.
        """
        how = How(timeout=timeout, require=Trust.required(require), service=Service.REQUEST)
        work = request(self._own(), target, data, how)
        self._run_hook("send", target, data.encode() if isinstance(data, str) else bytes(data))
        return await work

    async def recv(self, timeout: float | None = None) -> Message:
        """The next message, waiting up to ``timeout`` seconds (None: for ever). Raises DeliveryTimeout when none came."""
        message = await self._own(closed_is_fine=True).mailbox.take(timeout)
        self._run_hook("recv", message)
        return message

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._messages()

    def broadcast(self, data: bytes | str, timeout: float = BROADCAST.timeout) -> BroadcastReceipt:
        """Give ``data``, at most 32 KiB, to every other peer of the ring, signed by this one; returns at once.

        The receipt, which may be awaited, says within ``timeout`` seconds how far it got. Every member can read it. Raises
        PayloadTooLarge at once: broadcasts are not cut into pieces.
        """
        hosted = self._own()
        payload = payload_of(data, WIRE.max_payload, "broadcast")
        receipt = BroadcastReceipt()
        hosted.tell(Announce(payload, hosted.now() + timeout, receipt))
        self._run_hook("send", None, payload)
        return receipt

    async def lookup(
        self, value: Target | bytes, timeout: float = 5.0, *, iterative: bool = False
    ) -> Lookup | LookupFailure:
        """Who owns ``value``: an address, a place, a peer, or any text or bytes (hashed with SHA-256).

        A lookup that fails is a value too: the LookupFailure says why.
        """
        return await look_up(self._own(), value, timeout, iterative)

    async def get_route(self, value: Target | bytes, timeout: float = 5.0) -> tuple[HostPort, ...]:
        """The peers a lookup of ``value`` passes, this one first, the owner last. Raises RingNotReady when it fails."""
        return route_of(await self.lookup(value, timeout))

    def channel(self, name: str) -> Channel:
        """The channel of that name: ``async with peer.channel("#general") as channel`` makes this peer a member, who gets what
        others publish once each, in the order of each of them. Raises Misuse for what cannot be a name."""
        self._own()
        return cast(ChannelHub, self._channels).channel(name)

    async def register(
        self, name: str, lease: float = NAMES.lease, timeout: float = DELIVERY.timeout
    ) -> NameRecord:
        """Make ``name`` this peer's in the swarm's directory until ``release``, and for at most ``lease`` seconds after the peer
        has ended.

        It can be lost before that: to who registers it within the same 3 seconds, after a partition, or when too few peers keep
        it for a whole lease (docs/names.md). Then it is no more among ``names``, and the hook ``name_lost(name, reason, holder)``
        is called: ``reason`` as in Lost or Refused, ``holder`` the peer id of who has it, or empty.
        Raises NameTaken, Misuse for what cannot be a name, and RingNotReady or DeliveryTimeout when it did not work now.
        """
        return await self._names().register(name, lease, timeout)

    async def resolve(self, name: str, timeout: float = DELIVERY.timeout) -> NameRecord | None:
        """Whose ``name`` is, as its owner signed it: a target of ``send``. None: nobody's. Raises Misuse for what cannot be a
        name, and RingNotReady or DeliveryTimeout when too few peers answered."""
        return await self._names().resolve(name, timeout)

    def release(self, name: str) -> None:
        """Give a name back, so that others can have it. Without effect when it is not this peer's."""
        self._names().release(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are this peer's, in normal form, sorted: those registered, and neither released nor lost since."""
        return () if self._directory is None else self._directory.names

    async def disconnect(self, timeout: float = 5.0) -> None:
        """Leave the ring with a farewell. The peer stays bound, as a ring of one."""
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._own().tell(Withdraw(reply))
        await answered(reply, timeout, "leaving the ring")

    async def close(self, timeout: float = 5.0) -> None:
        """Leave the ring and end, within about ``timeout`` seconds. What the peer learned of others' keys stands in its file of
        pins then; others have what it published in channels, and know of names that it released, unless that took too long.
        Mail that was received can still be taken. Idempotent; in a forked child, whose peer it is not, it does
        nothing. Cancelled, the peer ends without the rest of its farewell.
        """
        if self._hosted is None or self._hosted.ownership.is_foreign:
            self._closed = True
            return
        self._hosted.ownership.check()
        self._closed = True
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout
        try:
            if not self._hosted.ended:
                with contextlib.suppress(DeliveryTimeout, NotBound):  # one that ended or is stuck says none
                    await self._last_words(timeout / 2)
                    await self.disconnect(max(ends - loop.time(), 0.0))
        finally:
            self._hosted.end("left")
        left = max(ends - loop.time(), _LAST_WORDS)
        await answered(asyncio.shield(self._hosted.gone), left, "ending")
        await self._hosted.part(max(ends - loop.time(), _LAST_WORDS))
        await self._hosted.keep_pins(max(ends - loop.time(), _LAST_WORDS))

    async def _last_words(self, timeout: float) -> None:
        """Wait until others have what the application said at last, at most so long."""
        words = []
        if self._channels is not None:
            words.append(self._channels.farewell(min(timeout, CHANNEL.carried)))
        if self._directory is not None:
            words.append(self._directory.farewell(min(timeout, NAMES.farewell)))
        await asyncio.gather(*words)

    def kill(self) -> None:
        """End at once without a farewell: actors, links and listener are dropped as if the process had died."""
        if self._hosted is not None:
            self._hosted.ownership.check()
            self._hosted.end("killed")
        self._closed = True

    # The application's own actors

    def subscribe(self, ref: ActorRef[Message], *, prefetch: int = ACTOR.prefetch) -> Subscription:
        """Have an actor told the messages that come into the mailbox, until the subscription is cancelled or the actor ends.

        At most ``prefetch`` messages are with it that it has not handled; all others stay in the mailbox, which keeps senders
        back. No message is lost when the actor ends: Subscription says why. Subscribers and ``recv`` take messages in turn.
        """
        hosted = self._own()
        return Subscription(
            hosted.mailbox, ref, prefetch=prefetch, on_message=lambda message: self._run_hook("recv", message)
        )

    async def supervise(self, supervisor: Supervisor, timeout: float = ACTOR.ask_timeout) -> Supervisor:
        """Start an application's actors as part of this peer: they end with it, and when they keep failing it ends as failed, as
        if they were its own. Their exits and restarts are among its events. Returns when each was started; raises DeliveryTimeout
        when that takes longer than ``timeout`` seconds, and they go on starting."""
        self._own().adopt(supervisor)
        try:
            async with asyncio.timeout(timeout):
                return await supervisor.start()
        except TimeoutError:
            raise DeliveryTimeout(f"the actors were not started within {timeout} s") from None

    def export(
        self,
        ref: ActorRef[SwarmCall],
        name: str,
        *,
        commands: Any,
        replies: Any,
        require: str | None = "pinned",
    ) -> SwarmExport:
        """Let other peers tell, ask and watch the actor, by ``name``; nobody can stop it. It is told SwarmCall.

        ``commands`` and ``replies`` are closed families (unions). Peers with less trust than ``require`` find no such actor;
        None: every member may ask. Raises Misuse when the name is taken.
        """
        return self._actors().export(ref, name, commands, replies, Trust.required(require))

    def actor(
        self, target: Target, name: str, *, commands: Any, replies: Any, require: str | None = None
    ) -> SwarmRef[Any, Any]:
        """The actor that the peer at ``target`` exports as ``name``; annotate it as ``SwarmRef[Commands, Replies]``. To a peer with
        less trust than ``require`` nothing is sent."""
        trust = Trust.required(require)
        return SwarmRef(self._actors, target, name, commands=commands, replies=replies, require=trust)

    def _actors(self) -> ActorExchange:
        hosted = self._own()
        if self._exchange is None:
            self._exchange = ActorExchange(hosted)
        return self._exchange

    @property
    def peek(self) -> Message | None:
        """The message ``recv`` would return now, left in the mailbox; None when there is none."""
        return self._own(closed_is_fine=True).mailbox.peek()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _names(self) -> Directory:
        self._own()
        if self._directory is None:
            raise Misuse("names are signed: use a peer with encrypt=True")
        return self._directory

    async def _messages(self) -> AsyncIterator[Message]:
        while True:
            try:
                yield await self.recv(None)
            except NotBound:
                return

    def _run_hook(self, name: str, *arguments: object) -> None:
        hook = self._hooks.get(name)
        if hook is not None and self._hosted is not None:
            self._hosted.run_hook(name, hook, *arguments)

    def _on_new_peer(self, peer: Peer) -> None:
        self._run_hook("new_peer", HostPort.of(peer.address))
