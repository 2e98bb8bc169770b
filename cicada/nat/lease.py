"""One port of this host, and what the router grants it at present."""

from __future__ import annotations

import math
from random import Random

import msgspec

from cicada.limits import NatLimits
from cicada.nat.io import Mapped
from cicada.nat.requests import Failed, Granted, Target, is_global


class Lease:
    """A port is *open* (to be tried now), *mapped*, or *failed* (to be tried in the next wave)."""

    __slots__ = (
        *("checked_at", "expires_at", "external_port", "failure", "hurried", "news", "nonce", "port"),
        *("refusals", "renew_at", "target", "transport"),
    )

    def __init__(self, port: int, transport: str, external_port: int, nonce: bytes) -> None:
        self.port = port
        self.transport = transport
        self.external_port = external_port  # wished for: the last one that was granted
        self.nonce = nonce
        self.refusals: dict[str, Failed] = {}  # by protocol, in this wave
        self.failure = ""  # why it waits for the next wave; empty: it does not
        self.forget()

    def forget(self) -> None:
        """The mapping is not ours any more, or was not yet."""
        self.target: Target | None = None
        self.news: Mapped | None = None
        self.expires_at = self.renew_at = math.inf
        self.checked_at = -math.inf
        self.hurried = False

    @property
    def is_open(self) -> bool:
        """Whether it is to be tried now."""
        return self.target is None and not self.failure

    def reopen(self) -> None:
        """A new wave begins."""
        self.failure = ""
        self.refusals.clear()

    def hurry(self) -> None:
        """Have it looked at as soon as possible."""
        self.hurried = self.target is not None

    def grant(self, answer: Granted, now: float, rng: Random, limits: NatLimits) -> Mapped | None:
        """Take over what was granted. The answer is what there is to tell, None when nothing changed for others."""
        target, before = answer.target, self.news
        self.target, self.external_port = target, target.external_port
        self.failure, self.hurried, self.checked_at = "", False, now
        self.refusals.clear()
        if answer.renewed or before is None:
            self._renewed(answer.lease_s, now, rng, limits)
        self.news = Mapped(
            port=self.port,
            protocol=target.protocol,
            gateway=target.gateway.address,
            external_ip=answer.external_ip,
            external_port=target.external_port,
            lease_s=answer.lease_s if answer.renewed or before is None else before.lease_s,
            is_global=is_global(answer.external_ip),
            local_ip=target.gateway.local,
        )
        return None if before is not None and _same_for_others(before, self.news) else self.news

    def not_renewed(self, now: float, rng: Random, limits: NatLimits) -> None:
        """A renewal was not answered: try again in the second half of what is left (RFC 6887 section 11.2.1)."""
        self.renew_at = now + max(_share(self.expires_at - now, rng, limits), limits.renew_pause)

    def _renewed(self, lease_s: float, now: float, rng: Random, limits: NatLimits) -> None:
        if not lease_s:  # permanent
            self.expires_at = self.renew_at = math.inf
            return
        self.expires_at = now + lease_s
        self.renew_at = now + _share(min(lease_s, limits.most_lease), rng, limits)


def _share(seconds: float, rng: Random, limits: NatLimits) -> float:
    return seconds * rng.uniform(limits.renew_from, limits.renew_to)


def _same_for_others(one: Mapped, other: Mapped) -> bool:
    return msgspec.structs.replace(one, lease_s=0.0) == msgspec.structs.replace(other, lease_s=0.0)
