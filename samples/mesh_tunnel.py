"""The rules of samples/mesh.py: many connections of TCP between two peers, as messages of a swarm. No sockets, no clock.

Each connection is a stream with a number that its opener draws, of 63 random bits: who knows it is the peer at the other end,
also when a router has given it another address. Messages are sent in order, and one that fails leaves a gap:
offsets show it, and the stream is reset, for bytes are never skipped. A receiver lets its sender have WINDOW bytes that were
not written to the receiver's program yet, so a program that does not read holds up its own connection and nothing else.
An idle stream repeats its credit: whose peer is gone, or began anew, learns so within KEEPALIVE and a time-out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

CHUNK: Final = (
    32 * 1024 - 64
)  # bytes in one message: what a swarm sends in one piece, less the frame around it
BURST: Final = 8  # messages of one stream on their way at once
WINDOW: Final = BURST * CHUNK  # bytes that were sent and not written at the other end
STREAMS: Final = 64  # at once; WINDOW bytes are held for each
KEEPALIVE: Final = 15.0  # seconds for which a stream may say nothing

PeerAddress = tuple[str, int]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


# Messages between the two peers


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What every message begins with: of which stream it is."""

    stream: Number


class Open(Frame, frozen=True, array_like=True, tag=1):
    """Opener: connect me with your program. Data may follow at once."""


class Data(Frame, frozen=True, array_like=True, tag=2):
    """``offset``: how many bytes of the stream went before."""

    offset: Number
    payload: Annotated[bytes, Meta(min_length=1, max_length=CHUNK)]


class End(Frame, frozen=True, array_like=True, tag=3):
    """No more comes this way; the other way stays open. ``offset``: of how many bytes the stream was."""

    offset: Number


class Credit(Frame, frozen=True, array_like=True, tag=4):
    """So many bytes may be sent, counted from the stream's beginning. It can be repeated."""

    total: Number


class Reset(Frame, frozen=True, array_like=True, tag=5):
    """The stream is no more, either way."""

    reason: Annotated[str, Meta(max_length=200)]


AnyFrame = Open | Data | End | Credit | Reset
_DECODER: Final[msgspec.msgpack.Decoder[AnyFrame]] = msgspec.msgpack.Decoder(AnyFrame)
encode: Final = msgspec.msgpack.encode


def decode(data: bytes) -> AnyFrame | None:
    """The frame, or None for bytes that are none."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # text that is no UTF-8, or deep nesting
        return None


# Inputs


class Accepted(msgspec.Struct, frozen=True):
    """A program connected here; its bytes are to go to ``peer``, by a stream of a fresh number."""

    stream: int
    peer: PeerAddress


class Arrived(msgspec.Struct, frozen=True):
    """A message of another peer."""

    peer: PeerAddress
    frame: AnyFrame


class Dialled(msgspec.Struct, frozen=True):
    """Answers Dial. ``problem``: why there is no connection; empty when there is one."""

    stream: int
    problem: str = ""


class Taken(msgspec.Struct, frozen=True):
    """Answers Take with at most so many bytes; none at all: the program has sent its last."""

    stream: int
    data: bytes


class Written(msgspec.Struct, frozen=True):
    """The program has been given so many bytes of those of Write."""

    stream: int
    count: int


class Broken(msgspec.Struct, frozen=True):
    """The program's connection failed."""

    stream: int
    reason: str


class Settled(msgspec.Struct, frozen=True):
    """Answers Say. ``problem``: why it was not delivered; empty when it was."""

    stream: int
    problem: str = ""


class TimerFired(msgspec.Struct, frozen=True):
    """Some seconds have gone by; to be said more often than KEEPALIVE."""


Input = Accepted | Arrived | Dialled | Taken | Written | Broken | Settled | TimerFired


# Outputs


class Say(msgspec.Struct, frozen=True):
    """Send a message to the stream's peer, in order."""

    stream: int
    peer: PeerAddress
    frame: AnyFrame


class Dial(msgspec.Struct, frozen=True):
    """Connect with the program that is exposed here."""

    stream: int


class Take(msgspec.Struct, frozen=True):
    """Read what the program sends next, at most so many bytes."""

    stream: int
    most: int


class Write(msgspec.Struct, frozen=True):
    """Give the program these bytes, after those of earlier ones."""

    stream: int
    data: bytes


class Finish(msgspec.Struct, frozen=True):
    """Tell the program, after all that was written, that no more comes."""

    stream: int


class Abort(msgspec.Struct, frozen=True):
    """Reset the program's connection."""

    stream: int
    reason: str


Output = Say | Dial | Take | Write | Finish | Abort


class _State:
    """Where a stream stands. Bytes are counted from its beginning."""

    def __init__(self, peer: PeerAddress, now: float, *, dialled: bool) -> None:
        self.peer = peer  # as it was last heard of
        self.dialled = dialled
        self.held: list[Write | Finish] = []  # until the program is dialled; at most WINDOW
        self.taking = False
        self.sent = 0
        self.may_send = WINDOW
        self.unsettled = 0
        self.received = 0
        self.written = 0
        self.granted = WINDOW
        self.sent_all = False
        self.received_all = False
        self.spoke = now


