"""What applications and the command line use: PortMapping, one protocol by hand, and single requests."""

from __future__ import annotations

import msgspec
import pytest

import cicada
from cicada.errors import MappingFailed, Misuse
from cicada.limits import NAT
from cicada.nat.advice import REASONS
from cicada.nat.manual import PCP, ManualMapper, NatPMP, UPnP, map_port, probe, unmap_port
from cicada.nat.portmapping import PortMapping
from cicada.nat.requests import Gateway
from tests.nat.igd import Igd
from tests.nat.loopback import LOCAL
from tests.nat.portserver import PortServer

QUICK = msgspec.structs.replace(NAT, knock=0.1, search=0.3, pcp_deadline=0.3, natpmp_deadline=0.3)


def test_a_port_is_mapped_for_the_time_of_a_block(gateway: Gateway, igd: Igd) -> None:
    igd.taken = {5000}
    with cicada.PortMapping(5000, gateway=gateway, limits=QUICK) as pm:
        assert (pm.port, pm.protocol, pm.local_address) == (5000, "tcp", LOCAL)
        assert (pm.mapper.external_ip, pm.mapper.protocol, pm.mapper.is_global) == ("8.8.4.4", "upnp", True)
        assert pm.eport != 5000
        assert list(igd.mappings) == [(pm.eport, "TCP")]
    assert igd.mappings == {}


def test_an_exception_in_the_block_deletes_the_mapping_too(gateway: Gateway, server: PortServer) -> None:
    def fail_inside() -> None:
        with PortMapping(5000, gateway=gateway, limits=QUICK):
            assert server.mappings
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert server.mappings == {}


def test_udp_is_mapped_as_udp(gateway: Gateway, igd: Igd) -> None:
    with PortMapping(5000, "UDP", gateway=gateway, limits=QUICK):
        assert list(igd.mappings) == [(5000, "UDP")]


def test_no_mapping_is_an_error_that_says_what_to_do(gateway: Gateway) -> None:
    with (
        pytest.raises(MappingFailed, match="enable UPnP") as failed,
        PortMapping(5000, gateway=gateway, limits=QUICK),
    ):
        pass
    assert failed.value.reason in REASONS
    assert isinstance(failed.value, OSError)


@pytest.mark.parametrize("port", [0, -1, 65536, 70000])
def test_a_port_that_is_none_is_refused_before_anything_is_done(port: int) -> None:
    for attempt in (PortMapping, map_port, unmap_port):
        with pytest.raises(Misuse, match="out of range"):
            attempt(port)


def test_a_transport_or_protocol_that_is_none_is_refused(gateway: Gateway) -> None:
    with pytest.raises(Misuse, match="tcp or udp"):
        PortMapping(5000, "sctp")
    with pytest.raises(Misuse, match="pcp, nat-pmp, upnp"):
        map_port(5000, protocol="UPnP 3", gateway=gateway)


@pytest.mark.parametrize(("kind", "external_ip"), [(PCP, ""), (NatPMP, "8.8.4.4"), (UPnP, "8.8.4.4")])
def test_a_protocol_by_hand(
    gateway: Gateway, server: PortServer, igd: Igd, kind: type[ManualMapper], external_ip: str
) -> None:
    mapper = kind.create(gateway, limits=QUICK)
    assert (mapper.external_ip, mapper.local_address) == (external_ip, LOCAL)
    mapped = mapper.add_port_mapping(5000, 5555, lease_s=60)
    assert (mapped.external_port, mapped.lease_s, mapper.external_ip) == (5555, 60.0, "8.8.4.4")
    mapper.add_port_mapping(5001)
    mapper.delete_port_mapping(5000)
    assert len(server.mappings) + len(igd.mappings) == 1
    mapper.cleanup()
    mapper.cleanup()
    assert len(server.mappings) + len(igd.mappings) == 0


def test_a_protocol_that_nobody_speaks_cannot_be_had(gateway: Gateway) -> None:
    with pytest.raises(MappingFailed, match="does not listen"):
        PCP.create(gateway, limits=QUICK)


def test_a_refused_port_is_an_error_with_the_routers_word(gateway: Gateway, igd: Igd) -> None:
    igd.refused = 606
    with UPnP.create(gateway, limits=QUICK) as mapper:
        with pytest.raises(MappingFailed, match="606") as failed:
            mapper.add_port_mapping(5000)
        assert failed.value.reason == "refused"


@pytest.mark.parametrize("protocol", ["pcp", "nat-pmp", "upnp"])
def test_what_is_mapped_by_one_process_is_unmapped_by_another(
    gateway: Gateway, server: PortServer, igd: Igd, protocol: str
) -> None:
    mapped = map_port(5000, 5005, 60, protocol, gateway=gateway, limits=QUICK)
    assert (mapped.protocol, mapped.external_port, mapped.lease_s) == (protocol, 5005, 60.0)
    unmap_port(5000, 5005, protocol, gateway=gateway, limits=QUICK)
    assert len(server.mappings) + len(igd.mappings) == 0


def test_without_a_protocol_the_first_that_works_maps(gateway: Gateway, igd: Igd) -> None:
    assert map_port(5000, gateway=gateway, limits=QUICK).protocol == "upnp"
    unmap_port(5000, gateway=gateway, limits=QUICK)
    assert igd.mappings == {}


def test_a_probe_says_of_each_protocol_what_it_does(gateway: Gateway, server: PortServer, igd: Igd) -> None:
    server.speaks, igd.external_ip = {"pcp"}, "100.64.0.9"
    found = probe(5000, gateway=gateway, limits=QUICK)
    pcp, natpmp, upnp = found.protocols
    assert found.gateway == gateway
    assert (pcp.answers, pcp.external_ip, pcp.external_port, pcp.is_global) == (True, "8.8.4.4", 5000, True)
    assert (natpmp.answers, natpmp.reason) == (False, "unsupported")
    assert natpmp.advice
    assert (upnp.answers, upnp.external_ip, upnp.is_global) == (True, "100.64.0.9", False)
    assert len(server.mappings) + len(igd.mappings) == 0


def test_a_probe_without_a_port_maps_nothing(gateway: Gateway, igd: Igd) -> None:
    found = probe(gateway=gateway, limits=QUICK)
    assert [each.answers for each in found.protocols] == [False, False, True]
    assert "AddPortMapping" not in igd.calls
