"""Being dialled: WELCOME or REFUSED, the last message of a handshake, and the answer to a challenge.

Whoever dials claims an address and proves keys. That the address is its own it has yet to prove (see linkdial); but
where others have proven theirs, it gets no link.
"""

from __future__ import annotations

from collections.abc import Callable

from cicada.errors import MalformedMessage, PeerFault
from cicada.ids import Address, is_hidden, peer_at
from cicada.tokens import Shares, TokenBucket
from cicada.transport.base import ConnectionId
from cicada.transport.link import Link
from cicada.transport.linkcore import LinkCore
from cicada.transport.linkio import DropConnection, Release
from cicada.transport.linktable import HalfOpen, Remote
from cicada.transport.linktimers import NEVER
from cicada.transport.strangers import LOCAL, is_loopback
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import PROTOCOL_VERSION, Frame, FrameType, Hello, Refusal, Welcome, encode_frame
from cicada.wire.security import Credentials, LinkSecurity


class Answerer:
    """Answers dials. Every link it opens is entered in the core."""

    def __init__(
        self,
        core: LinkCore,
        incarnation: int,
        *,
        swarm: str,
        security: LinkSecurity,
        source: Callable[[ConnectionId], str],
    ) -> None:
        self._core = core
        self._source = source
        self._incarnation = incarnation
        self._swarm = swarm
        self._security = security
        self._inbound = _bucket(core.limits.handshakes_per_second)
        self._of_loopback = _bucket(core.limits.handshakes_per_loopback)
        each = core.limits.handshakes_per_source
        self._of_source = Shares(each, int(each), core.limits.sources)
        self._rechecks = _bucket(core.limits.rechecks_per_second)

    def on_hello(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """Answer, or say why not. The same HELLO again gets the same answer."""
        core = self._core
        try:
            hello = decode_body(frame.body, Hello)
        except MalformedMessage as malformed:
            core.report_fault("", malformed.reason)
            if not core.table.users(connection):
                core.out.append(DropConnection(connection, malformed.reason))
            return
        if self._answer_again(connection, hello):
            return
        objection = self._objection(hello, connection, now)
        index = 0 if objection else core.attach()
        if index == 0:
            self._refuse(connection, hello, objection or "busy")
            return
        welcome = Welcome(version=PROTOCOL_VERSION, index=index, incarnation=self._incarnation)
        try:
            welcome, answering = self._security.answer(hello, welcome)
            established = answering.established
            if established is not None:
                self._check_claim(hello, established.credentials, now)
        except PeerFault as fault:
            core.indexes.detach(index)
            self._refuse(connection, hello, fault.reason)
            return
        answer = encode_frame(FrameType.WELCOME, hello.index, 0, encode(welcome))
        core.transmit(connection, answer, Address(hello.own))
        if established is not None:
            link = core.make_link(peer_at(Address(hello.own)), index, connection, hello, established, now)
            link.welcome = answer
            self._make_room(now)
            core.open_link(link, now)
        else:
            self._wait(HalfOpen(hello, answering, answer, index, connection), now)

    def on_finish(self, connection: ConnectionId, frame: Frame, now: float) -> None:
        """The last message of a handshake: the link is open. One that cannot be read changes nothing; one that can be and is
        not right ends the handshake."""
        core = self._core
        half = core.table.half_open.get(frame.index)
        if half is None or half.connection != connection:
            core.counts["stray"] += 1
            return
        try:
            established = half.answering.finish(frame.body)
        except PeerFault as fault:
            if half.answering.is_over:
                self._forget(half)
                core.indexes.detach(half.index)
                self._refuse(connection, half.hello, fault.reason)
            else:
                core.count_refusal(fault.reason)
            return
        self._forget(half)
        hello = half.hello
        link = core.make_link(peer_at(Address(hello.own)), half.index, connection, hello, established, now)
        try:
            self._check_claim(hello, established.credentials, now)
        except PeerFault as fault:
            core.count_refusal(fault.reason)
            link.close(now, core.out)
            core.indexes.detach(half.index)
            return
        self._make_room(now)
        core.open_link(link, now)

    def on_prove(self, connection: ConnectionId, frame: Frame) -> None:
        """The peer dialled back and asks whether the link is ours. A challenge that cannot be opened is disowned, and the link
        not to blame: somebody else claimed this address to the peer, by an index that is in use here."""
        link = self._core.table.links.get(frame.index)
        challenge = self._core.open_challenge(link, frame)
        if link is not None and challenge:
            self._core.transmit(connection, link.seal_proof(FrameType.PROVEN, challenge), link.remote)
        else:
            hint = encode_frame(FrameType.UNKNOWN, frame.index, 0, b"")
            self._core.transmit(connection, hint, link.remote if link is not None else self._core.own)

    def wake(self, half: HalfOpen, now: float) -> None:
        """Say WELCOME again when the endpoint had not taken it, or give up."""
        if half.deadline <= now:
            self.give_up(half)
            return
        if half.retry_at <= now:
            half.retry_at = NEVER
            self._core.transmit(half.connection, half.frame, Address(half.hello.own))
        self._core.arm(half)

    def retry(self, half: HalfOpen, now: float) -> None:
        """The endpoint did not take our WELCOME: offer it again a little later."""
        half.retry_at = now + self._core.limits.blocked_retry
        self._core.arm(half)

    def give_up(self, half: HalfOpen) -> None:
        """Its last message did not come in time."""
        self._core.count_refusal("unfinished")
        self._forget(half)
        self._core.indexes.detach(half.index)

    def _wait(self, half: HalfOpen, now: float) -> None:
        """The oldest makes way when there are too many: an honest handshake takes milliseconds, so a flood of others
        displaces itself."""
        core = self._core
        if len(core.table.half_open) >= core.limits.half_open:
            self.give_up(next(iter(core.table.half_open.values())))
        half.deadline = now + core.limits.half_open_seconds
        core.table.half_open[half.index] = half
        core.table.use(half.connection, half)
        core.arm(half)

    def _check_claim(self, hello: Hello, credentials: Credentials, now: float) -> None:
        """Raises PeerFault when whoever proved these keys may not link as the peer whose address it claims. Where another
        key was proven, the address is dialled to see whose it is by now."""
        core = self._core
        peer = peer_at(Address(hello.own))
        proof, remote = core.proof_of(peer), core.table.remotes.get(peer.address)
        links = list(remote.links()) if remote is not None else []
        for known in (proof, *(link.credentials for link in links)):
            if known is not None and known.peer_id != credentials.peer_id:
                self._recheck(core.table.remote(peer), now)
                raise PeerFault("unproven-key")
        if proof is not None and credentials.sequence < proof.sequence:
            self._recheck(core.table.remote(peer), now)  # its clock may have been ahead, and this one's too
            raise PeerFault("record-stale")
        if any(not link.dialled and hello.incarnation < link.incarnation for link in links):
            raise PeerFault("stale")

    def _recheck(self, remote: Remote, now: float) -> None:
        """Whoever claims an address may cause few of these dials, and none while a link that we dialled is open there: an ack over
        it tells as much, and without one the link ends, and the proof with it."""
        core = self._core
        link = remote.outbound
        if link is not None:
            if link.is_settled:
                link.ping(now, core.out)
                core.arm(link)
        elif remote.dial is None and not core.obstacle(remote.peer, now) and self._rechecks.take(now):
            core.start_dial(remote, now).afresh = True
        core.table.forget(remote)

    def _answer_again(self, connection: ConnectionId, hello: Hello) -> bool:
        """Whether the HELLO was a repeated one, which gets the same WELCOME."""
        for user in self._core.table.users(connection):
            if isinstance(user, HalfOpen) and user.hello == hello:
                self._core.transmit(connection, user.frame, Address(hello.own))
                return True
            if isinstance(user, Link) and not user.dialled and user.remote_index == hello.index:
                if user.welcome:
                    self._core.transmit(connection, user.welcome, user.remote)
                return True
        return False

    def _forget(self, half: HalfOpen) -> None:
        core = self._core
        del core.table.half_open[half.index]
        core.alarms.disarm(half)
        if core.table.leave(half.connection, half):
            core.out.append(Release(half.connection))

    def _refuse(self, connection: ConnectionId, hello: Hello, reason: str) -> None:
        self._core.count_refusal(reason)
        body = encode(Refusal(reason=reason))
        frame = encode_frame(FrameType.REFUSED, hello.index, 0, body)
        self._core.transmit(connection, frame, Address(hello.own))

    def _objection(self, hello: Hello, connection: ConnectionId, now: float) -> str:
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
        if not is_hidden(hello.own) and not core.is_usable(Address(hello.own)):
            return "unusable-address"
        try:
            self._security.screen(hello)  # before it uses up what is there for those who may link
        except PeerFault as fault:
            return fault.reason
        if not (self._has_share(self._source(connection), now) and self._inbound.take(now)):
            return "busy"
        return "busy" if self._is_full and self._least() is None else ""

    def _has_share(self, source: str, now: float) -> bool:
        """What one source asks for beyond its share is refused before it uses up anything of the others'."""
        if source == LOCAL:
            return True
        return self._of_loopback.take(now) if is_loopback(source) else self._of_source.take(source, now)

    @property
    def _is_full(self) -> bool:
        table = self._core.table
        return len(table.links) - table.outbound >= self._core.limits.max_links

    def _least(self) -> Link | None:
        """The inbound link that makes way for another: the oldest whose peer nobody proved and nobody needs."""
        core = self._core
        for link in core.table.links.values():
            if not (link.dialled or link.kept or core.is_proven(link.peer)):
                return link
        return None

    def _make_room(self, now: float) -> None:
        """Addresses cost nothing to claim, so whoever fills the table with claims must not keep others out."""
        link = self._least() if self._is_full else None
        if link is not None:
            link.close(now, self._core.out)
            self._core.hand_on(link, "made room", now)


def _bucket(rate: float) -> TokenBucket:
    """So many a second, and as many at once."""
    return TokenBucket(rate, int(rate))
