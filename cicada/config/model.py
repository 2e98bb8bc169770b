"""The configuration of a swarm, as values. What is here is valid; ``load_config`` reports what is not."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec.structs import replace
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from cicada.commands import RunLoad
from cicada.config.load import Load, Thresholds, load_command
from cicada.config.section import Section, problem
from cicada.config.timeline import Expect, Fault
from cicada.errors import Misuse
from cicada.ids import (
    MAX_PORT,
    Address,
    Reach,
    canonical_address,
    is_unspecified,
    reach_of,
    split_address,
)
from cicada.limits import CONFIG, DELIVERY, RING, SUPERVISION, DeliveryLimits, RingLimits
from cicada.routing.behaviour import Behaviour, Kind

RESERVED_NAMES = frozenset({"all", "worker", "launcher"})
"""Words that a selector or an event's source already means something by."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NUMBERED = re.compile(r".*-[0-9]+")
_PERCENT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")
_AUTO_OR_COUNT = WithJsonSchema(
    {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": CONFIG.max_workers}]}
)
_SHARE = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            {"type": "string", "pattern": rf"^{_PERCENT.pattern.replace('?P<number>', '?:')}$"},
        ]
    }
)
_NAMED = {"pattern": f"^{_NAME.pattern}$", "maxLength": CONFIG.max_name}
_NAME_OF_GROUP = {
    **_NAMED,
    "not": {"anyOf": [{"enum": sorted(RESERVED_NAMES)}, {"pattern": f"^{_NUMBERED.pattern}$"}]},
}
_ADDRESS = {"pattern": r"^([0-9.]+|\[?[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%\S+)?\]?):[0-9]{1,5}$"}
_FEWEST_PLACES = 5 * RING.successors  # a list of 4r, and room for those who are to be in it


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise problem("a name starts with a letter and has only letters, digits, '-' and '_'")
    if len(value) > CONFIG.max_name:
        raise problem(f"a name has at most {CONFIG.max_name} characters, this one has {len(value)}")
    return value


def _group_name(value: str) -> str:
    value = _name(value)
    if value in RESERVED_NAMES:
        raise problem(f"{value!r} already has a meaning in selectors: choose another name")
    if _NUMBERED.fullmatch(value):
        raise problem("ends like a peer's name (name-number): choose another name")
    return value


def _address(value: str) -> str:
    try:
        host, port = split_address(value)
        canonical = canonical_address(host, port)
    except Misuse as error:
        raise problem(_addressproblem(value, str(error))) from None
    return canonical


def _address_of_peers(value: str) -> str:
    """One that others can dial: peers tell each other their addresses."""
    address = Address(_address(value))
    if reach_of(address) is not Reach.NOWHERE:
        return address
    host, port = split_address(address)
    what = (
        "stands for every address of a machine" if is_unspecified(address) else "is no address of one machine"
    )
    own = f"[::1]:{port}" if ":" in host else f"127.0.0.1:{port}"
    raise problem(
        f'{host} {what}, so nobody could dial its peers: write the one they are dialled at, as "{own}"'
    )


def _watched(value: str) -> str:
    address = _address(value)
    if address.endswith(f":{MAX_PORT}"):
        raise problem(
            f"a port from 1 to {MAX_PORT - 1}, as the port after it is used too: there is none after {MAX_PORT}"
        )
    return address


def _addressproblem(value: str, reason: str) -> str:
    host, colon, port = value.rpartition(":")
    if colon and host and not host.startswith("[") and re.search("[A-Za-z]", host) and ":" not in host:
        return f'{host!r} is a host name: write its numeric address, for example "127.0.0.1:{port}"'
    return reason if colon else f'{reason}, for example "127.0.0.1:20000"'


def _workers(value: object) -> object:
    if value == "auto":
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= CONFIG.max_workers:
        return value
    raise problem(f'expected "auto" or a whole number from 1 to {CONFIG.max_workers}')


