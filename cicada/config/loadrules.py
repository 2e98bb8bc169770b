"""What a load means as a whole, and what is wrong with one that nobody could carry out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cicada.commands import RunLoad, Stage
from cicada.limits import DELIVERY, LOAD, WIRE

OPEN: Final = "open"
CLOSED: Final = "closed"
SEND: Final = "send"
LOOKUP: Final = "lookup"
BROADCAST: Final = "broadcast"
OPS: Final = (SEND, LOOKUP, BROADCAST)
UNIFORM: Final = "uniform"
ZIPF: Final = "zipf"

Problem = tuple[str, str]
"""The key of ``[load]`` that it is about, and what is wrong."""


def stages_of(command: RunLoad) -> tuple[Stage, ...]:
    """How the rate changes. Of a closed load, only how long it lasts means something."""
    if command.stages:
        return command.stages
    rate = LOAD.default_rate if command.rate is None else command.rate
    if command.model == CLOSED:
        seconds = command.duration
        if seconds is None:
            seconds = LOAD.default_duration if command.count is None else LOAD.longest
        return (Stage(seconds, 0.0, 0.0),)
    if command.count is not None:
        return (Stage(command.count / rate, rate, rate),)
    return (Stage(LOAD.default_duration if command.duration is None else command.duration, rate, rate),)


def users_of(command: RunLoad) -> int:
    """Of a closed load; 0 otherwise."""
    if command.model != CLOSED:
        return 0
    return LOAD.default_users if command.users is None else command.users


def operations(command: RunLoad) -> int:
    """How many begin, at most."""
    if command.count is not None:
        return command.count
    stages = stages_of(command)
    if command.model == CLOSED:
        return min(LOAD.max_messages, round(stages[0].seconds * LOAD.closed_rate))
    return round(sum(stage.seconds * (stage.first + stage.last) / 2 for stage in stages))


def problems_of(command: RunLoad) -> Iterator[Problem]:
    """All that is wrong with a load, whoever carries it out."""
    yield from _problems_of_pace(command)
    unknown = sorted(set(command.ops) - set(OPS))
    if unknown:
        yield "ops", f"there is no operation {unknown[0]!r}: use {', '.join(OPS)}"
    weights = command.ops.values()
    if any(not 0 <= weight <= LOAD.max_rate for weight in weights) or not any(weights):
        yield (
            "ops",
            f"the weights of operations must be from 0 to {LOAD.max_rate:,.0f}, and one of them above 0",
        )
    least, most = LOAD.least_payload, WIRE.max_payload if BROADCAST in command.ops else WIRE.max_message
    if command.payload < least:
        yield "payload", f"a payload of {command.payload} bytes cannot be accounted for: use at least {least}"
    if command.payload_max is not None and command.payload_max < command.payload:
        yield (
            "payload",
            f"payloads from {command.payload} to {command.payload_max} bytes: the first must be the smaller",
        )
    if max(command.payload, command.payload_max or 0) > most:
        yield "payload", f"a payload of more than {most} bytes is too large for one message"
    if not 0 < command.timeout <= LOAD.max_timeout:
        yield "timeout", f"the time-out must be more than 0 s and at most {LOAD.max_timeout:g} s"
    if command.duplicates is not None and not 0 <= command.duplicates < DELIVERY.copies_max:
        yield "duplicates", f"{command.duplicates} duplicates: use 0 to {DELIVERY.copies_max - 1}"
    if command.targets not in (UNIFORM, ZIPF):
        yield "targets", f"targets {command.targets!r}: use {UNIFORM} or {ZIPF}"
    if not 0 < command.skew <= LOAD.max_skew:
        yield "targets", f"an exponent of {command.skew:g}: use more than 0 and at most {LOAD.max_skew:g}"


def _problems_of_pace(command: RunLoad) -> Iterator[Problem]:
    if command.model not in (OPEN, CLOSED):
        yield "model", f"there is no model {command.model!r}: use {OPEN} or {CLOSED}"
    elif command.model == CLOSED:
        yield from _problems_of_users(command)
    elif command.users is not None or command.think:
        yield "users", "users and think are of the closed model: add model=closed, or give a rate"
    if command.rate is not None and not 0 < command.rate <= LOAD.max_rate:
        yield (
            "rate",
            f"the rate must be a number of operations a second above 0, and at most {LOAD.max_rate:,.0f}",
        )
        return
    if command.count is not None and not 1 <= command.count <= LOAD.max_messages:
        yield "count", _too_many(command.count)
        return
    if command.stages:
        problems = list(_problems_of_stages(command))
        yield from problems
        if problems:
            return
    elif command.count is not None and command.duration is not None and command.model == OPEN:
        yield "count", "give a count or a duration, not both"
        return
    yield from _problems_of_length(command)


def _problems_of_users(command: RunLoad) -> Iterator[Problem]:
    if command.rate is not None or command.stages:
        yield (
            "model",
            "a closed load has no rate: each user begins when its last operation has ended; give users and think",
        )
    if not 1 <= users_of(command) <= LOAD.max_users:
        yield "users", f"{command.users} users: use 1 to {LOAD.max_users}"
    if not 0 <= command.think < LOAD.longest:
        yield "think", "the time to think must be 0 s or more"


def _problems_of_stages(command: RunLoad) -> Iterator[Problem]:
    if any(given is not None for given in (command.rate, command.count, command.duration)):
        yield "stage", "stages say the rate and how long: give no other rate, count or duration"
    if len(command.stages) > LOAD.max_stages:
        yield "stage", f"{len(command.stages)} stages: use at most {LOAD.max_stages}"
    for number, stage in enumerate(command.stages, 1):
        right = 0 < stage.seconds <= LOAD.longest and all(
            0 <= rate <= LOAD.max_rate for rate in (stage.first, stage.last)
        )
        if not right:
            yield (
                "stage",
                f"stage {number}: use rates from 0 to {LOAD.max_rate:,.0f} a second, and a duration above 0 s",
            )


def _problems_of_length(command: RunLoad) -> Iterator[Problem]:
    seconds = sum(stage.seconds for stage in stages_of(command))
    if not 0 <= seconds <= LOAD.longest:
        yield "duration", f"a load of {seconds:g} s: use at most {LOAD.longest:g} s"
        return
    count = operations(command)
    if not 1 <= count <= LOAD.max_messages:
        yield "count", _too_many(count)
    if not 0 <= command.warmup < seconds:
        yield (
            "warmup",
            f"a warm-up of {command.warmup:g} s: the load lasts {seconds:g} s, so nothing would be left",
        )


def _too_many(count: int) -> str:
    shown = count if count < LOAD.max_messages**2 else "too many"
    return f"a load of {shown} messages: use 1 to {LOAD.max_messages}"
