"""``cicada load``: a load on a running swarm, described by a configuration, by options, or by both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cicada.commands import Done, GetLoad, LoadProgress, LoadResult, RunLoad, StopLoad
from cicada.errors import Unavailable
from cicada.limits import CLI
from launcher import output
from launcher.exits import Exit
from launcher.verbs.options import LATEST_RUN, JsonOption, RunOption
from launcher.verbs.progress import ProgressLine

Text = str | None
_DIGITS = 100  # a text of more is taken for no number


def _option(flag: str, metavar: str, words: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=words, show_default=False)
    return option


ConfigArgument = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="TOML file that describes the load.", show_default=False),
]
RateOption = Annotated[Text, _option("--rate", "RATE", "Operations a second, over the whole swarm.")]
DurationOption = Annotated[Text, _option("--duration", "TIME", "How long operations begin.")]
CountOption = Annotated[Text, _option("--count", "N", "How many operations begin.")]
PayloadOption = Annotated[Text, _option("--payload", "SIZE", "256B, 4KiB, or 64..1KiB for any between.")]
DuplicatesOption = Annotated[Text, _option("--duplicates", "N", "Extra copies of each attempt.")]
OrderedOption = Annotated[
    bool, typer.Option("--ordered", help="Messages of a pair of peers arrive in the order they were sent.")
]
OpsOption = Annotated[Text, _option("--ops", "WEIGHTS", "send=80,lookup=15,broadcast=5.")]
ModelOption = Annotated[Text, _option("--model", "MODEL", "open (on time) or closed (users that wait).")]
UsersOption = Annotated[Text, _option("--users", "N", "Users of a closed load.")]
ThinkOption = Annotated[Text, _option("--think", "TIME", "A user's pause between two operations.")]
StageOption = Annotated[
    list[str] | None, _option("--stage", "RATE:TIME", "200:30s, or 100..500:1m for a ramp; repeatable.")
]
WarmupOption = Annotated[Text, _option("--warmup", "TIME", "What begins before is in no figure.")]
TargetsOption = Annotated[Text, _option("--targets", "LAW", "uniform, zipf or zipf:1.2.")]
GroupOption = Annotated[Text, _option("--group", "GROUP", "Between peers of this group only.")]
SeedOption = Annotated[Text, _option("--seed", "N", "The same seed draws the same operations.")]
ThresholdOption = Annotated[
    list[str] | None, _option("--threshold", "EXPR", '"send.p99 < 50ms"; repeatable.')
]
TimeOption = Annotated[Text, _option("--timeout", "TIME", "How long one operation may take.")]
OwnNetworkOption = Annotated[
    bool,
    typer.Option("--i-own-this-network", help="Load peers at addresses beyond this machine's loopback too."),
]
StopOption = Annotated[bool, typer.Option("--stop", help="End the load that runs.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Do not show how far it is.")]


def load(
    config: ConfigArgument = None,
    rate: RateOption = None,
    duration: DurationOption = None,
    count: CountOption = None,
    payload: PayloadOption = None,
    duplicates: DuplicatesOption = None,
    ordered: OrderedOption = False,
    ops: OpsOption = None,
    model: ModelOption = None,
    users: UsersOption = None,
    think: ThinkOption = None,
    stage: StageOption = None,
    warmup: WarmupOption = None,
    targets: TargetsOption = None,
    group: GroupOption = None,
    seed: SeedOption = None,
    threshold: ThresholdOption = None,
    timeout: TimeOption = None,
    own_network: OwnNetworkOption = False,
    stop: StopOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    run: RunOption = LATEST_RUN,
) -> None:
    """Load a running swarm, and account for every operation.

    \b
      cicada load --count 10000 --rate 500
      cicada load --ops send=80,lookup=15,broadcast=5 --stage 50..500:1m
      cicada load --model closed --users 50 --think 100ms --duration 30s
      cicada load configs/load-20.toml --threshold "send.p99 < 50ms"
      cicada load --stop

    Open loop: operations begin on time whether or not earlier ones have ended, and latency counts from that
    time. Options win over CONFIG. Peers that do harm on purpose take no part. Exit code 3 when a threshold is
    missed, or, without thresholds, unless all went right. Ctrl-C ends the load and shows what it did so far;
    when this command is killed, the load goes on.
    """
    if stop:
        _stop(run)
        return
    texts: dict[str, object] = {"rate": rate, "duration": duration, "payload": payload, "ops": ops}
    texts |= {"model": model, "think": think, "warmup": warmup, "targets": targets, "group": group}
    texts |= {
        "timeout": timeout,
        "stage": stage,
        "ordered": ordered or None,
        "own_network": own_network or None,
    }
    numbers = {"count": count, "duplicates": duplicates, "users": users, "seed": seed}
    command = _command(config, texts | {key: _whole(text) for key, text in numbers.items()}, threshold)
    _run_load(command, run, quiet=quiet, as_json=as_json)


_LEAVES_NO_ROOM_FOR = {
    "stage": ("rate", "count", "duration"),
    "rate": ("stage",),
    "count": ("stage", "duration"),
    "duration": ("stage", "count"),
    "model": ("rate", "stage"),
}


def _command(config: Path | None, given: dict[str, object], thresholds: Sequence[str] | None) -> RunLoad:
    from cicada.config.loader import load_from
    from cicada.config.overrides import Override

    def overrides() -> Iterator[Override]:
        for key, value in given.items():
            if value is not None and value != []:
                flag = f"--{key}" if isinstance(value, list | bool) else f"--{key} {value}"
                room = () if value == "open" else _LEAVES_NO_ROOM_FOR.get(key, ())
                yield Override(flag=flag, keys=("load", key), value=value, instead_of=room)
        if thresholds:
            yield Override(flag="--threshold", keys=("threshold",), value=list(thresholds))

    return load_from(config, tuple(overrides()))


def _whole(text: str | None) -> object:
    """A number where it is one; what else it is, its check says with its name."""
    is_number = text is not None and text.removeprefix("-").isdecimal() and len(text) < _DIGITS
    return int(text) if text is not None and is_number else text


def _run_load(command: RunLoad, run: Path, *, quiet: bool, as_json: bool) -> None:
    from cicada.config.loadrules import stages_of
    from launcher.client import SwarmClient
    from launcher.load.text import load_lines

    longest = sum(stage.seconds for stage in stages_of(command))
    folder = run.resolve()  # meanwhile another run may become the latest
    with SwarmClient(run) as swarm:
        if not quiet:
            output.progress(f"{_in_words(command)} ...")
        with ProgressLine(quiet=quiet) as line:
            result, interrupted = swarm.ask_and_watch(
                command,
                LoadResult,
                longest + command.timeout + CLI.grace,
                look=GetLoad(),
                seen=LoadProgress,
                show=line.show,
                interrupt=StopLoad(),
            )
    if as_json:
        output.show_json(result)
    else:
        output.show(load_lines(result))
    _report(folder, quiet=quiet)
    if code := _exit_code(result, interrupted=interrupted):
        raise typer.Exit(code)


def _report(run: Path, *, quiet: bool) -> None:
    """The load is over whatever becomes of its report."""
    from launcher.report import write_report

    try:
        written = write_report(run)
    except Unavailable as error:
        output.progress(f"no report: {error}")
        return
    if not quiet:
        output.progress(f"report in {written}")


def _in_words(command: RunLoad) -> str:
    from cicada.config.loadrules import operations, stages_of, users_of

    seconds = f"in {sum(stage.seconds for stage in stages_of(command)):.1f} s"
    if command.model == "closed":
        asked = f"{command.count} operations" if command.count is not None else f"operations {seconds}"
        return f"{asked} by {users_of(command)} users"
    return f"{operations(command)} operations {seconds}"


def _exit_code(result: LoadResult, *, interrupted: bool) -> Exit:
    from launcher.load.text import is_flawless

    if interrupted:
        return Exit.INTERRUPTED
    if result.outcome == "failed":
        return Exit.FAILURE
    kept = all(found.held for found in result.thresholds) if result.thresholds else is_flawless(result)
    return Exit.OK if kept else Exit.THRESHOLD


def _stop(run: Path) -> None:
    from launcher.client import SwarmClient

    with SwarmClient(run) as swarm:
        swarm.ask(StopLoad(), Done, CLI.read)
    output.progress("the load begins nothing more; its result goes to whoever started it")
