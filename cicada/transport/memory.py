"""The Endpoint without sockets, for tests and simulations in one process: same rules, same framing, any network.

A ``MemoryNetwork`` joins several endpoints on one event loop. Addresses can be cut off, bytes delayed or lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from cicada.errors import Unavailable
from cicada.ids import Address, split_address
from cicada.limits import ENDPOINT, EndpointLimits
from cicada.transport.connection import Connection, Phase
from cicada.transport.descriptors import budget_of
from cicada.transport.hub import Hub
from cicada.transport.strangers import source_of


class MemoryNetwork:
    """Who listens where, and what the network does to those in between."""

    def __init__(self) -> None:
        self.delay = 0.0
        """Seconds every chunk takes; 0 means the next turn of the loop. Order within a connection is kept."""
        self.loses: Callable[[bytes], bool] = lambda _chunk: False
        """Whether a chunk is lost. TCP loses no bytes and goes on, so whatever is lost leaves a torn stream."""
        self._listening: dict[Address, MemoryEndpoint] = {}
        self._cut: set[Address] = set()

    def cut(self, address: Address) -> None:
        """The address answers no dial any more, and connections that were dialled to it fall silent."""
        self._cut.add(address)

    def mend(self, address: Address) -> None:
        """Undo ``cut`` for dials and for chunks sent from now on."""
        self._cut.discard(address)

    def is_cut(self, address: Address) -> bool:
        """Whether the address is cut off."""
        return address in self._cut

    def bind(self, address: Address, endpoint: MemoryEndpoint) -> None:
        """Raises Unavailable when the address is taken."""
        if address in self._listening:
            raise Unavailable(f"cannot listen on {address} (EADDRINUSE): choose another port")
        self._listening[address] = endpoint

    def unbind(self, address: Address) -> None:
        """Nobody listens there any more."""
        self._listening.pop(address, None)

    def listener(self, address: Address) -> MemoryEndpoint | None:
        """Who listens there."""
        return self._listening.get(address)


class Wire:
    """One direction of a connection between two endpoints: bytes under way, and whether the reader takes them."""

    def __init__(
        self, network: MemoryNetwork, dialled: Address, sink: MemoryEndpoint, end: Connection
    ) -> None:
        self._network = network
        self._dialled = dialled
        self._sink = sink
        self._end = end
        self._under_way: deque[bytes] = deque()

    def carry(self, data: bytes) -> bool:
        """Take bytes, as long as the pipe is not full."""
        if len(self._under_way) >= self._sink.limits.high_water_mark:
            return False
        if not self._network.is_cut(self._dialled) and not self._network.loses(data):
            self._under_way.append(data)
            self._schedule(self._deliver)
        return True

    def end_of_stream(self) -> None:
        """The sender closed; heard after all that is under way."""
        if not self._network.is_cut(self._dialled):
            self._under_way.append(b"")
            self._schedule(self._deliver)

    def _schedule(self, call: Callable[[], None]) -> None:
        if self._network.delay:
            self._sink.loop.call_later(self._network.delay, call)
        else:
            self._sink.loop.call_soon(call)

    def _deliver(self) -> None:
        if self._under_way and self._sink.reads(self._deliver):
            self._sink.deliver(self._end, self._under_way.popleft())


class MemoryEndpoint(Hub):
    """One worker's endpoint on a MemoryNetwork. ``descriptors`` is what the process pretends to have."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        network: MemoryNetwork,
        *,
        entropy: Callable[[], int],
        limits: EndpointLimits = ENDPOINT,
        descriptors: int = 1024,
    ) -> None:
        self._budget = budget_of(descriptors, limits)
        super().__init__(
            loop,
            limits=limits,
            entropy=entropy,
            max_connections=self._budget.connections,
            max_strangers=self._budget.strangers,
        )
        self._network = network
        self._wires: dict[Connection, Wire] = {}
        self._deaf = False
        self._unread: list[Callable[[], None]] = []

    def pause(self) -> None:
        """Read nothing until ``resume``, as a stopped process would."""
        self._deaf = True

    def resume(self) -> None:
        """Undo ``pause``; what came meanwhile is read from the next turn of the loop on."""
        self._deaf = False
        unread, self._unread = self._unread, []
        for read in unread:
            self.loop.call_soon(read)

    def reads(self, read: Callable[[], None]) -> bool:
        """Whether this endpoint reads at present. If not, ``read`` is called once it does again."""
        if self._deaf:
            self._unread.append(read)
        return not self._deaf

    def deliver(self, connection: Connection, chunk: bytes) -> None:
        """Bytes came in on a connection; empty: its other end closed it."""
        if chunk and connection.phase is Phase.OPEN:
            self.receive(connection, chunk)
        elif not chunk:
            self._wires.pop(connection, None)
            self._lost(connection, "closed")

    def transmit(self, connection: Connection, data: bytes) -> bool:
        return self._wires[connection].carry(data)

    def _bind(self, address: Address) -> None:
        self._budget.check_listeners(len(self._hosted) + 1)
        self._network.bind(address, self)

    def _unbind(self, address: Address) -> None:
        self._network.unbind(address)

    def _dial(self, connection: Connection, remote: Address) -> None:
        if not self._network.is_cut(remote):
            self.loop.call_soon(self._reach, connection, remote)

    def _reach(self, connection: Connection, remote: Address) -> None:
        """The dial arrives."""
        if connection.phase is not Phase.DIALLING or self._closed:
            return
        other = self._network.listener(remote)
        if other is None:
            self._dial_failed(connection, "refused")
            return
        accepted = other._accepted(source_of(split_address(remote)[0]), remote)
        if accepted is None:
            self._dial_failed(connection, "refused")
            return
        self._wires[connection] = Wire(self._network, remote, other, accepted)
        other._wires[accepted] = Wire(self._network, remote, self, connection)
        self._dialled(connection)

    def _hang_up(self, connection: Connection) -> None:
        wire = self._wires.pop(connection, None)
        if wire is not None:
            wire.end_of_stream()

    def _finish(self) -> None:
        for address in self._bound.values():
            self._network.unbind(address)
        for connection in list(self._wires):
            self._hang_up(connection)
