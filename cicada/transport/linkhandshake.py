"""How links come to be: dial, HELLO, WELCOME or REFUSED, and the proof of a peer that had dialled us.

A peer is proven when, over a connection that our endpoint dialled to exactly its address, it finished a handshake, or
answered a challenge sealed for the link which it had opened from its side (PROVE, PROVEN: no second handshake).
"""

from __future__ import annotations

import hmac

from cicada.errors import MalformedMessage, PeerFault
from cicada.ids import Address, Peer, peer_at
from cicada.transport.base import ConnectionId
from cicada.transport.link import Link
from cicada.transport.linkcore import LinkCore
from cicada.transport.linkio import DropConnection, Entropy, Proven, Release
from cicada.transport.linktable import Dial, DialPhase
from cicada.transport.linktimers import NEVER, TokenBucket
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import (
    PROTOCOL_VERSION,
    Frame,
    FrameType,
    Hello,
    PlainCipher,
    Refusal,
    Welcome,
    encode_frame,
)

_CHALLENGE_BYTES = 16
_CIPHER = PlainCipher()
"""Until the handshake agrees on keys, every link has the cipher that does nothing."""


class Handshakes:
    """Dials and answers dials. Every link it opens is entered in the core."""

    def __init__(self, core: LinkCore, incarnation: int, *, swarm: str, entropy: Entropy) -> None:
        self._core = core
        self._incarnation = incarnation
        self._swarm = swarm
        self._entropy = entropy
        self._inbound = TokenBucket(core.limits.handshakes_per_second)

    # Dialling

    def prove(self, peer: Peer, now: float) -> None:
        """Answer Proven at once when the proof is kept, else when the dial tells."""
        core = self._core
        if core.is_proven(peer):
            core.out.append(Proven(peer))
            return
        if peer.address == core.own or core.is_full:
            core.unreachable(peer, (), "self" if peer.address == core.own else "busy")
            return
        remote = core.table.remote(peer)
        dial = remote.dial or core.start_dial(remote, now)
        dial.wanted = True

    def on_connected(self, address: Address, connection: ConnectionId, now: float) -> None:
        """Say HELLO; or challenge the peer when it has a link with us already; or let go, when that link is enough."""
        core = self._core
        remote = core.table.remotes.get(address)
        dial = remote.dial if remote is not None else None
        if remote is None or dial is None or dial.phase is not DialPhase.CONNECTING:
            if not core.table.users(connection):
                core.out.append(Release(connection))
            return
        dial.connection = connection
        core.table.use(connection, dial)
        if remote.current is None:
            self._greet(dial, now)
        elif dial.wanted:
            self._challenge(dial, remote.current, now)
        else:
            core.end_dial(dial)

    def on_connect_failed(self, address: Address, reason: str, now: float) -> None:
        """Nobody answers there."""
        remote = self._core.table.remotes.get(address)
        dial = remote.dial if remote is not None else None
        if dial is not None and dial.phase is DialPhase.CONNECTING:
            self._core.fail_dial(dial, reason, now)

    def on_welcome(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """The peer answered at its address: the link is open and the peer proven."""
        dial = self._greeting(connection, frame)
        if dial is None:
            return
        try:
            welcome = decode_body(frame.body, Welcome)
        except MalformedMessage as malformed:
            self._core.report_fault(dial.remote.peer.address, malformed.reason)
            self._core.fail_dial(dial, "malformed", now)
            return
        if welcome.version != PROTOCOL_VERSION:
            self._core.fail_dial(dial, "version", now)
            return
        self._finish(dial, connection, welcome, now)

    def on_refused(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """The other end says no. A busy one is asked again while the dial has time."""
        dial = self._greeting(connection, frame)
        if dial is None:
            return
        try:
            reason = decode_body(frame.body, Refusal).reason
        except MalformedMessage:
            reason = "malformed"
        if reason == "busy":
            self.retry(dial, now)
        else:
            self._core.fail_dial(dial, reason, now)

    def retry(self, dial: Dial, now: float) -> None:
        """Say HELLO again a little later."""
        dial.retry_at = now + self._core.limits.busy_retry
        self._core.arm(dial)

    def wake(self, dial: Dial, now: float) -> None:
        """Say HELLO, or give up."""
        if dial.deadline <= now:
            self._core.fail_dial(dial, "timeout", now)
            return
        if dial.retry_at <= now:
            dial.retry_at = NEVER
            if dial.phase is DialPhase.PROVING and dial.link is not None:
                self._challenge(dial, dial.link, now)
            else:
                self._greet(dial, now)
        if dial.remote.dial is dial:
            self._core.arm(dial)

    # Being dialled

    def on_hello(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """Open an inbound link, or say why not. The same HELLO again gets the same answer."""
        core = self._core
        try:
            hello = decode_body(frame.body, Hello)
        except MalformedMessage as malformed:
            core.report_fault("", malformed.reason)
            if not core.table.users(connection):
                core.out.append(DropConnection(connection, malformed.reason))
            return
        link = self._same_link(connection, hello)
        if link is None:
            objection = self._objection(hello, now)
            index = 0 if objection else core.attach()
            if index == 0:
                self._refuse(connection, hello, objection or "busy")
                return
            link = self._link(peer_at(Address(hello.own)), index, connection, hello, now)
            self._welcome(link)
            core.open_link(link, now)
        else:
            self._welcome(link)

    # Proofs

    def on_prove(self, connection: ConnectionId, frame: Frame) -> None:
        """The peer dialled back and asks whether the link is ours. Garbage is counted: the link is not to blame."""
        link = self._core.table.links.get(frame.index)
        challenge = self._open_proof(link, frame)
        if link is not None and challenge:
            self._core.transmit(connection, link.seal_proof(FrameType.PROVEN, challenge), link.remote)

    def on_proven(self, connection: ConnectionId, frame: Frame) -> None:
        """The answer to a challenge. It counts only on the connection that we dialled for it."""
        core = self._core
        link = core.table.links.get(frame.index)
        answer = self._open_proof(link, frame)
        dial = core.table.remotes[link.peer.address].dial if link is not None else None
        if dial is None or dial.link is not link or dial.connection != connection:
            core.counts["stray"] += 1
        elif hmac.compare_digest(answer, dial.challenge):
            core.counts["proofs"] += 1
            core.remember_proof(dial.remote.peer)
            core.out.append(Proven(dial.remote.peer))
            core.end_dial(dial)
        else:
            core.counts["bad_proof"] += 1

    def on_disowned(self, dial: Dial, now: float) -> None:
        """Who answers at the address does not know the link: it restarted, or somebody else claimed its address.
        The link ends, and a handshake settles who is there."""
        if dial.link is not None:
            self._core.hand_on(dial.link, "disowned", now)

    # Parts

    def _greet(self, dial: Dial, now: float) -> None:
        core = self._core
        if dial.connection is None:
            return
        if dial.index == 0:
            dial.index = core.attach()
            if dial.index == 0:
                core.fail_dial(dial, "busy", now)
                return
            core.table.dials[dial.index] = dial
            dial.deadline = now + core.limits.dial_timeout
        dial.phase = DialPhase.GREETING
        hello = Hello(
            version=PROTOCOL_VERSION,
            swarm=self._swarm,
            dialled=dial.remote.peer.address,
            own=core.own,
            index=dial.index,
            incarnation=self._incarnation,
        )
        frame = encode_frame(FrameType.HELLO, 0, 0, encode(hello))
        core.transmit(dial.connection, frame, dial.remote.peer.address)
        core.arm(dial)

    def _challenge(self, dial: Dial, link: Link, now: float) -> None:
        core = self._core
        if dial.connection is None:
            return
        if dial.phase is not DialPhase.PROVING:
            dial.deadline = now + core.limits.dial_timeout
        dial.phase, dial.link = DialPhase.PROVING, link
        dial.challenge = self._entropy.randbytes(_CHALLENGE_BYTES)
        core.transmit(dial.connection, link.seal_proof(FrameType.PROVE, dial.challenge), link.remote)
        core.arm(dial)

    def _finish(self, dial: Dial, connection: ConnectionId, welcome: Welcome, now: float) -> None:
        core = self._core
        peer, wanted, queue = dial.remote.peer, dial.wanted, dial.take_queue(core.limits)
        link = self._link(peer, dial.index, connection, welcome, now)
        del core.table.dials[dial.index]
        dial.index = 0  # it is the link's now
        core.remember_proof(peer)
        core.open_link(link, now)
        core.end_dial(dial)
        if wanted:
            core.out.append(Proven(peer))
        if queue.bytes:
            core.move(core.table.remote(peer), queue, now)
        else:
            link.expire_unused()
            core.arm(link)

    def _link(
        self, peer: Peer, index: int, connection: ConnectionId, other: Hello | Welcome, now: float
    ) -> Link:
        return Link(
            peer,
            index=index,
            remote_index=other.index,
            connection=connection,
            dialled=isinstance(other, Welcome),
            incarnation=other.incarnation,
            cipher=_CIPHER,
            limits=self._core.limits,
            now=now,
        )

    def _welcome(self, link: Link) -> None:
        body = encode(Welcome(version=PROTOCOL_VERSION, index=link.index, incarnation=self._incarnation))
        frame = encode_frame(FrameType.WELCOME, link.remote_index, 0, body)
        self._core.transmit(link.connection, frame, link.remote)

    def _refuse(self, connection: ConnectionId, hello: Hello, reason: str) -> None:
        self._core.counts["refused"] += 1
        body = encode(Refusal(reason=reason))
        frame = encode_frame(FrameType.REFUSED, hello.index, 0, body)
        self._core.transmit(connection, frame, Address(hello.own))

    def _greeting(self, connection: ConnectionId, frame: Frame) -> Dial | None:
        """The dial that waits for this answer."""
        dial = self._core.table.dials.get(frame.index)
        if dial is None or dial.connection != connection:
            self._core.counts["stray"] += 1
            return None
        return dial

    def _same_link(self, connection: ConnectionId, hello: Hello) -> Link | None:
        """The link that an earlier copy of this HELLO opened."""
        remote = self._core.table.remotes.get(Address(hello.own))
        for link in remote.links() if remote is not None else ():
            if not link.dialled and link.connection == connection and link.remote_index == hello.index:
                return link
        return None

    def _objection(self, hello: Hello, now: float) -> str:
        """Why the HELLO is refused; empty: it is not."""
        core = self._core
        if hello.version != PROTOCOL_VERSION:
            return "version"
        if hello.swarm != self._swarm:
            return "swarm"
        if hello.dialled != core.own:
            return "unknown-address"
        if hello.own == core.own:
            return "self"
        remote = core.table.remotes.get(Address(hello.own))
        inbound = remote.inbound if remote is not None else None
        if inbound is not None and hello.incarnation < inbound.incarnation:
            return "stale"
        is_full = len(core.table.links) - core.table.outbound >= core.limits.max_links
        return "busy" if is_full or not self._inbound.take(now) else ""

    def _open_proof(self, link: Link | None, frame: Frame) -> bytes:
        """The challenge in the frame; empty, and counted, when there is none that the link's other end sealed."""
        try:
            challenge = link.open_proof(frame) if link is not None else b""
        except PeerFault:
            challenge = b""
        if len(challenge) == _CHALLENGE_BYTES:
            return challenge
        self._core.counts["bad_proof"] += 1
        return b""
