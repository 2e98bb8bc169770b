"""``--bind`` is one parameter with four parts, each of which may be missing; what is wrong with it is said."""

from __future__ import annotations

from ipaddress import IPv6Address

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import Misuse
from launcher.script import places
from launcher.script.binding import Binding, parse_binding, parse_seed, with_options
from launcher.script.places import ANY, LOOPBACK, bound_host, numeric
from launcher.script.statements import HostTarget

hosts = st.one_of(
    st.just("eth0"),
    st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z]", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.integers(0, 2**128 - 1).map(lambda number: IPv6Address(number).compressed),
)
plain = st.builds(Binding, host=hosts | st.just(""), port=st.none() | st.integers(0, 65535))
outer = st.builds(
    Binding,
    host=hosts | st.just(""),
    port=st.none() | st.integers(0, 65535),
    external=hosts,
    external_port=st.none() | st.integers(1, 65535),
)


@pytest.mark.parametrize(
    ("text", "binding"),
    [
        ("", Binding()),
        ("localhost", Binding(host="localhost")),
        (":5000", Binding(port=5000)),
        (":0", Binding(port=0)),
        ("10.0.0.2:5000", Binding(host="10.0.0.2", port=5000)),
        ("[::1]", Binding(host="::1")),
        ("[2001:DB8::0:1]:5000", Binding(host="2001:db8::1", port=5000)),
        ("eth0", Binding(host="eth0")),
        ("eth0.100:0", Binding(host="eth0.100", port=0)),
        ("br-1a2b:7", Binding(host="br-1a2b", port=7)),
        ("@203.0.113.5", Binding(external="203.0.113.5")),
        (":5@203.0.113.5:6", Binding(port=5, external="203.0.113.5", external_port=6)),
        ("lo:5@[2001:db8::1]", Binding(host="lo", port=5, external="2001:db8::1")),
        (" host.example:5 ", Binding(host="host.example", port=5)),
    ],
)
def test_every_part_may_be_missing(text: str, binding: Binding) -> None:
    assert parse_binding(text) == binding


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5000", "is a number and no host: write :5000 for a port"),
        ("::1", "in brackets, as [::1]"),
        ("::1:5000", "in brackets"),
        ("1:2:3", "in brackets, as [2001:db8::1]:50000"),
        ("[::1", "no closing bracket"),
        ("[::1]5000", "follows the bracket"),
        ("[::1]:", "'' is not a port"),
        ("[10.0.0.2]:5", "is not an IPv6 address"),
        ("[fe80::1%eth0]:5", "has a zone"),
        ("localhost:", "'' is not a port"),
        ("localhost:http", "'http' is not a port"),
        ("localhost:65536", "from 0 to 65535"),
        ("localhost:\u0665", "is not a port"),
        ("256.1.1.1:5", "is not an IPv4 address"),
        ("10.0.0:5", "is not an IPv4 address"),
        ("a b:5", "neither an IP address nor a name"),
        ("-x:5", "neither an IP address nor a name"),
        ("localhost@", "no external address follows the @"),
        ("localhost@:5", "no external address follows the @"),
        ("localhost@1.2.3.4:0", "from 1 to 65535"),
        ("localhost@1.2.3.4@5.6.7.8", "neither an IP address nor a name"),
    ],
)
def test_what_is_wrong_with_it_is_said(text: str, words: str) -> None:
    with pytest.raises(Misuse) as caught:
        parse_binding(text)
    assert words in str(caught.value)
    assert repr(text) in str(caught.value)


@given(plain | outer)
def test_a_binding_that_is_written_down_is_read_as_the_same(binding: Binding) -> None:
    assert parse_binding(str(binding)) == binding


@given(st.text() | st.text("[]:@%.0123456789abcdefgx-"))
def test_any_text_is_a_binding_or_misuse(text: str) -> None:
    try:
        binding = parse_binding(text)
    except Misuse:
        return
    assert parse_binding(str(binding)) == binding


