"""Whatever users, routers and networks do: what was said to be mapped is, or it is said to be lost; nothing is left behind.

``World`` checks at every step that at most one request is open, that nothing spins, and that no lease ends unsaid.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cicada.nat.io import AddPort, Mapped, RemovePort, RouterSpoke
from cicada.nat.requests import PROTOCOLS, Gateway
from tests.nat.world import CAFE, HOME, SimRouter, World

PORTS = st.integers(5000, 5003)
MOVED = Gateway(HOME.address, "192.168.1.77", "eth0", "192.168.1.0/24")


class Mapping(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    @initialize(
        seed=st.integers(0, 99),
        lease=st.sampled_from([0.0, 4.0, 60.0, 3600.0]),
        speaks=st.sets(st.sampled_from(PROTOCOLS)),
    )
    def begin(self, seed: int, lease: float, speaks: set[str]) -> None:
        home, cafe = SimRouter(*sorted(speaks)), SimRouter()
        home.lease = lease
        self.world = World(home, cafe, seed=seed)
        self.wanted: set[int] = set()

    @rule(port=PORTS)
    def add(self, port: int) -> None:
        self.world.tell(AddPort(port=port))
        self.wanted.add(port)

    @rule(port=PORTS)
    def remove(self, port: int) -> None:
        self.world.forget(port)
        self.world.tell(RemovePort(port=port))
        self.wanted.discard(port)

    @rule(seconds=st.sampled_from([0.003, 0.02, 0.5, 3.0, 11.0, 40.0, 300.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule()
    def reboot(self) -> None:
        self.world.router.reboot(self.world.now)

    @rule(is_silent=st.booleans())
    def fall_silent_or_come_back(self, is_silent: bool) -> None:
        self.world.router.is_silent = is_silent

    @rule(
        protocol=st.sampled_from(PROTOCOLS),
        reason=st.sampled_from(["", "refused", "conflict", "no-wan", "timeout"]),
    )
    def refuse(self, protocol: str, reason: str) -> None:
        self.world.router.refusals.pop(protocol, None)
        if reason:
            self.world.router.refusals[protocol] = reason

    @rule(late=st.sets(st.sampled_from(PROTOCOLS)))
    def lose_answers(self, late: set[str]) -> None:
        self.world.router.late = late

    @rule(moved=st.integers(0, 3), external_ip=st.sampled_from(["8.8.4.4", "9.9.9.9", "100.64.0.1", ""]))
    def change(self, moved: int, external_ip: str) -> None:
        self.world.router.moves_ports = moved
        self.world.router.external_ip = external_ip

    @rule(gateway=st.sampled_from([HOME, CAFE, MOVED, None]))
    def move(self, gateway: Gateway | None) -> None:
        self.world.gateway = gateway

    @rule(gateway=st.sampled_from([HOME.address, CAFE.address, "1.2.3.4"]))
    def announce(self, gateway: str) -> None:
        self.world.tell(RouterSpoke(gateway=gateway))

    @invariant()
    def only_wanted_ports_are_said_to_be_mapped(self) -> None:
        said = {port for port, news in self.world.said.items() if isinstance(news, Mapped)}
        assert said <= self.wanted

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world, router = self.world, self.world.router
        router.is_silent, router.refusals, router.late = False, {}, set()
        router.speaks, router.lease, world.gateway = set(PROTOCOLS), 3600.0, HOME
        self.add(5000)
        world.run_until(self._is_all_mapped_at_home, within=8000.0, step=1.0)
        world.stop()
        world.run(1.0)
        assert not [held for held in router.mappings.values() if held[1] == HOME.local], router.mappings
        assert not world.routers[CAFE.address].mappings

    def _is_all_mapped_at_home(self) -> bool:
        world = self.world
        if not world.is_mapped(*self.wanted):
            return False
        return {world.mapped(port).local_ip for port in self.wanted} == {HOME.local}


TestMapping = Mapping.TestCase
TestMapping.settings = settings(max_examples=100, stateful_step_count=30)