class Tunnel:
    """All streams of one peer. ``exposes``: whether others may open streams to a program here."""

    def __init__(self, *, exposes: bool = False) -> None:
        self._exposes = exposes
        self._streams: dict[int, _State] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def handle(self, input: Input, now: float) -> list[Output]:
        """What is to be done about it, in this order. ``now`` in seconds, of any clock that does not go back."""
        if isinstance(input, TimerFired):
            return [output for stream in list(self._streams) for output in self._keep_alive(stream, now)]
        if isinstance(input, Arrived):
            stream = input.frame.stream
            outputs = list(self._arrived(stream, input, now))
        else:
            stream = input.stream
            outputs = list(self._happened(input, now))
        if (state := self._streams.get(stream)) is None:
            return outputs
        if said := sum(isinstance(output, Say) for output in outputs):
            state.unsettled += said
            state.spoke = now
        return [*outputs, *self._take(stream, state)]

    def _happened(
        self, input: Accepted | Dialled | Taken | Written | Broken | Settled, now: float
    ) -> Iterator[Output]:
        stream = input.stream
        if isinstance(input, Accepted):
            yield from self._accepted(stream, input.peer, now)
        elif (state := self._streams.get(stream)) is None:
            return  # it was reset, and this crossed it
        elif isinstance(input, Dialled):
            yield from self._dialled(stream, state, input.problem)
        elif isinstance(input, Taken):
            yield from self._taken(stream, state, input.data)
        elif isinstance(input, Written):
            yield from self._wrote(stream, state, input.count)
        elif isinstance(input, Broken):
            yield from self._reset(stream, input.reason)
        else:
            state.unsettled -= 1
            if input.problem:
                yield from self._reset(stream, input.problem)

    def _accepted(self, stream: int, peer: PeerAddress, now: float) -> Iterator[Output]:
        if len(self._streams) >= STREAMS:
            yield Abort(stream, "too many connections")
            return
        self._streams[stream] = _State(peer, now, dialled=True)
        yield Say(stream, peer, Open(stream))

    def _dialled(self, stream: int, state: _State, problem: str) -> Iterator[Output]:
        if problem:
            yield from self._reset(stream, problem)
            return
        state.dialled = True
        yield from state.held
        state.held.clear()

    def _taken(self, stream: int, state: _State, data: bytes) -> Iterator[Output]:
        state.taking = False
        if data:
            yield Say(stream, state.peer, Data(stream, state.sent, data))
            state.sent += len(data)
        else:
            state.sent_all = True
            yield Say(stream, state.peer, End(stream, state.sent))
            self._forget_when_done(stream, state)

    def _wrote(self, stream: int, state: _State, count: int) -> Iterator[Output]:
        state.written += count
        if not state.received_all and state.written + WINDOW - state.granted >= WINDOW // 4:
            state.granted = state.written + WINDOW
            yield Say(stream, state.peer, Credit(stream, state.granted))

    def _arrived(self, stream: int, arrived: Arrived, now: float) -> Iterator[Output]:
        frame, peer = arrived.frame, arrived.peer
        state = self._streams.get(stream)
        if state is not None:
            state.peer = peer
        if isinstance(frame, Open):
            yield from self._opened(stream, peer, now)
        elif isinstance(frame, Reset):
            if state is not None:
                del self._streams[stream]
                yield Abort(stream, frame.reason)
        elif state is None:
            yield Say(stream, peer, Reset(stream, "there is no such connection"))
        elif isinstance(frame, Credit):
            state.may_send = max(state.may_send, frame.total)
        elif problem := _misfit(state, frame):
            yield from self._reset(stream, problem)
        elif isinstance(frame, Data):
            state.received += len(frame.payload)
            yield from self._give(state, Write(stream, frame.payload))
        else:
            state.received_all = True
            yield from self._give(state, Finish(stream))
            self._forget_when_done(stream, state)

    def _opened(self, stream: int, peer: PeerAddress, now: float) -> Iterator[Output]:
        if stream in self._streams:
            yield from self._reset(stream, "it was opened twice")
        elif not self._exposes:
            yield Say(stream, peer, Reset(stream, "nothing is exposed here"))
        elif len(self._streams) >= STREAMS:
            yield Say(stream, peer, Reset(stream, "too many connections"))
        else:
            self._streams[stream] = _State(peer, now, dialled=False)
            yield Dial(stream)

    def _give(self, state: _State, output: Write | Finish) -> Iterator[Output]:
        if state.dialled:
            yield output
        else:
            state.held.append(output)

    def _take(self, stream: int, state: _State) -> Iterator[Output]:
        if not state.dialled or state.taking or state.sent_all:
            return
        if state.unsettled < BURST and state.sent < state.may_send:
            state.taking = True
            yield Take(stream, min(CHUNK, state.may_send - state.sent))

    def _keep_alive(self, stream: int, now: float) -> Iterator[Output]:
        state = self._streams[stream]
        if not state.unsettled and now - state.spoke >= KEEPALIVE:
            state.unsettled += 1
            state.spoke = now
            yield Say(stream, state.peer, Credit(stream, state.granted))

    def _reset(self, stream: int, reason: str) -> Iterator[Output]:
        peer = self._streams.pop(stream).peer
        yield Say(stream, peer, Reset(stream, reason[:200]))
        yield Abort(stream, reason)

    def _forget_when_done(self, stream: int, state: _State) -> None:
        # Both sides forget once both ends are known. A credit may still cross the last end and is answered by a reset, but that
        # comes after the end, when the other side has forgotten the stream too.
        if state.sent_all and state.received_all:
            del self._streams[stream]


def _misfit(state: _State, frame: Data | End) -> str:
    """What is wrong with the next frame of a stream; empty when nothing is."""
    if state.received_all:
        return "more came after its end"
    if frame.offset != state.received:
        return "a part of it is missing"
    if isinstance(frame, Data) and state.received + len(frame.payload) > state.granted:
        return "more came than was allowed"
    return ""
