"""What happens in a swarm, told in short lines with the names of the peers."""

from __future__ import annotations

from collections.abc import Mapping

from cicada.chord.io import (
    Emit,
    Joined,
    JoinFailed,
    Left,
    MessageReceived,
    OwnerFound,
    OwnerNotFound,
    PeerUnreachable,
    RingInput,
    RingOutput,
)
from cicada.events import (
    MessageDropped,
    PeerSuspected,
    PhaseChanged,
    PredecessorChanged,
    RingEvent,
    SuccessorsChanged,
)
from cicada.ids import Address, Peer
from cicada.routing.io import Deliver, RoutedReceived, RouterInput, RouterOutput, Settled, Status, Tell
from cicada.sim.swarm import Swarm


class Narrator:
    """Watches a swarm from its making on. ``take`` returns what happened since it was called last, in order."""

    def __init__(self, swarm: Swarm, names: Mapping[Address, str]) -> None:
        self._names = names
        self._lines: list[str] = []
        self.tells_messages = False
        """Whether messages that arrive, and links that break, are told too."""
        swarm.world.observers.append(self._observe)
        swarm.world.recorders.append(self._record)

    def take(self) -> list[str]:
        """The lines since the last call."""
        lines, self._lines = self._lines, []
        return lines

    def name(self, peer: Peer | str) -> str:
        """The name of a peer, or its address when it has none."""
        address = peer.address if isinstance(peer, Peer) else Address(peer)
        return self._names.get(address, address)

    def named(self, text: str) -> str:
        """The text with names in place of addresses."""
        for address, name in self._names.items():
            text = text.replace(address, name)
        return text

    def _observe(self, now: float, peer: Peer, output: RingOutput | RouterOutput) -> None:
        told = self._tell_output(output)
        if told:
            self._lines.append(f"{now:9.3f} {self.name(peer)} {told}")

    def _record(self, now: float, peer: Peer, input: RingInput | RouterInput, _: object) -> None:
        if not self.tells_messages:
            return
        if isinstance(input, MessageReceived | RoutedReceived):
            told = f"hears {type(input.message).__name__} from {self.name(input.sender)}"
        elif isinstance(input, PeerUnreachable):
            told = f"cannot reach {self.name(input.peer)}, which did not get {len(input.undelivered)}"
        else:
            return
        self._lines.append(f"{now:9.3f} {self.name(peer)} {told}")

    def _tell_output(self, output: RingOutput | RouterOutput) -> str:
        match output:
            case Emit(event):
                return self._tell_event(event)
            case Joined():
                return "has joined"
            case JoinFailed(reason):
                return f"could not join: {self.named(reason)}"
            case Left():
                return "has left"
            case OwnerFound():
                route = " ".join(map(self.name, output.route))
                return f"finds {self.name(output.owner)} over {route}"
            case OwnerNotFound():
                return f"finds nobody: {output.reason.value}"
            case Deliver():
                return f"receives {output.payload.decode(errors='replace')!r} from {self.name(output.origin)}"
            case Settled():
                return self._tell_fate(output)
            case Tell(event) if isinstance(event, MessageDropped):
                return f"drops a message: {event.reason}"
            case _:
                return ""

    def _tell_event(self, event: RingEvent) -> str:
        match event:
            case PhaseChanged():
                return f"is {event.phase} ({self.named(event.reason)})"
            case SuccessorsChanged():
                return f"lists {' '.join(map(self.name, event.successors)) or 'nobody'}"
            case PredecessorChanged():
                return f"is preceded by {self.name(event.predecessor) if event.predecessor else 'nobody'}"
            case PeerSuspected():
                return f"suspects {self.name(event.suspect)} ({event.reason})"
            case _:
                return ""

    def _tell_fate(self, settled: Settled) -> str:
        if settled.status is Status.DELIVERED:
            return f"knows message {settled.id} delivered, attempt {settled.attempts}, {settled.hops} hops"
        reason = settled.reason.value if settled.reason is not None else ""
        return f"gives message {settled.id} up after {settled.attempts} attempts: {reason}"
