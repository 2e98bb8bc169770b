"""One hosted peer, as the application holds it, and which of them has its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from cicada.actors.alarm import LoopClock
from cicada.actors.family import Ref, Submit
from cicada.actors.mailbox import Mailbox
from cicada.actors.peer import Holdings, PeerSupervisor
from cicada.actors.pump import Publish, Surroundings
from cicada.actors.receipt import failed
from cicada.actors.standstill import Standstill
from cicada.actors.transport import Attachment
from cicada.errors import MailboxFull
from cicada.events import AnyEvent, PeerStopped
from cicada.ids import Peer
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.memory import Memory
from cicada.keys.pins import Pin
from cicada.routing.admission import Quota
from cicada.routing.io import Reason
from cicada.routing.mailstore import MailboxPolicy
from cicada.transport.faults import FaultTable
from cicada.wire.security import LinkSecurity, Unsecured

if TYPE_CHECKING:
    from cicada.actors.host import Host


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


class Voice:
    """Publishes for one peer until its last word: its actors may have turns yet when it has ended."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._is_silent = False

    def __call__(self, name: str, event: AnyEvent) -> None:
        if not self._is_silent:
            self._publish(name, event)

    def last(self, name: str, event: AnyEvent) -> None:
        """Nothing comes after this."""
        self(name, event)
        self._is_silent = True


class PeerStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one peer since it was bound. ``dropped`` counts messages by reason, those of relays included; ``refused``
    handshakes, records and claims of others, and peers that its ring did not admit (``host-cap``, ``not-global``)."""

    sent: int
    delivered: int
    failed: int
    dropped: dict[str, int]
    refused: dict[str, int]
    restarts: int


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
        mailbox: MailboxPolicy,
    ) -> None:
        self._host = host
        self._around = around
        self._standstill = standstill
        self._attachment = attachment
        self._holdings = Holdings(
            mailbox=Mailbox(mailbox), quota=Quota(host.admission), now=host.clock.now, memory=memory
        )
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

    def reserve(self, size: int) -> None:
        """Claim the right to send a message of ``size`` bytes, which its receipt gives back. Raises MailboxFull when this
        process has too many on their way."""
        holdings = self._holdings
        if not holdings.quota.take(size, holdings.now()):
            holdings.refused += 1
            raise MailboxFull(
                "more messages are on their way than can be carried: await receipts, or send later"
            )

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
        if holdings.refused:
            dropped["sends-refused"] += holdings.refused
        return PeerStats(
            sent=holdings.sent,
            delivered=holdings.delivered,
            failed=holdings.failed,
            dropped=dict(dropped),
            refused=dict(self._around.refusals),
            restarts=holdings.restarts,
        )

    def fail_unresolved(self, submit: Submit) -> None:
        """The target's host name means nothing, so nobody lives there."""
        holdings = self._holdings
        holdings.quota.give_back(len(submit.payload), False, holdings.now())
        holdings.sent += 1
        holdings.failed += 1
        submit.receipt.settle(failed(0, Reason.NO_SUCH_PEER))

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
        if isinstance(self._around.publish, Voice):
            self._around.publish.last(self._around.name, PeerStopped(how=how))

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
