"""Messages of this peer that leave in fragments.

Each fragment is a sealed message of its own, with own attempts, so that only what is lost is repeated. How many are under way
to a destination is its window's. The whole has arrived when the destination says so, which it does to the fragment that
completes it; when all fragments were acknowledged and none was, they were lost there, and the message is begun again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

from msgspec.structs import replace

from cicada.ids import Place
from cicada.limits import TRANSFER, WIRE, TransferLimits
from cicada.routing.flow import Flow, Flows
from cicada.routing.io import Fate, Fragment, Reason, RouterOutput, SendMessage, Settled, Status
from cicada.routing.sending import Sends
from cicada.routing.timers import Timers
from cicada.routing.unsettled import Ended, failure, settled
from cicada.wire.fields import MAX_PARTS

_GRACE = 1.0  # seconds after the deadline until a fragment whose fate is still open is not waited for


class _Transfer:
    __slots__ = ("altered", "asked", "attempts", "boot", "disjoint", "open", "parts", "rounds", "waiting")

    def __init__(self, asked: SendMessage) -> None:
        self.asked = asked
        self.parts = -(-len(asked.payload) // WIRE.max_payload)
        self.boot = asked.boot  # the life of the destination that has the first fragments
        self.attempts = 0
        self.altered = 0
        self.disjoint = True
        self.rounds = 0
        self.begin()

    def begin(self) -> None:
        self.rounds += 1
        self.waiting = deque(range(self.parts))
        self.open = self.parts  # not acknowledged in this round

    def fragment(self, part: int) -> SendMessage:
        """The message that brings it. Its id is negative, so that it is none of the application's."""
        asked = self.asked
        start = part * WIRE.max_payload
        return replace(
            asked,
            id=-(asked.id * MAX_PARTS + part),
            payload=asked.payload[start : start + WIRE.max_payload],
            fragment=Fragment(asked.id, part, self.parts),
            boot=self.boot,
        )


class _Piece:
    """A fragment under way."""

    __slots__ = ("is_late", "left_at", "message", "size")

    def __init__(self, message: int, size: int, now: float) -> None:
        self.message = message
        self.size = size
        self.left_at = now
        self.is_late = False


class _Lane:
    """What goes to one destination: whose turn it is to send a fragment, what is under way, oldest first, and what waits until
    those that began, of ``bytes`` altogether, leave room for it there."""

    __slots__ = ("bytes", "flow", "pieces", "queue", "turns")

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.bytes = 0
        self.queue: deque[SendMessage] = deque()
        self.turns: deque[int] = deque()
        self.pieces: OrderedDict[int, _Piece] = OrderedDict()


