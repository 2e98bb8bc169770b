"""Which addresses count as one machine."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.hosts import host_of, is_global, naming
from cicada.ids import Address, canonical_address, split_address

ports = st.integers(1, 65535)
networks = st.sampled_from(
    [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "192.168.0.0/16",
        "172.16.0.0/12",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ]
)


@st.composite
def local_addresses(draw: st.DrawFn) -> Address:
    network = ipaddress.ip_network(draw(networks))
    ip = network.network_address + draw(st.integers(0, network.num_addresses - 1))
    return canonical_address(str(ip), draw(ports))


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("8.8.4.4:20", "8.8.4.0/24"),
        ("8.8.4.255:65535", "8.8.4.0/24"),
        ("8.8.5.0:20", "8.8.5.0/24"),
        ("[2001:4860:4860::8888]:20", "2001:4860:4860::/48"),
        ("[2001:4860:4860:ffff:ffff:ffff:ffff:ffff]:20", "2001:4860:4860::/48"),
        ("[2001:4860:4861::1]:20", "2001:4860:4861::/48"),
    ],
)
@pytest.mark.parametrize("group_private", [False, True])
def test_of_global_addresses_the_prefix_that_a_user_is_given_is_the_host(
    address: str, host: str, group_private: bool
) -> None:
    assert host_of(Address(address), group_private=group_private) == host
    assert is_global(Address(address))


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1:20", "127.0.0.1"),
        ("127.0.0.1:21", "127.0.0.1"),
        ("127.0.0.2:20", "127.0.0.2"),
        ("10.1.2.3:20", "10.1.2.3"),
        ("[::1]:20", "::1"),
        ("[fd00::7]:20", "fd00::7"),
        ("[fe80::7]:20", "fe80::7"),
        ("100.64.0.1:20", "100.64.0.1"),
    ],
)
def test_of_other_addresses_each_peer_is_its_own_host_or_each_ip_when_they_are_grouped(
    address: str, host: str
) -> None:
    assert host_of(Address(address), group_private=False) == address
    assert host_of(Address(address), group_private=True) == host
    assert not is_global(Address(address))


@given(local_addresses(), local_addresses())
def test_two_local_peers_share_a_host_exactly_when_they_are_grouped_and_have_one_ip(
    one: Address, other: Address
) -> None:
    apart, grouped = naming(False), naming(True)
    assert (apart(one) == apart(other)) == (one == other)
    assert (grouped(one) == grouped(other)) == (split_address(one)[0] == split_address(other)[0])


@given(st.ip_addresses(), st.ip_addresses(), ports, ports, st.booleans())
def test_two_peers_of_one_ip_count_apart_only_where_they_are_local_and_not_grouped(
    one: ipaddress.IPv4Address, other: ipaddress.IPv4Address, port: int, another: int, grouped: bool
) -> None:
    mine, beside = canonical_address(str(one), port), canonical_address(str(one), another)
    share = host_of(mine, group_private=grouped) == host_of(beside, group_private=grouped)
    assert share == (grouped or is_global(mine) or port == another)
    theirs = canonical_address(str(other), port)
    if is_global(mine) != is_global(theirs):
        assert host_of(mine, group_private=grouped) != host_of(theirs, group_private=grouped)
