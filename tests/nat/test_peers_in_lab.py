"""Peers behind real routers, as users have them."""

from __future__ import annotations

import json
import signal

import pytest

from cicada.ids import Address, place_of
from tests.nat.lab import ALL, NAT_PMP, PCP, UPNP, Lab
from tests.nat.peers import PORT, PeerProgram, deliver, exchange
from tests.nat.programs import Program
from tests.nat.reaching import comes_to_connect, connects

SEED = f"44.128.10.2:{PORT}"


@pytest.mark.parametrize(
    "protocols",
    [ALL, *(pytest.param({protocol}, marks=pytest.mark.prove) for protocol in (PCP, NAT_PMP, UPNP))],
    ids=lambda p: "-".join(sorted(p)),
)
def test_an_outside_peer_joins_through_a_mapped_port_while_the_mapping_stands(
    lab: Lab, protocols: set[str]
) -> None:
    lab.router.start_daemon(*protocols)
    with PeerProgram(lab.lan) as inside, PeerProgram(lab.outside) as outside:
        mapped = inside.heard("PortMapped")
        assert mapped["external"] == f"44.128.77.1:{PORT}"
        outside.connect(mapped["external"])
        inside.moves_to(mapped["external"])
        exchange(inside, outside, "through the router")
        assert inside.leave() == 0
        assert lab.router.mappings() == []
        assert not connects(lab.outside, "44.128.77.1", PORT)


def test_a_peer_that_joins_from_behind_a_router_is_hidden_until_others_dialled_its_mapped_port(
    lab: Lab,
) -> None:
    lab.router.start_daemon()
    with PeerProgram(lab.outside) as outside, PeerProgram(lab.lan) as inside:
        inside.connect(SEED)
        inside.heard("AddressChanged", before=f"192.168.77.10:{PORT}")
        inside.moves_to("44.128.77.1:")
        exchange(inside, outside, "at last")


def test_two_peers_behind_two_routers_that_map_nothing_and_a_public_one_all_reach_each_other(
    lab: Lab,
) -> None:
    with (
        PeerProgram(lab.outside) as outside,
        PeerProgram(lab.lan) as near,
        PeerProgram(lab.far) as far,
    ):
        near.connect(SEED)
        far.connect(SEED)
        near.moves_to("@")
        far.moves_to("@")
        exchange(near, far, "hidden to hidden")
        exchange(near, outside, "near and public")
        exchange(far, outside, "far and public")


def test_a_hidden_peer_is_reached_within_15_seconds_after_one_of_its_relays_was_killed(lab: Lab) -> None:
    with (
        PeerProgram(lab.outside) as first,
        PeerProgram(lab.elsewhere) as second,
        PeerProgram(lab.outside, port=PORT + 1) as third,
        PeerProgram(lab.lan) as near,
        PeerProgram(lab.far) as far,
    ):
        second.connect(SEED)
        third.connect(SEED)
        near.connect(SEED)
        far.connect(SEED)
        near.moves_to("@")
        far.moves_to("@")
        exchange(near, far, "before")
        first.end(signal.SIGKILL)
        exchange(near, far, "after", seconds=15.0)
        exchange(second, near, "and to a member", seconds=15.0)


@pytest.mark.prove
def test_of_two_members_behind_a_router_that_lets_neither_dial_the_other_one_is_hidden(lab: Lab) -> None:
    lab.router.start_daemon()
    with (
        PeerProgram(lab.outside) as outside,
        PeerProgram(lab.lan) as one,
        PeerProgram(lab.other, port=PORT + 1) as other,
    ):
        one.connect(SEED)
        one.moves_to("44.128.77.1:")
        other.connect(SEED)
        other.moves_to("44.128.77.1:")
        loser = max(one, other, key=lambda peer: place_of(Address(peer.address)))
        loser.moves_to("@")
        exchange(one, other, "beside each other")
        exchange(outside, one, "from outside")
        exchange(outside, other, "from outside too")


