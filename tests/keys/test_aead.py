"""Sealing is RFC 8439's, the same by either library, and the package needs only one of them."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import PeerFault
from cicada.keys import aead
from cicada.keys.aead import MAX_NONCE, Seal, open_by_nacl, open_sealed, rekeyed, seal, seal_by_nacl
from tests.keys.parties import USED, both, messages_between, secret

ROOT: Final = Path(__file__).parents[2]
KEY: Final = secret("key")
BACKENDS: Final = [(seal_by_nacl, open_by_nacl), (seal, open_sealed)]
keys = st.binary(min_size=32, max_size=32)
nonces = st.integers(0, MAX_NONCE)


def transcript() -> str:
    """A hash of handshakes of every pattern and of what is sealed after them."""
    said = sha256()
    for pattern in USED:
        first, second = both(pattern)
        for message in messages_between(first, second):
            said.update(message)
        said.update(seal(first.split()[0], 1, b"header", b"text") + rekeyed(second.split()[0]))
    return said.hexdigest()


def test_the_example_of_rfc_8439_appendix_a_5_comes_out() -> None:
    key = bytes.fromhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
    nonce = int.from_bytes(bytes.fromhex("0102030405060708"), "little")
    header = bytes.fromhex("f33388860000000000004e91")
    text = (
        "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or "
        "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference "
        "material or to cite them other than as /\u201cwork in progress./\u201d"
    ).encode()
    for sealing, opening in BACKENDS:
        sealed = sealing(key, nonce, header, text)
        assert sealed[:16].hex() == "64a0861575861af460f062c79be643bd"
        assert sealed[-16:].hex() == "eead9d67890cbb22392336fea1851f38"
        assert opening(key, nonce, header, sealed) == text


def test_the_accelerated_library_is_the_one_in_use_here() -> None:
    pytest.importorskip("cryptography")
    assert seal is not seal_by_nacl
    assert open_sealed is not open_by_nacl


@given(keys, nonces, st.binary(max_size=64), st.binary(max_size=2000))
def test_both_libraries_seal_alike_and_open_each_others(
    key: bytes, nonce: int, header: bytes, text: bytes
) -> None:
    sealed = seal(key, nonce, header, text)
    assert sealed == seal_by_nacl(key, nonce, header, text)
    assert open_by_nacl(key, nonce, header, sealed) == open_sealed(key, nonce, header, sealed) == text


@pytest.mark.parametrize("opening", [open_by_nacl, open_sealed])
@pytest.mark.parametrize("text", [b"", b"a", b"text" * 100])
def test_every_bit_flipped_and_every_beginning_is_refused_by_both(opening: Seal, text: bytes) -> None:
    sealed = seal(KEY, 1, b"header", text)
    forged = [
        sealed[:at] + bytes([sealed[at] ^ 1 << bit]) + sealed[at + 1 :]
        for at in range(len(sealed))
        for bit in range(8)
    ]
    for message in forged + [sealed[:end] for end in range(len(sealed))] + [sealed + b"\0"]:
        with pytest.raises(PeerFault, match="seal"):
            opening(KEY, 1, b"header", message)
    assert opening(KEY, 1, b"header", sealed) == text


@pytest.mark.parametrize("opening", [open_by_nacl, open_sealed])
def test_another_key_nonce_or_header_is_refused_by_both(opening: Seal) -> None:
    sealed = seal(KEY, 1, b"header", b"text")
    for key, nonce, header in (
        (secret("other"), 1, b"header"),
        (KEY, 2, b"header"),
        (KEY, 1 << 32 | 1, b"header"),
        (KEY, 1, b"heade"),
        (KEY, 1, b""),
    ):
        with pytest.raises(PeerFault, match="seal"):
            opening(key, nonce, header, sealed)


def test_a_key_that_follows_is_a_new_one_each_time() -> None:
    chain = [KEY]
    for _ in range(20):
        chain.append(rekeyed(chain[-1]))
    assert len(set(chain)) == 21
    assert {len(key) for key in chain} == {32}


def test_without_the_accelerating_library_everything_comes_out_the_same() -> None:
    code = (
        "import sys\n"
        "sys.modules['cryptography'] = None\n"
        "from cicada.keys import aead\n"
        "assert aead.seal is aead.seal_by_nacl and aead.open_sealed is aead.open_by_nacl\n"
        "from tests.keys.test_aead import transcript\n"
        "print(transcript())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == transcript()
    assert aead.seal is seal
