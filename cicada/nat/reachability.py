"""By which address others reach a peer: the one it is bound to, one that a router maps to it, or none.

A bound address that only the own network has means nothing to a swarm out in the world, so there the peer is hidden until its
router maps a port and somebody outside has dialled it by that. A mapping alone proves nothing: routers forget, sit behind other
routers, and do not let their own hosts dial what others can.
"""

from __future__ import annotations

import ipaddress
import math

import msgspec

from cicada.ids import Address, Reach, canonical_address, is_hidden, place_of, reach_of, split_address
from cicada.limits import NAT, NatLimits
from cicada.nat.io import Mapped, MappingLost, NatNews, NotMapped

_HERE = "local"


class Connecting(msgspec.Struct, frozen=True):
    """The application enters the swarm that the peer at ``seed`` belongs to."""

    seed: Address


class DialledIn(msgspec.Struct, frozen=True):
    """Somebody at ``source`` (as Endpoint.source has it) dialled the peer by this address, and finished a handshake."""

    address: Address
    source: str


class BesideUnreached(msgspec.Struct, frozen=True):
    """The peer cannot dial another one at an address of its own router, although others can."""

    address: Address


class CannotBe(msgspec.Struct, frozen=True):
    """This machine did not let the peer listen at the ``address`` that it was to become: it is at ``own`` still."""

    address: Address
    own: Address


