"""``cicada peer`` at a terminal: lines are completed and carried out, messages appear above them, Ctrl-C ends what waits."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import ConfigError
from launcher.script.prompting import (
    WORDS,
    Help,
    Quit,
    ShowPeers,
    ShowStatus,
    completions,
    help_lines,
    parse_prompt,
)
from launcher.script.statements import USAGE, HiddenTarget, HostTarget, Receive, Send

from .peers import at_terminal, ended, started
from .swarms import free_ports

PROMPT = "cicada>"
PEERS = (HostTarget(host="127.0.0.1", port=5), HiddenTarget(address="@" + "ab" * 32))


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("help", Help()),
        (" ? ", Help()),
        ("STATUS", ShowStatus()),
        ("peers", ShowPeers()),
        ("Quit", Quit()),
        ("exit", Quit()),
        ("", None),
        ("# x", None),
        ("r 2", Receive(count=2)),
        ("S 127.0.0.1 5 quit", Send(target=PEERS[0], data="quit")),
    ],
)
def test_a_line_is_a_statement_or_one_of_a_few_words(line: str, meaning: object) -> None:
    assert parse_prompt(line) == meaning


@pytest.mark.parametrize(
    ("line", "hint"), [("statu", "did you mean STATUS?"), ("zzz", "HELP shows what there is")]
)
def test_another_line_says_what_there_is(line: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_prompt(line)
    assert str(caught.value).endswith(hint)


@given(st.text())
def test_any_line_means_something_or_is_refused(line: str) -> None:
    try:
        meaning = parse_prompt(line)
    except ConfigError:
        return
    assert meaning is None or line.strip()


@pytest.mark.parametrize(
    ("before", "becomes"),
    [
        ("se", ["SEND "]),
        ("P", ["PAUSE ", "PEERS"]),
        ("x", []),
        ("send ", ["127.0.0.1 5 ", "@" + "ab" * 32 + " "]),
        ("S 12", ["127.0.0.1 5 "]),
        ("lookup @", ["@" + "ab" * 32]),
        ("OPT duplicates=2 t", ["timeout="]),
        ("SEND 127.0.0.1 5 12", []),
        ("BCAST 12", []),
    ],
)
def test_the_last_word_is_completed_by_what_may_stand_there(before: str, becomes: list[str]) -> None:
    assert completions(before, PEERS) == becomes


def test_the_help_names_every_statement_and_word() -> None:
    text = "\n".join(help_lines())
    assert all(f"\n{form}  " in f"\n{text}" for form in (form for form, _ in USAGE.values()))
    assert all(word in text for word in WORDS)


def test_a_peer_by_hand(tmp_path: Path) -> None:
    port = free_ports(1)
    with at_terminal(tmp_path, "peer", "--bind", f"localhost:{port}") as terminal:
        terminal.shows(PROMPT)
        terminal.type("sta\t")
        terminal.shows("STATUS")
        terminal.type("\r")
        assert f"127.0.0.1:{port}  place " in terminal.shows("0 sent, 0 delivered, 0 failed")
        terminal.shows(PROMPT)

        terminal.type("wait -1\r")  # which Ctrl-C ends, and not the peer
        terminal.type_until("\x03", "interrupted")
        terminal.shows(PROMPT)

        terminal.type("WAIT\r")
        typed = f"SEND localhost {port} hello \x1b[31m you\nRECV\nEXPECT and you\n"
        with started(tmp_path, "peer", "--bind", ":0", "--join", f"localhost:{port}", typed=typed) as other:
            said = terminal.shows("hello \\x1b[31m you")
            there = said.split()[-4].removesuffix(":").rpartition(":")[2]
            terminal.shows(PROMPT)
            terminal.type(f"SEND localhost {there} and you\r")
            assert ended(other)[0] == 0
            terminal.shows(PROMPT)

        terminal.type("expect hello\r")
        terminal.shows("was received last, not 'hello'")
        terminal.shows(PROMPT)
        terminal.type("recv\r")  # it was shown already, and is counted now
        terminal.shows(PROMPT)
        terminal.type("snd x\r")
        terminal.shows("did you mean SEND?")
        terminal.type("quit\r")
        assert terminal.ends() == 0
    history = tmp_path / "history" / "peer"
    assert "+expect hello" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_ctrl_d_ends_it_and_an_unusable_state_folder_costs_the_history_only(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    arguments = ("peer", "--bind", "localhost:0", "--identity", "ephemeral")
    with at_terminal(tmp_path / "state", *arguments) as terminal:
        terminal.shows(PROMPT)
        terminal.type("\x03")  # on an empty line: another line
        terminal.shows(PROMPT)
        assert terminal.ends(typing="\x04") == 0
