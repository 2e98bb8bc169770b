"""Which request the mapper makes next, under virtual time, against routers that do what real ones do."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from cicada.limits import NAT
from cicada.nat.io import AddPort, Mapped, MappingLost, NotMapped, RemovePort, RouterSpoke
from cicada.nat.requests import PROTOCOLS, Check, FindGateway, Gateway, Knock, Map, Unmap
from tests.nat.world import CAFE, HOME, SimRouter, World

EACH = pytest.mark.parametrize("protocol", PROTOCOLS)


def world(*routers: SimRouter) -> World:
    return World(*(routers or (SimRouter(),)))


def mapped_world(*speaks: str, ports: tuple[int, ...] = (5000,)) -> World:
    made = world(SimRouter(*speaks))
    for port in ports:
        made.tell(AddPort(port=port))
    made.run_until(lambda: made.is_mapped(*ports), within=30.0)
    return made


# Mapping


@EACH
def test_a_router_that_speaks_one_protocol_is_spoken_to_in_it(protocol: str) -> None:
    made = mapped_world(protocol)
    assert made.mapped(5000) == Mapped(
        port=5000,
        protocol=protocol,
        gateway=HOME.address,
        external_ip="8.8.4.4",
        external_port=5000,
        lease_s=3600.0,
        is_global=True,
        local_ip=HOME.local,
    )
    assert made.now < 1.0


def test_of_several_protocols_pcp_is_taken_and_kept() -> None:
    made = mapped_world()
    made.tell(AddPort(port=5001))
    made.run(1.0)
    assert [made.mapped(port).protocol for port in (5000, 5001)] == ["pcp", "pcp"]
    assert made.times_of(Map, "nat-pmp") == made.times_of(Map, "upnp") == []


def test_a_protocol_that_refuses_the_port_leads_to_the_next() -> None:
    router = SimRouter()
    router.refusals = {"pcp": "refused", "nat-pmp": "no-wan"}
    made = world(router)
    made.tell(AddPort(port=5000))
    made.run(1.0)
    assert made.mapped(5000).protocol == "upnp"


def test_the_port_that_is_granted_is_the_one_that_is_told() -> None:
    made = world(SimRouter())
    made.router.moves_ports = 100
    made.tell(AddPort(port=5000))
    made.run(1.0)
    assert made.mapped(5000).external_port == 5100


@pytest.mark.parametrize("external_ip", ["100.64.1.1", "192.168.0.2", "10.0.0.3", ""])
def test_an_address_behind_another_nat_is_said_to_be_one(external_ip: str) -> None:
    router = SimRouter()
    router.external_ip = external_ip
    made = world(router)
    made.tell(AddPort(port=5000))
    made.run(1.0)
    assert not made.mapped(5000).is_global


def test_a_host_with_a_public_address_maps_nothing() -> None:
    made = world()
    made.gateway = Gateway("44.1.1.1", "44.1.1.2")
    made.tell(AddPort(port=5000))
    made.run(60.0)
    assert next(news for _, news in made.news if isinstance(news, NotMapped)).reason == "not-needed"
    assert made.times_of(Map) == []


def test_more_ports_than_a_process_may_map_are_refused() -> None:
    made = World(SimRouter(), limits=msgspec.structs.replace(NAT, max_ports=2))
    for port in (5000, 5001, 5002):
        made.tell(AddPort(port=port))
    assert isinstance(made.said[5002], NotMapped)
    assert made.said[5002].reason == "too-many"
    made.run_until(lambda: made.is_mapped(5000, 5001), within=1.0)


def test_a_port_that_is_added_again_is_told_its_news_again() -> None:
    made = mapped_world()
    before = len(made.news)
    made.tell(AddPort(port=5000))
    assert [news for _, news in made.news[before:]] == [made.mapped(5000)]


# Renewal


def test_a_lease_is_renewed_between_a_half_and_five_eighths_of_it() -> None:
    made = mapped_world("upnp")
    made.run(60_000.0)
    maps = made.times_of(Map)
    gaps = [later - earlier for earlier, later in itertools.pairwise(maps)]
    assert len(gaps) > 25
    assert all(1800.0 <= gap <= 2250.1 for gap in gaps)
    assert len({round(gap) for gap in gaps}) > 15, "no jitter"


@EACH
def test_a_lease_of_seconds_is_renewed_before_it_ends(protocol: str) -> None:
    made = world(SimRouter(protocol))
    made.router.lease = 4.0
    made.tell(AddPort(port=5000))
    made.run(300.0)
    assert [type(news) for _, news in made.news] == [Mapped]


@EACH
def test_a_renewal_has_the_same_nonce_and_external_port(protocol: str) -> None:
    made = world(SimRouter(protocol))
    made.router.lease, made.router.moves_ports = 20.0, 3
    made.tell(AddPort(port=5000))
    made.run(100.0)
    made.router.moves_ports = 0
    targets = [request.target for _, request in made.asked if isinstance(request, Map | Check)]
    assert len(targets) > 5
    assert len({target.nonce for target in targets}) == 1
    assert {target.external_port for target in targets[1:]} == {5003}


def test_a_permanent_mapping_is_not_renewed_but_looked_at_and_deleted() -> None:
    made = world(SimRouter("upnp"))
    made.router.lease = 0.0
    made.tell(AddPort(port=5000))
    made.run(10_000.0)
    assert made.mapped(5000).lease_s == 0.0
    assert len(made.times_of(Map)) == 1
    made.stop()
    assert made.router.mappings == {}


def test_a_lease_that_cannot_be_renewed_is_told_lost_when_it_ends() -> None:
    limits = msgspec.structs.replace(NAT, silent_checks=10**6)
    made = World(SimRouter("pcp"), limits=limits)
    made.tell(AddPort(port=5000))
    made.run(1.0)
    made.router.is_silent = True
    made.run(3700.0)
    assert [type(news) for _, news in made.news[:2]] == [Mapped, MappingLost]
    (mapped_at, _), (lost_at, lost) = made.news[:2]
    assert lost == MappingLost(port=5000, reason="expired")
    assert lost_at - mapped_at == pytest.approx(3600.0, abs=15.0)


# What routers do


@EACH
@pytest.mark.parametrize("count", [1, 5])
def test_a_router_that_forgot_everything_is_asked_again_within_20_seconds(protocol: str, count: int) -> None:
    ports = tuple(range(5000, 5000 + count))
    made = mapped_world(protocol, ports=ports)
    for pause in (3.0, 13.7, 500.0):
        made.run(pause)
        made.router.reboot(made.now)
        made.run_until(lambda: made.router.mapped_ports() == set(ports), within=20.0)


@EACH
@pytest.mark.parametrize("count", [1, 5])
def test_a_new_external_address_is_told_within_30_seconds(protocol: str, count: int) -> None:
    ports = tuple(range(5000, 5000 + count))
    made = mapped_world(protocol, ports=ports)
    made.run(43.0)
    made.router.external_ip = "9.9.9.9"
    made.run_until(lambda: all(made.mapped(port).external_ip == "9.9.9.9" for port in ports), within=30.0)
    assert not any(isinstance(news, MappingLost) for _, news in made.news)


@EACH
def test_a_router_that_falls_silent_loses_the_mapping_and_is_used_within_30_seconds_when_it_is_back(
    protocol: str,
) -> None:
    made = mapped_world(protocol)
    for outage in (120.0, 1000.0, 40_000.0):
        made.router.is_silent = True
        made.run_until(lambda: not isinstance(made.said[5000], Mapped), within=60.0)
        made.run(outage)
        made.router.is_silent = False
        made.router.reboot(made.now)
        made.run_until(lambda: made.is_mapped(5000), within=30.0)


@EACH
@pytest.mark.parametrize("boots_at", [0.5, 4.2, 7.0, 13.0, 29.0, 61.0, 777.0, 20_000.0])
def test_a_router_that_boots_later_than_this_machine_is_used_within_30_seconds(
    protocol: str, boots_at: float
) -> None:
    made = world(SimRouter(protocol))
    made.router.is_silent = True
    made.tell(AddPort(port=5000))
    made.run(boots_at)
    made.router.is_silent = False
    made.run_until(lambda: made.is_mapped(5000), within=30.0)


def test_a_router_that_changes_its_protocol_is_followed() -> None:
    made = mapped_world("upnp")
    made.router.speaks = {"nat-pmp"}
    made.router.reboot(made.now)
    made.run_until(lambda: made.is_mapped(5000) and made.mapped(5000).protocol == "nat-pmp", within=60.0)


def test_pauses_between_failures_grow_to_hours_with_jitter() -> None:
    made = world()
    made.router.refusals = dict.fromkeys(PROTOCOLS, "refused")
    made.tell(AddPort(port=5000))
    made.run(100_000.0)
    failures = [(at, news) for at, news in made.news if isinstance(news, NotMapped)]
    pauses = [later[0] - earlier[0] for earlier, later in itertools.pairwise(failures)]
    assert [round(pause) for pause in pauses[:3]] == [3, 6, 12]
    assert 150.0 <= pauses[3] <= 301.0
    assert all(3600.0 <= pause <= 7201.0 for pause in pauses[10:])
    assert all(news.reason == "refused" for _, news in failures)
    for (at, news), (later, _) in itertools.pairwise(failures):
        assert later - at <= news.retry_in_s + 1.0


def test_a_refusal_of_a_renewal_loses_the_mapping_and_tries_the_other_protocols() -> None:
    made = mapped_world()
    made.router.refusals = {"pcp": "refused"}
    made.run(60.0)
    assert [type(news) for _, news in made.news] == [Mapped, MappingLost, Mapped]
    assert made.mapped(5000).protocol == "nat-pmp"


@EACH
def test_a_router_that_says_that_it_began_anew_is_asked_at_once(protocol: str) -> None:
    made = mapped_world(protocol)
    made.run(3.0)
    made.router.reboot(made.now)
    made.tell(RouterSpoke(gateway=HOME.address))
    made.run_until(lambda: made.router.mapped_ports() == {5000}, within=1.0)


def test_a_flood_of_such_words_or_one_from_elsewhere_changes_little() -> None:
    made = mapped_world("upnp")
    made.tell(RouterSpoke(gateway="192.168.1.66"))
    assert len(made.times_of(Map)) == 1
    for _ in range(1000):
        made.tell(RouterSpoke(gateway=HOME.address))
        made.run(0.05)
    assert len(made.times_of(Map)) <= 2 + 50.0 / NAT.announced_pause


# Networks


def test_without_a_gateway_that_is_told_once_and_the_first_one_is_used() -> None:
    made = world()
    made.gateway = None
    made.tell(AddPort(port=5000))
    made.run(100.0)
    made.tell(AddPort(port=5001))
    assert [(news.port, news.reason) for _, news in made.news if isinstance(news, NotMapped)] == [
        (5000, "no-gateway"),
        (5001, "no-gateway"),
    ]
    made.gateway = HOME
    made.run_until(lambda: made.is_mapped(5000, 5001), within=10.0)


def test_in_another_network_the_port_is_mapped_anew_and_the_old_mapping_deleted() -> None:
    made = world(SimRouter("pcp"), SimRouter("upnp"))
    made.tell(AddPort(port=5000))
    made.run(20.0)
    made.gateway = CAFE
    made.run_until(lambda: made.is_mapped(5000) and made.mapped(5000).gateway == CAFE.address, within=10.0)
    assert (made.news[1][1]) == MappingLost(port=5000, reason="network-changed")
    made.run(5.0)
    assert made.router.mappings == {}


def test_with_another_address_in_the_same_network_only_upnp_mappings_are_deleted() -> None:
    for protocol, expected in (("nat-pmp", 0), ("upnp", 1)):
        made = mapped_world(protocol)
        made.gateway = Gateway(HOME.address, "192.168.1.99")
        made.run(20.0)
        assert made.mapped(5000).local_ip == "192.168.1.99"
        assert len(made.times_of(Unmap)) == expected


def test_when_the_network_goes_the_mapping_is_lost() -> None:
    made = mapped_world()
    made.gateway = None
    made.run(10.0)
    assert [type(news) for _, news in made.news] == [Mapped, MappingLost, NotMapped]
    told = made.said[5000]
    assert isinstance(told, NotMapped)
    assert (told.reason, told.advice) == ("no-gateway", "look at this machine's network connection")
    assert told.retry_in_s == pytest.approx(5.0, abs=0.1)


# The end


def test_a_port_that_is_removed_is_deleted_and_nothing_more_is_told_of_it() -> None:
    made = mapped_world(ports=(5000, 5001))
    made.tell(RemovePort(port=5000))
    made.run(100.0)
    assert made.router.mapped_ports() == {5001}
    assert made.news[-1][0] < 1.0


def test_a_port_that_is_removed_and_added_again_keeps_its_nonce() -> None:
    made = mapped_world("pcp")
    made.router.is_silent = True  # so that the deletion fails
    made.tell(RemovePort(port=5000))
    made.run(30.0)
    made.router.is_silent = False
    made.tell(AddPort(port=5000))
    made.run(30.0)
    assert len({request.target.nonce for _, request in made.asked if isinstance(request, Map)}) == 1
    assert made.is_mapped(5000)


@EACH
def test_at_the_end_everything_is_deleted(protocol: str) -> None:
    made = mapped_world(protocol, ports=(5000, 5001, 5002))
    made.run(100.0)
    made.stop()
    assert made.router.mappings == {}


def test_at_the_end_what_is_under_way_is_deleted_too() -> None:
    made = world()
    made.tell(AddPort(port=5000))
    made.run_until(lambda: bool(made.times_of(Map)), within=5.0, step=0.001)
    made.stop()
    assert made.router.mappings == {}
    assert not any(isinstance(news, Mapped) for _, news in made.news)


def test_a_mapping_whose_grant_was_lost_on_its_way_is_deleted_at_the_end() -> None:
    made = world(SimRouter("pcp", "upnp"))
    made.router.late = {"pcp"}
    made.tell(AddPort(port=5000))
    made.run(20.0)
    assert made.mapped(5000).protocol == "upnp"
    made.stop()
    assert made.router.mappings == {}


def test_a_dead_router_does_not_hold_up_the_end() -> None:
    made = mapped_world(ports=tuple(range(5000, 5100)))
    made.router.is_silent = True
    made.tell(RemovePort(port=5000))
    began = made.now
    made.stop()
    assert made.now - began < 2.5


def test_while_no_port_is_wanted_nothing_is_asked() -> None:
    made = mapped_world()
    made.tell(RemovePort(port=5000))
    made.run(1.0)
    before = len(made.asked)
    made.run(10_000.0)
    assert len(made.asked) == before


def test_the_calm_costs_one_look_in_ten_seconds() -> None:
    made = mapped_world(ports=tuple(range(5000, 5020)))
    made.run(1000.0)
    assert len(made.times_of(Check)) <= 101
    assert len(made.times_of(FindGateway)) <= 210
    assert len(made.times_of(Knock)) == 1
