"""The receiving half of an endpoint behind the framing: whose frames are whose, and what becomes of nobody's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from cicada.errors import PeerFault, Unavailable
from cicada.ids import Address
from cicada.limits import EndpointLimits
from cicada.transport.base import ConnectionId, Receiver
from cicada.transport.callbacks import Callbacks
from cicada.transport.connection import Connection, Phase
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import Frame, FrameType, Hello, Refusal, encode_frame

_HELLO: Final = FrameType.HELLO
_UNKNOWN: Final = FrameType.UNKNOWN


class Answerer(Protocol):
    """Who carries answers and closes connections."""

    loop: asyncio.AbstractEventLoop
    limits: EndpointLimits
    send: Callable[[ConnectionId, bytes], bool]

    def shut(self, connection: Connection, reason: str) -> None:
        """Close a connection and tell everybody concerned."""
        ...


class Inbound:
    """Frames by the index they bear. ``hosted`` says who listens where, for the HELLOs."""

    def __init__(
        self,
        answerer: Answerer,
        hosted: Mapping[Address, Receiver],
        entropy: Callable[[], int],
        tell: Callbacks,
        count: Counter[str],
    ) -> None:
        self._answerer = answerer
        self._limits = answerer.limits
        self._hosted = hosted
        self._entropy = entropy
        self._tell = tell
        self._count = count
        self._owners: dict[int, Receiver] = {}

    def attach(self, receiver: Receiver) -> int:
        """As Endpoint.attach promises."""
        owners, limits = self._owners, self._limits
        if len(owners) >= limits.max_indexes:
            raise Unavailable(
                f"all {limits.max_indexes} link indexes of this process are taken: close some links"
            )
        for _ in range(limits.index_attempts):
            index = self._entropy()
            if index and index not in owners:
                owners[index] = receiver
                return index
        raise Unavailable("the entropy source repeats itself: no fresh link index found")

    def detach(self, index: int) -> None:
        """As Endpoint.detach promises."""
        self._owners.pop(index, None)

    def detach_all(self, receiver: Receiver) -> None:
        """Forget every index of the receiver."""
        for index in [i for i, owner in self._owners.items() if owner is receiver]:
            self.detach(index)

    def close(self) -> None:
        """Forget every index."""
        self._owners.clear()

    def take(self, connection: Connection, frames: list[Frame]) -> None:
        """Tell the owners of the frames' indexes; what arrived together for one owner is told together. Ends early when
        somebody closes the connection."""
        owner_of = self._owners.get
        receiver: Receiver | None = None
        run: list[Frame] = []
        for frame in frames:
            kind = frame.type
            owner = None if kind is _HELLO or kind is _UNKNOWN else owner_of(frame.index)
            if run and owner is not receiver:
                self._tell_owner(receiver, connection, run)
                run = []
            if owner is None:
                self._take_loose(connection, frame)
            else:
                receiver = owner
                run.append(frame)
            if connection.phase is not Phase.OPEN:
                return
        if run:
            self._tell_owner(receiver, connection, run)

    def _tell_owner(self, receiver: Receiver | None, connection: Connection, frames: list[Frame]) -> None:
        if receiver is not None:
            try:
                receiver.on_frames(connection.id, frames)
            except Exception:  # noqa: BLE001 - supervised boundary: a failing receiver must not cost the other peers
                self._tell.failed()

    def _take_loose(self, connection: Connection, frame: Frame) -> None:
        """A HELLO, a hint, or a frame for an index that is not (or no longer) ours."""
        if frame.type is _HELLO:
            self._greeted(connection, frame)
        elif not self._may_hint(connection):
            self._count["hints-suppressed"] += 1
        elif frame.type is _UNKNOWN:
            for receiver in tuple(connection.users):
                self._tell.now(receiver.on_frames, connection.id, (frame,))
        else:
            self._count["unknown-index"] += 1
            self._answerer.send(connection.id, encode_frame(_UNKNOWN, frame.index, 0, b""))

    def _greeted(self, connection: Connection, frame: Frame) -> None:
        if connection.remote is not None or frame.index:
            self._answerer.shut(connection, "hello-misplaced")
            return
        try:
            hello = decode_body(frame.body, Hello)
        except PeerFault:
            self._answerer.shut(connection, "hello-malformed")
            return
        receiver = self._hosted.get(Address(hello.dialled))
        if receiver is not None:
            self._tell.now(receiver.on_frames, connection.id, (frame,))
        elif self._may_hint(connection):
            self._count["refused.unknown-address"] += 1
            refusal = encode(Refusal(reason="unknown-address"))
            self._answerer.send(connection.id, encode_frame(FrameType.REFUSED, hello.index, 0, refusal))
        else:
            self._count["hints-suppressed"] += 1

    def _may_hint(self, connection: Connection) -> bool:
        return connection.may_hint(self._answerer.loop.time(), self._limits.hints_per_second)
