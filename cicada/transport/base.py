"""What an endpoint promises. The ZeroMQ endpoint and its in-memory twin pass the same contract tests.

An endpoint carries length-prefixed frames between addresses, over connections that hosted peers share. It knows nothing
of links, ciphers or rings. Everything happens on one event loop; no call blocks; receivers are called back from the loop,
never from inside a call they made.
"""

from __future__ import annotations

from typing import NewType, Protocol

from cicada.ids import Address
from cicada.wire.frames import Frame

ConnectionId = NewType("ConnectionId", int)
"""Names one connection for the life of the endpoint; never reused."""


class Receiver(Protocol):
    """Who is told what happens. One per hosted peer. An exception it raises is logged and costs that frame only."""

    def on_connected(self, remote: Address, connection: ConnectionId) -> None:
        """A ``connect`` succeeded, or the connection was there already."""
        ...

    def on_connect_failed(self, remote: Address, reason: str) -> None:
        """A ``connect`` failed or timed out."""
        ...

    def on_frame(self, connection: ConnectionId, frame: Frame) -> None:
        """A frame for one of this receiver's indexes, or a HELLO for its listened address."""
        ...

    def on_disconnected(self, connection: ConnectionId, reason: str) -> None:
        """A connection this receiver used is gone, and all frames not yet acknowledged may be lost."""
        ...


class Endpoint(Protocol):
    """The connections of one worker."""

    def listen(self, address: Address, receiver: Receiver) -> None:
        """Accept connections for a hosted address. Raises Unavailable, naming the address and what to do."""
        ...

    def unlisten(self, address: Address) -> None:
        """Stop accepting for the address. Unknown addresses are ignored."""
        ...

    def connect(self, remote: Address, receiver: Receiver) -> None:
        """Have a connection that this endpoint dialled to exactly ``remote``; answered by a callback within dial_timeout."""
        ...

    def attach(self, receiver: Receiver) -> int:
        """A fresh random 32-bit index: frames that bear it go to ``receiver``."""
        ...

    def detach(self, index: int) -> None:
        """Forget an index. Later frames that bear it are answered UNKNOWN (rate-limited)."""
        ...

    def authenticated(self, connection: ConnectionId, receiver: Receiver) -> None:
        """``receiver`` finished a handshake on the connection: it is exempt from the limits for strangers,
        and the receiver will hear of its end."""
        ...

    def release(self, connection: ConnectionId, receiver: Receiver) -> None:
        """``receiver`` has no more use for the connection. One without users is closed when idle."""
        ...

    def send(self, connection: ConnectionId, frame: bytes) -> bool:
        """Queue the bytes of one frame (length prefix included). Frames sent in one loop turn leave together, in order.

        False: the backlog is full or the connection is gone, and the frame was not taken.
        """
        ...

    def drop(self, connection: ConnectionId, reason: str) -> None:
        """Close a connection because of a fault of its other end."""
        ...

    def counters(self) -> dict[str, int]:
        """How often each named thing happened since the start: refusals and drops by reason, frames and bytes."""
        ...

    def close(self) -> None:
        """Close everything. Idempotent. Receivers are not called back."""
        ...
