"""A swarm whose launcher runs in the background, in a session of its own, after the command that started it returns."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from cicada.config import Config, parse_config, to_toml
from cicada.errors import CicadaError, RingNotReady, Unavailable
from cicada.limits import LAUNCHER
from launcher.plan import plan_swarm
from launcher.process import start_fork_server
from launcher.run import Progress, prepare, run_prepared
from launcher.runfolder import CONFIG_FILE, LOG_FILE, RunFolder
from launcher.serving import log_to_stderr
from launcher.session import SOURCE

FAILED = 1


class _Failed(msgspec.Struct, frozen=True, tag=True):
    """The launcher gives up, for this reason."""

    reason: str


class _Reached(msgspec.Struct, frozen=True, tag=True):
    """The launcher got this far."""

    progress: Progress


_Word = _Failed | _Reached
_words: msgspec.json.Decoder[_Word] = msgspec.json.Decoder(_Word)


def spawn_detached(
    config: Config, run_dir: Path | None = None, *, wait: float | None = None, since: float | None = None
) -> Progress:
    """Start a launcher in the background; returns once its control plane answers (with ``wait``: the ring is proven).

    It logs to ``launcher.log`` in the run folder. Raises as run_swarm does; but when the ring is not proven within
    ``wait`` seconds the swarm goes on, so that it can be looked at.
    """
    begun = time.monotonic() if since is None else since
    _, folder = prepare(config, run_dir)
    with folder:
        folder.write_config(to_toml(config))
        reports = _launch(folder, begun)
    with reports:
        started = _next_word(reports, begun + LAUNCHER.detach, folder)
        if started is None:
            raise Unavailable(
                f"no word from the launcher within {LAUNCHER.detach:g} s: see {folder.path / LOG_FILE}"
            )
        if wait is None:
            return started
        proven = _next_word(reports, begun + wait, folder)
    if proven is None:
        raise RingNotReady(
            f"the ring was not proven within {wait:g} s; the swarm goes on: look with"
            f" `cicada status --run {folder.path}`, end it with `cicada down --run {folder.path}`"
        )
    return proven


def _launch(folder: RunFolder, since: float) -> BinaryIO:
    """Start the launcher, which inherits the folder's lock; returns where its words can be read."""
    ours, theirs = os.pipe()
    try:
        with (folder.path / LOG_FILE).open("ab") as log:
            arguments = [str(folder.path), str(folder.lock), str(theirs), repr(since)]
            subprocess.run(  # noqa: S603 (our own program)
                [sys.executable, "-m", "launcher.detach", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(folder.lock, theirs),
                timeout=LAUNCHER.detach,
                check=True,
            )
    except subprocess.SubprocessError:
        os.close(ours)
        raise Unavailable(f"the launcher did not start: see {folder.path / LOG_FILE}") from None
    finally:
        os.close(theirs)
    return os.fdopen(ours, "rb")


def _next_word(reports: BinaryIO, until: float, folder: RunFolder) -> Progress | None:
    """How far the launcher is; None: it said nothing more in time. Raises Unavailable when it gave up or ended."""
    readable, _, _ = select.select([reports], [], [], max(0.0, until - time.monotonic()))
    if not readable:
        return None
    line = reports.readline()
    if not line:
        raise Unavailable(f"the launcher ended before the swarm was up: see {folder.path / LOG_FILE}")
    word = _words.decode(line)
    if isinstance(word, _Failed):
        raise Unavailable(word.reason)
    return word.progress


def main(folder: Path, lock: int, reports: int, since: float) -> int:
    """The background launcher. The process that was started ends at once and leaves the work to a child, so that
    whoever started it has no child to wait for.
    """
    if os.fork():
        os._exit(0)
    log_to_stderr(SOURCE)
    start_fork_server()
    config = parse_config((folder / CONFIG_FILE).read_text(), file=CONFIG_FILE)
    plan = plan_swarm(config, os.cpu_count() or 1)
    with os.fdopen(reports, "wb", buffering=0) as words, RunFolder(folder, lock) as locked:

        def tell(word: _Word) -> None:
            try:
                words.write(msgspec.json.encode(word) + b"\n")
            except BrokenPipeError:
                return  # whoever started us does not wait any more

        def reached(progress: Progress) -> None:
            tell(_Reached(progress))

        try:
            return run_prepared(config, plan, locked, since=since, on_started=reached, on_ready=reached)
        except CicadaError as error:
            tell(_Failed(str(error)))
            print(f"cicada: {error}", file=sys.stderr)  # noqa: T201 (this program's log)
            return FAILED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
