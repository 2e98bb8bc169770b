"""Secrets and pins on disk. Files of secrets are readable by their user alone, made whole or not at all, and refused when
others could have read them. Every function may wait for the disk: keep it off an event loop.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import msgspec
import platformdirs

from cicada.errors import ConfigError, ConfigErrors, Misuse, PeerFault, Unavailable
from cicada.ids import Address, is_canonical
from cicada.keys.hostkeys import parse_hostkeys
from cicada.keys.identity import Entropy, Identity
from cicada.keys.jsondoc import Parsed
from cicada.keys.keytext import (
    IDENTITY,
    PASSPHRASE,
    SWARM_KEY,
    Secret,
    StoredIdentity,
    SwarmSecret,
    identity_text,
    parse_identity,
    parse_swarm_key,
    type_of,
)
from cicada.keys.pins import (
    PEER,
    TRUST,
    Pin,
    PublicKeys,
    merged,
    parse_export,
    parse_trust,
    trust_text,
    within_limit,
)
from cicada.keys.psks import PreShared
from cicada.keys.succession import read_succession, sign_succession
from cicada.limits import KEYS

STATE_VARIABLE: Final = "CICADA_STATE"
IDENTITY_SUFFIX: Final = ".identity"
TRUST_SUFFIX: Final = ".trust"
SUCCESSION_SUFFIX: Final = ".succession"
ENTROPY: Final[Entropy] = random.SystemRandom()
"""The operating system's."""

_PRIVATE_FOLDER: Final = 0o700
_LOCK_PAUSE: Final = 0.01
_log = logging.getLogger(__name__)
T = TypeVar("T")
Guard = Callable[[os.stat_result, Path], None]
"""Raises when a file with this status must not be used."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a file turned out to be, how many keys or pins it holds, and everything that is wrong with it."""

    kind: str
    entries: int = 0
    errors: tuple[ConfigError, ...] = ()


def state_folder() -> Path:
    """Where this user's identities are kept; the environment variable CICADA_STATE names another folder."""
    return Path(os.environ.get(STATE_VARIABLE) or platformdirs.user_state_dir("cicada"))


def identity_path(address: Address, folder: Path | None = None) -> Path:
    """The file of the identity of the peer at ``address``. Raises Misuse when that is not canonical."""
    if not is_canonical(address):
        raise Misuse(f"{address!r} is no address: write a numeric IP and a port, as 10.0.0.2:50000")
    name = address.replace(":", "_") + IDENTITY_SUFFIX
    return (folder or state_folder()) / "identities" / name


def trust_path(identity: Path) -> Path:
    """The file of the pins of an identity: it stands beside it."""
    return identity.with_name(identity.name + TRUST_SUFFIX)


def identity_for(address: Address, folder: Path | None = None) -> Identity:
    """The identity of the peer at ``address``, made when there is none yet. Of processes that race for it all get the
    same. Raises as ``read_identity``, and Unavailable when it cannot be written."""
    path = identity_path(address, folder)
    if not is_there(path):
        make_private_folder(path.parent)
        try:
            create_secret(path, identity_text(Identity.generate(ENTROPY), address))
        except Misuse:
            _log.debug("another process made %s first", path)
    stored = read_identity(path)
    if stored.address != address:
        raise ConfigError(
            f"the identity of {stored.address or 'no address'}, not of {address}", file=str(path)
        )
    return stored.identity


def rotate_identity(path: Path) -> tuple[Identity, Identity]:
    """Give the peer of an identity file new keys, and write beside it the old key's word that they follow. Returns old and new.
    Whoever pinned the old key takes the new one when he meets it; whoever pinned an even older one does not.

    Raises as ``read_identity``, and Unavailable when it cannot be written. Not while the peer runs: it would go on as before.
    """
    stored = read_identity(path)
    new = Identity.generate(ENTROPY)
    word = sign_succession(stored.identity, new.signing_public)
    # First the word, which says nothing while the identity is still the old one
    _replace(succession_path(path), Secret(word.hex() + "\n"))
    _replace(path, identity_text(new, stored.address or None))
    return stored.identity, new


def succession_path(identity: Path) -> Path:
    """The file of the word that an identity follows an older one: it stands beside it."""
    return identity.with_name(identity.name + SUCCESSION_SUFFIX)


