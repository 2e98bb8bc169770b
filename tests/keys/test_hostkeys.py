"""Key files of the original Cicada: right ones become keys, wrong ones get every mistake named, and no key is ever shown."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from cicada.ids import Address
from cicada.keys.hostkeys import hostkeys_text, pair_of, parse_hostkeys
from cicada.keys.psks import PreShared

OUT, IN = Random(1).randbytes(32), Random(2).randbytes(32)
PEER_ID = "ab" * 32
AT = Address("10.0.0.2:50000")

ORIGINALS_SAMPLE = """// keylist.json
{
  "trusted_hosts": [{
    "address": "75.23.66.101",
    "outbound_key": "supersecretencryptionkey",
    "inbound_key": "superduperencryptionkey"
  }, {
  }]
}
"""


def entry(**changes: Any) -> dict[str, Any]:
    made = {"address": AT, "outbound_key": OUT.hex(), "inbound_key": IN.hex(), **changes}
    return {name: value for name, value in made.items() if value is not None}


def text_of(*entries: object) -> str:
    return json.dumps({"trusted_hosts": entries})


def mistakes(text: str) -> list[str]:
    parsed = parse_hostkeys(text, "keys.json")
    assert (parsed.value is None) == bool(parsed.errors)
    return [str(error) for error in parsed.errors]


def words(text: str) -> list[str]:
    return [line.split(": ", 1)[1] for line in mistakes(text)]


@pytest.mark.parametrize(
    "write",
    [
        bytes.hex,
        lambda key: key.hex().upper(),
        lambda key: base64.b64encode(key).decode(),
        lambda key: base64.urlsafe_b64encode(key).decode(),
        lambda key: base64.b64encode(key).decode().rstrip("="),
    ],
    ids=["hex", "HEX", "base64", "url-safe", "unpadded"],
)
def test_a_key_is_read_in_each_of_its_forms(write: Any) -> None:
    parsed = parse_hostkeys(text_of(entry(outbound_key=write(OUT), inbound_key=write(IN))), "f")
    assert parsed.value == (PreShared(address=AT, outbound=OUT, inbound=IN),)


def test_an_entry_may_name_a_peer_id() -> None:
    parsed = parse_hostkeys(text_of(entry(address=None, peer=PEER_ID)), "f")
    assert parsed.value == (PreShared(peer_id=PEER_ID, outbound=OUT, inbound=IN),)


@given(st.lists(st.integers(1, 65535), unique=True, max_size=5), st.integers())
def test_what_is_written_is_read_back(ports: list[int], seed: int) -> None:
    rng = Random(seed)
    entries = tuple(
        PreShared(address=Address(f"[::1]:{port}"), outbound=rng.randbytes(32), inbound=rng.randbytes(32))
        for port in ports
    )
    assert parse_hostkeys(hostkeys_text(entries).reveal(), "f").value == entries


def test_the_two_files_of_a_pair_fit_each_other() -> None:
    one, other = pair_of("127.0.0.1:1", PEER_ID, Random(3))
    assert (one.whose, other.whose) == (PEER_ID, "127.0.0.1:1")
    assert (one.outbound, one.inbound) == (other.inbound, other.outbound)
    assert one.outbound != one.inbound


@pytest.mark.parametrize(
    "names", [("127.0.0.1:1", "127.0.0.1:1"), ("127.0.0.1:1", "localhost:2"), ("127.0.0.1", AT)]
)
def test_a_pair_needs_two_names(names: tuple[str, str]) -> None:
    with pytest.raises(Misuse):
        pair_of(*names, Random(3))


def test_the_originals_sample_gets_every_mistake_named() -> None:
    assert mistakes(ORIGINALS_SAMPLE) == [
        "keys.json:1:1: JSON has no comments: delete this one",
        "keys.json:4:16: trusted_hosts[0].address: the port is missing: write ip:port, as 10.0.0.2:50000",
        "keys.json:5:21: trusted_hosts[0].outbound_key: 24 characters that are no key: "
        "one is 32 bytes, as 64 hex digits, or 44 characters of base64",
        "keys.json:6:20: trusted_hosts[0].inbound_key: 23 characters that are no key: "
        "one is 32 bytes, as 64 hex digits, or 44 characters of base64",
        "keys.json:7:6: trusted_hosts[1]: an empty entry: delete it",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outbound": 1}, 'unknown field "outbound": did you mean "outbound_key"?'),
        ({OUT.hex(): 1}, "unknown field of 64 characters"),
        ({"outbound_key": None}, 'missing: add "outbound_key"'),
        ({"outbound_key": 7}, "outbound_key: expected text in quotes, got a number"),
        ({"inbound_key": "ab" * 20}, "inbound_key: 20 bytes in hex: a key has 32"),
        ({"inbound_key": "00" * 32}, "inbound_key: a placeholder, not a key"),
        ({"inbound_key": ""}, "inbound_key: 0 characters that are no key"),
        ({"inbound_key": OUT.hex()[:-1]}, "inbound_key: 63 characters that are no key"),
        ({"peer": PEER_ID}, 'name the host by "address" or by "peer", not by both'),
        ({"address": None}, 'whose keys? Add "address" or "peer"'),
        ({"address": None, "peer": "AB" * 32}, "peer: not a peer id"),
        ({"address": ["x"]}, "address: expected text in quotes, got a list"),
        ({"address": "localhost:50000"}, "host names are not resolved"),
        ({"address": "10.0.0.2:99999"}, "not a numeric IP and a port"),
        ({"address": "[::ffff:10.0.0.2]:50000"}, "write it as peers do: 10.0.0.2:50000"),
        ({"address": "::1"}, "the port is missing"),
    ],
)
def test_a_mistake_in_an_entry_is_named(changes: dict[str, Any], expected: str) -> None:
    found = words(text_of(entry(**changes)))
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keys", "not valid JSON"),
        ("[]", "the document: expected an object, got a list"),
        ("{}", 'missing: add "trusted_hosts"'),
        ('{"trusted_host": []}', 'unknown field "trusted_host": did you mean "trusted_hosts"?'),
        ('{"trusted_hosts": {}}', "trusted_hosts: expected a list, got an object"),
        ('{"trusted_hosts": ["x"]}', "trusted_hosts[0]: expected an object, got text"),
        (text_of(entry(), entry()), "trusted_hosts[1]: named in line 1 already"),
        (text_of(entry(inbound_key="no"), entry()), "trusted_hosts[1]: named in line 1 already"),
    ],
)
def test_a_mistake_in_the_document_is_named(text: str, expected: str) -> None:
    assert any(expected in line for line in words(text))


def test_no_mistakes_hide_each_other() -> None:
    text = text_of(entry(outbound_key="x", inbound_key="y", address="z", color=1), entry(peer=PEER_ID), {})
    assert len(mistakes(text)) == 6


@given(
    st.sampled_from(["address", "peer", "outbound_key", "inbound_key"]),
    st.sampled_from(["", "x", " ", "\n", '"']),
)
def test_no_message_shows_a_key_wherever_it_was_put(field: str, extra: str) -> None:
    shown = "\n".join(words(text_of(entry(**{field: OUT.hex() + extra, "address2": extra}))))
    assert OUT.hex()[:16] not in shown
    assert IN.hex()[:16] not in shown


@given(st.text() | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_any_text_gives_keys_or_mistakes(text: str) -> None:
    assert mistakes(text)
