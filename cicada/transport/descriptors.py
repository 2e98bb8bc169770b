"""How many file descriptors this process may use, and what the endpoint may spend of them.

libzmq spins when they run out, so the endpoint counts and refuses before.
"""

from __future__ import annotations

import resource

import msgspec

from cicada.errors import Unavailable
from cicada.limits import EndpointLimits


class DescriptorBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of ``total`` descriptors: open connections, strangers among them, and what listeners may take."""

    total: int
    connections: int
    strangers: int
    listeners: int

    def check_listeners(self, wanted: int) -> None:
        """Raises Unavailable when ``wanted`` listeners do not fit."""
        if wanted > self.listeners:
            missing = wanted - self.listeners
            raise Unavailable(
                f"descriptor limit too low: {self.total} descriptors leave room for {max(self.listeners, 0)} listening "
                f"peers in this process, {wanted} are wanted; raise it (ulimit -n {self.total + 4 * missing}) "
                "or use fewer peers per worker"
            )


def budget_of(total: int, limits: EndpointLimits) -> DescriptorBudget:
    """How ``total`` descriptors are shared out."""
    connections = int(total * limits.connection_descriptor_share)
    return DescriptorBudget(
        total=total,
        connections=connections,
        strangers=int(total * limits.unauthenticated_descriptor_share),
        listeners=total - connections - limits.reserved_descriptors,
    )


def raise_descriptor_limit(limits: EndpointLimits) -> int:
    """Raise the soft limit of this process to the hard one, where that is allowed. Returns the soft limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.max_descriptors if hard == resource.RLIM_INFINITY else min(hard, limits.max_descriptors)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # a sandbox may forbid it: then the soft limit is what there is
            return soft
        return wanted
    return limits.max_descriptors if soft == resource.RLIM_INFINITY else soft
