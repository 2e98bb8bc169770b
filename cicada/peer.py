"""The sync SwarmPeer: the original's socket-like face over the asyncio one, whose loop runs on a background thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from cicada import aio
from cicada.actors.hosted import PeerStats
from cicada.actors.mailbox import BLOCKING
from cicada.actors.peerkeys import PERSISTENT
from cicada.actors.threads import check_threads
from cicada.chord.io import LookupFailure, RingSnapshot
from cicada.errors import DeliveryTimeout, Misuse, NotBound
from cicada.ids import Place
from cicada.keys.identity import Identity
from cicada.keys.psks import OPEN, PreShared, SwarmKeys
from cicada.keys.trust import TrustStore
from cicada.limits import BROADCAST, DELIVERY, RING, RingLimits
from cicada.routing.mailstore import MailboxPolicy

__all__ = ["SwarmPeer"]

T = TypeVar("T")
_SLACK = 2.0  # seconds a call may take beyond the timeout that the asyncio side already keeps


class _LoopThread:
    """One background event loop, shared by all sync peers of the process; it ends with the last of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def acquire(self) -> asyncio.AbstractEventLoop:
        """The running loop, started by the first user. Raises Misuse in virtual time."""
        check_threads("a sync SwarmPeer")
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
        asyncio.run_coroutine_threadsafe(_finish_tasks(), loop).result(_SLACK)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_SLACK)
        if not thread.is_alive():
            loop.close()


async def _finish_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_shared = _LoopThread()


