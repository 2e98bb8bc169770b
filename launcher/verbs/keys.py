"""``cicada keys``: identities, swarm keys, key files and whom to trust, all in files. Each verb is one function."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from cicada.commands import Done, RotateSwarmKey, RotationPhase
from cicada.errors import ConfigErrors, Misuse
from cicada.ids import is_canonical
from cicada.limits import CLI
from launcher import output
from launcher.keys import work as keywork
from launcher.verbs.options import LATEST_RUN, JsonOption, RunOption, existing
from launcher.verbs.swarm import connect

app = typer.Typer(no_args_is_help=True)


def _rotate_identity(path: Path) -> None:
    from cicada.keys.fingerprint import fingerprint_of
    from cicada.keys.store import rotate_identity

    old, new = rotate_identity(path)
    output.progress(f"{path}: new keys, signed by the old ones; use them by starting its peer again")
    output.show([f"was  {fingerprint_of(old.peer_id)}", f"is   {fingerprint_of(new.peer_id)}"])


_PHASES = {
    RotationPhase.ACCEPT: "every worker accepts the new key beside the old one",
    RotationPhase.DIAL: "links are made with the new key",
    RotationPhase.FINISH: "the old key is refused, and its links are closed",
    RotationPhase.NOW: "only the new key is accepted",
}

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
        keywork.new_pair(file or Path(), pair)
    elif swarm:
        keywork.new_swarm_key(keywork.named(file), passphrase)
    else:
        keywork.new_identity(file, address)


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

    paths = [keywork.identity_file(identity)] if identity else identities()
    rows = [keywork.identity_row(path, pins) for path in paths]
    if as_json:
        output.show_json(rows)
    elif rows:
        output.show(keywork.row_lines(rows))
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

    stored = read_identity(keywork.identity_file(identity))
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

    path = trust_path(keywork.identity_file(identity))
    at = keywork.address_of(address)
    known = keywork.exported(Path(who), at) if os.path.exists(who) else keywork.met(load_pins(path), at, who)
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

    at = keywork.address_of(address)
    if not forget_pin(trust_path(keywork.identity_file(identity)), at):
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

    found = check_file(existing(file))
    if as_json:
        problems = tuple(keywork.Problem(error.line, error.column, error.problem) for error in found.errors)
        output.show_json(
            keywork.CheckResult(file=str(file), kind=found.kind, entries=found.entries, errors=problems)
        )
    if found.errors:
        raise ConfigErrors(found.errors)
    if not as_json:
        output.show([f"{file}: {output.good('right')}, {keywork.described(found.kind, found.entries)}"])


@app.command()
def rotate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|IDENTITY",
            help="The new swarm key; or an identity, by file or address, to be renewed.",
        ),
    ],
    phase: Annotated[
        RotationPhase | None,
        typer.Option("--phase", help="One phase alone, where other machines have peers of the swarm too."),
    ] = None,
    run: RunOption = LATEST_RUN,
) -> None:
    """Change the key of a closed swarm while it runs; no message is lost. Or give a peer new keys, which the old ones sign.

    \b
      cicada keys rotate new.key                    all three phases, one after the other
      cicada keys rotate new.key --phase accept     then dial, then finish, on every machine in turn
      cicada keys rotate new.key --phase now        the old key leaked: refuse it at once
      cicada keys rotate 10.0.0.2:50000             new keys for the peer there, before its next start

    Phases: accept the new key beside the old; dial with the new; refuse the old, and close its links.
    """
    if not is_canonical(what):
        existing(Path(what))
    if keywork.is_identity(what):
        _rotate_identity(keywork.identity_file(what))
        return
    file = Path(what)
    steps = (RotationPhase.ACCEPT, RotationPhase.DIAL, RotationPhase.FINISH) if phase is None else (phase,)
    with connect(run) as swarm:
        for step in steps:
            swarm.ask(RotateSwarmKey(file=str(file.resolve()), phase=step), Done, CLI.change)
            output.progress(f"{step.value}: {_PHASES[step]}")
    if steps[-1] in (RotationPhase.FINISH, RotationPhase.NOW):
        output.progress(f"for the next start, name {file} as key_file in the configuration's [swarm]")
