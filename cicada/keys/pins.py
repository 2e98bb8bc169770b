"""Pins, which address has which keys as far as one peer knows, and the files they stand in; and the file by which a peer
makes its public keys known. Nothing in them is secret, but whoever can change them chooses whom the peer trusts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from cicada.errors import PeerFault
from cicada.ids import Address, is_canonical
from cicada.keys.fingerprint import fingerprint_of
from cicada.keys.identity import PUBLIC_BYTES, SIGNATURE_BYTES, Identity, peer_id_of, verify
from cicada.keys.jsondoc import Parsed, Reader
from cicada.keys.jsonscan import Item
from cicada.limits import KEYS
from cicada.wire.decoding import UNDECODABLE

By = Literal["first-use", "user"]
FIRST_USE: Final = "first-use"
USER: Final = "user"
TRUST: Final = "cicada-trust"
PEER: Final = "cicada-peer"
VERSION: Final = 1

_EXPORT_DOMAIN: Final = b"cicada-export-1"
_PIN_FIELDS: Final = ("address", "signing_key", "static_key", "sequence", "by", "since")
_PEER_FIELDS: Final = (
    *("type", "version", "address", "peer_id", "fingerprint"),
    *("signing_key", "static_key", "signature"),
)


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of the peer at ``address``, and who said so. ``sequence`` is that of the newest record seen, 0 before any;
    ``since`` is wall-clock milliseconds."""

    address: Address
    signing_key: bytes
    static_key: bytes
    by: By
    sequence: int = 0
    since: int = 0

    @property
    def peer_id(self) -> str:
        """Whose keys they are."""
        return peer_id_of(self.signing_key)

    @property
    def fingerprint(self) -> str:
        """The same to read aloud."""
        return fingerprint_of(self.peer_id)


class PublicKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer makes known of itself. ``address`` is empty when its identity was made for none."""

    signing_key: bytes
    static_key: bytes
    address: Address = Address("")


def merged(stored: Pin | None, new: Pin, succeeds: bytes = b"") -> Pin:
    """What stands for an address when ``new`` comes to what was ``stored``.

    Other keys win only when the user says so, or when ``succeeds`` is the stored signing key: its holder signed the new
    one. The same keys keep the higher sequence, the user's word and the earlier date.
    """
    if stored is None:
        return new
    if (stored.signing_key, stored.static_key) != (new.signing_key, new.static_key):
        is_followed = succeeds == stored.signing_key
        if new.by == USER:
            return new
        return msgspec.structs.replace(new, by=stored.by) if is_followed else stored
    return msgspec.structs.replace(
        new,
        by=USER if USER in (stored.by, new.by) else FIRST_USE,
        sequence=max(stored.sequence, new.sequence),
        since=min(stored.since, new.since),
    )


def within_limit(pins: Mapping[Address, Pin], most: int = KEYS.pins) -> dict[Address, Pin]:
    """At most so many pins: those of first use go before the user's, the oldest first."""
    kept = sorted(pins.values(), key=lambda pin: (pin.by == USER, pin.since))[max(0, len(pins) - most) :]
    return {pin.address: pin for pin in sorted(kept, key=lambda pin: pin.address)}


def trust_text(pins: Iterable[Pin]) -> str:
    """A trust file."""
    rows = [
        {
            "address": pin.address,
            "signing_key": pin.signing_key.hex(),
            "static_key": pin.static_key.hex(),
            "sequence": pin.sequence,
            "by": pin.by,
            "since": pin.since,
        }
        for pin in pins
    ]
    return json.dumps({"type": TRUST, "version": VERSION, "pins": rows}, indent=1) + "\n"


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    signing_key: str
    static_key: str
    by: By
    sequence: int = 0
    since: int = 0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["cicada-trust"]
    version: Literal[1]
    pins: list[_Row]


_decoder = msgspec.json.Decoder(_File)


def parse_trust(text: str, file: str) -> Parsed[tuple[Pin, ...]]:
    """The pins of a trust file, or every mistake in it."""
    pins = _as_written(text)
    return Parsed(pins) if pins is not None else _parse_slowly(text, file)


def export_text(identity: Identity, address: Address | None = None) -> str:
    """The file by which a peer makes its keys known, signed with them, so that whoever hands it on cannot mix keys."""
    signing, static = identity.signing_public, identity.static.public
    fields = {
        "type": PEER,
        "version": VERSION,
        **({"address": address} if address else {}),
        "peer_id": identity.peer_id,
        "fingerprint": fingerprint_of(identity.peer_id),
        "signing_key": signing.hex(),
        "static_key": static.hex(),
        "signature": identity.sign(_exported(address or "", signing, static)).hex(),
    }
    return json.dumps(fields, indent=2) + "\n"


def parse_export(text: str, file: str) -> Parsed[PublicKeys]:
    """The keys that such a file makes known, or every mistake in it."""
    reader = Reader(file)
    top = reader.document(text)
    if top is None:
        return reader.result(PublicKeys(signing_key=b"", static_key=b""))
    fields = reader.table(top, _PEER_FIELDS, "the document")
    _check_header(reader, top, fields, PEER)
    address = _address(reader, fields, "the document")
    signing, static = (
        _bytes(reader, top, fields, name, PUBLIC_BYTES, "the document")
        for name in ("signing_key", "static_key")
    )
    signature = _bytes(reader, top, fields, "signature", SIGNATURE_BYTES, "the document")
    if signing and static and signature:
        _check_export(reader, fields, (address, signing, static), signature)
    return reader.result(PublicKeys(address=address, signing_key=signing, static_key=static))


