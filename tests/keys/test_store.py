"""Keys and pins in real files: private from the first moment, whole or not there, refused when others could read them, and
the same for all processes that want them at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest

from cicada.errors import ConfigError, ConfigErrors, Misuse, Unavailable
from cicada.ids import Address
from cicada.keys import store
from cicada.keys.hostkeys import hostkeys_text, pair_of
from cicada.keys.identity import Identity
from cicada.keys.keytext import Secret, identity_text, passphrase_text, swarm_key_text
from cicada.keys.pins import FIRST_USE, Pin, export_text, trust_text
from cicada.limits import KEYS

AT = Address("127.0.0.1:50000")
ONE, OTHER = Identity.generate(Random(1)), Identity.generate(Random(2))
ROOT = Path(__file__).parents[2]
ROUNDS = 20


def pin(port: int = 1, identity: Identity = ONE) -> Pin:
    return Pin(
        address=Address(f"127.0.0.1:{port}"),
        signing_key=identity.signing_public,
        static_key=identity.static.public,
        by=FIRST_USE,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_address_keeps_its_identity(tmp_path: Path) -> None:
    made = store.identity_for(AT, tmp_path)
    assert store.identity_for(AT, tmp_path).seeds == made.seeds
    assert store.identity_for(Address("127.0.0.1:50001"), tmp_path).seeds != made.seeds


def test_identities_are_kept_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.STATE_VARIABLE, str(tmp_path / "state"))
    made = store.identity_for(Address("[::1]:50000"))
    path = tmp_path / "state" / "identities" / "[__1]_50000.identity"
    assert store.identities() == [path]
    assert store.read_identity(path).identity.seeds == made.seeds


def test_without_it_they_are_kept_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(store.STATE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert store.state_folder() == tmp_path / "cicada"


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_files_are_readable_by_their_user_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask & 0o077)
    try:
        store.identity_for(AT, tmp_path / "state")
        path = store.trust_path(store.identity_path(AT, tmp_path / "state"))
        store.keep_pins(path, [pin()])
    finally:
        os.umask(before)
    folder = path.parent
    assert mode(folder) == 0o700
    assert {mode(entry) for entry in folder.iterdir()} == {0o600}


def test_nothing_else_is_left_beside_a_file(tmp_path: Path) -> None:
    store.create_secret(tmp_path / "key", Secret("text"))
    assert names(tmp_path) == ["key"]


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("mine")
    with pytest.raises(Misuse, match="nothing is overwritten"):
        store.create_secret(path, Secret("text"))
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["key"]


def test_a_file_that_cannot_be_written_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match="No space left"):
        store.create_secret(tmp_path / "key", Secret("text"))
    assert names(tmp_path) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no/key cannot be written: No such file"):
        store.create_secret(tmp_path / "no" / "key", Secret("text"))
    with pytest.raises(Unavailable, match="cannot be read: No such file"):
        store.read_secret(tmp_path / "key")
    with pytest.raises(Unavailable, match="cannot be made"):
        store.make_private_folder(Path("/proc/cicada"))


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o610, 0o666])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "key"
    store.create_secret(path, identity_text(ONE))
    path.chmod(bits)
    with pytest.raises(Misuse, match=rf"others may use it \(mode {bits:o}\): `chmod 600` it"):
        store.read_identity(path)
    path.chmod(0o600)
    assert store.read_identity(path).identity.seeds == ONE.seeds


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    store.create_secret(path, identity_text(ONE))
    os.chown(path, 12345, -1)
    with pytest.raises(Misuse, match="belongs to another user"):
        store.read_identity(path)


def test_a_pipe_a_folder_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "huge").touch(mode=0o600)
    os.truncate(tmp_path / "huge", KEYS.file_bytes + 1)
    for name, words in (("pipe", "not a file"), (".", "not a file"), ("huge", "larger than")):
        with pytest.raises(Misuse, match=words):
            store.read_secret(tmp_path / name)


def test_a_malformed_identity_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = store.identity_path(AT, tmp_path)
    store.make_private_folder(path.parent)
    store.create_secret(path, Secret("type = identity\nversion = 1\n"))
    with pytest.raises(ConfigErrors) as caught:
        store.identity_for(AT, tmp_path)
    assert [error.problem for error in caught.value.errors] == [
        f"missing: add a line `{name} = ...`" for name in ("peer_id", "signing_seed", "static_seed")
    ]
    assert caught.value.errors[0].file == str(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(b"type \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text \\(byte 5\\)"):
        store.read_secret(path)


def test_an_identity_of_another_address_is_refused(tmp_path: Path) -> None:
    path = store.identity_path(AT, tmp_path)
    store.make_private_folder(path.parent)
    store.create_secret(path, identity_text(ONE, Address("10.0.0.2:50000")))
    with pytest.raises(ConfigError, match=r"the identity of 10.0.0.2:50000, not of 127.0.0.1:50000"):
        store.identity_for(AT, tmp_path)


@pytest.mark.parametrize("address", ["localhost:5", "../../etc/passwd:5", "127.0.0.1", "127.0.0.1:0", "@ab"])
def test_only_an_address_has_a_file(tmp_path: Path, address: str) -> None:
    with pytest.raises(Misuse, match="is no address"):
        store.identity_path(Address(address), tmp_path)


def test_swarm_keys_and_key_files_are_read(tmp_path: Path) -> None:
    key = Random(3).randbytes(32)
    entry, _ = pair_of(AT, "127.0.0.1:50001", Random(4))
    store.create_secret(tmp_path / "swarm", swarm_key_text(key))
    store.create_secret(tmp_path / "hosts", hostkeys_text((entry,)))
    assert store.read_swarm_key(tmp_path / "swarm").key_for("any") == key
    assert store.read_hostkeys(tmp_path / "hosts") == (entry,)


RACER = """
import sys
from pathlib import Path
from cicada.ids import Address
from cicada.keys import store
from cicada.keys.pins import Pin

