"""Whatever two peers do, in whatever order: nothing is lost silently, nothing comes twice while connections live."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.ids import Peer, peer_at
from cicada.wire.codec import Message
from cicada.wire.routed import Data
from tests.transport.linknet import SMALL, Host, Network, address, control, data

SOURCES: list[Peer | None] = [None, peer_at(address(8)), peer_at(address(9))]

SEND = st.tuples(
    st.just("send"), st.booleans(), st.integers(0, 2), st.booleans(), st.sampled_from([0, 100, 900, 3000])
)
WAIT = st.tuples(st.just("wait"), st.sampled_from([0.0005, 0.002, 0.03, 0.11]))
PROVE = st.tuples(st.just("prove"), st.booleans())
KEEP = st.tuples(st.just("keep"), st.booleans())
CHOKE = st.tuples(st.just("choke"))  # until the next wait, which is then too short for a time-out
HONEST = st.lists(SEND | WAIT | PROVE | KEEP | CHOKE, max_size=60)
CUT = st.tuples(st.just("cut"), st.sampled_from(["reset", "idle"]))
REBIRTH = st.tuples(st.just("rebirth"), st.booleans())


class Driver:
    """Carries steps out on two hosts and remembers what was sent."""

    def __init__(self, seed: int) -> None:
        self.network = Network(limits=SMALL)
        self.hosts = list(self.network.pair())
        self.sent: dict[bool, list[tuple[Message, Peer | None]]] = {False: [], True: []}
        self.reports: list[Host] = list(self.hosts)
        chance = random.Random(seed)
        self.network.latency = lambda _: chance.choice([0.0002, 0.001, 0.01])
        self._number = 0

    def do(self, step: tuple[object, ...]) -> None:
        match step:
            case ("send", bool(who), int(source), bool(urgent), int(size)):
                self._number += 1
                message = control(self._number, min(size, 900)) if urgent else data(self._number, size)
                origin = None if urgent else SOURCES[source]
                self.sent[who].append((message, origin))
                self.hosts[who].send(self.hosts[not who], message, origin)
            case ("wait", float(seconds)):
                self.network.run(min(seconds, 0.06) if self.network.choked else seconds)
                self.network.choked.clear()
            case ("prove", bool(who)):
                self.hosts[who].prove(self.hosts[not who])
            case ("keep", bool(who)):
                self.hosts[who].keep(self.hosts[not who])
            case ("choke",):
                self.network.choked.update(end for pipe in self.network.open_pipes() for end in pipe.ends)
            case ("cut", str(reason)):
                for pipe in list(self.network.open_pipes())[:1]:
                    self.network.cut(pipe, reason)
            case ("rebirth", bool(who)):
                self.hosts[who].close_all()
                self.hosts[who] = self.network.host(1 + who, incarnation=len(self.reports))
                self.reports.append(self.hosts[who])
            case _:
                raise ValueError(step)
        self.check_bounds()

    def check_bounds(self) -> None:
        for host in self.hosts:
            for row in host.links.snapshot().links:
                assert row.queued <= SMALL.max_queued
                assert row.unacknowledged <= SMALL.max_unacknowledged

    def finish(self) -> None:
        self.network.choked.clear()
        self.network.run(30.0)

    def arrived(self, who: bool) -> list[Message]:
        """What ``who``'s messages came to, over all lives of the other side."""
        address_of = self.hosts[not who].peer
        return [message for host in self.reports if host.peer == address_of for message in host.received]

    def returned(self, who: bool) -> list[Message]:
        own = self.hosts[who].peer
        return [message for host in self.reports if host.peer == own for message in host.undelivered]

    def dropped(self, who: bool) -> int:
        own = self.hosts[who].peer
        return sum(drop.count for host in self.reports if host.peer == own for drop in host.dropped)


def lane(entry: tuple[Message, Peer | None]) -> object:
    return entry[1] if isinstance(entry[0], Data) else "control"


@given(HONEST, st.integers(0, 1000))
def test_while_connections_live_everything_arrives_in_order_exactly_once(
    steps: list[tuple[object, ...]], seed: int
) -> None:
    driver = Driver(seed)
    for step in steps:
        driver.do(step)
    driver.finish()
    for who in (False, True):
        arrived = driver.arrived(who)
        sent = driver.sent[who]
        assert driver.returned(who) == []
        assert len(arrived) + driver.dropped(who) == len(sent)
        lanes: dict[object, list[Message]] = {}
        for entry in sent:
            lanes.setdefault(lane(entry), []).append(entry[0])
        for messages in lanes.values():
            got = [message for message in arrived if message in messages]
            assert got == [message for message in messages if message in got]
        assert len(arrived) == len({repr(message) for message in arrived})


@given(st.lists(SEND | WAIT | PROVE | CUT, max_size=60), st.integers(0, 1000))
def test_when_connections_die_every_message_arrives_or_comes_back_or_is_counted(
    steps: list[tuple[object, ...]], seed: int
) -> None:
    driver = Driver(seed)
    for step in steps:
        driver.do(step)
    driver.finish()
    for who in (False, True):
        sent = {repr(message) for message, _ in driver.sent[who]}
        accounted = {repr(message) for message in driver.arrived(who) + driver.returned(who)}
        assert accounted <= sent
        assert len(sent - accounted) <= driver.dropped(who)
        own = driver.hosts[who]
        assert own.indexes.attached == set(own.links.indexes())
        for row in own.links.snapshot().links:
            assert row.unacknowledged == row.queued == 0


@given(st.lists(SEND | WAIT | PROVE | CUT | REBIRTH, max_size=50), st.integers(0, 1000))
def test_when_peers_start_anew_their_partners_lose_nothing_silently(
    steps: list[tuple[object, ...]], seed: int
) -> None:
    driver = Driver(seed)
    for step in steps:
        driver.do(step)
    driver.finish()
    for who in (False, True):
        sent = {repr(message) for message, _ in driver.sent[who]}
        accounted = {repr(message) for message in driver.arrived(who) + driver.returned(who)}
        lives = [host for host in driver.reports if host.peer == driver.hosts[who].peer]
        if len(lives) == 1:
            assert len(sent - accounted) <= driver.dropped(who)
        for host in lives[:-1]:
            assert host.indexes.attached == set()


@pytest.mark.parametrize("seed", range(5))
def test_two_busy_peers_with_two_links_converge_without_loss(seed: int) -> None:
    driver = Driver(seed)
    chance = random.Random(seed)
    choices: list[Callable[[], tuple[object, ...]]] = [
        lambda: ("send", chance.random() < 0.5, chance.randrange(3), chance.random() < 0.2, 100),
        lambda: ("wait", chance.choice([0.0, 0.001, 0.02])),
    ]
    driver.do(("send", False, 0, False, 0))
    driver.do(("send", True, 0, False, 0))
    for _ in range(1500):
        driver.do(chance.choice(choices)())
    driver.finish()
    for who in (False, True):
        assert len(driver.arrived(who)) + driver.dropped(who) == len(driver.sent[who])
        assert driver.returned(who) == []
