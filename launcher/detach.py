"""A swarm whose launcher runs in the background, in a session of its own, after the command that started it returns."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from cicada.config import Config, parse_config, to_toml
from cicada.errors import CicadaError, RingNotReady, Unavailable
from cicada.limits import CLI, LAUNCHER
from launcher.plan import plan_swarm
from launcher.process import start_fork_server
from launcher.run import Progress, ending_lines, prepare, report_lines, run_prepared
from launcher.runfolder import CONFIG_FILE, LOG_FILE, RunFolder, is_running
from launcher.serving import log_to_stderr
from launcher.session import SOURCE

FAILED = 1
_STAY, _GO = "stay", "go"  # whether the swarm goes on after its timeline


class _Failed(msgspec.Struct, frozen=True, tag=True):
    """The launcher gives up, for this reason."""

    reason: str


class _Reached(msgspec.Struct, frozen=True, tag=True):
    """The launcher got this far."""

    progress: Progress


_Word = _Failed | _Reached
_words: msgspec.json.Decoder[_Word] = msgspec.json.Decoder(_Word)


def spawn_detached(
    config: Config,
    run_dir: Path | None = None,
    *,
    wait: float | None = None,
    since: float | None = None,
    stay: bool = False,
    lifeline: int | None = None,
) -> Progress:
    """Start a launcher in the background; returns once its control plane answers (with ``wait``: the ring is proven).

    It logs to ``launcher.log`` in the run folder. Ctrl-C before the return ends the swarm. Raises as run_swarm does; but when
    the ring is not proven within ``wait`` seconds the swarm goes on, so that it can be looked at.

    ``lifeline``: what a swarm is tied to that must not outlive its starter (``lifeline()``).
    """
    begun = time.monotonic() if since is None else since
    _, folder = prepare(config, run_dir)
    with folder:
        folder.write_config(to_toml(config))
        reports = _launch(folder, begun, lifeline, stay=stay)
    started: Progress | None = None
    try:
        with reports:
            started = _next_word(reports, begun + LAUNCHER.detach, folder)
            if started is None:
                raise Unavailable(
                    f"no word from the launcher within {LAUNCHER.detach:g} s: see {folder.path / LOG_FILE}"
                )
            if wait is None:
                return started
            proven = _next_word(reports, begun + wait, folder)
    except KeyboardInterrupt:
        _end(folder.path, started)
        raise
    if proven is None:
        raise RingNotReady(
            f"the ring was not proven within {wait:g} s; the swarm goes on: look with"
            f" `cicada status --run {folder.path}`, end it with `cicada down --run {folder.path}`"
        )
    return proven


@contextlib.contextmanager
def lifeline() -> Iterator[int]:
    """Ties a swarm to this process, when given to spawn_detached: it ends in order when this is left, or when the process is gone,
    however that came."""
    theirs, ours = os.pipe()
    try:
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


def _end(folder: Path, started: Progress | None) -> None:
    """Have the launcher end, and wait until it has, for as long as that may take. One that has not started yet sees by itself
    that nobody waits for its word."""
    if started is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(started.launcher_pid, signal.SIGTERM)
    give_up = time.monotonic() + CLI.down
    while is_running(folder) and time.monotonic() < give_up:
        time.sleep(CLI.poll)


def _launch(folder: RunFolder, since: float, lifeline: int | None, *, stay: bool) -> BinaryIO:
    """Start the launcher, which inherits the folder's lock; returns where its words can be read."""
    ours, theirs = os.pipe()
    try:
        with (folder.path / LOG_FILE).open("ab") as log:
            after = _STAY if stay else _GO
            arguments = [str(folder.path), str(folder.lock), str(theirs), repr(since), after]
            passed = [folder.lock, theirs]
            if lifeline is not None:
                arguments.append(str(lifeline))
                passed.append(lifeline)
            subprocess.run(  # noqa: S603 (our own program)
                [sys.executable, "-m", "launcher.detach", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=passed,
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
    poll = select.poll()  # select() takes no descriptor past 1023
    poll.register(reports, select.POLLIN)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        return None
    line = reports.readline()
    if not line:
        raise Unavailable(f"the launcher ended before the swarm was up: see {folder.path / LOG_FILE}")
    word = _words.decode(line)
    if isinstance(word, _Failed):
        raise Unavailable(word.reason)
    return word.progress


def main(
    folder: Path, lock: int, reports: int, since: float, lifeline: int | None = None, *, stay: bool
) -> int:
    """The background launcher. The process that was started ends at once and leaves the work to a child, so that
    whoever started it has no child to wait for.
    """
    if os.fork():
        os._exit(0)
    log_to_stderr(SOURCE)
    start_fork_server()
    if lifeline is not None:
        threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()
    config = parse_config((folder / CONFIG_FILE).read_text(encoding="utf-8"), file=CONFIG_FILE)
    plan = plan_swarm(config, os.cpu_count() or 1)
    with os.fdopen(reports, "wb", buffering=0) as words, RunFolder(folder, lock) as locked:

        def tell(word: _Word) -> bool:
            try:
                words.write(msgspec.json.encode(word) + b"\n")
            except BrokenPipeError:
                return False  # whoever started us does not wait any more
            return True

        def begun(progress: Progress) -> None:
            if not tell(_Reached(progress)):
                raise Unavailable("whoever started this swarm was interrupted before it was up")

        def reached(progress: Progress) -> None:
            tell(_Reached(progress))

        try:
            ending = run_prepared(
                config, plan, locked, since=since, on_started=begun, on_ready=reached, stay=stay
            )
        except CicadaError as error:
            tell(_Failed(str(error)))
            print(f"cicada: {error}", file=sys.stderr)  # noqa: T201 (this program's log)
            return FAILED
    for line in (*ending_lines(ending), *report_lines(ending)):
        print(f"cicada: {line}", file=sys.stderr)  # noqa: T201 (this program's log)
    return ending.code


def _end_with(lifeline: int) -> None:
    """Ask this process to end in order when whoever holds the other end of the pipe is gone, however that came."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _folder, _lock, _reports, _since, _after, *_lifeline = sys.argv[1:]
    _fds = map(int, _lifeline)
    sys.exit(main(Path(_folder), int(_lock), int(_reports), float(_since), *_fds, stay=_after == _STAY))
