"""Joining: find the place's predecessor through a seed, prove the head of its list, copy the head's list, enter.

Zave's Join copies the predecessor's list in one step. Here a dial to the head comes between answer and entry, long
enough for the list to age, so the head is asked once it is proven: Join and the first StabilizeFromSuccessor in one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from cicada.chord.circle import between
from cicada.chord.io import JoinFailed, LookupFailure
from cicada.chord.requests import Purpose
from cicada.chord.ring import Ring
from cicada.chord.successors import arrange
from cicada.chord.timers import Timer
from cicada.ids import Address, Peer, peer_at, place_to_bytes
from cicada.limits import longest_list
from cicada.wire.ring import FindSuccessor, Found, LookupFailed, State

_NAMED_SEEDS = 4
_NO_MEMBER = "is not a member of a ring"
_UNREACHABLE = "is unreachable"
_SILENT = "did not answer in time"
_BUSY = "was not dialled: this peer has too many dials under way"
_WORDS = {
    LookupFailure.NOT_MEMBER.value: _NO_MEMBER,
    LookupFailure.OVERLOADED.value: "leads to a part of the ring that is overloaded",
    LookupFailure.NO_ROUTE.value: "knows no way to this place",
    LookupFailure.HOP_LIMIT.value: "knows only ways that are too long",
    LookupFailure.NOT_GLOBAL.value: "takes in global addresses only: bind to one, or name yours as external_ip",
}
_REFUSALS = {
    "swarm-key": "refuses this peer, which lacks the key of its closed swarm: use the swarm's key file",
    "pre-shared-key": "refuses this peer's pre-shared keys: both sides need a matching pair, or none",
    "encryption-required": "refuses links that are not encrypted",
    "not-encrypted": "does not encrypt its links, and this peer does",
    "swarm": "belongs to a swarm of another name",
    "version": "speaks another version of the protocol",
    "record-expired": "refuses this peer's record as out of date: compare the clocks of the two machines",
    "record-sequence": "refuses this peer's record as one of the future: compare the clocks of the two machines",
    "unknown-address": "is not known where its address leads: another peer, or none, answers there",
}
"""Words for what a seed said when it was dialled."""


class _Stage(enum.Enum):
    OFF = enum.auto()
    PAUSED = enum.auto()  # until a seed is asked again
    ASKING = enum.auto()
    ENTERING = enum.auto()  # dialling and asking the head of the list that was found
    WAITING = enum.auto()  # yielded to a peer that wants to join through this one


class Joiner:
    """One attempt after the other, through one seed after the other, until the deadline."""

    __slots__ = (
        *("_asked", "_deadline", "_entries", "_fellows", "_next", "_outcomes", "_predecessor", "_refusals"),
        *("_request", "_ring", "_seed", "_seeds", "_stage"),
    )

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.stop()

    def stop(self) -> None:
        """Want nothing."""
        self._stage = _Stage.OFF
        self._asked = False
        self._seeds: tuple[Peer, ...] = ()
        self._seed: Peer | None = None
        self._next = 0
        self._deadline = 0.0
        self._outcomes: dict[Peer, str] = {}
        self._refusals: dict[Peer, str] = {}
        self._fellows: dict[Peer, None] = {}  # seeds that want to join through this node
        self._request = 0
        self._entries: tuple[Peer, ...] = ()
        self._predecessor: Peer | None = None

    @property
    def is_asked_for(self) -> bool:
        """Whether the application waits for Joined or JoinFailed."""
        return self._asked

    @property
    def seeds(self) -> tuple[Peer, ...]:
        """Through whom this node joins."""
        return self._seeds

    def start(self, seeds: tuple[Peer, ...], deadline: float, asked_for: bool) -> None:
        """Begin; a join that runs already goes on with these seeds and this deadline instead."""
        asked_for |= self._asked
        self.stop()
        self._asked = asked_for
        self._seeds = tuple(seed for seed in dict.fromkeys(seeds) if seed != self._ring.peer)
        self._deadline = deadline
        # One id for all attempts: a late answer to an earlier one is as good.
        self._request = self._ring.new_request()
        self._ask_next()

    def wait_for_peer(self) -> None:
        """Two peers join through each other, and this one gives way: be a ring of one and wait to be joined."""
        self._stage = _Stage.WAITING
        self._ring.timers.start(Timer.JOIN, self._deadline)

    def gives_way(self, joiner: Peer) -> bool:
        """``joiner`` wants to join through this node. Whether it should find a ring of one here, because no seed of this
        one is a member, and those that are joining as well all have higher places.
        """
        if not self._asked or joiner not in self._seeds:
            return False
        self._fellows[joiner] = None
        outside = (_NO_MEMBER, _UNREACHABLE, _SILENT)
        if any(seed != joiner and self._outcomes.get(seed) not in outside for seed in self._seeds):
            return False
        rivals = [fellow for fellow in self._fellows if self._outcomes.get(fellow, _NO_MEMBER) == _NO_MEMBER]
        return self._ring.peer.place < min(rival.place for rival in (joiner, *rivals))

    def meet(self, member: Peer) -> None:
        """A member of a ring has shown up: join through it as well, for the seeds there are may all be gone."""
        if self._seeds and member not in self._seeds and self._ring.places.admits(member):
            self._seeds = (*self._seeds, member)[-2 * self._ring.limits.known_peers :]

    def is_answer(self, message: Found | LookupFailed | FindSuccessor) -> bool:
        """Whether the message answers this join, or asks for it."""
        return self._stage is not _Stage.OFF and message.request == self._request

    def on_found(self, message: Found) -> None:
        """The predecessor of this node's place answered with its list."""
        if self._stage not in (_Stage.ASKING, _Stage.PAUSED):
            return
        ring = self._ring
        predecessor = peer_at(Address(message.predecessor))
        listed = [peer_at(Address(address)) for address in message.successors]
        entries = self._arrange(listed)
        if not entries or not between(predecessor.place, ring.peer.place, entries[0].place):
            self._fail_attempt("gave an answer that fits no ring")
            return
        self._stage = _Stage.ENTERING
        self._entries = entries
        self._predecessor = predecessor if ring.places.admits(predecessor) else None
        ring.timers.start(Timer.JOIN, self._deadline)
        if self._predecessor is not None and predecessor not in ring.proofs:
            ring.prove(predecessor)
        self._ask_head()

    def on_proven(self, peer: Peer) -> None:
        """A dial succeeded."""
        if self._stage is _Stage.ENTERING and peer in self._entries[:1]:
            self._ask_head()

    def on_state(self, sender: Peer, message: State) -> bool:
        """The head answered with its list; whether the node may enter now."""
        if self._stage is not _Stage.ENTERING or sender not in self._entries[:1]:
            return False
        rest = [peer_at(Address(address)) for address in message.successors]
        self._entries = self._arrange((sender, *rest))
        return True

    def on_failed(self, sender: Peer, message: LookupFailed) -> None:
        """The lookup got stuck somewhere."""
        if self._stage is _Stage.ASKING:
            is_own_word = (
                len(message.path) == 1
            )  # else the seed is a member, and only passed the request on to none
            reason = message.reason if is_own_word else LookupFailure.NO_ROUTE.value
            self._fail_attempt(_WORDS.get(reason, "could not help"))

    def note_refusal(self, peer: Peer, reason: str) -> None:
        """Why a peer could not be dialled, for whoever asked to join through it."""
        if peer in self._seeds and reason in _REFUSALS:
            self._refusals[peer] = _REFUSALS[reason]

    def on_gone(self, peer: Peer) -> None:
        """The peer is unreachable or in no ring: walk to the next entry, or begin anew."""
        if self._stage is _Stage.ASKING and peer == self._seed:
            self._fail_attempt(_UNREACHABLE)
        elif self._stage is _Stage.ENTERING and peer in self._entries:
            self._entries = tuple(entry for entry in self._entries if entry != peer)
            if self._entries:
                self._ask_head()
            else:
                self._fail_attempt("named only successors that are unreachable")

    def on_busy(self, seed: Peer) -> None:
        """This peer had no room for a dial to the seed."""
        if self._stage is _Stage.ASKING and seed == self._seed:
            self._fail_attempt(_BUSY)

    def on_timer(self) -> str:
        """Time for the next seed. Returns why the join failed, empty while it goes on."""
        if self._ring.now >= self._deadline or not self._seeds:
            return self._reason()
        if self._stage is _Stage.ASKING and self._seed is not None:
            self._outcomes[self._seed] = _SILENT
        if self._stage is _Stage.PAUSED:
            self._ask_next()
        elif self._stage is not _Stage.WAITING:
            self._go_on()
        return ""

    def take_result(self) -> tuple[tuple[Peer, ...], Peer | None]:
        """The list and the predecessor to enter with."""
        return self._entries, self._predecessor

    def fail(self, reason: str) -> None:
        """Say that the join failed, if anybody waits for it, and stop."""
        if self._asked:
            self._ring.outputs.append(JoinFailed(reason))
        self.stop()

    def _ask_next(self) -> None:
        ring = self._ring
        if not self._seeds:
            ring.timers.start(Timer.JOIN, ring.now)
            return
        self._seed = self._seeds[self._next % len(self._seeds)]
        self._next += 1
        self._stage = _Stage.ASKING
        ring.timers.start(Timer.JOIN, min(ring.now + ring.timings.join_timeout, self._deadline))
        message = FindSuccessor(
            incarnation=ring.incarnation,
            extra=ring.extra,
            request=self._request,
            target=place_to_bytes(ring.peer.place),
            path=(ring.peer.address,),
            joining=ring.incarnation,
        )
        ring.send(self._seed, message)

    def _arrange(self, listed: Iterable[Peer]) -> tuple[Peer, ...]:
        """What somebody listed, as far as this node may list it."""
        ring = self._ring
        return arrange(ring.peer, filter(ring.places.admits, listed), longest_list(ring.limits.successors))

    def _ask_head(self) -> None:
        head = self._entries[0]
        if head in self._ring.proofs:
            self._ring.ask(head, Purpose.JOIN)
        else:
            self._ring.prove(head)

    def _fail_attempt(self, outcome: str) -> None:
        if self._seed is not None:
            self._outcomes[self._seed] = outcome
        self._go_on()

    def _go_on(self) -> None:
        """The next seed at once; after the last a pause, so that seeds which refuse at once are not asked in a storm.

        A node that lost its ring asks each once. If none of them is a member, they may all be looking for each other,
        and somebody has to be a ring of one for the others to find.
        """
        if self._next % len(self._seeds):
            self._ask_next()
            return
        if not self._asked:
            self._deadline = self._ring.now
        self._stage = _Stage.PAUSED
        pause = self._ring.timings.retry_pause * (1.0 - self._ring.timings.jitter * self._ring.rng.random())
        self._ring.timers.start(Timer.JOIN, min(self._ring.now + pause, self._deadline))

    def _outcome(self, seed: Peer) -> str:
        outcome = self._outcomes.get(seed, "was not asked yet")
        return self._refusals.get(seed, outcome) if outcome == _UNREACHABLE else outcome

    def _reason(self) -> str:
        if not self._seeds:
            return "no seed to join through: name the address of another peer"
        known = [f"{seed.address} {self._outcome(seed)}" for seed in self._seeds]
        more = len(known) - _NAMED_SEEDS
        return "; ".join(known[:_NAMED_SEEDS]) + (f"; and {more} more" if more > 0 else "")
