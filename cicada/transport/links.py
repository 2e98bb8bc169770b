"""Links of one hosted peer with the others: a pure state machine that the transport actor pumps.

Every input goes through ``handle``, which returns what is to be done, in order. Links are opened by sending or proving
and end by themselves; whatever a link had not finished is moved to another link, or handed back in Unreachable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from typing import get_args

from cicada.errors import PeerFault
from cicada.ids import Address, Peer, Reach, reach_of
from cicada.limits import LINK, LinkLimits
from cicada.transport.base import ConnectionId
from cicada.transport.link import MAX_MESSAGE, Link
from cicada.transport.linkanswer import Answerer
from cicada.transport.linkcore import LinkCore
from cicada.transport.linkdial import Dialler
from cicada.transport.linkio import (
    CloseAll,
    Connected,
    ConnectFailed,
    DialBack,
    Disconnected,
    Entropy,
    FramesArrived,
    HopBegun,
    IndexSource,
    Keep,
    LinkInput,
    LinkOutput,
    LinksSnapshot,
    LodgingReceived,
    NotTaken,
    Prove,
    Revoke,
    RingReceived,
    RoutedReceived,
    SendMessage,
    TimerFired,
)
from cicada.transport.linktable import Dial, DialPhase, HalfOpen
from cicada.wire.codec import Message, decode, encode
from cicada.wire.frames import PREFIXED, Frame, FrameType
from cicada.wire.routed import LodgingMessage, RouterMessage
from cicada.wire.security import Identify, LinkSecurity
from cicada.wire.trips import FAMILIES, Sample

_DATA, _PING, _CLOSE = FrameType.DATA, FrameType.PING, FrameType.CLOSE
_BARE = frozenset({FrameType.ACK, _PING, FrameType.REKEY, _CLOSE})
_ROUTED = frozenset(get_args(RouterMessage))
_LODGING = frozenset(get_args(LodgingMessage))
_IDLE = "idle"


class Links:
    """All links of the peer at ``own``. ``incarnation`` rises with each life of the peer; ``swarm`` must be equal on
    both ends. ``entropy`` must be the operating system's except in simulations; ``security`` makes the handshakes. Peers at
    addresses of less ``reach`` are not dialled (None: than ``own`` has). HopBegun is put out for the trips that ``sample`` holds
    (None: for none). ``source`` says from where a connection comes (None: each from somewhere else)."""

    def __init__(
        self,
        own: Address,
        incarnation: int,
        *,
        swarm: str,
        indexes: IndexSource,
        entropy: Entropy,
        security: LinkSecurity,
        limits: LinkLimits = LINK,
        reach: Reach | None = None,
        sample: Sample | None = None,
        source: Callable[[ConnectionId], str] | None = None,
    ) -> None:
        least = reach_of(own) if reach is None else reach
        self._core = core = LinkCore(own, indexes=indexes, limits=limits, reach=least)
        self._dialler = Dialler(core, incarnation, swarm=swarm, entropy=entropy, security=security)
        self._answerer = Answerer(
            core, incarnation, swarm=swarm, security=security, source=str if source is None else source
        )
        self._links = core.table.links
        self._remotes = core.table.remotes
        self._sample = Sample() if sample is None else sample
        self._soonest_timeout = limits.timeout_floor
        self._soonest_ack = limits.ack_delay

    def handle(self, event: LinkInput, now: float) -> list[LinkOutput]:
        """What follows from ``event`` at ``now`` (monotonic seconds). Total: nothing a remote peer sends raises."""
        out = self._core.out = []
        if isinstance(event, FramesArrived):
            self._on_frames(event.connection, event.frames, now)
        elif isinstance(event, SendMessage):
            self._on_send(event.peer, event.message, event.source, now)
        elif isinstance(event, TimerFired):
            self._on_timer(now)
        elif isinstance(event, Prove):
            self._dialler.prove(event.peer, now)
        elif isinstance(event, Identify):
            self._dialler.identify(event.peer, now)
        elif isinstance(event, DialBack):
            self._dialler.dial_back(event.peer, now)
        elif isinstance(event, Keep):
            for link in self._core.table.keep(event.peers, event.need):
                self._core.arm(link)
        elif isinstance(event, Revoke):
            self._on_revoke(event.accepted, now)
        else:
            self._on_endpoint(event, now)
        return out

    def next_deadline(self) -> float | None:
        """When TimerFired is due; None: never, as things stand."""
        return self._core.alarms.next()

    def indexes(self) -> tuple[int, ...]:
        """The indexes that were attached and not detached: whoever throws Links away detaches them."""
        table = self._core.table
        return (*self._links, *table.dials, *table.half_open)

    def counters(self) -> dict[str, int]:
        """How often each named thing happened since the start: links, dials, proofs, faults, drops, frames."""
        counts = dict(self._core.counts)
        counts["frames_sent"] = counts.get("frames_sent", 0) + sum(link.sent for link in self._links.values())
        received = sum(link.received for link in self._links.values())
        counts["frames_received"] = counts.get("frames_received", 0) + received
        return counts

    def take_traffic(self) -> dict[Address, list[int]]:
        """How many messages of each family (FAMILIES) the links to each peer transmitted since this was asked the last time. A link
        that has ended since is not in it."""
        taken: dict[Address, list[int]] = {}
        for link in self._links.values():
            if any(link.traffic):
                before = taken.get(link.remote)
                taken[link.remote] = link.traffic if before is None else list(map(add, before, link.traffic))
                link.traffic = [0] * len(FAMILIES)
        return taken

    @property
    def count(self) -> int:
        """Open links."""
        return len(self._links)

    def round_trip(self, address: Address) -> float:
        """Seconds to the peer at this address and back, 0 where no link says so."""
        remote = self._remotes.get(address)
        return remote.current.round_trip if remote is not None and remote.current is not None else 0.0

    def snapshot(self) -> LinksSnapshot:
        """All links at this instant."""
        return LinksSnapshot(
            links=tuple(link.row() for link in self._links.values()),
            dialling=tuple(row.peer for row in self._remotes.values() if row.dial is not None),
            proven=self._core.proven,
        )

    # Sending

    def _on_send(self, peer: Peer, message: Message, source: Peer | None, now: float) -> None:
        core = self._core
        if self._sample.is_open and self._sample.holds(message):
            core.out.append(HopBegun(peer, message))
        raw = encode(message)
        if len(raw) > MAX_MESSAGE:
            core.drop("too-large", 1)
            return
        origin = None if source is None else source.address
        remote = self._remotes.get(peer.address)
        link = None if remote is None else core.table.settle(remote) if remote.switching else remote.current
        if link is None:
            self._send_by_dial(peer, message, raw, origin, now)
            return
        dropped = link.send(message, raw, origin, now, core.out)
        if dropped:
            core.drop("queue-full", dropped)
        if link.armed > now + self._soonest_timeout:
            core.arm(link)

    def _send_by_dial(
        self, peer: Peer, message: Message, raw: bytes, source: Address | None, now: float
    ) -> None:
        core = self._core
        if peer.address == core.own:
            core.drop("self", 1)
            return
        dial = core.dial(peer, now)
        if isinstance(dial, str):
            core.unreachable(peer, (message,), dial)
        else:
            core.drop("queue-full", dial.wait(message, raw, source))

    # Frames

    def _on_frames(self, connection: ConnectionId, frames: Sequence[Frame], now: float) -> None:
        """Most often many frames of one link: what follows from them all is done once, after the last."""
        out = self._core.out
        link: Link | None = None
        for frame in frames:
            if link is None or frame.index != link.index:
                if link is not None:
                    self._after_data(link, now)
                link = self._links.get(frame.index)
                if link is not None and link.connection != connection:
                    link = None
            if link is None or frame.type is not _DATA:
                self._on_other_frame(connection, link, frame, now)
                link = None
            else:
                try:
                    message = decode(link.open(frame, now))
                    link.owe_ack(frame, now)
                    kind = type(message)
                    if kind in _ROUTED:
                        out.append(RoutedReceived(link.peer, message))  # type: ignore[arg-type]  # as its type says
                    elif kind in _LODGING:
                        out.append(LodgingReceived(link.peer, message, connection))  # type: ignore[arg-type]
                    else:
                        out.append(RingReceived(link.peer, message))  # type: ignore[arg-type]
                except PeerFault as fault:
                    self._core.fault(link, fault.reason, now)
                    link = None
        if link is not None:
            self._after_data(link, now)

    def _after_data(self, link: Link, now: float) -> None:
        core = self._core
        if link.owes_too_much:
            link.acknowledge(now, core.out)
        if not link.confirmed:
            self._confirm(link, now)
        if link.waits:
            link.flush(now, core.out)
        if link.armed > now + self._soonest_ack:
            core.arm(link)

    def _on_other_frame(self, connection: ConnectionId, link: Link | None, frame: Frame, now: float) -> None:
        if link is None or frame.type not in _BARE:
            self._on_loose_frame(connection, frame, now)
            return
        try:
            self._on_bare_frame(link, frame, now)
        except PeerFault as fault:
            self._core.fault(link, fault.reason, now)

    def _on_bare_frame(self, link: Link, frame: Frame, now: float) -> None:
        core = self._core
        link.open(frame, now)
        if frame.type is _CLOSE:
            core.hand_on(link, "closed by peer", now)
            return
        if not link.confirmed:
            self._confirm(link, now)
        if frame.type is _PING:
            link.owe_ack(frame, now)
            link.acknowledge(now, core.out)
        elif frame.type is FrameType.REKEY:
            link.rekeyed()
        link.flush(now, core.out)
        core.arm(link)

    def _on_loose_frame(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """A frame that belongs to no link, or came over another connection than its link's."""
        kind = frame.type
        if kind == FrameType.HELLO:
            self._answerer.on_hello(connection, frame, now)
        elif kind == FrameType.WELCOME:
            self._dialler.on_welcome(connection, frame, now)
        elif kind == FrameType.FINISH:
            self._answerer.on_finish(connection, frame, now)
        elif kind == FrameType.REFUSED:
            self._dialler.on_refused(connection, frame, now)
        elif kind == FrameType.PROVE:
            self._answerer.on_prove(connection, frame)
        elif kind == FrameType.PROVEN:
            self._dialler.on_proven(connection, frame)
        elif kind == FrameType.UNKNOWN:
            self._on_unknown(connection, frame.index, now)
        else:
            self._core.counts["stray"] += 1

    def _on_unknown(self, connection: ConnectionId, remote_index: int, now: float) -> None:
        """The other end lost a link, because it restarted. A hint in clear, so only from the link's own connection."""
        for user in self._core.table.users(connection):
            if isinstance(user, Dial):
                if user.link is not None and user.link.remote_index == remote_index:
                    self._dialler.on_disowned(user, now)
            elif isinstance(user, Link) and user.remote_index == remote_index:
                self._core.hand_on(user, "unknown to peer", now)

    def _confirm(self, link: Link, now: float) -> None:
        """The other end of an inbound link sealed a frame: the link takes the place of an older one."""
        link.confirmed = True
        link.welcome = b""
        replaced = self._core.table.promote(link)
        if replaced is not None:
            replaced.close(now, self._core.out)
            self._core.hand_on(replaced, "replaced", now)

    # Connections

    def _on_endpoint(
        self, event: Connected | ConnectFailed | Disconnected | NotTaken | CloseAll, now: float
    ) -> None:
        match event:
            case Connected(remote, connection):
                self._dialler.on_connected(remote, connection, now)
            case ConnectFailed(remote, reason):
                self._dialler.on_connect_failed(remote, reason, now)
            case Disconnected(connection, reason):
                self._on_disconnected(connection, reason, now)
            case NotTaken(connection, frame):
                self._on_not_taken(connection, frame, now)
            case CloseAll(reason):
                self._on_close_all(reason, now)

    def _on_disconnected(self, connection: ConnectionId, reason: str, now: float) -> None:
        """Links first: what they had not finished may then wait for a dial, whose end is the only one reported."""
        core = self._core
        users = core.table.cut(connection)
        for link in users:
            if isinstance(link, Link):
                remote = self._remotes[link.peer.address]
                elsewhere = any(other.connection != connection for other in remote.links())
                if reason == _IDLE or elsewhere or remote.dial is not None:
                    core.hand_on(link, reason, now)
                else:
                    core.hand_back(link, reason, now)
        for half in users:
            if isinstance(half, HalfOpen):
                self._answerer.give_up(half)
        for dial in users:
            if isinstance(dial, Dial) and dial.remote.dial is dial:
                if reason in (_IDLE, "closed") and not dial.restarted:
                    core.restart_dial(dial)
                else:
                    core.fail_dial(dial, reason, now)

    def _on_not_taken(self, connection: ConnectionId, frame: bytes, now: float) -> None:
        core = self._core
        core.counts["not_taken"] += 1
        _, _, index, _ = PREFIXED.unpack_from(frame)
        for user in core.table.users(connection):
            if isinstance(user, Dial):
                if user.phase is not DialPhase.CONNECTING:
                    self._dialler.retry(user, now)
            elif isinstance(user, HalfOpen):
                if user.hello.index == index:
                    self._answerer.retry(user, now)
            elif user.remote_index == index:
                user.hold(frame, now)
                core.arm(user)

    def _on_revoke(self, accepted: frozenset[bytes], now: float) -> None:
        self._core.accepted = accepted
        for link in list(self._links.values()):
            self._core.end_if_revoked(link, now)

    def _on_close_all(self, reason: str, now: float) -> None:
        core = self._core
        for half in list(core.table.half_open.values()):
            self._answerer.give_up(half)
        for remote in list(self._remotes.values()):
            if remote.dial is not None:
                core.drop("closed", len(remote.dial.queue))
                core.end_dial(remote.dial)
            for link in list(remote.links()):
                link.close(now, core.out)
                core.close_link(link, reason, now)
                core.drop("closed", len(link.unfinished()))
            core.table.forget(remote)

    # Time

    def _on_timer(self, now: float) -> None:
        core = self._core
        for thing in core.alarms.due(now):
            if isinstance(thing, Dial):
                if thing.remote.dial is thing:
                    self._dialler.wake(thing, now)
            elif isinstance(thing, HalfOpen):
                self._answerer.wake(thing, now)
            elif thing.index in self._links:
                self._wake_link(thing, now)

    def _wake_link(self, link: Link, now: float) -> None:
        core = self._core
        if link.timed_out(now):
            link.close(now, core.out)
            core.hand_back(link, "timeout", now)
        elif link.is_idle(now):
            link.close(now, core.out)
            core.hand_on(link, _IDLE, now)
        else:
            link.wake(now, core.out)
            core.arm(link)
