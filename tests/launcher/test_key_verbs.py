"""``cicada keys``: what it makes works and is private, what it shows is not secret, and what is wrong is refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cicada.errors import ConfigError
from cicada.ids import Address
from cicada.keys import store
from cicada.keys.fingerprint import fingerprint_of
from cicada.keys.pins import FIRST_USE, Pin
from cicada.keys.succession import read_succession
from launcher.cli import app

ONE, OTHER, THIRD = "10.0.0.2:50000", "10.0.0.3:50000", "10.0.0.4:50000"
VERBS = ("new", "show", "export", "trust", "untrust", "check")
ROOT = Path(__file__).parents[2]
PHRASE = "seven small cicadas sing"


def run(*arguments: object, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, arguments)], input=typed)


def ok(*arguments: object, typed: str = "") -> str:
    result = run(*arguments, typed=typed)
    assert (result.exit_code, result.exception) == (0, None), result.stderr
    return result.stdout


def refused(*arguments: object, code: int = 2) -> str:
    result = run(*arguments)
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.replace("│", " ").split())


def pinned(identity: Path) -> dict[str, str]:
    return {pin.address: f"{pin.fingerprint} {pin.by}" for pin in store.load_pins(store.trust_path(identity))}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CICADA_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def me() -> Path:
    ok("new", "--address", ONE)
    return store.identity_path(Address(ONE))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """What another peer made known of itself."""
    ok("new", "other.identity", "--address", OTHER)
    file = tmp_path / "other.json"
    file.write_text(ok("export", "other.identity"))
    return file


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_leads_with_an_example(verb: str) -> None:
    text = ok(verb, "--help").partition("Usage")[2]
    assert text.index(f"cicada keys {verb}", 30) < text.index("Options")


def test_a_new_identity_is_the_one_that_a_peer_at_its_address_gets(me: Path) -> None:
    shown = json.loads(ok("show", "--json"))
    assert [row["address"] for row in shown] == [ONE]
    assert shown[0]["peer_id"] == store.identity_for(Address(ONE)).peer_id
    assert shown[0]["fingerprint"] == fingerprint_of(shown[0]["peer_id"])


def test_a_new_identity_says_where_it_is_and_its_fingerprint(tmp_path: Path) -> None:
    lines = ok("new", "peer.identity").splitlines()
    identity = store.read_identity(tmp_path / "peer.identity").identity
    assert lines == ["peer.identity", f"  fingerprint  {fingerprint_of(identity.peer_id)}"]
    assert "no address" in ok("show", "peer.identity")


def test_show_without_identities_says_how_to_make_one() -> None:
    result = run("show")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "cicada keys new" in result.stderr


def test_a_swarm_key_is_private_and_new_each_time(tmp_path: Path) -> None:
    keys = []
    for name in ("one.key", "two.key"):
        ok("new", "--swarm", name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        keys.append(store.read_swarm_key(tmp_path / name).key_for("s"))
    assert keys[0] != keys[1]


def test_a_passphrase_comes_from_standard_input(tmp_path: Path) -> None:
    assert PHRASE not in ok("new", "--swarm", "--passphrase", "office.key", typed=f"{PHRASE}\n")
    assert f"passphrase = {PHRASE}\n" in (tmp_path / "office.key").read_text()
    assert repr(store.read_swarm_key(tmp_path / "office.key")) == "SwarmSecret(passphrase)"


TERMINAL = """
import os, sys
os.login_tty(int(sys.argv.pop(1)))
from launcher.cli import main
main()
"""


def at_terminal(*arguments: object, typed: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and what is seen on the terminal of a process that has one."""
    ours, theirs = os.openpty()
    program = [sys.executable, "-c", TERMINAL, str(theirs), "keys", *map(str, arguments)]
    with subprocess.Popen(program, cwd=ROOT, pass_fds=[theirs], start_new_session=True) as process:
        os.close(theirs)
        seen = ""
        for line in typed:
            seen += _read_until(ours, ": ")
            os.write(ours, f"{line}\n".encode())
            seen += _read_until(ours, "\n")
        code = process.wait(timeout=30)
    os.close(ours)
    return code, seen


