"""The actor that begins one worker's share of a load on time, through its peers, and writes down how each operation ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from cicada.actors.base import Urgent
from cicada.actors.broadcastreceipt import BroadcastReceipt
from cicada.actors.loop import Dispatcher, LoopActor
from cicada.actors.receipt import Receipt
from cicada.aio import Lookup
from cicada.chord.io import LookupFailure
from cicada.errors import CicadaError
from cicada.ids import Place, canonical_address, peer_at, place_from_bytes, split_address
from cicada.limits import LOAD
from cicada.routing.io import Fate
from launcher.load.account import Accountant
from launcher.load.pace import pace_of
from launcher.load.payloads import place_sought, write
from launcher.load.plan import LOOKUP, NO_SOURCE, SEND, TOO_MANY, LoadShare, Shot
from launcher.load.timer import Timer
from launcher.protocol import LoadReport

MakeTimer = Callable[[asyncio.AbstractEventLoop, Callable[[], object]], Timer]

INCOMPLETE = "not every part of the ring answered"

_PLACE_SHIFT = 256 - 64


class Sender(Protocol):
    """What a generator needs of a peer."""

    def send(
        self,
        target: Any,
        data: bytes,
        duplicates: int | None = None,
        timeout: float = ...,
        *,
        ordered: bool = ...,
    ) -> Receipt: ...

    def broadcast(self, data: bytes, timeout: float = ...) -> BroadcastReceipt: ...

    async def lookup(self, value: Place, timeout: float = ...) -> Lookup | LookupFailure: ...


class Start(msgspec.Struct, frozen=True):
    """Begin; the load's time 0 is this instant of the generator's clock, and what was to begin in the first ``skip`` seconds
    is left out. A second one changes nothing."""

    at: float
    skip: float = 0.0


class Stop(Urgent, frozen=True):
    """Begin nothing more. What is in flight is waited for."""


class Collect(msgspec.Struct, frozen=True):
    """Answer how far it is."""

    reply: asyncio.Future[LoadReport]


class _Tick(Urgent, frozen=True):
    """Time may have come for something."""


class _Ended(Urgent, frozen=True):
    """An operation ended at ``now``. ``failure`` empty: it succeeded."""

    shot: Shot
    began: float
    now: float
    failure: str
    outcome: Receipt | BroadcastReceipt | Lookup | None = None


class Generator(LoopActor):
    """Told Start, Stop and Collect. In the open model nothing waits for an earlier operation; at most ``LOAD.in_flight`` are
    open, and what would be one more is dropped. ``peers`` may come and go. ``clock`` is read, and equal in all workers."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        share: LoadShare,
        peers: Callable[[str], Sender | None],
        accountant: Accountant,
        clock: Callable[[], float],
        timer: MakeTimer,
    ) -> None:
        super().__init__(dispatcher)
        self._plan = plan = share.plan
        self._peers = peers
        self._accountant = accountant
        self._clock = clock
        self._pace = pace_of(share)
        self._addresses = [split_address(peer.address) for peer in plan.peers]
        self._names = [peer.name for peer in plan.peers]
        self._started: float | None = None
        self._make_timer = timer
        self._timer: Timer | None = None
        self._due = 0.0
        self._lag = 0.0
        self._in_flight = 0
        self._looking: set[asyncio.Task[None]] = set()
        self._traces: deque[tuple[float, float, Receipt]] = deque()

    def on_receive(self, message: object) -> None:
        match message:
            case _Ended():
                self._on_ended(message)
            case _Tick():
                self._on_tick()
            case Start() if self._started is None:
                self._started = message.at
                self._pace.skip(message.skip)
                self._timer = self._make_timer(self.dispatcher.loop, lambda: self.actor_ref.tell(_Tick()))
                self._wait()
            case Stop():
                self._pace.stop()
            case Collect() if not message.reply.done():
                message.reply.set_result(self._report())
            case _:
                pass

    def on_stop(self) -> None:
        if self._timer is not None:
            self._timer.close()
        for task in self._looking:
            task.cancel()

    def on_failure(self, *_: object) -> None:
        self.on_stop()

    def _report(self) -> LoadReport:
        lag, self._lag = self._lag, 0.0
        is_over = self._started is not None and self._pace.is_over
        return LoadReport(
            finished=is_over and not self._in_flight and not self._traces,
            in_flight=self._in_flight,
            lag_s=lag,
        )

    def _elapsed(self) -> float:
        return self._clock() - (self._started or 0.0)

    # Time

    def _wait(self) -> None:
        """Have a tick when the next operation begins, or a little earlier."""
        following = self._pace.next_at()
        delay = LOAD.tick if following is None else min(max(0.0, following - self._elapsed()), LOAD.tick)
        self._due = self._clock() + delay
        if self._timer is not None:
            self._timer.set(delay)

    def _on_tick(self) -> None:
        self._lag = max(self._lag, self._clock() - self._due)
        self._follow_traces()
        now = self._elapsed()
        for _ in range(LOAD.burst):
            shot = self._pace.take(now)
            if shot is None:
                break
            self._begin_op(shot)
        self._wait()

    # Operations

    def _begin_op(self, shot: Shot) -> None:
        peer = self._peers(self._names[shot.source])
        if peer is None or self._in_flight >= LOAD.in_flight:
            self._accountant.dropped(shot, NO_SOURCE if peer is None else TOO_MANY)
            self._pace.ended(shot.number, self._elapsed(), failed=True)
            return
        began = self._elapsed()
        self._accountant.started(shot, began - shot.at)
        self._in_flight += 1
        try:
            self._act(peer, shot, began)
        except CicadaError as error:
            self._end(shot, began, str(error))

    def _act(self, peer: Sender, shot: Shot, began: float) -> None:
        if shot.op == LOOKUP:
            task = self.dispatcher.loop.create_task(self._look_up(peer, shot, began), name="load lookup")
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
        elif shot.op == SEND:
            receipt = peer.send(
                self._addresses[shot.target],
                write(self._plan, shot),
                self._plan.duplicates,
                self._plan.timeout,
                ordered=self._plan.ordered,
            )
            receipt.when_settled(lambda: self._settled(shot, began, receipt))
        else:
            broadcast = peer.broadcast(write(self._plan, shot), self._plan.timeout)
            broadcast.when_settled(lambda: self._spread(shot, began, broadcast))

    async def _look_up(self, peer: Sender, shot: Shot, began: float) -> None:
        place = place_from_bytes(place_sought(self._plan, shot.rank))
        try:
            found = await peer.lookup(place, self._plan.timeout)
        except CicadaError as error:
            self._end(shot, began, str(error))
            return
        if isinstance(found, LookupFailure):
            self._end(shot, began, found.value)
        else:
            self._end(shot, began, "", found)

    def _settled(self, shot: Shot, began: float, receipt: Receipt) -> None:
        self._end(shot, began, "" if receipt.delivered else receipt.reason or "unknown", receipt)

    def _spread(self, shot: Shot, began: float, receipt: BroadcastReceipt) -> None:
        self._end(shot, began, receipt.reason or ("" if receipt.complete else INCOMPLETE), receipt)

    def _end(
        self,
        shot: Shot,
        began: float,
        failure: str,
        outcome: Receipt | BroadcastReceipt | Lookup | None = None,
    ) -> None:
        """The time is taken here, and the rest is done when the actor has its turn."""
        self.actor_ref.tell(_Ended(shot, began, self._elapsed(), failure, outcome))

    def _on_ended(self, message: _Ended) -> None:
        shot, outcome = message.shot, message.outcome
        self._in_flight -= 1
        self._pace.ended(shot.number, message.now, failed=bool(message.failure))
        if message.failure:
            self._accountant.failed(shot, message.failure)
        else:
            self._accountant.succeeded(shot, began=message.began, ended=message.now)
        match outcome:
            case Receipt():
                if not message.failure:
                    self._accountant.crossed(shot, outcome.hops)
                self._trace(shot, outcome)
            case Lookup():
                address = canonical_address(outcome.owner.host, outcome.owner.port)
                owner = peer_at(address).place >> _PLACE_SHIFT
                self._accountant.found(shot, owner=owner, began=message.began, ended=message.now)
            case _:
                pass
        self._go_on()

    def _go_on(self) -> None:
        """In a closed load the end of an operation is what the next one waits for."""
        following = self._pace.next_at()
        if following is None or self._started is None:
            return
        shot = self._pace.take(self._elapsed())
        if shot is not None:
            self._begin_op(shot)
        elif following + self._started < self._due:
            self._wait()

    # Copies

    def _trace(self, shot: Shot, receipt: Receipt) -> None:
        if any(copy.fate is Fate.PENDING for copy in receipt.copies):
            self._traces.append((self._clock() + LOAD.trace, shot.at, receipt))
        else:
            self._count_copies(shot.at, receipt)

    def _follow_traces(self) -> None:
        """Receipts say in the end what became of all copies."""
        while self._traces and self._traces[0][0] <= self._clock():
            _, at, receipt = self._traces.popleft()
            self._count_copies(at, receipt)

    def _count_copies(self, at: float, receipt: Receipt) -> None:
        for copy in receipt.copies:
            self._accountant.copy(at, Fate.LOST if copy.fate is Fate.PENDING else copy.fate)
