"""Questions to the router in single datagrams: sent again and again until an answer comes or the time is up."""

from __future__ import annotations

import functools
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar

from cicada.limits import NatLimits
from cicada.nat import natpmp, pcp, ssdp
from cicada.nat.requests import NAT_PMP, PCP, PROTOCOLS, UPNP, Fault, Gateway

T = TypeVar("T")

_ONE_HOP: Final = 1  # what is searched for is in this network


def exchange(
    gateway: Gateway, ask: bytes, accept: Callable[[bytes], T | None], deadline: float, limits: NatLimits
) -> T:
    """Send to the gateway's port 5351 until ``accept`` takes something as the answer. Raises
    Fault, as ``accept`` may, or OSError."""
    left = limits.datagrams
    with _mapping_socket(gateway) as channel:
        try:
            for end in _rounds(deadline, limits.resend):
                channel.send(ask)
                for data, _ in _received(channel, end):
                    answer = accept(data)
                    if answer is not None:
                        return answer
                    left -= 1
                    if not left:
                        raise Fault("malformed", f"{limits.datagrams} datagrams, none of them an answer")
        except ConnectionRefusedError:
            raise Fault("closed", "the router's port 5351 is closed") from None
    raise Fault("timeout", f"no answer in {deadline:g} s")


def knock(gateway: Gateway, limits: NatLimits) -> tuple[str, ...]:
    """The protocols in which something answers within ``limits.knock`` seconds."""
    heard: set[str] = set()
    with (
        selectors.DefaultSelector() as selector,
        _mapping_socket(gateway) as mapping,
        _search_socket(gateway) as searching,
    ):
        selector.register(mapping, selectors.EVENT_READ, functools.partial(_hear_mapping, mapping, heard))
        selector.register(
            searching, selectors.EVENT_READ, functools.partial(_hear_search, searching, gateway, heard)
        )
        asks = (pcp.encode_announce(mapping.getsockname()[0]), natpmp.encode_address())
        for end in _rounds(limits.knock, limits.resend):
            for ask in asks:
                with suppress(OSError):
                    mapping.send(ask)
            _search_once(searching, gateway)
            while len(heard) < len(PROTOCOLS) and (wait := end - time.monotonic()) > 0:
                for key, _ in selector.select(wait):
                    key.data()
            if len(heard) == len(PROTOCOLS):
                break
    return tuple(protocol for protocol in PROTOCOLS if protocol in heard)


def search(gateway: Gateway, limits: NatLimits) -> list[str]:
    """Where descriptions of UPnP routers are, the gateway's first. Raises OSError."""
    found: list[str] = []
    left = limits.search_answers
    until = time.monotonic() + limits.search
    with _search_socket(gateway) as channel:
        for end in _rounds(limits.search, limits.resend):
            _search_once(channel, gateway)
            while left and (wait := min(end, until) - time.monotonic()) > 0:
                for data, sender in _received(channel, time.monotonic() + wait):
                    left -= 1
                    if device := ssdp.device_of(data, sender, gateway):
                        found.append(device)
                        until = min(until, time.monotonic() + limits.search_more)
                    break
            if not left or time.monotonic() >= until:
                break
    return ssdp.in_order(found, gateway)


def _rounds(seconds: float, first: float) -> Iterator[float]:
    """The end of each round: ``first`` seconds from its begin, then twice as many, and so on, until time is up."""
    until, pause = time.monotonic() + seconds, first
    while (now := time.monotonic()) < until:
        yield min(now + pause, until)
        pause *= 2


def _received(channel: socket.socket, end: float) -> Iterator[tuple[bytes, str]]:
    """What comes before ``end``, with its sender."""
    while (wait := end - time.monotonic()) > 0:
        channel.settimeout(wait)
        try:
            data, sender = channel.recvfrom(ssdp.MAX_BYTES)
        except TimeoutError:
            return
        yield data, sender[0] if sender else ""


def _mapping_socket(gateway: Gateway) -> socket.socket:
    """For PCP and NAT-PMP. Connected: the kernel drops what others send, and says when the port is closed."""
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        channel.connect((gateway.address, pcp.PORT))
    except OSError:
        channel.close()
        raise
    return channel


def _search_socket(gateway: Gateway) -> socket.socket:
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _ONE_HOP)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(gateway.local))
        channel.bind((gateway.local, 0))
    except OSError:
        channel.close()
        raise
    return channel


def _search_once(channel: socket.socket, gateway: Gateway) -> None:
    """Ask everybody and, for networks that lose multicasts, the gateway by itself."""
    for host in (ssdp.GROUP, gateway.address):
        for question in ssdp.questions(host):
            with suppress(OSError):
                channel.sendto(question, (host, ssdp.PORT))


def _hear_mapping(channel: socket.socket, heard: set[str]) -> None:
    with suppress(OSError):  # the port is closed; the other socket may hear something
        data = channel.recv(ssdp.MAX_BYTES)
        if isinstance(pcp.answer_to_announce(data), pcp.AnnounceAnswer):
            heard.add(PCP)
        if isinstance(natpmp.answer_to_address(data), natpmp.AddressAnswer):
            heard.add(NAT_PMP)


def _hear_search(channel: socket.socket, gateway: Gateway, heard: set[str]) -> None:
    with suppress(OSError):
        data, sender = channel.recvfrom(ssdp.MAX_BYTES)
        if ssdp.device_of(data, sender[0], gateway):
            heard.add(UPNP)
