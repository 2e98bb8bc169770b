"""The actor that has ports mapped: one for each process, with one helper process. The one place where blocking is allowed."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec
from pykka._envelope import Envelope

from cicada.actors.base import BlockingActor, BoundedInbox, Urgent
from cicada.limits import NAT, NatLimits
from cicada.nat.io import AddPort, NatNews, RemovePort
from cicada.nat.keeper import Keeper
from cicada.nat.requests import PROTOCOLS, TCP, Gateway

_logger = logging.getLogger("cicada.nat")

TellNews = Callable[[NatNews], None]


class MapPort(msgspec.Struct, frozen=True, kw_only=True):
    """Have a port of this machine mapped from now on. ``tell`` is called on the actor's thread and must not block.

    Of a port that is mapped already, the last news are told again, to the new ``tell``.
    """

    port: int
    tell: TellNews
    external_port: int = 0  # wished for; 0: the same number
    transport: str = TCP


class UnmapPort(msgspec.Struct, frozen=True, kw_only=True):
    """Delete a port's mapping; nothing is told of it any more."""

    port: int


class _Look(Urgent, frozen=True):
    """The helper said something, or something is due."""


class NatActor(BlockingActor):
    """Takes MapPort and UnmapPort, and never raises into whoever told it. Stopping it deletes its mappings, within 3 s.

    Without a router it says NotMapped, and maps as soon as there is one.
    """

    def __init__(
        self,
        *,
        gateway: Gateway | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
        lease_s: int = 0,
        limits: NatLimits = NAT,
    ) -> None:
        """``gateway``: the router, when it is not to be looked for; ``lease_s``: to ask for, 0: as the limits say."""
        super().__init__()
        self._tells: dict[int, TellNews] = {}
        self._keeper = Keeper(
            self._tell,
            self._notify,
            gateway=gateway,
            protocols=protocols,
            lease_s=lease_s,
            limits=limits,
        )

    @property
    def due_at(self) -> float | None:
        """When the actor has something to do, if nobody tells it anything before. Monotonic seconds."""
        return self._keeper.next_deadline()

    def on_receive(self, message: Any) -> None:
        match message:
            case MapPort(port=port):
                self._tells[port] = message.tell
                self._keeper.handle(
                    AddPort(port=port, transport=message.transport, external_port=message.external_port)
                )
            case UnmapPort(port=port):
                self._tells.pop(port, None)
                self._keeper.handle(RemovePort(port=port))
            case _Look():
                self._keeper.pump()
            case _:
                _logger.warning("the port mapping actor was told a %s", type(message).__name__)

    def on_stop(self) -> None:
        self._keeper.finish()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._keeper.close()

    def _tell(self, news: NatNews) -> None:
        tell = self._tells.get(news.port)
        if tell is None:
            return
        try:
            tell(news)
        except Exception:  # the fault of one that is told must not cost the mappings of others
            _logger.exception("whoever is told of port %d failed", news.port)

    def _notify(self) -> None:
        self.actor_ref.tell(_Look())

    @staticmethod
    def _create_actor_inbox() -> TimedInbox:
        return TimedInbox()


class TimedInbox(BoundedInbox):
    """The inbox of a NatActor: a message to itself comes out when something is due."""

    __slots__ = ()

    def get(self) -> Envelope[Any]:
        actor = self._actor
        due_at = actor.due_at if isinstance(actor, NatActor) else None
        if due_at is None:
            return self._queue.get()
        try:
            return self._queue.get(timeout=max(due_at - time.monotonic(), 0.0))
        except queue.Empty:
            return Envelope(_Look())
