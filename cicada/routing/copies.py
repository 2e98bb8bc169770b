"""What is known of the copies of a message: at its sender, and of one attempt at its destination."""

from __future__ import annotations

from cicada.ids import Peer, Place, place_to_bytes
from cicada.routing.io import Copy, Fate, Forward, RouterOutput, Verdict
from cicada.routing.paths import Leg
from cicada.routing.sessions import Session
from cicada.wire.routed import Data, DataAck
from cicada.wire.sealed import AckBody

_COPIES = 16  # bits in an ack
_MOST = (1 << _COPIES) - 1


def departing(
    own: Peer, place: Place, session: Session, legs: tuple[Leg, ...], counter: int, attempt: int, body: bytes
) -> list[RouterOutput]:
    """What leaves as attempt number ``attempt``: one Data for each leg, each with a tag of its own and the same sealed body."""
    destination = place_to_bytes(place)
    aims = [leg.aim(destination) for leg in legs]
    return [
        Forward(
            leg.hop,
            Data(
                target=target,
                origin=own.address,
                hops=0 if leg.hop is own else 1,
                way=leg.way,
                lodging=lodging,
                index=session.remote_index,
                counter=counter,
                attempt=attempt,
                copy=number,
                tag=session.tag(counter, attempt, number, leg.way),
                body=body,
                strayed=leg.strayed,
            ),
            None,
        )
        for number, (leg, (target, lodging)) in enumerate(zip(legs, aims, strict=True))
    ]


class Attempt:
    """One attempt: how its copies left, and what the destination said of them."""

    __slots__ = ("altered", "intact", "legs", "strayed", "unattributed")

    def __init__(self, legs: tuple[Leg, ...]) -> None:
        self.legs = legs
        self.intact = 0
        self.altered = 0
        self.unattributed = 0
        self.strayed = 0

    def hear(self, ack: AckBody) -> None:
        """Another word of the destination. Words may overtake each other, so what was said once stays."""
        self.intact |= ack.intact
        self.altered |= ack.altered
        self.strayed |= ack.strayed
        self.unattributed = max(self.unattributed, ack.unattributed)

    @property
    def is_known(self) -> bool:
        """Whether nothing more can be said of any copy."""
        return (self.intact | self.altered) & _MOST >= (1 << len(self.legs)) - 1

    @property
    def changed(self) -> int:
        """How many copies arrived that were not taken, because they were changed."""
        return (self.altered & ~self.intact).bit_count()

    @property
    def is_disjoint(self) -> bool:
        """Whether its copies left by different peers, and none is known to have left its colour."""
        legs = self.legs
        if len(legs) == 1:
            return True
        are_apart = len({leg.hop for leg in legs}) == len(legs) and not any(leg.strayed for leg in legs)
        return are_apart and not self.strayed

    def fate(self, number: int, *, is_final: bool) -> Fate:
        """Of copy ``number``, from 0."""
        bit = 1 << number
        if self.intact & bit:
            return Fate.INTACT
        if self.altered & bit:
            return Fate.ALTERED
        if self.unattributed:
            return Fate.UNATTRIBUTED
        return Fate.LOST if is_final else Fate.PENDING


def copies_of(attempts: list[Attempt], *, is_final: bool) -> tuple[Copy, ...]:
    """All copies of a message. ``is_final``: nothing more will be heard."""
    return tuple(
        Copy(
            place,
            leg.way[-1] if leg.way else number,
            leg.hop.address,
            attempt.fate(number, is_final=is_final),
        )
        for place, attempt in enumerate(attempts, 1)
        for number, leg in enumerate(attempt.legs)
    )


class Roll:
    """Which copies of one attempt have come to their destination, and what it says of them."""

    __slots__ = (
        *("ack", "altered", "body", "copies", "credit", "digest", "hops", "intact", "message", "said"),
        *("strayed", "unattributed", "verdict"),
    )

    def __init__(self) -> None:
        self.intact = 0
        self.altered = 0
        self.unattributed = 0
        self.strayed = 0
        self.body = b""  # hash of what was sealed, once a copy could be opened
        self.message = 0
        self.digest = b""
        self.copies = 1
        self.credit = 0
        self.hops = 0
        self.verdict: Verdict | None = None
        self.ack: DataAck | None = None  # the last one,
        self.said = (0, 0, 0, 0)  # and what it says

    def note(self, data: Data, *, is_intact: bool, is_proven: bool) -> None:
        """Another copy came. ``is_proven``: its tag shows which one it is."""
        if not is_proven or data.copy >= _COPIES:
            self.unattributed = min(self.unattributed + 1, _MOST)
            return
        bit = 1 << data.copy
        if is_intact:
            self.intact |= bit
        else:
            self.altered |= bit
        if data.strayed:
            self.strayed |= bit

    @property
    def state(self) -> tuple[int, int, int, int]:
        """What there is to say."""
        return (self.intact, self.altered, self.unattributed, self.strayed)
