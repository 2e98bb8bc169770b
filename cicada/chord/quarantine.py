"""Peers that became unreachable: avoided for a moment, remembered for long, because a ring that split needs them to merge."""

from __future__ import annotations

from random import Random

from cicada.ids import Peer


class Quarantine:
    """Suspects with the time of the suspicion, at most ``size``, the oldest forgotten first, none older than ``seconds``."""

    __slots__ = ("_seconds", "_since", "_size")

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._since: dict[Peer, float] = {}

    def add(self, peer: Peer, since: float) -> None:
        """Remember a suspect, or, suspected some time ago and so not avoided, a stranger worth a visit."""
        self._since.pop(peer, None)
        self._since[peer] = since
        while len(self._since) > self._size:
            del self._since[next(iter(self._since))]

    def release(self, peer: Peer) -> None:
        """The peer is in our ring after all."""
        self._since.pop(peer, None)

    def heard_from(self, peer: Peer, ended: float) -> None:
        """The suspect spoke: avoid it no longer, as if it had been suspected at ``ended``, but keep it until visited."""
        if peer in self._since:
            self._since[peer] = min(self._since[peer], ended)

    def suspected_within(self, peer: Peer, seconds: float, now: float) -> bool:
        """Whether the peer was found unreachable in the last ``seconds``."""
        since = self._since.get(peer)
        return since is not None and now - since < seconds

    def choose(self, rng: Random, now: float) -> Peer | None:
        """A suspect to visit."""
        for peer in [peer for peer, since in self._since.items() if now - since > self._seconds]:
            del self._since[peer]
        return rng.choice(list(self._since)) if self._since else None

    def clear(self) -> None:
        """Forget all suspects."""
        self._since.clear()

    def peers(self) -> tuple[Peer, ...]:
        """All suspects, oldest first."""
        return tuple(self._since)

    def __len__(self) -> int:
        return len(self._since)
