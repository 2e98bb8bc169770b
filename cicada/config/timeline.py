"""What a configuration does to its swarm, and what it expects of it: ``[[fault]]`` and ``[[expect]]``.

All times count from the first proof of the ring.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from cicada.config.section import Seconds, Section, problem, shown, text_like, written

_PERCENT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")

SHARES = ("delivered", "lookups", "broadcast")
"""Checks whose figure is a share: how much of what was tried went right."""

COUNTS = ("joined", "dead", "restarts")
"""Checks whose figure is a number of peers, or of restarts."""


def percent_of(value: object) -> float | None:
    """The number in "5%"; None: it is no share."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(match["number"]) if match else None


def _percent(value: object) -> float:
    found = percent_of(value)
    if found is not None:
        return found
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise problem(f'expected a share such as "5%", got {shown(value)}')


def _sides(value: object) -> tuple[str, str]:
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(side, str) for side in value):
        return (str(value[0]), str(value[1]))
    raise problem(f'expected two selectors such as ["worker-0", "worker-1"], got {shown(value)}')


def _bound(value: object) -> float | str:
    if isinstance(value, str) and percent_of(value) is not None:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise problem(f'expected a number, or a share such as "99%", got {shown(value)}')


Percent = Annotated[
    float,
    BeforeValidator(_percent),
    Field(gt=0, le=100),
    written({"type": "number", "exclusiveMinimum": 0, "maximum": 100}, text_like(_PERCENT)),
]
Sides = Annotated[
    tuple[str, str],
    BeforeValidator(_sides),
    written({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
]
Bound = Annotated[float | str, BeforeValidator(_bound), written({"type": "number"}, text_like(_PERCENT))]


Verb = Literal[
    "kill",
    "leave",
    "restart",
    "freeze",
    "thaw",
    "partition",
    "delay",
    "drop",
    "duplicate",
    "heal",
    "crash",
    "add",
    "scale",
    "churn",
]
ActorName = Literal["transport", "ring", "router", "crypto"]
Model = Literal["poisson", "pareto", "trace"]


class Fault(Section):
    """``[[fault]]``: what is done ``at`` a moment, and again ``every`` so often ``until`` then.

    kill: peers end without a farewell; a worker gets SIGKILL. leave: with one. After ``for`` they come back. restart: peers
    begin anew, dead ones too. freeze: they stand still, ``for`` a while or until thaw. crash: their ``actor`` fails.
    add, scale: ``count`` more peers of the group ``select``, or exactly so many.

    partition: between two sides nothing passes. delay: everything takes ``by`` longer, and up to ``jitter`` more. drop,
    duplicate: ``percent`` of the messages are lost, or sent twice. They last ``for`` a while or until heal. The sides are
    ``between``, or ``select`` and everybody else.

    churn: peers of ``select`` come and go from ``at`` ``until`` then. "poisson": so many ``failures`` a second in all, and
    ``joins`` of those that failed. "pareto": each lives ``lifetime`` in the mean, by a distribution of this ``shape``. "trace":
    as ``file`` says. Who failed is back after ``for``; with ``hard = false`` peers leave with a farewell.
    """

    at: Annotated[Seconds, Field(description="When, from the first proof of the ring.")] = 0.0
    do: Annotated[Verb, Field(description="What is done.")]
    select: Annotated[
        str | None, Field(description='To whom: "core-3", "worker-1", "core", "core:10%", "10%", "all".')
    ] = None
    between: Annotated[
        Sides | None, Field(description="The two sides of a partition, delay, drop, duplicate or heal.")
    ] = None
    every: Annotated[Seconds | None, Field(description="It happens again so often, before until.")] = None
    until: Annotated[Seconds | None, Field(description="When a repetition or a churn ends.")] = None
    for_: Annotated[
        Seconds | None,
        Field(
            alias="for",
            description="How long it lasts; so long are those away who were killed, left or failed.",
        ),
    ] = None
    by: Annotated[Seconds | None, Field(description="How much later everything is, one way (delay).")] = None
    jitter: Annotated[Seconds | None, Field(description="Up to so much later still (delay).")] = None
    percent: Annotated[Percent | None, Field(description="Of the messages (drop, duplicate).")] = None
    actor: Annotated[ActorName | None, Field(description="Which actor fails (crash).")] = None
    count: Annotated[int | None, Field(ge=0, description="How many more (add), or exactly (scale).")] = None
    model: Annotated[Model | None, Field(description="By which model peers fail (churn).")] = None
    failures: Annotated[
        float | None, Field(gt=0, description="A second, over all that are selected (poisson).")
    ] = None
    joins: Annotated[float | None, Field(gt=0, description="A second, of those that failed (poisson).")] = (
        None
    )
    lifetime: Annotated[Seconds | None, Field(description="Of a peer, in the mean (pareto).")] = None
    shape: Annotated[float | None, Field(gt=1, description="Of the tail of lifetimes (pareto).")] = None
    file: Annotated[str | None, Field(description="Lines of seconds, peer and U or D (trace).")] = None
    hard: Annotated[bool | None, Field(description="false: peers leave with a farewell (kill, churn).")] = (
        None
    )

    @property
    def sides(self) -> tuple[str, str]:
        """The sides of a fault between two; an empty one is everybody else, two empty ones all faults."""
        return self.between or (self.select or "", "")


Check = Literal[
    "ring_proven",
    "joined",
    "dead",
    "restarts",
    "no_restarts",
    "delivered",
    "lookups",
    "broadcast",
]


class Expect(Section):
    """``[[expect]]``: what ought to hold ``at`` a moment (otherwise at the end), or come true ``within`` so long after it.

    ring_proven: fresh snapshots of every live peer equal the sorted truth. joined, dead: peers in the ring, and peers that
    ended and are not back. restarts: of actors and workers since the start; no_restarts: none. delivered, lookups,
    broadcast: so many messages and lookups between random members, or members that one broadcast is for, ended well; all of
    them when no bound is given. A bound such as "90%" of joined or dead is a share of all peers.
    """

    at: Annotated[Seconds | None, Field(description="When; otherwise at the end.")] = None
    check: Annotated[Check, Field(description="What ought to hold.")]
    within: Annotated[Seconds | None, Field(description="It may come true so much later.")] = None
    at_least: Annotated[Bound | None, Field(description="A number, or a share of all.")] = None
    at_most: Annotated[Bound | None, Field(description="A number, or a share of all.")] = None
