"""Calling back senders who were told that the mailbox has no room. That word may be lost: the sender probes then."""

from __future__ import annotations

from cicada.ids import Address, Peer
from cicada.limits import DeliveryLimits
from cicada.routing.io import RoomMade, Verdict
from cicada.routing.paths import target_of
from cicada.routing.sessions import ACK, Session
from cicada.wire.fields import DIGEST_BYTES
from cicada.wire.routed import DataAck
from cicada.wire.sealed import AckBody, encode_body

_NOTHING = bytes(DIGEST_BYTES)


class Recalls:
    """The sessions in which no credit is left, the last one of each sender, at most ``recalls``."""

    def __init__(self, own: Peer, boot: int, limits: DeliveryLimits) -> None:
        self._own = own
        self._boot = boot
        self._limits = limits
        self._short: dict[tuple[str, Address], Session] = {}

    def __len__(self) -> int:
        return len(self._short)

    def told(self, session: Session, credit: int) -> None:
        """Its sender is told how many messages more there is room for."""
        sender = (session.peer_id, session.peer.address)
        self._short.pop(sender, None)
        if not credit:
            self._short[sender] = session
            if len(self._short) > self._limits.recalls:
                del self._short[next(iter(self._short))]

    def call(self, made: RoomMade) -> DataAck | None:
        """What tells a sender that there is room again; None when he was not told that there is none."""
        session = self._short.pop((made.peer_id, made.origin), None)
        if session is None:
            return None
        body = AckBody(
            message=0,
            counter=0,
            status=Verdict.ROOM,
            boot=self._boot,
            digest=_NOTHING,
            data_hops=0,
            credit=min(made.credit, self._limits.credit_most),
        )
        counter, sealed = session.seal(ACK, 0, encode_body(body))
        return DataAck(
            target=target_of(session.peer.address),
            origin=self._own.address,
            hops=0,
            index=session.remote_index,
            counter=counter,
            attempt=0,
            copy=0,
            body=sealed,
        )
