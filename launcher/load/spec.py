"""From what somebody asks for to a plan, or to what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cicada.commands import RunLoad
from cicada.config.loadrules import BROADCAST, ZIPF, operations, problems_of, stages_of, users_of
from cicada.config.thresholds import condition_in
from cicada.errors import Misuse, PayloadTooLarge
from cicada.limits import LOAD, WIRE
from launcher.load.ledger import Layout
from launcher.load.plan import LoadPeer, LoadPlan


def check_load(command: RunLoad) -> int:
    """How many operations the command means at most. Raises Misuse when no swarm could carry it out, naming all that is wrong
    with it and what to change."""
    most = WIRE.max_payload if BROADCAST in command.ops else WIRE.max_message
    largest = max(command.payload, command.payload_max or 0)
    if largest > most:
        raise PayloadTooLarge(largest, most)
    if problems := [words for _, words in problems_of(command)]:
        raise Misuse("; ".join(problems))
    for threshold in command.thresholds:
        condition_in(threshold.that)
    return operations(command)


def plan_load(command: RunLoad, peers: Sequence[LoadPeer], run: int) -> LoadPlan:
    """The plan for a command. Raises Misuse when it cannot be carried out, saying what to change."""
    count = check_load(command)
    if len(peers) < 2:
        raise Misuse(f"a load needs two peers in the ring, there are {len(peers)}: join some first")
    plan = LoadPlan(
        run=run,
        count=count,
        stages=stages_of(command),
        ops={op: weight for op, weight in command.ops.items() if weight > 0},
        payload=(command.payload, command.payload_max or command.payload),
        seed=command.seed,
        timeout=command.timeout,
        peers=tuple(peers),
        duplicates=command.duplicates,
        ordered=command.ordered,
        users=users_of(command),
        think=command.think,
        warmup=command.warmup,
        skew=command.skew if command.targets == ZIPF else 0.0,
    )
    if (needed := Layout.of(plan).side_bytes) > LOAD.side_bytes:
        raise Misuse(
            f"the account of its broadcasts and lookups would take {needed >> 20} MiB in each worker, more than "
            f"{LOAD.side_bytes >> 20}: give them less weight, or make the load shorter"
        )
    return plan
