"""Who takes messages that are for a service of a peer, and not for its mailbox."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from cicada.errors import Misuse
from cicada.ids import Peer
from cicada.wire.services import MAILBOX, Service

_logger = logging.getLogger("cicada.services")


class ServiceMail(msgspec.Struct, frozen=True, kw_only=True):
    """A message for a service. ``peer_id`` is what ``source`` proved, empty without encryption; ``trust`` a word for how sure
    that is; ``id`` is unique per source and life of it."""

    source: Peer
    peer_id: str
    trust: str
    id: int
    payload: bytes
    hops: int = 0


Take = Callable[[ServiceMail], bool]
"""Takes mail over, exactly once; False: there is no room for it, which its sender is told."""


class Services:
    """The services of one peer. They outlive crashes of its actors. Used on its event loop only."""

    def __init__(self) -> None:
        self._offered: dict[int, Take] = {}

    def offer(self, service: Service, take: Take) -> None:
        """From now on ``take`` is called for its mail, on the loop; it must not block. Raises Misuse when it is offered already,
        or has the mailbox."""
        if service in MAILBOX:
            raise Misuse(f"{service.name} is for the mailbox: offer another service")
        if service in self._offered:
            raise Misuse(f"{service.name} is offered already: withdraw it first")
        self._offered[service] = take

    def withdraw(self, service: Service) -> None:
        """From now on its mail is refused. Idempotent."""
        self._offered.pop(service, None)

    def offers(self, service: int) -> bool:
        """Whether somebody takes its mail."""
        return service in self._offered

    def give(self, service: int, mail: ServiceMail) -> bool:
        """Hand mail to an offered service. False when it has no room; so has one that fails."""
        try:
            return self._offered[service](mail)
        except Exception:  # whatever the service's fault is, it must not cost the peer its other messages
            _logger.exception("the service %s failed", service)
            return False