class SwarmPeer:
    """A peer of a swarm, for code without an event loop. All calls are safe from any thread.

    ``SwarmPeer(host, port)`` binds at once; ``SwarmPeer()`` waits for ``bind``. Use it as a context manager, or call
    ``close``. See ``cicada.aio.SwarmPeer`` for what each verb promises; here they block.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        hooks: aio.Hooks | None = None,
        identity: Identity | str | os.PathLike[str] = PERSISTENT,
        keys: str | os.PathLike[str] | Iterable[PreShared] = (),
        swarm: str = "",
        swarm_keys: str | os.PathLike[str] | SwarmKeys = OPEN,
        trust: TrustStore | None = None,
        encrypt: bool = True,
        ring: RingLimits = RING,
        mailbox: MailboxPolicy = BLOCKING,
        reachable: bool = True,
        map_ports: bool = True,
    ) -> None:
        self._peer = aio.SwarmPeer(
            hooks=hooks,
            identity=identity,
            keys=keys,
            swarm=swarm,
            swarm_keys=swarm_keys,
            trust=trust,
            encrypt=encrypt,
            ring=ring,
            mailbox=mailbox,
            reachable=reachable,
            map_ports=map_ports,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        if host is not None or port is not None:
            self.bind(host or aio.LOOPBACK, port or 0)

    def bind(
        self,
        host: str = aio.LOOPBACK,
        port: int = 0,
        external_ip: str | None = None,
        external_port: int | None = None,
    ) -> aio.HostPort:
        """Listen at ``host:port`` (port 0: a free one) and become a ring of one; returns the address others use."""
        if self._closed:
            raise NotBound("this peer is closed: make a new one")
        fresh = self._loop is None
        if fresh:
            self._loop = _shared.acquire()
        try:
            return self._call(lambda: self._peer.bind(host, port, external_ip, external_port))
        except BaseException:
            if fresh:
                self._loop = None
                _shared.release()
            raise

    def connect(
        self,
        host: str | tuple[str, int] | aio.SwarmPeer | SwarmPeer,
        port: int | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Enter the ring of the peer at ``host, port``; returns when this peer is in it, or raises RingNotReady."""
        seed = host._peer if isinstance(host, SwarmPeer) else host
        self._run(self._peer.connect(seed, port, timeout), timeout)

    def send(
        self,
        target: Target,
        data: bytes | str,
        duplicates: int | None = None,
        timeout: float = DELIVERY.timeout,
        *,
        require: str | None = None,
        ordered: bool = False,
        on_full: str = aio.WAIT,
    ) -> aio.Receipt:
        """Send and return at once; ``receipt.result()`` waits until the message is delivered or failed."""
        place = target._peer if isinstance(target, SwarmPeer) else target
        return self._call(
            lambda: self._peer.send(
                place, data, duplicates, timeout, require=require, ordered=ordered, on_full=on_full
            )
        )

    def recv(self, timeout: float | None = None) -> aio.Message:
        """The next message, waiting up to ``timeout`` seconds (None: for ever). Raises DeliveryTimeout when none came."""
        return self._run(self._peer.recv(timeout), timeout)

    def __iter__(self) -> Iterator[aio.Message]:
        while True:
            try:
                yield self.recv()
            except NotBound:
                return

    def broadcast(self, data: bytes | str, timeout: float = BROADCAST.timeout) -> aio.BroadcastReceipt:
        """Give ``data`` to every other peer of the ring, and return at once; ``receipt.result()`` says how far it got."""
        return self._call(lambda: self._peer.broadcast(data, timeout))

    def lookup(
        self, value: Target | str | bytes, timeout: float = 5.0, *, iterative: bool = False
    ) -> aio.Lookup | LookupFailure:
        """Who owns ``value``; a lookup that fails is a value too."""
        asked = value._peer if isinstance(value, SwarmPeer) else value
        return self._run(self._peer.lookup(asked, timeout, iterative=iterative), timeout)

    def get_route(self, value: Target | str | bytes, timeout: float = 5.0) -> tuple[aio.HostPort, ...]:
        """The peers a lookup of ``value`` passes, this one first, the owner last."""
        asked = value._peer if isinstance(value, SwarmPeer) else value
        return self._run(self._peer.get_route(asked, timeout), timeout)

    def stop_mapping(self) -> None:
        """Ask the router no more to map this peer's port; a mapping that it granted is deleted."""
        self._call(self._peer.stop_mapping)

    def disconnect(self, timeout: float = 5.0) -> None:
        """Leave the ring with a farewell. The peer stays bound, as a ring of one."""
        self._run(self._peer.disconnect(timeout), timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Leave the ring and end, within about ``timeout`` seconds. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None:
            try:
                self._run(self._peer.close(timeout), timeout)
            finally:
                self._loop = None
                _shared.release()

    def snapshot(self, timeout: float = 5.0) -> RingSnapshot:
        """The ring's state at this peer, at one instant."""
        return self._run(self._peer.snapshot(timeout), timeout)

    def stats(self) -> PeerStats:
        """Counters since ``bind``."""
        return self._call(self._peer.stats)

    @property
    def listener(self) -> aio.HostPort:
        """The address others dial."""
        return self._peer.listener

    @property
    def hash(self) -> Place:
        """This peer's place on the ring."""
        return self._peer.hash

    @property
    def peers(self) -> tuple[aio.HostPort, ...]:
        """The peers this one knows and has dialled."""
        return self._call(lambda: self._peer.peers)

    @property
    def peek(self) -> aio.Message | None:
        """The message ``recv`` would return now, left in the mailbox; None when there is none."""
        return self._call(lambda: self._peer.peek)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._peer)

    def _call(self, function: Callable[[], T]) -> T:
        """Run a function that does not block on the loop's thread."""

        async def called() -> T:
            return function()

        return self._run(called(), _SLACK)

    def _run(self, work: Coroutine[Any, Any, T], timeout: float | None) -> T:
        if self._loop is None:
            work.close()
            raise NotBound(
                "this peer is closed" if self._closed else "this peer has no address yet: call bind() first"
            )
        if _on_loop_thread(self._loop):
            work.close()
            raise Misuse(
                "a sync SwarmPeer cannot be used on its own event loop (in a hook, say): use cicada.aio"
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(None if timeout is None else timeout + _SLACK)
        except concurrent.futures.TimeoutError:
            if future.done():  # the work itself raised a TimeoutError: DeliveryTimeout is one
                raise
            future.cancel()
            raise DeliveryTimeout(f"no answer within {timeout} s") from None


def _on_loop_thread(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


Target = tuple[str, int] | Place | int | aio.SwarmPeer | SwarmPeer
