"""``PortMapping``: a port is mapped as long as a ``with`` block runs, and the mapping is renewed all the time."""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType
from typing import Final, Self

from cicada.limits import NAT, NatLimits
from cicada.nat.advice import failure
from cicada.nat.io import AddPort, Mapped, NatNews, NotMapped
from cicada.nat.keeper import Keeper
from cicada.nat.requests import PROTOCOLS, TCP, Gateway, checked_port, checked_transport

_STOP: Final = object()


class PortMapping:
    """``with PortMapping(5000) as pm:`` the router forwards ``pm.mapper.external_ip:pm.eport`` to port 5000 in the block.

    Entering raises MappingFailed when no router does so within ``timeout`` seconds; leaving deletes the mapping. It may change
    meanwhile: the properties say what it is at the moment. Not to be entered twice.
    """

    def __init__(
        self,
        port: int,
        protocol: str = TCP,
        *,
        external_port: int = 0,
        timeout: float = NAT.mapping_wait,
        gateway: Gateway | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
        limits: NatLimits = NAT,
    ) -> None:
        """``protocol``: tcp or udp; ``external_port``: wished for, 0: the same; ``gateway``: instead of the default router.

        Raises Misuse for a port or protocol that is none.
        """
        self.port: int = checked_port(port)
        self.protocol: str = checked_transport(protocol)
        self._wished = external_port and checked_port(external_port)
        self._timeout = timeout
        self._first: NatNews | None = None
        self._settled = threading.Event()
        self._inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._mapped: Mapped | None = None
        self._keeper = Keeper(self._hear, self._notify, gateway=gateway, protocols=protocols, limits=limits)
        self._thread = threading.Thread(target=self._run, name=f"cicada-nat-{port}", daemon=True)

    @property
    def mapper(self) -> Mapped:
        """The mapping as it is now: ``external_ip``, ``protocol``, ``gateway``, and whether the address ``is_global``.

        Raises MappingFailed when there is none at the moment.
        """
        if self._mapped is None:
            raise failure("silent")
        return self._mapped

    @property
    def eport(self) -> int:
        """The external port, which may be another one than was wished for. Raises MappingFailed as ``mapper`` does."""
        return self.mapper.external_port

    @property
    def local_address(self) -> str:
        """This machine's address towards the router. Raises MappingFailed as ``mapper`` does."""
        return self.mapper.local_ip

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._settled.wait(self._timeout)
        except BaseException:  # Ctrl-C, with a thread and a process behind it
            self._end()
            raise
        if not isinstance(self._first, Mapped):
            self._end()
            raise failure(self._first.reason if isinstance(self._first, NotMapped) else "timeout")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._inbox.put(_STOP)
        self._thread.join()

    def _run(self) -> None:
        """The thread that belongs to the Keeper."""
        try:
            self._keeper.handle(AddPort(port=self.port, transport=self.protocol, external_port=self._wished))
            while self._wait() is not _STOP:
                self._keeper.pump()
            self._keeper.finish()
        finally:
            self._keeper.close()
            self._settled.set()

    def _wait(self) -> object:
        due_at = self._keeper.next_deadline()
        try:
            return self._inbox.get(timeout=None if due_at is None else max(due_at - time.monotonic(), 0.0))
        except queue.Empty:
            return None

    def _hear(self, news: NatNews) -> None:
        self._mapped = news if isinstance(news, Mapped) else None
        if not self._settled.is_set():
            self._first = news
            self._settled.set()

    def _notify(self) -> None:
        self._inbox.put(None)
