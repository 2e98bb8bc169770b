"""A service that a peer has for others and for its application: an actor that pumps the service's machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

import msgspec

from cicada.actors.base import GuardedRef
from cicada.actors.family import Locate
from cicada.actors.hosted import HostedPeer
from cicada.actors.mailbox import HostPort
from cicada.actors.pump import Core, Handlers, Pump
from cicada.actors.services import ServiceMail
from cicada.actors.tree import Child, Supervisor
from cicada.chord.io import OwnerFound
from cicada.embedding.sending import How, submit
from cicada.embedding.waiting import answered
from cicada.errors import CicadaError, DeliveryTimeout, MalformedMessage
from cicada.ids import RING_SIZE, Peer, Place
from cicada.limits import SERVICE
from cicada.services.io import Find, FoundOwner, Received, Send, Sent, TimerFired
from cicada.wire.services import Service


class Ask(msgspec.Struct, frozen=True):
    """To a service's actor: an input of its machine. ``answer`` is told the outputs that it caused at once, before they are
    carried out."""

    input: object
    answer: Callable[[list[Any]], object]


class Reply(msgspec.Struct, frozen=True):
    """To a service's actor: an input that answers what this machine put out. Another machine's numbers mean something else."""

    machine: int
    input: Sent | FoundOwner


class Moved(msgspec.Struct, frozen=True):
    """To a service's actor: its peer is at another address, and the machine begins anew."""


class Tenant(Protocol):
    """What is particular to a service."""

    service: Service
    wants_all: bool  # of the peers that it asks the ring for, or else none: some would mislead it

    def make(self, hosted: HostedPeer) -> Core:
        """A fresh machine for the peer as it is now."""
        ...

    def move(self, fresh: Core, before: Core, now: float) -> None:
        """A fresh machine takes over from one at another address."""
        ...

    def decode(self, raw: bytes) -> msgspec.Struct:
        """A message of another peer. Raises MalformedMessage."""
        ...

    def encode(self, message: Any) -> bytes:
        """A message for another peer."""
        ...

    def carriers(self) -> Handlers:
        """What the machine tells the application, and who takes it."""
        ...

    def began(self) -> None:
        """The machine is a fresh one, which knows nothing of what the application wants."""
        ...


class ServiceActor(Pump[Core]):
    """Pumps a machine. Its crash costs what the machine knew; the tenant says again what the application wants."""

    def __init__(self, tenancy: Tenancy) -> None:
        super().__init__(tenancy.hosted.around, TimerFired())
        self._tenancy = tenancy
        self._machine = 0

    def make_core(self) -> Core:
        self._machine = self._tenancy.next_machine()
        return self._tenancy.tenant.make(self._tenancy.hosted)

    def carriers(self) -> Handlers:
        tenancy = self._tenancy
        return {
            Send: lambda output: tenancy.send(output, self._machine),
            Find: lambda output: tenancy.find(output, self._machine),
            **tenancy.tenant.carriers(),
        }

    def specials(self) -> Handlers:
        return {Ask: self._on_ask, Reply: self._on_reply, Moved: lambda _: self._begin_anew()}

    def on_start(self) -> None:
        super().on_start()
        self._tenancy.settled(self.actor_ref)

    def _begin_anew(self) -> None:
        self.around = self._tenancy.hosted.around
        before, self.core = self.core, self.make_core()
        self._tenancy.tenant.move(self.core, before, self._instant)
        self._tenancy.settled(self.actor_ref)

    def _on_reply(self, reply: Reply) -> None:
        if reply.machine == self._machine:
            self.feed(reply.input)

    def _on_ask(self, ask: Ask) -> None:
        outputs = list(self.core.handle(ask.input, self._instant))
        ask.answer(outputs)
        for output in outputs:
            self._carriers[type(output)](output)


