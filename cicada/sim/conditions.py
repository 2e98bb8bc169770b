"""What a network does to what it carries, as values; and who is cut off from whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from cicada.errors import Misuse
from cicada.ids import Address, Peer
from cicada.limits import LINK, LinkLimits

Span = tuple[float, float]
"""From and to, in seconds; drawn uniformly."""

Cut = Callable[[Peer, Peer], bool]
"""Whether nothing of what the first peer sends reaches the second. Answers the same whenever it is asked."""

Rule = Callable[[Peer, Peer], "Conditions | None"]
"""What the way from the first peer to the second is like; None: like all others. Answers the same whenever it is asked."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How links between two peers behave. Seconds, and shares from 0 to 1 of the transmissions that it happens to.

    A link is an ordered stream that repeats what was lost: ``loss`` and ``slow`` delay a message and all behind it.
    ``duplication`` and ``reordering`` break the promise of the stream and hand messages straight to the cores, twice or
    overtaken, which the product does only when a link is replaced.
    """

    latency: Span = (0.001, 0.01)  # one way; a local network. A guess, the same as in all tests before
    loss: float = 0.0
    slow: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    extra_delay: Span = (0.05, 0.5)  # of slow and of overtaken messages, on top of the latency
    retransmission: float = 0.2  # the first; doubled with each further one (Linux: TCP_RTO_MIN)
    void: Span = (0.02, 2.0)  # until a dial that nobody answers has failed (2.0: ENDPOINT.connect_timeout)
    refusal: Span | None = (
        None  # until a dial to a live host without the peer has failed; None: like the void,
    )
    # because the product's endpoint is not told of refusals

    def __post_init__(self) -> None:
        for name in ("loss", "slow", "duplication", "reordering"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise Misuse(f"{name} is a share: from 0 to 1, not {getattr(self, name)}")
        for name in ("latency", "extra_delay", "void", "refusal"):
            span = getattr(self, name)
            if span is not None and not 0.0 <= span[0] <= span[1]:
                raise Misuse(f"{name} runs from a smaller to a larger number of seconds, not {span}")

    @property
    def is_smooth(self) -> bool:
        """Whether messages take their latency and nothing else happens to them."""
        return not (self.loss or self.slow or self.duplication or self.reordering)

    def timeout(self, limits: LinkLimits = LINK) -> float:
        """After how many seconds without an ack a link breaks: the product's rule, once it has measured this latency."""
        low, high = self.latency
        round_trip, deviation = low + high, (high - low) / 3.0  # of the sum of two uniform draws
        patience = max(round_trip + 4.0 * deviation, limits.timeout_floor)
        return min(patience + limits.ack_delay, limits.timeout_ceiling)


def apart(*groups: Iterable[Peer]) -> Cut:
    """A cut between groups: within one everybody reaches everybody. Peers of no group are a group of their own."""
    side: dict[Address, int] = {peer.address: number for number, group in enumerate(groups) for peer in group}
    return lambda one, other: side.get(one.address, -1) != side.get(other.address, -1)
