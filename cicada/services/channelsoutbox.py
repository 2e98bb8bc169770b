"""What the parts of the channels' machine ask for, gathered in order, and the requests whose answers are awaited."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from cicada.ids import Peer, Place
from cicada.limits import ChannelLimits
from cicada.services.channelsio import ChannelOutput, Dropped
from cicada.services.io import Find, Send
from cicada.wire.channels import ChannelMessage


class Own(NamedTuple):
    """Which message of this peer's application: of which membership, and its number."""

    life: bytes
    number: int


class Sending(NamedTuple):
    """A message on its way. ``until``: then it counts as lost. ``own``: what of this peer's application is in it."""

    channel: str
    peer: Peer
    until: float
    own: Own | None


class Outbox:
    """Numbers what is asked for. ``counts``: what was sent, by class, and what was dropped, by reason."""

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self._last = 0
        self._outputs: list[ChannelOutput] = []
        self._sending: dict[int, Sending] = {}
        self._to: Counter[str] = Counter()
        self._finding: dict[int, str] = {}
        self.counts: Counter[str] = Counter()

    def drain(self) -> list[ChannelOutput]:
        """All that was asked for since the last time."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def tell(self, output: ChannelOutput) -> None:
        """Tell the application."""
        self._outputs.append(output)

    def drop(self, reason: str, channel: str = "") -> None:
        """Count what is dropped, and tell."""
        self.counts[f"dropped:{reason}"] += 1
        self._outputs.append(Dropped(reason, channel))

    def send(self, peer: Peer, message: ChannelMessage, now: float, own: Own | None = None) -> bool:
        """Send a message whose fate matters. False: too much is on its way to that peer already, or to all."""
        if self._to[peer.address] >= self._limits.outstanding or len(self._sending) >= self._limits.sends:
            return False
        self._last += 1
        self._sending[self._last] = Sending(message.channel, peer, now + self._limits.send, own)
        self._to[peer.address] += 1
        self._put(Send(self._last, peer, message))
        return True

    def say(self, peer: Peer, message: ChannelMessage) -> None:
        """Send a message whose fate does not matter."""
        self._put(Send(0, peer, message))

    def find(self, channel: str, place: Place, count: int) -> None:
        """Ask the ring who owns the place of a channel, and who follows, ``count`` peers together."""
        self._last += 1
        self._finding[self._last] = channel
        self.counts["finds"] += 1
        self._outputs.append(Find(self._last, place, count))

    def sent(self, number: int) -> Sending | None:
        """The fate of a message is known."""
        sending = self._sending.pop(number, None)
        if sending is not None:
            self._to[sending.peer.address] -= 1
            if not self._to[sending.peer.address]:
                del self._to[sending.peer.address]
        return sending

    def found(self, number: int) -> str | None:
        """The ring answered: about which channel."""
        return self._finding.pop(number, None)

    def expire(self, now: float) -> list[Sending]:
        """Messages that nobody told the fate of."""
        lost = []
        while self._sending:
            number, oldest = next(iter(self._sending.items()))
            if oldest.until > now:
                break
            self.sent(number)
            lost.append(oldest)
        while len(self._finding) > self._limits.sends:
            del self._finding[next(iter(self._finding))]
        return lost

    def next_deadline(self) -> float | None:
        """When the oldest message counts as lost."""
        return next(iter(self._sending.values())).until if self._sending else None

    def _put(self, output: Send) -> None:
        self.counts[type(output.message).__name__] += 1
        self._outputs.append(output)