print("ready", flush=True)
for line in sys.stdin:
    what, path, port = line.split()
    address = Address(f"127.0.0.1:{port}")
    if what == "identity":
        print(store.identity_for(address, Path(path)).peer_id, flush=True)
    else:
        store.keep_pins(Path(path), [Pin(address=address, signing_key=b"s" * 32, static_key=b"t" * 32, by="user")])
        print(address, flush=True)
"""


class Racer:
    """A process of its own that is told what to do, and says when it has done it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self.answer() == "ready"

    def tell(self, *words: object) -> None:
        assert self._process.stdin
        print(*words, file=self._process.stdin, flush=True)

    def answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def racers() -> Iterator[tuple[Racer, Racer]]:
    with _process() as one, _process() as other:
        yield Racer(one), Racer(other)


def _process() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", RACER], stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


def test_two_processes_that_race_for_an_identity_get_the_same(tmp_path: Path) -> None:
    told = set()
    with racers() as both:
        for port in range(1, ROUNDS + 1):
            for racer in both:
                racer.tell("identity", tmp_path, port)
            one, other = (racer.answer() for racer in both)
            assert one == other != ""
            told.add(one)
    assert len(told) == len(names(tmp_path / "identities")) == ROUNDS


def test_two_processes_that_pin_at_once_lose_none_of_each_others_pins(tmp_path: Path) -> None:
    path = tmp_path / "peer.trust"
    with racers() as both:
        for index in range(ROUNDS):
            for number, racer in enumerate(both):
                racer.tell("pin", path, 1 + 2 * index + number)
        assert "" not in {racer.answer() for racer in both for _ in range(ROUNDS)}
    expected = {Address(f"127.0.0.1:{port}") for port in range(1, 2 * ROUNDS + 1)}
    assert {entry.address for entry in store.load_pins(path)} == expected


