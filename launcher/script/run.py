"""What ``cicada peer`` does: a script from a file or from standard input, or a prompt."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from cicada.errors import ConfigError
from cicada.limits import SCRIPT
from launcher import output
from launcher.exits import Exit
from launcher.script.parse import parse_script
from launcher.script.runner import Runner
from launcher.script.session import Stay, staying, unless_failed, until_interrupted
from launcher.script.showing import Shown, shown_lines
from launcher.script.statements import ScriptLine

STDIN = "-"


def read_script(script: str) -> tuple[ScriptLine, ...]:
    """The statements of a file, or of standard input (``-``). Raises ConfigError."""
    name = "<stdin>" if script == STDIN else script
    try:
        if script == STDIN:
            raw = sys.stdin.buffer.read(SCRIPT.max_file + 1)
        else:
            with Path(script).open("rb") as file:
                raw = file.read(SCRIPT.max_file + 1)
    except OSError as error:
        raise ConfigError(f"this script cannot be read: {error.strerror or error}", file=name) from None
    if len(raw) > SCRIPT.max_file:
        raise ConfigError(f"a script has at most {SCRIPT.max_file} bytes", file=name)
    try:
        return parse_script(raw.decode(), name)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is no UTF-8 text: save it as such", file=name, line=line, column=1) from None


def run_script(stay: Stay, lines: tuple[ScriptLine, ...], file: str, *, as_json: bool) -> Exit:
    """Run a peer from the first statement to the last. Raises what its statements raise."""

    async def work() -> None:
        async with staying(stay, output.progress) as (peer, arrivals, watch):
            runner = Runner(
                peer, peer, arrivals, show=shower(as_json=as_json), note=output.progress, file=file
            )
            await unless_failed(runner.run_all(lines), watch)

    return asyncio.run(until_interrupted(work()))


def shower(*, as_json: bool) -> Callable[[Shown], None]:
    """What prints data: a line of JSON each, or lines for people."""

    def show_json(shown: Shown) -> None:
        output.show([msgspec.json.encode(shown).decode()])

    def show_text(shown: Shown) -> None:
        output.show(shown_lines(shown))

    return show_json if as_json else show_text
