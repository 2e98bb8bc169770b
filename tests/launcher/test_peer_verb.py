"""``cicada peer`` as people run it: processes that read scripts, talk to each other, and say by their exit code how it went."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from launcher.cli import app

from .peers import PATIENCE, ROOT, ended, run, started, the_original_ports
from .swarms import free_ports

RUNTIMES: Final = ROOT / "samples" / "runtimes"
ORIGINAL, JOINER = RUNTIMES / "original.txt", RUNTIMES / "joiner.txt"
HEARD_BY_ORIGINAL: Final = [
    ("broadcast", "Hey everyone, I'm a new peer!"),
    ("message", "Hey there, localhost:49610; it's me."),
]
HEARD_BY_JOINER: Final = [
    ("broadcast", "Hey everyone, I'm the original peer."),
    ("message", "Hey there, specific client, it's me."),
]
THE_ISSUE: Final = """
      WAIT -1                                                        |  RECV 1
      OPT duplicates=3                                               |  BCAST Hey everyone, I'm a new peer!
      BCAST Hey everyone, I'm the original peer.                     |  RECV 1
      SEND localhost 49611 Hey there, specific client, it's me.      |  SEND localhost 49610 Hey there, localhost:49610; it's me.
      RECV 2                                                         |
"""


def heard(out: str) -> list[tuple[str, str]]:
    return [(message["kind"], message["data"]) for message in map(json.loads, out.splitlines())]


def new_pair(folder: Path, one: str, other: str) -> None:
    assert CliRunner().invoke(app, ["keys", "new", "--pair", one, other, str(folder)]).exit_code == 0


@pytest.fixture(autouse=True)
def _loggers_are_left_as_they_were() -> Iterator[None]:
    logger = logging.getLogger("cicada")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_the_samples_are_the_runtimes_that_the_original_cicada_had() -> None:
    rows = [line.split("|") for line in THE_ISSUE.strip().splitlines()]
    for file, column in ((ORIGINAL, 0), (JOINER, 1)):
        wanted = [row[column].strip() for row in rows if row[column].strip()]
        assert [line for line in file.read_text().splitlines() if not line.startswith("#")] == wanted


def test_the_original_runtimes_talk_as_they_stand(state: Path) -> None:
    first = ("peer", str(ORIGINAL), "--interface", "localhost", "-p", "49610", "--no-port-mapping")
    second = ("peer", str(JOINER), "-p", "49611", "--join", "localhost:49610")
    with the_original_ports(), started(state, *first) as one, started(state, *second) as other:
        code, out, err = ended(other)
        assert (code, out) == (
            0,
            "127.0.0.1:49610 to all: Hey everyone, I'm the original peer.\n"
            "127.0.0.1:49610: Hey there, specific client, it's me.\n",
        ), err
        code, out, err = ended(one)
        assert (code, out) == (
            0,
            "127.0.0.1:49611 to all: Hey everyone, I'm a new peer!\n"
            "127.0.0.1:49611: Hey there, localhost:49610; it's me.\n",
        ), err


def test_with_a_key_file_each_they_talk_by_the_keys_they_share(state: Path, tmp_path: Path) -> None:
    port = free_ports(2)
    addresses = [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"]
    new_pair(tmp_path, *addresses)
    scripts = []
    for source in (ORIGINAL, JOINER):
        text = source.read_text().replace("localhost 49610", f"localhost {port}")
        scripts.append(tmp_path / source.name)
        scripts[-1].write_text(text.replace("localhost 49611", f"localhost {port + 1}"))
    common = ("--no-port-mapping", "--json")
    keys = [str(tmp_path / f"keys-of-{address.replace(':', '_')}.json") for address in addresses]
    first = ("peer", str(scripts[0]), "--bind", addresses[0], "--keys", keys[0], *common)
    second = ("peer", str(scripts[1]), "-p", str(port + 1), "--join", f"localhost:{port}", "--keys", keys[1])
    with started(state, *first) as one, started(state, *second, *common) as other:
        for process, wanted in ((other, HEARD_BY_JOINER), (one, HEARD_BY_ORIGINAL)):
            code, out, err = ended(process)
            assert (code, heard(out)) == (0, wanted), err
            assert json.loads(out.splitlines()[1])["trust"] == "pre-shared"


def test_statements_come_from_standard_input_when_it_is_no_terminal(state: Path) -> None:
    port = free_ports(1)
    typed = f"send localhost {port} me\nr\nexpect me\n"
    code, out, err = run(state, "peer", "--bind", f"localhost:{port}", typed=typed)
    assert (code, out) == (0, f"127.0.0.1:{port}: me\n"), err
    named = CliRunner().invoke(app, ["peer", "-", "--bind", "lo:0", "--identity", "ephemeral"], input="p 0")
    assert (named.exit_code, named.stdout) == (0, "")


@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        ("EXPECT me\n", 3, "<stdin>:1: EXPECT: nothing was received before it"),
        ("\nSEND localhost 1 x\n", 1, "<stdin>:2: SEND: localhost:1 did not get it: no such peer"),
        (
            "SND x\nRECV x\n",
            2,
            "<stdin>:1:1: unknown statement 'SND': did you mean SEND?\n<stdin>:2:6: 'x' is not",
        ),
        ("# nothing to do\n", 0, ""),
    ],
)
def test_the_exit_code_and_one_message_say_how_it_went(typed: str, code: int, words: str) -> None:
    result = CliRunner().invoke(app, ["peer", "--bind", "localhost:0"], input=typed)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_script_leaves_in_order(state: Path, number: signal.Signals) -> None:
    with started(state, "peer", "--bind", "localhost:0", typed="WAIT -1\n") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening at 127.0.0.1:")
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == ""


def test_a_port_in_use_and_an_address_of_others_are_one_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        at = ["peer", "--bind", f"localhost:{port}", "--identity", "ephemeral"]
        result = CliRunner().invoke(app, at, input="")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "choose another port" in result.stderr
    elsewhere = ["peer", "--bind", "192.0.2.77:0"]  # of TEST-NET-1, which no machine has
    assert CliRunner().invoke(app, elsewhere, input="").exit_code == 1


def test_logs_go_where_and_as_far_as_they_are_asked_to(state: Path) -> None:
    code, out, err = run(state, "peer", "--bind", "localhost:0", "--stdout", "-d", typed="PAUSE 0\n")
    assert (code, err.count("\n")) == (0, 1)
    assert re.fullmatch(r"listening at 127\.0\.0\.1:\d+\n", err)
    assert all(" peer " in line for line in out.splitlines())
    assert " peer INFO cicada.peer: ring: phase alone: created\n" in out
    code, out, err = run(state, "peer", "--bind", "localhost:0", typed="PAUSE 0\n")
    assert (code, out, err.count("\n")) == (0, "", 1)  # without -d none


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--bind 5000", "write :5000 for a port"),
        ("--bind lo:1 -p 2", "--port and --bind both say a port"),
        ("--bind lo --interface lo", "leave one of 'lo' and 'lo'"),
        ("--join localhost:x", "'x' is not a port"),
        ("-p 65536", "less than or equal to 65535"),
        ("--mapping-attempts 0", "greater than or equal to 1"),
        ("--timeout 0", "is not a time"),
        ("--log-level loud", "'loud' is not one of"),
        ("no-such-script.txt --bind lo:0", "no-such-script.txt: this script cannot be read"),
        (". --bind lo:0", "this script cannot be read"),
        ("--bind no-such.invalid:0", "neither a host whose name resolves nor an interface"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(line: str, words: str) -> None:
    result = CliRunner().invoke(app, ["peer", *line.split()], input="")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_a_script_is_text_of_bounded_size(tmp_path: Path) -> None:
    for name, raw, words in (
        ("bytes.txt", b"WAIT 1\nBCAST \xff\n", "bytes.txt:2:1: this is no UTF-8 text"),
        ("long.txt", b"#" * (1024 * 1024 + 1), "at most 1048576 bytes"),
    ):
        (tmp_path / name).write_bytes(raw)
        result = CliRunner().invoke(app, ["peer", str(tmp_path / name), "--bind", "lo:0"])
        assert result.exit_code == 2
        assert words in result.stderr


@pytest.mark.parametrize("verb", ["peer", "shell"])
def test_the_help_leads_with_an_example(verb: str) -> None:
    text = CliRunner().invoke(app, [verb, "--help"]).output.partition(f" {verb} ")[2]
    assert text.index(f"cicada {verb}") < text.index("Options")