def _share(value: object) -> object:
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return float(match["number"]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise problem('expected a share such as "5%" or 0.05')


class Swarm(Section):
    """``[swarm]``. ``peers_per_worker`` and a number of ``workers`` exclude each other.

    ``key_file``: without its key nobody links with a peer of the swarm.
    """

    name: Annotated[str, AfterValidator(_name), Field(json_schema_extra=_NAMED)]
    seed: Annotated[int, Field(ge=0, le=CONFIG.max_seed)] = 0
    workers: Annotated[Literal["auto"] | int, BeforeValidator(_workers), _AUTO_OR_COUNT] = "auto"
    peers_per_worker: Annotated[int, Field(ge=1)] | None = None
    key_file: str | None = None


class Group(Section):
    """``[[group]]``: ``count`` peers ``<name>-0``, ``<name>-1``, ... on the ports from ``address`` on.

    ``behaviour``: what harm they do to messages of others, to ``behaviour_share`` of them; for tests on one machine.
    """

    name: Annotated[str, AfterValidator(_group_name), Field(json_schema_extra=_NAME_OF_GROUP)]
    count: Annotated[int, Field(ge=1)]
    address: Annotated[str, AfterValidator(_address_of_peers), Field(json_schema_extra=_ADDRESS)]
    behaviour: Kind | None = None
    behaviour_share: Annotated[float, BeforeValidator(_share), Field(gt=0, le=1), _SHARE] = 1.0

    @property
    def harm(self) -> Behaviour | None:
        """The behaviour as routers take it."""
        return None if self.behaviour is None else Behaviour(self.behaviour, self.behaviour_share)

    def peer_name(self, index: int) -> str:
        """The name of a peer of this group."""
        return f"{self.name}-{index}"

    def address_of(self, index: int) -> Address:
        """Where peer ``index`` listens, also past ``count``. Raises Misuse when its port would pass 65535."""
        host, port = split_address(self.address)
        return canonical_address(host, port + index)

    def peers(self) -> tuple[tuple[str, Address], ...]:
        """Name and address of each of the ``count`` peers."""
        return tuple((self.peer_name(index), self.address_of(index)) for index in range(self.count))


class Nat(Section):
    """``[peer.nat]``. ``enabled``: have the router map the ports of peers that only the own network can dial. Off by default:
    a swarm may have hundreds."""

    enabled: bool = False


class PeerSettings(Section):
    """``[peer]``: what holds for every peer. ``log_level`` is the least that its log keeps, until somebody changes it.

    ``identity``: keys for this run, or kept in the user's state folder. ``keys``: a file of keys shared with other peers.
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    identity: Literal["ephemeral", "persistent"] = "ephemeral"
    keys: str | None = None
    nat: Nat = Nat()


class Links(Section):
    """``[links]``. ``encrypt = false`` is for measurements: everybody is believed, and only loopback addresses do."""

    encrypt: bool = True


class Supervision(Section):
    """``[supervision]`` of workers: more than ``max_restarts`` failures ``within_s`` seconds are given up.

    ``restart``: "always", also those that ended of their own accord; "on-failure", those that crashed or were killed; "no":
    who died stays dead. The first restart waits ``backoff_s``, each further one twice as long.
    """

    restart: Literal["no", "on-failure", "always"] = "always"
    max_restarts: Annotated[int, Field(ge=0)] = SUPERVISION.max_restarts
    within_s: Annotated[float, Field(gt=0)] = SUPERVISION.within
    backoff_s: Annotated[float, Field(ge=0)] = SUPERVISION.backoff


class Launch(Section):
    """``[launch]``. ``waves = false``: all peers join at once, unsorted, through one address."""

    waves: bool = True


class Ring(Section):
    """``[ring]``: what counts as one host, the same for all peers. With ``group_hosts`` loopback and private addresses do by
    their IP, as 127.0.0.1 and 127.0.0.2; otherwise each such peer is its own host. ``places_per_host``: so many peers of one
    host may stand in the tables of another."""

    group_hosts: bool = RING.group_hosts
    places_per_host: Annotated[int, Field(ge=_FEWEST_PLACES)] = RING.places_per_host

    def limits(self) -> RingLimits:
        """The sizes of ring tables that follow."""
        return RingLimits(group_hosts=self.group_hosts, places_per_host=self.places_per_host)


class Delivery(Section):
    """``[delivery]``, for measurements. ``direct = false``: what a peer sends takes a relay even to peers that it knows.
    ``coloured = false``: copies take different first hops and no coloured ways."""

    direct: bool = DELIVERY.direct
    coloured: bool = DELIVERY.coloured

    def limits(self) -> DeliveryLimits:
        """The limits that follow."""
        return replace(DELIVERY, direct=self.direct, coloured=self.coloured)


class Metrics(Section):
    """``[metrics]``, with the extra ``metrics``. ``listen``: where the launcher answers Prometheus, as "127.0.0.1:9610". Whoever
    reaches that address can read the figures, so keep it on loopback unless others are to."""

    listen: Annotated[str, AfterValidator(_address), Field(json_schema_extra=_ADDRESS)] | None = None


class Watch(Section):
    """``[watch]``: lets other machines see the swarm, and ask nothing of it. ``listen``: where, as "192.0.2.7:9620"; the port after
    it is used too. ``key_file``: who does not have its key sees nothing; there is no watching without one. Made like a swarm key:
    `cicada keys new --swarm FILE`."""

    listen: Annotated[str, AfterValidator(_watched), Field(json_schema_extra=_ADDRESS)] | None = None
    key_file: str | None = None


class Config(Section):
    """A whole, valid configuration. Peers of all groups have different names and addresses."""

    swarm: Swarm
    groups: Annotated[
        tuple[Group, ...], Field(alias="group", strict=False, json_schema_extra={"minItems": 1})
    ]
    peer: PeerSettings = PeerSettings()
    links: Links = Links()
    supervision: Supervision = Supervision()
    launch: Launch = Launch()
    ring: Ring = Ring()
    delivery: Delivery = Delivery()
    metrics: Metrics = Metrics()
    watch: Watch = Watch()
    faults: Annotated[tuple[Fault, ...], Field(alias="fault", strict=False)] = ()
    expects: Annotated[tuple[Expect, ...], Field(alias="expect", strict=False)] = ()
    load: Load | None = None
    thresholds: Thresholds = ()

    @property
    def load_command(self) -> RunLoad | None:
        """The load of ``[load]`` with its thresholds, drawn from the swarm's seed unless it has its own."""
        return None if self.load is None else load_command(self.load, self.thresholds, self.swarm.seed)

    @property
    def peer_count(self) -> int:
        """Peers of all groups."""
        return sum(group.count for group in self.groups)
