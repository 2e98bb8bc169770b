"""A swarm that runs at debug level, with keys, load, faults and crashes, and a command line that meets every error about keys,
say no secret anywhere: not in files, logs, events, output, arguments, environments or tracebacks that show variables."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.commands import (
    BroadcastResult,
    Crash,
    Done,
    Drop,
    FaultList,
    Heal,
    Kill,
    LoadResult,
    RotateSwarmKey,
    RotationPhase,
    RunLoad,
    Send,
    SendResult,
    SendToAll,
    SetLogLevel,
)
from cicada.config import Config
from cicada.ids import Address, canonical_address
from cicada.keys.hostkeys import hostkeys_text, pair_of
from cicada.keys.keytext import Secret, passphrase_text, swarm_key_text
from cicada.keys.store import ENTROPY, STATE_VARIABLE, create_secret, identity_for, make_private_folder
from tests.launcher.swarms import RunningSwarm, config, free_ports, running
from tests.leaks import PIECE, Place, Search, files_below, forms, processes, secrets_in

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = 6
ELSEWHERE: Final = "10.9.9.9:50000"
PAYLOAD: Final = b"what the peers tell each other, " + Random(5).randbytes(32)
PHRASE: Final = "seven small cicadas sing in the office"
SECRET: Final = Random(6).randbytes(32)

TRACES: Final = """
import sys
from pathlib import Path

from rich.console import Console
from rich.traceback import Traceback

from cicada.errors import Misuse
from cicada.config import Config
from cicada.ids import Address
from cicada.keys import keytext, store
from cicada.keys.hostkeys import hostkeys_text
from cicada.keys.noise import KeyPair
from cicada.keys.psks import PreShared, Secrets, SwarmKeys, Use

folder = Path(sys.argv[1])
console = Console(width=1000)
READERS = {".identity": store.read_identity, ".key": store.read_swarm_key, ".json": store.read_hostkeys}


def shown(work):
    try:
        work()
    except Exception as error:
        trace = Traceback.from_exception(
            type(error), error, error.__traceback__, show_locals=True, locals_max_string=None, locals_max_length=None
        )
        console.print(trace)
    else:
        raise SystemExit(f"{work.__name__} was to fail")


def identity_that_exists():
    path = next(folder.rglob("*.identity"))
    stored = store.read_identity(path)
    store.create_secret(path, keytext.identity_text(stored.identity))


def key_that_exists():
    path = folder / "office.key"
    secret = store.read_swarm_key(path)
    store.create_secret(path, keytext.swarm_key_text(secret.key_for("office")))


def passphrase_that_is_wrong():
    held = keytext.Secret(store.read_secret(folder / "phrase.key").splitlines()[-1] + " ")
    keytext.passphrase_text(held)


def handshake_of_a_stranger():
    shared = store.read_hostkeys(folder / "hosts.json")
    keys = SwarmKeys(dial=store.read_swarm_key(folder / "office.key").key_for(""))
    secrets = Secrets(SwarmKeys(dial=keys.dial, accept=(keys.dial,)), shared)
    terms = secrets.offer(Use.LINK, shared[0].address)
    pair = KeyPair.of(store.read_identity(next(folder.rglob("*.identity"))).identity.seeds[1])
    secrets.find(Use.LINK, b"selector", pair.public, shared[0].address)


def keys_of_nobody():
    shared = store.read_hostkeys(folder / "hosts.json")[0]
    hosts = hostkeys_text((shared,))
    store.create_secret(folder / "missing" / "hosts.json", hosts)


def peer_with_the_identity_of_another():
    identity = next((folder / "identities").iterdir())
    peer = cicada.SwarmPeer(
        "127.0.0.1", 0, identity=identity, keys=folder / "hosts.json", swarm_keys=folder / "office.key"
    )
    try:
        peer.bind()
    finally:
        peer.close()


for work in (
    peer_with_the_identity_of_another,
    identity_that_exists,
    key_that_exists,
    passphrase_that_is_wrong,
    handshake_of_a_stranger,
    keys_of_nobody,
):
    shown(work)
for path in sorted((folder / "spoiled").iterdir()):
    shown(lambda: READERS[path.suffix](path))
