"""Ways around next hops that were lost: a message does not go over a peer that failed it already."""

from __future__ import annotations

from cicada.ids import Peer
from cicada.limits import DeliveryLimits
from cicada.wire.routed import (
    BroadcastTaken,
    Contact,
    ContactReply,
    Data,
    DataAck,
    GetRecord,
    NoSuchPeer,
    NoSuchSession,
    PutRecord,
    RecordIs,
    RoutedMessage,
)


class Detours:
    """The failed next hops of the messages that were re-routed last, at most ``detours`` of them."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._failed: dict[tuple[object, ...], frozenset[Peer]] = {}

    def __len__(self) -> int:
        return len(self._failed)

    def failed(self, message: RoutedMessage, peer: Peer) -> frozenset[Peer]:
        """``peer`` did not take the message. All that ever failed it, as far as remembered."""
        key = _identity(message)
        failed = self._failed.pop(key, frozenset()) | {peer}
        self._failed[key] = failed
        if len(self._failed) > self._limits.detours:
            del self._failed[next(iter(self._failed))]
        return failed


def _identity(message: RoutedMessage) -> tuple[object, ...]:
    """What stays the same while a message travels, and differs between two copies."""
    common = (type(message), message.target, message.origin, message.way)
    match message:
        case PutRecord():
            return (*common, message.about, message.is_copy)
        case Contact() | ContactReply() | GetRecord() | RecordIs():
            return (*common, message.request)
        case Data() | DataAck():
            return (*common, message.index, message.counter, message.copy)
        case NoSuchPeer():
            return (*common, message.place, message.request, message.index, message.counter)
        case NoSuchSession():
            return (*common, message.index, message.counter)
        case BroadcastTaken():
            return (*common, message.id)
