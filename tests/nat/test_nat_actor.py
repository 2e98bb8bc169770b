"""The actor, its helper process and real routers on loopback: mapped, kept, told, deleted."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from cicada.actors.base import GuardedRef
from cicada.actors.nat import MapPort, NatActor, UnmapPort
from cicada.limits import NAT
from cicada.nat.io import Mapped, MappingLost, NatNews, NotMapped
from cicada.nat.requests import Gateway
from tests.nat.igd import Igd
from tests.nat.portserver import PortServer

PATIENCE = 20.0
QUICK = msgspec.structs.replace(
    NAT,
    knock=0.1,
    search=0.3,
    check=0.1,
    recheck=0.05,
    silent_checks=2,
    quick_retries=(0.1,) * 50,
    knock_pause=0.2,
    pcp_deadline=0.3,
    natpmp_deadline=0.3,
    unmap_deadline=0.3,
    overdue=0.2,
)


@pytest.fixture
def actor(gateway: Gateway) -> Iterator[GuardedRef[NatActor]]:
    ref = NatActor.start(gateway=gateway, limits=QUICK)
    yield ref
    ref.stop(timeout=PATIENCE)


class Listener:
    """Who is told of a port."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[NatNews] = queue.SimpleQueue()

    def __call__(self, news: NatNews) -> None:
        self._heard.put(news)

    def next(self, *kinds: type[NatNews]) -> NatNews:
        """Wait for the next news of these kinds."""
        while True:
            news = self._heard.get(timeout=PATIENCE)
            if isinstance(news, kinds or (Mapped, MappingLost, NotMapped)):
                return news

    def mapped(self) -> Mapped:
        news = self.next(Mapped)
        assert isinstance(news, Mapped)
        return news


def test_a_port_is_mapped_and_stopping_deletes_it_within_three_seconds(gateway: Gateway, igd: Igd) -> None:
    listener, ref = Listener(), NatActor.start(gateway=gateway, limits=QUICK)
    ref.tell(MapPort(port=40000, tell=listener))
    mapped = listener.mapped()
    assert (mapped.protocol, mapped.external_ip, mapped.external_port) == ("upnp", "8.8.4.4", 40000)
    assert list(igd.mappings) == [(40000, "TCP")]
    began = time.monotonic()
    ref.stop(timeout=PATIENCE)
    assert time.monotonic() - began < 3.0
    assert igd.mappings == {}


def test_a_router_that_froze_does_not_hold_up_the_end(gateway: Gateway, igd: Igd) -> None:
    listener, ref = Listener(), NatActor.start(gateway=gateway)
    ref.tell(MapPort(port=40000, tell=listener))
    listener.mapped()
    igd.is_frozen = True
    began = time.monotonic()
    ref.stop(timeout=PATIENCE)
    assert time.monotonic() - began < 3.0


def test_stopping_it_before_it_has_begun_is_quick(gateway: Gateway) -> None:
    ref = NatActor.start(gateway=gateway)
    ref.tell(MapPort(port=40000, tell=Listener()))
    began = time.monotonic()
    ref.stop(timeout=PATIENCE)
    assert time.monotonic() - began < 3.0


def test_what_the_router_forgets_is_mapped_again_and_a_new_address_told(
    actor: GuardedRef[NatActor], igd: Igd
) -> None:
    listener = Listener()
    actor.tell(MapPort(port=40000, tell=listener))
    listener.mapped()
    igd.forget()
    igd.external_ip = "9.9.9.9"
    assert listener.mapped().external_ip == "9.9.9.9"
    igd.wait_for(lambda: list(igd.mappings) == [(40000, "TCP")], PATIENCE)


def test_a_port_is_unmapped_alone(actor: GuardedRef[NatActor], igd: Igd) -> None:
    listeners = {port: Listener() for port in (40000, 40001)}
    for port, listener in listeners.items():
        actor.tell(MapPort(port=port, tell=listener))
        listener.mapped()
    actor.tell(UnmapPort(port=40000))
    igd.wait_for(lambda: list(igd.mappings) == [(40001, "TCP")], PATIENCE)


def test_without_a_router_that_is_told_and_one_that_boots_is_used(
    actor: GuardedRef[NatActor], gateway: Gateway
) -> None:
    listener = Listener()
    actor.tell(MapPort(port=40000, tell=listener))
    failed = listener.next()
    assert isinstance(failed, NotMapped)
    assert "--bind" in failed.advice
    assert 0.0 < failed.retry_in_s <= 0.1 + 1e-6
    with PortServer(gateway.address).running():
        assert listener.mapped().protocol == "pcp"


def test_a_router_that_goes_is_told_as_a_loss(actor: GuardedRef[NatActor], gateway: Gateway) -> None:
    listener = Listener()
    with PortServer(gateway.address).running() as server:
        server.speaks = {"nat-pmp"}
        actor.tell(MapPort(port=40000, tell=listener))
        assert listener.mapped().protocol == "nat-pmp"
    assert listener.next() == MappingLost(port=40000, reason="silent")


def test_one_that_fails_to_listen_costs_the_others_nothing(actor: GuardedRef[NatActor], igd: Igd) -> None:
    def fail(news: NatNews) -> None:
        raise ValueError("told to fail")

    listener = Listener()
    actor.tell(MapPort(port=40000, tell=fail))
    actor.tell(MapPort(port=40001, tell=listener))
    listener.mapped()
    assert actor.is_alive()
    assert set(igd.mappings) == {(40000, "TCP"), (40001, "TCP")}


def test_a_helper_that_is_killed_is_replaced_and_the_mapping_kept(
    actor: GuardedRef[NatActor], igd: Igd
) -> None:
    listener = Listener()
    actor.tell(MapPort(port=40000, tell=listener))
    listener.mapped()
    (helper,) = (each for each in psutil.Process().children() if "cicada.nat.helper" in each.cmdline())
    helper.kill()
    igd.external_ip = "9.9.9.9"
    assert listener.mapped().external_ip == "9.9.9.9"


def test_what_it_does_not_understand_it_survives(actor: GuardedRef[NatActor], igd: Igd) -> None:
    actor.tell("what is this?")
    listener = Listener()
    actor.tell(MapPort(port=40000, tell=listener))
    listener.mapped()