def _exported(address: str, signing: bytes, static: bytes) -> bytes:
    return _EXPORT_DOMAIN + signing + static + address.encode()


def _check_export(
    reader: Reader, fields: dict[str, Item], said: tuple[str, bytes, bytes], signature: bytes
) -> None:
    peer_id = peer_id_of(said[1])
    for name, right in (("peer_id", peer_id), ("fingerprint", fingerprint_of(peer_id))):
        if name in fields and fields[name].value != right:
            reader.wrong(fields[name], f"{name}: belongs to another signing_key, whose is {right}")
    try:
        verify(said[1], _exported(*said), signature)
    except PeerFault:
        reader.wrong(fields["signature"], "signature: not the signing_key's: somebody changed this file")


def _as_written(text: str) -> tuple[Pin, ...] | None:
    """The pins of a file that is right, quickly; nothing when anything is wrong."""
    try:
        rows = _decoder.decode(text).pins
        pins = tuple(
            Pin(
                address=Address(row.address),
                signing_key=bytes.fromhex(row.signing_key),
                static_key=bytes.fromhex(row.static_key),
                by=row.by,
                sequence=row.sequence,
                since=row.since,
            )
            for row in rows
        )
    except UNDECODABLE:
        return None
    are_right = len({pin.address for pin in pins}) == len(pins) and all(map(_is_right, pins))
    return pins if are_right else None


def _is_right(pin: Pin) -> bool:
    lengths = {len(pin.signing_key), len(pin.static_key)}
    return lengths == {PUBLIC_BYTES} and is_canonical(pin.address) and min(pin.sequence, pin.since) >= 0


def _parse_slowly(text: str, file: str) -> Parsed[tuple[Pin, ...]]:
    reader = Reader(file)
    top = reader.document(text)
    pins: dict[str, Pin] = {}
    if top is not None:
        fields = reader.table(top, ("type", "version", "pins"), "the document")
        _check_header(reader, top, fields, TRUST)
        if "pins" in fields:
            for index, item in enumerate(reader.entries(fields["pins"], "pins")):
                _read_pin(reader, item, f"pins[{index}]", pins)
        elif top.kind == "object":
            reader.wrong(top, 'missing: add "pins", a list')
    return reader.result(tuple(pins.values()))


def _read_pin(reader: Reader, item: Item, where: str, pins: dict[str, Pin]) -> None:
    fields = reader.table(item, _PIN_FIELDS, where)
    if item.kind != "object":
        return
    for name in ("address", "by"):
        if name not in fields:
            reader.wrong(item, f'{where}: missing: add "{name}"')
    address = _address(reader, fields, where)
    signing, static = (
        _bytes(reader, item, fields, name, PUBLIC_BYTES, where) for name in ("signing_key", "static_key")
    )
    sequence, since = (reader.number(fields, name, where) or 0 for name in ("sequence", "since"))
    by = fields["by"].value if "by" in fields else FIRST_USE
    if by not in (FIRST_USE, USER):
        reader.wrong(fields["by"], f'{where}.by: expected "{FIRST_USE}" or "{USER}"')
    if address and address in pins:
        reader.wrong(fields["address"], f"{where}: {address} is pinned above already")
    pins[address] = Pin(
        address=address,
        signing_key=signing,
        static_key=static,
        sequence=sequence,
        since=since,
        by=USER if by == USER else FIRST_USE,
    )


def _check_header(reader: Reader, top: Item, fields: dict[str, Item], kind: str) -> None:
    for name, right in (("type", kind), ("version", VERSION)):
        if name in fields and fields[name].value != right:
            reader.wrong(fields[name], f"{name}: expected {json.dumps(right)}")
        elif name not in fields and top.kind == "object":
            reader.wrong(top, f'missing: add "{name}": {json.dumps(right)}')


def _address(reader: Reader, fields: dict[str, Item], where: str) -> Address:
    text = reader.text(fields, "address", where)
    if text is not None and not is_canonical(text):
        reader.wrong(fields["address"], f"{where}.address: not a numeric IP and a port, as 10.0.0.2:50000")
    return Address(text or "")


def _bytes(reader: Reader, item: Item, fields: dict[str, Item], name: str, size: int, where: str) -> bytes:
    """The bytes of a field in hex; empty, with the mistake noted, when it has another length or is not there."""
    if name not in fields:
        if item.kind == "object":
            reader.wrong(item, f'{where}: missing: add "{name}"')
        return b""
    text = reader.text(fields, name, where)
    try:
        raw = bytes.fromhex(text or "")
    except ValueError:
        raw = b""
    if text is not None and len(raw) != size:
        reader.wrong(fields[name], f"{where}.{name}: expected {size} bytes, as {2 * size} hex digits")
        return b""
    return raw
