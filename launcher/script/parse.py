"""From text to statements: total, line by line, with every mistake at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cicada.errors import ConfigError, ConfigErrors
from cicada.ids import HIDDEN, LONGEST_NAME, PLACE_BYTES, is_address
from cicada.limits import DELIVERY, SCRIPT, WIRE
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
)
from launcher.script.words import BadWord, Word, host_in, near, number_in, port_in, seconds_in, words_of

_BLANK: Final = " \t"
_COMMENT: Final = "#"
_HEX: Final = frozenset("0123456789abcdef")
_OPTIONS: Final = ("duplicates", "timeout", "ordered")
_TRUTH: Final = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def parse_script(text: str, file: str) -> tuple[ScriptLine, ...]:
    """The statements of a script. Raises ConfigErrors with every mistake, each at its line and column."""
    lines: list[ScriptLine] = []
    mistakes: list[ConfigError] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        try:
            statement = _parse(line.removesuffix("\r"))
        except BadWord as bad:
            mistakes.append(ConfigError(bad.problem, file=file, line=number, column=bad.column))
        else:
            if statement is not None:
                lines.append(ScriptLine(number=number, statement=statement))
    if mistakes:
        raise ConfigErrors(tuple(mistakes))
    return tuple(lines)


def parse_statement(line: str) -> AnyStatement | None:
    """The statement of one line; None: it is blank or a comment. Raises ConfigError."""
    try:
        return _parse(line)
    except BadWord as bad:
        raise ConfigError(bad.problem) from None


def _parse(line: str) -> AnyStatement | None:
    body = line.lstrip(_BLANK)
    if not body or body.startswith(_COMMENT):
        return None
    try:
        line.encode()
    except UnicodeEncodeError as error:  # what a terminal sends that is no text
        raise BadWord("this is no UTF-8 text: type it again", error.start + 1) from None
    column = len(line) - len(body) + 1
    word = words_of(body, column)[0]
    verb = _verb(word)
    rest = body[len(word.text) :]
    return _PARSERS[verb](rest, word.column + len(word.text))


def _verb(word: Word) -> str:
    written = word.text.upper()
    for verb in VERBS:
        if written in (verb, verb[0]):
            return verb
    raise BadWord(f"unknown statement {word.text!r}{near(written, tuple(VERBS))}", word.column)


def _send(rest: str, column: int) -> Send:
    words = words_of(rest, column)
    if not words:
        raise _usage("SEND", column)
    is_hidden = words[0].text.startswith(HIDDEN)
    named = words[: 1 if is_hidden else 2]
    if not is_hidden and len(words) < 2:
        raise _usage("SEND", column)
    target = _hidden(words[0]) if is_hidden else _host_port(named, "SEND host port data")
    end = named[-1].column + len(named[-1].text)
    data = _verbatim(rest, column, end, "SEND")
    return Send(target=target, data=data)


def _receive(rest: str, column: int) -> Receive:
    words = _few(rest, column, 1, "RECV")
    return Receive(count=number_in(words[0], 1, SCRIPT.max_count, "a count")) if words else Receive()


def _broadcast(rest: str, column: int) -> Broadcast:
    data = _verbatim(rest, column, column, "BCAST")
    size = len(data.encode())
    if size > WIRE.max_payload:
        raise BadWord(
            f"a broadcast of {size} bytes is too large: at most {WIRE.max_payload}, or SEND it to each",
            column,
        )
    return Broadcast(data=data)


def _options(rest: str, column: int) -> Options:
    words = words_of(_uncommented(rest), column)
    if not words:
        raise _usage("OPT", column)
    found: dict[str, int | float | bool] = {}
    for word in words:
        key, equals, value = word.text.partition("=")
        name = key.lower()
        if not equals or name not in _OPTIONS:
            raise BadWord(f"unknown option {key!r}{near(name, _OPTIONS)} (write key=value)", word.column)
        if name in found:
            raise BadWord(f"{name} stands twice", word.column)
        found[name] = _option(name, Word(value, word.column + len(key) + 1))
    return Options(**found)  # type: ignore[arg-type]  # the keys are those of _OPTIONS


def _option(name: str, value: Word) -> int | float | bool:
    if name == "duplicates":
        return number_in(value, 0, DELIVERY.copies_max - 1, "a number of extra copies")
    if name == "timeout":
        return seconds_in(value, zero_is_one=False)
    truth = _TRUTH.get(value.text.lower())
    if truth is None:
        raise BadWord(f"{value.text!r} is neither yes nor no", value.column)
    return truth


def _wait(rest: str, column: int) -> Wait:
    words = _few(rest, column, 1, "WAIT")
    if not words or words[0].text == "-1":
        return Wait()
    return Wait(seconds=seconds_in(words[0], zero_is_one=True))


def _pause(rest: str, column: int) -> Pause:
    words = _few(rest, column, 1, "PAUSE")
    return Pause(seconds=seconds_in(words[0], zero_is_one=True)) if words else Pause()


def _lookup(rest: str, column: int) -> Lookup:
    words = _few(rest, column, 2, "LOOKUP")
    if len(words) == 2:
        return Lookup(target=_host_port(words, "LOOKUP host port"))
    if not words:
        raise _usage("LOOKUP", column)
    word = words[0]
    if word.text.startswith(HIDDEN):
        return Lookup(target=_hidden(word))
    digits = word.text.lower()
    if len(digits) == 2 * PLACE_BYTES and _HEX.issuperset(digits):
        return Lookup(target=PlaceTarget(place=int(digits, 16)))
    raise BadWord(
        f"{word.text!r} is nothing to look up: write host port, @ and a peer id, or a place as {2 * PLACE_BYTES} hex digits",
        word.column,
    )


def _expect(rest: str, column: int) -> Expect:
    return Expect(text=_verbatim(rest, column, column, "EXPECT"))


_PARSERS: Final[dict[str, Callable[[str, int], AnyStatement]]] = {
    "SEND": _send,
    "RECV": _receive,
    "BCAST": _broadcast,
    "OPT": _options,
    "WAIT": _wait,
    "PAUSE": _pause,
    "LOOKUP": _lookup,
    "EXPECT": _expect,
}


def _host_port(words: list[Word], usage: str) -> HostTarget:
    host, port = words
    if host.text.count(":") == 1:
        raise BadWord(f"{host.text!r} is host and port in one: write {usage}", host.column)
    return HostTarget(host=host_in(host.text, host.column), port=port_in(port.text, port.column))


def _hidden(word: Word) -> HiddenTarget:
    address = word.text.lower()
    if not is_address(address):
        raise BadWord(
            f"{word.text!r} is no hidden peer: write @ and the {LONGEST_NAME - 1} hex digits of its peer id",
            word.column,
        )
    return HiddenTarget(address=address)


def _verbatim(rest: str, column: int, end: int, verb: str) -> str:
    """All of the line after one blank behind column ``end``."""
    data = rest[end - column + 1 :]
    if not data:
        raise BadWord(f"there is no text: write {USAGE[verb][0]}", end)
    return data


def _few(rest: str, column: int, most: int, verb: str) -> list[Word]:
    words = words_of(_uncommented(rest), column)
    if len(words) > most:
        raise BadWord(f"{words[most].text!r} is too much: write {USAGE[verb][0]}", words[most].column)
    return words


def _uncommented(rest: str) -> str:
    """Without a comment at its end, for statements in which every word counts."""
    for blank in _BLANK:
        rest = rest.partition(blank + _COMMENT)[0]
    return rest


def _usage(verb: str, column: int) -> BadWord:
    return BadWord(f"something is missing: write {USAGE[verb][0]}", column)
