"""The TransportActor: the pump around a peer's links, and its attachment to the worker's endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, get_args

from cicada.actors.family import Ref
from cicada.actors.obstruction import FaultsChanged, Obstruction
from cicada.actors.pump import Pump, Surroundings
from cicada.actors.watch import Meter
from cicada.chord import io as ring
from cicada.ids import Address, is_hidden
from cicada.limits import ACTOR
from cicada.routing import io as routing
from cicada.transport import linkio
from cicada.transport.base import ConnectionId, Endpoint
from cicada.transport.faults import NO_FAULTS, FaultTable
from cicada.transport.links import Links
from cicada.wire.frames import Frame
from cicada.wire.ring import RingMessage
from cicada.wire.security import Identified, LinkSecurity, Met, Unidentified

_FEW = 8
_RING = frozenset(get_args(RingMessage))


class Attachment:
    """What one peer holds of the endpoint: its listener, indexes and connections. It outlives crashes of the actor it
    serves, so that nothing of a dead one stays behind (``reset``) and the address stays taken."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._target: Ref | None = None
        self.is_cut = False
        self.faults = NO_FAULTS
        self.links: Links | None = None  # of the actor it serves, to be looked at
        self._indexes: set[int] = set()
        self._connections: set[ConnectionId] = set()

    def serve(self, target: Ref) -> None:
        """From now on callbacks go to this actor."""
        self._target = None if self.is_cut else target

    def cut(self) -> None:
        """From now on nothing is sent or received, as if the process had died."""
        self.is_cut = True
        self.reset()

    def set_faults(self, table: FaultTable) -> None:
        """These faults are in force from now on, as far as they concern the peer."""
        self.faults = table
        if self._target is not None:
            self._target.tell(FaultsChanged(table))

    def attach(self) -> int:
        index = self.endpoint.attach(self)
        self._indexes.add(index)
        return index

    def detach(self, index: int) -> None:
        self._indexes.discard(index)
        self.endpoint.detach(index)

    def authenticated(self, connection: ConnectionId) -> None:
        """A handshake finished on the connection."""
        self._connections.add(connection)
        self.endpoint.authenticated(connection, self)

    def release(self, connection: ConnectionId) -> None:
        """The peer has no more use for the connection."""
        self._connections.discard(connection)
        self.endpoint.release(connection, self)

    def reset(self) -> None:
        """Give back everything but the listener."""
        self._target = None
        self.links = None
        for index in self._indexes:
            self.endpoint.detach(index)
        self._indexes.clear()
        for connection in self._connections:
            self.endpoint.release(connection, self)
        self._connections.clear()

    def on_connected(self, remote: Address, connection: ConnectionId) -> None:
        if self._target is None:
            self.endpoint.release(connection, self)
        else:
            self._connections.add(connection)
            self._target.tell(linkio.Connected(remote, connection))

    def on_connect_failed(self, remote: Address, reason: str) -> None:
        if self._target is not None:
            self._target.tell(linkio.ConnectFailed(remote, reason))

    def on_frames(self, connection: ConnectionId, frames: Sequence[Frame]) -> None:
        if self._target is not None:
            self._target.tell(linkio.FramesArrived(connection, frames))

    def on_disconnected(self, connection: ConnectionId, reason: str) -> None:
        self._connections.discard(connection)
        if self._target is not None:
            self._target.tell(linkio.Disconnected(connection, reason))


