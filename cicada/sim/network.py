"""Links between simulated peers, as the product's links and their TCP behave, and worse where told so.

Messages of one lane arrive in order. A lost one is repeated by the stream after 0.2 s, 0.4 s, ... and holds up those
behind it; a link whose oldest message is not acknowledged in time breaks, and the sender gets back what it had under
way. Not modelled: bandwidth, the queues of a link, connections shared between peers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from random import Random

from cicada.ids import Address, Peer
from cicada.limits import LINK, LinkLimits
from cicada.sim.agenda import Action, Agenda
from cicada.sim.conditions import Conditions, Cut, Rule
from cicada.sim.lanes import Lane, Station
from cicada.sim.paths import Paths
from cicada.wire.codec import Message

_HANDSHAKE = 3  # one-way trips until a dialler knows that the other end answered and may send
_MANY_LANES = 64


class Network:
    """Carries messages and dials between ``stations``; ``find`` makes the station of a peer that has none yet."""

    def __init__(
        self,
        agenda: Agenda,
        stations: Mapping[Address, Station],
        find: Callable[[Peer], Station],
        rng: Random,
        conditions: Conditions,
        limits: LinkLimits = LINK,
    ) -> None:
        self._agenda = agenda
        self._stations = stations
        self._find = find
        self._paths = Paths(rng, conditions, limits)
        self._random = rng.random
        self._limits = limits
        self._many: dict[Address, int] = {}
        self._on_arrival = self._arrive  # bound once, not for each message
        self.sent: Counter[type[Message]] = Counter()
        """Messages that peers sent, by class. What the network repeats or doubles is not counted."""
        self.proofs = 0
        """How often a peer asked for a proof."""
        self.dials = 0
        """How many dials there were, for a proof or for a message."""
        self.broken = 0
        """How many lanes broke with their sender alive."""

    # What tests and faults do

    def set_conditions(self, conditions: Conditions) -> None:
        """All pairs but those set apart are like this from now on. Messages under way are not touched."""
        self._paths.set(conditions)
        self._refit()

    def set_between(self, one: Peer, other: Peer, conditions: Conditions | None) -> None:
        """This pair is like this from now on, both ways; None: like all others."""
        self._paths.set_between(one, other, conditions)
        self._refit()

    def set_where(self, rule: Rule | None) -> None:
        """Pairs that are not set apart are as the rule says from now on: regions, slow hosts."""
        self._paths.set_where(rule)
        self._refit()

    def cut(self, cut: Cut) -> int:
        """From now on nothing passes where ``cut`` says so. Returns a number to heal it by."""
        return self._paths.cut(cut)

    def heal(self, number: int | None = None) -> None:
        """Undo one cut, or all."""
        self._paths.heal(number)

    # What peers ask for

    def send(self, sender: Station, to: Peer, message: Message) -> None:
        """Carry a message, over a new link where there is none."""
        self.sent[type(message)] += 1
        if to.address == sender.peer.address:
            return  # as the product's links do
        lane = sender.lanes.get(to.address) or self._new_lane(sender, to)
        self._push(lane, message)

    def prove(self, sender: Station, to: Peer) -> None:
        """Dial a peer, unless a link stands that the sender dialled: then the proof is there at once."""
        self.proofs += 1
        lane = sender.lanes.get(to.address) or self._new_lane(sender, to)
        lane.is_wanted = True
        if lane.is_open and lane.is_dialled and not self._is_idle(lane):
            self._agenda.enter(self._agenda.now, self._answer_proof, lane)
        else:
            self._dial(lane)

    def link(self, one: Station, other: Station) -> None:
        """From now on a link stands that ``one`` dialled, without anything having been sent for it."""
        lane = one.lanes.get(other.peer.address) or self._new_lane(one, other.peer)
        lane.used_at = self._agenda.now
        self._open(lane)

    def end(self, station: Station, *, closes_links: bool, says_so: bool) -> None:
        """The station's life has just ended: tell those that are linked with it, as far as anything tells them."""
        lanes, station.lanes = station.lanes, {}
        for lane in lanes.values():
            twin = lane.twin
            if closes_links and twin is not None and twin.is_open and not self._is_idle(twin):
                action = self._hang_up if says_so else self._closed
                self._agenda.enter(
                    self._agenda.now + self._paths.trip(twin), action, twin, twin.receiver_life
                )

    # Questions

    def under_way(self) -> list[tuple[Peer, Peer, Message]]:
        """Messages that have left and may still arrive: receiver, sender, message. In no order that means anything."""
        carried = [
            (lane.receiver.peer, lane.sender.peer, message)
            for _, _, action, lane, message in self._agenda.entries()
            if action is self._on_arrival
        ]
        held = [
            (lane.receiver.peer, lane.sender.peer, message)
            for lane in self._lanes()
            for message in lane.waiting or ()
        ]
        return carried + held

    def bad_news(self) -> list[tuple[Peer, Peer]]:
        """Who may yet hear that a link broke or a dial failed, and of whom. It may be outdated by then."""
        failing = [
            (lane.sender.peer, lane.receiver.peer)
            for _, _, action, lane, _ in self._agenda.entries()
            if action in (self._fail_dial, self._closed)
        ]
        doubtful = [
            (lane.sender.peer, lane.receiver.peer)
            for lane in self._lanes()
            if (lane.is_open and lane.is_stale) or lane.waiting is not None or lane.unacked is not None
        ]
        return failing + doubtful

    # Carrying

    def _push(self, lane: Lane, message: Message) -> None:
        if lane.waiting is not None:
            lane.waiting.append(message)
        elif lane.is_open and not self._is_idle(lane):
            self._transmit(lane, message)
        else:
            lane.is_open = False
            lane.waiting = [message]
            self._dial(lane)

    def _transmit(self, lane: Lane, message: Message) -> None:
        agenda = self._agenda
        lane.used_at = agenda.now
        if not lane.is_smooth:
            self._transmit_roughly(lane, message)
            return
        arrival = agenda.now + lane.low + lane.span * self._random()
        if arrival < lane.free_at:
            arrival = lane.free_at
        lane.free_at = arrival
        agenda.enter(arrival, self._on_arrival, lane, message)

    def _transmit_roughly(self, lane: Lane, message: Message) -> None:
        conditions = lane.conditions
        if self._paths.is_lost(lane):
            self._stall(lane, [message])
            return
        overtaken = self._random() < conditions.reordering
        slow = overtaken or self._random() < conditions.slow
        arrival = self._agenda.now + self._paths.latency(lane)
        arrival += self._paths.rng.uniform(*conditions.extra_delay) if slow else 0.0
        if not overtaken:
            arrival = lane.free_at = max(arrival, lane.free_at)
        self._agenda.enter(arrival, self._on_arrival, lane, message)
        if self._random() < conditions.duplication:
            self._agenda.enter(arrival + self._paths.latency(lane), self._on_arrival, lane, message)

    def _arrive(self, lane: Lane, message: Message) -> None:
        receiver = lane.receiver
        if self._paths.cuts and not self._paths.leads(lane.sender.peer, receiver.peer):
            self._come_too_late(lane, message)
        elif receiver.life != lane.receiver_life:
            if receiver.has_vanished:
                self._come_too_late(lane, message)
            else:
                self._break(lane, (message,))  # the host answers that there is no such connection
        elif receiver.is_frozen:
            receiver.postpone(self._hand_over, lane, message)
            self._await_ack(lane, message)
        else:
            if self._paths.cuts and not self._paths.leads(receiver.peer, lane.sender.peer):
                self._await_ack(lane, message)
            receiver.receive(lane.sender.peer, message)

    def _hand_over(self, lane: Lane, message: Message) -> None:
        """A message that lay in the socket of a frozen peer is read, whatever became of the link meanwhile."""
        lane.receiver.receive(lane.sender.peer, message)

    # What does not get through

    def _stall(self, lane: Lane, messages: list[Message]) -> None:
        lane.waiting = messages
        lane.late = 0
        lane.since = lane.sender.local()
        wait = lane.conditions.retransmission
        self._agenda.enter(self._agenda.now + wait, self._retransmit, lane, wait)

    def _come_too_late(self, lane: Lane, message: Message) -> None:
        """A message was on its way when the way ended: it waits with those sent after it, before them."""
        if lane.is_orphaned:
            return
        if not lane.is_open:
            self._break(lane, (message,))
            return
        if lane.waiting is None:
            self._stall(lane, [])
        if lane.waiting is not None:
            lane.waiting.insert(lane.late, message)
            lane.late += 1

    def _retransmit(self, lane: Lane, wait: float) -> None:
        if self._is_put_off(self._retransmit, lane, wait) or lane.waiting is None or not lane.is_open:
            return
        receiver = lane.receiver
        is_through = self._paths.leads(lane.sender.peer, receiver.peer) and not receiver.has_vanished
        elapsed = lane.sender.local() - lane.since
        if is_through and lane.is_stale:
            self._break(lane)
        elif is_through and not self._paths.is_lost(lane):
            self._flush(lane)
        elif elapsed >= lane.timeout - 1e-9:
            self._break(lane)
        else:
            until = min(2 * wait, max(lane.timeout - elapsed, 1e-6))
            self._agenda.enter(self._agenda.now + until, self._retransmit, lane, 2 * wait)

    def _await_ack(self, lane: Lane, message: Message) -> None:
        if lane.unacked is not None:
            lane.unacked.append(message)
        elif not lane.is_orphaned:
            lane.unacked = [message]
            self._agenda.enter(self._agenda.now + lane.timeout, self._miss_ack, lane)

    def _miss_ack(self, lane: Lane, _: None) -> None:
        if self._is_put_off(self._miss_ack, lane, None) or lane.unacked is None:
            return
        if self._paths.answers(lane) and not lane.is_stale:
            lane.unacked = None  # it got to run again, or the way back was healed
        else:
            self._break(lane)

    def _break(self, lane: Lane, late: tuple[Message, ...] = ()) -> None:
        """The sender gives the link up and is told; the other end hears of it where anything gets through."""
        if self._is_put_off(self._break, lane, late):
            return
        lane.is_open = lane.is_dialled = False
        undelivered = (*late, *lane.take_unfinished())
        twin = lane.twin
        if twin is not None and self._paths.leads(lane.sender.peer, lane.receiver.peer):
            self._hang_up(twin, lane.sender_life)
        self.broken += 1
        lane.sender.on_unreachable(lane.receiver.peer, undelivered)

    def _closed(self, lane: Lane, life: int) -> None:
        """The other end's host closed the connection, because the process ended."""
        if self._is_put_off(self._closed, lane, life):
            return
        if lane.is_open and lane.receiver_life == life:
            self._break(lane)

    def _hang_up(self, lane: Lane, life: int) -> None:
        """The other end closed the link: that says nothing against it, so what is left goes over a new dial."""
        if self._is_put_off(self._hang_up, lane, life) or not lane.is_open or lane.receiver_life != life:
            return
        lane.is_open = lane.is_dialled = False
        unfinished = lane.take_unfinished()
        if unfinished:
            lane.waiting = list(unfinished)
            self._dial(lane)

    # Dialling

    def _dial(self, lane: Lane) -> None:
        if lane.is_dialling:
            return
        lane.is_dialling = True
        self.dials += 1
        now = self._agenda.now
        if not self._paths.answers(lane):
            self._agenda.enter(now + self._paths.silence(lane), self._fail_dial, lane)
            return
        seconds = sum(self._paths.trip(lane) for _ in range(_HANDSHAKE))
        if seconds < self._limits.dial_timeout:
            self._agenda.enter(now + seconds, self._finish_dial, lane)
        else:
            self._agenda.enter(now + self._limits.dial_timeout, self._fail_dial, lane)

    def _finish_dial(self, lane: Lane, _: None) -> None:
        if self._is_put_off(self._finish_dial, lane, None):
            return
        if not self._paths.answers(lane):
            self._agenda.enter(self._agenda.now + self._paths.silence(lane), self._fail_dial, lane)
            return
        lane.is_dialling = False
        self._open(lane)
        if lane.is_wanted:
            self._answer_proof(lane, None)

    def _fail_dial(self, lane: Lane, _: None) -> None:
        if self._is_put_off(self._fail_dial, lane, None):
            return
        lane.is_dialling = False
        wanted, lane.is_wanted = lane.is_wanted, False
        if not lane.is_open:
            lane.sender.on_unreachable(lane.receiver.peer, lane.take_unfinished())
        elif wanted:
            lane.sender.on_unreachable(lane.receiver.peer, ())  # the link that it dialled itself carries on

    def _answer_proof(self, lane: Lane, _: None) -> None:
        if self._is_put_off(self._answer_proof, lane, None) or not lane.is_wanted:
            return
        lane.is_wanted = False
        lane.sender.on_proven(lane.receiver.peer)

    def _open(self, lane: Lane) -> None:
        """The handshake is over: messages may go either way. A link for a proof alone soon counts as unused."""
        sender, receiver = lane.sender, lane.receiver
        twin = receiver.lanes.get(sender.peer.address) or self._new_lane(receiver, sender.peer)
        now = self._agenda.now
        used_at = (
            now if lane.waiting or lane.is_open else now - self._limits.idle_close + self._limits.proof_linger
        )
        lane.twin, twin.twin = twin, lane
        lane.is_dialled = True
        for each, life in ((lane, receiver.life), (twin, sender.life)):
            is_new = not each.is_open or each.receiver_life != life
            each.is_open = True
            each.receiver_life = life
            each.used_at = max(each.used_at, used_at)
            if is_new and each.waiting is not None:
                self._flush(each)

    def _flush(self, lane: Lane) -> None:
        """Send what waits, as far as nothing of it is lost."""
        waiting, lane.waiting = lane.waiting, None
        for message in waiting or ():
            self._push(lane, message)

    # Parts

    def _is_put_off(self, action: Action, lane: Lane, other: object) -> bool:
        """Whether the sender's life has ended, so that nobody is concerned, or it has to get to run again first."""
        if lane.is_orphaned:
            return True
        if lane.sender.is_frozen:
            lane.sender.postpone(action, lane, other)
            return True
        return False

    def _refit(self) -> None:
        for lane in self._lanes():
            lane.suit(self._paths.of(lane.sender.peer, lane.receiver.peer))

    def _lanes(self) -> Iterator[Lane]:
        return (lane for station in self._stations.values() for lane in station.lanes.values())

    def _new_lane(self, sender: Station, to: Peer) -> Lane:
        address = sender.peer.address
        if len(sender.lanes) >= self._many.get(address, _MANY_LANES):
            self._forget_spare(sender)
            self._many[address] = max(_MANY_LANES, 2 * len(sender.lanes))
        lane = Lane(sender, self._find(to), self._paths.of(sender.peer, to))
        sender.lanes[to.address] = lane
        return lane

    def _forget_spare(self, station: Station) -> None:
        for lane in station.lanes.values():
            if lane.is_open and lane.waiting is None and self._is_idle(lane):
                lane.is_open = lane.is_dialled = False
        station.lanes = {address: lane for address, lane in station.lanes.items() if not lane.is_spare}

    def _is_idle(self, lane: Lane) -> bool:
        """Whether the link was closed because neither end used it."""
        unused = self._agenda.now - self._limits.idle_close
        if lane.used_at > unused:
            return False
        twin = lane.twin
        return twin is None or twin.used_at <= unused
