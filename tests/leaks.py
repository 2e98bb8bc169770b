"""Looks for secrets where none may be: in files, output, arguments and environments of processes, in every form in which
programs write bytes. Whole secrets and their halves are looked for, since what is printed is often cut."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from cicada.keys.store import check_file, read_hostkeys, read_identity, read_swarm_key

PIECE: Final = 16
"""Bytes of which the first and the last of a secret are looked for."""

Place = tuple[str, bytes]
"""Where something was said, and what."""


class Needle(NamedTuple):
    """One form of a piece of a secret. ``form`` says which."""

    secret: str
    form: str
    text: bytes


def forms(piece: bytes) -> dict[str, bytes]:
    """A piece of a secret in each form in which it could be written."""
    shown = repr(piece)[2:-1]
    found = {
        "raw": piece,
        "hex": piece.hex().encode(),
        "HEX": piece.hex().upper().encode(),
        "repr": shown.encode(),
        "repr in JSON": json.dumps(shown)[1:-1].encode(),
        "numbers": ", ".join(map(str, piece)).encode(),
        "numbers in JSON": ",".join(map(str, piece)).encode(),
        "latin-1": piece.decode("latin-1").encode(),
    }
    for shift in range(3):
        found[f"base64 +{shift}"] = _inside_base64(piece, shift, base64.b64encode)
        found[f"base64url +{shift}"] = _inside_base64(piece, shift, base64.urlsafe_b64encode)
    return found


def _inside_base64(piece: bytes, shift: int, encode: object) -> bytes:
    """The characters that do not depend on what stands around the piece, ``shift`` bytes after a group of three began."""
    assert callable(encode)
    text: bytes = encode(bytes(shift) + piece + bytes(-(shift + len(piece)) % 3))
    return text[-(-shift * 8 // 6) : (shift + len(piece)) * 8 // 6]


class Search:
    """Knows secrets by name, and finds them."""

    def __init__(self, secrets: dict[str, bytes]) -> None:
        self.needles = [
            Needle(name, form, text)
            for name, raw in secrets.items()
            for piece in {raw[:PIECE], raw[-PIECE:]}
            for form, text in forms(piece).items()
        ]

    def leaks(self, places: Iterable[Place]) -> list[str]:
        """Which secret was found where and in which form; the secret itself is not said again."""
        return [
            f"{needle.secret} as {needle.form} in {where}"
            for where, said in places
            for needle in self.needles
            if needle.text in said
        ]


def secrets_in(folder: Path) -> dict[str, bytes]:
    """Every secret in the identities, swarm keys and key files of a folder and those below it, by name."""
    found: dict[str, bytes] = {}
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file() and entry.stat().st_size):
        match check_file(path).kind:
            case "identity":
                signing, static = read_identity(path).identity.seeds
                found |= {f"{path.name} signing seed": signing, f"{path.name} static seed": static}
            case "swarm-key":
                found[f"{path.name} key"] = read_swarm_key(path).key_for("")
            case "passphrase":
                line = path.read_text().splitlines()[-1]
                found[f"{path.name} passphrase"] = line.removeprefix("passphrase = ").encode()
            case "key file":
                for entry in read_hostkeys(path):
                    found[f"{path.name} outbound"] = entry.outbound
                    found[f"{path.name} inbound"] = entry.inbound
            case _:
                pass
    return found


def files_below(folder: Path) -> Iterator[Place]:
    """What every file of a folder says, and every name in it."""
    for path in sorted(folder.rglob("*")):
        yield f"the name {path.name}", str(path).encode()
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def processes(pids: Iterable[int]) -> Iterator[Place]:
    """Arguments and environment of processes, as everybody and their user can see them."""
    for pid in pids:
        for kind in ("cmdline", "environ"):
            yield f"{kind} of {pid}", Path(f"/proc/{pid}/{kind}").read_bytes()
