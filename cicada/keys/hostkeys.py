"""Key files: the keys that this peer agreed on with others outside of the swarm, in the original Cicada's JSON.

    {"trusted_hosts": [{"address": "10.0.0.2:50000", "outbound_key": "...", "inbound_key": "..."}]}

An entry names the other side by ``address`` or by ``peer``, its peer id. What this side calls outbound is the other's
inbound.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Final

from cicada.errors import Misuse
from cicada.ids import Address, canonical_address, split_address
from cicada.keys.aead import KEY_BYTES
from cicada.keys.identity import Entropy
from cicada.keys.jsondoc import Parsed, Reader
from cicada.keys.jsonscan import Item
from cicada.keys.keytext import Secret, key_of
from cicada.keys.psks import PreShared

_HOSTS: Final = "trusted_hosts"
_FIELDS: Final = ("address", "peer", "outbound_key", "inbound_key")
_PEER_ID = re.compile(r"[0-9a-f]{64}")


def parse_hostkeys(text: str, file: str) -> Parsed[tuple[PreShared, ...]]:
    """The keys in a key file, or every mistake in it. No message shows a key."""
    reader = Reader(file)
    top = reader.document(text)
    found: dict[str, tuple[int, PreShared | None]] = {}
    if top is not None:
        fields = reader.table(top, (_HOSTS,), "the document")
        if _HOSTS in fields:
            for index, item in enumerate(reader.entries(fields[_HOSTS], _HOSTS)):
                _read_entry(reader, item, f"{_HOSTS}[{index}]", found)
        elif top.kind == "object":
            reader.wrong(top, f'missing: add "{_HOSTS}", a list of hosts')
    return reader.result(tuple(entry for _, entry in found.values() if entry is not None))


def hostkeys_text(entries: tuple[PreShared, ...]) -> Secret:
    """A key file with these entries."""
    hosts = [
        {
            **({"address": entry.address} if entry.address else {"peer": entry.peer_id}),
            "outbound_key": entry.outbound.hex(),
            "inbound_key": entry.inbound.hex(),
        }
        for entry in entries
    ]
    return Secret(json.dumps({_HOSTS: hosts}, indent=2) + "\n")


def pair_of(one: str, other: str, entropy: Entropy) -> tuple[PreShared, PreShared]:
    """New keys for two peers, each named by its address or peer id: the entry of the first one's file, which names the
    other, and that of the other's. Raises Misuse for names that are neither, or the same."""
    if one == other:
        raise Misuse("keys are shared by two peers: name another one")
    mine, theirs = entropy.randbytes(KEY_BYTES), entropy.randbytes(KEY_BYTES)
    return (_named(other, outbound=mine, inbound=theirs), _named(one, outbound=theirs, inbound=mine))


def _named(name: str, *, outbound: bytes, inbound: bytes) -> PreShared:
    if _PEER_ID.fullmatch(name):
        return PreShared(peer_id=name, outbound=outbound, inbound=inbound)
    return PreShared(address=canonical_address(*split_address(name)), outbound=outbound, inbound=inbound)


def _read_entry(
    reader: Reader, item: Item, where: str, found: dict[str, tuple[int, PreShared | None]]
) -> None:
    """Add the entry to ``found`` under its name, with its line. A wrong one is there too, so that duplicates are seen."""
    if item.kind == "object" and not item.names:
        reader.wrong(item, f"{where}: an empty entry: delete it")
        return
    fields = reader.table(item, _FIELDS, where)
    if item.kind != "object":
        return
    outbound, inbound = (_key(reader, item, fields, name, where) for name in ("outbound_key", "inbound_key"))
    address, peer_id = _name(reader, item, fields, where)
    whose = address or peer_id
    if whose in found:
        reader.wrong(
            fields["address" if address else "peer"], f"{where}: named in line {found[whose][0]} already"
        )
    elif whose:
        is_right = bool(outbound and inbound)
        entry = (
            PreShared(address=address, peer_id=peer_id, outbound=outbound, inbound=inbound)
            if is_right
            else None
        )
        found[whose] = (item.line, entry)


def _key(reader: Reader, item: Item, fields: dict[str, Item], name: str, where: str) -> bytes:
    """The key in a field; empty, with the mistake noted, when it is none."""
    if name not in fields:
        reader.wrong(item, f'{where}: missing: add "{name}"')
        return b""
    text = reader.text(fields, name, where)
    key = b"" if text is None else key_of(text)
    if isinstance(key, str):
        reader.wrong(fields[name], f"{where}.{name}: {key}")
        return b""
    return key


def _name(reader: Reader, item: Item, fields: dict[str, Item], where: str) -> tuple[Address, str]:
    """Whose keys they are: an address or a peer id, the other empty. Both are when the entry does not say."""
    nobody = Address(""), ""
    if "address" in fields and "peer" in fields:
        reader.wrong(item, f'{where}: name the host by "address" or by "peer", not by both')
        return nobody
    if "address" in fields:
        text = reader.text(fields, "address", where)
        problem = None if text is None else _address_problem(text)
        if problem:
            reader.wrong(fields["address"], f"{where}.address: {problem}")
        return (Address(text), "") if text and not problem else nobody
    if "peer" not in fields:
        reader.wrong(item, f'{where}: whose keys? Add "address" or "peer"')
        return nobody
    text = reader.text(fields, "peer", where)
    if text is not None and not _PEER_ID.fullmatch(text):
        reader.wrong(fields["peer"], f"{where}.peer: not a peer id, which is 64 hex digits in lower case")
        return nobody
    return Address(""), text or ""


def _address_problem(text: str) -> str:
    """What is wrong with the text of an address, without showing what may be a key; empty when nothing is."""
    if _is_ip(text):
        return "the port is missing: write ip:port, as 10.0.0.2:50000"
    try:
        canonical = canonical_address(*split_address(text))
    except Misuse:
        return "not a numeric IP and a port, as 10.0.0.2:50000; host names are not resolved"
    return "" if canonical == text else f"write it as peers do: {canonical}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
