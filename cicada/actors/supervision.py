"""When supervised children are restarted, as data and one pure decision. Actors and worker processes share it.

The rules are those of Erlang/OTP supervisors, with a back-off: restart strategies, restart intensity, escalation.
"""

from __future__ import annotations

import enum
from typing import assert_never

import msgspec

from cicada.errors import Misuse
from cicada.limits import SUPERVISION

History = tuple[float, ...]
"""When a supervisor restarted children, oldest first (seconds). Keep what ``recorded`` returns."""


class Strategy(enum.Enum):
    """Who is restarted when one child must be."""

    ONE_FOR_ONE = "one-for-one"  # that child only
    REST_FOR_ONE = "rest-for-one"  # that child and those started after it
    ONE_FOR_ALL = "one-for-all"


class Restart(enum.Enum):
    """Which exits of a child call for a restart."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"  # nor is it started again when a sibling's restart stops it


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One child."""

    name: str
    restart: Restart = Restart.ALWAYS


class SupervisorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Children in start order (they stop in reverse), and how often they may fail: more than ``max_restarts``
    restarts within ``within_s`` seconds escalate. Raises Misuse when that makes no sense.

    The first restart waits ``backoff_s`` seconds, each further one within the window twice as long, but never so long
    that a child which fails at every start could outlast the window for ever.
    """

    children: tuple[ChildSpec, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    max_restarts: int = SUPERVISION.max_restarts
    within_s: float = SUPERVISION.within
    backoff_s: float = SUPERVISION.backoff

    def __post_init__(self) -> None:
        names = [child.name for child in self.children]
        if len(set(names)) != len(names):
            raise Misuse(f"two children have the same name: {', '.join(sorted(names))}")
        if self.max_restarts < 0 or self.within_s <= 0 or self.backoff_s < 0:
            raise Misuse("max_restarts and backoff_s must not be negative, within_s must be positive")


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """A child ended without being told to. ``failed``: not of its own accord either."""

    child: str
    failed: bool
    reason: str


class Stop(msgspec.Struct, frozen=True):
    """Stop the child and wait until it has ended, before the next action. Nothing to do when it does not run."""

    child: str


class Start(msgspec.Struct, frozen=True):
    """Start the child, not before ``at``. Nothing to do when it runs."""

    child: str
    at: float


class Escalate(msgspec.Struct, frozen=True):
    """Give up, and tell whoever supervises the supervisor."""

    child: str
    reason: str


Action = Stop | Start | Escalate


def start_all(spec: SupervisorSpec, now: float) -> tuple[Action, ...]:
    """The first start of all children, in order."""
    return tuple(Start(child.name, now) for child in spec.children)


def stop_all(spec: SupervisorSpec) -> tuple[Action, ...]:
    """Stop all children, last started first."""
    return tuple(Stop(child.name) for child in reversed(spec.children))


def decide(spec: SupervisorSpec, history: History, exit: Exit, now: float) -> tuple[Action, ...]:
    """What to do about an exit, in this order. Empty: nothing.

    Follow it with ``history = recorded(spec, history, exit, now)``.
    """
    if not _calls_for_restart(spec, exit):
        return ()
    recent = _within_window(spec, history, now)
    if len(recent) >= spec.max_restarts:
        what = f"{exit.child} failed" if exit.failed else f"{exit.child} ended"
        reason = f"{what} ({exit.reason}) after {len(recent)} restarts within {spec.within_s:g} s"
        return (*stop_all(spec), Escalate(exit.child, reason))
    return _restart(spec, exit.child, now + _backoff(spec, len(recent)))


def recorded(spec: SupervisorSpec, history: History, exit: Exit, now: float) -> History:
    """The history after an exit was decided on; never longer than ``max_restarts + 1``."""
    recent = _within_window(spec, history, now)
    return (*recent, now)[-(spec.max_restarts + 1) :] if _calls_for_restart(spec, exit) else recent


def _calls_for_restart(spec: SupervisorSpec, exit: Exit) -> bool:
    restart = spec.children[_index(spec, exit.child)].restart
    return restart is Restart.ALWAYS or (restart is Restart.ON_FAILURE and exit.failed)


def _within_window(spec: SupervisorSpec, history: History, now: float) -> History:
    return tuple(time for time in history if now - time < spec.within_s)


def _backoff(spec: SupervisorSpec, restarts: int) -> float:
    longest = spec.within_s / (2 * (spec.max_restarts + 1))  # all together stay within half a window
    return min(spec.backoff_s * 2.0 ** min(restarts, 64), longest)


def _restart(spec: SupervisorSpec, child: str, at: float) -> tuple[Action, ...]:
    index = _index(spec, child)
    match spec.strategy:
        case Strategy.ONE_FOR_ONE:
            affected = spec.children[index : index + 1]
        case Strategy.REST_FOR_ONE:
            affected = spec.children[index:]
        case Strategy.ONE_FOR_ALL:
            affected = spec.children
        case _:
            assert_never(spec.strategy)
    stops = tuple(Stop(other.name) for other in reversed(affected) if other.name != child)
    starts = tuple(
        Start(other.name, at)
        for other in affected
        if other.name == child or other.restart is not Restart.NEVER
    )
    return stops + starts


def _index(spec: SupervisorSpec, name: str) -> int:
    for index, child in enumerate(spec.children):
        if child.name == name:
            return index
    raise Misuse(f"no child is called {name!r}: there are {', '.join(child.name for child in spec.children)}")
