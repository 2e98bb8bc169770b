"""What to make of the records that the replicas of a name show.

A record that its key has superseded does not count, so one replica that has the newest makes up for others that show old ones or
none. Between different keys no signature decides, so the replicas' number does.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cicada.ids import Peer
from cicada.services.namerecords import SignedRecord, rank_of


class Word(msgspec.Struct, frozen=True):
    """What one replica says: a valid record, or that it has none."""

    peer: Peer
    held: SignedRecord | None


class Count(msgspec.Struct, frozen=True):
    """``leader``: the newest record of the key that most replicas name, by rank among those named equally often; None when
    nobody has the name. ``release``: the newest of the releases when nobody does. ``backing``: replicas that name the
    leader's key. ``is_tied``: as many name another."""

    leader: SignedRecord | None
    release: SignedRecord | None = None
    backing: int = 0
    is_tied: bool = False

    @property
    def newest(self) -> SignedRecord | None:
        """What every replica should have."""
        return self.leader or self.release


def count(words: Sequence[Word]) -> Count:
    """Count the words of different replicas."""
    newest: dict[bytes, SignedRecord] = {}
    backing: dict[bytes, int] = {}
    for held in (word.held for word in words if word.held is not None):
        key = held.record.signing_key
        backing[key] = backing.get(key, 0) + 1
        if key not in newest or held.age > newest[key].age:
            newest[key] = held
    live = [held for held in newest.values() if not held.record.is_release]
    if not live:
        return Count(None, max(newest.values(), key=lambda held: held.age, default=None))
    live.sort(key=lambda held: (-backing[held.record.signing_key], rank_of(held.record)))
    support = [backing[held.record.signing_key] for held in live]
    return Count(live[0], None, support[0], support[1:2] == support[:1])


def should_yield(own: SignedRecord, counted: Count, replicas: int, answered: int) -> bool:
    """Whether a replica gives up the key that it has for the leader of the count: when most replicas name that one, or when all
    have spoken and rank must decide. One that misses an answer stays, so nobody gains by keeping another from answering."""
    leader = counted.leader
    if leader is None or leader.record.signing_key == own.record.signing_key:
        return False
    return 2 * counted.backing > replicas or (counted.is_tied and answered == replicas)


def behind(words: Sequence[Word], newest: SignedRecord) -> list[Peer]:
    """Replicas that have no record, or an older one of the same key: they should be told. Not those that name another key."""
    return [word.peer for word in words if _is_behind(word.held, newest)]


def _is_behind(held: SignedRecord | None, newest: SignedRecord) -> bool:
    if held is None:
        return True
    return held.record.signing_key == newest.record.signing_key and held.age < newest.age
