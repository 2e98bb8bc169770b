"""The sending end of the bus: one in each process that has something to tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable

import msgspec
import zmq

from cicada.bus.snapshot import Part, make_part
from cicada.bus.standing import HEEDED, Standing
from cicada.bus.topics import TRAFFIC, covers, kinds, topic_of
from cicada.clock import Clock
from cicada.events import AnyEvent, Envelope, EventsLost, SequencesTold
from cicada.limits import BUS, BusLimits

_SUBSCRIBE = 1
_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
_LAST = int(zmq.DONTWAIT)
_GATHERED = frozenset(
    kind
    for kind in kinds().values()
    if topic_of(kind) in TRAFFIC and kind not in HEEDED and kind is not SequencesTold
)
_PULSE = topic_of(SequencesTold)
_LOOK = 0.002  # seconds between two looks for a subscription that is on its way; it takes about as long


class Publisher:
    """Publishes the events of one source through the proxy at ``endpoint``, on the running asyncio loop.

    It never blocks and never raises because of a slow or absent proxy: what finds no room is counted in ``lost`` and
    told as EventsLost as soon as there is room again. What nobody subscribed to is numbered but not encoded. ``part`` is what
    stands of all that was told.
    """

    def __init__(self, endpoint: str, source: str, *, clock: Clock, limits: BusLimits = BUS) -> None:
        self._endpoint = endpoint
        self._source = source
        self._clock = clock
        self._limits = limits
        self._encoder = msgspec.msgpack.Encoder()
        self._prefixes: set[bytes] = set()
        self._wanted: dict[type[AnyEvent], bool] = {}
        self._sequences: Counter[type[AnyEvent]] = Counter()
        self._untold = 0
        self._subscribed = asyncio.Event()
        self._standing = Standing()
        self._pulse: asyncio.TimerHandle | None = None
        self._gathered: list[tuple[str, AnyEvent, int]] = []
        self._leaving: asyncio.TimerHandle | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self.life = clock.wall_ms()
        """Greater than that of an earlier publisher of the same source."""
        self.lost = 0
        """Events that somebody wanted and nobody got, since the start."""
        self.on_subscriptions: Callable[[], None] = _nothing
        """Called when somebody begins or ends to want something."""

    def open(self, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        """Connect, in ``context`` (None: the process's own). The proxy need not be there yet."""
        socket = (context or zmq.Context.instance()).socket(zmq.XPUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, self._limits.queue)
        socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue is told to us instead of dropping in silence
        socket.connect(self._endpoint)
        self._socket = socket
        asyncio.get_running_loop().add_reader(socket.fileno(), self._read_subscriptions)
        self._read_subscriptions()

    async def subscribed(self, timeout: float = BUS.subscribe_timeout) -> bool:
        """Wait until a subscription is known here, at most ``timeout`` seconds; whether there is one.

        What is published before is lost on everybody, so a run that is recorded waits for its recorder.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._subscribed.wait()
        return self._subscribed.is_set()

    def close(self) -> None:
        """Stop publishing; what still waits is dropped. Safe to call twice."""
        if self._socket is None:
            return
        self._stop_pulse()
        self._let_go()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None
        self._prefixes.clear()
        self._wanted.clear()

    def wants(self, kind: type[AnyEvent]) -> bool:
        """Whether anybody subscribed to this kind of event, as far as is known here."""
        wanted = self._wanted.get(kind)
        if wanted is None:
            wanted = self._wanted[kind] = covers(self._prefixes, topic_of(kind))
        return wanted

    def publish(self, peer: str, event: AnyEvent) -> None:
        """Tell whoever subscribed. ``peer`` names the peer it is about; empty: the source itself. Traffic is gathered for a
        moment and leaves together; the order is kept by kind."""
        kind = type(event)
        if kind in _GATHERED and self.wants(kind):
            self._gather(peer, event)
            return
        self._sequences[kind] += 1
        if self.wants(kind):
            body = self._encoded(kind, peer, event, self._clock.wall_ms())
            self._send(topic_of(kind), [body])
            self._look_for_subscriptions()
        if kind in HEEDED:
            for correction in self._standing.note(peer, event):
                self.publish(peer, correction)

    def told(self, kind: type[AnyEvent]) -> int:
        """The sequence of the last event of this kind, 0: of none."""
        self._let_go()
        return self._sequences[kind]

    def part(self) -> Part:
        """What stands, at this instant."""
        self._let_go()
        sequences = {kind.__name__: count for kind, count in self._sequences.items()}
        return make_part(self._source, self.life, sequences, self._standing.events(), self._clock.wall_ms())

    async def heard(self, prefix: bytes, timeout: float) -> bool:
        """Wait until exactly this subscription is known here, at most ``timeout`` seconds; whether it is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while prefix not in self._prefixes and loop.time() < until:
            await asyncio.sleep(_LOOK)
        return prefix in self._prefixes

    def _encoded(self, kind: type[AnyEvent], peer: str, event: AnyEvent, time_ms: int) -> bytes:
        envelope = Envelope(
            source=self._source,
            sequence=self._sequences[kind],
            time_ms=time_ms,
            peer=peer,
            event=event,
            life=self.life,
        )
        return self._encoder.encode(envelope)

    def _gather(self, peer: str, event: AnyEvent) -> None:
        """Put it aside: numbering and encoding many at once costs a fraction of doing it between the turns of actors."""
        self._gathered.append((peer, event, self._clock.wall_ms()))
        if self._leaving is None:
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(self._limits.gather, self._let_go)
        elif len(self._gathered) >= self._limits.gathered:
            self._let_go()

    def _let_go(self) -> None:
        """Send what was gathered."""
        if self._leaving is None:
            return
        self._leaving.cancel()
        self._leaving = None
        gathered, self._gathered = self._gathered, []
        bodies: defaultdict[type[AnyEvent], list[bytes]] = defaultdict(list)
        for peer, event, time_ms in gathered:
            kind = type(event)
            self._sequences[kind] += 1
            bodies[kind].append(self._encoded(kind, peer, event, time_ms))
        for kind, encoded in bodies.items():
            for first in range(0, len(encoded), self._limits.together):
                self._send(topic_of(kind), encoded[first : first + self._limits.together])
        self._look_for_subscriptions()

    def _send(self, topic: bytes, bodies: list[bytes]) -> None:
        """One message of events of one kind. What finds no room is lost, and that is told before anything else is."""
        if not (self._tell_loss() and self._queue(topic, bodies)):
            self.lost += len(bodies)
            self._untold += len(bodies)

    def _tell_loss(self) -> bool:
        """Say how many were lost, if any. False while there is no room even for that."""
        if self._untold and self.wants(EventsLost):
            self._sequences[EventsLost] += 1
            loss = EventsLost(count=self._untold, reason="bus queue full")
            body = self._encoded(EventsLost, "", loss, self._clock.wall_ms())
            if not self._queue(topic_of(EventsLost), [body]):
                self._sequences[EventsLost] -= 1
                return False
        self._untold = 0
        return True

    def _queue(self, topic: bytes, bodies: list[bytes]) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(topic, _MORE)  # either all parts find room or the first does not
            for body in bodies[:-1]:
                self._socket.send(body, _MORE)
            self._socket.send(bodies[-1], _LAST)
        except zmq.Again:
            return False
        return True

    def _look_for_subscriptions(self) -> None:
        """Sending may consume the descriptor's edge that announces one."""
        if self._socket is not None and int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._read_subscriptions()

    def _read_subscriptions(self) -> None:
        changed = False
        while self._socket is not None:
            try:
                frame = self._socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                break
            changed = True
            self._let_go()  # what was gathered was wanted
            self._wanted.clear()
            if frame[:1] and frame[0] == _SUBSCRIBE:
                self._prefixes.add(frame[1:])
                self._subscribed.set()
            else:
                self._prefixes.discard(frame[1:])
        if changed:
            self._subscriptions_changed()

    def _subscriptions_changed(self) -> None:
        if self._pulse is None and _PULSE in self._prefixes:
            self._beat()
        self.on_subscriptions()

    def _beat(self) -> None:
        """Say how far everything is, again and again until nobody follows: mere subscribers need not know."""
        self._pulse = None
        if self._socket is not None and _PULSE in self._prefixes:
            self._let_go()
            told = {kind.__name__: n for kind, n in self._sequences.items() if kind is not SequencesTold}
            self.publish("", SequencesTold(sequences=told))
            self._pulse = asyncio.get_running_loop().call_later(self._limits.told, self._beat)

    def _stop_pulse(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        self._pulse = None


def _nothing() -> None:
    """Nobody wants to be told."""
