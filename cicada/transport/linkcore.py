"""What opening, closing and dialling have in common: the tables of one peer's links, and the rules for messages whose
link ended. Shared by Links and its Handshakes; nothing outside uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cicada.errors import PeerFault, Unavailable
from cicada.events import LinkClosed, LinkEvent, LinkOpened, PeerFaulted
from cicada.ids import Address, Peer, Reach, reach_of, split_address
from cicada.limits import LinkLimits
from cicada.tokens import TokenBucket
from cicada.transport.base import ConnectionId
from cicada.transport.link import Link
from cicada.transport.linkio import (
    BUSY,
    Authenticated,
    Connect,
    Dropped,
    Emit,
    IndexSource,
    KeptLost,
    LinkOutput,
    Proven,
    Refused,
    Release,
    Transmit,
    Unreachable,
)
from cicada.transport.linkqueues import Waiting
from cicada.transport.linktable import Dial, DialPhase, HalfOpen, LinkTable, Remote
from cicada.transport.linktimers import NEVER, Alarms
from cicada.transport.strangers import source_of
from cicada.wire.codec import Message
from cicada.wire.frames import Frame, Hello, Welcome
from cicada.wire.security import Credentials, Established, Identified, Met, Unidentified

CHALLENGE_BYTES = 16


class LinkCore:
    """Links, dials, proofs and alarms of one peer. Outputs of the input at hand gather in ``out``. ``reach``: addresses of less are
    not dialled."""

    def __init__(self, own: Address, *, indexes: IndexSource, limits: LinkLimits, reach: Reach) -> None:
        self.own = own
        self._least_reach = max(reach, Reach.MACHINE)
        self.limits = limits
        self.indexes = indexes
        self.table = LinkTable(own)
        self.alarms: Alarms[Link | Dial | HalfOpen] = Alarms()
        self.counts: Counter[str] = Counter()
        self.out: list[LinkOutput] = []
        self.accepted: frozenset[bytes] | None = (
            None  # secrets of the swarm; None: all that handshakes accept
        )
        self._proofs: dict[Peer, Credentials] = {}  # in the order of proving
        self._by_host: dict[str, TokenBucket] = {}  # dials into the unknown

    # Outputs

    def emit(self, event: LinkEvent) -> None:
        """Tell whoever watches."""
        self.out.append(Emit(event))

    def report_fault(self, remote: Address | str, reason: str) -> None:
        """Somebody broke a rule. ``remote`` is empty when nobody said who."""
        self.counts["faults"] += 1
        self.emit(PeerFaulted(remote=remote, reason=reason))

    def transmit(self, connection: ConnectionId, frame: bytes, remote: Address) -> None:
        """Send the peer at ``remote`` a frame that is no link's."""
        self.out.append(Transmit(connection, frame, remote))

    def drop(self, reason: str, count: int) -> None:
        """Messages were dropped for good."""
        if count:
            self.counts[f"dropped.{reason}"] += count
            self.out.append(Dropped(reason, count))

    def unreachable(self, peer: Peer, messages: tuple[Message, ...], reason: str) -> None:
        """Hand messages back; whatever proved the peer proves it no longer, unless it is this one that is BUSY."""
        if reason != BUSY:
            self._forget_proof(peer)
        self.counts["unreachable"] += 1
        self.out.append(Unreachable(peer, messages, reason))

    def count_refusal(self, reason: str) -> None:
        """Somebody was not let in."""
        self.counts["refused"] += 1
        self.counts[f"refused.{reason}"] += 1
        self.out.append(Refused(reason))

    def make_link(
        self,
        peer: Peer,
        index: int,
        connection: ConnectionId,
        other: Hello | Welcome,
        established: Established,
        now: float,
    ) -> Link:
        """The link that a handshake ended in; ``other`` is what the other side said of itself."""
        return Link(
            peer,
            index=index,
            remote_index=other.index,
            connection=connection,
            dialled=isinstance(other, Welcome),
            incarnation=other.incarnation,
            established=established,
            limits=self.limits,
            now=now,
        )

    def open_challenge(self, link: Link | None, frame: Frame) -> bytes:
        """The challenge in a PROVE or PROVEN; empty, and counted, when there is none that the link's other end sealed."""
        try:
            challenge = link.open_proof(frame) if link is not None else b""
        except PeerFault:
            challenge = b""
        if len(challenge) == CHALLENGE_BYTES:
            return challenge
        self.counts["bad_proof"] += 1
        return b""

    # Proofs

    @property
    def proven(self) -> frozenset[Peer]:
        """The peers whose proof is kept."""
        return frozenset(self._proofs)

    def is_proven(self, peer: Peer) -> bool:
        """Whether the peer's proof is kept."""
        return peer in self._proofs

    def proof_of(self, peer: Peer) -> Credentials | None:
        """Who answered at the peer's address, if the proof is kept."""
        return self._proofs.get(peer)

    def last_met(self, peer: Peer) -> Credentials | None:
        """Who was met at the peer's address last: the proof, else the other end of a link."""
        proof = self._proofs.get(peer)
        remote = self.table.remotes.get(peer.address)
        if proof is None and remote is not None and remote.current is not None:
            return remote.current.credentials
        return proof

    def remember_proof(self, peer: Peer, credentials: Credentials) -> None:
        """The peer answered at its address, and showed its record. The oldest proof goes when there are too many."""
        self._forget_proof(peer)
        self._proofs[peer] = credentials
        if credentials.record:
            self.out.append(Met(peer, credentials.record))
        if len(self._proofs) > self.limits.max_proofs:
            self._forget_proof(next(iter(self._proofs)))

    def _forget_proof(self, peer: Peer) -> None:
        self._proofs.pop(peer, None)

    def prove(self, dial: Dial, credentials: Credentials) -> None:
        """The dial showed who lives at its address: tell those who asked."""
        peer = dial.remote.peer
        bucket = self._by_host.get(dial.host)
        if bucket is not None:
            bucket.give_back()
        self.remember_proof(peer, credentials)
        if dial.wanted:
            self.out.append(Proven(peer))
        if dial.identifies:
            self.out.append(Identified(peer, credentials.record))

    # Links

    def open_link(self, link: Link, now: float) -> None:
        """Enter a link, and send over it what waited for one."""
        replaced = self.table.add(link)
        self.counts["opened"] += 1
        self.out.append(Authenticated(link.connection))
        self.emit(LinkOpened(remote=link.peer.address, dialled=link.dialled))
        if replaced is not None:
            self.hand_on(replaced, "replaced", now)
        dial = self.table.remote(link.peer).dial
        if dial is not None and dial.queue.bytes:
            self.move(self.table.remote(link.peer), dial.take_queue(self.limits), now)
        self.arm(link)
        self.end_if_revoked(link, now)

    def end_if_revoked(self, link: Link, now: float) -> None:
        """Close a link whose secret is not accepted any more."""
        if (
            self.accepted is not None
            and link.secret_id not in self.accepted
            and link.index in self.table.links
        ):
            link.close(now, self.out)
            self.hand_on(link, "its secret was revoked", now)

    def attach(self) -> int:
        """A fresh index; 0: the process holds too many."""
        try:
            return self.indexes.attach()
        except Unavailable:
            return 0

    def close_link(self, link: Link, reason: str, now: float) -> None:
        """Forget a link. What it had not finished is still in it."""
        remote = self.table.remotes[link.peer.address]
        released = self.table.remove(link)
        self.alarms.disarm(link)
        self.indexes.detach(link.index)
        self.counts["closed"] += 1
        self.counts["frames_sent"] += link.sent
        self.counts["frames_received"] += link.received
        self.emit(LinkClosed(remote=link.peer.address, reason=reason, left=sum(1 for _ in remote.links())))
        if self.table.is_kept(link.peer) and not any(remote.links()):
            self.out.append(KeptLost(link.peer))
        dial = remote.dial
        if dial is not None and dial.link is link:
            dial.link, dial.phase, dial.retry_at = None, DialPhase.GREETING, now
            self.arm(dial)
        if released:
            self.out.append(Release(link.connection))

    def hand_on(self, link: Link, reason: str, now: float) -> None:
        """Close a link whose peer is not in doubt: what it had not finished goes over another link, or a new dial."""
        self.close_link(link, reason, now)
        remote = self.table.remotes[link.peer.address]
        items = link.take_unfinished()
        if items and not self.move(remote, items, now):
            is_busy = self.obstacle(link.peer, now) == BUSY
            self.unreachable(link.peer, tuple(item.message for item in items), BUSY if is_busy else reason)
        self.table.forget(remote)

    def hand_back(self, link: Link, reason: str, now: float) -> None:
        """Close a link whose peer is in doubt: the upper layers learn of it and choose other ways."""
        self.close_link(link, reason, now)
        self.unreachable(link.peer, link.unfinished(), reason)
        self.table.forget(self.table.remotes[link.peer.address])

    def fault(self, link: Link, reason: str, now: float) -> None:
        """The peer broke a rule on a link: it loses that link."""
        self.report_fault(link.peer.address, reason)
        link.close(now, self.out)
        self.hand_back(link, reason, now)

    def arm(self, thing: Link | Dial | HalfOpen) -> None:
        """Wake a link, dial or handshake when it wants to be woken."""
        self.alarms.arm(thing, thing.next_due())

    # Messages

    def move(self, remote: Remote, items: Iterable[Waiting], now: float) -> bool:
        """Send over the open link; wait for the dial under way; or dial anew. False: that was done a moment ago.

        What was sent once before may arrive twice: the layers above take each message once.
        """
        link = self.table.settle(remote)
        if link is not None:
            dropped = sum(link.send(item.message, item.raw, item.source, now, self.out) for item in items)
            self.arm(link)
        else:
            if remote.dial is None:
                if now - remote.redialled_at < self.limits.redial_interval:
                    return False
                if self.obstacle(remote.peer, now):
                    return False
                remote.redialled_at = now
            dial = remote.dial or self.start_dial(remote, now)
            dropped = sum(dial.queue.push(item) for item in items)
        self.drop("queue-full", dropped)
        return True

    # Dials

    def obstacle(self, peer: Peer, now: float) -> str:
        """Why no dial to the peer may start now; empty: it may."""
        table, limits = self.table, self.limits
        if peer.address == self.own:
            return "self"
        if not self.is_usable(peer.address):
            return "unusable-address"
        most = limits.max_dials + (limits.dials_to_proven if peer in self._proofs else 0)
        if table.dialling >= most or table.outbound + table.dialling >= limits.max_links:
            return BUSY
        bucket = self._by_host.get(self._unknown_host(peer))
        return BUSY if bucket is not None and bucket.ready_at(now) > now else ""

    def _unknown_host(self, peer: Peer) -> str:
        """The host at which it is unknown whether the peer is there; empty when it was proven, or is on this machine. Others can
        name any number of addresses, at each of which a dial is a nuisance to whoever is there instead."""
        is_known = peer in self._proofs or reach_of(peer.address) is Reach.MACHINE
        return "" if is_known else source_of(split_address(peer.address)[0])

    def _charge(self, dial: Dial, now: float) -> None:
        dial.host = host = self._unknown_host(dial.remote.peer)
        if not host:
            return
        bucket = self._by_host.pop(host, None)
        self._by_host[host] = bucket = bucket or TokenBucket(
            self.limits.host_dial_rate, self.limits.host_dials
        )
        bucket.take(now)
        if len(self._by_host) > self.limits.dialled_hosts:
            del self._by_host[next(iter(self._by_host))]

    def is_usable(self, address: Address) -> bool:
        """Whether a peer can be at that address from where this one is. Others must not be able to have it dial the machines
        behind its own router, or the services of its own machine, by naming them."""
        return reach_of(address) >= self._least_reach

    def dial(self, peer: Peer, now: float) -> Dial | str:
        """The dial to the peer that is under way, or else a new one; or why none may start."""
        remote = self.table.remotes.get(peer.address)
        if remote is not None and remote.dial is not None:
            return remote.dial
        return self.obstacle(peer, now) or self.start_dial(self.table.remote(peer), now)

    def start_dial(self, remote: Remote, now: float) -> Dial:
        """Ask for a connection. The endpoint answers within ``dial_timeout``; the deadline is twice that."""
        dial = remote.dial = Dial(remote, self.limits, now + 2 * self.limits.dial_timeout)
        self._charge(dial, now)
        self.table.dialling += 1
        self.counts["dials"] += 1
        self.out.append(Connect(remote.peer.address))
        self.arm(dial)
        return dial

    def restart_dial(self, dial: Dial) -> None:
        """The connection ended before the answer came. It may have been one that others had used, and that its other end
        closed as unused at that moment: that says nothing about the peer, so it is dialled once more."""
        dial.restarted = True
        dial.connection = None
        dial.link = None
        dial.phase = DialPhase.CONNECTING
        dial.retry_at = NEVER
        self.counts["dials_restarted"] += 1
        self.out.append(Connect(dial.remote.peer.address))

    def end_dial(self, dial: Dial) -> None:
        """Forget a dial, however it ended."""
        dial.remote.dial = None
        self.table.dialling -= 1
        self.alarms.disarm(dial)
        if dial.index:
            del self.table.dials[dial.index]
            self.indexes.detach(dial.index)
        if dial.connection is not None and self.table.leave(dial.connection, dial):
            self.out.append(Release(dial.connection))

    def fail_dial(self, dial: Dial, reason: str, now: float) -> None:
        """The peer did not answer at its address. An inbound link with it, if there is one, carries on."""
        self.end_dial(dial)
        self.counts["dials_failed"] += 1
        remote = dial.remote
        if dial.identifies:
            self.out.append(Unidentified(remote.peer, reason))
        items = list(dial.queue)
        if dial.is_claimed:
            self.count_refusal("unanswered")  # somebody claims this address, and nobody answers there
        if self.table.settle(remote) is None:
            self.unreachable(remote.peer, tuple(item.message for item in items), reason)
        else:
            if dial.wanted:
                self.unreachable(remote.peer, (), reason)
            self.move(remote, items, now)
        self.table.forget(remote)