class Tenancy:
    """One service of one peer. Its actor starts when somebody first wants something of it, and ends with the peer; when it keeps
    failing, so does the peer. Used on the peer's loop only."""

    def __init__(self, hosted: HostedPeer, tenant: Tenant) -> None:
        self.hosted = hosted
        self.tenant = tenant
        self._name = tenant.service.name.lower()
        self._supervisor: Supervisor | None = None
        self._ref: GuardedRef[Any] | None = None
        self._early: list[object] = []
        self._machines = count(1)
        hosted.services.offer(tenant.service, self._take)
        hosted.when_moved(lambda: self.mention(Moved()))

    def tell(self, message: object) -> bool:
        """Give the actor an input, or an Ask. False when it is starting and has too many waiting."""
        self._begin()
        if self._ref is not None and self._ref.is_alive():
            self._ref.tell(message)
            return True
        if len(self._early) >= SERVICE.waiting:
            return False
        self._early.append(message)
        return True

    def want(self, message: object) -> None:
        """Give the actor an input that the tenant says again to each fresh machine: while there is none it waits nowhere else."""
        self._begin()
        self.mention(message)

    def mention(self, message: object) -> None:
        """Give the actor an input if there is one; else nobody needs to know."""
        if self._ref is not None and self._ref.is_alive():
            self._ref.tell(message)

    def next_machine(self) -> int:
        """A number for a fresh machine."""
        return next(self._machines)

    def settled(self, ref: GuardedRef[Any]) -> None:
        """The actor works, with a fresh machine."""
        self._ref = ref
        self.tenant.began()
        early, self._early = self._early, []
        for message in early:
            ref.tell(message)

    def send(self, output: Send, machine: int) -> None:
        """Have the message delivered, and its fate told."""
        number = output.number
        try:
            payload, target = self.tenant.encode(output.message), HostPort.of(output.peer.address)
            how = How(timeout=SERVICE.timeout, service=self.tenant.service)
            receipt = submit(self.hosted, target, payload, how)
        except CicadaError:  # there is no room for it in this process, or the peer has ended
            self._sent(number, machine, delivered=False)
            return
        if number:
            receipt.when_settled(lambda: self._sent(number, machine, delivered=receipt.delivered))

    def find(self, output: Find, machine: int) -> None:
        """Have the ring asked, and the answer told."""
        self.hosted.spawn(self._find(output, machine))

    def _sent(self, number: int, machine: int, *, delivered: bool) -> None:
        if number and not self.hosted.ended:
            self.tell(Reply(machine, Sent(number, delivered)))

    async def _find(self, find: Find, machine: int) -> None:
        owners = await self._owners(find.place, find.count)
        if not self.hosted.ended:
            self.tell(Reply(machine, FoundOwner(find.number, owners)))

    async def _owners(self, place: Place, count: int) -> tuple[Peer, ...]:
        """The owner of a place and those that follow; fewer in a ring of fewer, or when the ring is slower than SERVICE.find."""
        owners: list[Peer] = []
        deadline = self.hosted.now() + SERVICE.find
        while len(owners) < count:
            owner = await self._owner(place, deadline - self.hosted.now())
            if owner is None and self.tenant.wants_all:
                return ()
            if owner is None or owner in owners:
                break
            owners.append(owner)
            place = Place((owner.place + 1) % RING_SIZE)
        return tuple(owners)

    async def _owner(self, place: Place, timeout: float) -> Peer | None:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.hosted.tell(Locate(place, False, reply))
        try:
            answer = await answered(reply, timeout, "lookup")
        except DeliveryTimeout:
            return None
        return answer.owner if isinstance(answer, OwnerFound) else None

    def _begin(self) -> None:
        if self._supervisor is None:
            self._supervisor = Supervisor(Child(self._name, self._start), name=self._name)
            self.hosted.adopt(self._supervisor)
            self._supervisor.begin()

    def _start(self) -> GuardedRef[Any]:
        return ServiceActor.start(self)

    def _take(self, mail: ServiceMail) -> bool:
        try:
            message = self.tenant.decode(mail.payload)
        except MalformedMessage:
            self.hosted.drop("service-malformed")
            return True
        if self._ref is not None and self._ref.backlog >= SERVICE.waiting:
            return False  # its sender is told, rather than that it was taken and then dropped
        return self.tell(Received(mail.source, mail.peer_id, message))
