"""What the verbs of ``cicada keys`` do with files. Whatever loads cryptography is loaded by the verb that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from cicada.errors import ConfigError, Misuse
from cicada.ids import Address, is_canonical
from launcher import output

if TYPE_CHECKING:
    from cicada.keys.keytext import Secret
    from cicada.keys.pins import Pin, PublicKeys


class IdentityRow(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of an identity, and whom it trusts if that was asked for."""

    file: str
    address: str
    peer_id: str
    fingerprint: str
    pins: tuple[PinRow, ...] | None = None


class PinRow(msgspec.Struct, frozen=True, kw_only=True):
    """One pin. ``since`` is wall-clock milliseconds."""

    address: str
    fingerprint: str
    by: str
    since: int


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is and everything that is wrong with it."""

    file: str
    kind: str
    entries: int
    errors: tuple[Problem, ...]


class Problem(msgspec.Struct, frozen=True):
    """One mistake; line and column are 0 when it is about the whole file."""

    line: int
    column: int
    problem: str


def described(kind: str, entries: int) -> str:
    many = "" if entries == 1 else "s"
    words = {
        "identity": "an identity",
        "swarm-key": "a swarm key",
        "passphrase": "the passphrase of a swarm",
        "cicada-peer": "exported keys",
        "cicada-trust": f"a trust file with {entries} pin{many}",
    }
    return words.get(kind, f"a key file with the keys of {entries} host{many}")


def named(file: Path | None) -> Path:
    if file is None:
        raise typer.BadParameter("name the FILE to write")
    return file


def address_of(text: str) -> Address:
    """Raises BadParameter unless it is canonical."""
    if not is_canonical(text):
        raise typer.BadParameter(f"{text!r} is no address: write a numeric IP and a port, as 10.0.0.2:50000")
    return Address(text)


def new_identity(file: Path | None, address: str) -> None:
    from cicada.keys.fingerprint import fingerprint_of
    from cicada.keys.identity import Identity
    from cicada.keys.keytext import identity_text
    from cicada.keys.store import ENTROPY, create_secret, identity_path, make_private_folder

    at = address_of(address) if address else None
    if file is None and at is None:
        raise typer.BadParameter("name the FILE to write, or the --address whose peer it is for")
    identity = Identity.generate(ENTROPY)
    path = file or identity_path(at or Address(""))
    if file is None:
        make_private_folder(path.parent)
    create_secret(path, identity_text(identity, at))
    output.show([str(path), f"  fingerprint  {fingerprint_of(identity.peer_id)}"])


def new_swarm_key(file: Path, wants_passphrase: bool) -> None:
    from cicada.keys.keytext import passphrase_text, swarm_key_text
    from cicada.keys.store import ENTROPY, create_secret

    create_secret(
        file, passphrase_text(_passphrase()) if wants_passphrase else swarm_key_text(ENTROPY.randbytes(32))
    )
    output.show([str(file)])


def _passphrase() -> Secret:
    """From the terminal, typed twice and not shown, or the first line of standard input."""
    from cicada.keys.keytext import Secret

    if sys.stdin.isatty():
        return Secret(typer.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True))
    return Secret(typer.get_text_stream("stdin").readline().rstrip("\r\n"))


def new_pair(folder: Path, pair: tuple[str, str]) -> None:
    from cicada.keys.hostkeys import hostkeys_text, pair_of
    from cicada.keys.store import ENTROPY, create_secret, make_private_folder

    one, other = pair_of(*pair, ENTROPY)
    make_private_folder(folder)
    paths = [folder / f"keys-of-{entry.whose.replace(':', '_')}.json" for entry in (other, one)]
    taken = next((path for path in paths if path.exists()), None)
    if taken is not None:
        raise Misuse(f"{taken} exists: nothing is overwritten; choose another folder or move it away")
    for path, entry in zip(paths, (one, other), strict=True):
        create_secret(path, hostkeys_text((entry,)))
    output.show(map(str, paths))
    output.progress("bring each to its peer by a way that you trust, and delete it here")


def is_identity(named: str) -> bool:
    """Whether this is a peer's address, or the file of an identity."""
    from cicada.keys.keytext import IDENTITY, type_of
    from cicada.keys.store import read_secret

    return is_canonical(named) or type_of(read_secret(Path(named))) == IDENTITY


def identity_file(named: str) -> Path:
    """The file of an identity by path or address; without a name, the only one of the state folder."""
    from cicada.keys.store import identities, identity_path

    if named:
        path = identity_path(Address(named)) if is_canonical(named) else Path(named)
        if not os.path.exists(path):
            raise Misuse(f"there is no identity in {path}: `cicada keys new` makes one")
        return path
    found = identities()
    if not found:
        raise Misuse(
            "no identity is kept here: `cicada keys new --address ip:port` makes one, or name its file"
        )
    if len(found) > 1:
        raise Misuse(
            f"{len(found)} identities are kept here: name one by its address; `cicada keys show` lists them"
        )
    return found[0]


def exported(file: Path, at: Address) -> PublicKeys:
    """The keys in an exported file, which must not be another address's."""
    from cicada.keys.store import read_export

    known = read_export(file)
    if known.address not in ("", at):
        raise ConfigError(f"these are the keys of {known.address}, not of {at}", file=str(file))
    return known


def met(pins: Iterable[Pin], at: Address, who: str) -> Pin:
    """The pin of the peer at an address, whose fingerprint must be what the user says."""
    from cicada.keys.fingerprint import read_fingerprint

    try:
        told = read_fingerprint(who)
    except Misuse as error:
        raise Misuse(f"{who!r} is neither a file nor a fingerprint: {error}") from None
    known = next((pin for pin in pins if pin.address == at), None)
    if known is None:
        raise Misuse(
            f"nobody was met at {at} yet, so a fingerprint is not enough: use the file of `cicada keys export`"
        )
    if known.fingerprint != told:
        raise Misuse(f"the peer that was met at {at} is another: {known.fingerprint}. Nothing was changed")
    return known


def identity_row(path: Path, with_pins: bool) -> IdentityRow:
    from cicada.keys.fingerprint import fingerprint_of
    from cicada.keys.store import load_pins, read_identity, trust_path

    stored = read_identity(path)
    pins = load_pins(trust_path(path)) if with_pins else None
    return IdentityRow(
        file=str(path),
        address=stored.address,
        peer_id=stored.identity.peer_id,
        fingerprint=fingerprint_of(stored.identity.peer_id),
        pins=None if pins is None else tuple(map(_pin_row, pins)),
    )


def _pin_row(pin: Pin) -> PinRow:
    return PinRow(address=pin.address, fingerprint=pin.fingerprint, by=pin.by, since=pin.since)


def row_lines(rows: Iterable[IdentityRow]) -> Iterator[str]:
    for row in rows:
        yield f"{output.strong(row.address or 'no address')}  {output.faint(row.file)}"
        yield f"  peer id      {row.peer_id}"
        yield f"  fingerprint  {row.fingerprint}"
        for pin in row.pins or ():
            yield f"  trusts       {pin.address}  {pin.fingerprint}  by {pin.by}"