def test_the_options_of_the_original_say_parts_of_it() -> None:
    assert with_options(Binding(), "localhost", 5) == Binding(host="localhost", port=5)
    assert with_options(parse_binding("lo"), "", 0) == Binding(host="lo", port=0)
    assert with_options(Binding(), "[::1]", None) == Binding(host="::1")


@pytest.mark.parametrize(
    ("bind", "interface", "port", "words"),
    [
        ("lo", "eth0", None, "--interface and --bind"),
        (":5", "", 6, "--port and --bind"),
        ("", "eth0:5", None, "use --bind"),
        ("", "eth0@1.2.3.4", None, "use --bind"),
    ],
)
def test_a_part_that_is_said_twice_is_misuse(bind: str, interface: str, port: int | None, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        with_options(parse_binding(bind), interface, port)


def test_a_peer_to_join_has_the_default_port_unless_it_is_said() -> None:
    assert parse_seed("localhost", 49610) == HostTarget(host="localhost", port=49610)
    assert parse_seed("[::1]:5", 49610) == HostTarget(host="::1", port=5)
    for wrong in ("", ":5", "localhost:0", "::1"):
        with pytest.raises(Misuse, match="cannot join"):
            parse_seed(wrong, 49610)


async def test_names_of_hosts_and_interfaces_become_addresses() -> None:
    assert await numeric("127.0.0.1") == "127.0.0.1"
    assert await numeric("localhost") == "127.0.0.1"
    loopback = next(
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.address == "127.0.0.1" for each in addresses)
    )
    assert await numeric(loopback) == "127.0.0.1"
    with pytest.raises(Misuse, match=rf"neither a host .* nor an interface: interfaces are .*{loopback}"):
        await numeric("no-such.invalid")


def test_of_an_interface_an_address_is_taken_that_means_the_same_elsewhere() -> None:
    of_interface = places.of_interface
    assert of_interface("e", ["02:42:ac", "fe80::1%e", "fe80::2", "2001:db8::1", "10.0.0.2"]) == "10.0.0.2"
    assert of_interface("e", ["fe80::2", "2001:db8::1"]) == "2001:db8::1"
    with pytest.raises(Misuse, match="has no address"):
        of_interface("e", ["02:42:ac", "fe80::2"])


async def test_without_a_host_a_peer_is_bound_where_those_it_joins_can_reach_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, away = HostTarget(host="localhost", port=5), HostTarget(host="192.0.2.1", port=5)
    monkeypatch.setattr(places, "find_gateway", lambda: None)
    assert await bound_host(Binding(), [here]) == LOOPBACK
    assert await bound_host(Binding(), [HostTarget(host="::1", port=5)]) == "::1"
    assert await bound_host(Binding(), []) == LOOPBACK
    assert await bound_host(Binding(external="203.0.113.5"), []) == ANY
    monkeypatch.setattr(places, "find_gateway", lambda: object())
    assert await bound_host(Binding(), [here]) == LOOPBACK
    assert await bound_host(Binding(), [here, away]) == ANY
    assert await bound_host(Binding(), []) == ANY
    assert await bound_host(Binding(host="::1"), [here]) == "::1"


async def test_every_interface_needs_an_address_that_others_dial_where_no_gateway_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "find_gateway", lambda: None)
    with pytest.raises(Misuse, match=r"as --bind 0\.0\.0\.0:5@ADDRESS"):
        await bound_host(Binding(host=ANY, port=5), [])
    assert await bound_host(Binding(host=ANY, external="203.0.113.5"), []) == ANY
    monkeypatch.setattr(places, "find_gateway", lambda: object())
    assert await bound_host(Binding(host=ANY), []) == ANY
    with pytest.raises(Misuse, match=r"as --bind \[::\]@ADDRESS"):
        await bound_host(Binding(host="::"), [])
