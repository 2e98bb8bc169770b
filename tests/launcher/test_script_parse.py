"""Scripts are read line by line: what is right becomes a statement, everything wrong is named at once with its place."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import ConfigErrors
from launcher.script.parse import parse_script, parse_statement
from launcher.script.statements import (
    USAGE,
    VERBS,
    AnyStatement,
    Broadcast,
    Expect,
    HiddenTarget,
    HostTarget,
    Lookup,
    Options,
    Pause,
    PlaceTarget,
    Receive,
    ScriptLine,
    Send,
    Wait,
    render,
)

HIDDEN = "@" + "3f9a" * 16
AT_PORT = HostTarget(host="localhost", port=49611)

hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,3})?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: ip.compressed if not ip.scope_id else "::1"),  # type: ignore[union-attr]
)
host_targets = st.builds(HostTarget, host=hosts, port=st.integers(1, 65535))
hidden_targets = st.builds(
    HiddenTarget, address=st.text("0123456789abcdef", min_size=64, max_size=64).map("@{}".format)
)
places = st.builds(PlaceTarget, place=st.integers(0, 2**256 - 1))
texts = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1)
times = st.integers(1, 10**9).map(lambda milliseconds: milliseconds / 1000)
options = st.builds(
    Options,
    duplicates=st.none() | st.integers(0, 3),
    timeout=st.none() | times,
    ordered=st.none() | st.booleans(),
).filter(lambda chosen: chosen != Options())
statements: st.SearchStrategy[AnyStatement] = st.one_of(
    st.builds(Send, target=host_targets | hidden_targets, data=texts),
    st.builds(Receive, count=st.integers(1, 1_000_000)),
    st.builds(Broadcast, data=texts),
    options,
    st.builds(Wait, seconds=st.none() | times),
    st.builds(Pause, seconds=times),
    st.builds(Lookup, target=host_targets | hidden_targets | places),
    st.builds(Expect, text=texts),
)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_script(text, "hello.txt")
    return [str(error) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("line", "statement"),
    [
        ("SEND localhost 49611 Hey there", Send(target=AT_PORT, data="Hey there")),
        ("send localhost 49611 Hey there", Send(target=AT_PORT, data="Hey there")),
        ("S localhost 49611  two  blanks ", Send(target=AT_PORT, data=" two  blanks ")),
        ("s  localhost\t49611\tx # no comment", Send(target=AT_PORT, data="x # no comment")),
        ("S ::1 5 x", Send(target=HostTarget(host="::1", port=5), data="x")),
        ("S [::1] 5 x", Send(target=HostTarget(host="::1", port=5), data="x")),
        (f"S {HIDDEN} 5 x", Send(target=HiddenTarget(address=HIDDEN), data="5 x")),
        (f"S {HIDDEN.upper()} x", Send(target=HiddenTarget(address=HIDDEN), data="x")),
        ("RECV", Receive()),
        ("  r 3   # three", Receive(count=3)),
        ("BCAST  Hey, #1!", Broadcast(data=" Hey, #1!")),
        ("b x", Broadcast(data="x")),
        ("OPT duplicates=3", Options(duplicates=3)),
        ("o TIMEOUT=250ms ordered=Yes", Options(timeout=0.25, ordered=True)),
        ("WAIT", Wait()),
        ("W -1", Wait()),
        ("wait 0", Wait(seconds=0.0)),
        ("wait 2m", Wait(seconds=120.0)),
        ("PAUSE", Pause(seconds=1.0)),
        ("p 0.5", Pause(seconds=0.5)),
        ("LOOKUP localhost 49611", Lookup(target=AT_PORT)),
        (f"L {HIDDEN}", Lookup(target=HiddenTarget(address=HIDDEN))),
        ("L " + "00" * 31 + "FF", Lookup(target=PlaceTarget(place=255))),
        ("EXPECT Hey", Expect(text="Hey")),
        ("e  Hey ", Expect(text=" Hey ")),
        ("", None),
        (" \t ", None),
        ("  # a comment", None),
    ],
)
def test_a_line_is_a_statement(line: str, statement: AnyStatement | None) -> None:
    assert parse_statement(line) == statement


def test_a_script_has_the_numbers_of_its_lines_whatever_ends_them() -> None:
    text = "\ufeff# hello\r\n\r\nWAIT -1\r\nBCAST a\u2028b\x0bc\nRECV 2"
    assert parse_script(text, "hello.txt") == (
        ScriptLine(number=3, statement=Wait()),
        ScriptLine(number=4, statement=Broadcast(data="a\u2028b\x0bc")),
        ScriptLine(number=5, statement=Receive(count=2)),
    )


def test_every_mistake_is_named_at_once_with_its_place_and_what_to_do() -> None:
    text = "SND a\nRECV\n  RECV x\nSEND localhost 70000 hey\nOPT dublicates=2"
    assert mistakes(text) == [
        "hello.txt:1:1: unknown statement 'SND': did you mean SEND?",
        "hello.txt:3:8: 'x' is not a count: write a whole number from 1 to 1000000",
        "hello.txt:4:16: '70000' is not a port: write a number from 1 to 65535",
        "hello.txt:5:5: unknown option 'dublicates': did you mean duplicates? (write key=value)",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("HELLO", "unknown statement 'HELLO'"),
        ("BCAST \udcff", "this is no UTF-8 text"),
        ("SE a 1 x", "did you mean SEND?"),
        ("SEND", "write SEND host port data"),
        ("SEND localhost", "write SEND host port data"),
        ("SEND localhost 5", "there is no text"),
        ("SEND localhost 5 ", "there is no text"),
        ("SEND localhost:5 hello you", "host and port in one: write SEND host port data"),
        ("SEND localhost hello", "'hello' is not a port"),
        ("SEND 1.2.3 5 x", "is not an IPv4 address"),
        ("SEND 5 5 x", "write :5 for a port"),
        ("SEND a/b 5 x", "neither an IP address nor a name"),
        ("SEND fe80::1%eth0 5 x", "has a zone"),
        ("SEND @12 x", "the 64 hex digits"),
        (f"SEND {HIDDEN}", "there is no text"),
        ("RECV 0", "from 1 to 1000000"),
        ("RECV 1 2", "'2' is too much"),
        ("BCAST", "there is no text"),
        ("BCAST " + "x" * 32769, "too large: at most 32768"),
        ("OPT", "write OPT"),
        ("OPT duplicates", "write key=value"),
        ("OPT duplicates=99", "is not a number of extra copies"),
        ("OPT timeout=0", "is not a time"),
        ("OPT timeout=1 timeout=2", "stands twice"),
        ("OPT ordered=maybe", "neither yes nor no"),
        ("WAIT soon", "is not a time"),
        ("WAIT -2", "is not a time"),
        ("WAIT 99999999999", "is not a time"),
        ("PAUSE 1 2", "too much"),
        ("LOOKUP", "write LOOKUP"),
        ("LOOKUP beef", "64 hex digits"),
        ("LOOKUP a 5 x", "too much"),
        ("EXPECT", "there is no text"),
    ],
)
def test_a_wrong_line_says_what_is_wrong_and_what_to_write(line: str, words: str) -> None:
    (mistake,) = mistakes(line)
    assert words in mistake


@given(statements)
def test_a_statement_that_is_written_down_is_read_as_the_same(statement: AnyStatement) -> None:
    line = render(statement)
    assert parse_statement(line) == statement
    assert parse_script(f"\n{line}\n", "x") == (ScriptLine(number=2, statement=statement),)


@given(st.one_of(st.text(), st.builds("{} {}".format, st.sampled_from([*VERBS, *"srbowple"]), st.text())))
def test_any_text_is_a_script_or_a_list_of_mistakes_within_it(text: str) -> None:
    try:
        lines = parse_script(text, "x")
    except ConfigErrors as error:
        rows = text.split("\n")
        for each in error.errors:
            assert 1 <= each.line <= len(rows)
            assert 1 <= each.column <= len(rows[each.line - 1]) + 1
            assert re.match(r"x:\d+:\d+: \S", str(each))
    else:
        assert all(parse_statement(render(line.statement)) == line.statement for line in lines)


def test_every_verb_has_a_first_letter_of_its_own_and_a_word_of_help() -> None:
    assert len({verb[0] for verb in VERBS}) == len(VERBS)
    assert set(USAGE) == set(VERBS)
