"""Where a peer is bound, and whom it joins by: one parameter, ``[HOST][:PORT][@EXTERNAL[:PORT]]``, taken apart."""

from __future__ import annotations

import ipaddress

import msgspec

from cicada.errors import Misuse
from launcher.script.statements import HostTarget
from launcher.script.words import BadWord, host_in, port_in

_FORM = "[HOST][:PORT][@EXTERNAL[:PORT]]"


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """``host`` is numeric, or the name of an interface or a host; empty: wherever others can reach it. ``port`` 0: a free one;
    None: not said. ``external`` is what others dial, empty: the same; ``external_port`` None: the same."""

    host: str = ""
    port: int | None = None
    external: str = ""
    external_port: int | None = None

    def __str__(self) -> str:
        outer = f"@{_shown(self.external, self.external_port)}" if self.external else ""
        return _shown(self.host, self.port) + outer


def parse_binding(text: str) -> Binding:
    """Raises Misuse, which says what is wrong with which part."""
    inner, at, outer = text.strip().partition("@")
    try:
        host, port = _split(inner, zero_is_one=True)
        external, external_port = _split(outer, zero_is_one=False) if at else ("", None)
    except BadWord as bad:
        raise Misuse(f"cannot bind to {text!r}: {bad.problem}") from None
    if at and not external:
        raise Misuse(f"cannot bind to {text!r}: no external address follows the @: write {_FORM}")
    return Binding(host=host, port=port, external=external, external_port=external_port)


def parse_seed(text: str, default_port: int) -> HostTarget:
    """``HOST[:PORT]`` of a peer to join through. Raises Misuse."""
    try:
        host, port = _split(text.strip(), zero_is_one=False)
    except BadWord as bad:
        raise Misuse(f"cannot join {text!r}: {bad.problem}") from None
    if not host:
        raise Misuse(f"cannot join {text!r}: write HOST:PORT")
    return HostTarget(host=host, port=default_port if port is None else port)


def with_options(binding: Binding, interface: str, port: int | None) -> Binding:
    """The binding with what ``--interface`` and ``--port`` say. Raises Misuse when a part is said twice."""
    if interface and binding.host:
        raise Misuse(
            f"--interface and --bind both say where to bind: leave one of {interface!r} and {binding.host!r}"
        )
    if port is not None and binding.port is not None:
        raise Misuse(f"--port and --bind both say a port: leave one of {port} and {binding.port}")
    if interface:
        named = parse_binding(interface)
        if named.port is not None or named.external:
            raise Misuse(f"--interface {interface!r} has more than a host: use --bind")
        binding = msgspec.structs.replace(binding, host=named.host)
    return binding if port is None else msgspec.structs.replace(binding, port=port)


def _split(text: str, *, zero_is_one: bool) -> tuple[str, int | None]:
    """Host and port; what is not there is empty, or None."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket:
            raise BadWord(f"{text!r} has no closing bracket: write [2001:db8::1]:50000")
        if rest and not rest.startswith(":"):
            raise BadWord(f"{rest!r} follows the bracket: write a colon and a port")
        return host_in(f"{host}]", 1), port_in(rest[1:], 1, zero_is_one=zero_is_one) if rest else None
    if text.count(":") > 1:
        raise BadWord(
            f"{text!r} may end in a port or not: write IPv6 addresses in brackets, as {_bracketed(text)}"
        )
    host, colon, port = text.partition(":")
    return host_in(host, 1) if host else "", port_in(port, 1, zero_is_one=zero_is_one) if colon else None


def _bracketed(text: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(text).compressed}]"
    except ValueError:
        return "[2001:db8::1]:50000"


def _shown(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"