def succession_of(path: Path, identity: Identity) -> bytes:
    """The word beside an identity file, when it is about this identity; else empty. Raises ConfigError when it is malformed."""
    beside = succession_path(path)
    if not is_there(beside):
        return b""
    try:
        word = bytes.fromhex(read_secret(beside))
        _, new = read_succession(word)
    except (ValueError, PeerFault):
        raise ConfigError(
            "no signed succession: remove it, or rotate the identity again", file=str(beside)
        ) from None
    return word if new == identity.signing_public else b""


def identities(folder: Path | None = None) -> list[Path]:
    """The identity files of the state folder."""
    return sorted(((folder or state_folder()) / "identities").glob(f"*{IDENTITY_SUFFIX}"))


def read_identity(path: Path) -> StoredIdentity:
    """The identity in a file. Raises ConfigErrors when it is malformed, and as ``read_secret``."""
    return _right(parse_identity(read_secret(path), str(path)))


def read_swarm_key(path: Path) -> SwarmSecret:
    """The swarm key in a file. Raises ConfigErrors when it is malformed, and as ``read_secret``."""
    return _right(parse_swarm_key(read_secret(path), str(path)))


def read_hostkeys(path: Path) -> tuple[PreShared, ...]:
    """The pre-shared keys in a key file. Raises ConfigErrors with every mistake, and as ``read_secret``."""
    return _right(parse_hostkeys(read_secret(path), str(path)))


def read_export(path: Path) -> PublicKeys:
    """The keys that somebody made known in a file, which anybody may read. Raises ConfigErrors when it is malformed or was
    changed, Unavailable and Misuse when it is no readable file."""
    return _right(parse_export(_text_of(path, _let_pass), str(path)))


def read_secret(path: Path) -> str:
    """The text of a file that only its user can read. Raises Misuse when others can, or when it is another user's;
    Unavailable when it cannot be read; ConfigError when it is no text."""
    return _text_of(path, _refuse_shared)


def create_secret(path: Path, text: Secret) -> None:
    """Write a new file that only its user can read: all of it, on the disk, or nothing. Raises Misuse when there is one of
    this name, Unavailable when it cannot be written."""
    try:
        with _written_beside(path, text) as temporary:
            os.link(temporary, path)
        _sync_folder(path.parent)
    except FileExistsError:
        _refuse_existing(path)
    except OSError as error:
        _refuse_writing(path, error)


