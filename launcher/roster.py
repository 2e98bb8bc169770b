"""Who is in the swarm and in what state: the launcher's book of its peers. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

import msgspec

from cicada.config.model import Group
from cicada.errors import Misuse
from cicada.ids import Address, Peer, split_address
from launcher.plan import Plan, PlannedPeer, least_loaded
from launcher.selectors import Candidate


class State(enum.Enum):
    """A peer as the launcher knows it."""

    IDLE = "idle"  # not started yet, or its start failed
    UP = "up"  # listens, a ring of one
    JOINED = "joined"
    LOST = "lost"  # its worker died; it comes back with the worker
    FAILED = "failed"  # its supervisor gave up
    STOPPED = "stopped"  # told to leave
    RETIRED = "retired"  # told to leave by a smaller scale; a larger one brings it back
    KILLED = "killed"


RETURNING = frozenset({State.UP, State.JOINED, State.LOST})
"""These return with a restarted worker: they were not told to end, and did not give up."""

LIVE = frozenset({State.UP, State.JOINED})
ENDED = frozenset({State.FAILED, State.STOPPED, State.RETIRED, State.KILLED})


class Member:
    """One peer and its state."""

    __slots__ = ("frozen", "planned", "problem", "state")

    def __init__(self, planned: PlannedPeer) -> None:
        self.planned = planned
        self.state = State.IDLE
        self.problem = ""
        self.frozen = False  # stands still by itself; one whose worker was stopped does too

    @property
    def name(self) -> str:
        return self.planned.name

    @property
    def address(self) -> Address:
        return self.planned.address

    @property
    def peer(self) -> Peer:
        return self.planned.peer

    @property
    def worker(self) -> str:
        return self.planned.worker


class Roster:
    """All peers by name. Iterates in the order of the plan."""

    def __init__(self, plan: Plan, groups: Iterable[Group]) -> None:
        self.workers = plan.workers
        self._groups = {group.name: group for group in groups}
        self._members = {planned.name: Member(planned) for planned in plan.peers}
        self._names = {planned.address: planned.name for planned in plan.peers}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> Member:
        """Raises Misuse when nobody is called that."""
        try:
            return self._members[name]
        except KeyError:
            raise Misuse(f"no peer is called {name!r}: `cicada peers` lists them") from None

    def name_at(self, address: str) -> str:
        """The peer with this address; empty when it is none of ours."""
        return self._names.get(Address(address), "")

    def having(self, *states: State) -> list[Member]:
        """The members in one of these states."""
        return [member for member in self if member.state in states]

    def live(self) -> list[Member]:
        """The members that listen, so far as is known."""
        return [member for member in self if member.state in LIVE]

    def expected(self) -> list[Member]:
        """The members of which the ring ought to consist: those that live and those that will be back."""
        return [member for member in self if member.state in RETURNING]

    def hosted_by(self, worker: str) -> list[Member]:
        """The members that this worker hosts, in whatever state."""
        return [member for member in self if member.worker == worker]

    def mark(self, names: Iterable[str], state: State, problem: str = "") -> None:
        """These are in ``state`` from now on; ``problem`` says why when that is not as it should be."""
        for name in names:
            member = self[name]
            member.state, member.problem = state, problem

    def lose(self, worker: str) -> list[Member]:
        """The worker died: its live peers are lost until it is back. Returns those that return with it."""
        returning = [member for member in self.hosted_by(worker) if member.state in RETURNING]
        self.mark((member.name for member in returning), State.LOST)
        return returning

    def candidates(self, *states: State) -> list[Candidate]:
        """Members in these states (none given: all), as selectors take them."""
        chosen = self.having(*states) if states else list(self)
        return [Candidate(member.name, member.planned.group, member.worker) for member in chosen]

    def grow(self, group: str, count: int) -> list[Member]:
        """Add ``count`` new peers to a group, numbered on, each in the worker that hosts the fewest.

        Raises Misuse when there is no such group, or an address would be taken by another peer or pass the last port.
        """
        fresh = self._plan_more(self._group(group), count)
        for planned in fresh:
            self._members[planned.name] = Member(planned)
            self._names[planned.address] = planned.name
        return [self._members[planned.name] for planned in fresh]

    def forget(self, members: Iterable[Member]) -> None:
        """Take back what ``grow`` added."""
        for member in members:
            del self._members[member.name], self._names[member.address]

    def scale(self, group: str, count: int) -> ScalePlan:
        """What has to happen for the group to have exactly ``count`` peers. Changes nothing.

        The highest numbers leave first. Peers that left by an earlier scale return first; killed ones never do.
        """
        ours = [m for m in self if m.planned.group == self._group(group).name]
        present = sorted((m for m in ours if m.state in RETURNING), key=_number)
        retired = sorted((m for m in ours if m.state is State.RETIRED), key=_number)
        missing = max(0, count - len(present))
        return ScalePlan(
            leave=tuple(m.name for m in present[count:]),
            back=tuple(m.name for m in retired[:missing]),
            fresh=max(0, missing - len(retired)),
        )

    def _group(self, name: str) -> Group:
        try:
            return self._groups[name]
        except KeyError:
            raise Misuse(f"no group is called {name!r}: there are {', '.join(self._groups)}") from None

    def _plan_more(self, group: Group, count: int) -> list[PlannedPeer]:
        first = 1 + max((_number(m) for m in self if m.planned.group == group.name), default=-1)
        numbers = range(first, first + count)
        addresses = [self._free_address(group, number) for number in numbers]
        workers = least_loaded(self.workers, (m.worker for m in self if m.state in RETURNING), count)
        return [
            PlannedPeer(
                name=group.peer_name(number),
                group=group.name,
                number=number,
                address=address,
                worker=worker,
                behaviour=group.harm,
            )
            for number, address, worker in zip(numbers, addresses, workers, strict=True)
        ]

    def _free_address(self, group: Group, number: int) -> Address:
        address = group.address_of(number)
        owner = self._names.get(address)
        if owner is not None:
            port = split_address(address)[1]
            raise Misuse(
                f"{group.peer_name(number)} would get port {port}, which is {owner}'s: leave more room between groups"
            )
        return address


class ScalePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Who leaves, who comes back, and how many new peers are needed besides."""

    leave: tuple[str, ...]
    back: tuple[str, ...]
    fresh: int


def _number(member: Member) -> int:
    return member.planned.number
