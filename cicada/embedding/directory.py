"""Names, as an application registers and resolves them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from cicada.actors.hosted import HostedPeer
from cicada.actors.pump import Core, Handlers
from cicada.embedding.tenancy import Tenancy
from cicada.embedding.waiting import answered
from cicada.errors import Misuse, NameTaken, RingNotReady
from cicada.limits import NAMES
from cicada.services.nameio import (
    Lost,
    Refused,
    Register,
    Registered,
    Release,
    Released,
    Resolve,
    Resolved,
    RingChanged,
)
from cicada.services.namerecords import NameRecord, normal_name
from cicada.services.names import Names
from cicada.wire.names import decode_name_message, encode_name_message
from cicada.wire.services import Service

_logger = logging.getLogger("cicada.names")
_UNKNOWN: Final = "no-such-name"
_MISTAKES: Final = {
    "name-invalid": "see normal_name for what a name may be",
    "lease-invalid": f"give a lease of {NAMES.lease_min:,.0f} to {NAMES.lease_max:,.0f} seconds",
    "too-many-names": f"a peer has {NAMES.own} names at most: release one first",
}
"""What to do instead, by the reason."""
_AGAIN: Final = {
    "busy": f"it is being registered here already, or this peer had more than {NAMES.key_burst} new names in a row, after which one"
    f" comes free every {1 / NAMES.key_rate:.0f} s: try again then",
    "full": "those who would keep it have no room, or enough names of this peer: try again later, or another name",
    "elsewhere": "the ring is changing: try again in some seconds",
    "invalid": "those who would keep it refuse it: look at this machine's clock, and whether the swarm's name is the same",
    "stale": "another process with this peer's keys registers it: end one of the two",
    "no-answer": "too few of those who would keep it answered: try again",
    "disputed": "those who keep it name different owners: try again in a minute",
    "released": "it was released meanwhile: register it again if you want it",
}
"""When to try again, by the reason."""


class Directory:
    """The directory's part at one peer, and what its application wants of it. Used on the peer's loop only."""

    service = Service.NAME
    wants_all = True  # most of the replicas decide
    decode = staticmethod(decode_name_message)
    encode = staticmethod(encode_name_message)

    def __init__(self, hosted: HostedPeer, on_lost: Callable[[str, str, str], object]) -> None:
        """``on_lost``: told a name that is this peer's no more, why, and the peer id of who has it, as far as it is known."""
        self._on_name_lost = on_lost
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._asked: dict[int, Register | Resolve] = {}
        self._held: dict[str, float] = {}  # leases
        self._releasing: dict[str, asyncio.Future[None]] = {}
        self._leases: dict[str, float] = {}  # of those: for so long their records may be good
        self._tenancy = Tenancy(hosted, self)
        hosted.when_neighbours_changed(lambda: self._tenancy.mention(RingChanged()))

    async def register(self, name: str, lease: float, timeout: float) -> NameRecord:
        """As SwarmPeer.register promises it."""
        normal = normal_name(name)
        try:
            answer = await self._ask(number := next(self._numbers), Register(number, normal, lease), timeout)
        except BaseException:  # it is not to be this peer's later, when nobody is left who wants it
            if normal not in self._held:
                self._release(normal, lease)
            raise
        if isinstance(answer, Registered):
            self._held[normal] = lease
            return answer.record
        if answer.reason == "taken":
            raise NameTaken(normal, _id_of(answer.holder))
        if answer.reason in _MISTAKES:
            advice = _MISTAKES[answer.reason]
            raise Misuse(f"the name {normal!r} cannot be registered like this ({answer.reason}): {advice}")
        raise RingNotReady(
            f"the name {normal!r} could not be registered ({answer.reason}): {_advice(answer.reason)}"
        )

    async def resolve(self, name: str, timeout: float) -> NameRecord | None:
        """As SwarmPeer.resolve promises it."""
        normal = normal_name(name)
        answer: Resolved = await self._ask(number := next(self._numbers), Resolve(number, normal), timeout)
        if answer.record is None and answer.reason != _UNKNOWN:
            advice = (
                "too much is asked here at once: try again"
                if answer.reason == "busy"
                else _advice(answer.reason)
            )
            raise RingNotReady(f"the name {normal!r} could not be resolved ({answer.reason}): {advice}")
        return answer.record

    def release(self, name: str) -> None:
        """As SwarmPeer.release promises it."""
        normal = normal_name(name)
        self._release(normal, self._held.pop(normal, 0.0))

    async def farewell(self, timeout: float) -> None:
        """Wait until the replicas of names that were given back know it, at most so long."""
        if self._releasing:
            await asyncio.wait(self._releasing.values(), timeout=timeout)

    @property
    def names(self) -> tuple[str, ...]:
        """As SwarmPeer.names promises it."""
        return tuple(sorted(self._held))

    # The tenant of the service

    def make(self, hosted: HostedPeer) -> Core:
        memory = hosted.memory
        if memory is None:
            raise Misuse("names are signed: a peer with encrypt=False has no directory")
        return Names(memory.own, memory.identity, memory.swarm, memory.wall_ms, NAMES)

    def move(self, fresh: Core, before: Core, now: float) -> None:
        """It is told all again."""

    def carriers(self) -> Handlers:
        return {
            Registered: self._answer,
            Refused: self._answer,
            Resolved: self._answer,
            Released: lambda released: self._released(released.name),
            Lost: lambda lost: self._lose(lost.name, lost.reason, lost.holder),
        }

    def began(self) -> None:
        for name in list(self._releasing):
            self._tenancy.tell(Release(name, self._leases[name]))
        for name, lease in self._held.items():
            self._tenancy.tell(Register(0, name, lease, again=True))
        for question in self._asked.values():  # it may be told them twice, and answers once
            self._tenancy.tell(question)

    def _answer(self, answer: Registered | Refused | Resolved) -> None:
        waiting = self._waiting.pop(answer.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _lose(self, name: str, reason: str, holder: NameRecord | None) -> None:
        if self._held.pop(name, None) is not None:  # else it was released meanwhile
            _logger.warning("the name %r is this peer's no more: %s", name, reason)
            self._on_name_lost(name, reason, _id_of(holder))

    def _release(self, name: str, lease: float) -> None:
        for number in [
            number
            for number, asked in self._asked.items()
            if asked.name == name and isinstance(asked, Register)
        ]:
            del self._asked[number]
            self._answer(Refused(number, "released"))
        self._leases[name] = max(lease, self._leases.get(name, 0.0))
        self._releasing.setdefault(name, asyncio.get_running_loop().create_future())
        self._tenancy.want(Release(name))

    def _released(self, name: str) -> None:
        done = self._releasing.pop(name, None)
        self._leases.pop(name, None)
        if done is not None and not done.done():
            done.set_result(None)

    async def _ask(self, number: int, question: Register | Resolve, timeout: float) -> Any:
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._asked[number] = question
            self._tenancy.want(question)
            return await answered(waiting, timeout, f"the name {question.name!r}")
        finally:
            self._waiting.pop(number, None)
            self._asked.pop(number, None)


def _advice(reason: str) -> str:
    return _AGAIN.get(reason, "try again")


def _id_of(holder: NameRecord | None) -> str:
    return "" if holder is None else holder.peer_id