class Transfers:
    """All messages of this peer: whole ones go to ``sends`` as they are, larger ones in fragments."""

    def __init__(self, sends: Sends, batch: int, limits: TransferLimits = TRANSFER) -> None:
        self._sends = sends
        self._batch = batch
        self._limits = limits
        self._flows = Flows(limits)
        self._lanes: dict[Place, _Lane] = {}
        self._open: dict[int, _Transfer] = {}
        self._bytes = 0
        self._timers = Timers()
        self._followed_at = 0.0
        self.counts: Counter[str] = Counter()
        """Receipts by outcome, and transfers begun again."""

    def __len__(self) -> int:
        return len(self._open)

    def submit(self, asked: SendMessage, now: float) -> list[RouterOutput]:
        """Begin a message, unless it is on its way already."""
        if asked.ordered:
            self._sends.order.add(asked.place, asked.id)
        if len(asked.payload) <= WIRE.max_payload:
            return self._sends.submit(asked, now)
        if asked.id in self._open:
            return []
        if self._bytes + len(asked.payload) > self._limits.pending_bytes:
            return self._refuse(asked, now)
        self._open[asked.id] = _Transfer(asked)
        self._bytes += len(asked.payload)
        self._timers.set(asked.id, asked.deadline)
        self._lane(asked.place).queue.append(asked)
        return self._send(asked.place, now)

    def follow(self, now: float) -> list[RouterOutput]:
        """Do what follows from messages that settled in ``sends``, at most ``batch`` of them."""
        outputs: list[RouterOutput] = []
        ended = self._sends.ended
        for _ in range(min(len(ended), self._batch)):
            end = ended.popleft()
            if end.asked.fragment is None:
                self._let_go_on(end.fate, now)
            else:
                outputs += self._on_fragment(end, now)
        self._followed_at = now
        return outputs

    def fire(self, now: float) -> list[RouterOutput]:
        """End what nobody waits for any more."""
        outputs: list[RouterOutput] = []
        for id in self._timers.pop_due(now, self._batch):
            transfer = self._open[id]
            if self._under_way(transfer.asked) and now < transfer.asked.deadline + _GRACE:  # its end says why
                self._timers.set(id, transfer.asked.deadline + _GRACE)
            else:
                outputs += self._fail(transfer, Reason.TIMED_OUT, None, now)
        return outputs

    def next_deadline(self) -> float | None:
        """When ``follow`` or ``fire`` has something to do."""
        return self._followed_at if self._sends.ended else self._timers.next_deadline()

    # What follows

    def _let_go_on(self, fate: Settled, now: float) -> None:
        """An ordered message ended. What is behind it waits for it no more, and where it left a gap must say so."""
        behind = self._sends.order.remove(fate.id)
        if behind is None:
            return
        transfer = self._open.get(behind)
        ids = [behind] if transfer is None else self._under_way(transfer.asked)
        for id in ids:
            self._sends.go_on(id, now, only_if_waiting=fate.status is Status.DELIVERED)

    def _on_fragment(self, end: Ended, now: float) -> list[RouterOutput]:
        fate = end.fate
        lane = self._lanes.get(end.asked.place)
        piece = None if lane is None else lane.pieces.pop(fate.id, None)
        if lane is None or piece is None:
            return []
        transfer = self._open[piece.message]
        transfer.attempts = max(transfer.attempts, fate.attempts)
        transfer.altered += fate.altered
        transfer.disjoint &= fate.disjoint
        if fate.status is Status.FAILED:
            lane.flow.given_up(piece.size)
            return self._end(transfer, fate, now)
        self._note(lane, piece, fate, now)
        if transfer.boot not in (None, end.boot):
            return self._fail(transfer, Reason.RESTARTED, fate, now)
        transfer.boot = end.boot
        return self._end(transfer, fate, now) if end.is_whole else self._go_on(transfer, fate, now)

    def _go_on(self, transfer: _Transfer, fate: Settled, now: float) -> list[RouterOutput]:
        """One fragment less is to be sent. All of them held and the message not there: begin again."""
        transfer.open -= 1
        if not transfer.open:
            if transfer.rounds >= self._limits.rounds:
                return self._fail(transfer, Reason.TIMED_OUT, fate, now)
            transfer.begin()
            self.counts["transfers-again"] += 1
            self._lane(transfer.asked.place).turns.append(transfer.asked.id)
        return self._send(transfer.asked.place, now)

    # What may leave

    def _lane(self, place: Place) -> _Lane:
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(self._flows.to(place))
        return lane

    def _send(self, place: Place, now: float) -> list[RouterOutput]:
        """As many fragments as the window has room for, of each message in turn."""
        lane = self._lanes[place]
        self._begin(lane)
        outputs: list[RouterOutput] = []
        while lane.turns and lane.flow.has_room(WIRE.max_payload):
            transfer = self._open[lane.turns.popleft()]
            message = transfer.fragment(transfer.waiting.popleft())
            if transfer.waiting:
                lane.turns.append(transfer.asked.id)
            lane.pieces[message.id] = _Piece(transfer.asked.id, len(message.payload), now)
            lane.flow.left(len(message.payload))
            outputs += self._sends.submit(message, now)
        return outputs

    def _begin(self, lane: _Lane) -> None:
        """First come, first served."""
        queue = lane.queue
        while queue and (not lane.bytes or lane.bytes + len(queue[0].payload) <= self._limits.lane_bytes):
            asked = queue.popleft()
            lane.bytes += len(asked.payload)
            lane.turns.append(asked.id)

    def _note(self, lane: _Lane, piece: _Piece, fate: Settled, now: float) -> None:
        """What the window learns from a fragment that was acknowledged. Those that left before it are late (RFC 8985), and
        need not wait as long as if nothing were heard."""
        flow = lane.flow
        flow.arrived(piece.size, fate.round_trip_s, now)
        if fate.attempts > 1:
            flow.lost(piece.left_at, now)
        for id, older in lane.pieces.items():
            if older.left_at >= piece.left_at:
                break
            if not older.is_late:
                older.is_late = True
                self._sends.hasten(id, max(now, older.left_at + flow.overdue))

    # What becomes of messages

    def _refuse(self, asked: SendMessage, now: float) -> list[RouterOutput]:
        fate = failure(asked.id, Reason.OVERLOADED)
        self.counts[f"receipts:{fate.status.value}"] += 1
        self._let_go_on(fate, now)
        return settled(fate)

    def _fail(
        self, transfer: _Transfer, reason: Reason, last: Settled | None, now: float
    ) -> list[RouterOutput]:
        fate = last or failure(transfer.asked.id, reason)
        failed = replace(fate, status=Status.FAILED, reason=reason, hops=0, round_trip_s=0.0)
        return self._end(transfer, failed, now)

    def _end(self, transfer: _Transfer, fate: Settled, now: float) -> list[RouterOutput]:
        """It ended as ``fate`` says, which is that of one fragment, whose copies stand for all. The others end with it."""
        asked = transfer.asked
        del self._open[asked.id]
        self._bytes -= len(asked.payload)
        self._timers.clear(asked.id)
        self._clear_lane(asked)
        self.counts[f"receipts:{fate.status.value}"] += 1
        whole = replace(
            fate,
            id=asked.id,
            attempts=transfer.attempts,
            altered=transfer.altered,
            copies=tuple(copy for copy in fate.copies if copy.fate is not Fate.PENDING),
            disjoint=transfer.disjoint,
        )
        if asked.ordered:
            self._let_go_on(whole, now)
        outputs = settled(whole)
        if asked.place in self._lanes:
            outputs += self._send(asked.place, now)
        return outputs

    def _clear_lane(self, asked: SendMessage) -> None:
        lane = self._lanes[asked.place]
        for id in self._under_way(asked):
            lane.flow.given_up(lane.pieces.pop(id).size)
            self._sends.cancel(id)
        if asked in lane.queue:
            lane.queue.remove(asked)
        else:
            lane.bytes -= len(asked.payload)
        if asked.id in lane.turns:
            lane.turns.remove(asked.id)
        if not lane.turns and not lane.pieces and not lane.queue:
            del self._lanes[asked.place]

    def _under_way(self, asked: SendMessage) -> list[int]:
        """The ids of its fragments whose fate is open."""
        pieces = self._lanes[asked.place].pieces
        return [id for id, piece in pieces.items() if piece.message == asked.id]
