"""What an endpoint promises. The ZeroMQ endpoint and its in-memory twin pass the same contract tests.

An endpoint carries length-prefixed frames between addresses, over connections that hosted peers share. It knows
nothing of links, ciphers or rings. Everything happens on one event loop, from whose thread alone it may be used; no call
blocks, but that ``listen`` waits up to ``rebind_patience`` for a port that was given up a moment ago; receivers are called back
from the loop, never from inside a call they made.

A connection is *dialled* (we connected to exactly that address) or *accepted* (somebody connected to a hosted one). Both
carry frames both ways. One dialled connection per remote address is shared by all receivers that ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NewType, Protocol

from cicada.ids import Address
from cicada.wire.frames import Frame

ConnectionId = NewType("ConnectionId", int)
"""Names one connection for the life of the endpoint; never reused."""

OUT_OF_DESCRIPTORS: Final = "descriptors"
"""Why a ``connect`` failed that never left this machine."""


class Receiver(Protocol):
    """Who is told what happens. One per hosted peer, told apart by hash and equality.

    An exception it raises is logged and costs that call only.
    """

    def on_connected(self, remote: Address, connection: ConnectionId) -> None:
        """A ``connect`` succeeded, or the connection was there already: this receiver now uses it."""
        ...

    def on_connect_failed(self, remote: Address, reason: str) -> None:
        """A ``connect`` failed: ``refused``, ``timeout``, ``descriptors`` (too many connections),
        ``unusable-address``, ``closed`` (the remote is hosted here and stopped)."""
        ...

    def on_frames(self, connection: ConnectionId, frames: Sequence[Frame]) -> None:
        """Frames that arrived together, at least one: for this receiver's indexes, HELLOs for its listened address, or
        UNKNOWNs on a connection it uses. Frames of one connection come in order, and none after its end was reported."""
        ...

    def on_disconnected(self, connection: ConnectionId, reason: str) -> None:
        """A connection this receiver used is gone, and all frames not yet acknowledged may be lost. Not called for a
        connection it released. ``idle``: closed here to make room, which says nothing about the other end; ``closed``:
        the other end did; anything else: a fault of the other end, or what ``drop`` was told."""
        ...


class Endpoint(Protocol):
    """The connections of one worker."""

    def listen(
        self, address: Address, receiver: Receiver, *, bind_to: Address | None = None, shared: bool = False
    ) -> None:
        """Accept connections for a hosted address, the one that HELLOs name. ``bind_to`` is where it is bound when a
        port mapping lets others dial another address than this machine has. ``shared``: something may be bound there already,
        for another address of the same peer.

        Raises Unavailable, naming the address and what to do: port in use, not an address of this machine, too few
        descriptors. Raises Misuse when the address is hosted here already, or may not be bound while links are plain.
        """
        ...

    def unlisten(self, address: Address) -> None:
        """Stop accepting for the address, and close (``unlistened``) the connections accepted where it was bound, unless another
        one shares that; what was sent before still leaves. Unknown addresses are ignored."""
        ...

    def connect(self, remote: Address, receiver: Receiver) -> None:
        """Have a connection that this endpoint dialled to exactly ``remote``; answered by one callback within
        ``connect_timeout``, however often it was asked meanwhile. A remote hosted here is reached without the kernel,
        by the same rules."""
        ...

    def attach(self, receiver: Receiver) -> int:
        """A fresh random 32-bit index, never 0: frames that bear it go to ``receiver``. Raises Unavailable when the
        process holds too many."""
        ...

    def detach(self, index: int) -> None:
        """Forget an index. Later frames that bear it are answered UNKNOWN (rate-limited)."""
        ...

    def authenticated(self, connection: ConnectionId, receiver: Receiver) -> None:
        """``receiver`` finished a handshake or a proof on the connection and uses it from now on. An accepted
        connection must hear this within ``unauthenticated_seconds``, and may carry only few and short frames before."""
        ...

    def release(self, connection: ConnectionId, receiver: Receiver) -> None:
        """``receiver`` uses the connection no more (uses are not counted: one release ends them all). A dialled one
        without users is closed after ``unused_seconds``; an accepted one becomes a stranger's again."""
        ...

    def forget(self, receiver: Receiver) -> None:
        """Everything at once: unlisten, detach and release whatever the receiver holds, and call it no more for it."""
        ...

    def send(self, connection: ConnectionId, frame: bytes, /) -> bool:
        """Queue the bytes of one frame (length prefix included). Frames sent in one loop turn leave together, in order.

        False: the backlog is full or the connection is gone, and the frame was not taken. Raises Misuse for a frame
        that no peer would accept.
        """
        ...

    def source(self, connection: ConnectionId) -> str:
        """From where a connection was accepted: an IP address (of IPv6 the network of its site), ``local`` when its other end is
        hosted here; empty when it was dialled, or is gone."""
        ...

    def drop(self, connection: ConnectionId, reason: str) -> None:
        """Close a connection because of a fault of its other end. All its users hear of it, this caller too."""
        ...

    def counters(self) -> dict[str, int]:
        """How often each named thing happened since the start: ``frames.*``, ``chunks.*`` and ``bytes.*`` sent and
        received, ``connections.*`` made, ``closed.<reason>``, ``dial-failed.<reason>``, ``refused.<reason>``,
        ``unsent.<reason>`` and hints."""
        ...

    def close(self) -> None:
        """Close everything, after passing on what was sent. Takes up to ``linger`` seconds when a peer does not read.
        Idempotent. Receivers are not called back."""
        ...