def _read_until(terminal: int, end: str) -> str:
    seen = ""
    while not seen.endswith(end):
        seen += os.read(terminal, 1).decode()
    return seen


def test_at_a_terminal_a_passphrase_is_typed_twice_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "office.key"
    code, seen = at_terminal("new", "--swarm", "--passphrase", file, typed=(PHRASE, PHRASE))
    assert code == 0
    assert f"passphrase = {PHRASE}\n" in file.read_text()
    assert "passphrase" in seen
    assert PHRASE not in seen


def test_a_short_passphrase_is_refused_and_not_shown(tmp_path: Path) -> None:
    result = run("new", "--swarm", "--passphrase", "office.key", typed="hunter2\n")
    assert result.exit_code == 2
    assert "shorter than" in result.stderr
    assert "hunter2" not in result.output
    assert not (tmp_path / "office.key").exists()


def test_the_key_files_of_a_pair_fit_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / line for line in ok("new", "--pair", ONE, OTHER, "files").splitlines()]
    (of_one,), (of_other,) = map(store.read_hostkeys, paths)
    assert [path.name for path in paths] == ["keys-of-10.0.0.2_50000.json", "keys-of-10.0.0.3_50000.json"]
    assert (of_one.address, of_other.address) == (OTHER, ONE)
    assert (of_one.outbound, of_one.inbound) == (of_other.inbound, of_other.outbound)


