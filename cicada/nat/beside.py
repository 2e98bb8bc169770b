"""Members behind the same router, which others can dial and this one cannot."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from cicada.ids import Address, split_address
from cicada.limits import NAT, NatLimits

_NOBODY_THERE: Final = frozenset({"refused", "timeout"})


class _Failures(msgspec.Struct):
    number: int
    first: float
    last: float
    named_at: float  # for the last time, when they had lasted long enough


class Besides:
    """Of the peer that others reach at ``own``, an address of its router. Most routers do not let their hosts dial each other by
    such addresses, and a ring in which two members cannot dial each other stays torn.

    That a dial fails proves little: anybody can say that there is a member at an address of this router, and members die. So it
    counts only of those whom members elsewhere, proven by this peer, still name when dials have failed for some time.
    """

    def __init__(self, own: Address, limits: NatLimits = NAT) -> None:
        self._host = split_address(own)[0]
        self._limits = limits
        self._failures: dict[Address, _Failures] = {}

    def on_named(self, by: Address, addresses: Iterable[Address], now: float) -> None:
        """The proven member at ``by`` says that these are its neighbours."""
        if not self._failures or split_address(by)[0] == self._host:
            return
        for address in addresses:
            failures = self._failures.get(address)
            if failures is not None and now - failures.first >= self._limits.beside_span:
                failures.named_at = now

    def on_proven(self, address: Address) -> None:
        """It can be dialled."""
        self._failures.pop(address, None)

    def on_unreachable(self, address: Address, reason: str, now: float) -> bool:
        """A dial failed, or a link broke, for ``reason``. True: two members are here that cannot dial each other. Then this is
        counted anew."""
        if reason not in _NOBODY_THERE or split_address(address)[0] != self._host:
            return False
        failures = self._failures.get(address)
        if failures is None or now - failures.last > self._limits.beside_memory:
            self._failures.pop(address, None)
            if len(self._failures) >= self._limits.besides:
                del self._failures[next(iter(self._failures))]
            failures = self._failures[address] = _Failures(0, now, now, -math.inf)
        failures.number += 1
        failures.last = now
        is_named = now - failures.named_at <= self._limits.beside_span
        if not is_named or failures.number < self._limits.beside_failures:
            return False
        del self._failures[address]
        return True
