"""Rules between fields and between groups. They read the document, so that one mistake hides no other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import product

import msgspec

from cicada.config.load import load_problems
from cicada.config.positions import Path
from cicada.config.source import Document
from cicada.config.timelinechecks import timeline_problems
from cicada.errors import Misuse
from cicada.ids import MAX_PORT, canonical_address, split_address

Problem = tuple[Path, str]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The ports that one group asks for."""

    index: int
    name: str
    host: str
    first: int
    count: int

    @property
    def last(self) -> int:
        return self.first + self.count - 1


def problems_between(document: Document) -> Iterator[Problem]:
    """Every rule broken by values that are each right by themselves."""
    if document.get("group") == []:
        yield ("group",), "there must be at least one [[group]]"
    yield from _workers(document)
    yield from _plain_links(document)
    yield from _bad_groups(document)
    yield from load_problems(document)
    yield from _names(document)
    ranges = tuple(_ranges(document))
    yield from _past_the_last_port(ranges)
    yield from _overlaps(ranges)
    yield from _endpoints(document, ranges)
    yield from _metrics_and_watch(document)
    yield from _watch(document)
    yield from timeline_problems(document)


def _workers(document: Document) -> Iterator[Problem]:
    swarm = document.get("swarm")
    if isinstance(swarm, dict) and "peers_per_worker" in swarm and isinstance(swarm.get("workers"), int):
        yield ("swarm", "peers_per_worker"), "workers is a number already: give one of the two"


def _plain_links(document: Document) -> Iterator[Problem]:
    """What is not encrypted stays on this machine, and takes no key."""
    links = document.get("links")
    if not isinstance(links, dict) or links.get("encrypt") is not False:
        return
    for index, group in _groups(document):
        host = str(group.get("address")).rpartition(":")[0].strip("[]")
        if host and not _is_loopback(host):
            problem = f"{host} is not a loopback address, and links are not encrypted: use 127.0.0.1 or [::1]"
            yield ("group", index, "address"), problem
    for table, key in (("swarm", "key_file"), ("peer", "keys")):
        section = document.get(table)
        if isinstance(section, dict) and key in section:
            yield (table, key), "links.encrypt is false: there is nothing to use it for"


def _bad_groups(document: Document) -> Iterator[Problem]:
    """Peers that do harm stay on this machine."""
    for index, group in _groups(document):
        if "behaviour" not in group:
            if group.get("behaviour_share", 1.0) != 1.0:
                yield ("group", index, "behaviour_share"), 'of what? Add behaviour = "drop"'
            continue
        host = str(group.get("address")).rpartition(":")[0].strip("[]")
        if host and not _is_loopback(host):
            problem = f"peers that do harm on purpose stay on loopback addresses: {host} is none"
            yield ("group", index, "behaviour"), problem


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # no address at all, which is said elsewhere


def _groups(document: Document) -> Iterator[tuple[int, dict[str, object]]]:
    groups = document.get("group")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        if isinstance(group, dict):
            yield index, group


def _names(document: Document) -> Iterator[Problem]:
    first: dict[object, int] = {}
    for index, group in _groups(document):
        name = group.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            problem = f"group[{first[name]}] is called {name!r} already: choose another name"
            yield ("group", index, "name"), problem
        first.setdefault(name, index)


def _ranges(document: Document) -> Iterator[Range]:
    """Ports of the groups whose count and address are right."""
    for index, group in _groups(document):
        count, address = group.get("count"), group.get("address")
        if not isinstance(count, int) or isinstance(count, bool) or count < 1 or not isinstance(address, str):
            continue
        try:
            host, port = split_address(canonical_address(*split_address(address)))
        except Misuse:
            continue
        yield Range(index=index, name=str(group.get("name", "peer")), host=host, first=port, count=count)


def _past_the_last_port(ranges: tuple[Range, ...]) -> Iterator[Problem]:
    for ports in ranges:
        if ports.last <= MAX_PORT:
            continue
        end = MAX_PORT + 1
        peer = f"{ports.name}-{end - ports.first}"
        problem = f"{ports.count} peers from port {ports.first} run past {MAX_PORT}: {peer} would get {end}"
        start = end - ports.count
        remedy = f"start at {start} or lower" if start >= 1 else "use groups with different addresses"
        yield ("group", ports.index, "address"), f"{problem}; {remedy}"


def _overlaps(ranges: tuple[Range, ...]) -> Iterator[Problem]:
    for position, later in enumerate(ranges):
        for earlier in ranges[:position]:
            port = max(earlier.first, later.first)
            if earlier.host != later.host or port > min(earlier.last, later.last):
                continue
            mine, theirs = f"{later.name}-{port - later.first}", f"{earlier.name}-{port - earlier.first}"
            free = earlier.last + 1
            remedy = f"start at port {free}" if free + later.count - 1 <= MAX_PORT else "choose other ports"
            problem = f"port {port} would be both {mine}'s and {theirs}'s (group[{earlier.index}]); {remedy}"
            yield ("group", later.index, "address"), problem
            break


def _endpoints(document: Document, ranges: tuple[Range, ...]) -> Iterator[Problem]:
    """The endpoints of metrics and of watchers have ports of their own."""
    for section, count in (("metrics", 1), ("watch", 2)):
        listen = _listen(document, section)
        try:
            host, first = split_address(canonical_address(*split_address(str(listen))))
        except Misuse:
            continue  # it is left out, or is no address, which is said elsewhere
        for port, ports in product(range(first, first + count), ranges):
            if ports.host == host and ports.first <= port <= ports.last:
                peer = f"{ports.name}-{port - ports.first}"
                yield (section, "listen"), f"port {port} is {peer}'s: choose another one"


def _metrics_and_watch(document: Document) -> Iterator[Problem]:
    """The two endpoints do not meet; that of watchers has two ports."""
    metrics, watch = (_place(_listen(document, section)) for section in ("metrics", "watch"))
    if metrics is None or watch is None:
        return
    (host, port), (watched, first) = metrics, watch
    anywhere = {"0.0.0.0", "::"}  # noqa: S104 (nothing is bound here)
    if port in (first, first + 1) and (host == watched or anywhere & {host, watched}):
        yield ("metrics", "listen"), f"port {port} is one of the two of [watch] listen: choose another one"


def _place(listen: object) -> tuple[str, int] | None:
    """Host and port of an endpoint; None when it is left out, or is no address, which is said elsewhere."""
    try:
        return split_address(canonical_address(*split_address(str(listen))))
    except Misuse:
        return None


def _watch(document: Document) -> Iterator[Problem]:
    """Nobody watches from elsewhere without a key."""
    watch = document.get("watch")
    if not isinstance(watch, dict) or ("listen" in watch) == ("key_file" in watch):
        return
    if "listen" in watch:
        make = "make one with `cicada keys new --swarm FILE`"
        yield ("watch", "listen"), f"add key_file: nobody watches without a key; {make}"
    else:
        yield ("watch", "key_file"), "add listen: there is nothing to use it for"


def _listen(document: Document, section: str) -> object:
    table = document.get(section)
    return table.get("listen") if isinstance(table, dict) else None
