"""What a peer's actors tell each other, besides the inputs of their cores. Immutable values; a request names where its
reply goes.
"""

from __future__ import annotations

import asyncio
import enum
from typing import Any

import msgspec

from cicada.actors.base import GuardedRef
from cicada.actors.broadcastreceipt import BroadcastReceipt
from cicada.actors.receipt import Receipt
from cicada.chord.io import OwnerFound, OwnerNotFound, RingSnapshot
from cicada.ids import Address, Peer, Place
from cicada.keys.psks import SwarmKeys
from cicada.keys.trust import Trust
from cicada.wire.services import Service

Ref = GuardedRef[Any]


class Kind(enum.Enum):
    """The supervised actors of a peer, in start order."""

    TRANSPORT = "transport"
    RING = "ring"
    ROUTER = "router"
    CRYPTO = "crypto"


class Wired(msgspec.Struct, frozen=True):
    """From the supervisor, after each start of any of them: your siblings, and who you belong to."""

    supervisor: Ref
    transport: Ref
    ring: Ref
    router: Ref
    crypto: Ref


class Crash(msgspec.Struct, frozen=True):
    """Fail now. For tests of supervision."""


class TakeSnapshot(msgspec.Struct, frozen=True):
    """Answer with the ring's state at this instant."""

    reply: asyncio.Future[RingSnapshot]


class Enter(msgspec.Struct, frozen=True):
    """Enter the ring of ``seeds`` before ``deadline``. The reply is empty, or says why it failed."""

    seeds: tuple[Peer, ...]
    deadline: float
    reply: asyncio.Future[str]


class Withdraw(msgspec.Struct, frozen=True):
    """Leave the ring with a farewell; the peer is then a ring of one again. The reply comes when it was said."""

    reply: asyncio.Future[None]


class Submit(msgspec.Struct, frozen=True):
    """Deliver ``payload`` to the peer at ``place``, whose ``address`` may be known (else empty), and settle ``receipt``. With
    less trust than ``require`` nothing is sent. ``ordered``: in turn with the other ordered ones to that place. One that is not
    ``patient`` fails rather than wait for room. ``service``: whom there it is for."""

    place: Place
    address: Address
    payload: bytes
    copies: int
    deadline: float
    require: Trust
    ordered: bool
    receipt: Receipt
    patient: bool = True
    service: int = Service.APPLICATION


class Announce(msgspec.Struct, frozen=True):
    """Give ``payload`` to every other peer of the ring, and settle ``receipt`` by ``deadline``."""

    payload: bytes
    deadline: float
    receipt: BroadcastReceipt


class Locate(msgspec.Struct, frozen=True):
    """Who owns ``place``?"""

    place: Place
    iterative: bool
    reply: asyncio.Future[OwnerFound | OwnerNotFound]


class ChangeSwarmKeys(msgspec.Struct, frozen=True):
    """Use these keys of a closed swarm from now on. Links made with others than those accepted are closed."""

    keys: SwarmKeys


class Move(msgspec.Struct, frozen=True):
    """End, so that another one can go on for the same peer at another address: what is open stays so."""


class Unreached(msgspec.Struct, frozen=True):
    """A member behind the same router cannot be dialled, although others can."""

    peer: Peer


class InjectCrash(msgspec.Struct, frozen=True):
    """Have the actor of this kind fail. For tests of supervision."""

    kind: Kind
