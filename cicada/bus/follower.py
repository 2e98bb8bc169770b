"""Following a swarm: its state first, then every change of it, once and in order, whatever is lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable
from types import TracebackType

import zmq

from cicada.bus.remote import WatchKeys, is_ipv6
from cicada.bus.snapshot import Snapshot, SnapshotRequest, encode_request, read_snapshot
from cicada.bus.standing import HEEDED
from cicada.bus.subscriber import Subscriber, readable
from cicada.bus.tolerant import EventReader, Malformed, Unknown
from cicada.bus.topics import EVERYTHING, covers, kinds, topic_of
from cicada.clock import SystemClock
from cicada.errors import DeliveryTimeout, Unavailable
from cicada.events import Envelope, SequencesTold
from cicada.limits import BUS, BusLimits

Followed = Snapshot | Envelope | Unknown
"""What a follower gets."""

_HEALED = frozenset(kind.__name__ for kind in HEEDED)
_TOPICS = {name: topic_of(kind) for name, kind in kinds().items()}


class _Source:
    """How far one source has been followed. ``is_certain``: from there on nothing may be missing."""

    __slots__ = ("is_certain", "life", "sequences")

    def __init__(self, life: int, sequences: dict[str, int], *, is_certain: bool) -> None:
        self.life = life
        self.sequences = sequences
        self.is_certain = is_certain


class Progress:
    """Decides, by sequences alone, what is new and what is missing. Pure. ``topics`` are what is subscribed to."""

    def __init__(self, topics: Iterable[bytes]) -> None:
        self._topics = tuple(topics)
        self._sources: dict[str, _Source] = {}
        self._has_begun = False
        self.lost = 0
        """Events that never came, and are in no snapshot that did."""
        self.is_torn = False
        """One of them mattered to the state, and no snapshot has come since."""

    def begin(self, snapshot: Snapshot) -> None:
        """From here on, as of this snapshot."""
        before, self._sources = self._sources, {}
        for source, sequences in snapshot.sequences.items():
            life, known = snapshot.lives.get(source, 0), before.get(source)
            kept = known.sequences if known is not None and known.life == life else {}
            reached = {kind: max(sequences.get(kind, 0), kept.get(kind, 0)) for kind in {*sequences, *kept}}
            self._sources[source] = _Source(life, reached, is_certain=source not in snapshot.stale)
        self._has_begun = True
        self.is_torn = False

    def admits(self, source: str, life: int, kind: str, sequence: int) -> bool:
        """Whether an event is new. What is missing right before it is counted."""
        known = self._sources.get(source)
        if known is None or life > known.life:
            is_certain = self._has_begun and (known is None or known.is_certain)
            known = self._sources[source] = _Source(life, {}, is_certain=is_certain)
        last = known.sequences.get(kind)
        if life < known.life or (last is not None and sequence <= last):
            return False
        known.sequences[kind] = sequence
        if last is not None or known.is_certain:
            self._miss(kind, sequence - (last or 0) - 1)
        return True

    def reaches(self, source: str, life: int, told: dict[str, int]) -> None:
        """The source says how far everything is, after all of it: what has not come is lost."""
        known = self._sources.get(source)
        if known is None or known.life != life:
            return
        for kind, sequence in told.items():
            topic = _TOPICS.get(kind)
            last = known.sequences.get(kind, 0)
            if topic is not None and sequence > last and covers(self._topics, topic):
                if kind in known.sequences or known.is_certain:
                    self._miss(kind, sequence - last)
                known.sequences[kind] = sequence
        known.is_certain = self._has_begun

    def _miss(self, kind: str, count: int) -> None:
        self.lost += count
        if count and kind in _HEALED:
            self.is_torn = True


class Follower:
    """An asynchronous iterator, to be used in ``async with``: a Snapshot, then every event under ``topics`` that is not in it.

    Events come once and in order, by source and kind. When one that the state depends on is lost, or the connection was, another
    Snapshot comes by itself: whatever was folded before it is void. Others that are lost are counted. ``snapshots`` may be empty
    (a run of an earlier version): then there are only events, from now on. ``keys``: for a remote bus.
    """

    def __init__(
        self,
        events: str,
        snapshots: str,
        topics: Iterable[bytes] = (EVERYTHING,),
        *,
        limits: BusLimits = BUS,
        keys: WatchKeys | None = None,
    ) -> None:
        wanted = (*topics, topic_of(SequencesTold))
        self._snapshots = snapshots
        self._limits = limits
        self._keys = keys
        self._subscriber = Subscriber(events, wanted, limits=limits, keys=keys)
        self._reader = EventReader()
        self._progress = Progress(wanted)
        self._clock = SystemClock()
        self._asking: asyncio.Task[Snapshot | None] | None = None
        self._ask_at = 0.0
        self._quiet = 0.0
        self._snapshots_taken = 0
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self.connected = False
        """Whether the swarm has been heard of in the last seconds."""
        self.lag_ms = 0.0
        """How old the last event was when it was taken, by the clocks of both machines."""
        self.malformed = 0

    @property
    def healed(self) -> int:
        """Snapshots that were taken after the first one."""
        return max(0, self._snapshots_taken - 1)

    @property
    def lost(self) -> int:
        """Events that never came."""
        return self._progress.lost

    async def __aenter__(self) -> Follower:
        self._context = zmq.Context()
        await self._subscriber.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        await self._subscriber.__aexit__(kind, error, trace)
        if self._context is not None:
            self._context.destroy(linger=0)
        self.connected = False

    def __aiter__(self) -> AsyncIterator[Followed]:
        return self._followed()

    async def receive(self, timeout: float | None) -> Followed:
        """What comes next. Raises DeliveryTimeout when nothing came within ``timeout`` seconds (None: wait for ever). Nothing is
        lost by that, nor by being cancelled."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        while True:
            step = self._limits.told if until is None else min(self._limits.told, until - loop.time())
            item = await self._step(max(0.0, step))
            if item is not None:
                return item
            if until is not None and loop.time() >= until:
                raise DeliveryTimeout(f"nothing happened within {timeout} s")

    async def _followed(self) -> AsyncIterator[Followed]:
        while True:
            yield await self.receive(None)

    async def _step(self, timeout: float) -> Followed | None:
        """Wait for one thing that may happen: while a snapshot is on its way, for that alone."""
        now = asyncio.get_running_loop().time()
        if self._asking is None and self._needs_snapshot and now >= self._ask_at:
            self._asking = asyncio.create_task(self._ask(), name="snapshot")
        if self._asking is None:
            return await self._next_event(timeout)
        await asyncio.wait([self._asking], timeout=timeout)
        if not self._asking.done():
            return None
        asked, self._asking = self._asking, None
        snapshot = asked.result()
        self._ask_at = asyncio.get_running_loop().time() + self._limits.heal_pause
        if snapshot is not None:
            self._progress.begin(snapshot)
            self._snapshots_taken += 1
            self._heard()
        return snapshot

    @property
    def _needs_snapshot(self) -> bool:
        return bool(self._snapshots) and (
            not self._snapshots_taken or self._progress.is_torn or not self.connected
        )

    async def _next_event(self, timeout: float) -> Followed | None:
        raw = await self._subscriber.receive_raw(timeout)
        if raw is None:
            self._quiet += timeout
            self.connected = self.connected and self._quiet < self._limits.silence
            return None
        if self._snapshots_taken or not self._snapshots:
            self._heard()
        item = self._reader.read(raw)
        if isinstance(item, Malformed):
            self.malformed += 1
            return None
        return item if self._is_new(item) else None

    def _is_new(self, item: Envelope | Unknown) -> bool:
        self.lag_ms = float(max(0, self._clock.wall_ms() - item.time_ms))
        if isinstance(item, Unknown):
            return self._progress.admits(item.source, item.life, item.kind, item.sequence)
        kind = type(item.event).__name__
        is_new = self._progress.admits(item.source, item.life, kind, item.sequence)
        if isinstance(item.event, SequencesTold):
            self._progress.reaches(item.source, item.life, item.event.sequences)
            return False
        return is_new

    def _heard(self) -> None:
        self._quiet = 0.0
        self.connected = True

    async def _ask(self) -> Snapshot | None:
        """One request. The subscription that goes before it is a mark: who has it has the others too."""
        if self._context is None:
            return None
        mark = f"follower.{secrets.token_hex(8)}"
        self._subscriber.subscribe(mark.encode())
        socket = self._context.socket(zmq.REQ)
        try:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, self._limits.max_snapshot)
            socket.setsockopt(zmq.IPV6, int(is_ipv6(self._snapshots)))
            if self._keys is not None:
                self._keys.join(socket)
            socket.connect(self._snapshots)
            async with asyncio.timeout(self._limits.snapshot_wait):
                return read_snapshot(await _answer(socket, encode_request(SnapshotRequest(heard=mark))))
        except (TimeoutError, Unavailable, zmq.ZMQError):
            return None
        finally:
            socket.close(linger=0)
            self._subscriber.unsubscribe(mark.encode())


async def _answer(socket: zmq.Socket[bytes], request: bytes) -> bytes:
    while True:
        with contextlib.suppress(zmq.Again):
            socket.send(request, zmq.DONTWAIT)
            break
        await readable(socket)
    while True:
        with contextlib.suppress(zmq.Again):
            return socket.recv(zmq.DONTWAIT)
        await readable(socket)
