"""Keeps one worker's account of a load: of what its peers began, and of what they received. Pure.

Nothing here sends, waits or reads a clock. Response times count from the intended start, so a stalled sender cannot hide its
stall; service times from the actual one.
"""

from __future__ import annotations

from typing import Final

from cicada.ids import Address
from cicada.limits import LOAD
from cicada.routing.io import Fate
from launcher.load.ledger import Bank, Count, Ledger, Mark, Tally
from launcher.load.payloads import MAGIC, Letter, read
from launcher.load.plan import BROADCAST, SEND, LoadPlan, Shot, group_of

FATES: Final = {
    Fate.INTACT: Count.COPY_INTACT,
    Fate.ALTERED: Count.COPY_ALTERED,
    Fate.LOST: Count.COPY_LOST,
    Fate.UNATTRIBUTED: Count.COPY_UNATTRIBUTED,
}


class Accountant:
    """Writes into a ledger what the plan's operations did. Times are in seconds from the start of the load."""

    def __init__(self, plan: LoadPlan, ledger: Ledger) -> None:
        self._plan = plan
        self._index = {peer.name: index for index, peer in enumerate(plan.peers)}
        self._group = [plan.groups.index(group_of(peer)) for peer in plan.peers]
        self._ledger = ledger
        self._broadcasts = plan.draws.of_kind(BROADCAST)
        self._latest: dict[int, float] = {}

    def _bank(self, at: float) -> Bank:
        return self._ledger.warm if at < self._plan.warmup else self._ledger.main

    def _is_counted(self, at: float) -> bool:
        return at >= self._plan.warmup

    # Where operations begin

    def started(self, shot: Shot, behind: float) -> None:
        """It begins, ``behind`` seconds after its intended start. Say so before it can arrive."""
        bank = self._bank(shot.at).ops[shot.op]
        bank.count(Tally.STARTED)
        if behind > LOAD.late:
            bank.count(Tally.LATE)
        self._ledger.sent_at(shot.at + behind)
        if shot.op == SEND and self._is_counted(shot.at):
            self._ledger.mark(Mark.SENT, shot.number)
        elif shot.op == BROADCAST and self._is_counted(shot.at):
            self._ledger.reach(shot.rank, shot.source)

    def dropped(self, shot: Shot, reason: str) -> None:
        """It never begins."""
        self._bank(shot.at).ops[shot.op].dropped(reason)

    def succeeded(self, shot: Shot, *, began: float, ended: float) -> None:
        """It ended as it should."""
        self._bank(shot.at).ops[shot.op].took(ended - shot.at, ended - began)
        self._settled(shot, Mark.ACKNOWLEDGED)

    def failed(self, shot: Shot, reason: str) -> None:
        """It ended otherwise."""
        self._bank(shot.at).ops[shot.op].failed(reason)
        self._settled(shot, Mark.FAILED)

    def _settled(self, shot: Shot, how: Mark) -> None:
        if shot.op != SEND:
            return
        self._bank(shot.at).sent_to(self._group[shot.target], arrived=how is Mark.ACKNOWLEDGED)
        if self._is_counted(shot.at):
            self._ledger.mark(how, shot.number)

    def crossed(self, shot: Shot, hops: int) -> None:
        """The acknowledged message crossed so many links."""
        self._bank(shot.at).crossed(hops)

    def copy(self, at: float, fate: Fate) -> None:
        """What became of one copy of a message that was to leave at ``at``, as its receipt says."""
        self._bank(at).count(FATES[fate])

    def found(self, shot: Shot, *, owner: int, began: float, ended: float) -> None:
        """A lookup found an owner, named by the first 64 bits of its place."""
        if self._is_counted(shot.at):
            self._ledger.looked_up(shot.rank, owner, began, ended)

    # Where messages arrive

    def received(self, peer: str, source: Address, payload: bytes) -> None:
        """Hosted ``peer`` took this message, which came from ``source``, out of its mailbox."""
        letter = self._intact(source, payload)
        if letter is None:
            return
        bank = self._bank(letter.at)
        if letter.target >= len(self._plan.peers):
            bank.count(Count.FOREIGN)
        elif self._plan.peers[letter.target].name != peer:
            bank.count(Count.WRONG_PEER)
        elif self._is_counted(letter.at) and not self._ledger.mark(Mark.RECEIVED, letter.number):
            bank.count(Count.DUPLICATED)
        elif self._is_overtaken(letter):
            bank.count(Count.OUT_OF_ORDER)

    def heard(self, peer: str, source: Address, payload: bytes, now: float) -> None:
        """Hosted ``peer`` took this broadcast out of its mailbox."""
        letter = self._intact(source, payload)
        index = self._index.get(peer)
        if (
            letter is None or index is None
        ):  # one that came later, or takes no part, is nobody whom it was to reach
            return
        bank = self._bank(letter.at)
        if letter.target >= self._broadcasts:
            bank.count(Count.FOREIGN)
        elif self._is_counted(letter.at) and not self._ledger.reach(letter.target, index):
            bank.count(Count.REPEATED)
        else:
            bank.spread(now - letter.at)

    def _intact(self, source: Address, payload: bytes) -> Letter | None:
        """What a message of this load says. None: it is none, or not what was sent, which is counted."""
        if not payload.startswith(MAGIC):
            self._ledger.main.count(Count.FOREIGN)
            return None
        letter = read(payload)
        if letter is None:
            self._ledger.main.count(Count.ALTERED)
            return None
        known = letter.number < self._plan.count and letter.source < len(self._plan.peers)
        if not known or letter.run != self._plan.run:
            self._ledger.main.count(Count.FOREIGN)
            return None
        if self._plan.peers[letter.source].address != source:
            self._bank(letter.at).count(Count.ALTERED)
            return None
        return letter

    def _is_overtaken(self, letter: Letter) -> bool:
        """Whether a later message of the same pair of peers was here before."""
        pair = letter.source << 32 | letter.target
        latest = self._latest.get(pair)
        if latest is not None and letter.at < latest:
            return True
        if latest is not None or len(self._latest) < LOAD.pairs:
            self._latest[pair] = letter.at
        return False
