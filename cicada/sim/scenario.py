"""Scenarios of the simulator as values: what a file in configs/sim may say. The words are those of a swarm's file."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec.structs import replace
from pydantic import BeforeValidator, Field

from cicada.config.model import Ring
from cicada.config.section import Seconds, Section, duration
from cicada.config.section import problem as _problem
from cicada.config.section import shown as _shown
from cicada.ids import Peer
from cicada.limits import DELIVERY, WIRE, DeliveryLimits
from cicada.routing.behaviour import Kind
from cicada.sim.letters import MIN_PAYLOAD
from cicada.sim.names import MOST_HOSTS, peer_number, spread

TIMED = ("heads", "ideal", "noticed")
"""Checks that come true at some moment; the others are figures of a whole run, or of all runs."""

_ROUNDS = re.compile(r"(?P<number>\d+(?:\.\d+)?) rounds?")
_HOSTS = re.compile(r"(?:(?P<number>\d{1,9})|(?P<share>.+%) of) hosts?")
_SHARE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")


def _within(value: object) -> object:
    if isinstance(value, str) and (duration(value) is not None or _ROUNDS.fullmatch(value)):
        return value
    raise _problem(f'expected "18 rounds" or a time such as "10s", got {_shown(value)}')


def _amount(value: object) -> object:
    amount = value if (among := _of_hosts(value)) is None else among
    is_share = (
        isinstance(amount, str) and (match := _SHARE.fullmatch(amount)) and float(match["number"]) <= 100
    )
    if is_share or (isinstance(amount, int) and not isinstance(amount, bool) and amount > 0):
        return value
    raise _problem(f'expected a share such as "30%" or a number of peers, got {_shown(value)}')


def _of_hosts(select: object) -> str | int | None:
    """The number in "3 hosts", the share in "10% of hosts"."""
    match = _HOSTS.fullmatch(select) if isinstance(select, str) else None
    if match is None:
        return None
    return int(match["number"]) if match["number"] else str(match["share"])


def _number(value: object) -> object:
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return float(match["number"]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise _problem(f'expected a number, or a share such as "0.3%", got {_shown(value)}')


def _numbers(value: object) -> object:
    return tuple(map(_number, value)) if isinstance(value, list | tuple) else _number(value)


Within = Annotated[str, BeforeValidator(_within)]
Amount = Annotated[str | int, BeforeValidator(_amount)]
Numbers = Annotated[float | tuple[float, ...], BeforeValidator(_numbers)]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Column = Annotated[tuple[float, ...], BeforeValidator(_numbers)]


class Sim(Section):
    """``[sim]``. A run begins with a calm ring of ``peers``. It ends once every timed expectation has held for a
    while; after ``duration`` at the latest, and not before when anything is measured over the whole run. Runs are made
    with the seeds from 1 to ``seeds``. ``hosts``: all peers are spread over so many IPs, which are hosts when ``[ring]`` says
    that they are grouped."""

    name: Annotated[str, Field(min_length=1, max_length=48)]
    about: str = ""
    peers: Annotated[int, Field(ge=1, le=65536)] = 1000
    hosts: Annotated[int, Field(ge=1, le=MOST_HOSTS)] | None = None
    seeds: Annotated[int, Field(ge=1, le=10000)] = 1
    duration: Seconds


class Sweep(Section):
    """``[sweep]``: the scenario is run once for each of ``values``, which stand for ``sim.peers`` or for the joins and
    failures a second of all churn. ``beside``: what ``source`` found, one figure for each value, for the table."""

    over: Literal["peers", "churn"]
    values: Column
    beside: Column = ()
    source: str = ""


class Network(Section):
    """``[network]``: one way from peer to peer in seconds, uniform between the two; the shares of transmissions that are
    lost, come twice, or are overtaken."""

    latency: tuple[Seconds, Seconds] = Field(default=(0.001, 0.01), strict=False)
    loss: Annotated[float, Field(ge=0, le=1)] = 0.0
    duplication: Annotated[float, Field(ge=0, le=1)] = 0.0
    reordering: Annotated[float, Field(ge=0, le=1)] = 0.0


class Load(Section):
    """``[load]``: lookups of random places by random members, and acknowledged messages between random members, each a
    second and for the whole swarm, at random moments from ``at`` to the end. Peers that do harm neither ask nor send nor
    are sent to.

    ``until``: messages leave until then, so that all receipts have settled in the end. ``targets``: all of them go to so many
    members. ``duplicates`` extra copies leave with each attempt. ``payload`` in bytes.
    ``warm``: sessions stand before they are needed, so that no message waits for its first contact.
    """

    at: Seconds = 0.0
    lookups: Annotated[float, Field(ge=0)] = 0.0
    messages: Annotated[float, Field(ge=0)] = 0.0
    until: Seconds | None = None
    targets: Annotated[int, Field(ge=1)] | None = None
    duplicates: Annotated[int, Field(ge=0, lt=DELIVERY.copies_max)] | None = None
    payload: Annotated[int, Field(ge=MIN_PAYLOAD, le=WIRE.max_payload)] = MIN_PAYLOAD
    timeout: Seconds = DELIVERY.timeout
    warm: bool = False


class Bad(Section):
    """``[[bad]]``: peers that do harm on purpose, ``select`` of all (a number or a share), or ``where = "neighbours"`` so many
    of the r peers before each target of the load. ``behaviour_share``: to so many of the messages that they relay."""

    select: Amount
    behaviour: Kind
    behaviour_share: Share = 1.0
    where: Literal["anywhere", "neighbours"] = "anywhere"


class Delivery(Section):
    """``[delivery]``: how messages are sent. ``direct = false``: a copy takes a relay even to a peer that its sender knows.
    ``beside = "plain"``: the scenario is run once more, same ring, same bad peers, with plain Chord and excluded first hops."""

    attempts: Annotated[int, Field(ge=1)] = DELIVERY.attempts
    coloured: bool = True
    direct: bool = True
    beside: Literal["nothing", "plain"] = "nothing"

    def limits(self) -> DeliveryLimits:
        """The limits that follow."""
        return replace(DELIVERY, attempts=self.attempts, coloured=self.coloured, direct=self.direct)


class Fault(Section):
    """``[[fault]]``: what is done to the swarm, ``at`` seconds from the beginning of a run.

    kill: processes end, their hosts close the links. restart: the same, and they start anew at once, with another boot at the
    same address. vanish: the hosts are gone and nothing tells. leave: with a
    farewell. freeze: peers do not get to run ``for`` a while. join: new peers at once, through ``any`` members or all
    through ``one``. part: random parts of equal size, ``into`` so many, cut off from each other ``for`` a while. churn:
    Poisson ``joins`` and ``failures`` a second, silent ones like vanish, until the end.

    ``select`` is a number of peers, a share such as "30%", or "3 hosts" and "10% of hosts" with all their peers.
    """

    at: Seconds
    do: Literal["kill", "restart", "vanish", "leave", "freeze", "join", "part", "churn"]
    select: Amount | None = None
    for_: Annotated[Seconds, Field(alias="for")] = 0.0
    into: Annotated[int, Field(ge=2)] = 2
    through: Literal["any", "one"] = "any"
    joins: Annotated[float, Field(ge=0)] = 0.0
    failures: Annotated[float, Field(ge=0)] = 0.0

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.for_


class Expect(Section):
    """``[[expect]]``. Timed checks are counted from ``after``, otherwise from the end of the last fault.

    heads: every live peer has the right first successor. ideal: all live peers are one ring, every list and
    predecessor right. noticed: nobody has a head any more that was dead or frozen at ``after``.

    Rounds of stabilize begun since then are ``counted`` as the mean of all live peers, or as the most that any peer
    needed of its ``own`` until it was right.

    Figures, from ``after`` (otherwise the beginning) to the end: messages (ring messages a peer and second), probes (of
    remembered strangers, a peer and round), splits (runs in which a peer lost its ring or that did not end ideal),
    lookups (ended), failed (share of lookups that did not end at an owner), hops (mean of lookups), message-hops,
    undelivered (share of messages without a receipt that says so), delivered (share of the messages whose receipt settled
    that were in their destination's mailbox), copies (a message), wrong (deliveries of what nobody sent like that, or that
    came before), lost (messages that were acknowledged and never delivered).

    ``of``: the worst or the median of all runs, or their total.
    """

    check: Literal[
        "heads",
        "ideal",
        "noticed",
        "messages",
        "probes",
        "splits",
        "lookups",
        "failed",
        "hops",
        "message-hops",
        "undelivered",
        "delivered",
        "copies",
        "wrong",
        "lost",
    ]
    within: Within | None = None
    at_most: Numbers | None = None
    at_least: Numbers | None = None
    after: Seconds | None = None
    counted: Literal["mean", "own"] = "mean"
    of: Literal["worst", "median", "total"] = "worst"

    @property
    def is_timed(self) -> bool:
        """Whether it comes true at some moment."""
        return self.check in TIMED

    @property
    def in_rounds(self) -> bool:
        """Whether ``within`` says rounds rather than a time."""
        return self.within is not None and _ROUNDS.fullmatch(self.within) is not None


class Scenario(Section):
    """A whole, valid scenario."""

    sim: Sim
    sweep: Sweep | None = None
    ring: Ring = Ring()
    network: Network = Network()
    load: Load = Load()
    bad: Annotated[tuple[Bad, ...], Field(strict=False)] = ()
    delivery: Delivery = Delivery()
    faults: Annotated[tuple[Fault, ...], Field(alias="fault", strict=False)] = ()
    expects: Annotated[tuple[Expect, ...], Field(alias="expect", strict=False)] = ()

    @property
    def settles_from(self) -> float:
        """When the last fault is over."""
        return max((fault.end for fault in self.faults), default=0.0)

    @property
    def cases(self) -> tuple[float | None, ...]:
        """The values that the sweep goes through, or one None."""
        return self.sweep.values if self.sweep is not None else (None,)

    def peers(self, case: float | None) -> int:
        """How many peers a run begins with."""
        is_size = self.sweep is not None and self.sweep.over == "peers" and case is not None
        return int(case) if is_size and case is not None else self.sim.peers

    def peer(self, number: int) -> Peer:
        """The peer with this number, from 0; those that join later have the next ones."""
        return peer_number(number) if self.sim.hosts is None else spread(number, self.sim.hosts)


def bound(expect: Expect, position: int) -> float:
    """What the expectation asks for in the case at this position of the sweep: seconds, rounds, or a figure."""
    if expect.within is not None:
        match = _ROUNDS.fullmatch(expect.within)
        return float(match["number"]) if match else duration(expect.within) or 0.0
    asked = expect.at_most if expect.at_most is not None else expect.at_least
    if isinstance(asked, tuple):
        return asked[position]
    return asked if asked is not None else 0.0


def are_hosts(select: object) -> bool:
    """Whether ``select`` means hosts rather than peers."""
    return _of_hosts(select) is not None


def amount_of(select: str | int | None, total: int) -> int:
    """How many of ``total`` peers, or hosts, ``select`` means; at least one where there is one."""
    select = select if (among := _of_hosts(select)) is None else among
    if isinstance(select, int):
        return min(select, total)
    match = _SHARE.fullmatch(select or "0%")
    share = float(match["number"]) / 100 if match else 0.0
    return min(total, max(1, round(total * share)))