def is_there(path: Path) -> bool:
    """Whether a file exists. Raises Unavailable when that cannot be known: what cannot be read is not the same as nothing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    return True


def make_private_folder(path: Path) -> None:
    """A folder that only its user can enter, unless it is there already. Raises Unavailable."""
    try:
        path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"{path} cannot be made: {error.strerror}") from None


def load_pins(path: Path) -> tuple[Pin, ...]:
    """The pins of a trust file; none when there is no file. Raises ConfigErrors when it is malformed, and as
    ``read_secret``: whoever could write to it may have chosen whom to trust."""
    return _right(parse_trust(read_secret(path), str(path))) if is_there(path) else ()


def keep_pins(
    path: Path, pins: Iterable[Pin], succeeds: Mapping[Address, bytes] | None = None
) -> tuple[Pin, ...]:
    """Add pins to a trust file by the rule of ``merged``; what others wrote meanwhile stays. Returns all that stand now.

    ``succeeds`` says which signing key signed the new one of an address. Raises as ``load_pins``, and Unavailable when it
    cannot be written or others hold it for longer than ``KEYS.lock_wait``.
    """
    with _locked(path):
        standing = {pin.address: pin for pin in load_pins(path)}
        for pin in pins:
            signed_by = (succeeds or {}).get(pin.address, b"")
            standing[pin.address] = merged(standing.get(pin.address), pin, signed_by)
        kept = within_limit(standing)
        if len(kept) < len(standing):
            _log.warning("%s is full: %d pins of first use forgotten", path, len(standing) - len(kept))
        _replace(path, Secret(trust_text(kept.values())))
    return tuple(kept.values())


def forget_pin(path: Path, address: Address) -> bool:
    """Take the pin of an address out of a trust file; whether there was one. Raises as ``keep_pins``."""
    with _locked(path):
        pins = load_pins(path)
        left = [pin for pin in pins if pin.address != address]
        if len(left) < len(pins):
            _replace(path, Secret(trust_text(left)))
    return len(left) < len(pins)


def check_file(path: Path) -> Checked:
    """Everything that is wrong with a file of any of these kinds, its permissions included. Raises Unavailable when it
    cannot be read."""
    guard: list[ConfigError] = []

    def note(status: os.stat_result, path: Path) -> None:
        problem = _shared_problem(status)
        if problem:
            guard.append(ConfigError(problem, file=str(path)))

    text = _decoded(_bytes_of(path, note))
    if isinstance(text, int):
        words = f"not UTF-8 text (byte {text})"
        return Checked(kind="unknown", errors=(*guard, ConfigError(words, file=str(path))))
    kind, parsed, entries = _parsed(text, str(path))
    errors = parsed.errors if kind == PEER else (*guard, *parsed.errors)
    return Checked(kind=kind, entries=entries, errors=errors)


def _parsed(text: str, file: str) -> tuple[str, Parsed[object], int]:
    """The kind of a text, what it says, and how many entries that is."""
    if text.lstrip().startswith(("{", "[", "/")):
        if f'"{TRUST}"' in text or '"pins"' in text:
            pins = parse_trust(text, file)
            return TRUST, Parsed(errors=pins.errors), len(pins.value or ())
        if f'"{PEER}"' in text:
            return PEER, Parsed(errors=parse_export(text, file).errors), 1
        keys = parse_hostkeys(text, file)
        return "key file", Parsed(errors=keys.errors), len(keys.value or ())
    kind = type_of(text)
    if kind == IDENTITY:
        return kind, Parsed(errors=parse_identity(text, file).errors), 1
    if kind in (SWARM_KEY, PASSPHRASE):
        return kind, Parsed(errors=parse_swarm_key(text, file).errors), 1
    words = f"neither JSON nor a file with a line `type = {IDENTITY}`, `{SWARM_KEY}` or `{PASSPHRASE}`"
    return "unknown", Parsed(errors=(ConfigError(words, file=file),)), 0


def _right(parsed: Parsed[T]) -> T:
    if parsed.errors or parsed.value is None:
        raise ConfigErrors(parsed.errors)
    return parsed.value


def _text_of(path: Path, guard: Guard) -> str:
    text = _decoded(_bytes_of(path, guard))
    if isinstance(text, int):
        raise ConfigError(f"not UTF-8 text (byte {text})", file=str(path))
    return text


def _bytes_of(path: Path, guard: Guard) -> bytes:
    """What is in a file, once ``guard`` let it pass. Neither a pipe nor a device is waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Misuse(f"{path} is not a file")
        if status.st_size > KEYS.file_bytes:
            raise Misuse(f"{path} is larger than {KEYS.file_bytes} bytes: this is no key file")
        guard(status, path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(KEYS.file_bytes)
    finally:
        os.close(descriptor)


def _let_pass(status: os.stat_result, path: Path) -> None:
    """For files without secrets."""


def _refuse_shared(status: os.stat_result, path: Path) -> None:
    problem = _shared_problem(status)
    if problem:
        raise Misuse(f"{path}: {problem}")


def _shared_problem(status: os.stat_result) -> str:
    if status.st_uid != os.geteuid():
        return "belongs to another user: a secret must be in a file of your own"
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        return (
            f"others may use it (mode {mode:03o}): `chmod 600` it, and replace keys that others may have read"
        )
    return ""


def _decoded(raw: bytes) -> str | int:
    """The text, or the first byte that is none."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start


@contextmanager
def _written_beside(path: Path, text: Secret) -> Iterator[Path]:
    """A temporary file of mode 0600 in the same folder with this text on the disk; gone at the end."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text.reveal())
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _replace(path: Path, text: Secret) -> None:
    """Write a file anew: readers see the old one or the new one."""
    try:
        with _written_beside(path, text) as temporary:
            temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _refuse_writing(path, error)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_existing(path: Path) -> NoReturn:
    raise Misuse(f"{path} exists: nothing is overwritten; choose another name or move it away") from None


def _refuse_writing(path: Path, error: OSError) -> NoReturn:
    raise Unavailable(f"{path} cannot be written: {error.strerror}") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that several processes change. The lock file stays."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _refuse_writing(path, error)
    try:
        _wait_for_lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path) -> None:
    give_up = time.monotonic() + KEYS.lock_wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise Unavailable(f"{path} is being changed by another process for too long") from None
            time.sleep(_LOCK_PAUSE)
        else:
            return
