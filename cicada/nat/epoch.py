"""Whether a router went on without forgetting its mappings, judged by the seconds that it counts since it last did."""

from __future__ import annotations

import msgspec

from cicada.limits import NatLimits


class Epoch(msgspec.Struct, frozen=True):
    """What a router said its epoch was, and when."""

    seconds: int
    at: float

    def continues(self, seconds: int, now: float, limits: NatLimits) -> bool:
        """Whether a later word fits this one (RFC 6887 section 8.5, which NAT-PMP's rule is a laxer form of).

        A router that forgets starts at 0, so its count falls, or rises less than time passed; one whose count rises too
        fast was replaced by another.
        """
        if seconds < self.seconds - 1:
            return False
        theirs = seconds - self.seconds
        ours = now - self.at
        slack = limits.clock_slack
        return ours + slack >= theirs - theirs / 16 and theirs + slack >= ours - ours / 16
