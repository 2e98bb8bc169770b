"""``cicada shell``: lines mean values, values become commands of the control plane, and a swarm of its own ends with it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from cicada.commands import (
    Add,
    AnyCommand,
    AnyReply,
    BroadcastResult,
    Done,
    GetPeers,
    GetStatus,
    Join,
    Lookup,
    LookupResult,
    PeerRow,
    Peers,
    Refused,
    Send,
    SendResult,
    SendToAll,
    Stop,
)
from cicada.errors import Misuse
from cicada.limits import BROADCAST, DELIVERY
from launcher.cli import app
from launcher.runfolder import is_running, read_info
from launcher.shell.lines import (
    USAGE,
    AnyLine,
    CreatePeers,
    Help,
    JoinLine,
    ListPeers,
    LookUp,
    Quit,
    SendTo,
    SendToEach,
    ShowStatus,
    StopLine,
    completions,
    help_lines,
    parse_line,
    render,
)

from .fake_launcher import fake_launcher
from .peers import PATIENCE, at_terminal, run
from .test_cli_verbs import STATUS

words = st.text(st.characters(categories=("L", "N", "P", "S"), codec="utf-8"), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1)
lines: st.SearchStrategy[AnyLine] = st.one_of(
    st.builds(CreatePeers, count=st.integers(1, 1000), group=st.just("") | words),
    st.builds(JoinLine, select=words),
    st.builds(LookUp, value=words, via=st.just("") | words),
    st.builds(StopLine, select=words),
    st.builds(ListPeers, select=words),
    st.builds(SendTo, target=words, data=texts),
    st.builds(SendToEach, data=texts),
    st.sampled_from((ShowStatus(), Help(), Quit())),
)
ROW = PeerRow(
    name="edge-core-0",
    address="127.0.0.1:5",
    place="00",
    worker="worker-0",
    phase="member",
    predecessor="",
    successors=(),
    fingers=0,
    restarts=0,
)
FOUND = LookupResult(
    owner="127.0.0.1:5",
    owner_name="edge-core-0",
    place="00",
    route=("127.0.0.1:5",),
    hops=0,
    seconds=0.001,
    right=True,
    failure="",
)
SENT = SendResult(status="delivered", reason="", attempts=1, hops=1, round_trip_s=0.001)


def answer(command: AnyCommand) -> AnyReply:
    match command:
        case GetPeers(select="nobody"):
            return Refused(reason="no peer is called 'nobody'", misuse=True)
        case GetPeers():
            return Peers(rows=(ROW,))
        case Lookup():
            return FOUND
        case Send(target=target):
            return SENT if target == "edge-core-0" else replace(SENT, status="failed")
        case SendToAll():
            return BroadcastResult(reached=3, expected=3, seconds=0.01)
        case GetStatus():
            return STATUS
        case _:
            return Done(peers=("edge-core-1",))


def typed(folder: Path, text: str | bytes) -> tuple[Result, list[AnyCommand]]:
    with fake_launcher(folder, answer) as launcher:
        result = CliRunner().invoke(app, ["shell", "--run", str(launcher.folder)], input=text)
        return result, launcher.asked


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("create", CreatePeers()),
        ("create 5 core", CreatePeers(count=5, group="core")),
        ("JOIN", JoinLine(select="all")),
        ("join core-3", JoinLine(select="core-3")),
        ("lookup core-7 core-0\n", LookUp(value="core-7", via="core-0")),
        ("stop 10%", StopLine(select="10%")),
        ("list", ListPeers(select="all")),
        ("send core-3  hi # you ", SendTo(target="core-3", data=" hi # you ")),
        ("broadcast hi", SendToEach(data="hi")),
        ("status", ShowStatus()),
        ("?", Help()),
        ("help send", Help()),
        ("exit", Quit()),
        ("  ", None),
        ("# list", None),
    ],
)
def test_a_line_means_one_thing(line: str, meaning: AnyLine | None) -> None:
    assert parse_line(line) == meaning


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("broadcast \udcff", "this is no UTF-8 text"),
        ("lst", "there is no 'lst': did you mean list?"),
        ("xyzzy", "help shows what there is"),
        ("create many", "'many' is not a count"),
        ("create 0", "1 to 1000 peers"),
        ("create 1 2 3", "write create [COUNT] [GROUP]"),
        ("lookup", "write lookup VALUE [PEER]"),
        ("stop", "write stop SELECT"),
        ("send", "write send PEER TEXT"),
        ("send core-3", "write send PEER TEXT"),
        ("broadcast", "write broadcast TEXT"),
        ("status now", "write status"),
    ],
)
def test_another_line_says_what_to_write(line: str, words: str) -> None:
    with pytest.raises(Misuse) as caught:
        parse_line(line)
    assert words in str(caught.value)


@given(lines)
def test_a_line_that_is_written_down_is_read_as_the_same(line: AnyLine) -> None:
    assert parse_line(render(line)) == line


@given(st.text() | st.builds("{} {}".format, st.sampled_from(list(USAGE)), st.text()))
def test_any_text_means_something_or_is_misuse(text: str) -> None:
    try:
        line = parse_line(text)
    except Misuse:
        return
    assert line is None or parse_line(render(line)) == line


@pytest.mark.parametrize(
    ("before", "becomes"),
    [
        ("s", ["stop ", "send ", "status"]),
        ("lookup core-1", ["core-1", "core-10"]),
        ("lookup core-1 core-2", ["core-2"]),
        ("send core-2", ["core-2"]),
        ("send core-1 core-2", []),
        ("broadcast c", []),
    ],
)
def test_verbs_and_names_of_peers_are_completed(before: str, becomes: list[str]) -> None:
    assert completions(before, ("core-1", "core-2", "core-10")) == becomes


def test_the_help_names_every_verb() -> None:
    text = "\n".join(help_lines())
    assert all(form in text for form, _ in USAGE.values())


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("create 2 core", Add(group="core", count=2)),
        ("join core-3", Join(select="core-3")),
        ("stop core-3", Stop(select="core-3")),
        ("lookup core-7 core-0", Lookup(value="core-7", via="core-0")),
        ("list core", GetPeers(select="core")),
        ("send edge-core-0 hi", Send(target="edge-core-0", payload=b"hi", timeout=DELIVERY.timeout)),
        ("broadcast hi", SendToAll(payload=b"hi", timeout=BROADCAST.timeout)),
        ("status", GetStatus()),
    ],
)
def test_a_line_asks_the_launcher_for_what_was_typed(tmp_path: Path, line: str, command: AnyCommand) -> None:
    result, asked = typed(tmp_path / "run", f"{line}\n")
    assert asked == [command]
    assert (result.exit_code, bool(result.stdout)) == (0, True), result.stderr


def test_peers_are_created_in_the_group_that_is_there(tmp_path: Path) -> None:
    _, asked = typed(tmp_path / "run", "create 3\nquit\nlist\n")
    assert asked == [GetPeers(select="all"), Add(group="edge-core", count=3)]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("list\nlist nobody\nstatus\n", 2, "<stdin>:2: no peer is called 'nobody'\n"),
        ("lst\n", 2, "<stdin>:1: there is no 'lst'"),
        (b"list\nbroadcast \xff\nlist\n", 2, "<stdin>:2: this is no UTF-8 text"),
        ("\nsend edge-core-1 hi\nlist\n", 1, "<stdin>:2: not the result that was asked for"),
    ],
)
def test_from_standard_input_the_first_line_that_fails_ends_it(
    tmp_path: Path, text: str | bytes, code: int, words: str
) -> None:
    result, asked = typed(tmp_path / "run", text)
    assert result.exit_code == code
    assert words in result.stderr
    assert len(asked) <= 2


def test_a_folder_that_was_named_and_has_no_swarm_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["shell", "--run", str(tmp_path)], input="list\n")
    assert result.exit_code == 1
    assert "no swarm in" in result.stderr


def test_where_no_swarm_runs_it_starts_one_of_its_own_and_ends_it(tmp_path: Path) -> None:
    text = "lookup core-1 core-0\ncreate 1\nsend core-5 hello\nbroadcast hi\nstop core-5\nlist core-4\n"
    code, out, err = run(tmp_path, "shell", cwd=tmp_path, typed=text)
    assert code == 0, err
    assert "core-1  127.0.0.1:" in out
    assert "created 1 peer: core-5" in out
    assert "reached 5 of 5 peers" in out
    assert "stopped 1 peer: core-5" in out
    assert not is_running((tmp_path / "runs" / "latest").resolve())


def test_at_a_terminal_names_are_completed_and_whatever_ends_it_ends_its_swarm(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with at_terminal(tmp_path, "shell", "--own", "--run", str(folder), cwd=tmp_path) as terminal:
        terminal.shows("swarm>")
        assert is_running(folder)
        terminal.type("lookup core-3 core-\t")
        terminal.shows("core-4")
        terminal.type("\x03")
        terminal.shows("swarm>")
        terminal.type("stop nobody\r")
        terminal.shows("no peer to act on is called 'nobody'")
        terminal.shows("swarm>")
        terminal.process.kill()
        assert terminal.ends() == -signal.SIGKILL
    give_up = time.monotonic() + PATIENCE
    while is_running(folder):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    info = read_info(folder)
    assert info is not None
    assert info.ended  # in order
