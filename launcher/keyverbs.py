"""``cicada keys``: identities, swarm keys, key files and whom to trust, all in files. Each verb is one function."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cicada.commands import Done, RotateSwarmKey, RotationPhase
from cicada.errors import ConfigError, ConfigErrors, Misuse
from cicada.ids import Address, is_canonical
from cicada.limits import CLI
from launcher import output
from launcher.options import LATEST_RUN, JsonOption, RunOption
from launcher.verbs import connect

if TYPE_CHECKING:
    from cicada.keys.keytext import Secret
    from cicada.keys.pins import Pin, PublicKeys

app = typer.Typer(no_args_is_help=True)

IdentityArgument = Annotated[
    str, typer.Argument(metavar="[IDENTITY]", help="An identity file, or the address that it is for.")
]
IdentityOption = Annotated[
    str,
    typer.Option(
        "--identity", metavar="IDENTITY", help="Whose trust: a file or an address; otherwise your only one."
    ),
]
AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="Where the other peer is, as ip:port.")
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address", metavar="ADDRESS", help="Where the peer of a new identity will be, as ip:port."
    ),
]
SwarmOption = Annotated[bool, typer.Option("--swarm", help="Make a swarm key instead of an identity.")]
PassphraseOption = Annotated[
    bool,
    typer.Option("--passphrase", help="With --swarm: a passphrase, from the terminal or standard input."),
]
PairOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--pair", metavar="A B", help="Make key files for two peers, by address or peer id, in FILE."
    ),
]


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


@app.callback()
def keys() -> None:
    """Make and check keys, see who a peer is, and say whom it may trust. What these verbs print is never secret.

    \b
      cicada keys new --address 10.0.0.2:50000
      cicada keys show
      cicada keys trust 10.0.0.3:50000 other.json
      cicada keys new --swarm office.key
      cicada keys check office.key

    Identities stand in your state folder; the environment variable CICADA_STATE names another. docs/keys.md has the files.
    """


@app.command()
def new(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Where to write it.")] = None,
    address: AddressOption = "",
    swarm: SwarmOption = False,
    passphrase: PassphraseOption = False,
    pair: PairOption = None,
) -> None:
    """Make an identity, a swarm key, or the key files of two peers. Nothing is overwritten.

    \b
      cicada keys new --address 10.0.0.2:50000      the identity of the peer there
      cicada keys new peer.identity
      cicada keys new --swarm office.key
      cicada keys new --swarm --passphrase office.key < phrase.txt
      cicada keys new --pair 10.0.0.2:50000 10.0.0.3:50000 keyfiles/
    """
    if passphrase and not swarm:
        raise typer.BadParameter("--passphrase belongs to --swarm")
    if [bool(address), swarm, pair is not None].count(True) > 1:
        raise typer.BadParameter("make one thing at a time: --address, --swarm or --pair")
    if pair is not None:
        _new_pair(file or Path(), pair)
    elif swarm:
        _new_swarm_key(_named(file), passphrase)
    else:
        _new_identity(file, address)


@app.command()
def show(
    identity: IdentityArgument = "",
    pins: Annotated[bool, typer.Option("--pins", help="Whom it trusts, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show who a peer is: its id and its fingerprint, to be read aloud. Without IDENTITY, all in your state folder.

    \b
      cicada keys show
      cicada keys show 10.0.0.2:50000 --pins
    """
    from cicada.keys.store import identities

    paths = [_identity_file(identity)] if identity else identities()
    rows = [_row(path, pins) for path in paths]
    if as_json:
        output.show_json(rows)
    elif rows:
        output.show(_row_lines(rows))
    else:
        output.progress("no identity is kept here: `cicada keys new --address ip:port` makes one")


@app.command()
def export(identity: IdentityArgument = "") -> None:
    """Print a peer's public keys, signed, as JSON for others to `cicada keys trust`.

    \b
      cicada keys export 10.0.0.2:50000 > me.json
    """
    from cicada.keys.pins import export_text
    from cicada.keys.store import read_identity

    stored = read_identity(_identity_file(identity))
    output.show([export_text(stored.identity, stored.address).rstrip()])


@app.command()
def trust(
    address: AddressArgument,
    who: Annotated[
        str,
        typer.Argument(
            metavar="FINGERPRINT|FILE", help="Its fingerprint, once it was met, or its exported keys."
        ),
    ],
    identity: IdentityOption = "",
) -> None:
    """Say who the peer at an address is. Its keys then change only when it signs the new ones, or you say so.

    \b
      cicada keys trust 10.0.0.3:50000 other.json
      cicada keys trust 10.0.0.3:50000 lusab-babad-gutih-tugad-gutuk-bisog-mudof-sakat
    """
    from cicada.keys.pins import USER, Pin
    from cicada.keys.store import keep_pins, load_pins, trust_path

    path = trust_path(_identity_file(identity))
    at = _address(address)
    known = _exported(Path(who), at) if Path(who).exists() else _met(load_pins(path), at, who)
    now = time.time_ns() // 1_000_000
    pin = Pin(address=at, signing_key=known.signing_key, static_key=known.static_key, by=USER, since=now)
    keep_pins(path, [pin])
    output.show([f"{output.good('trusted')}  {at}  {pin.fingerprint}"])


