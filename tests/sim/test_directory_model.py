"""A directory beside a table of who has which name, whatever people do and in whatever order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from cicada.limits import KEYS, NAMES
from cicada.services.nameio import Refused, Registered
from cicada.sim.directory import DirectorySwarm, Keeping

PEERS = 7
LEASE = 600.0
NUMBERS = st.integers(0, PEERS - 1)
TITLES = st.sampled_from(["alice", "bob", "carol"])


class Directory(RuleBasedStateMachine):
    """One after another, each with time to settle; the table says by leases alone what must come of it. One peer at a time is
    away, for as long as a repair takes at least, so that no name loses all its replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.swarm = DirectorySwarm(1, PEERS)
        self.table: dict[
            str, tuple[int, float | None]
        ] = {}  # who has it, and until when if he is not up to renew it

    def node(self, number: int) -> Keeping:
        return list(self.swarm.nodes.values())[number]

    def holder(self, name: str, wait: float) -> int | None:
        """Who has the name; ``wait`` is how long after the end of a lease it is still kept for him."""
        number, until = self.table.get(name, (-1, None))
        if number < 0 or (until is not None and self.swarm.agenda.now >= until + wait):
            return None
        return number

    @rule(number=NUMBERS, name=TITLES)
    def somebody_registers(self, number: int, name: str) -> None:
        held = self.holder(name, KEYS.clock_skew)
        answer = self.swarm.registered(self.node(number), name, LEASE)
        if held is None or held == number:
            assert isinstance(answer, Registered)
            self.table[name] = number, None
        else:
            assert isinstance(answer, Refused)
            assert answer.reason == "taken"
        self.swarm.run(NAMES.settle + NAMES.ask + NAMES.cached + 1.0)
        assert self.swarm.lost == []

    @rule(number=NUMBERS, name=TITLES)
    def somebody_gives_it_back(self, number: int, name: str) -> None:
        self.swarm.release(self.node(number), name)
        if self.holder(name, 0.0) == number and self.table[name][1] is None:
            del self.table[name]
        self.swarm.run(NAMES.cached + 1.0)

    @rule(number=NUMBERS, name=TITLES)
    def somebody_asks(self, number: int, name: str) -> None:
        until = self.table.get(name, (0, None))[1]
        if until is not None and abs(until - self.swarm.agenda.now) < 5.0:
            return  # the table knows the end of the lease to some seconds only
        held, answer = self.holder(name, 0.0), self.swarm.resolved(self.node(number), name)
        if held is None:
            assert (answer.record, answer.reason) == (None, "no-such-name")
        else:
            assert answer.record is not None
            assert answer.record.peer_id == self.node(held).identity.peer_id

    @rule(seconds=st.sampled_from([60.0, 400.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.swarm.run(seconds)

    @rule(number=NUMBERS)
    def somebody_starts_anew(self, number: int) -> None:
        """He comes back with his key and knows nothing of his names, which are not renewed any more."""
        self.swarm.kill(self.node(number))
        ends = {}
        for name, (owner, until) in self.table.items():
            if owner == number and until is None:
                held = next(iter(self.swarm.keepers(name).values()))
                ends[name] = self.swarm.agenda.now + (held.expires_ms - self.node(number).wall_ms()) / 1000
        self.table |= {name: (number, end) for name, end in ends.items()}
        self.swarm.run(NAMES.repair + 10.0)
        self.swarm.start(number)
        self.swarm.run(2 * NAMES.repair)


TestDirectory = Directory.TestCase
TestDirectory.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