"""


class Run(NamedTuple):
    """What a run was given to keep to itself, and everything that it said."""

    secrets: dict[str, bytes]
    said: list[Place]


def make_keys(folder: Path, addresses: list[Address]) -> dict[str, bytes]:
    """Secrets of every kind, where a run finds them; and what it must not say."""
    for address in addresses:
        identity_for(address, folder)
    one, _ = pair_of(addresses[0], ELSEWHERE, ENTROPY)
    for name in ("office.key", "next.key"):
        create_secret(folder / name, swarm_key_text(ENTROPY.randbytes(32)))
    create_secret(folder / "phrase.key", passphrase_text(Secret(PHRASE)))
    create_secret(folder / "hosts.json", hostkeys_text((one,)))
    return {**secrets_in(folder), "payload": PAYLOAD}


def spoil(folder: Path) -> None:
    """Copies of the secret files with a mistake in each, which has to be told without telling the secret."""
    changes = [
        ("type", "tpye"),
        ("version", "version = 1\nversion"),
        ("key", "kay"),
        ('"', ""),
        ('"address"', '"outbound_key"'),
        ('"outbound_key": "', '"outbound_key": "0'),
        ("seed = ", "seed = 0"),
        ("seed = ", "seed "),
        ("key = ", "key "),
        ("passphrase = ", ""),
        ("peer_id", "address"),
    ]
    spoiled = folder / "spoiled"
    make_private_folder(spoiled)
    for path in sorted(
        entry for entry in folder.rglob("*") if entry.suffix in {".identity", ".key", ".json"}
    ):
        for number, (old, new) in enumerate(changes):
            if old in path.read_text():
                create_secret(spoiled / f"{number}-{path.name}", Secret(path.read_text().replace(old, new)))


def closed_swarm(folder: Path, first_port: int) -> Config:
    """One that uses each of these secrets but the passphrase."""
    made = config(
        PEERS,
        first_port=first_port,
        extra=f'''
        [peer]
        identity = "persistent"
        keys = "{folder / "hosts.json"}"
        ''',
    )
    keyed = made.swarm.model_copy(update={"key_file": str(folder / "office.key")})
    return made.model_copy(update={"swarm": keyed})


def live(swarm: RunningSwarm, new_key: Path) -> Iterator[Place]:
    """A short life with everything that is told about."""
    swarm.ask(SetLogLevel(select="all", level="debug"), Done)
    swarm.ask(Send(target="core-3", payload=PAYLOAD, via="core-0"), SendResult)
    swarm.ask(Send(target="127.0.0.1:9", payload=PAYLOAD, via="core-0", timeout=1.0), SendResult)
    swarm.ask(SendToAll(payload=PAYLOAD), BroadcastResult)
    swarm.ask(Drop(one="core-1", other="core-2", percent=10.0), FaultList)
    swarm.ask(RunLoad(rate=200.0, count=100, timeout=2.0), LoadResult)
    swarm.ask(Heal(), FaultList)
    for actor in ("ring", "router"):
        restarts = swarm.status().restarts
        swarm.ask(Crash(select="core-3", actor=actor), Done)
        swarm.wait_for(lambda status, before=restarts: status.ring_proven and status.restarts > before)  # type: ignore[misc]
    swarm.ask(Kill(select="core-4", hard=True), Done)
    for phase in (RotationPhase.ACCEPT, RotationPhase.DIAL, RotationPhase.FINISH):
        swarm.ask(RotateSwarmKey(file=str(new_key), phase=phase), Done)
    assert swarm.refusal(RotateSwarmKey(file=str(new_key.parent / "hosts.json"), phase=RotationPhase.NOW))
    yield from processes(process.pid for process in swarm.processes())


def command(*arguments: object, typed: str = "") -> Place:
    """What the command line says, with the trace of every error."""
    done = subprocess.run(
        [sys.executable, "-m", "cicada", "--debug", *map(str, arguments)],
        cwd=ROOT,
        input=typed.encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    return f"cicada {arguments}", done.stdout + done.stderr


def command_line(folder: Path, address: Address) -> Iterator[Place]:
    """Verbs about keys that succeed and fail."""
    yield command("keys", "show", "--pins", "--json")
    yield command("keys", "export", address)
    yield command("keys", "new", "--address", address)
    yield command("keys", "new", "--swarm", "--passphrase", folder / "phrase.key", typed=PHRASE)
    yield command("keys", "new", "--swarm", "--passphrase", folder / "none", typed=PHRASE + " \n")
    yield command("keys", "trust", address, folder / "hosts.json", "--identity", address)
    for path in sorted((folder / "spoiled").iterdir())[:2]:
        yield command("keys", "check", path)


def traces(folder: Path) -> Place:
    """What Rich shows of errors about these files, with all variables of all frames."""
    done = subprocess.run(
        [sys.executable, "-c", TRACES, str(folder)], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return "traces", done.stdout + done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("secrets")
    port = free_ports(PEERS)
    addresses = [canonical_address("127.0.0.1", port + number) for number in range(PEERS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(folder))
        secrets = make_keys(folder, addresses)
        spoil(folder)
        with running(closed_swarm(folder, port), tmp_path_factory.mktemp("runs") / "run") as swarm:
            said = list(live(swarm, folder / "next.key"))
        said += files_below(swarm.folder)
        said += command_line(folder, addresses[0])
        said.append(traces(folder))
    return Run(secrets, said)


def test_a_debug_run_says_no_secret_anywhere(run: Run) -> None:
    assert Search(run.secrets).leaks(run.said) == []


def test_the_run_had_secrets_of_every_kind_and_said_a_lot(run: Run) -> None:
    kinds = {name.split(" ", 1)[-1] for name in run.secrets}
    assert kinds == {"signing seed", "static seed", "key", "passphrase", "outbound", "inbound", "payload"}
    said = dict(run.said)
    assert b"PeerStarted" in said["events.jsonl"]
    log = b"".join(text for where, text in said.items() if where.startswith("logs/core-"))  # all peers' files
    assert b"debug" in log
    assert b"LinkOpened" in log
    assert sum(where.startswith("environ of") for where in said) >= 3
    assert said["traces"].count(b"locals") > 40
    assert b"Misuse" in said["traces"]
    assert b"ConfigErrors" in said["traces"]
    assert all(text for where, text in run.said if where.startswith("cicada ("))


@pytest.mark.parametrize("form", sorted(forms(SECRET[:PIECE])))
@pytest.mark.parametrize("piece", [SECRET[:PIECE], SECRET[-PIECE:]], ids=["begin", "end"])
def test_a_planted_secret_is_found_in_a_file_in_every_form(tmp_path: Path, form: str, piece: bytes) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "peer.log").write_bytes(b"key=" + forms(piece)[form] + b";\n")
    leaks = Search({"key": SECRET}).leaks(files_below(tmp_path))
    assert f"key as {form} in logs/peer.log" in leaks


@given(
    st.binary(max_size=8),
    st.binary(max_size=8),
    st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_base64_of_bytes_around_a_secret_is_found(before: bytes, after: bytes, encode: object) -> None:
    assert callable(encode)
    assert Search({"key": SECRET}).leaks([("text", encode(before + SECRET + after))])


def test_a_secret_in_the_name_of_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / SECRET.hex()).touch()
    assert Search({"key": SECRET}).leaks(files_below(tmp_path))


@pytest.mark.parametrize("kind", ["cmdline", "environ"])
def test_a_secret_in_arguments_and_environments_is_found(kind: str) -> None:
    arguments = [SECRET.hex()] if kind == "cmdline" else []
    environment = {**os.environ, "KEY": base64.b64encode(SECRET).decode() if kind == "environ" else ""}
    program = [sys.executable, "-c", "print(flush=True); input()", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdout
        process.stdout.readline()
        leaks = Search({"key": SECRET}).leaks(processes([process.pid]))
        process.communicate(b"\n")
    assert leaks
    assert all(f"in {kind} of {process.pid}" in leak for leak in leaks)


def test_a_planted_secret_in_a_variable_is_found_in_a_trace() -> None:
    program = (
        "import sys; from rich.traceback import Traceback; from rich.console import Console\n"
        "def fail(key):\n    raise ValueError\n"
        "try: fail(bytes.fromhex(sys.stdin.read()))\n"
        "except ValueError as e: Console(width=1000).print("
        "Traceback.from_exception(type(e), e, e.__traceback__, show_locals=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=SECRET.hex().encode(),
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert Search({"key": SECRET}).leaks([("trace", done.stdout)])


def test_other_random_bytes_are_not_taken_for_a_secret() -> None:
    text = Random(7).randbytes(1 << 20)
    assert Search({"key": SECRET}).leaks([("noise", text), ("hex", text.hex().encode())]) == []
