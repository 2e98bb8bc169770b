"""Finding the key of a place: who is asked, and what is made of the answers.

A place belongs to whoever answers at its address, so the key that was proven there wins. What neighbours say counts only when
nobody can be dialled, and then only when they agree; a newer record wins over an older one of the same key alone, so one lying
neighbour gains nothing by a high sequence. A hidden address is the hash of its key: the newest record that fits it will do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from cicada.errors import PeerFault
from cicada.ids import Address, Peer, Place, is_hidden, peer_at
from cicada.keys.io import RecordsFetched
from cicada.keys.memory import Memory
from cicada.keys.record import Record


class Found(msgspec.Struct, frozen=True):
    """The key to use is that of ``record``. ``named``: other keys that neighbours named, which is a conflict."""

    record: Record
    named: tuple[str, ...] = ()


class NotFound(msgspec.Struct, frozen=True):
    """No key can be used: ``conflict`` when neighbours disagree about ``named``, ``no-key`` when too few say anything."""

    reason: str
    named: tuple[str, ...] = ()


class Word(msgspec.Struct, frozen=True):
    """What one peer says of a place. ``is_neighbour``: another than the one that claims to live there."""

    record: Record
    is_neighbour: bool


def decide(proven: Record | None, words: Sequence[Word], wanted: int) -> Found | NotFound:
    """Which key to use. ``proven``: what was shown at the address, or None when nobody could be dialled there; ``wanted``:
    how many neighbours have to agree then."""
    if proven is not None:
        return Found(proven, _others(words, proven.signing_key))
    hidden = [word.record for word in words if is_hidden(word.record.address)]
    if hidden:
        return Found(max(hidden, key=lambda record: record.sequence))
    neighbours = [word.record for word in words if word.is_neighbour]
    keys = {word.record.signing_key for word in words}
    if len(keys) > 1:
        return NotFound("conflict", tuple(sorted({word.record.peer_id for word in words})))
    if len(neighbours) < max(wanted, 1):
        return NotFound("no-key")
    return Found(max(neighbours, key=lambda record: record.sequence))


def _others(words: Iterable[Word], signing_key: bytes) -> tuple[str, ...]:
    return tuple(sorted({word.record.peer_id for word in words if word.record.signing_key != signing_key}))


class Search:
    """One place whose key is looked for, by dialling and by asking, both at once. Words of others that are no good are counted in
    ``counts``."""

    __slots__ = (
        "_counts",
        "_memory",
        "_words",
        "address",
        "began",
        "is_doubt",
        "is_fetched",
        "place",
        "proven",
        "successions",
        "wanted",
        "was_dialled",
    )  # fmt: skip

    def __init__(
        self,
        memory: Memory,
        place: Place,
        address: Address,
        now: float,
        *,
        is_doubt: bool,
        counts: Counter[str] | None = None,
    ) -> None:
        self._memory = memory
        self._counts = Counter[str]() if counts is None else counts
        self._words: list[Word] = []
        self.place = place
        self.address = address
        self.began = now
        self.is_doubt = is_doubt
        """Whether an open handshake goes unanswered: the key that is pinned may be no longer in use."""
        self.proven: Record | None = None
        self.successions: tuple[bytes, ...] = ()
        self.was_dialled = False
        self.is_fetched = False
        self.wanted = 0
        known = memory.neighbours.get(place, memory.wall_ms())
        if known is not None:
            self._hear(known.raw, is_neighbour=True)
            self._learn_address()

    @property
    def peer(self) -> Peer | None:
        """Whom to dial, once the address is known, and if it can be dialled."""
        return peer_at(self.address) if self.can_be_dialled else None

    @property
    def can_be_dialled(self) -> bool:
        """Whether the address is known to be one that can be dialled."""
        return bool(self.address) and not is_hidden(self.address)

    def dialled(self, raw: bytes | None) -> None:
        """Somebody proved the key of this record at the address; None: nobody could be dialled."""
        self.was_dialled = True
        if raw is not None:
            try:
                self.proven = self._memory.read(raw, self.address)
            except PeerFault:
                self.proven = None

    def fetched(self, fetched: RecordsFetched) -> bool:
        """Neighbours answered. Whether the address is known only from now on."""
        self.is_fetched = True
        self.wanted = fetched.wanted
        for told in fetched.told:
            is_neighbour = peer_at(told.origin).place != self.place
            self._hear(told.record, is_neighbour=is_neighbour)
        self.successions = tuple(told.succession for told in fetched.told if told.succession)
        return self._learn_address()

    def verdict(self) -> Found | NotFound | None:
        """Which key to use; None while answers are awaited."""
        if not self.is_fetched or (self.can_be_dialled and not self.was_dialled):
            return None
        return decide(self.proven, self._words, self.wanted)

    def _hear(self, raw: bytes, *, is_neighbour: bool) -> None:
        if not raw:
            return
        try:
            record = self._memory.read_any(raw)
        except PeerFault as fault:
            self._counts[f"ignored:{fault.reason}"] += 1
            return
        if peer_at(Address(record.address)).place == self.place:
            self._words.append(Word(record, is_neighbour))

    def _learn_address(self) -> bool:
        """A place is the hash of its address, so whatever record names the address names the right one."""
        if self.address or not self._words:
            return False
        self.address = Address(self._words[0].record.address)
        return True
