"""Who owns a channel's place, as the ring says: asked by a peer that looks for the root, and by one that is taken for it."""

from __future__ import annotations

from typing import NamedTuple

from cicada.hosts import Host, HostOf
from cicada.ids import Address, Peer, Place
from cicada.limits import ChannelLimits
from cicada.services.channelsguard import Guard
from cicada.services.channelsoutbox import Outbox
from cicada.wire.channels import Attach


class Ruling(NamedTuple):
    """What the ring's answer means: the ``owner``, None when there was no answer, and who waited for it."""

    owner: Peer | None
    askers: list[tuple[Peer, Attach]]


class Ownership:
    """Owners that are banned here are passed over. ``owner``: whom the current search takes for the root."""

    def __init__(
        self,
        channel: str,
        place: Place,
        own: Peer,
        limits: ChannelLimits,
        outbox: Outbox,
        guard: Guard,
        host_of: HostOf,
    ) -> None:
        self._channel = channel
        self._place = place
        self._own = own
        self._limits = limits
        self._outbox = outbox
        self._guard = guard
        self._host_of = host_of
        self._askers: dict[Address, tuple[Peer, Attach]] = {}
        self._pleas: dict[Host, float] = {}  # who took nothing from the owners before this peer, until when
        self._until: float | None = None
        self._answered_at = float("-inf")
        self.owner: Address | None = None

    @property
    def is_needed(self) -> bool:
        """Whether anybody waits for an answer, or for this peer to stand in."""
        return bool(self._askers or self._pleas)

    def ask(self, now: float) -> None:
        """Ask the ring, unless it is being asked."""
        if self._until is None:
            self._until = now + self._limits.find
            self._outbox.find(self._channel, self._place, self._wanted(now))

    def ask_again(self, now: float) -> None:
        """Ask the ring on the word of others: not too often."""
        if now - self._answered_at >= self._limits.check_owner:
            self.ask(now)

    def wait(self, peer: Peer, message: Attach, now: float) -> tuple[str, ...] | None:
        """Somebody takes this peer for the root. None: it waits for the ring's answer; else it may ask these."""
        if len(self._askers) >= self._limits.askers and peer.address not in self._askers:
            return ()
        if self._until is None and now - self._answered_at < self._limits.check_owner:
            return () if self.owner is None else (self.owner,)
        self._askers[peer.address] = (peer, message)
        self.ask(now)
        return None

    def answer(self, owners: tuple[Peer, ...], now: float, *, is_free: bool) -> Ruling:
        """The ring answered. ``is_free``: this peer has no parent, nor looks for one."""
        self._until, self._answered_at = None, now
        askers, self._askers = list(self._askers.values()), {}
        if self._own in owners[: self._limits.heirs]:
            self._note_pleas(askers, now)
        usable = (peer for peer in owners if not self._guard.is_banned(peer.address, now))
        pleas = sum(until > now for until in self._pleas.values())
        if is_free and pleas >= self._limits.pleas:
            return Ruling(self._own, askers)
        return Ruling(next(usable, None), askers)

    def is_overdue(self, now: float) -> bool:
        """Whether the ring did not answer in time."""
        return self._until is not None and self._until <= now

    def expire(self, now: float) -> None:
        """Forget what was said long ago."""
        for host in [host for host, until in self._pleas.items() if until <= now]:
            del self._pleas[host]

    def next_deadline(self) -> float | None:
        """When something is over."""
        found = [*self._pleas.values(), *(() if self._until is None else (self._until,))]
        return min(found, default=None)

    def _wanted(self, now: float) -> int:
        """How many peers the ring is to name: each costs a lookup, and who follows the owner matters only where somebody takes
        nothing from one."""
        is_pleaded = any(message.attempt for _, message in self._askers.values())
        return self._limits.heirs if is_pleaded or self._guard.has_bans(now) else 1

    def _note_pleas(self, askers: list[tuple[Peer, Attach]], now: float) -> None:
        """Those who come again take nothing from the owners before this peer. A few hosts that say so are believed, by a peer that
        has no part in the tree: that costs it little, and nobody else sees it."""
        for peer, message in askers:
            if message.attempt and len(self._pleas) < self._limits.askers:
                self._pleas[self._host_of(peer.address)] = now + self._limits.banned
