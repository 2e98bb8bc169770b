"""One peer's stay in a swarm: bound, joined, at work, and gone without leaving anything of its own behind."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from cicada.aio import HostPort, SwarmPeer
from cicada.errors import CicadaError, DeliveryTimeout, Misuse, RingNotReady, Unavailable
from cicada.events import AddressChanged, AnyEvent, PeerStopped, PortMapped, PortMappingFailed
from cicada.ids import is_hidden
from cicada.keys.psks import OPEN
from cicada.limits import SCRIPT
from launcher.exits import Exit
from launcher.logs.events import RULES
from launcher.script.binding import Binding
from launcher.script.places import bound_host, numeric
from launcher.script.statements import HostTarget
from launcher.script.waiting import Arrivals

_logger = logging.getLogger("cicada.peer")
_ENDING = (signal.SIGINT, signal.SIGTERM)


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """Where a peer is bound, by whom it joins, whose keys it has, and how long it tries."""

    binding: Binding
    seeds: tuple[HostTarget, ...] = ()
    identity: str = "persistent"
    keys: Path | None = None
    swarm_keys: Path | None = None
    map_ports: bool = True
    mapping_attempts: int | None = None  # None: as long as it runs
    timeout: float = SCRIPT.timeout
    linger: float = SCRIPT.linger


class Watch:
    """What the peer publishes that concerns its stay. ``failed`` is done when supervision gave it up."""

    def __init__(self, note: Callable[[str], None], mapping_attempts: int | None) -> None:
        self._note = note
        self._attempts = mapping_attempts
        self._failures = 0
        self.peer: SwarmPeer | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __call__(self, _name: str, event: AnyEvent) -> None:
        match event:
            case PortMapped(external=external, protocol=protocol):
                self._failures = 0
                self._note(f"the router forwards {external or 'a port'} to this peer ({protocol})")
            case AddressChanged(address=address):
                self._note(f"others reach this peer as {address} from now on")
            case PortMappingFailed(advice=advice):
                self._on_failure(advice)
            case PeerStopped(how="failed"):
                if not self.failed.done():
                    self.failed.set_result(None)
            case _:
                _log(event)

    def _on_failure(self, advice: str) -> None:
        self._failures += 1
        if self._failures == 1:
            self._note(f"no port was mapped: {advice}")
        if self._failures == self._attempts and self.peer is not None:
            self._note(f"the router is asked no more, after {self._failures} attempts (--mapping-attempts)")
            self.peer.stop_mapping()


def _log(event: AnyEvent) -> None:
    """In the words of a run's logs. What strangers can cause by the thousand is told at the lowest level only."""
    rule = RULES.get(type(event))
    if rule is None or (rule.skips is not None and rule.skips(event)):
        return
    level = logging.DEBUG if rule.gathers else int(rule.level)
    if _logger.isEnabledFor(level):
        _logger.log(level, "%s: %s", rule.actor or "peer", rule.tell(event).text)


@asynccontextmanager
async def staying(
    stay: Stay, note: Callable[[str], None]
) -> AsyncIterator[tuple[SwarmPeer, Arrivals, Watch]]:
    """A peer that is bound and has joined. At the end it lets out what it owes others, says farewell and is gone.

    Raises Misuse, Unavailable, ConfigErrors and RingNotReady.
    """
    arrivals = Arrivals()
    watch = Watch(note, stay.mapping_attempts)
    peer = SwarmPeer(
        hooks={"new_peer": arrivals.tell},
        publish=watch,
        identity=stay.identity,
        keys=() if stay.keys is None else stay.keys,
        swarm_keys=OPEN if stay.swarm_keys is None else stay.swarm_keys,
        map_ports=stay.map_ports,
    )
    watch.peer = peer
    await _bind(peer, stay)
    try:
        note(f"listening at {peer.address}")
        if stay.seeds:
            seed = await join(peer, stay.seeds, stay.timeout)
            note(f"joined through {seed} as {peer.address}")
            arrivals.forget(await _known(peer))
        try:
            yield peer, arrivals, watch
        except CicadaError:
            await _let_out(peer, stay.linger)
            raise
        await _let_out(peer, stay.linger)
    finally:
        try:
            await peer.close(SCRIPT.leave)
        except DeliveryTimeout:
            peer.kill()


async def _let_out(peer: SwarmPeer, linger: float) -> None:
    """Give what it owes others the time to leave, if there are any."""
    if peer.bound and peer.peers:
        await asyncio.sleep(linger)


async def _bind(peer: SwarmPeer, stay: Stay) -> None:
    binding = stay.binding
    host = await bound_host(binding, stay.seeds)
    external = await numeric(binding.external) if binding.external else None
    port = SCRIPT.port if binding.port is None else binding.port
    peer.bind(host, port, external, binding.external_port)


async def _known(peer: SwarmPeer) -> set[HostPort]:
    """Those who were in the ring when this one came, as far as it knows."""
    if is_hidden(peer.address):
        return set(peer.peers)
    ring = await peer.snapshot(SCRIPT.leave)
    members = (*ring.successors, *ring.fingers, *(() if ring.predecessor is None else (ring.predecessor,)))
    return {*peer.peers, *(HostPort.of(member.address) for member in members)}


async def join(peer: SwarmPeer, seeds: Sequence[HostTarget], timeout: float) -> HostTarget:
    """Try one after another, again and again, and return the one that worked. Raises RingNotReady when none did in time, and
    Misuse when none of them can."""
    now = asyncio.get_running_loop().time
    give_up = now() + timeout
    longest = SCRIPT.join_attempt if len(seeds) > 1 else timeout
    while True:
        problems: list[CicadaError] = []
        for seed in seeds:
            patience = min(max(give_up - now(), SCRIPT.join_pause), longest)
            try:
                await peer.connect(seed.host, seed.port, timeout=patience)
            except (RingNotReady, DeliveryTimeout, Misuse) as problem:
                problems.append(problem)
            else:
                return seed
        if all(isinstance(problem, Misuse) for problem in problems):
            raise Misuse("; ".join(map(str, problems)))
        if now() >= give_up:
            raise RingNotReady(
                f"{'; '.join(map(str, problems))}: not joined within {timeout:g} s; is it the address that the other peer"
                " shows when it starts?"
            )
        await asyncio.sleep(SCRIPT.join_pause)
        longest *= 2


async def until_interrupted(work: Awaitable[None], takes: Callable[[], bool] = lambda: False) -> Exit:
    """Do the work; Ctrl-C or SIGTERM cancels it, so that it can end in order, and the next one ends it at once.

    ``takes``: whether a Ctrl-C meant something else, and was taken for that.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    interrupted = False

    def interrupt(by: signal.Signals) -> None:
        nonlocal interrupted
        if by is signal.SIGINT and takes():
            return
        interrupted = True
        for number in _ENDING:
            loop.remove_signal_handler(number)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, interrupt, number)
    try:
        await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
        return Exit.INTERRUPTED
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
    return Exit.OK


async def unless_failed(work: Awaitable[None], watch: Watch) -> None:
    """Do the work, as long as the peer lives. Raises Unavailable when supervision gave it up."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, watch.failed], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            peer = watch.peer
            raise Unavailable(f"the peer has ended: {peer.failed if peer is not None else ''}")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await task
