"""Who of each group is in the ring, on the way, suspect or dead; and who is worst off. Pure."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable

import msgspec

from cicada.commands import GroupStatus
from launcher.roster import ENDED, State


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One peer as the launcher's book has it (``state``, ``problem``, ``frozen``), and as it was seen last.

    ``seen``: it gave a snapshot; ``joined`` and ``restarts`` are from that.
    """

    name: str
    group: str
    state: State
    problem: str = ""
    frozen: bool = False
    seen: bool = False
    joined: bool = False
    restarts: int = 0


class Standing(enum.Enum):
    """What a peer counts as."""

    JOINED = "joined"
    JOINING = "joining"
    SUSPECT = "suspect"
    DEAD = "dead"


def standing(sight: Sight) -> Standing:
    """What this peer counts as."""
    if sight.state in ENDED or (sight.state is State.IDLE and sight.problem):
        return Standing.DEAD
    if sight.state is State.IDLE:
        return Standing.JOINING
    if sight.state is State.LOST or sight.frozen:
        return Standing.SUSPECT
    if not sight.seen:
        return Standing.SUSPECT if sight.state is State.JOINED else Standing.JOINING
    return Standing.JOINED if sight.joined else Standing.JOINING


def census(sights: Iterable[Sight]) -> tuple[GroupStatus, ...]:
    """Every group, in the order in which it is first met."""
    counts: dict[str, dict[Standing, int]] = {}
    restarts: dict[str, int] = {}
    for sight in sights:
        of_group = counts.setdefault(sight.group, dict.fromkeys(Standing, 0))
        of_group[standing(sight)] += 1
        restarts[sight.group] = restarts.get(sight.group, 0) + sight.restarts
    return tuple(
        GroupStatus(
            name=group,
            peers=sum(of_group.values()),
            joined=of_group[Standing.JOINED],
            joining=of_group[Standing.JOINING],
            suspect=of_group[Standing.SUSPECT],
            dead=of_group[Standing.DEAD],
            restarts=restarts[group],
        )
        for group, of_group in counts.items()
    )


def worst(sights: Iterable[Sight], most: int) -> tuple[str, ...]:
    """At most so many peers that somebody may want to look at, the worst first, each with what is wrong with it.

    Peers that were told to end are not among them.
    """
    troubled = [(badness, sight) for sight in sights if (badness := _badness(sight)) > (0, 0)]
    first = heapq.nsmallest(most, troubled, key=lambda entry: (-entry[0][0], -entry[0][1], entry[1].name))
    return tuple(f"{sight.name}: {_in_words(sight)}" for _, sight in first)


def _badness(sight: Sight) -> tuple[int, int]:
    where = standing(sight)
    if sight.state is State.FAILED or (where is Standing.DEAD and sight.problem):
        return 3, sight.restarts
    if where is Standing.SUSPECT:
        return 2, sight.restarts
    if where is Standing.JOINING and sight.problem:
        return 1, sight.restarts
    return 0, sight.restarts if where is not Standing.DEAD else 0


def _in_words(sight: Sight) -> str:
    restarts = f"{sight.restarts} restarts" if sight.restarts > 1 else "1 restart" if sight.restarts else ""
    found = sight.problem or _doubt(sight)
    return ", ".join(part for part in (found, restarts) if part)


def _doubt(sight: Sight) -> str:
    if standing(sight) is not Standing.SUSPECT:
        return "gave up" if sight.state is State.FAILED else ""
    if sight.state is State.LOST:
        return "its worker ended and is coming back"
    return "stands still" if sight.frozen else "does not answer"