def test_nothing_is_overwritten(me: Path, tmp_path: Path) -> None:
    before = me.read_bytes()
    assert "nothing is overwritten" in refused("new", "--address", ONE)
    assert me.read_bytes() == before
    (tmp_path / "keys-of-10.0.0.3_50000.json").touch()
    assert "nothing is overwritten" in refused("new", "--pair", ONE, OTHER)
    assert not (tmp_path / "keys-of-10.0.0.2_50000.json").exists(), "half a pair is of no use"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new"], "name the FILE"),
        (["new", "--swarm"], "name the FILE"),
        (["new", "--passphrase", "x"], "--passphrase belongs to --swarm"),
        (["new", "--swarm", "--address", ONE, "x"], "one thing at a time"),
        (["new", "--address", "localhost:50000"], "is no address"),
        (["new", "--pair", ONE, ONE], "name another one"),
        (["new", "--pair", ONE, "home"], "is not an address"),
        (["show", "nobody.identity"], "there is no identity in"),
        (["show", OTHER], "cicada keys new"),
        (["export"], "no identity is kept here"),
        (["trust", ONE], "Missing argument"),
        (["untrust", "here"], "is no address"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(arguments: list[str], words: str) -> None:
    assert words in refused(*arguments)


def test_a_peer_is_trusted_by_what_it_made_known(me: Path, other: Path) -> None:
    told = json.loads(other.read_text())["fingerprint"]
    assert told in ok("trust", OTHER, other)
    assert pinned(me) == {OTHER: f"{told} user"}
    assert json.loads(ok("show", "--pins", "--json"))[0]["pins"][0]["fingerprint"] == told
    assert f"{OTHER}  {told}  by user" in ok("show", ONE, "--pins")


def met(me: Path, other: Path) -> str:
    """As after a first contact. Returns the fingerprint."""
    known = store.read_export(other)
    pin = Pin(
        address=Address(OTHER), signing_key=known.signing_key, static_key=known.static_key, by=FIRST_USE
    )
    store.keep_pins(store.trust_path(me), [pin])
    return pin.fingerprint


def test_a_fingerprint_confirms_who_was_met(me: Path, other: Path) -> None:
    told = met(me, other)
    ok("trust", OTHER, told.upper().replace("-", " "))
    assert pinned(me) == {OTHER: f"{told} user"}


def test_a_fingerprint_of_another_than_was_met_changes_nothing(me: Path, other: Path) -> None:
    told = met(me, other)
    words = refused("trust", OTHER, fingerprint_of("ab" * 32))
    assert "is another" in words
    assert told in words
    assert pinned(me) == {OTHER: f"{told} {FIRST_USE}"}


def test_a_fingerprint_is_not_enough_before_the_first_contact(me: Path) -> None:
    assert "nobody was met" in refused("trust", OTHER, fingerprint_of("ab" * 32))


def test_a_file_of_another_address_or_that_was_changed_is_refused(me: Path, other: Path) -> None:
    assert f"these are the keys of {OTHER}, not of {THIRD}" in refused("trust", THIRD, other)
    other.write_text(other.read_text().replace(OTHER, THIRD))
    assert "somebody changed this file" in refused("trust", THIRD, other)
    assert "neither a file nor a fingerprint" in refused("trust", THIRD, "missing.json")
    assert pinned(me) == {}


def test_trust_can_be_taken_back(me: Path, other: Path) -> None:
    ok("trust", OTHER, other)
    assert ok("untrust", OTHER) == f"forgot  {OTHER}\n"
    assert pinned(me) == {}
    assert "nobody is pinned" in refused("untrust", OTHER)


def test_with_several_identities_one_must_be_named(me: Path, other: Path) -> None:
    ok("new", "--address", THIRD)
    assert "2 identities are kept here" in refused("trust", OTHER, other)
    ok("trust", OTHER, other, "--identity", THIRD)
    assert pinned(me) == {}
    assert list(pinned(store.identity_path(Address(THIRD)))) == [OTHER]


def test_no_output_of_any_verb_holds_a_secret(me: Path, other: Path) -> None:
    said = ok("show", "--pins", "--json") + ok("export") + ok("trust", OTHER, other) + ok("check", me)
    assert not any(seed.hex() in said for seed in store.read_identity(me).identity.seeds)


def test_a_right_file_is_said_to_be_right(me: Path, other: Path) -> None:
    assert ok("check", me) == f"{me}: right, an identity\n"
    assert json.loads(ok("check", other, "--json")) == {
        "file": str(other),
        "kind": "cicada-peer",
        "entries": 1,
        "errors": [],
    }


def test_a_wrong_file_has_every_mistake_on_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text('{"trusted_hosts": [\n  {"address": "10.0.0.2", "outbound_key": "x"}, {}]}')
    file.chmod(0o644)
    result = run("check", file)
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.removeprefix(str(file)).split(": ")[0] for line in lines] == [
        "",
        ":2:3",
        ":2:15",
        ":2:43",
        ":2:49",
    ]
    as_data = run("check", file, "--json")
    assert as_data.exit_code == 2
    assert [(error["line"], error["column"]) for error in json.loads(as_data.stdout)["errors"]] == [
        *[(0, 0), (2, 3), (2, 15), (2, 43), (2, 49)]
    ]


@pytest.mark.parametrize("verb", ["check", "rotate"])
def test_a_file_that_is_not_there_was_the_wrong_name(tmp_path: Path, verb: str) -> None:
    assert "none: no such file" in refused(verb, tmp_path / "none", code=2)


def test_a_peer_gets_new_keys_that_the_old_ones_sign(state: Path) -> None:
    address = Address("127.0.0.1:50001")
    old = store.identity_for(address)
    said = ok("rotate", address)
    new = store.identity_for(address)
    assert new.peer_id != old.peer_id
    assert fingerprint_of(old.peer_id) in said
    assert fingerprint_of(new.peer_id) in said
    word = store.succession_of(store.identity_path(address), new)
    assert read_succession(word) == (old.signing_public, new.signing_public)
    assert store.succession_of(store.identity_path(address), old) == b""
    for seed in (*old.seeds, *new.seeds):
        assert seed.hex() not in said


def test_a_succession_that_was_damaged_is_said_to_be(state: Path) -> None:
    address = Address("127.0.0.1:50001")
    ok("new", "--address", address)
    ok("rotate", address)
    path = store.identity_path(address)
    beside = store.succession_path(path)
    beside.write_text("00" + beside.read_text()[2:])
    with pytest.raises(ConfigError, match="no signed succession"):
        store.succession_of(path, store.identity_for(address))
