"""Links of a few peers wired back to back, under virtual time. Lossless and ordered per connection, as TCP is."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from cicada.events import LinkEvent
from cicada.ids import Address, Peer, canonical_address, peer_at
from cicada.limits import KIB, LinkLimits
from cicada.transport.base import ConnectionId
from cicada.transport.linkio import (
    CloseAll,
    Connect,
    Connected,
    ConnectFailed,
    Disconnected,
    DropConnection,
    Dropped,
    Emit,
    FramesArrived,
    HopBegun,
    Keep,
    KeptLost,
    LinkInput,
    LinkOutput,
    LinkRow,
    LodgingReceived,
    Need,
    NotTaken,
    Prove,
    Proven,
    Release,
    RingReceived,
    RoutedReceived,
    SendMessage,
    TimerFired,
    Transmit,
    Unreachable,
)
from cicada.transport.links import Links
from cicada.wire.codec import Message, decode_body, encode
from cicada.wire.frames import (
    LENGTH,
    PROTOCOL_VERSION,
    Frame,
    FrameType,
    Hello,
    Refusal,
    Welcome,
    decode_frame,
    encode_frame,
)
from cicada.wire.ring import GetState
from cicada.wire.routed import Data
from cicada.wire.security import Identified, LinkSecurity, Met, Unidentified, Unsecured
from cicada.wire.trips import Sample

LIMITS = LinkLimits(
    max_unacknowledged=256 * KIB,
    max_queued=1024 * KIB,
    ack_delay=0.05,
    ack_bytes=64 * KIB,
    timeout_first=1.0,
    timeout_floor=0.3,
    timeout_ceiling=4.0,
    dial_timeout=2.0,
    idle_close=60.0,
    ping_interval=45.0,
    proof_linger=0.5,
    busy_retry=0.25,
    blocked_retry=0.02,
    redial_interval=1.0,
)
"""What the times in the tests are made for; the defaults may be tuned without a look at them."""

SMALL = msgspec.structs.replace(LIMITS, max_unacknowledged=4 * KIB, max_queued=16 * KIB, ack_bytes=KIB)
"""A window of a few messages, so that queues fill."""

SWARM = "test"
LATENCY = 0.001
PLACE = bytes(32)


def address(number: int) -> Address:
    """The address of peer ``number``; text order is the order of numbers below ten."""
    return canonical_address("127.0.0.1", 20000 + number)


def data(message: int, size: int = 64) -> Data:
    """An application message that relays would carry."""
    return Data(
        target=PLACE,
        origin=address(0),
        hops=1,
        index=1,
        counter=message,
        attempt=1,
        copy=0,
        body=bytes(size),
    )


def control(request: int, size: int = 0) -> GetState:
    """A ring message."""
    return GetState(incarnation=1, request=request, extra=bytes(size))


class Indexes:
    """An index source that counts, so that runs repeat."""

    def __init__(self, first: int) -> None:
        self._next = first
        self.attached: set[int] = set()

    def attach(self) -> int:
        self._next += 1
        self.attached.add(self._next)
        return self._next

    def detach(self, index: int) -> None:
        self.attached.remove(index)


class Everything(set[int]):
    """The indexes of a stranger, who takes any frame."""

    def __contains__(self, index: object) -> bool:
        return True


class Party(Protocol):
    """Who holds an end of a connection."""

    @property
    def peer(self) -> Peer: ...

    @property
    def attached(self) -> set[int]: ...

    def feed(self, event: LinkInput, /) -> None: ...


class Pipe:
    """One connection as both of its ends see it."""

    def __init__(self, dialler: Party, listener: Party, first: int) -> None:
        self.ends: dict[ConnectionId, Party] = {
            ConnectionId(first): dialler,
            ConnectionId(first + 1): listener,
        }
        self.dialled = ConnectionId(first)
        self.accepted = ConnectionId(first + 1)
        self.is_open = True

    def other(self, end: ConnectionId) -> ConnectionId:
        return self.accepted if end == self.dialled else self.dialled


class Host:
    """One peer, the outputs of its links sorted by kind, and a record of the frames it sent."""

    def __init__(
        self,
        network: Network,
        number: int,
        *,
        swarm: str,
        limits: LinkLimits,
        incarnation: int,
        indexes: Indexes | None,
        security: LinkSecurity | None,
        own: Address | None = None,
        source: Callable[[ConnectionId], str] | None = None,
    ) -> None:
        self.peer = peer_at(own or address(number))
        self.network = network
        self.indexes = indexes or Indexes(1000 * (number + 1) + 100 * incarnation)
        self.sample = Sample()
        self.links = Links(
            self.peer.address,
            incarnation,
            swarm=swarm,
            indexes=self.indexes,
            entropy=random.Random(number),
            security=security or Unsecured(),
            limits=limits,
            sample=self.sample,
            source=source,
        )
        self.received: list[Message] = []
        self.senders: list[Peer] = []
        self.proven: list[Peer] = []
        self.unreachable: list[Unreachable] = []
        self.identities: list[Identified | Unidentified | Met] = []
        self.dropped: list[Dropped] = []
        self.events: list[LinkEvent] = []
        self.released: list[ConnectionId] = []
        self.lodging: list[LodgingReceived] = []
        self.lost: list[Peer] = []
        self.hops: list[HopBegun] = []
        self.sent: list[tuple[ConnectionId, Frame]] = []

    def send(self, to: Host, message: Message, source: Peer | None = None) -> None:
        self.feed(SendMessage(to.peer, message, source))

    def feed_send(self, to: Stranger, message: Message) -> None:
        self.feed(SendMessage(to.peer, message))

    def feed_prove(self, other: Stranger) -> None:
        self.feed(Prove(other.peer))

    def connected(self, other: Host) -> None:
        """A connection to ``other`` came up, asked for or not."""
        self.feed(Connected(other.peer.address, self.network.connection(self, other).dialled))

    def close_all(self) -> None:
        self.feed(CloseAll("stopped"))

    def prove(self, other: Host) -> None:
        self.feed(Prove(other.peer))

    def keep(self, *others: Host, need: Need = Need.RING) -> None:
        self.feed(Keep(frozenset(other.peer for other in others), need))

    def feed(self, event: LinkInput) -> None:
        self.network.carry_out(self, self.links.handle(event, self.network.now))
        self.network.rearm(self)

    def kinds(self) -> list[FrameType]:
        """The types of the frames sent so far."""
        return [frame.type for _, frame in self.sent]

    def count(self, kind: FrameType) -> int:
        return self.kinds().count(kind)

    def data_frames(self) -> list[tuple[ConnectionId, Frame]]:
        return [(connection, frame) for connection, frame in self.sent if frame.type == FrameType.DATA]

    def row(self) -> LinkRow:
        """The only open link."""
        (row,) = self.links.snapshot().links
        return row

    @property
    def attached(self) -> set[int]:
        return self.indexes.attached

    @property
    def undelivered(self) -> list[Message]:
        return [message for report in self.unreachable for message in report.undelivered]


class Stranger:
    """Somebody who speaks the wire but follows no rules: tests write its frames by hand."""

    def __init__(self, network: Network, number: int) -> None:
        self.peer = peer_at(address(number))
        self.network = network
        self.attached: set[int] = Everything()
        self.heard: list[Frame] = []
        self.inputs: list[LinkInput] = []
        self.connection = ConnectionId(0)
        network.hosts[self.peer.address] = self

    def feed(self, event: LinkInput, /) -> None:
        self.inputs.append(event)
        if isinstance(event, FramesArrived):
            self.heard.extend(event.frames)
            self.connection = event.connection

    def dial(self, host: Host) -> None:
        """Have a new connection to ``host``; what is said goes over it."""
        self.connection = self.network.new_pipe(self, host).dialled

    def say(self, kind: FrameType, index: int, counter: int, body: bytes, *, wait: float = 0.2) -> None:
        """Send a frame, and let it arrive."""
        self.network.transmit(self, self.connection, encode_frame(kind, index, counter, body))
        self.network.run(wait)

    def hello(
        self,
        host: Host,
        *,
        version: int = PROTOCOL_VERSION,
        swarm: str = SWARM,
        dialled: Address | None = None,
        own: Address | None = None,
        index: int = 77,
        incarnation: int = 1,
        wait: float = 0.2,
    ) -> None:
        body = Hello(
            version=version,
            swarm=swarm,
            dialled=dialled or host.peer.address,
            own=own or self.peer.address,
            index=index,
            incarnation=incarnation,
        )
        self.say(FrameType.HELLO, 0, 0, encode(body), wait=wait)

    def hello_heard(self) -> Hello:
        """The last frame heard, which must be a HELLO."""
        return decode_body(self.heard[-1].body, Hello)

    def link(self, host: Host, *, index: int = 77, incarnation: int = 1) -> int:
        """Dial and shake hands. Returns the index that ``host`` wants frames under."""
        self.dial(host)
        self.hello(host, index=index, incarnation=incarnation)
        return decode_body(self.heard[-1].body, Welcome).index

    def welcome(self) -> Welcome:
        """The last frame heard, which must be a WELCOME."""
        return decode_body(self.heard[-1].body, Welcome)

    def refusal(self) -> str:
        """Why the last frame heard refused."""
        if self.heard[-1].type != FrameType.REFUSED:
            raise ValueError(f"not refused: {self.heard[-1]}")
        return decode_body(self.heard[-1].body, Refusal).reason


class Network:
    """A heap of what happens next."""

    def __init__(self, *, limits: LinkLimits = LIMITS) -> None:
        self.now = 100.0
        self.limits = limits
        self.hosts: dict[Address, Party] = {}
        self.pipes: list[Pipe] = []
        self.latency: Callable[[ConnectionId], float] = lambda _: LATENCY
        self.silent: set[Address] = set()  # dials to them end in the dial's own time-out
        self.choked: set[ConnectionId] = set()  # ends that take no frames
        self.frozen: set[Address] = set()  # hosts that neither read nor wake
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._arrivals: dict[ConnectionId, float] = {}
        self._alarms: dict[Host, float] = {}

    def host(
        self,
        number: int,
        *,
        swarm: str = SWARM,
        incarnation: int = 1,
        limits: LinkLimits | None = None,
        indexes: Indexes | None = None,
        security: LinkSecurity | None = None,
        own: Address | None = None,
        source: Callable[[ConnectionId], str] | None = None,
    ) -> Host:
        """A new peer, or a new life of one. Its links are secured by ``security``, or not at all. ``own``: it is not at the address
        of that number. ``source``: from where connections come, each from somewhere else if it is None."""
        host = Host(
            self,
            number,
            swarm=swarm,
            limits=limits or self.limits,
            incarnation=incarnation,
            indexes=indexes,
            security=security,
            own=own,
            source=source,
        )
        for pipe in self.pipes:
            for end, holder in pipe.ends.items():
                if holder.peer == host.peer:
                    pipe.ends[end] = host
        self.hosts[host.peer.address] = host
        return host

    def pair(self) -> tuple[Host, Host]:
        return self.host(1), self.host(2)

    # Running

    def run(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = end

    def settle(self, seconds: float = 0.2) -> None:
        """Long enough for handshakes, deliveries and delayed acks, too short for time-outs."""
        self.run(seconds)

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, action))

    def rearm(self, host: Host) -> None:
        due = host.links.next_deadline()
        if due is None or self._alarms.get(host, float("inf")) <= due:
            return
        self._alarms[host] = due
        self.at(max(due, self.now), lambda: self._wake(host))

    def _wake(self, host: Host) -> None:
        self._alarms.pop(host, None)
        if host.peer.address not in self.frozen and self.hosts.get(host.peer.address) is host:
            host.feed(TimerFired())

    # The endpoint

    def carry_out(self, host: Host, outputs: list[LinkOutput]) -> None:
        refused: list[NotTaken] = []
        for output in outputs:
            match output:
                case Transmit(connection, raw, _):
                    if connection in self.choked or any(frame.connection == connection for frame in refused):
                        refused.append(NotTaken(connection, raw))
                    else:
                        self.transmit(host, connection, raw)
                case Connect(remote):
                    self._connect(host, remote)
                case DropConnection(connection, reason):
                    self.cut(self.pipe_of(connection), reason)
                case RingReceived(peer, message) | RoutedReceived(peer, message):
                    host.received.append(message)
                    host.senders.append(peer)
                case Proven(peer):
                    host.proven.append(peer)
                case Unreachable():
                    host.unreachable.append(output)
                case Dropped():
                    host.dropped.append(output)
                case Emit(event):
                    host.events.append(event)
                case Identified() | Unidentified() | Met():
                    host.identities.append(output)
                case Release(connection):
                    host.released.append(connection)
                case LodgingReceived():
                    host.lodging.append(output)
                case HopBegun():
                    host.hops.append(output)
                case KeptLost(peer):
                    host.lost.append(peer)
                case _:
                    pass
        for frame in refused:
            host.feed(frame)

    def transmit(self, host: Party, connection: ConnectionId, raw: bytes) -> None:
        """Put a frame on a connection, as if ``host`` had sent it."""
        (length,) = LENGTH.unpack_from(raw)
        if len(raw) != LENGTH.size + length:
            raise ValueError(f"the length prefix says {length}, the frame has {len(raw) - LENGTH.size}")
        frame = decode_frame(raw[LENGTH.size :])
        if isinstance(host, Host):
            host.sent.append((connection, frame))
        pipe = self.pipe_of(connection)
        if pipe.is_open:
            when = max(self.now + self.latency(connection), self._arrivals.get(connection, 0.0))
            self._arrivals[connection] = when
            self.at(when, lambda: self._arrive(pipe, pipe.other(connection), frame))

    def _arrive(self, pipe: Pipe, end: ConnectionId, frame: Frame) -> None:
        host = pipe.ends[end]
        if not pipe.is_open:
            return
        if host.peer.address in self.frozen:
            self.at(self.now + 0.01, lambda: self._arrive(pipe, end, frame))
            return
        known = frame.type in (FrameType.HELLO, FrameType.UNKNOWN) or frame.index in host.attached
        if known:
            host.feed(FramesArrived(end, (frame,)))
        else:
            self.transmit(host, end, encode_frame(FrameType.UNKNOWN, frame.index, 0, b""))

    def _connect(self, host: Host, remote: Address) -> None:
        other = self.hosts.get(remote)
        if remote in self.silent:
            return
        if other is None:
            self.at(self.now + LATENCY, lambda: host.feed(ConnectFailed(remote, "refused")))
            return
        pipe = self.connection(host, other)
        self.at(self.now + LATENCY, lambda: host.feed(Connected(remote, pipe.dialled)))

    def connection(self, dialler: Party, listener: Party) -> Pipe:
        """The connection that ``dialler`` has dialled to ``listener``, made when there is none."""
        for pipe in self.pipes:
            if pipe.is_open and pipe.ends[pipe.dialled] is dialler and pipe.ends[pipe.accepted] is listener:
                return pipe
        return self.new_pipe(dialler, listener)

    def new_pipe(self, dialler: Party, listener: Party) -> Pipe:
        """A further connection."""
        pipe = Pipe(dialler, listener, 10 * len(self.pipes) + 10)
        self.pipes.append(pipe)
        return pipe

    def pipe_of(self, connection: ConnectionId) -> Pipe:
        return next(pipe for pipe in self.pipes if connection in pipe.ends)

    def open_pipes(self) -> Iterator[Pipe]:
        return (pipe for pipe in self.pipes if pipe.is_open)

    # Faults

    def cut(self, pipe: Pipe, reason: str = "reset") -> None:
        """Both ends learn that the connection is gone; what is under way is lost."""
        pipe.is_open = False
        for end, host in pipe.ends.items():
            host.feed(Disconnected(end, reason))

    def kill(self, host: Host) -> None:
        """The host is gone without a farewell."""
        del self.hosts[host.peer.address]
        for pipe in list(self.open_pipes()):
            if host in pipe.ends.values():
                pipe.is_open = False
                for end, holder in pipe.ends.items():
                    if holder is not host:
                        holder.feed(Disconnected(end, "reset"))
