"""The helper process, as its owner sees it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from cicada.errors import Unavailable
from cicada.limits import NAT, NatLimits
from cicada.nat.frames import BrokenPipe, read_frame, write_frame
from cicada.nat.requests import LEAVE, AnyAnswer, AnyRequest, Asked, Failed, Said, deadline_of

_MODULE: Final = "cicada.nat.helper"


class HelperProcess:
    """One helper. ``heard`` is called with all that it says, and with None once it has ended, on a thread of its own.

    It ends with this process, however that ends. Not thread-safe but for ``kill``.
    """

    def __init__(
        self, heard: Callable[[Said | None], None], limits: NatLimits = NAT, *, tidies: bool = True
    ) -> None:
        """Start it, with its own copy of the limits. ``tidies``: once this process is gone it deletes what was mapped by it. Raises
        Unavailable when the system refuses."""
        if not sys.executable or getattr(sys, "frozen", False):  # a bundled application would start itself
            raise Unavailable(
                "no Python is known that a helper process could run: use an ordinary interpreter"
            )
        try:
            self._process = subprocess.Popen(  # noqa: S603  # this very Python
                [
                    *(sys.executable, "-P", "-m", _MODULE),
                    *(msgspec.json.encode(limits).decode(), *(() if tidies else (LEAVE,))),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what C libraries print
                bufsize=0,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the owner, who still has mappings to delete
            )
        except OSError as error:
            raise Unavailable(f"cannot start a helper process: {error.strerror}") from None
        if self._process.stdin is None or self._process.stdout is None:
            raise Unavailable("a helper process without pipes")
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._reader = threading.Thread(
            target=_read, args=(self._stdout.fileno(), heard), name="cicada-nat-helper", daemon=True
        )
        self._reader.start()
        _running.add(self)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, id: int, request: AnyRequest) -> None:
        """Have a request carried out. One that has ended does not answer; ``heard`` is told of its end."""
        with suppress(BrokenPipe):
            write_frame(self._stdin.fileno(), Asked(id, request))

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def close(self, patience: float = NAT.helper_end) -> None:
        """End it, by force after ``patience`` seconds, and wait until it has. Idempotent."""
        _running.discard(self)
        with suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not threading.current_thread():
            self._reader.join()
        self._stdout.close()

    def let_go(self) -> None:
        """In a forked child: the pipes are the parent's business."""
        for pipe in (self._stdin, self._stdout):
            with suppress(OSError):
                os.close(pipe.fileno())


class BlockingHelper:
    """A helper for whoever has nothing else to do than to wait for its answers. What it maps stays when this process ends."""

    def __init__(self, limits: NatLimits = NAT) -> None:
        """Start it. Raises Unavailable when the system refuses."""
        self._limits = limits
        self._ids = 0
        self._said: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        self._patience = limits.helper_start
        self._helper = HelperProcess(self._said.put, limits, tidies=False)

    def ask(self, request: AnyRequest) -> AnyAnswer:
        """The answer, or Failed (``timeout``, ``helper-failed``). Raises Unavailable when a helper cannot be started anew."""
        deadline_s = deadline_of(request, self._limits) + self._limits.overdue + self._patience
        until = time.monotonic() + deadline_s
        self._patience = 0.0
        self._ids += 1
        self._helper.ask(self._ids, request)
        while True:
            try:
                said = self._said.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                self._begin_anew()
                return Failed(reason="timeout", text=f"no end within {deadline_s:g} s")
            if said is None:
                self._begin_anew()
                return Failed(reason="helper-failed", text="the helper process ended")
            if said.id == self._ids and said.answer is not None:
                return said.answer

    def close(self) -> None:
        """End it."""
        self._helper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin_anew(self) -> None:
        self._helper.close(0.0)
        self._said = queue.SimpleQueue()
        self._patience = self._limits.helper_start
        self._helper = HelperProcess(self._said.put, self._limits, tidies=False)


_running: weakref.WeakSet[HelperProcess] = weakref.WeakSet()


def _let_go_after_fork() -> None:
    """A child that is forked and lives on must not keep a helper alive whose owner has died."""
    for helper in list(_running):
        helper.let_go()
    _running.clear()


os.register_at_fork(after_in_child=_let_go_after_fork)


def _read(descriptor: int, heard: Callable[[Said | None], None]) -> None:
    decoder = msgspec.msgpack.Decoder(Said)
    while True:
        try:
            said = read_frame(descriptor, decoder)
        except BrokenPipe:
            heard(None)
            return
        heard(said)


def _environment() -> dict[str, str]:
    """The helper finds this very package, wherever it was found here."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