def test_without_a_trust_file_there_are_no_pins(tmp_path: Path) -> None:
    assert store.load_pins(tmp_path / "none.trust") == ()


def test_what_cannot_be_looked_at_is_not_taken_for_nothing(tmp_path: Path) -> None:
    loop = tmp_path / "peer.trust"
    loop.symlink_to(loop)
    with pytest.raises(Unavailable, match="cannot be read"):
        store.load_pins(loop)


def test_pins_are_kept_changed_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "peer.trust"
    assert store.keep_pins(path, [pin(1), pin(2)]) == (pin(1), pin(2))
    assert store.keep_pins(path, [pin(1, OTHER)]) == (pin(1), pin(2))
    signed = {pin(1).address: ONE.signing_public}
    assert store.keep_pins(path, [pin(1, OTHER)], signed) == (pin(1, OTHER), pin(2))
    assert store.forget_pin(path, pin(2).address)
    assert not store.forget_pin(path, pin(2).address)
    assert store.load_pins(path) == (pin(1, OTHER),)


def test_a_malformed_trust_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "peer.trust"
    store.create_secret(path, Secret("{}"))
    with pytest.raises(ConfigErrors, match=r"peer.trust:1:1: missing"):
        store.load_pins(path)
    with pytest.raises(ConfigErrors, match=r"peer.trust:1:1: missing"):
        store.keep_pins(path, [pin()])
    assert path.read_text() == "{}"


def test_a_full_trust_file_is_said_to_have_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "within_limit", lambda pins: dict(list(pins.items())[:1]))
    assert len(store.keep_pins(tmp_path / "peer.trust", [pin(1), pin(2), pin(3)])) == 1
    assert "is full: 2 pins of first use forgotten" in caplog.text


def test_a_trust_file_with_as_many_pins_as_are_kept_can_be_read(tmp_path: Path) -> None:
    longest = msgspec.structs.replace(
        pin(), address=Address("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), sequence=2**63, since=2**63
    )
    assert KEYS.pins * len(trust_text([longest])) < KEYS.file_bytes


def test_a_writer_that_holds_a_trust_file_is_waited_for_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "KEYS", msgspec.structs.replace(KEYS, lock_wait=0.05))
    path = tmp_path / "peer.trust"
    with store._locked(path), pytest.raises(Unavailable, match="being changed by another process"):
        store.keep_pins(path, [pin()])
    assert store.keep_pins(path, [pin()]) == (pin(),)


@pytest.mark.parametrize(
    ("text", "kind", "entries"),
    [
        (identity_text(ONE, AT).reveal(), "identity", 1),
        (swarm_key_text(Random(1).randbytes(32)).reveal(), "swarm-key", 1),
        (passphrase_text(Secret("seven small cicadas sing")).reveal(), "passphrase", 1),
        (hostkeys_text(pair_of(AT, "127.0.0.1:1", Random(1))).reveal(), "key file", 2),
        (trust_text([pin(1), pin(2), pin(3)]), "cicada-trust", 3),
        (export_text(ONE, AT), "cicada-peer", 1),
    ],
)
def test_a_check_knows_every_kind_of_file(tmp_path: Path, text: str, kind: str, entries: int) -> None:
    path = tmp_path / "file"
    store.create_secret(path, Secret(text))
    assert store.check_file(path) == store.Checked(kind=kind, entries=entries)
    path.chmod(0o644)
    problems = store.check_file(path).errors
    assert len(problems) == (0 if kind == "cicada-peer" else 1), "what is made known is no secret"


@pytest.mark.parametrize(
    "text", [b"", b"hello", b"type = cat", b"\xff", b"// note\n{}", b"[", b"type = identity"]
)
def test_a_check_says_everything_that_is_wrong(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(text)
    path.chmod(0o640)
    errors = store.check_file(path).errors
    assert "others may use it" in str(errors[0])
    assert len(errors) > 1
    assert all(error.file == str(path) for error in errors)
