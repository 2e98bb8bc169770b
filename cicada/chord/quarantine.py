"""Peers outside our tables that are worth a visit, because a ring that split needs them to merge again."""

from __future__ import annotations

from random import Random

from cicada.ids import Peer


class _Suspect:
    """One remembered peer."""

    __slots__ = ("failed_at", "heard", "is_stranger", "remembered_at")

    def __init__(self, remembered_at: float) -> None:
        self.remembered_at = remembered_at
        self.failed_at: float | None = (
            None  # when it was found unreachable last; None: not since it was heard
        )
        self.heard = True  # a sign of life came that no visit has followed yet
        self.is_stranger = True  # this node has never dialled it with success, so it may be no peer at all


class Quarantine:
    """Suspects are avoided for a moment and remembered for long: at most ``size``, none longer than ``seconds``. Strangers,
    whom anybody can make up, displace each other and not those who were in the ring."""

    __slots__ = ("_seconds", "_size", "_suspects")

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._suspects: dict[Peer, _Suspect] = {}

    def suspect(self, peer: Peer, now: float, *, is_stranger: bool = False) -> None:
        """The peer was found unreachable."""
        entry = self._remember(peer, now, is_stranger)
        entry.failed_at = now
        entry.heard = False

    def meet(self, peer: Peer, now: float, *, is_stranger: bool = False) -> None:
        """There is a peer that may be alive in another ring."""
        self._remember(peer, now, is_stranger)
        self.heard_from(peer)

    def heard_from(self, peer: Peer) -> None:
        """The peer spoke: if it is remembered, avoid it no longer, and visit it before those that are silent."""
        entry = self._suspects.get(peer)
        if entry is not None:
            entry.failed_at = None
            entry.heard = True

    def forgive(self) -> None:
        """Avoid nobody any longer. All are still remembered."""
        for entry in self._suspects.values():
            entry.failed_at = None

    def release(self, peer: Peer) -> None:
        """The peer is in our ring after all."""
        self._suspects.pop(peer, None)

    def suspected_within(self, peer: Peer, seconds: float, now: float) -> bool:
        """Whether the peer was found unreachable in the last ``seconds`` and has been silent since."""
        entry = self._suspects.get(peer)
        return entry is not None and entry.failed_at is not None and now - entry.failed_at < seconds

    def choose(self, rng: Random, now: float, avoid: float) -> Peer | None:
        """A suspect to visit, rather one that gave a sign of life, none that failed in the last ``avoid`` seconds."""
        for peer in [peer for peer, entry in self._suspects.items() if self._is_outdated(entry, now)]:
            del self._suspects[peer]
        ready = [peer for peer in self._suspects if not self.suspected_within(peer, avoid, now)]
        if not ready:
            return None
        chosen = rng.choice([peer for peer in ready if self._suspects[peer].heard] or ready)
        self._suspects[chosen].heard = False
        return chosen

    def clear(self) -> None:
        """Forget all suspects."""
        self._suspects.clear()

    def peers(self) -> tuple[Peer, ...]:
        """All suspects, longest remembered first."""
        return tuple(self._suspects)

    def __len__(self) -> int:
        return len(self._suspects)

    def _remember(self, peer: Peer, now: float, is_stranger: bool) -> _Suspect:
        entry = self._suspects.setdefault(peer, _Suspect(now))
        entry.is_stranger &= is_stranger
        if len(self._suspects) > self._size:
            oldest = next(iter(self._suspects))
            others = (other for other, row in self._suspects.items() if row.is_stranger and other != peer)
            del self._suspects[next(others, oldest)]
        return entry

    def _is_outdated(self, entry: _Suspect, now: float) -> bool:
        return now - entry.remembered_at > self._seconds
