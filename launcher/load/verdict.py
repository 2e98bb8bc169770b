"""Whether the figures are the swarm's, or only show how fast this machine can ask. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cicada.limits import LOAD
from launcher.load.figures import OpFigures
from launcher.load.plan import TOO_MANY


class Strain(msgspec.Struct, frozen=True, kw_only=True):
    """What measuring took: ``busy_s`` seconds of all cores together of ``seconds``, the busiest share seen, the longest
    that an event loop of a generator stood still, and whether a worker was made to."""

    seconds: float = 0.0
    busy_s: float = 0.0
    peak: float = 0.0
    lag_s: float = 0.0
    is_frozen: bool = False

    def after(self, seconds: float, cpu: float, lag: float, *, frozen: bool = False) -> Strain:
        """With an interval more, in which this share of all cores was used, and a worker was frozen on purpose or none."""
        return Strain(
            seconds=self.seconds + seconds,
            busy_s=self.busy_s + seconds * cpu,
            peak=max(self.peak, cpu),
            lag_s=max(self.lag_s, lag),
            is_frozen=self.is_frozen or frozen,
        )

    @property
    def busy(self) -> float:
        """The share of all cores in the mean."""
        return self.busy_s / self.seconds if self.seconds else 0.0


def verdict(ops: Mapping[str, OpFigures], strain: Strain) -> str:
    """Empty: nothing but the swarm held the load up. Else what did, in words, and what to do."""
    started = sum(op.started for op in ops.values())
    late = sum(op.late for op in ops.values())
    dropped = sum(op.drops[TOO_MANY] for op in ops.values())
    troubles = []
    if late > LOAD.late_share * started:
        troubles.append(f"the generator was late for {_share(late, started)} of the starts")
    if dropped > LOAD.late_share * (started + dropped):
        troubles.append(f"{_share(dropped, started + dropped)} of the operations never began")
    if not troubles:
        return ""
    return f"results unreliable: {' and '.join(troubles)} ({_state(strain)}): {_remedy(strain)}"


def _state(strain: Strain) -> str:
    stood = f", its loop stood still for up to {strain.lag_s:.1f} s" if strain.lag_s > LOAD.lag else ""
    return f"processors {100 * strain.busy:.0f}% busy{stood}"


def _remedy(strain: Strain) -> str:
    if strain.is_frozen:
        return "a worker was frozen meanwhile, and its generator with it"
    if strain.peak >= LOAD.busy:
        return "offer less, or use more cores"
    return "offer less, or see what else this machine does"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if part * 200 >= whole else "under 1%"
