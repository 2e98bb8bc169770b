"""What is known about the router in front of this machine, and when it is to be asked again."""

from __future__ import annotations

import math
from random import Random

from cicada.limits import NatLimits
from cicada.nat.epoch import Epoch
from cicada.nat.lease import Lease
from cicada.nat.requests import NAT_PMP, PCP, Failed, Gateway


class Router:
    """One router, or (``gateway`` is None) that there is none. Another network, another Router."""

    def __init__(self, gateway: Gateway | None, now: float, limits: NatLimits) -> None:
        self._limits = limits
        self.gateway = gateway
        self.method = ""  # the protocol that worked last
        self.device = ""  # UPnP: where its description is
        self.silent: dict[str, Failed] = {}  # protocols that as a whole failed in this wave
        self.heard: frozenset[str] = frozenset()  # those that answered the last knock
        self.answering: set[str] = set()  # those that ever answered
        self.knocks_first = True  # a wave begins with a knock
        self.failures = 0  # waves that failed in a row
        self.silent_checks = 0  # looks that nobody answered, in a row
        self.wave_at: float | None = None  # when the next one begins; None: no port waits for it
        self.knock_at = self.check_at = now
        self._epochs: dict[str, Epoch] = {}
        self._spoke_at = -math.inf

    def candidate(self, lease: Lease, protocols: tuple[str, ...]) -> str | None:
        """The protocol to try next: what worked, then what answered the knock, then the others; None: none is left."""
        order = sorted(protocols, key=lambda each: (each != self.method, each not in self.heard))
        left = (each for each in order if each not in self.silent and each not in lease.refusals)
        return next(left, None)

    def failed(self, protocol: str, failed: Failed) -> None:
        """A protocol as a whole is of no use in this wave."""
        self.silent[protocol] = failed
        if protocol == PCP and failed.reason == "closed":
            self.silent[NAT_PMP] = failed  # it is the same port of the router

    def worked(self, protocol: str, device: str, now: float) -> None:
        """A mapping was granted or found."""
        self.method, self.device = protocol, device
        self.answering.add(protocol)
        self.silent.pop(protocol, None)
        self.silent_checks = 0
        if self.check_at <= now:
            self.check_at = now + self._limits.check

    def began_anew(self, protocol: str, seconds: int, now: float) -> bool:
        """Whether an epoch shows that the router forgot its mappings since the last one."""
        before, self._epochs[protocol] = self._epochs.get(protocol), Epoch(seconds, now)
        return before is not None and not before.continues(seconds, now, self._limits)

    def knocked(self, heard: frozenset[str], now: float) -> bool:
        """A knock was answered in these protocols. Whether the router had been silent in some of them."""
        is_news = bool(heard - self.heard)
        self.heard = heard
        self.answering |= heard
        self.knock_at = now + self._limits.knock_pause
        return is_news

    def spoke(self, now: float) -> float:
        """It said that it began anew. When that is acted on: anybody can say so, as often as he likes."""
        self._spoke_at = max(now, self._spoke_at + self._limits.announced_pause)
        return self._spoke_at

    def begin_wave(self) -> None:
        """Everything is worth a try again."""
        self.wave_at = None
        self.silent.clear()
        self.knocks_first = True

    def end_wave(self, now: float, rng: Random) -> None:
        """A port was mapped by no protocol; others may still be tried. The next wave comes after a pause."""
        if self.wave_at is None:
            self.failures += 1
            self.wave_at = now + self._pause(rng)
            self.knock_at = now + self._limits.knock_pause

    def _pause(self, rng: Random) -> float:
        quick, done = self._limits.quick_retries, self.failures - 1
        if done < len(quick):
            return quick[done]
        doubled = self._limits.backoff_first * 2.0 ** min(done - len(quick), 32)
        return min(doubled, self._limits.backoff_most) * rng.uniform(0.5, 1.0)
