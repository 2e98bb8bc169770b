"""What a peer is told at its start and keeps to wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from cicada.actors.mailbox import BLOCKING
from cicada.actors.peerkeys import KeySource
from cicada.actors.pump import Publish
from cicada.actors.watch import Watch
from cicada.ids import Peer
from cicada.keys.psks import Secrets
from cicada.limits import DELIVERY, RING, DeliveryLimits, RingLimits
from cicada.routing.behaviour import Behaviour
from cicada.routing.mailstore import MailboxPolicy


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``keys``: where its keys and pins come from; None: fresh ones. ``secrets``: what it shares with others. ``create``: it is a
    ring of one until it enters another. ``encrypt=False`` is for measurements on loopback, ``behaviour`` for tests there.
    ``reachable=False``: nobody is to dial it, so it is hidden from the beginning. ``map_ports``: have the router map its port when
    only its own network can dial it. ``watch``: what is looked at of it while somebody subscribes."""

    name: str = ""
    publish: Publish | None = None
    on_new_peer: Callable[[Peer], None] | None = None
    swarm: str = ""
    keys: KeySource | None = None
    secrets: Secrets | None = None
    encrypt: bool = True
    create: bool = True
    ring: RingLimits = RING
    mailbox: MailboxPolicy = BLOCKING
    delivery: DeliveryLimits = DELIVERY
    behaviour: Behaviour | None = None
    reachable: bool = True
    map_ports: bool = False
    watch: Watch | None = None


DEFAULTS: Final = Settings()
