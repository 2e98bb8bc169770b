"""Actors that peers export to each other through the swarm: both sides of it, of one peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from cicada.actors.base import ActorExit, GuardedRef
from cicada.actors.futures import LoopFuture
from cicada.actors.mailbox import HostPort
from cicada.actors.receipt import Receipt
from cicada.actors.remote import RemoteCall, failure_of
from cicada.actors.services import ServiceMail
from cicada.actors.subscription import ActorRef
from cicada.control import Terminated
from cicada.embedding.sending import How, submit
from cicada.errors import (
    CicadaError,
    DeliveryTimeout,
    KeyChanged,
    MailboxFull,
    MalformedMessage,
    Misuse,
    NotBound,
    PayloadTooLarge,
    Unavailable,
)
from cicada.ids import Peer
from cicada.keys.trust import Trust
from cicada.limits import ACTOR, ACTORS, WIRE
from cicada.routing.io import Reason
from cicada.services.exports import (
    Accepted,
    Carry,
    ExportInput,
    Exports,
    Offered,
    Refused,
    Replied,
    Requested,
    Respond,
    TimerFired,
    Withdrawn,
)
from cicada.services.requests import Heard, Party, Requests
from cicada.targets import Target, resolved
from cicada.wire.actors import (
    ENVELOPE,
    ActorEnded,
    ActorFailed,
    ActorReplied,
    ActorResponse,
    ActorTook,
    AskActor,
    TellActor,
    WatchActor,
    decode_actor,
    encode_actor,
)
from cicada.wire.decoding import UNDECODABLE
from cicada.wire.services import Service

if TYPE_CHECKING:
    from cicada.actors.hosted import HostedPeer

C = TypeVar("C")
R = TypeVar("R")

_encode = msgspec.msgpack.Encoder().encode


class SwarmCall(RemoteCall, frozen=True):
    """Told to an actor that is exported to the swarm: a RemoteCall, and who it is from. ``peer_id`` is proven, empty without
    encryption; ``trust`` is a word as that of a Message."""

    source: HostPort
    peer_id: str
    trust: str


class SwarmExport:
    """An actor's export to the swarm. It ends with ``close``, with the actor, and with the peer. For any thread."""

    def __init__(self, exchange: ActorExchange, name: str) -> None:
        self._exchange = exchange
        self.name = name

    @property
    def is_open(self) -> bool:
        """Whether others can reach the actor."""
        return self._exchange.is_exported(self.name, self)

    def close(self) -> None:
        """Others can reach the actor no more; it lives on. Whoever waits for it hears that. Called on another thread than the
        peer's, it is done soon after. Idempotent."""
        self._exchange.withdraw_soon(self, ActorExit(urn="", failed=False, reason="it is exported no more"))


class _Exported(msgspec.Struct):
    ref: GuardedRef[Any]
    commands: msgspec.msgpack.Decoder[Any]
    replies: Any
    handle: SwarmExport


