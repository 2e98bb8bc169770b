"""What happens to a run: supervision, faults, and the swarm as a whole."""

from __future__ import annotations

from cicada.events.base import Event


class PeerStarted(Event, frozen=True, kw_only=True, tag=True):
    """A peer listens at ``address``. ``behaviour``: what harm it does on purpose, if any."""

    address: str
    place: str
    behaviour: str = ""


class AddressChanged(Event, frozen=True, kw_only=True, tag=True):
    """The peer is reached by another address, ``before`` no more: nobody could dial it there, or others can dial it here."""

    address: str
    place: str
    before: str


class PeerStopped(Event, frozen=True, kw_only=True, tag=True):
    """A peer ended: ``how`` is left, killed, stopped or failed."""

    how: str


class ChildExited(Event, frozen=True, kw_only=True, tag=True):
    """A supervised actor or worker ended without being asked to."""

    child: str
    reason: str


class ChildRestarted(Event, frozen=True, kw_only=True, tag=True):
    """Supervision started it again; ``restarts`` counts since the supervisor began."""

    child: str
    restarts: int


class Escalated(Event, frozen=True, kw_only=True, tag=True):
    """A supervisor gave up: more failures within its window than its intensity allows."""

    child: str
    reason: str


class WorkerStarted(Event, frozen=True, kw_only=True, tag=True):
    """A worker process is up."""

    worker: str
    pid: int


class WorkerExited(Event, frozen=True, kw_only=True, tag=True):
    """A worker process ended; ``expected``: it was told to."""

    worker: str
    pid: int
    exit: str
    expected: bool


class RunStateChanged(Event, frozen=True, kw_only=True, tag=True):
    """The swarm as a whole: starting, joining, proven, degraded, stopping, stopped, failed."""

    state: str
    detail: str = ""


class WaveRestarted(Event, frozen=True, kw_only=True, tag=True):
    """A wave of a rolling restart is back; the next waits for the proof of the ring. Counts from 1."""

    wave: int
    waves: int
    peers: tuple[str, ...]


class FaultStarted(Event, frozen=True, kw_only=True, tag=True):
    """Somebody set a fault. Numbers count from 1 in each run; the fields are those of commands.FaultRow, ``lasts`` in
    seconds (None: until it is ended)."""

    fault: int
    kind: str
    one: str
    other: str
    peers: tuple[str, ...]
    others: tuple[str, ...]
    seconds: float
    jitter: float
    percent: float
    lasts: float | None


class FaultEnded(Event, frozen=True, kw_only=True, tag=True):
    """A fault ended, or for these of its ``peers`` only. ``reason``: healed, thawed, expired, or worker-ended."""

    fault: int
    kind: str
    peers: tuple[str, ...]
    reason: str


class ScheduledFaultDone(Event, frozen=True, kw_only=True, tag=True):
    """The timeline did what the configuration says: ``entry`` is the index of its [[fault]], ``occurrence`` counts
    from 0, ``at_s`` and ``due_s`` are seconds from the first proof of the ring. ``peers`` are those concerned;
    ``problem`` says why it could not be done."""

    entry: int
    occurrence: int
    do: str
    select: str
    due_s: float
    at_s: float
    peers: tuple[str, ...] = ()
    problem: str = ""


class ExpectationChecked(Event, frozen=True, kw_only=True, tag=True):
    """An [[expect]] of the configuration was looked at, ``at_s`` seconds after the first proof of the ring. ``found`` says what
    there was, in words."""

    check: str
    at_s: float
    held: bool
    found: str


class CommandReceived(Event, frozen=True, kw_only=True, tag=True):
    """Somebody asked the launcher to do something to the swarm."""

    command: str


class EventsLost(Event, frozen=True, kw_only=True, tag=True):
    """This publisher or recorder lost events since it last said so: nobody took them fast enough, or the file was full."""

    count: int
    reason: str


RunEvent = (
    PeerStarted
    | AddressChanged
    | PeerStopped
    | ChildExited
    | ChildRestarted
    | Escalated
    | WorkerStarted
    | WorkerExited
    | RunStateChanged
    | WaveRestarted
    | FaultStarted
    | FaultEnded
    | ScheduledFaultDone
    | ExpectationChecked
    | CommandReceived
    | EventsLost
)
