"""What stands of all that was told: its fold is the fold over everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from cicada.bus.standing import Standing
from cicada.events import (
    AddressChanged,
    AnyEvent,
    ChildExited,
    FaultEnded,
    FaultStarted,
    FingersChanged,
    LinkClosed,
    LinkOpened,
    LoadEnded,
    LoadStarted,
    MessageDropped,
    PeerStarted,
    PeerStopped,
    PhaseChanged,
    PredecessorChanged,
    RelaysChanged,
    RunStateChanged,
    SuccessorsChanged,
    WorkerExited,
    WorkerStarted,
)

STARTED = PeerStarted(address="127.0.0.1:1", place="0f")
REMOTES = st.sampled_from(["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"])


@dataclass
class Peer:
    """What somebody who sees every event knows of a peer."""

    address: str = ""
    phase: str = ""
    ended: str = ""
    successors: tuple[str, ...] = ()
    predecessor: str = ""
    relays: tuple[str, ...] = ()
    fingers: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)


def fold(peers: dict[str, Peer], name: str, event: AnyEvent) -> None:
    """The simplest that works on the whole stream."""
    peer = peers.setdefault(name, Peer())
    match event:
        case PeerStarted(address=address):
            peers[name] = Peer(address)
        case AddressChanged(address=address):
            peer.address = address
        case PeerStopped(how=how):
            peers[name] = Peer(peer.address, ended=how)
        case PhaseChanged(phase=phase):
            peer.phase = phase
        case SuccessorsChanged(successors=successors):
            peer.successors = successors
        case PredecessorChanged(predecessor=predecessor):
            peer.predecessor = predecessor
        case RelaysChanged(relays=relays):
            peer.relays = relays
        case FingersChanged(added=added, removed=removed):
            peer.fingers = (peer.fingers - set(removed)) | set(added)
        case LinkOpened(remote=remote):
            peer.links.add(remote)
        case LinkClosed(remote=remote, left=0):
            peer.links.discard(remote)
        case _:
            pass


EVENTS = st.one_of(
    st.just(STARTED),
    st.builds(PeerStopped, how=st.sampled_from(["left", "killed"])),
    st.builds(AddressChanged, address=REMOTES, place=st.just("0"), before=REMOTES),
    st.builds(PhaseChanged, phase=st.sampled_from(["idle", "joining", "alone", "member"])),
    st.builds(SuccessorsChanged, successors=st.lists(REMOTES, unique=True).map(tuple)),
    st.builds(PredecessorChanged, predecessor=REMOTES | st.just("")),
    st.builds(FingersChanged, added=st.lists(REMOTES).map(tuple), removed=st.lists(REMOTES).map(tuple)),
    st.builds(LinkOpened, remote=REMOTES, dialled=st.booleans()),
    st.builds(ChildExited, child=st.sampled_from(["ring", "transport", "router"]), reason=st.just("test")),
    st.builds(RelaysChanged, relays=st.lists(REMOTES, max_size=2).map(tuple)),
    st.builds(MessageDropped, reason=st.just("closed")),
)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), EVENTS | REMOTES), max_size=60))
def test_whoever_joins_late_knows_what_whoever_saw_everything_knows(
    steps: list[tuple[str, AnyEvent | str]],
) -> None:
    standing, always = Standing(), dict[str, Peer]()
    open_links: dict[tuple[str, str], int] = {}
    alive: set[str] = set()

    def tell(name: str, event: AnyEvent) -> None:
        fold(always, name, event)
        for correction in standing.note(name, event):
            tell(name, correction)

    for name, step in steps:
        if isinstance(step, PeerStarted):
            alive.add(name)
        elif name not in alive:
            continue  # it says nothing before it starts, or after its last word
        if isinstance(step, PeerStopped):
            alive.discard(name)
        if isinstance(step, str):  # close one of the links with it
            left = open_links.pop((name, step), 0) - 1
            if left < 0:
                continue
            open_links[name, step] = left
            tell(name, LinkClosed(remote=step, reason="test", left=left))
            continue
        if isinstance(step, LinkOpened):
            open_links[name, step.remote] = open_links.get((name, step.remote), 0) + 1
        is_end = isinstance(step, PeerStarted | PeerStopped | AddressChanged)
        if is_end or (isinstance(step, ChildExited) and step.child == "transport"):
            open_links = {key: count for key, count in open_links.items() if key[0] != name}
        tell(name, step)

    late: dict[str, Peer] = {}
    for name, event in standing.events():
        fold(late, name, event)
    assert {name: late.get(name, Peer()) for name in always} == always


def test_of_a_peer_that_ended_only_who_it_was_is_kept_and_of_so_many_the_latest() -> None:
    standing = Standing(ended_peers=2)
    for name in ("a", "b", "c"):
        standing.note(name, STARTED)
        standing.note(name, PhaseChanged(phase="member"))
        standing.note(name, PeerStopped(how="killed"))
    assert list(standing.events()) == [
        (name, event) for name in ("b", "c") for event in (STARTED, PeerStopped(how="killed"))
    ]


def test_of_a_run_the_last_word_on_each_worker_fault_and_load_stands() -> None:
    standing = Standing()
    told: list[AnyEvent] = [
        RunStateChanged(state="joining"),
        WorkerStarted(worker="w-0", pid=1),
        WorkerStarted(worker="w-1", pid=2),
        RunStateChanged(state="proven"),
        WorkerExited(worker="w-1", pid=2, exit="SIGKILL", expected=False),
        fault(1, "freeze", ("a", "b")),
        fault(2, "drop", ("a",)),
        FaultEnded(fault=2, kind="drop", peers=("a",), reason="healed"),
        FaultEnded(fault=1, kind="freeze", peers=("b",), reason="thawed"),
        load(1),
        LoadEnded(load=1, outcome="finished", verdict="", seconds=1.0),
        load(2),
    ]
    for event in told:
        standing.note("", event)
    assert [event for _, event in standing.events()] == [
        told[3],
        told[1],
        told[4],
        fault(1, "freeze", ("a",)),
        load(2),
    ]


def fault(number: int, kind: str, peers: tuple[str, ...]) -> FaultStarted:
    return FaultStarted(
        fault=number, kind=kind, one="", other="", peers=peers, others=(), seconds=0, jitter=0, percent=0, lasts=None
    )  # fmt: skip


def load(number: int) -> LoadStarted:
    return LoadStarted(
        load=number, model="open", ops={"send": 1.0}, stages=(), warmup_s=0, payload="", targets="uniform",
        duplicates=None, timeout_s=1, seed=1, peers=2, generators=1,
    )  # fmt: skip
