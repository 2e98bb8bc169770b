"""By which address others reach a peer: never by one that nobody from elsewhere has dialled."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Address, canonical_address, hidden_address, is_hidden, place_of
from cicada.limits import NAT
from cicada.nat.io import Mapped, MappingLost, NotMapped
from cicada.nat.reachability import (
    Become,
    BesideUnreached,
    CannotBe,
    Connecting,
    DialledIn,
    Reachability,
    ReachabilityInput,
    ReachabilityOutput,
    TimerFired,
    Watch,
)

LOCAL: Final = canonical_address("192.168.77.10", 50000)
HIDDEN: Final = hidden_address("5e" * 32)
OUTSIDE: Final = canonical_address("44.128.77.1", 50000)
CHANGED: Final = canonical_address("44.128.90.1", 50000)
ELSEWHERE: Final = "9.9.9.9"
LAN_SEED: Final = canonical_address("192.168.77.20", 50000)
WORLD_SEED: Final = canonical_address("8.8.8.8", 50000)
NOBODY: Final = Address("")
LOST: Final = MappingLost(port=50000, reason="router-restarted")
NOT_MAPPED: Final = NotMapped(port=50000, reason="no-router", advice="none", retry_in_s=60.0)
GRACE: Final = NAT.unmapped_grace


def mapped(address: Address = OUTSIDE, *, is_global: bool = True) -> Mapped:
    host, _, port = address.rpartition(":")
    return Mapped(
        port=50000,
        protocol="upnp",
        gateway="192.168.77.1",
        external_ip=host,
        external_port=int(port),
        lease_s=3600.0,
        is_global=is_global,
    )


class Home:
    """A peer behind a router, what it was told to do, and the time."""

    def __init__(
        self, own: Address = LOCAL, local: Address = LOCAL, *, is_fixed: bool = False, is_alone: bool = True
    ) -> None:
        self.reach = Reachability(own, local, HIDDEN, is_fixed=is_fixed)
        self.is_alone = is_alone
        self.now = 0.0

    @property
    def own(self) -> Address:
        return self.reach.own

    def do(self, *inputs: ReachabilityInput) -> list[ReachabilityOutput]:
        outputs: list[ReachabilityOutput] = []
        for input in inputs:
            outputs += self.reach.handle(input, self.now, is_alone=self.is_alone)
        return outputs

    def wait(self) -> list[ReachabilityOutput]:
        due = self.reach.next_deadline()
        assert due is not None
        self.now = max(self.now, due)
        return self.do(TimerFired())


def hidden_home() -> Home:
    """It entered a swarm out in the world."""
    home = Home()
    home.do(Connecting(WORLD_SEED))
    return home


def outside_home() -> Home:
    """It is reached by what its router maps to it."""
    home = hidden_home()
    home.do(mapped(), DialledIn(OUTSIDE, ELSEWHERE))
    assert home.own == OUTSIDE
    return home


# Entering


def test_who_enters_a_swarm_of_its_own_network_stays() -> None:
    home = Home()
    assert home.do(Connecting(LAN_SEED)) == []
    assert home.own == LOCAL


def test_who_enters_a_swarm_out_in_the_world_hides() -> None:
    home = Home()
    assert home.do(Connecting(WORLD_SEED)) == [Become(HIDDEN)]
    assert home.own == HIDDEN
    assert home.do(Connecting(WORLD_SEED)) == []


@pytest.mark.parametrize("local", ["127.0.0.1:50000", "8.8.4.4:50000", "[2606:4700::7]:50000"])
def test_a_peer_of_this_machine_or_of_the_world_never_hides_and_needs_no_mapping(local: Address) -> None:
    home = Home(local, local)
    assert not home.reach.wants_mapping
    assert home.do(Connecting(WORLD_SEED)) == []


@pytest.mark.parametrize(
    ("local", "wants"), [(LOCAL, True), ("100.64.0.9:50000", True), ("[fd00::7]:50000", False)]
)
def test_only_an_ipv4_address_of_the_own_network_needs_a_mapping(local: Address, wants: bool) -> None:
    assert Home(local, local).reach.wants_mapping is wants
    assert not Home(local, local, is_fixed=True).reach.wants_mapping


def test_a_fixed_address_is_kept_whatever_happens() -> None:
    home = Home(OUTSIDE, LOCAL, is_fixed=True)
    assert (
        home.do(Connecting(WORLD_SEED), mapped(CHANGED), DialledIn(CHANGED, ELSEWHERE), LOST, TimerFired())
        == []
    )
    assert (home.own, home.reach.next_deadline()) == (OUTSIDE, None)


# Becoming somebody whom others can dial


def test_a_mapping_is_watched_and_becomes_the_address_once_somebody_elsewhere_dialled_it() -> None:
    home = hidden_home()
    assert home.do(mapped()) == [Watch(OUTSIDE)]
    assert home.own == HIDDEN
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == [Watch(NOBODY), Become(OUTSIDE)]
    assert home.own == OUTSIDE


def test_the_same_mapping_told_again_changes_nothing() -> None:
    home = hidden_home()
    home.do(mapped())
    assert home.do(mapped()) == []
    home.do(DialledIn(OUTSIDE, ELSEWHERE))
    assert home.do(mapped()) == []


@pytest.mark.parametrize(
    "source",
    ["local", "127.0.0.1", "192.168.77.20", "10.1.2.3", "100.64.1.1", "44.128.77.1", "", "junk", "fd00::/64"],
)
def test_who_dials_from_here_from_the_own_network_or_from_the_address_itself_proves_nothing(
    source: str,
) -> None:
    home = hidden_home()
    home.do(mapped())
    assert home.do(DialledIn(OUTSIDE, source)) == []
    assert home.own == HIDDEN


def test_who_dialled_another_address_than_the_watched_one_proves_nothing() -> None:
    home = hidden_home()
    home.do(mapped())
    assert home.do(DialledIn(CHANGED, ELSEWHERE), DialledIn(LOCAL, ELSEWHERE)) == []


def test_an_address_that_is_mapped_no_more_is_not_become() -> None:
    home = hidden_home()
    assert home.do(mapped(), LOST) == [Watch(OUTSIDE), Watch(NOBODY)]
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == []


def test_an_address_behind_another_nat_is_never_advertised() -> None:
    home = hidden_home()
    double = canonical_address("100.64.9.1", 50000)
    assert home.do(mapped(double, is_global=False)) == []
    assert home.do(DialledIn(double, ELSEWHERE)) == []
    assert home.own == HIDDEN


def test_without_an_external_ip_there_is_nothing_to_watch() -> None:
    nameless = Mapped(
        port=50000,
        protocol="nat-pmp",
        gateway="",
        external_ip="",
        external_port=50000,
        lease_s=60.0,
        is_global=False,
    )
    assert hidden_home().do(nameless) == []


def test_who_is_in_a_ring_of_its_own_network_stays_there_although_others_can_dial_it() -> None:
    home = Home(is_alone=False)
    assert home.do(mapped()) == [Watch(OUTSIDE)]
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == []
    assert home.own == LOCAL
    home.is_alone = True
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == [Watch(NOBODY), Become(OUTSIDE)]


# Losing it


def test_when_the_routers_address_changes_it_hides_and_becomes_the_new_one_once_that_was_dialled() -> None:
    home = outside_home()
    assert home.do(mapped(CHANGED)) == [Become(HIDDEN), Watch(CHANGED)]
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == []
    assert home.do(DialledIn(CHANGED, ELSEWHERE)) == [Watch(NOBODY), Become(CHANGED)]


@pytest.mark.parametrize(
    "news", [LOST, NOT_MAPPED, mapped(canonical_address("10.9.9.2", 50000), is_global=False)]
)
def test_a_lost_mapping_is_forgiven_for_a_while_and_then_it_hides(news: ReachabilityInput) -> None:
    home = outside_home()
    assert home.do(news) == []
    assert home.reach.next_deadline() == GRACE
    home.now = GRACE - 0.1
    assert home.do(TimerFired()) == []
    assert home.own == OUTSIDE
    assert home.wait() == [Become(HIDDEN)]
    assert home.reach.next_deadline() is None


def test_a_mapping_that_is_back_in_time_changes_nothing() -> None:
    home = outside_home()
    home.do(LOST)
    home.now = GRACE - 0.1
    assert home.do(mapped()) == []
    assert home.reach.next_deadline() is None
    home.now = GRACE
    assert home.do(TimerFired()) == []
    assert home.own == OUTSIDE


def test_news_that_it_is_still_not_mapped_do_not_prolong_the_grace() -> None:
    home = outside_home()
    home.do(LOST)
    home.now = GRACE / 2
    home.do(NOT_MAPPED)
    assert home.reach.next_deadline() == GRACE


def test_who_hid_because_its_mapping_was_lost_comes_back_by_a_new_one() -> None:
    home = outside_home()
    home.do(LOST)
    home.wait()
    assert home.do(mapped()) == [Watch(OUTSIDE)]
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == [Watch(NOBODY), Become(OUTSIDE)]


def test_a_peer_of_a_local_ring_does_not_mind_that_no_router_maps_it() -> None:
    home = Home(is_alone=False)
    assert home.do(NOT_MAPPED, mapped(), LOST) == [Watch(OUTSIDE), Watch(NOBODY)]
    assert (home.own, home.reach.next_deadline()) == (LOCAL, None)


# Two of one network


def beside(*, is_higher: bool) -> Address:
    """The address of another peer behind the same router, of a higher place or a lower one."""
    found = (canonical_address("44.128.77.1", port) for port in range(40000, 41000))
    return next(address for address in found if (place_of(address) > place_of(OUTSIDE)) is is_higher)


def test_of_two_that_cannot_dial_each_other_behind_one_router_the_higher_place_hides() -> None:
    assert outside_home().do(BesideUnreached(beside(is_higher=True))) == []
    assert outside_home().do(BesideUnreached(beside(is_higher=False))) == [Become(HIDDEN)]


@pytest.mark.parametrize("home", [Home, hidden_home])
def test_who_is_not_at_an_address_of_the_router_does_not_yield(home: type[Home]) -> None:
    assert home().do(BesideUnreached(beside(is_higher=False))) == []


def test_who_yielded_stays_hidden_for_a_while_and_tries_again_then() -> None:
    home = outside_home()
    home.do(BesideUnreached(beside(is_higher=False)))
    home.now = NAT.yielding - 1
    assert home.do(mapped(), TimerFired(), DialledIn(OUTSIDE, ELSEWHERE)) == []
    assert home.reach.next_deadline() == NAT.yielding
    assert home.wait() == [Watch(OUTSIDE)]
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == [Watch(NOBODY), Become(OUTSIDE)]
    assert home.reach.next_deadline() is None


def test_who_yielded_and_is_not_mapped_any_more_waits_for_nothing() -> None:
    home = outside_home()
    home.do(BesideUnreached(beside(is_higher=False)), LOST)
    assert home.reach.next_deadline() is None


def yielded(home: Home) -> float:
    """Has it yield, come back as soon as it may, and says how long that was."""
    began = home.now
    home.do(BesideUnreached(beside(is_higher=False)))
    home.wait()
    home.do(DialledIn(OUTSIDE, ELSEWHERE))
    assert home.own == OUTSIDE
    return home.now - began


def test_who_has_to_yield_again_and_again_does_so_for_longer_and_longer_up_to_an_hour() -> None:
    home = outside_home()
    assert [yielded(home) for _ in range(6)] == [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0]
    home.now += NAT.yielding_most + 1
    assert yielded(home) == NAT.yielding


# What this machine does not let it do


def test_who_cannot_hide_stays_where_it_is_and_tries_again_when_it_lost_its_mapping() -> None:
    home = outside_home()
    home.do(LOST)
    home.wait()
    assert home.own == HIDDEN
    assert home.do(CannotBe(HIDDEN, OUTSIDE)) == []
    assert home.own == OUTSIDE
    assert home.reach.next_deadline() == home.now + GRACE
    assert home.wait() == [Become(HIDDEN)]


def test_who_cannot_hide_from_a_swarm_out_in_the_world_stays_in_its_network() -> None:
    home = hidden_home()
    assert home.do(CannotBe(HIDDEN, LOCAL)) == []
    assert (home.own, home.reach.next_deadline()) == (LOCAL, None)
    assert home.do(Connecting(WORLD_SEED)) == [Become(HIDDEN)]


def test_who_cannot_be_at_its_mapped_address_has_it_dialled_again() -> None:
    home = outside_home()
    assert home.do(CannotBe(OUTSIDE, HIDDEN)) == [Watch(OUTSIDE)]
    assert home.do(DialledIn(OUTSIDE, ELSEWHERE)) == [Watch(NOBODY), Become(OUTSIDE)]


def test_who_cannot_hide_to_make_way_stays() -> None:
    home = outside_home()
    home.do(BesideUnreached(beside(is_higher=False)))
    assert home.do(CannotBe(HIDDEN, OUTSIDE)) == []
    assert home.reach.next_deadline() is None


# Any history

inputs = st.one_of(
    st.sampled_from([LAN_SEED, WORLD_SEED]).map(Connecting),
    st.builds(mapped, st.sampled_from([OUTSIDE, CHANGED, LAN_SEED]), is_global=st.booleans()),
    st.sampled_from([LOST, NOT_MAPPED, TimerFired()]),
    st.builds(
        DialledIn,
        st.sampled_from([OUTSIDE, CHANGED, LAN_SEED, LOCAL]),
        st.sampled_from([ELSEWHERE, "local", "192.168.77.20", "44.128.77.1", "44.128.90.1", ""]),
    ),
    st.sampled_from([beside(is_higher=True), beside(is_higher=False)]).map(BesideUnreached),
)


@given(st.lists(st.tuples(inputs, st.floats(0, 30), st.booleans(), st.booleans()), max_size=40))
def test_whatever_happens_it_becomes_only_what_is_mapped_and_was_dialled_from_elsewhere(
    history: list[tuple[ReachabilityInput, float, bool, bool]],
) -> None:
    home = Home()
    standing = NOBODY  # the last mapping of which the router said that its address is global
    watched = NOBODY
    for input, pause, is_alone, can_listen in history:
        home.now += pause
        home.is_alone = is_alone
        if isinstance(input, Mapped):
            standing = Address(f"{input.external_ip}:{input.external_port}") if input.is_global else NOBODY
        elif isinstance(input, MappingLost | NotMapped):
            standing = NOBODY
        before = home.own
        outputs = home.do(input)
        became = [output.address for output in outputs if isinstance(output, Become)]
        for output in outputs:
            watched = output.candidate if isinstance(output, Watch) else watched
        for address in became:
            if is_hidden(address):
                assert address == HIDDEN
                assert before != HIDDEN
                continue
            assert isinstance(input, DialledIn)
            assert address == standing == input.address
            assert input.source not in ("local", "", "192.168.77.20", address.rpartition(":")[0])
        assert home.own == (became[-1] if became else before)
        if became and not can_listen:
            for output in home.do(CannotBe(home.own, before)):
                assert isinstance(output, Watch)
                watched = output.candidate
            assert home.own == before
        assert watched in (NOBODY, standing)
        due = home.reach.next_deadline()
        if isinstance(input, TimerFired):
            assert due is None or due > home.now
