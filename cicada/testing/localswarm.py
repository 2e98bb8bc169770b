"""Swarms on loopback in this process, for tests: of asyncio peers (``async with``) or of blocking ones (``with``)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Iterable
from random import Random
from types import TracebackType
from typing import Any, Generic, Self, TypedDict, TypeVar, Unpack

from cicada import aio, peer
from cicada.actors.pump import Publish
from cicada.errors import Misuse, Unavailable
from cicada.keys.identity import Identity
from cicada.keys.psks import PreShared, SwarmKeys
from cicada.limits import HARNESS, RING, DeliveryLimits, RingLimits
from cicada.routing.behaviour import Behaviour
from cicada.routing.mailstore import MailboxPolicy
from cicada.testing.proof import prove

P = TypeVar("P", aio.SwarmPeer, peer.SwarmPeer)


class Options(TypedDict, total=False):
    """What ``cicada.aio.SwarmPeer`` takes, for every peer of a swarm alike. Blocking peers take all but the last three."""

    hooks: aio.Hooks
    keys: str | os.PathLike[str] | Iterable[PreShared]
    swarm: str
    swarm_keys: str | os.PathLike[str] | SwarmKeys
    encrypt: bool
    ring: RingLimits
    mailbox: MailboxPolicy
    reachable: bool
    publish: Publish
    delivery: DeliveryLimits
    behaviour: Behaviour


class _Members(Generic[P]):
    """The peers of a swarm, in the order in which they were started, and how the next one is made: its keys and its port, and
    with them its place, follow from the seed, as long as nobody else has the port."""

    def __init__(self, make: Callable[..., P], seed: int, options: Options) -> None:
        self._make: Callable[..., P] = make
        self._seed = seed
        self._options = options
        self.started: list[P] = []

    @property
    def live(self) -> list[P]:
        return [member for member in self.started if member.bound]

    @property
    def ring(self) -> RingLimits:
        return self._options.get("ring", RING)

    def start(self, options: Options) -> P:
        """One more, a ring of one. Raises Unavailable or Misuse when it cannot be, at any of the ports that the seed names."""
        number = len(self.started)
        keys, ports = Random(f"keys {self._seed} {number}"), Random(f"ports {self._seed} {number}")
        kept = {"identity": Identity.generate(keys), "map_ports": False, **self._options, **options}
        for tries_left in reversed(range(HARNESS.port_tries)):
            port = ports.randint(HARNESS.first_port, HARNESS.last_port)
            try:
                made = self._make(aio.LOOPBACK, port, **kept)
            except (Unavailable, Misuse):  # Misuse too: a peer of this loop may have the port
                if not tries_left:
                    raise
            else:
                break
        self.started.append(made)
        return made

    def meant(self, which: int | P) -> P:
        """Raises Misuse when it is no live peer of the swarm."""
        found = self.started[which] if isinstance(which, int) else which
        if found not in self.live:
            raise Misuse(f"{found!r} is not alive in this swarm: see swarm.peers")
        return found


class LocalSwarm:
    """``n`` asyncio peers on loopback, in one ring that was compared with the sorted truth before the block begins::

        async with LocalSwarm(16, seed=1) as swarm:
            receipt = await swarm[0].send(swarm[5], "hello!")
            await swarm.kill(5)
            await swarm.proven()

    ``with LocalSwarm(16) as swarm`` gives a SyncSwarm of blocking peers, for code without an event loop. ``options`` are those of
    SwarmPeer. With the same ``seed`` peers have the same keys, ports and so places, unless another program has such a port.

    At the end, whatever it is, all peers are killed, and nothing of them is left. ``timeout``: seconds until the ring must be
    proven. Entering raises DeliveryTimeout or RingNotReady when it is not, Unavailable without ports, Misuse for wrong options.
    """

    def __init__(
        self, n: int, seed: int = 0, *, timeout: float = HARNESS.proof, **options: Unpack[Options]
    ) -> None:
        if n < 1:
            raise Misuse(f"a swarm has at least one peer, not {n}")
        self.seed = seed
        self._n = n
        self._timeout = timeout
        self._options = options
        self._members = _Members(aio.SwarmPeer, seed, options)
        self._sync: SyncSwarm | None = None

    @property
    def peers(self) -> tuple[aio.SwarmPeer, ...]:
        """Those that live, in the order in which they were started."""
        return tuple(self._members.live)

    def __getitem__(self, number: int) -> aio.SwarmPeer:
        """The peer that was started as the ``number``-th, counted from 0, dead or alive."""
        return self._members.started[number]

    async def add(self, **options: Unpack[Options]) -> aio.SwarmPeer:
        """One more peer, which has entered the ring through the oldest that lives. ``options`` go before those of the swarm."""
        others = self.peers
        made = self._members.start(options)
        if others:
            await made.connect(others[0], timeout=self._timeout)
        return made

    async def kill(self, which: int | aio.SwarmPeer) -> None:
        """End a peer (its number, or itself) without a farewell, as if its process had died. Raises Misuse for one that does
        not live."""
        await _end(self._members.meant(which))

    async def proven(self, timeout: float = HARNESS.proof) -> None:
        """Returns once the peers that live are one ring, every successor list and predecessor right. Raises DeliveryTimeout,
        naming peers with wrong ones, after ``timeout`` seconds."""
        await prove(lambda: self.peers, timeout, self._members.ring)

    async def start(self) -> Self:
        """What entering the block does."""
        if self._members.started:
            raise Misuse("this swarm was started before: make a new one")
        try:
            for _ in range(self._n):
                self._members.start({})
            await _joined(self.peers, self._timeout, self._members.ring)
        except BaseException:
            await self.end()
            raise
        return self

    async def end(self) -> None:
        """What leaving the block does. Idempotent."""
        await asyncio.gather(*map(_end, self._members.started))

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    def __enter__(self) -> SyncSwarm:
        self._sync = SyncSwarm(self._n, self.seed, timeout=self._timeout, **self._options)
        return self._sync.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sync is not None:
            self._sync.end()


class SyncSwarm:
    """A LocalSwarm of blocking peers. Its verbs block, and raise what those of LocalSwarm raise."""

    def __init__(
        self, n: int, seed: int = 0, *, timeout: float = HARNESS.proof, **options: Unpack[Options]
    ) -> None:
        if n < 1:
            raise Misuse(f"a swarm has at least one peer, not {n}")
        self.seed = seed
        self._n = n
        self._timeout = timeout
        self._members = _Members(peer.SwarmPeer, seed, options)

    @property
    def peers(self) -> tuple[peer.SwarmPeer, ...]:
        """As LocalSwarm.peers."""
        return tuple(self._members.live)

    def __getitem__(self, number: int) -> peer.SwarmPeer:
        """As of LocalSwarm."""
        return self._members.started[number]

    def add(self, **options: Unpack[Options]) -> peer.SwarmPeer:
        """As LocalSwarm.add."""
        others = self.peers
        made = self._members.start(options)
        if others:
            made.connect(others[0], timeout=self._timeout)
        return made

    def kill(self, which: int | peer.SwarmPeer) -> None:
        """As LocalSwarm.kill."""
        _end_blocking(self._members.meant(which))

    def proven(self, timeout: float = HARNESS.proof) -> None:
        """As LocalSwarm.proven."""
        self._run(lambda peers: prove(lambda: peers, timeout, self._members.ring), timeout)

    def start(self) -> Self:
        """What entering the block does."""
        try:
            for _ in range(self._n):
                self._members.start({})
            self._run(
                lambda peers: _joined(peers, self._timeout, self._members.ring), 2 * self._timeout
            )  # for joining, and for the proof
        except BaseException:
            self.end()
            raise
        return self

    def end(self) -> None:
        """What leaving the block does. Idempotent."""
        for member in self._members.started:
            _end_blocking(member)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _run(self, work: Callable[[tuple[aio.SwarmPeer, ...]], Awaitable[None]], timeout: float) -> None:
        """On the loop that blocking peers share."""
        inside = [found for member in self._members.live if (found := member._inside()) is not None]
        if not inside:
            return

        async def whole() -> None:
            await work(tuple(member for member, _ in inside))

        _, run = inside[0]
        run(whole(), timeout + HARNESS.end)


async def _joined(peers: tuple[aio.SwarmPeer, ...], timeout: float, ring: RingLimits) -> None:
    joining = [asyncio.create_task(member.connect(peers[0], timeout=timeout)) for member in peers[1:]]
    try:
        await asyncio.gather(*joining)
    finally:  # when one fails, gather leaves the others
        for task in joining:
            task.cancel()
        await asyncio.gather(*joining, return_exceptions=True)
    await prove(lambda: peers, timeout, ring)


async def _end(member: aio.SwarmPeer) -> None:
    member.kill()
    async with asyncio.timeout(HARNESS.end):
        await member._gone()


def _end_blocking(member: peer.SwarmPeer) -> None:
    inside = member._inside()
    if inside is None:
        return
    within, run = inside
    try:
        run(_end(within), HARNESS.end)
    finally:
        member.close()
