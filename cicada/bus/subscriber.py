"""The receiving end of the bus."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType

import msgspec
import zmq

from cicada.bus.remote import WatchKeys, is_ipv6
from cicada.bus.topics import EVERYTHING
from cicada.errors import DeliveryTimeout, Misuse
from cicada.events import Envelope, SequencesTold
from cicada.limits import BUS, BusLimits
from cicada.wire.decoding import UNDECODABLE


class GapDetector:
    """Counts the events of each source that never came, by the holes in the sequence of each kind."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, type], int] = {}
        self.missed: Counter[str] = Counter()
        """Missed events by source."""

    def notice(self, envelope: Envelope) -> int:
        """How many events of this kind and source are missing right before this one.

        Nothing is known to be missing before the first one. A source that started again counts from 1 again.
        """
        key = (envelope.source, type(envelope.event))
        last = self._last.get(key)
        self._last[key] = envelope.sequence
        if last is None:
            return 0
        gap = envelope.sequence - (last if envelope.sequence > last else 0) - 1
        if gap:
            self.missed[envelope.source] += gap
        return gap


class Subscriber:
    """An asynchronous iterator of the envelopes under ``topics`` (prefixes), to be used in ``async with``.

    Late subscribers get what is published from then on. ``gaps.missed`` counts what this one was too slow for,
    ``malformed`` what could not be read (a publisher of another version). ``keys``: for a remote bus.
    """

    def __init__(
        self,
        endpoint: str,
        topics: Iterable[bytes] = (EVERYTHING,),
        *,
        limits: BusLimits = BUS,
        keys: WatchKeys | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._topics = tuple(topics)
        self._limits = limits
        self._keys = keys
        self._decoder = msgspec.msgpack.Decoder(Envelope)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._come: deque[bytes] = deque()  # in one message, and not taken yet
        self._taken = 0
        self._rests_until = 0.0
        self.gaps = GapDetector()
        self.malformed = 0

    async def __aenter__(self) -> Subscriber:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, self._limits.queue)
        self._socket.setsockopt(zmq.MAXMSGSIZE, self._limits.max_event)
        self._socket.setsockopt(zmq.IPV6, int(is_ipv6(self._endpoint)))
        for topic in self._topics:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        if self._keys is not None:
            self._keys.join(self._socket)
        self._socket.connect(self._endpoint)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context is not None:
            self._context.destroy(linger=0)
        self._context = None
        self._socket = None

    def __aiter__(self) -> AsyncIterator[Envelope]:
        return self._envelopes()

    def subscribe(self, topic: bytes) -> None:
        """Also get what is under this prefix, from now on."""
        self._open().setsockopt(zmq.SUBSCRIBE, topic)

    def unsubscribe(self, topic: bytes) -> None:
        """Get it no more."""
        self._open().setsockopt(zmq.UNSUBSCRIBE, topic)

    async def receive_raw(self, timeout: float | None) -> bytes | None:
        """The next event as it came; None when none came within ``timeout`` seconds (None: wait for ever). It is in no figure of
        this subscriber."""
        raw = self._take()
        if raw is None:
            try:
                async with asyncio.timeout(timeout):
                    while (raw := self._take()) is None:
                        await self._readable()
            except TimeoutError:
                if (raw := self._take()) is None:  # it may have come while this one rested
                    return None
        self._taken += 1
        if self._taken % self._limits.batch == 0:
            await asyncio.sleep(0)
        return raw

    async def receive(self, timeout: float | None) -> Envelope:
        """The next envelope. Raises DeliveryTimeout when none came within ``timeout`` seconds (None: wait for ever)."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        while (raw := await self.receive_raw(None if until is None else until - loop.time())) is not None:
            envelope = self._read(raw)
            if envelope is not None:
                return envelope
        raise DeliveryTimeout(f"no event within {timeout} s")

    def at_hand(self) -> Iterator[Envelope]:
        """What has come and was not taken yet, without waiting for more."""
        while (raw := self._take()) is not None:
            envelope = self._read(raw)
            if envelope is not None:
                yield envelope

    async def _envelopes(self) -> AsyncIterator[Envelope]:
        while self._socket is not None:
            yield await self.receive(None)

    def _read(self, raw: bytes) -> Envelope | None:
        """None: nothing for whoever merely subscribes."""
        try:
            envelope = self._decoder.decode(raw)
        except UNDECODABLE:
            self.malformed += 1
            return None
        if type(envelope.event) is SequencesTold:
            return None  # for followers
        self.gaps.notice(envelope)
        return envelope

    def _take(self) -> bytes | None:
        """The body of the next event, None when there is none now. No wait can lose what was taken."""
        while not self._come:
            try:
                _, *bodies = self._open().recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return None
            self._come.extend(bodies)
        return self._come.popleft()

    def _open(self) -> zmq.Socket[bytes]:
        if self._socket is None:
            raise Misuse("a subscriber receives inside its 'async with' only")
        return self._socket

    async def _readable(self) -> None:
        """Wait until something may have come. The descriptor is watched only here, so an idle reader costs nothing.

        In a stream of events it is one wait in each ``rest`` seconds: waking up costs more than reading what has come.
        """
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._rests_until - loop.time()))
        await readable(self._socket)
        self._rests_until = loop.time() + self._limits.rest


async def readable(socket: zmq.Socket[bytes]) -> None:
    """Wait for the edge by which a socket announces that something happened to it."""
    loop = asyncio.get_running_loop()
    descriptor = socket.fileno()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
