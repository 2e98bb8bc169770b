"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cicada.errors import Misuse, PayloadTooLarge
from cicada.limits import CLI
from launcher.verbs import completion

_ZERO = re.compile(r"0+(?:\.0+)?\s*(?:ms|s|m|h|)")
_PERCENT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%?")

LATEST_RUN = Path("runs/latest")


def seconds(text: str | float) -> float:
    """``250ms``, ``60s``, ``2m``, ``1h`` or plain seconds, above 0, at most a hundred years. Typer hands defaults over."""
    from cicada.config.quantities import seconds_in  # loads pydantic, for which help must not wait

    try:
        value = seconds_in(str(text))
    except Misuse:
        value = 0.0
    if value <= 0:
        raise typer.BadParameter(f"{text!r} is not a time: write 60s, 2m or 250ms")
    if value > CLI.longest:
        raise typer.BadParameter(f"{text!r} is too long: write at most {CLI.longest / 3600:g}h")
    return value


def moment(text: str | float) -> float:
    """As ``seconds``, but 0 is a time too."""
    return 0.0 if _ZERO.fullmatch(str(text).strip()) else seconds(text)


def percent(text: str | float) -> float:
    """``10%`` or ``10``: a share above 0% and at most 100%. Typer hands defaults over as they are."""
    match = _PERCENT.fullmatch(str(text).strip())
    value = float(match["number"]) if match else 0.0
    if not 0 < value <= 100:
        raise typer.BadParameter(f"{text!r} is not a share: write 10%, more than 0% and at most 100%")
    return value


def assignments(texts: Sequence[str], example: str) -> list[tuple[str, str]]:
    """``KEY=VALUE`` texts, taken apart. Raises BadParameter for a text of another form."""
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{text!r}: write {example}")
        pairs.append((key.strip(), value.strip()))
    return pairs


def group_counts(texts: Sequence[str]) -> dict[str, int]:
    """``GROUP=COUNT`` texts. Raises BadParameter for a text of another form."""
    counts = {}
    for group, text in assignments(texts, "GROUP=COUNT, for example -n core=300"):
        if not text.isascii() or not text.isdigit():
            raise typer.BadParameter(f"'{group}={text}': the count must be a whole number")
        counts[group] = int(text)
    return counts


def existing(path: Path) -> Path:
    """A file or folder that the command line names. Raises Misuse when there is none: it was the wrong name."""
    if not os.path.exists(path):
        raise Misuse(f"{path}: no such file or folder")
    return path


def one_run(named: Path | None, option: Path | None) -> Path:
    """The run folder that is named as RUN or with --run; otherwise the latest. Raises Misuse for both."""
    if named is not None and option is not None:
        raise Misuse("RUN and --run exclude each other: give one of them")
    return named or option or LATEST_RUN


def payload_of(text: str, most: int) -> bytes:
    """The bytes of a text, ``-`` for those of standard input. Raises PayloadTooLarge, Misuse when there are none."""
    typed = text.encode(errors="surrogateescape")  # arguments that are no text are the bytes that they were
    payload = typer.get_binary_stream("stdin").read(most + 1) if text == "-" else typed
    if len(payload) > most:
        raise PayloadTooLarge(len(payload), most)
    if not payload:
        raise Misuse("there is nothing to send: give a text, or bytes on standard input with -")
    return payload


ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file that describes the swarm.")]
SelectArgument = Annotated[
    str,
    typer.Argument(
        metavar="SELECT",
        help="core-3, worker-1, core, core:10%, 10% or all.",
        autocompletion=completion.selectors,
    ),
]
OneArgument = Annotated[
    str,
    typer.Argument(
        metavar="A",
        help="One side: a selector, as worker-1 or core:50%.",
        autocompletion=completion.selectors,
    ),
]
OtherArgument = Annotated[
    str,
    typer.Argument(
        metavar="B",
        help="The other side; a share is drawn from those who are not of A.",
        autocompletion=completion.selectors,
    ),
]
PercentArgument = Annotated[
    float, typer.Argument(metavar="PERCENT", parser=percent, help="Share of the messages, as 10%.")
]
ForOption = Annotated[
    float | None,
    typer.Option("--for", metavar="TIME", parser=seconds, help="End it by itself after this time."),
]
RunOption = Annotated[
    Path,
    typer.Option(
        "--run", metavar="DIR", help="Run folder of the swarm.", autocompletion=completion.run_folders
    ),
]
SameRunOption = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="The same as RUN.", autocompletion=completion.run_folders),
]
NewRunOption = Annotated[
    Path | None, typer.Option("--run", metavar="DIR", help="Run folder; otherwise a new one under runs/.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ViaOption = Annotated[
    str,
    typer.Option(
        "--via",
        metavar="PEER",
        help="Peer that asks or sends; otherwise any.",
        autocompletion=completion.peers,
    ),
]
CountsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-n",
        metavar="GROUP=COUNT",
        help="Size of a group; may be repeated.",
        autocompletion=completion.counts,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as swarm.seed=7; may be repeated."),
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="TIME", parser=seconds, help="How long to wait at most.")
]