@app.command()
def untrust(address: AddressArgument, identity: IdentityOption = "") -> None:
    """Forget who the peer at an address is. The next that is met there is trusted as at first contact.

    \b
      cicada keys untrust 10.0.0.3:50000
    """
    from cicada.keys.store import forget_pin, trust_path

    at = _address(address)
    if not forget_pin(trust_path(_identity_file(identity)), at):
        raise Misuse(f"nobody is pinned at {at}: `cicada keys show --pins` lists who is")
    output.show([f"forgot  {at}"])


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Any file of keys, pins or exported keys.")],
    as_json: JsonOption = False,
) -> None:
    """Check a key file, swarm key, identity, trust file or exported keys. Everything that is wrong is shown at once.

    \b
      cicada keys check keyfile.json
    """
    from cicada.keys.store import check_file

    found = check_file(file)
    if as_json:
        problems = tuple(Problem(error.line, error.column, error.problem) for error in found.errors)
        output.show_json(CheckResult(file=str(file), kind=found.kind, entries=found.entries, errors=problems))
    if found.errors:
        raise ConfigErrors(found.errors)
    if not as_json:
        output.show([f"{file}: {output.good('right')}, {_described(found.kind, found.entries)}"])


def _described(kind: str, entries: int) -> str:
    many = "" if entries == 1 else "s"
    words = {
        "identity": "an identity",
        "swarm-key": "a swarm key",
        "passphrase": "the passphrase of a swarm",
        "cicada-peer": "exported keys",
        "cicada-trust": f"a trust file with {entries} pin{many}",
    }
    return words.get(kind, f"a key file with the keys of {entries} host{many}")


def _named(file: Path | None) -> Path:
    if file is None:
        raise typer.BadParameter("name the FILE to write")
    return file


def _address(text: str) -> Address:
    """Raises BadParameter unless it is canonical."""
    if not is_canonical(text):
        raise typer.BadParameter(f"{text!r} is no address: write a numeric IP and a port, as 10.0.0.2:50000")
    return Address(text)


def _new_identity(file: Path | None, address: str) -> None:
    from cicada.keys.fingerprint import fingerprint_of
    from cicada.keys.identity import Identity
    from cicada.keys.keytext import identity_text
    from cicada.keys.store import ENTROPY, create_secret, identity_path, make_private_folder

    at = _address(address) if address else None
    if file is None and at is None:
        raise typer.BadParameter("name the FILE to write, or the --address whose peer it is for")
    identity = Identity.generate(ENTROPY)
    path = file or identity_path(at or Address(""))
    if file is None:
        make_private_folder(path.parent)
    create_secret(path, identity_text(identity, at))
    output.show([str(path), f"  fingerprint  {fingerprint_of(identity.peer_id)}"])


def _new_swarm_key(file: Path, wants_passphrase: bool) -> None:
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


@app.command()
def rotate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new swarm key: cicada keys new --swarm.")],
    phase: Annotated[
        RotationPhase | None,
        typer.Option("--phase", help="One phase alone, where other machines have peers of the swarm too."),
    ] = None,
    run: RunOption = LATEST_RUN,
) -> None:
    """Change the key of a closed swarm while it runs. No message is lost.

    \b
      cicada keys rotate new.key                    all three phases, one after the other
      cicada keys rotate new.key --phase accept     then dial, then finish, on every machine in turn
      cicada keys rotate new.key --phase now        the old key leaked: refuse it at once

    Phases: accept the new key beside the old; dial with the new; refuse the old, and close its links.
    """
    steps = (RotationPhase.ACCEPT, RotationPhase.DIAL, RotationPhase.FINISH) if phase is None else (phase,)
    with connect(run) as swarm:
        for step in steps:
            swarm.ask(RotateSwarmKey(file=str(file.resolve()), phase=step), Done, CLI.change)
            output.progress(f"{step.value}: {_PHASES[step]}")
    if steps[-1] in (RotationPhase.FINISH, RotationPhase.NOW):
        output.progress(f"for the next start, name {file} as key_file in the configuration's [swarm]")


_PHASES = {
    RotationPhase.ACCEPT: "every worker accepts the new key beside the old one",
    RotationPhase.DIAL: "links are made with the new key",
    RotationPhase.FINISH: "the old key is refused, and its links are closed",
    RotationPhase.NOW: "only the new key is accepted",
}


def _new_pair(folder: Path, pair: tuple[str, str]) -> None:
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


def _identity_file(named: str) -> Path:
    """The file of an identity by path or address; without a name, the only one of the state folder."""
    from cicada.keys.store import identities, identity_path

    if named:
        path = identity_path(Address(named)) if is_canonical(named) else Path(named)
        if not path.exists():
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


def _exported(file: Path, at: Address) -> PublicKeys:
    """The keys in an exported file, which must not be another address's."""
    from cicada.keys.store import read_export

    known = read_export(file)
    if known.address not in ("", at):
        raise ConfigError(f"these are the keys of {known.address}, not of {at}", file=str(file))
    return known


def _met(pins: Iterable[Pin], at: Address, who: str) -> Pin:
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


def _row(path: Path, with_pins: bool) -> IdentityRow:
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


def _row_lines(rows: Iterable[IdentityRow]) -> Iterator[str]:
    for row in rows:
        yield f"{output.strong(row.address or 'no address')}  {output.faint(row.file)}"
        yield f"  peer id      {row.peer_id}"
        yield f"  fingerprint  {row.fingerprint}"
        for pin in row.pins or ():
            yield f"  trusts       {pin.address}  {pin.fingerprint}  by {pin.by}"
