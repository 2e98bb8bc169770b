"""Messages that come in fragments, until all of one are here.

A fragment is kept as it came, in any order and any number of times. What does not fit together costs its sender only. A
message is handed over by the fragment that completes it; should the mailbox have no room, that fragment alone is given up, so
that its repetition tries again.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from typing import NamedTuple

from cicada.keys.trust import Trust
from cicada.routing.allowance import Account, Origin
from cicada.routing.io import Verdict
from cicada.wire.sealed import DataBody


class Progress(enum.Enum):
    """What became of a fragment."""

    HELD = "held"  # it is here, others are not
    WHOLE = "whole"  # it completes its message
    FINISHED = "finished"  # its message was judged already
    FULL = "full"  # there is no room for it now: not kept
    UNFIT = "unfit"  # it contradicts others of its message: not kept


class Whole(NamedTuple):
    """Names a message."""

    origin: Origin
    message: int


class _Assembly:
    __slots__ = ("after", "count", "handed_at", "heard_at", "last", "parts", "service", "trust")

    def __init__(self, count: int, service: int, trust: Trust) -> None:
        self.count = count
        self.service = service
        self.parts: dict[int, bytes] = {}  # grows with what was received, whatever was announced
        self.trust = trust
        self.handed_at = -math.inf  # when the mailbox's owner was asked last
        self.last = -1  # the part that completed it
        self.after: int | None = None
        self.heard_at = 0.0  # when the last new part came


class Reassembly:
    """The unfinished messages of others at one peer, as many as its ``account`` bears."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._limits = account.limits
        self._open: OrderedDict[Whole, _Assembly] = OrderedDict()  # longest without a new fragment first
        self._finished: OrderedDict[Whole, Verdict] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        """How many are unfinished."""
        return len(self._open)

    def take(self, origin: Origin, trust: Trust, body: DataBody, now: float) -> Progress:
        """A fragment came."""
        whole = Whole(origin, body.message)
        if whole in self._finished:
            return Progress.FINISHED
        assembly = self._open.get(whole)
        if assembly is None:
            return self._begin(whole, trust, body, now)
        if assembly.count != body.parts or assembly.service != body.service:
            return Progress.UNFIT
        present = assembly.parts.get(body.part)
        if present is not None and present != body.payload:
            return Progress.UNFIT
        assembly.after = _least(assembly.after, body.after)
        if present is not None and body.part != assembly.last:
            return Progress.HELD
        missing = assembly.count - len(assembly.parts)
        if missing <= 1 and now - assembly.handed_at < self._limits.handing_pause:
            return (
                Progress.FULL
            )  # to put a large message together is work, which a small fragment must not cause at will
        return self._keep(whole, assembly, body, now) if present is None else Progress.WHOLE

    def after(self, whole: Whole) -> int | None:
        """Which message comes before it, by the latest word of its sender; None: it is not ordered, or not here."""
        assembly = self._open.get(whole)
        return None if assembly is None else assembly.after

    def hand_over(self, whole: Whole, now: float) -> bytes | None:
        """All of the message, for the owner of the mailbox to decide about; None when not all is here."""
        assembly = self._open.get(whole)
        if assembly is None or len(assembly.parts) < assembly.count:
            return None
        assembly.handed_at = now
        return b"".join(assembly.parts[part] for part in range(assembly.count))

    def verdict(self, whole: Whole) -> Verdict:
        """What was said of a message that is FINISHED."""
        return self._finished[whole]

    def finish(self, whole: Whole, verdict: Verdict) -> None:
        """It is in the mailbox, or will never be. Others than those in fragments are none of ours."""
        if self._drop(whole):
            self._finished[whole] = verdict
            if len(self._finished) > self._limits.finished:
                self._finished.popitem(last=False)

    def reopen(self, whole: Whole) -> None:
        """The mailbox has no room: whoever sent the last fragment tries again."""
        assembly = self._open.get(whole)
        if assembly is not None and len(assembly.parts) == assembly.count:
            part = assembly.parts.pop(assembly.last)
            assembly.last = -1
            self._account.release(whole.origin, assembly.trust, len(part))

    def touch(self, whole: Whole, now: float) -> None:
        """It waits for something else than a fragment, and its sender has not given it up."""
        assembly = self._open.get(whole)
        if assembly is not None:
            self._heard(whole, assembly, now)

    def expire(self, now: float) -> int:
        """Give up what has made no progress for ``idle`` seconds. Returns how many messages that were."""
        given_up = 0
        while self._open:
            whole, assembly = next(iter(self._open.items()))
            if now - assembly.heard_at < self._limits.idle:
                break
            self._drop(whole)
            given_up += 1
        return given_up

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        for assembly in self._open.values():
            return assembly.heard_at + self._limits.idle
        return None

    def _begin(self, whole: Whole, trust: Trust, body: DataBody, now: float) -> Progress:
        assembly = self._open[whole] = _Assembly(body.parts, body.service, trust)
        assembly.after = body.after
        progress = self._keep(whole, assembly, body, now)
        if progress is Progress.FULL:
            del self._open[whole]
        return progress

    def _keep(self, whole: Whole, assembly: _Assembly, body: DataBody, now: float) -> Progress:
        size = len(body.payload)
        if not self._account.charge(whole.origin, assembly.trust, size, now, whole.message):
            return Progress.FULL
        assembly.parts[body.part] = body.payload
        self._heard(whole, assembly, now)
        if len(assembly.parts) < assembly.count:
            return Progress.HELD
        assembly.last = body.part
        return Progress.WHOLE

    def _heard(self, whole: Whole, assembly: _Assembly, now: float) -> None:
        assembly.heard_at = now
        self._open.move_to_end(whole)

    def _drop(self, whole: Whole) -> bool:
        assembly = self._open.pop(whole, None)
        if assembly is None:
            return False
        for part in assembly.parts.values():
            self._account.release(whole.origin, assembly.trust, len(part))
        self._account.end(whole.origin, whole.message)
        return True


def _least(one: int | None, other: int | None) -> int | None:
    """A sender's word on what comes before only ever gets smaller, while what came before settles."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
