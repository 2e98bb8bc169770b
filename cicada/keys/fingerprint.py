"""Fingerprints: a peer's identity as eight words that can be read aloud and compared.

A word is a proquint (D. S. Wilkerson, A Proposal for Proquints: Identifiers that are Readable, Spellable and
Pronounceable, arXiv:0901.4016): 16 bits as consonant, vowel, consonant, vowel, consonant. Eight of them are the first 128
bits of the peer id, so finding another key with the same fingerprint takes 2^128 tries.
"""

from __future__ import annotations

import re
from typing import Final

from cicada.errors import Misuse

WORDS: Final = 8
_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"
_PEER_ID = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(f"[{_CONSONANTS}][{_VOWELS}][{_CONSONANTS}][{_VOWELS}][{_CONSONANTS}]")


def fingerprint_of(peer_id: str) -> str:
    """The fingerprint of a peer id, 64 hex digits: ``lusab-babad-...``. Raises Misuse for other text."""
    if not _PEER_ID.fullmatch(peer_id):
        raise Misuse("a peer id is 64 hex digits, in lower case")
    return "-".join(_word(int(peer_id[4 * index : 4 * index + 4], 16)) for index in range(WORDS))


def read_fingerprint(text: str) -> str:
    """A fingerprint as ``fingerprint_of`` writes it, from what a person typed: any case, spaces or hyphens between the
    words. Raises Misuse when it is none, naming the word that is wrong."""
    words = text.lower().replace("-", " ").split()
    for number, word in enumerate(words, 1):
        if not _WORD.fullmatch(word):
            raise Misuse(f"word {number} is none of a fingerprint: {WORDS} words such as lusab, with hyphens")
    if len(words) != WORDS:
        raise Misuse(f"a fingerprint has {WORDS} words, this one {len(words)}")
    return "-".join(words)


def _word(bits: int) -> str:
    letters = (
        _CONSONANTS[bits >> 12],
        _VOWELS[bits >> 10 & 3],
        _CONSONANTS[bits >> 6 & 15],
        _VOWELS[bits >> 4 & 3],
        _CONSONANTS[bits & 15],
    )
    return "".join(letters)
