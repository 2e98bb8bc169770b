"""Names, as an application registers and resolves them."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any, Final

from cicada.actors.hosted import HostedPeer
from cicada.actors.pump import Core, Handlers
from cicada.embedding.tenancy import Tenancy
from cicada.embedding.waiting import answered
from cicada.errors import Misuse, NameTaken, RingNotReady
from cicada.limits import NAMES
from cicada.services.nameio import Lost, Refused, Register, Registered, Release, Resolve, Resolved
from cicada.services.namerecords import NameRecord, normal_name
from cicada.services.names import Names
from cicada.wire.names import decode_name_message, encode_name_message
from cicada.wire.services import Service

_logger = logging.getLogger("cicada.names")
_UNKNOWN: Final = "no-such-name"
_MISTAKES: Final = frozenset({"name-invalid", "lease-invalid", "too-many-names"})


class Directory:
    """The directory's part at one peer, and what its application wants of it. Used on the peer's loop only."""

    service = Service.NAME
    replicas = NAMES.replicas
    decode = staticmethod(decode_name_message)
    encode = staticmethod(encode_name_message)

    def __init__(self, hosted: HostedPeer) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._asked: dict[int, Register | Resolve] = {}
        self._held: dict[str, Register] = {}
        self._tenancy = Tenancy(hosted, self)
        hosted.when_moved(self._ask_again)

    async def register(self, name: str, lease: float, timeout: float) -> NameRecord:
        """As SwarmPeer.register promises it."""
        normal = normal_name(name)
        answer = await self._ask(number := next(self._numbers), Register(number, normal, lease), timeout)
        if isinstance(answer, Registered):
            self._held[normal] = Register(0, normal, lease)
            return answer.record
        if answer.reason == "taken":
            raise NameTaken(normal, "" if answer.holder is None else answer.holder.peer_id)
        if answer.reason in _MISTAKES:
            raise Misuse(f"the name {normal!r} cannot be registered like this: {answer.reason}")
        raise RingNotReady(f"the name {normal!r} could not be registered: {answer.reason}; try again")

    async def resolve(self, name: str, timeout: float) -> NameRecord | None:
        """As SwarmPeer.resolve promises it."""
        normal = normal_name(name)
        answer: Resolved = await self._ask(number := next(self._numbers), Resolve(number, normal), timeout)
        if answer.record is None and answer.reason != _UNKNOWN:
            raise RingNotReady(f"the name {normal!r} could not be resolved: {answer.reason}; try again")
        return answer.record

    def release(self, name: str) -> None:
        """As SwarmPeer.release promises it."""
        normal = normal_name(name)
        self._held.pop(normal, None)
        self._tenancy.tell(Release(normal))

    # The tenant of the service

    def make(self, hosted: HostedPeer) -> Core:
        memory = hosted.memory
        if memory is None:
            raise Misuse("names are signed: a peer with encrypt=False has no directory")
        return Names(memory.own, memory.identity, memory.swarm, memory.wall_ms, NAMES)

    def carriers(self) -> Handlers:
        return {
            Registered: self._answer,
            Refused: self._answer,
            Resolved: self._answer,
            Lost: self._on_lost,
        }

    def began(self) -> None:
        for register in self._held.values():
            self._tenancy.tell(register)

    def _answer(self, answer: Registered | Refused | Resolved) -> None:
        waiting = self._waiting.pop(answer.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _on_lost(self, lost: Lost) -> None:
        _logger.warning("the name %r is this peer's no more: %s", lost.name, lost.reason)
        self._held.pop(lost.name, None)

    def _ask_again(self) -> None:
        """What the machine of the former address was asked, it will not answer."""
        for question in self._asked.values():
            self._tenancy.tell(question)

    async def _ask(self, number: int, question: Register | Resolve, timeout: float) -> Any:
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if not self._tenancy.tell(question):
                raise RingNotReady("the directory has too much to do: try again")
            self._asked[number] = question
            return await answered(waiting, timeout, f"the name {question.name!r}")
        finally:
            self._waiting.pop(number, None)
            self._asked.pop(number, None)
