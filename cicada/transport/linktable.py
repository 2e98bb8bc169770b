"""Who is linked with us over which connection, and which dials are under way. Bookkeeping: no frames, no time-outs."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from cicada.ids import Address, Peer
from cicada.limits import LinkLimits
from cicada.transport.base import ConnectionId
from cicada.transport.link import Link
from cicada.transport.linkio import Need
from cicada.transport.linkqueues import FairQueue, Waiting
from cicada.transport.linktimers import NEVER
from cicada.wire.codec import Message
from cicada.wire.frames import Hello
from cicada.wire.security import Answering, Dialling


class DialPhase(enum.Enum):
    """How far a dial has come."""

    CONNECTING = "connecting"
    GREETING = "greeting"  # HELLO sent
    PROVING = "proving"  # PROVE sent, for the link that the peer had opened


class Dial:
    """An attempt to reach a peer at its address. ``wanted``: somebody asked for the proof; ``queue`` waits for the
    link; at ``retry_at`` HELLO is said, or said again. ``restarted``: its first connection ended before the answer.
    ``identifies``: somebody asked who lives there; ``is_claimed``: somebody linked with us as that peer; ``afresh``: shake
    hands whatever links there are, with no assumption.
    """

    __slots__ = (
        "afresh", "armed", "challenge", "connection", "deadline", "hello", "host", "identifies", "index", "is_claimed",
        "link", "phase", "queue", "remote", "restarted", "retry_at", "security", "wanted",
    )  # fmt: skip

    def __init__(self, remote: Remote, limits: LinkLimits, deadline: float) -> None:
        self.remote = remote
        self.host = ""  # whose dials into the unknown it counts among
        self.phase = DialPhase.CONNECTING
        self.wanted = False
        self.identifies = False
        self.afresh = False
        self.is_claimed = any(not link.dialled for link in remote.links())
        self.restarted = False
        self.hello = b""  # the frame, once made: a repeated HELLO is the same
        self.security: Dialling | None = None
        self.queue = FairQueue(limits)
        self.connection: ConnectionId | None = None
        self.index = 0
        self.link: Link | None = None
        self.challenge = b""
        self.deadline = deadline
        self.retry_at = NEVER
        self.armed = NEVER

    def wait(self, message: Message, raw: bytes, source: Address | None) -> int:
        """Keep a message for the link. Returns how many messages were dropped for it."""
        return self.queue.push(Waiting(message, raw, source))

    def take_queue(self, limits: LinkLimits) -> FairQueue:
        """What waits, which then waits here no more."""
        queue, self.queue = self.queue, FairQueue(limits)
        return queue

    def next_due(self) -> float:
        """When the dial wants to be woken."""
        return min(self.deadline, self.retry_at)


class HalfOpen:
    """A handshake of somebody who dialled us, until its last message. ``frame`` is our WELCOME, for a repeated HELLO."""

    __slots__ = ("answering", "armed", "connection", "deadline", "frame", "hello", "index", "retry_at")

    def __init__(
        self, hello: Hello, answering: Answering, frame: bytes, index: int, connection: ConnectionId
    ) -> None:
        self.hello = hello
        self.answering = answering
        self.frame = frame
        self.index = index
        self.connection = connection
        self.deadline = NEVER
        self.retry_at = NEVER
        self.armed = NEVER

    def next_due(self) -> float:
        """When it wants to be woken."""
        return min(self.deadline, self.retry_at)


class Remote:
    """One peer as we are linked with it. Both sides may have dialled, so there may be a link of either direction.

    ``candidate`` is an inbound link that will replace ``inbound`` when its other end has sealed a frame.
    ``current`` carries what we send. ``switching``: another link should, once ``current`` is settled.
    """

    __slots__ = ("candidate", "current", "dial", "inbound", "outbound", "peer", "redialled_at", "switching")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.dial: Dial | None = None
        self.outbound: Link | None = None
        self.inbound: Link | None = None
        self.candidate: Link | None = None
        self.current: Link | None = None
        self.switching = False
        self.redialled_at = -NEVER

    def links(self) -> Iterator[Link]:
        """Every open link with the peer."""
        return (link for link in (self.outbound, self.inbound, self.candidate) if link is not None)

    @property
    def is_idle(self) -> bool:
        """Nothing is open and nothing is under way."""
        return self.dial is None and self.outbound is None and self.inbound is None


class LinkTable:
    """Links by index, by peer, and users by connection."""

    def __init__(self, own: Address) -> None:
        self._own = own
        self._needed: dict[Need, frozenset[Peer]] = {}
        self._kept: frozenset[Peer] = frozenset()
        self._users: dict[ConnectionId, dict[Link | Dial | HalfOpen, None]] = {}  # in the order of coming
        self.links: dict[int, Link] = {}
        self.dials: dict[int, Dial] = {}
        self.half_open: dict[int, HalfOpen] = {}
        self.remotes: dict[Address, Remote] = {}
        self.dialling = 0
        self.outbound = 0

    def remote(self, peer: Peer) -> Remote:
        """The peer's row, made when there is none."""
        remote = self.remotes.get(peer.address)
        if remote is None:
            remote = self.remotes[peer.address] = Remote(peer)
        return remote

    def users(self, connection: ConnectionId) -> tuple[Link | Dial | HalfOpen, ...]:
        """The links and dials on a connection."""
        return tuple(self._users.get(connection, ()))

    def use(self, connection: ConnectionId, user: Link | Dial | HalfOpen) -> None:
        """``user`` rides on the connection from now on."""
        self._users.setdefault(connection, {})[user] = None

    def leave(self, connection: ConnectionId, user: Link | Dial | HalfOpen) -> bool:
        """``user`` does not any more. True: it was the last, and the connection can be released."""
        users = self._users.get(connection)
        if users is None:
            return False
        users.pop(user, None)
        if users:
            return False
        del self._users[connection]
        return True

    def cut(self, connection: ConnectionId) -> tuple[Link | Dial | HalfOpen, ...]:
        """The connection is gone. Returns who was on it."""
        return tuple(self._users.pop(connection, ()))

    def add(self, link: Link) -> Link | None:
        """Enter an open link. Returns the one it replaces at once: an older one that we dialled, or older candidate."""
        remote = self.remote(link.peer)
        replaced = None
        if link.dialled:
            replaced, remote.outbound = remote.outbound, link
            self.outbound += 1
        elif remote.inbound is None:
            remote.inbound = link
        else:
            replaced, remote.candidate = remote.candidate, link
        self.links[link.index] = link
        self.use(link.connection, link)
        self.settle(remote)
        return replaced

    def promote(self, link: Link) -> Link | None:
        """A candidate was confirmed and becomes the inbound link. Returns the one it replaces."""
        remote = self.remotes[link.peer.address]
        if remote.candidate is not link:
            return None
        replaced, remote.inbound, remote.candidate = remote.inbound, link, None
        self.settle(remote)
        return replaced

    def remove(self, link: Link) -> bool:
        """Forget a link. True: its connection can be released."""
        remote = self.remotes[link.peer.address]
        if remote.outbound is link:
            remote.outbound = None
        elif remote.inbound is link:
            remote.inbound, remote.candidate = remote.candidate, None
        elif remote.candidate is link:
            remote.candidate = None
        if remote.current is link:
            remote.current = None
        del self.links[link.index]
        self.outbound -= link.dialled
        self.settle(remote)
        return self.leave(link.connection, link)

    def settle(self, remote: Remote) -> Link | None:
        """Choose the link that carries what we send: of two, the one that the lower address dialled, as the other side
        does. The choice changes only when everything sent is acknowledged, so that nothing is overtaken."""
        best = remote.outbound or remote.inbound
        if remote.outbound is not None and remote.inbound is not None and remote.peer.address < self._own:
            best = remote.inbound
        if remote.current is None or remote.current.is_settled:
            remote.current = best
        remote.switching = remote.current is not best
        self._mark(remote)
        return remote.current

    def is_kept(self, peer: Peer) -> bool:
        """Whether links with the peer are kept for any need."""
        return peer in self._kept

    def keep(self, peers: frozenset[Peer], need: Need = Need.RING) -> list[Link]:
        """For this need exactly the current links of ``peers`` are kept. Returns the links for which that is a change."""
        self._needed[need] = peers
        kept = frozenset[Peer]().union(*self._needed.values())
        changed = self._kept ^ kept
        self._kept = kept
        links: list[Link] = []
        for peer in sorted(changed, key=lambda peer: peer.address):
            remote = self.remotes.get(peer.address)
            if remote is not None:
                self._mark(remote)
                links.extend(remote.links())
        return links

    def forget(self, remote: Remote) -> None:
        """Drop the row of a peer with which nothing is open or under way."""
        if remote.is_idle:
            self.remotes.pop(remote.peer.address, None)

    def _mark(self, remote: Remote) -> None:
        kept = remote.peer in self._kept
        for link in remote.links():
            link.kept = kept and link is remote.current
