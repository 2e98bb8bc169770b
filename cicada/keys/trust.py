"""How much is known about whom one talks with, and the pins by which it is known.

A pin binds an address to a key. It changes only by the old key's signature, or by the user.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from cicada.errors import Misuse, PeerFault
from cicada.ids import Address, Place, is_hidden, peer_at
from cicada.keys.pins import FIRST_USE, Pin
from cicada.keys.record import Record
from cicada.keys.succession import read_succession
from cicada.limits import KEYS, KeyLimits


class Trust(enum.IntEnum):
    """Whose word it is that the other side is who it should be; higher is more."""

    UNVERIFIED = 0  # nobody's: between peers that do not encrypt
    FIRST_CONTACT = 1  # its own, given at its address during this life
    PINNED = 2  # it has the key that was pinned before this life, or that the user gave
    PRE_SHARED = 3  # it holds keys that both agreed on outside of the network

    @property
    def word(self) -> str:
        """What people read: ``first-contact``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def required(cls, word: str | None) -> Trust:
        """The least trust that a sender asks for by a word; None asks for nothing. Raises Misuse for other words."""
        if word is None:
            return cls.UNVERIFIED
        for trust in (cls.FIRST_CONTACT, cls.PINNED, cls.PRE_SHARED):
            if trust.word == word:
                return trust
        raise Misuse(f"require={word!r} is no trust: use first-contact, pinned or pre-shared")


class TrustStore:
    """The pins of one peer, at most ``KeyLimits.pins``.

    Pins that it began with, or that the user gave, are ``held``: they are never given up for others, and make a session
    ``pinned``. Those of this life's first contacts make way, oldest first, when there are too many.
    """

    def __init__(self, limits: KeyLimits = KEYS) -> None:
        self._limits = limits
        self._pins: dict[Address, Pin] = {}
        self._first_used: dict[Address, None] = {}
        self._addresses: dict[Place, Address] = {}

    @classmethod
    def load(cls, pins: Iterable[Pin], limits: KeyLimits = KEYS) -> TrustStore:
        """A store that begins with these. Raises Misuse when there are too many."""
        store = cls(limits)
        for pin in pins:
            store.hold(pin)
        return store

    def __len__(self) -> int:
        return len(self._pins)

    def __repr__(self) -> str:
        return f"TrustStore({len(self._pins)} pins)"

    @property
    def pins(self) -> tuple[Pin, ...]:
        """All of them."""
        return tuple(self._pins.values())

    def hold(self, pin: Pin) -> None:
        """The user says so, or said so in an earlier life: the pin takes the place of any other at its address."""
        if pin.address not in self._pins and not self._has_room():
            raise Misuse(f"more than {self._limits.pins} pins: remove those that nobody needs")
        self._put(pin)
        self._first_used.pop(pin.address, None)

    def forget(self, address: Address) -> None:
        """The user says so: the next contact is a first one."""
        self._pins.pop(address, None)
        self._first_used.pop(address, None)
        self._addresses.pop(peer_at(address).place, None)

    def pin(self, address: Address) -> Pin | None:
        """The pin of an address, if there is one."""
        return self._pins.get(address)

    def pin_at(self, place: Place) -> Pin | None:
        """The pin of the address whose place this is, if there is one."""
        address = self._addresses.get(place)
        return None if address is None else self._pins[address]

    def trust(self, address: Address) -> Trust:
        """How sure a peer at ``address`` is that shows the pinned key. A hidden address pins its key itself."""
        is_held = is_hidden(address) or (address in self._pins and address not in self._first_used)
        return Trust.PINNED if is_held else Trust.FIRST_CONTACT

    def check(self, record: Record, succession: bytes = b"") -> bool:
        """Whether the record's key is pinned to its address, or signed by the pinned one; False when nothing is pinned. To a
        hidden address the key that signs the record is always pinned.

        Raises PeerFault ``key-changed`` when another key is pinned, ``record-stale`` when the same one has said
        something newer.
        """
        if is_hidden(record.address):
            return True
        pin = self._pins.get(Address(record.address))
        if pin is None:
            return False
        if pin.signing_key != record.signing_key:
            if succession and read_succession(succession) == (pin.signing_key, record.signing_key):
                return True
            raise PeerFault("key-changed")
        if pin.static_key != record.static_key and record.sequence < pin.sequence:
            raise PeerFault("record-stale")
        return True

    def learn(self, record: Record, now_ms: int) -> Pin | None:
        """The peer proved at its address what ``check`` let pass: the pin that is new or changed, to be kept; or None.
        ``now_ms``: wall-clock milliseconds. A hidden address needs none."""
        address = Address(record.address)
        if is_hidden(address):
            return None
        before = self._pins.get(address)
        pin = Pin(
            address=address,
            signing_key=record.signing_key,
            static_key=record.static_key,
            sequence=record.sequence,
            by=FIRST_USE if before is None else before.by,
            since=now_ms if before is None else before.since,
        )
        if before is None:
            if not self._has_room():
                return None
            self._first_used[address] = None
        elif before == pin or (before.signing_key == pin.signing_key and before.sequence > pin.sequence):
            return None
        self._put(pin)
        return pin

    def _put(self, pin: Pin) -> None:
        self._pins[pin.address] = pin
        self._addresses[peer_at(pin.address).place] = pin.address

    def _has_room(self) -> bool:
        if len(self._pins) < self._limits.pins:
            return True
        for oldest in self._first_used:
            self.forget(oldest)
            return True
        return False
