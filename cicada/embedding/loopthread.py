"""An event loop of its own for peers of code that has none, on a background thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from cicada.actors.ownership import running_loop
from cicada.errors import DeliveryTimeout, Misuse

T = TypeVar("T")
SLACK = 2.0  # seconds a call may take beyond the timeout that the asyncio side already keeps


class LoopThread:
    """One background event loop, shared by all sync peers of the process; it ends with the last of them."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: its parent's thread did not come along."""
        self._lock = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def acquire(self) -> asyncio.AbstractEventLoop:
        """The running loop, started by the first user."""
        with self._lock:
            self._users += 1
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="cicada-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def release(self) -> None:
        """The last user stops the loop and waits for its thread."""
        with self._lock:
            self._users -= 1
            if self._users or self._loop is None or self._thread is None:
                return
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        asyncio.run_coroutine_threadsafe(_finish_tasks(), loop).result(SLACK)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SLACK)
        if not thread.is_alive():
            loop.close()


_shared = LoopThread()
os.register_at_fork(after_in_child=_shared.forget)


class Lease:
    """The shared loop, for one peer, from any thread but its own."""

    def __init__(self) -> None:
        self._loop = _shared.acquire()
        self._pid = os.getpid()

    @property
    def is_foreign(self) -> bool:
        """Whether this is a forked child of the process whose loop it is."""
        return os.getpid() != self._pid

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None) -> T:
        """What the coroutine returns, which keeps to ``timeout`` seconds itself. Interrupted, it is cancelled.

        Raises Misuse on the loop's own thread and in a forked child, DeliveryTimeout when the loop does not answer.
        """
        problem = self._problem()
        if problem:
            work.close()
            raise Misuse(problem)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(None if timeout is None else timeout + SLACK)
        except concurrent.futures.TimeoutError:
            if future.done():  # the work itself raised a TimeoutError: DeliveryTimeout is one
                raise
            future.cancel()
            raise DeliveryTimeout(f"no answer within {timeout} s") from None
        except BaseException:
            future.cancel()  # by Ctrl-C, say: a recv that nobody waits for would take a message
            raise

    def end(self) -> None:
        """The peer needs the loop no more."""
        if not self.is_foreign:
            _shared.release()

    def _problem(self) -> str:
        if self.is_foreign:
            return "this peer belongs to the process that forked this one: make a peer of this process's own"
        if running_loop() is self._loop:
            return (
                "a sync SwarmPeer cannot be used on its own event loop (in a callback, say): use cicada.aio"
            )
        return ""


async def _finish_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
