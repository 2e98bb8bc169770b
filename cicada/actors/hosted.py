"""One hosted peer, as the application holds it, and which of them has its turn."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from cicada.actors.alarm import LoopClock
from cicada.actors.answers import refuse
from cicada.actors.family import Enter, Kind, Move, Submit
from cicada.actors.loop import LoopDispatcher
from cicada.actors.mailbox import Mailbox
from cicada.actors.moves import Moves
from cicada.actors.ownership import Ownership
from cicada.actors.pump import Publish, Surroundings
from cicada.actors.receipt import failed
from cicada.actors.requests import RequestDesk
from cicada.actors.residence import Fixtures, Residence
from cicada.actors.services import Services
from cicada.actors.standstill import Standstill
from cicada.actors.transport import Attachment
from cicada.actors.tree import Supervisor
from cicada.actors.watch import Figures
from cicada.errors import MailboxFull, Misuse, NotBound
from cicada.events import AnyEvent, MessageDropped, PeerStopped
from cicada.ids import Peer
from cicada.keys.memory import Memory
from cicada.nat.io import NatNews
from cicada.nat.reachability import BesideUnreached, Connecting, Reachability
from cicada.routing.io import Reason
from cicada.services.requests import Requests
from cicada.transport.faults import FaultTable

if TYPE_CHECKING:
    from cicada.actors.host import Host

_logger = logging.getLogger("cicada.keys")


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
    handshakes, records and claims of others, peers that its ring did not admit (``host-cap``, ``not-global``), and words in the
    ring that it did not believe (``older-life``, ``false-path``, ``visit-rate``)."""

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
        fixtures: Fixtures,
        reachability: Reachability,
    ) -> None:
        self._host = host
        self._standstill = standstill
        self._fixtures = fixtures
        self._holdings = fixtures.holdings
        self._families: list[Supervisor] = []
        self.ended = False
        self.gone: asyncio.Future[None] = host.loop.create_future()
        self._home = Residence(fixtures, around, attachment, on_ended=self._on_ended)
        self._moves = Moves(self, fixtures, reachability)
        self._on_moved: list[Callable[[], object]] = []
        self.requests = RequestDesk(self, Requests(fixtures.entropy))

    @property
    def peer(self) -> Peer:
        """Who this is."""
        return self._home.around.own

    @property
    def around(self) -> Surroundings:
        """Who it is at present, and the services of its event loop."""
        return self._home.around

    @property
    def mailbox(self) -> Mailbox:
        """Where its messages lie."""
        return self._holdings.mailbox

    @property
    def ownership(self) -> Ownership:
        """Where it may be used."""
        return self._host.ownership

    @property
    def services(self) -> Services:
        """Who takes the messages that are not for its mailbox."""
        return self._holdings.services

    @property
    def dispatcher(self) -> LoopDispatcher:
        """Who gives the actors beside it their turns: they go on while a test has the peer stand still."""
        return self._host.dispatcher

    @property
    def contacts(self) -> tuple[Peer, ...]:
        """The proven peers it knows."""
        return self._holdings.contacts

    @property
    def fellows(self) -> tuple[Peer, ...]:
        """By whom it finds those again that it belongs with, or is on its way to; nobody: it belongs with nobody."""
        return self._holdings.contacts or self._holdings.seeds

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
        self._home.attachment.set_faults(table)

    def tell(self, message: object) -> None:
        """To its supervisor, or to the next one while it moves."""
        if not self._moves.keeps(message):
            self._home.supervisor.tell(message)

    def refuse(self, asked: object, reason: Reason) -> None:
        """Nobody will do what it was asked: whoever waits for it learns that."""
        refuse(asked, self._fixtures.correspondence, reason)

    def enter(self, enter: Enter) -> None:
        """Have it enter the ring of others, as somebody whom they can reach."""
        self._moves.consider(Connecting(enter.seeds[0].address))
        self.tell(enter)

    def unreached(self, peer: Peer) -> None:
        """It could not dial another peer behind the same router."""
        self._host.loop.call_soon(self._moves.consider, BesideUnreached(peer.address))

    @property
    def news_of_mapping(self) -> Callable[[NatNews], None] | None:
        """What is to be told how a router maps its port; None: it needs no mapping."""
        return self._moves.consider if self._moves.wants_mapping else None

    def stop_mapping(self) -> None:
        """Have no router asked to map its port from now on."""
        self._host.unmap(self)

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
        return self._home.around.clock.now()

    @property
    def memory(self) -> Memory | None:
        """Its keys, under its present address; None when nothing is encrypted."""
        return self._home.memory

    def when_moved(self, callback: Callable[[], object]) -> None:
        """Have this called whenever it is somewhere else."""
        self._on_moved.append(callback)

    def when_neighbours_changed(self, callback: Callable[[], object]) -> None:
        """Have this called whenever it has another successor or predecessor in the ring."""
        self._holdings.on_neighbours.append(callback)

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Have this called once, when it has ended."""
        self.gone.add_done_callback(lambda _: callback())

    def check(self) -> None:
        """Raises NotBound when it has ended, and Misuse where it is not to be used."""
        if self.ended:
            raise NotBound(self.failure or "this peer is closed: make a new one")
        self.ownership.check()

    def drop(self, reason: str) -> None:
        """Count and tell what was for this peer and is not delivered."""
        around = self._home.around
        around.tally[reason] += 1
        if around.publish is not None:
            around.publish(around.name, MessageDropped(reason=reason))

    async def joined(self) -> bool:
        """Returns once it is in a ring with others, or lodges with some; False: it ended."""
        return await self._holdings.company.wait()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the peer."""
        self._host.spawn(work)

    def run_hook(self, name: str, hook: Callable[..., object], *arguments: object) -> None:
        """Run an application's hook off the loop."""
        self._host.run_hook(name, hook, *arguments)

    def stats(self) -> PeerStats:
        """Counters until now."""
        holdings = self._holdings
        dropped = +Counter(self._home.around.tally)
        if holdings.refused:
            dropped["sends-refused"] += holdings.refused
        return PeerStats(
            sent=holdings.sent,
            delivered=holdings.delivered,
            failed=holdings.failed,
            dropped=dict(dropped),
            refused=dict(self._home.around.refusals),
            restarts=holdings.restarts,
        )

    def figures(self) -> Figures:
        """For whoever measures it."""
        holdings, links = self._holdings, self._home.attachment.links
        return Figures(
            mailbox=len(holdings.mailbox),
            in_flight=self._fixtures.correspondence.in_flight,
            links=0 if links is None else links.count,
            sent=holdings.sent,
            delivered=holdings.delivered,
            failed=holdings.failed,
            dropped=self._home.around.tally.total() + holdings.refused,
            round_trip_s=0.0
            if links is None or holdings.head is None
            else links.round_trip(holdings.head.address),
        )

    def fail_unresolved(self, submit: Submit, reason: Reason = Reason.NO_SUCH_PEER) -> None:
        """The target's host name means nothing, so nobody lives there; or it was not resolved, for another ``reason``."""
        holdings = self._holdings
        holdings.quota.give_back(len(submit.payload), False, holdings.now())
        holdings.sent += 1
        holdings.failed += 1
        submit.receipt.settle(failed(0, reason))

    def end(self, how: str) -> None:
        """Stop the actors and the listener. ``how`` is what the event says; ``killed`` cuts the links without a word.
        One that stands still goes on to end."""
        if self.ended:
            return
        self.ended = True
        for family in self._families:
            family.end()
        home = self._home
        if how == "killed":
            home.attachment.cut()
        self._standstill.end()
        self._moves.close()
        self._host.endpoint.unlisten(home.around.own.address)
        home.supervisor.stop(block=False)
        if isinstance(home.around.publish, Voice):
            home.around.publish.last(home.around.name, PeerStopped(how=how))

    def adopt(self, supervisor: Supervisor) -> None:
        """Have the application's actors end with the peer, and the peer with them. Raises Misuse when one is
        called as an actor of its own."""
        taken = {kind.value for kind in Kind}.intersection(supervisor.names)
        if taken:
            raise Misuse(f"the peer has an actor called {', '.join(sorted(taken))}: use other names")
        around = self.around
        publish = around.publish
        supervisor.belong_to(
            around.name,
            self._host.dispatcher,
            on_event=None if publish is None else lambda event: publish(around.name, event),
            on_failure=self._on_family_failed,
        )
        self._families.append(supervisor)

    async def part(self, timeout: float) -> None:
        """Wait until the application's actors have ended."""
        for family in self._families:
            await family.stop(timeout)

    async def keep_pins(self, timeout: float) -> None:
        """Wait until what it learned of others' keys stands in its file."""
        if self._fixtures.pins is None:
            return
        written = asyncio.wrap_future(self._fixtures.pins.written())
        if not written.done():
            await asyncio.wait({written}, timeout=timeout)
        if not written.done():
            _logger.warning("%s ended before its pins were kept", self.peer.address)

    def leave_home(self) -> None:
        """Have the actors of its present residence end, for those of another."""
        self._home.supervisor.tell(Move())

    def settle(self, around: Surroundings, attachment: Attachment, seeds: tuple[Peer, ...]) -> None:
        """From now on it is at ``around.own``, where the attachment listens, and goes on with what belonged with it before."""
        self._holdings.seeds, self._holdings.contacts = seeds, ()
        self._holdings.company.note(False)
        self._home = Residence(self._fixtures, around, attachment, on_ended=self._on_ended)
        for callback in self._on_moved:
            callback()

    def _on_family_failed(self, reason: str) -> None:
        if not self.ended:
            self._holdings.failure = f"the application's actors kept failing: {reason}"
            self.end("failed")

    def _on_ended(self, left_over: tuple[object, ...]) -> None:
        if self._home.memory is not None:
            self._home.memory.first.close()
        if not self.ended and self._moves.go_on(left_over):
            return
        self._fixtures.correspondence.close()
        self.requests.close()
        self._holdings.company.close()
        for asked in (*left_over, *self._moves.take_waiting()):  # it ended while it moved
            self.refuse(asked, Reason.CLOSED)
        if not self.gone.done():
            self.gone.set_result(None)
            self._host.gone(self)


def incarnations(clock: LoopClock) -> Iterator[int]:
    """Wall-clock milliseconds, and always more than the last."""
    last = 0
    while True:
        last = max(clock.wall_ms(), last + 1)
        yield last
