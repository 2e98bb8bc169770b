"""``cicada watch``: look at a swarm, at its past, or at a recording, in a window or without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cicada.errors import Misuse
from launcher import output
from launcher.verbs import completion
from launcher.verbs.options import LATEST_RUN, SameRunOption, existing

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN|ADDRESS]",
        help="Run folder, or tcp://HOST:PORT of a swarm's bus; otherwise the latest run.",
        autocompletion=completion.run_folders,
        show_default=False,
    ),
]
PeersOption = Annotated[
    int | None,
    typer.Option(
        "--peers", metavar="N", min=1, max=1000, help="Start a swarm of so many for this.", show_default=False
    ),
]
ReplayOption = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="RUN",
        help="Show the recorded events of a run.",
        autocompletion=completion.run_folders,
    ),
]
ShotOption = Annotated[
    tuple[str, Path] | None,
    typer.Option(
        "--shot", metavar="WHEN FILE", help="Write a picture, as t=30s out.png; also 50%, first, last."
    ),
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", metavar="FILE", help="Write a film, as out.mp4 or out.gif.")
]
FromOption = Annotated[
    str, typer.Option("--from", metavar="WHEN", help="Where the film begins, as t=30s or 50%.")
]
ToOption = Annotated[str, typer.Option("--to", metavar="WHEN", help="Where it ends.")]
SpeedOption = Annotated[
    float, typer.Option("--speed", min=0.1, max=16.0, help="How fast a recording is shown.")
]
TextOption = Annotated[bool, typer.Option("--text", help="Show text, not a window.")]
ReadOnlyOption = Annotated[bool, typer.Option("--read-only", help="Look only; no command is possible.")]
SizeOption = Annotated[
    str, typer.Option("--size", metavar="WxH", help="Pixels of the window, picture or film.")
]
LightOption = Annotated[bool, typer.Option("--light", help="Dark on light.")]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="FILE", help="TOML file with other keys, as kill = 'delete'.")
]
WatchKeyOption = Annotated[
    Path | None,
    typer.Option("--watch-key", metavar="FILE", help="Key of a bus elsewhere: its [watch] key_file."),
]


def watch(
    target: TargetArgument = "",
    peers: PeersOption = None,
    replay: ReplayOption = None,
    shot: ShotOption = None,
    record: RecordOption = None,
    start: FromOption = "first",
    end: ToOption = "last",
    speed: SpeedOption = 1.0,
    text: TextOption = False,
    read_only: ReadOnlyOption = False,
    size: SizeOption = "1600x900",
    light: LightOption = False,
    keys: KeysOption = None,
    watch_key: WatchKeyOption = None,
    folder: SameRunOption = None,
) -> None:
    """Look at a swarm: its ring, its messages, its failures, live or recorded.

    \b
      cicada watch                               the latest run
      cicada watch --peers 12                    a swarm of its own
      cicada watch runs/chaos-20261126T101500Z-1a2b
      cicada watch tcp://10.0.0.7:9620 --watch-key watch.key
      cicada watch --replay runs/latest --shot t=30s out.png
      cicada watch --replay runs/latest --record out.mp4 --speed 4

    \b
    Press ? in the window for its keys. A run that has ended is replayed.
    Without a display it shows text; q or Ctrl-C ends that.
    """
    target = _target(target, folder)
    _check(target, peers, replay, shot, record)
    from launcher.watching import film, look_of, recorded, shoot, subject_of, watch_own, watch_subject

    if watch_key is not None:
        existing(watch_key)
    look = look_of(size, light=light, text=text, keys=keys, speed=speed)
    run = replay or Path(target or LATEST_RUN)
    if peers:
        watch_own(peers, look, read_only=read_only)
    elif shot is not None:
        _tell(shot[1], shoot(recorded(run), look, *shot))
    elif record is not None:
        _tell(record, film(recorded(run), look, record, start, end))
    else:
        where = target or str(LATEST_RUN)
        subject = recorded(run) if replay else subject_of(where, read_only=read_only, watch_key=watch_key)
        watch_subject(subject, look)


def _target(named: str, option: Path | None) -> str:
    """What is to be seen; a run folder may also be named with --run, as for every verb on a swarm."""
    if named and option is not None:
        raise Misuse("RUN and --run exclude each other: give one of them")
    return str(option) if option is not None else named


def _check(
    target: str, peers: int | None, replay: Path | None, shot: tuple[str, Path] | None, record: Path | None
) -> None:
    named = [name for name, given in (("RUN", target), ("--peers", peers), ("--replay", replay)) if given]
    if len(named) > 1:
        raise Misuse(f"{' and '.join(named)} exclude each other: give one of them")
    if shot and record:
        raise Misuse("--shot and --record exclude each other: give one of them")
    if (shot or record) and (peers or "://" in target):
        raise Misuse("pictures and films are made of recordings: name a run folder")


def _tell(path: Path, note: str) -> None:
    """Where the picture or film is, and what somebody ought to know about it."""
    if note:
        output.progress(note)
    output.show([str(path)])
