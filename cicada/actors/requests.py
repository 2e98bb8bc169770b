"""What an application asks other peers, until their replies are here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from cicada.actors.mailbox import HostPort, Message
from cicada.actors.receipt import Receipt
from cicada.actors.services import ServiceMail, Services
from cicada.errors import DeliveryTimeout, MalformedMessage, RequestFailed
from cicada.ids import Place
from cicada.routing.io import Reason
from cicada.services.requests import Heard, Party, Requests
from cicada.wire.services import Reply, Request, Service, decode_service, encode_service

Outcome = Message | RequestFailed | DeliveryTimeout
Send = Callable[[bytes], Receipt]
"""Sends a Request, encoded, to whoever is asked."""


class Owner(Protocol):
    """The peer, as far as it matters here."""

    @property
    def services(self) -> Services:
        """Who takes its service mail."""
        ...

    def now(self) -> float:
        """Seconds on the clock that deadlines are measured on."""
        ...

    def drop(self, reason: str) -> None:
        """Count and tell what is not delivered."""
        ...


class _Waiting:
    __slots__ = ("early", "outcome")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self.early: Message | None = None

    def end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class RequestDesk:
    """The requests of one peer. They outlive crashes of its actors. Used on its event loop only."""

    def __init__(self, owner: Owner, requests: Requests) -> None:
        self._owner = owner
        self._requests = requests
        self._waiting: dict[int, _Waiting] = {}
        owner.services.offer(Service.REPLY, self._take)

    def __len__(self) -> int:
        """How many wait for a reply."""
        return len(self._waiting)

    async def ask(self, place: Place, data: bytes, timeout: float, send: Send) -> Message:
        """The reply of the peer at ``place``, to which ``send`` sends. Cancelled, the request is forgotten.

        Raises DeliveryTimeout when there is none within ``timeout`` seconds, RequestFailed when there will be none, and what
        ``send`` raises.
        """
        number = self._requests.ask(place, self._owner.now() + timeout)
        if number is None:
            raise RequestFailed(Reason.OVERLOADED.value)
        waiting = self._waiting[number] = _Waiting(asyncio.get_running_loop())
        try:
            receipt = send(encode_service(Request(number=number, data=data)))
            receipt.when_settled(lambda: self._on_settled(number, receipt))
            async with asyncio.timeout(timeout):
                outcome = await waiting.outcome
        except TimeoutError:
            raise DeliveryTimeout(f"no reply within {timeout} s") from None
        finally:
            del self._waiting[number]
            self._requests.forget(number)
        if isinstance(outcome, Message):
            return outcome
        raise outcome

    def close(self) -> None:
        """The peer ends: no reply comes any more."""
        for waiting in self._waiting.values():
            waiting.end(RequestFailed(Reason.CLOSED.value))

    def _on_settled(self, number: int, receipt: Receipt) -> None:
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        heard = self._requests.sent(number, receipt.peer_id, self._owner.now())
        if heard is Heard.ANSWERED and waiting.early is not None:
            waiting.end(waiting.early)
        elif not receipt.delivered:
            waiting.end(_failure(receipt))
        waiting.early = None
        self._count(heard)

    def _take(self, mail: ServiceMail) -> bool:
        """Whatever it is, it is no reply to be sent again."""
        try:
            reply = decode_service(mail.payload, Reply)
        except MalformedMessage:
            self._owner.drop("malformed")
            return True
        heard = self._requests.replied(
            reply.number, Party(mail.peer_id, mail.source.place), self._owner.now()
        )
        waiting = self._waiting.get(reply.number)
        if waiting is not None and heard is Heard.EARLY:
            waiting.early = _message(mail, reply)
        elif waiting is not None and heard is Heard.ANSWERED:
            waiting.end(_message(mail, reply))
        self._count(heard)
        return True

    def _count(self, heard: Heard) -> None:
        if heard is Heard.LATE:
            self._owner.drop("reply-late")
        elif heard is Heard.STRANGE:
            self._owner.drop("reply-strange")


def _failure(receipt: Receipt) -> RequestFailed | DeliveryTimeout:
    if receipt.reason == Reason.TIMED_OUT.value:
        return DeliveryTimeout("no reply: nobody acknowledged the request")
    return RequestFailed(receipt.reason or "")


def _message(mail: ServiceMail, reply: Reply) -> Message:
    return Message(
        source=HostPort.of(mail.source.address),
        data=reply.data,
        more=False,
        id=mail.id,
        kind="reply",
        hops=mail.hops,
        trust=mail.trust,
        peer_id=mail.peer_id,
    )