def test_a_peer_bound_to_every_interface_is_found_by_the_one_towards_its_router(lab: Lab) -> None:
    lab.router.start_daemon()
    with PeerProgram(lab.outside) as outside, PeerProgram(lab.lan, "--any") as inside:
        assert inside.address == f"192.168.77.10:{PORT}"
        inside.connect(SEED)
        inside.moves_to("44.128.77.1:")
        exchange(inside, outside, "mapped")


def test_after_a_reboot_of_its_router_a_peer_is_reached_again_within_30_seconds(lab: Lab) -> None:
    lab.router.start_daemon()
    with PeerProgram(lab.outside) as outside, PeerProgram(lab.lan) as inside:
        inside.connect(SEED)
        external = inside.moves_to("44.128.77.1:")
        exchange(inside, outside, "before")
        lab.router.power_off()
        assert not connects(lab.elsewhere, *_host_port(external))
        lab.router.power_on()
        lab.router.await_mappings(bool, seconds=30.0)
        deliver(outside, inside, "after", seconds=10.0)
        assert comes_to_connect(lab.elsewhere, *_host_port(inside.address))


@pytest.mark.prove
def test_another_address_of_its_router_is_what_a_peer_is_reached_by_within_60_seconds(lab: Lab) -> None:
    lab.router.start_daemon()
    with (
        PeerProgram(lab.outside) as outside,
        PeerProgram(lab.elsewhere) as other,
        PeerProgram(lab.lan) as inside,
    ):
        other.connect(SEED)
        inside.connect(SEED)
        before = inside.moves_to("44.128.77.1:")
        exchange(inside, outside, "before")
        lab.router.set_wan_address("44.128.99.1")
        inside.moves_to("44.128.99.1:", seconds=60.0)
        exchange(inside, outside, "after")
        other.do(do="send", to=before, data="to the old one", timeout=5.0)
        assert other.heard("settled", data="to the old one")["status"] == "failed"


@pytest.mark.prove
def test_a_router_that_never_answers_delays_nothing_and_is_asked_again(lab: Lab) -> None:
    lab.router.start_daemon()
    lab.router.freeze()
    with PeerProgram(lab.outside) as outside, PeerProgram(lab.lan) as inside:
        inside.do(do="connect", seed=SEED)
        inside.heard("connected", seconds=1.0)
        exchange(inside, outside, "at once", seconds=1.0)
        refused = inside.heard("PortMappingFailed", seconds=40.0)
        assert refused["retry_in_s"] > 0
        assert refused["advice"]
        lab.router.thaw()
        inside.moves_to("44.128.77.1:")
        exchange(inside, outside, "mapped after all")


def test_a_router_with_a_private_address_is_said_to_be_behind_another_one(lab: Lab) -> None:
    lab.router.set_wan_address("10.9.9.1")
    lab.router.start_daemon()
    with PeerProgram(lab.lan) as inside:
        said = inside.heard("PortMappingFailed")
        assert said["reason"] == "no-wan"
        assert "provider" in said["advice"]
        assert inside.address == f"192.168.77.10:{PORT}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
def test_whatever_ends_a_peer_its_mapping_ends_with_it(lab: Lab, number: signal.Signals) -> None:
    lab.router.start_daemon()
    with PeerProgram(lab.lan) as inside:
        inside.heard("PortMapped")
        assert lab.router.mappings()
        inside.end(number)
        lab.router.await_mappings(lambda standing: not standing, seconds=3.0)


def _host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


@pytest.mark.prove
def test_probe_says_whether_members_of_a_swarm_could_dial_this_machine(lab: Lab) -> None:
    lab.router.start_daemon(PCP)
    with PeerProgram(lab.outside):
        for host, code, dialled in ((lab.lan, 0, True), (lab.far, 1, False)):
            program = Program(host, "-m", "launcher", "nat", "probe", "--dial-back", SEED, "--json")
            said, _ = program.process.communicate(timeout=50.0)
            verdict = json.loads(said)["dialled_back"]
            assert (program.process.returncode, verdict["dialled"]) == (code, dialled), verdict
            assert verdict["external"].startswith("44.128.77.1:") is dialled