class TransportActor(Pump[Links]):
    """Dials, shakes hands, seals and opens frames, by the rules of Links.

    It reads no more frames than the Router is ready for. Those that wait are not acknowledged, so the windows of the links
    fill, and whoever sends too much sheds it, by the rules of FairQueue.
    """

    bulk = frozenset({routing.Forward})

    def __init__(
        self,
        around: Surroundings,
        attachment: Attachment,
        incarnation: int,
        swarm: str,
        security: LinkSecurity,
    ) -> None:
        super().__init__(around, linkio.TimerFired())
        self._attachment = attachment
        self._incarnation = incarnation
        self._swarm = swarm
        self._security = security
        self._send = attachment.endpoint.send
        self._not_taken: list[linkio.NotTaken] = []
        self._obstruction: Obstruction | None = None
        self._meter: Meter | None = None

    def make_core(self) -> Links:
        self._attachment.serve(self.actor_ref)
        links = self._attachment.links = Links(
            self.around.own.address,
            self._incarnation,
            swarm=self._swarm,
            indexes=self._attachment,
            entropy=self.around.entropy,
            security=self._security,
            reach=self.around.reach if is_hidden(self.around.own.address) else None,
            sample=None if self.around.watch is None else self.around.watch.sample,
            source=self._attachment.endpoint.source,
        )
        return links

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        attachment = self._attachment
        to_ring = self.to_ring.append
        return {
            linkio.Transmit: self.carry_frame,
            linkio.RoutedReceived: self.to_router.append,
            linkio.RingReceived: lambda output: to_ring(ring.MessageReceived(output.sender, output.message)),
            linkio.LodgingReceived: self._lodging,
            linkio.KeptLost: lambda output: self.to_router.append(routing.RelayLost(output.peer)),
            linkio.Proven: lambda output: to_ring(ring.PeerProven(output.peer)),
            linkio.Unreachable: self._unreachable,
            **dict.fromkeys((Met, Identified, Unidentified), self.to_crypto.append),
            linkio.Connect: self.carry_connect,
            linkio.Release: self.carry_release,
            linkio.Authenticated: self.authenticated,
            linkio.DropConnection: lambda output: attachment.endpoint.drop(output.connection, output.reason),
            linkio.Dropped: self._dropped,
            linkio.Refused: self._refused,
            linkio.Emit: lambda output: self.publish(output.event),
            linkio.HopBegun: self._tell_hop,
        }

    def specials(self) -> dict[type, Callable[[Any], object]]:
        return {FaultsChanged: lambda change: self._obstruct(change.table)}

    def on_start(self) -> None:
        super().on_start()
        self._obstruct(self._attachment.faults)
        if self.around.watch is not None:
            self._meter = Meter(self.around, self.around.watch, self.core)

    def take(self, queue: deque[Any], limit: int) -> None:
        limit = limit if len(queue) < _FEW else self._bearable(queue, limit)
        super().take(queue, limit)

    def end_turn(self) -> None:
        waiting, self._not_taken = self._not_taken, []
        for frame in waiting:
            self.feed(frame)
        super().end_turn()

    def on_stop(self) -> None:
        super().on_stop()
        self._tell_no_more()
        if not self._attachment.is_cut:
            self.feed(linkio.CloseAll("stopped"))
            if self._obstruction is not None:
                self._obstruction.end()

    def on_failure(self, *reason: object) -> None:
        super().on_failure(*reason)
        self._tell_no_more()

    def _bearable(self, queue: deque[Any], limit: int) -> int:
        """How many of the first ``limit`` inputs the Router can bear the messages of."""
        room = ACTOR.ahead - (self.wired.router.backlog if self.wired is not None else 0)
        for count, item in enumerate(islice(queue, limit)):
            if type(item) is linkio.FramesArrived:
                if room <= 0:
                    return count
                room -= len(item.frames)
        return limit

    # What an obstruction may stand before

    def carry_frame(self, output: linkio.Transmit) -> None:
        connection = output.connection
        if (self._not_taken and self.is_behind(connection)) or not self._send(connection, output.frame):
            self.hand_back(output)

    def carry_late(self, output: linkio.Transmit) -> bool:
        return self._send(output.connection, output.frame)

    def carry_connect(self, output: linkio.Connect) -> None:
        self._attachment.endpoint.connect(output.remote, self._attachment)

    def carry_release(self, output: linkio.Release) -> None:
        self._attachment.release(output.connection)

    def hand_back(self, output: linkio.Transmit) -> None:
        self._not_taken.append(linkio.NotTaken(output.connection, output.frame))

    def is_behind(self, connection: ConnectionId) -> bool:
        return any(waiting.connection == connection for waiting in self._not_taken)

    def clear_the_way(self) -> None:
        self._obstruction = None
        self.divert({}, {})

    def authenticated(self, output: linkio.Authenticated) -> None:
        """A handshake finished."""
        self._attachment.authenticated(output.connection)

    def _obstruct(self, table: FaultTable) -> None:
        about = table.about(self.around.own.address)
        if self._obstruction is None:
            if not about.rules:
                return
            self._obstruction = Obstruction(self)
            self.divert(self._obstruction.carriers(), self._obstruction.specials())
        self._obstruction.change(about)

    def _tell_hop(self, output: linkio.HopBegun) -> None:
        if self._meter is not None:
            self._meter.tell_hop(output)

    def _tell_no_more(self) -> None:
        if self._meter is not None:
            self._meter.close()

    def _unreachable(self, output: linkio.Unreachable) -> None:
        lost = output.undelivered
        self.to_ring.append(
            ring.PeerUnreachable(
                output.peer,
                tuple(m for m in lost if type(m) in _RING),  # type: ignore[misc]
                output.reason,
            )
        )
        self.to_router.append(
            routing.NextHopLost(output.peer, tuple(m for m in lost if type(m) not in _RING))  # type: ignore[misc]
        )

    def _lodging(self, output: linkio.LodgingReceived) -> None:
        source = self._attachment.endpoint.source(output.connection)
        self.to_router.append(routing.LodgingHeard(output.sender, output.message, source))

    def _refused(self, output: linkio.Refused) -> None:
        self.around.refusals[output.reason] += 1

    def _dropped(self, output: linkio.Dropped) -> None:
        self.around.tally[output.reason] += output.count