class TimerFired(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed."""


ReachabilityInput = Connecting | DialledIn | BesideUnreached | CannotBe | TimerFired | NatNews


class Become(msgspec.Struct, frozen=True):
    """Others reach the peer by this address from now on: be there."""

    address: Address


class Watch(msgspec.Struct, frozen=True):
    """Accept handshakes by this address beside the own one, and have others dial it; empty: no more."""

    candidate: Address


ReachabilityOutput = Become | Watch


class Reachability:
    """Of a peer that is bound to ``local``, and whose ``hidden`` address stands for its key. ``is_fixed``: it keeps the address
    that it begins with, whatever happens."""

    def __init__(
        self,
        own: Address,
        local: Address,
        hidden: Address,
        *,
        is_fixed: bool = False,
        limits: NatLimits = NAT,
    ) -> None:
        self.own = own
        self.local = local
        self._hidden = hidden
        self._is_fixed = is_fixed
        self._limits = limits
        self._mapped = Address("")  # by the router's word
        self._watched = Address("")
        self._hide_at: float | None = None
        self._yield_until = -math.inf
        self._yielded_until = -math.inf  # the last time, if that is over
        self._yielding = 0.0

    @property
    def wants_mapping(self) -> bool:
        """Whether a router may have to map a port to the peer: it has an IPv4 address, but of its own network alone."""
        is_private = reach_of(self.local) is Reach.NETWORK and not self.local.startswith("[")
        return is_private and not self._is_fixed

    def handle(self, input: ReachabilityInput, now: float, *, is_alone: bool) -> list[ReachabilityOutput]:
        """What follows from ``input`` at ``now`` (monotonic seconds). ``is_alone``: it is in a ring with nobody else, or in none.

        Members of a ring within one network know each other by its addresses, so who is among them stays."""
        outputs = self._dispatch(input, now, is_alone)
        for output in outputs:
            if isinstance(output, Become):
                self.own = output.address
        return outputs

    def next_deadline(self) -> float | None:
        """When TimerFired is due."""
        is_yielding = bool(self._mapped) and self._is_away and self._yield_until > -math.inf
        if self._hide_at is None or not is_yielding:
            return self._yield_until if is_yielding else self._hide_at
        return min(self._hide_at, self._yield_until)

    def _dispatch(self, input: ReachabilityInput, now: float, is_alone: bool) -> list[ReachabilityOutput]:
        if self._is_fixed:
            return []
        match input:
            case Connecting(seed):
                is_outside = reach_of(seed) is Reach.WORLD and reach_of(self.own) is Reach.NETWORK
                return [Become(self._hidden)] if is_outside else []
            case Mapped(external_ip=ip, external_port=port, is_global=True):
                return self._on_mapped(canonical_address(ip, port), now)
            case Mapped() | NotMapped() | MappingLost():
                return self._on_unmapped(now)
            case DialledIn(address, source):
                return self._on_dialled(address, source, is_alone)
            case BesideUnreached(address):
                return self._on_unreached(address, now)
            case CannotBe(own=own):
                return self._on_staying(own, now)
            case TimerFired():
                return self._on_timer(now)

    def _on_mapped(self, mapped: Address, now: float) -> list[ReachabilityOutput]:
        self._mapped = mapped
        self._hide_at = None
        if self.own == mapped or now < self._yield_until:
            return []
        left: list[ReachabilityOutput] = [] if self._is_away else [Become(self._hidden)]
        return left + self._watch(mapped)

    def _on_unmapped(self, now: float) -> list[ReachabilityOutput]:
        """A router that boots gives the same mapping again within seconds; to leave the ring for that would cost more."""
        self._mapped = Address("")
        if not self._is_away and self._hide_at is None:
            self._hide_at = now + self._limits.unmapped_grace
        return self._watch(Address(""))

    def _on_dialled(self, address: Address, source: str, is_alone: bool) -> list[ReachabilityOutput]:
        stays = self.own == self.local and not is_alone
        if address != self._watched or stays or not _is_elsewhere(source, address):
            return []
        return [*self._watch(Address("")), Become(address)]

    def _on_unreached(self, address: Address, now: float) -> list[ReachabilityOutput]:
        """Most routers do not let their hosts dial each other by the outer address, and members that cannot dial each other tear
        a ring: of two of one network the one with the higher place is hidden, where both reach each other by relays."""
        is_beside = split_address(address)[0] == split_address(self.own)[0] if not self._is_away else False
        if not is_beside or place_of(self.own) < place_of(address):
            return []
        self._yielding = self._next_yielding(now)
        self._yield_until = self._yielded_until = now + self._yielding
        return [Become(self._hidden)]

    def _next_yielding(self, now: float) -> float:
        """Whoever wants this peer out of the ring, and lies well, keeps it out for little; where it is true, it costs the ring
        little to find it out again."""
        limits = self._limits
        if now - self._yielded_until > limits.yielding_most:
            return limits.yielding
        return min(2 * self._yielding, limits.yielding_most)

    def _on_staying(self, own: Address, now: float) -> list[ReachabilityOutput]:
        """Do again, not at once, what led to the move, unless that would lead nowhere any more."""
        self.own = own
        if self._is_away:
            return self._watch(self._mapped) if self._mapped and now >= self._yield_until else []
        if own != self._mapped:
            self._hide_at = now + self._limits.unmapped_grace
        return []

    def _on_timer(self, now: float) -> list[ReachabilityOutput]:
        outputs: list[ReachabilityOutput] = []
        if self._hide_at is not None and self._hide_at <= now:
            self._hide_at = None
            outputs += [] if self._is_away else [Become(self._hidden)]
        if self._yield_until <= now:
            was_yielding, self._yield_until = self._yield_until > -math.inf, -math.inf
            if was_yielding and self._mapped and self._is_away:
                outputs += self._watch(self._mapped)
        return outputs

    def _watch(self, candidate: Address) -> list[ReachabilityOutput]:
        if candidate == self._watched:
            return []
        self._watched = candidate
        return [Watch(candidate)]

    @property
    def _is_away(self) -> bool:
        """Whether it is not at an address that a router maps to it."""
        return is_hidden(self.own) or self.own == self.local


def _is_elsewhere(source: str, address: Address) -> bool:
    """Whether whoever dialled ``address`` from ``source`` shows that others can: not from this machine or network, unless the
    address is of no other either, and not from the address itself, as a router that lets its own hosts in would have it."""
    host = split_address(address)[0]
    if source in (_HERE, host):
        return False
    try:
        ip = ipaddress.ip_network(source, strict=False).network_address
    except ValueError:
        return False
    return ip.is_global or not ipaddress.ip_address(host).is_global
