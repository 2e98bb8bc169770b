"""A proxy on real sockets, and publishers and subscribers around it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import zmq

from cicada.bus.proxy import BusProxy
from cicada.bus.publisher import Publisher
from cicada.events import AnyEvent, PeerFaulted, PhaseChanged
from cicada.limits import BUS, BusLimits

WAIT = 10.0
Open = Callable[..., Publisher]


class CountingClock:
    """A clock that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        self.asked += 1
        return 1_700_000_000_000 + self.asked


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread or socket makes true."""
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.002)


def phase(number: int) -> PhaseChanged:
    return PhaseChanged(phase=str(number))


def fault(number: int) -> PeerFaulted:
    return PeerFaulted(remote=str(number), reason="test")


async def until_wanted(publisher: Publisher, *kinds: type[AnyEvent]) -> None:
    await until(lambda: all(publisher.wants(kind) for kind in kinds))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because the path of an ipc endpoint is."""
    with tempfile.TemporaryDirectory(prefix="bus-") as name:
        yield Path(name)


@pytest.fixture
def proxy(folder: Path) -> Iterator[BusProxy]:
    proxy = BusProxy(f"ipc://{folder}/in", f"ipc://{folder}/out")
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
async def publisher_of(proxy: BusProxy) -> AsyncIterator[Open]:
    """Opens publishers on the proxy (or another endpoint) and closes them."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    opened: list[Publisher] = []

    def open_publisher(
        source: str = "worker-0",
        *,
        endpoint: str = proxy.publishers,
        clock: CountingClock | None = None,
        limits: BusLimits = BUS,
    ) -> Publisher:
        publisher = Publisher(endpoint, source, clock=clock or CountingClock(), limits=limits)
        publisher.open(context)
        opened.append(publisher)
        return publisher

    yield open_publisher
    for publisher in opened:
        publisher.close()
    context.destroy(linger=0)
