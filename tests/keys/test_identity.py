"""Identities are made of two seeds, sign as RFC 8032 says, and never show what is secret."""

from __future__ import annotations

import copy
import pickle
from hashlib import sha256
from random import Random

import pytest

from cicada.errors import Misuse
from cicada.keys.aead import public_of, shared_secret
from cicada.keys.identity import Identity, verify
from tests.keys.parties import secret


def test_the_first_example_of_rfc_8032_comes_out() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    identity = Identity(seed, secret("static"))
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert identity.signing_public.hex() == public
    assert identity.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert identity.peer_id == sha256(bytes.fromhex(public)).hexdigest()
    verify(identity.signing_public, b"", identity.sign(b""))


def test_the_example_of_rfc_7748_comes_out() -> None:
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert public_of(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert public_of(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    common = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert shared_secret(alice, public_of(bob)).hex() == shared_secret(bob, public_of(alice)).hex() == common


def test_generating_takes_both_seeds_from_the_entropy_source() -> None:
    expected = Random(7)
    identity = Identity.generate(Random(7))
    assert identity.seeds == (expected.randbytes(32), expected.randbytes(32))
    assert identity.static.private == identity.seeds[1]


def test_derived_identities_are_always_the_same_and_all_different() -> None:
    made = [Identity.derive(secret(who), name) for who in ("a", "b") for name in ("peer-0", "peer-1", "")]
    again = [Identity.derive(secret(who), name) for who in ("a", "b") for name in ("peer-0", "peer-1", "")]
    assert [one.seeds for one in made] == [one.seeds for one in again]
    assert len({seed for one in made for seed in one.seeds}) == 12


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_seeds_and_secrets_of_another_length_are_misuse(size: int) -> None:
    with pytest.raises(Misuse, match="32 bytes"):
        Identity(bytes(size), bytes(32))
    with pytest.raises(Misuse, match="32 bytes"):
        Identity(bytes(32), bytes(size))
    with pytest.raises(Misuse, match="32 bytes"):
        Identity.derive(bytes(size), "peer-0")


def test_an_identity_shows_its_public_half_only_and_is_not_pickled() -> None:
    identity = Identity(secret("signing"), secret("static"))
    printed = f"{identity!r} {identity} {identity.static!r} {[identity]}"
    assert [seed for seed in identity.seeds if seed.hex() in printed or repr(seed)[2:-1] in printed] == []
    assert identity.peer_id in printed
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            attempt(identity)
