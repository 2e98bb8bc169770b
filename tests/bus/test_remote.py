"""The bus over TCP: who has the key sees all, who has not sees nothing, and nobody can ask for anything else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from cicada.bus.follower import Follower
from cicada.bus.proxy import BusProxy
from cicada.bus.publisher import Publisher
from cicada.bus.remote import RemoteBus, WatchKeys, remote_endpoints
from cicada.bus.snapshot import Snapshot
from cicada.errors import DeliveryTimeout, Misuse, Unavailable
from tests.launcher.swarms import free_ports

from .conftest import WAIT, Open, phase
from .test_follower import QUICK, phases, running

KEYS = WatchKeys(b"k" * 32)
IMPATIENT = msgspec.structs.replace(QUICK, snapshot_wait=0.2)


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    return f"{getattr(request, 'param', '127.0.0.1')}:{free_ports(2)}"


@pytest.fixture
def remote(proxy: BusProxy, folder: Path, address: str) -> Iterator[RemoteBus]:
    snapshots = f"ipc://{folder}/snapshots"
    with RemoteBus(address, KEYS, events=proxy.subscribers, snapshots=snapshots) as remote:
        yield remote


@pytest.fixture
async def publisher(publisher_of: Open) -> Publisher:
    publisher = publisher_of("launcher")
    publisher.publish("a", phase(1))
    return publisher


def follower_at(address: str, keys: WatchKeys | None) -> Follower:
    return Follower(*remote_endpoints(address), limits=IMPATIENT, keys=keys)


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


without_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")


@pytest.mark.parametrize("address", ["127.0.0.1", pytest.param("[::1]", marks=without_ipv6)], indirect=True)
async def test_who_has_the_key_follows_as_on_the_machine_itself(
    remote: RemoteBus, publisher: Publisher, folder: Path, address: str
) -> None:
    async with running(folder, publisher), follower_at(address, WatchKeys(b"k" * 32)) as follower:
        snapshot = await follower.receive(WAIT)
        assert isinstance(snapshot, Snapshot)
        assert phases(snapshot.events) == ["1"]
        publisher.publish("a", phase(2))
        assert phases([await follower.receive(WAIT)]) == ["2"]
        assert (follower.healed, follower.lost) == (0, 0)


@pytest.mark.parametrize("keys", [None, WatchKeys(b"x" * 32)], ids=["none", "another"])
async def test_who_does_not_have_the_key_gets_nothing(
    remote: RemoteBus, publisher: Publisher, folder: Path, address: str, keys: WatchKeys | None
) -> None:
    async with running(folder, publisher) as run, follower_at(address, keys) as follower:
        with pytest.raises(DeliveryTimeout):
            await follower.receive(0.5)
        assert not follower.connected
        assert run.made == 0
        assert not publisher._prefixes


async def test_who_knows_whom_to_greet_but_not_the_watchers_key_gets_nothing(
    remote: RemoteBus, publisher: Publisher, folder: Path, address: str
) -> None:
    stranger = WatchKeys(b"k" * 32)
    stranger._client = zmq.curve_keypair()
    async with running(folder, publisher) as run, follower_at(address, stranger) as follower:
        with pytest.raises(DeliveryTimeout):
            await follower.receive(0.5)
        assert run.made == 0


def test_keys_say_nothing_of_themselves_and_short_ones_are_refused() -> None:
    assert repr(KEYS) == "WatchKeys()"
    with pytest.raises(Misuse, match="32 bytes"):
        WatchKeys(b"short")


@pytest.mark.parametrize(
    "address",
    ["somewhere", ":9620", "127.0.0.1:0", "127.0.0.1:65535", "127.0.0.1:99999", "127.0.0.1:\u0661\u0662"],
)
def test_a_place_without_two_ports_is_none_to_watch_at(address: str) -> None:
    with pytest.raises(Misuse, match="address"):
        remote_endpoints(address)


def test_the_snapshots_are_a_port_above_the_events() -> None:
    assert remote_endpoints("127.0.0.1:65534") == ("tcp://127.0.0.1:65534", "tcp://127.0.0.1:65535")
    assert remote_endpoints("tcp://[::1]:9620") == ("tcp://[::1]:9620", "tcp://[::1]:9621")
    assert remote_endpoints("tcp://there:9620") == ("tcp://there:9620", "tcp://there:9621")


def test_a_port_that_is_taken_is_said_and_nothing_is_left_behind(proxy: BusProxy, address: str) -> None:
    host, port = address.split(":")
    with socket.create_server((host, int(port) + 1)):
        remote = RemoteBus(address, KEYS, events=proxy.subscribers, snapshots="ipc:///nowhere")
        with pytest.raises(Unavailable, match=rf"{int(port) + 1}.*\(listen in \[watch\]\)"):
            remote.__enter__()
    with RemoteBus(address, KEYS, events=proxy.subscribers, snapshots="ipc:///nowhere"):
        pass
