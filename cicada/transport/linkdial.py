"""Dialling: HELLO, the handshake, and the proof of a peer that had dialled us.

A peer is proven when, over a connection that our endpoint dialled to exactly its address, it finished a handshake, or
answered a challenge sealed for the link which it had opened from its side (PROVE, PROVEN: no second handshake).
"""

from __future__ import annotations

import hmac

from cicada.errors import MalformedMessage, PeerFault
from cicada.ids import Address, Peer
from cicada.transport.base import OUT_OF_DESCRIPTORS, ConnectionId
from cicada.transport.link import Link
from cicada.transport.linkcore import CHALLENGE_BYTES, LinkCore
from cicada.transport.linkio import BUSY, Entropy, Proven, Release
from cicada.transport.linktable import Dial, DialPhase, Remote
from cicada.transport.linktimers import NEVER
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import PROTOCOL_VERSION, Frame, FrameType, Hello, Refusal, Welcome, encode_frame
from cicada.wire.security import Credentials, Established, Identified, LinkSecurity, Unidentified


class Dialler:
    """Reaches peers at their addresses. Every link it opens is entered in the core."""

    def __init__(
        self, core: LinkCore, incarnation: int, *, swarm: str, entropy: Entropy, security: LinkSecurity
    ) -> None:
        self._core = core
        self._incarnation = incarnation
        self._swarm = swarm
        self._entropy = entropy
        self._security = security

    def prove(self, peer: Peer, now: float) -> None:
        """Answer Proven at once when the proof is kept, else when the dial tells."""
        core = self._core
        if core.is_proven(peer):
            core.out.append(Proven(peer))
            return
        dial = core.dial(peer, now)
        if isinstance(dial, str):
            core.unreachable(peer, (), dial)
        else:
            dial.wanted = True

    def identify(self, peer: Peer, now: float) -> None:
        """Answer Identified at once when a proof is kept, else when the dial tells. When the record in it has expired, or will
        before long, a new handshake tells."""
        core = self._core
        proof = core.proof_of(peer)
        if proof is not None and self._security.is_fresh(proof):
            core.out.append(Identified(peer, proof.record))
            return
        dial = core.dial(peer, now)
        if isinstance(dial, str):
            core.out.append(Unidentified(peer, dial))
        else:
            dial.identifies = True

    def dial_back(self, peer: Peer, now: float) -> None:
        """Dial it anew. What comes of it shows at the other end."""
        dial = self._core.dial(peer, now)
        if isinstance(dial, str):
            self._core.count_refusal(f"dial-back-{dial}")
        else:
            dial.afresh = True

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
        link = remote.current
        is_old = link is not None and dial.identifies and not self._security.is_fresh(link.credentials)
        if link is None or dial.afresh or is_old:
            self._greet(dial, now)
        elif dial.wanted or dial.identifies:
            self._challenge(dial, link, now)
        else:
            core.end_dial(dial)

    def on_connect_failed(self, address: Address, reason: str, now: float) -> None:
        """Nobody answers there."""
        remote = self._core.table.remotes.get(address)
        dial = remote.dial if remote is not None else None
        if dial is not None and dial.phase is DialPhase.CONNECTING:
            self._core.fail_dial(dial, BUSY if reason == OUT_OF_DESCRIPTORS else reason, now)

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
        if welcome.version != PROTOCOL_VERSION or dial.security is None:
            self._core.fail_dial(dial, "version", now)
            return
        try:
            established, finish = dial.security.finish(welcome)
            self._check_sequence(dial.remote.peer, established.credentials)
        except PeerFault as fault:
            self._core.report_fault(dial.remote.peer.address, fault.reason)
            self._core.fail_dial(dial, fault.reason, now)
            return
        if finish:
            last = encode_frame(FrameType.FINISH, welcome.index, 0, finish)
            self._core.transmit(connection, last, dial.remote.peer.address)
        self._finish(dial, connection, welcome, established, now)

    def on_refused(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """The other end says no. A busy one is asked again while the dial has time."""
        try:
            reason = decode_body(frame.body, Refusal).reason
        except MalformedMessage:
            reason = "malformed"
        if self._was_in_vain(connection, frame, reason, now):
            return
        dial = self._greeting(connection, frame)
        if dial is None:
            return
        if reason == "busy":
            self.retry(dial, now)
        elif self._security.should_retry(reason) and not dial.afresh:
            dial.afresh = True
            dial.hello = b""
            self._greet(dial, now)
        else:
            self._core.fail_dial(dial, reason, now)

    def on_proven(self, connection: ConnectionId, frame: Frame) -> None:
        """The answer to a challenge. It counts only on the connection that we dialled for it."""
        core = self._core
        link = core.table.links.get(frame.index)
        answer = self._core.open_challenge(link, frame)
        dial = core.table.remotes[link.peer.address].dial if link is not None else None
        if link is None or dial is None or dial.link is not link or dial.connection != connection:
            core.counts["stray"] += 1
        elif hmac.compare_digest(answer, dial.challenge):
            core.counts["proofs"] += 1
            core.prove(dial, link.credentials)
            core.end_dial(dial)
        else:
            core.counts["bad_proof"] += 1

    def on_disowned(self, dial: Dial, now: float) -> None:
        """Who answers at the address does not know the link: it restarted, or somebody else claimed its address.
        The link ends, and a handshake settles who is there."""
        if dial.link is not None:
            self._core.hand_on(dial.link, "disowned", now)

    def _was_in_vain(self, connection: ConnectionId, frame: Frame, reason: str, now: float) -> bool:
        """Whether the last message of our handshake was refused, so that the link which it opened here never was one."""
        link = self._core.table.links.get(frame.index)
        if link is None or not link.dialled or link.received or link.connection != connection:
            return False
        self._core.hand_back(link, "refused" if reason == BUSY else reason, now)
        return True

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

    def _greet(self, dial: Dial, now: float) -> None:
        core = self._core
        if dial.connection is None:
            return
        if dial.index == 0:
            dial.index = core.attach()
            if dial.index == 0:
                core.fail_dial(dial, BUSY, now)
                return
            core.table.dials[dial.index] = dial
            dial.deadline = now + core.limits.dial_timeout
        dial.phase = DialPhase.GREETING
        if not dial.hello:
            dial.hello = self._hello(dial)
        core.transmit(dial.connection, dial.hello, dial.remote.peer.address)
        core.arm(dial)

    def _hello(self, dial: Dial) -> bytes:
        """The frame, with the handshake's first message: IK when it was met before."""
        peer = dial.remote.peer
        hello = Hello(
            version=PROTOCOL_VERSION,
            swarm=self._swarm,
            dialled=peer.address,
            own=self._core.own,
            index=dial.index,
            incarnation=self._incarnation,
        )
        known = self._core.last_met(peer)
        hello, dial.security = self._security.dial(hello, known, dial.afresh)
        return encode_frame(FrameType.HELLO, 0, 0, encode(hello))

    def _challenge(self, dial: Dial, link: Link, now: float) -> None:
        core = self._core
        if dial.connection is None:
            return
        if dial.phase is not DialPhase.PROVING:
            dial.deadline = now + core.limits.dial_timeout
        dial.phase, dial.link = DialPhase.PROVING, link
        dial.challenge = self._entropy.randbytes(CHALLENGE_BYTES)
        core.transmit(dial.connection, link.seal_proof(FrameType.PROVE, dial.challenge), link.remote)
        core.arm(dial)

    def _finish(
        self, dial: Dial, connection: ConnectionId, welcome: Welcome, established: Established, now: float
    ) -> None:
        core = self._core
        peer, queue = dial.remote.peer, dial.take_queue(core.limits)
        link = self._core.make_link(peer, dial.index, connection, welcome, established, now)
        del core.table.dials[dial.index]
        dial.index = 0  # it is the link's now
        core.prove(dial, established.credentials)
        self._expose(dial.remote, established.credentials, now)
        core.open_link(link, now)
        core.end_dial(dial)
        if queue.bytes:
            core.move(core.table.remote(peer), queue, now)
        else:
            link.expire_unused()
            core.arm(link)

    def _expose(self, remote: Remote, proven: Credentials, now: float) -> None:
        """Links whose other end is not who answers at the address are ended."""
        for link in list(remote.links()):
            if link.credentials.peer_id != proven.peer_id:
                self._core.count_refusal("unproven-key")
                link.close(now, self._core.out)
                self._core.hand_on(link, "another key was proven", now)

    def _check_sequence(self, peer: Peer, credentials: Credentials) -> None:
        """Raises PeerFault when the record is older than one that this peer has shown."""
        known = self._core.last_met(peer)
        is_same = known is not None and known.peer_id == credentials.peer_id
        if known is not None and is_same and credentials.sequence < known.sequence:
            raise PeerFault("record-stale")

    def _greeting(self, connection: ConnectionId, frame: Frame) -> Dial | None:
        """The dial that waits for this answer."""
        dial = self._core.table.dials.get(frame.index)
        if dial is None or dial.connection != connection:
            self._core.counts["stray"] += 1
            return None
        return dial