class ActorExchange:
    """What one peer exports and whom it asks. Used on its event loop only."""

    def __init__(self, hosted: HostedPeer) -> None:
        self._hosted = hosted
        self._requests = Requests(hosted.around.entropy)
        self._exports = Exports()
        self._exported: dict[str, _Exported] = {}
        self._waiting: dict[int, asyncio.Future[ActorResponse]] = {}
        self._early: dict[int, ActorResponse] = {}
        self._watched: dict[int, tuple[Party, asyncio.Future[Terminated]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        hosted.services.offer(Service.ACTOR, self._take)
        hosted.when_ended(self._end)

    def is_exported(self, name: str, handle: SwarmExport) -> bool:
        """Whether this is the present export of that name."""
        exported = self._exported.get(name)
        return exported is not None and exported.handle is handle

    def export(
        self, ref: ActorRef[SwarmCall], name: str, commands: Any, replies: Any, require: Trust
    ) -> SwarmExport:
        """As SwarmPeer.export promises it."""
        if not isinstance(ref, GuardedRef):
            raise Misuse(f"{ref} cannot be exported: derive its actor from LoopActor or BlockingActor")
        if name in self._exported:
            raise Misuse(f"an actor is exported as {name!r} already: close that, or choose another name")
        if not 0 < len(name) <= ACTORS.max_name:
            raise Misuse(f"name {name!r} has {len(name)} characters: use 1 to {ACTORS.max_name}")
        handle = SwarmExport(self, name)
        self._exported[name] = _Exported(ref, msgspec.msgpack.Decoder(commands), replies, handle)
        life = self._hosted.around.entropy.getrandbits(62)
        self._feed(Offered(name, life, require))
        ref.watch(lambda end: self.withdraw_soon(handle, end))
        return handle

    def withdraw_soon(self, handle: SwarmExport, end: ActorExit) -> None:
        """``withdraw``, from any thread."""
        self._on_loop(self.withdraw, handle, end)

    def withdraw(self, handle: SwarmExport, end: ActorExit) -> None:
        """Nobody reaches it any more. Idempotent."""
        if self.is_exported(handle.name, handle):
            del self._exported[handle.name]
            self._feed(Withdrawn(handle.name, end.failed, end.reason))

    async def request(
        self, peer: Peer, make: Callable[[int], Any], timeout: float, require: Trust
    ) -> ActorResponse:
        """The response of that peer to a request. Raises as SwarmRef says."""
        number = self._requests.ask(peer.place, self._hosted.now() + timeout)
        if number is None:
            raise MailboxFull("too many requests to actors are in flight: await some first")
        future: asyncio.Future[ActorResponse] = self._loop.create_future()
        self._waiting[number] = future
        try:
            receipt = self._send(peer, encode_actor(make(number)), timeout, require)
            receipt.when_settled(lambda: self._on_loop(self._settled, number, receipt, peer))
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise DeliveryTimeout(f"no answer from {peer.address} within {timeout} s") from None
        finally:
            del self._waiting[number]
            self._early.pop(number, None)
            self._requests.forget(number)

    async def watch(self, peer: Peer, name: str, require: Trust) -> Terminated:
        """As SwarmRef.watch promises it."""
        ended: asyncio.Future[Terminated] = self._loop.create_future()
        life: int | None = None
        number = 0
        try:
            while not ended.done():

                def watch_actor(drawn: int) -> WatchActor:
                    nonlocal number
                    self._watched.pop(number, None)
                    number = drawn
                    self._watched[number] = (Party("", peer.place), ended)
                    return WatchActor(drawn, name)

                try:
                    response = await self.request(peer, watch_actor, ACTORS.watch_interval, require)
                except (DeliveryTimeout, Unavailable, KeyChanged) as error:
                    if life is None:
                        raise
                    return Terminated(failed=True, reason=f"its peer does not answer: {error}")
                if isinstance(response, ActorFailed) and life is None:
                    raise _error_of(response, name, peer)
                if not isinstance(response, ActorTook) or life not in (None, response.life):
                    return Terminated(failed=True, reason="its peer was restarted, or exports another one")
                life = response.life
                await asyncio.wait([ended], timeout=ACTORS.watch_interval)
            return ended.result()
        finally:
            self._watched.pop(number, None)

    def _end(self) -> None:
        """The peer has ended: nothing is exported any more, and no answer comes."""
        self._exported.clear()
        if self._timer is not None:
            self._timer.cancel()
        waiting: list[asyncio.Future[Any]] = [
            *self._waiting.values(),
            *(end for _, end in self._watched.values()),
        ]
        for future in waiting:
            if not future.done():
                future.set_exception(NotBound(self._hosted.failure or "this peer was closed"))
                future.exception()  # of a watch that asks just now, only the request is awaited

    def _take(self, mail: ServiceMail) -> bool:
        try:
            message = decode_actor(mail.payload)
        except MalformedMessage:
            self._hosted.drop("malformed")
            return True
        match message:
            case AskActor() | TellActor() | WatchActor():
                trust = Trust.required(None if mail.trust == Trust.UNVERIFIED.word else mail.trust)
                self._feed(Requested((mail.source, mail.peer_id), trust, message))
            case ActorEnded():
                self._on_ended(mail, message)
            case _:
                self._on_response(mail, message)
        return True

    # What is exported

    def _feed(self, input: ExportInput) -> None:
        for output in self._exports.handle(input, self._hosted.now()):
            match output:
                case Carry():
                    self._carry(output)
                case Respond(to=peer, response=response):
                    self._respond(peer, response)
        for reason, count in self._exports.refusals.items():
            self._hosted.around.refusals[f"actor-{reason}"] = count
        self._arm()

    def _carry(self, carry: Carry) -> None:
        exported = self._exported[carry.name]
        try:
            command = exported.commands.decode(carry.body)
        except UNDECODABLE as error:
            return self._feed(Refused(carry.ticket, "malformed", f"unknown command: {error}"))
        peer, peer_id = carry.caller
        reply = self._replier(carry, exported) if carry.is_ask else _ignore
        call = SwarmCall(command, reply, HostPort.of(peer.address), peer_id, carry.trust.word)
        handled = cast("LoopFuture[Any]", exported.ref.ask(call, block=False))
        if not carry.is_ask and handled.error() is None:
            return self._feed(Accepted(carry.ticket))
        handled.when_settled(lambda: self._on_loop(self._handled, carry.ticket, handled))
        return None

    def _replier(self, carry: Carry, exported: _Exported) -> Callable[[Any], None]:
        replied = False

        def reply(value: Any) -> None:
            nonlocal replied
            if replied:
                raise Misuse("this call was replied to already")
            if not isinstance(value, exported.replies):
                raise Misuse(f"{type(value).__name__} is not among the replies that this export declares")
            body = _encode(value)
            if len(body) > WIRE.max_message - ENVELOPE:
                raise PayloadTooLarge(len(body), WIRE.max_message - ENVELOPE, "reply")
            replied = True
            self._on_loop(self._feed, Replied(carry.ticket, body))

        return reply

    def _handled(self, ticket: int, future: LoopFuture[Any]) -> None:
        error = future.error()
        if error is not None:
            self._feed(Refused(ticket, *failure_of(error)))

    def _respond(self, peer: Peer, response: ActorResponse) -> None:
        try:
            self._send(peer, encode_actor(response), ACTORS.respond, Trust.UNVERIFIED)
        except CicadaError:  # too much is on its way, or the peer has ended: whoever asked has a time-out
            self._hosted.around.refusals["actor-response-lost"] += 1

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._exports.next_deadline()
        if deadline is not None and not self._hosted.ended:
            delay = max(deadline - self._hosted.now(), 0.001)
            self._timer = self._loop.call_later(delay, self._feed, TimerFired())

    def _send(self, peer: Peer, payload: bytes, timeout: float, require: Trust) -> Receipt:
        how = How(timeout=timeout, require=require, service=Service.ACTOR)
        return submit(self._hosted, HostPort.of(peer.address), payload, how)

    # What is asked

    def _settled(self, number: int, receipt: Receipt, peer: Peer) -> None:
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        if number in self._watched:
            self._watched[number] = (Party(receipt.peer_id, peer.place), self._watched[number][1])
        heard = self._requests.sent(number, receipt.peer_id, self._hosted.now())
        if heard is Heard.ANSWERED and number in self._early:
            future.set_result(self._early[number])
        elif not receipt.delivered:
            future.set_exception(_error_without_answer(receipt, peer))

    def _on_response(self, mail: ServiceMail, response: ActorTook | ActorReplied | ActorFailed) -> None:
        party = Party(mail.peer_id, mail.source.place)
        heard = self._requests.replied(response.id, party, self._hosted.now())
        future = self._waiting.get(response.id)
        if heard is Heard.EARLY:
            self._early[response.id] = response
        elif heard is Heard.ANSWERED and future is not None and not future.done():
            future.set_result(response)
        elif heard is Heard.STRANGE:
            self._hosted.drop("reply-strange")
        elif heard is Heard.LATE:
            self._hosted.drop("reply-late")

    def _on_ended(self, mail: ServiceMail, ended: ActorEnded) -> None:
        watched = self._watched.get(ended.id)
        if watched is None or not watched[0].is_same(Party(mail.peer_id, mail.source.place)):
            self._hosted.drop("reply-strange")
        elif not watched[1].done():
            watched[1].set_result(Terminated(failed=ended.failed, reason=ended.reason))

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._hosted.ownership.is_here:
            function(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed, and the peer with it
            return


class SwarmRef(Generic[C, R]):
    """Reference to the actor that the peer at ``target`` exports as ``name``, in whatever life of both.

    Every method that waits raises DeliveryTimeout when there is no answer in time, Unavailable when no such actor is exported to
    this peer, or it ended, or the peer cannot be reached, KeyChanged when that one shows another key than the pinned one, NotBound
    when this peer has ended, MailboxFull when the actor or its peer has too much to do, Misuse for a command that the actor does
    not know. An actor that fails at it raises CicadaError here. Use on the peer's event loop.
    """

    def __init__(
        self,
        exchange: Callable[[], ActorExchange],
        target: Target,
        name: str,
        *,
        commands: Any,
        replies: Any,
        require: Trust,
    ) -> None:
        if isinstance(target, int):
            raise Misuse('a place has no actors: name its peer by (host, port), "@peer id" or a SwarmPeer')
        self._exchange = exchange
        self._target = target
        self._name = name
        self._commands = commands
        self._replies: msgspec.msgpack.Decoder[R] = msgspec.msgpack.Decoder(replies)
        self._require = require

    async def tell(self, command: C, timeout: float = ACTOR.ask_timeout) -> None:
        """Returns once the command lies in the actor's inbox."""
        body = self._encode(command)
        await self._request(lambda number: TellActor(number, self._name, body), timeout)

    async def ask(self, command: C, timeout: float = ACTOR.ask_timeout) -> R:
        """The actor's reply."""
        body = self._encode(command)
        patience = min(max(1, int(timeout * 1000)), ACTORS.longest_ask_ms)
        response = await self._request(lambda number: AskActor(number, self._name, body, patience), timeout)
        if isinstance(response, ActorReplied):
            try:
                return self._replies.decode(response.body)
            except UNDECODABLE:
                pass
        raise CicadaError(f"{self._name} at {self._target} gave a reply of another family")

    async def watch(self) -> Terminated:
        """Returns when the present actor has ended or is exported no more; within about 20 seconds when its peer was killed."""
        peer = await resolved(cast("Any", self._target))
        return await self._exchange().watch(peer, self._name, self._require)

    def _encode(self, command: C) -> bytes:
        if not isinstance(command, self._commands):
            raise Misuse(f"{self._name} at {self._target} knows no {type(command).__name__}")
        body = _encode(command)
        if len(body) > WIRE.max_message - ENVELOPE:
            raise PayloadTooLarge(len(body), WIRE.max_message - ENVELOPE, "command")
        return body

    async def _request(self, make: Callable[[int], Any], timeout: float) -> ActorResponse:
        peer = await resolved(cast("Any", self._target))
        response = await self._exchange().request(peer, make, timeout, self._require)
        if isinstance(response, ActorFailed):
            raise _error_of(response, self._name, peer)
        return response


def _ignore(_: Any) -> None:
    """The reply to a tell."""


def _error_without_answer(receipt: Receipt, peer: Peer) -> CicadaError:
    match receipt.reason:
        case Reason.TIMED_OUT.value:
            return DeliveryTimeout(f"{peer.address} did not acknowledge the request")
        case Reason.KEY_CHANGED.value:
            return KeyChanged(receipt.reason)
        case reason:
            return Unavailable(f"no answer will come from {peer.address}: {reason}")


def _error_of(failure: ActorFailed, name: str, peer: Peer) -> CicadaError:
    text = f"{name} at {peer.address}: {failure.reason}"
    match failure.kind:
        case "malformed":
            return Misuse(text)
        case "full":
            return MailboxFull(text)
        case "ended" | "refused":
            return Unavailable(text)
        case "failed":
            return CicadaError(text)
