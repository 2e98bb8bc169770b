"""How much is known about whom one talks with, and the pins by which it is known."""

from __future__ import annotations

import enum

from cicada.errors import Misuse


class Trust(enum.IntEnum):
    """Whose word it is that the other side is who it should be; higher is more."""

    UNVERIFIED = 0  # nobody's: not encrypted end to end, as broadcasts are
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
