"""Searching for routers by SSDP, the discovery of UPnP: the question, and which answers are believed.

miniupnpc can search too, but then it takes whichever router answers first and does not name the others, waits for seconds,
and cannot be told to leave out those in other networks.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from cicada.nat.requests import Gateway

PORT: Final = 1900
GROUP: Final = "239.255.255.250"
MAX_BYTES: Final = 2048
_MAX_URL: Final = 256

_KINDS: Final = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
_STATUS: Final = re.compile(rb"HTTP/1\.[01] 200[ \r\n]")
_LOCATION: Final = re.compile(rb"\r?\nlocation[ \t]*:[ \t]*([\x21-\x7e]+)[ \t]*\r?\n", re.IGNORECASE)
_KIND: Final = re.compile(rb"\r?\nst[ \t]*:[ \t]*([\x21-\x7e]+)[ \t]*\r?\n", re.IGNORECASE)


def questions(host: str) -> list[bytes]:
    """What is sent to ``host``, the group or one router."""
    return [
        (
            f'M-SEARCH * HTTP/1.1\r\nHOST: {host}:{PORT}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {kind}\r\n\r\n'
        ).encode()
        for kind in _KINDS
    ]


def device_of(data: bytes, sender: str, gateway: Gateway) -> str:
    """Where the description of a router is that answered; empty when it is none, or one not to be believed.

    It must be the gateway or stand in the local subnet, and name itself: whatever it names is fetched.
    """
    location, kind = _LOCATION.search(data), _KIND.search(data)
    if not _STATUS.match(data) or location is None or kind is None:
        return ""
    if kind[1].decode("ascii") not in _KINDS or len(location[1]) > _MAX_URL:
        return ""
    url = location[1].decode("ascii")
    return url if is_at(url, sender) and is_near(sender, gateway) else ""


def is_at(url: str, host: str) -> bool:
    """Whether a URL is one of HTTP on that very host, by number, without credentials."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "http"
            and parts.hostname == host
            and parts.username is None
            and (parts.port is None or parts.port >= 1)
        )
    except ValueError:
        return False


def host_of(url: str) -> str:
    """The host that a URL names; empty when it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_near(host: str, gateway: Gateway) -> bool:
    """Whether an address is the gateway's or in the local subnet."""
    if host == gateway.address:
        return True
    try:
        return ipaddress.IPv4Address(host) in ipaddress.IPv4Network(gateway.subnet)
    except ValueError:
        return False


def in_order(devices: list[str], gateway: Gateway) -> list[str]:
    """Descriptions of the default gateway before all others, each once."""
    unique = list(dict.fromkeys(devices))
    return sorted(unique, key=lambda url: not is_at(url, gateway.address))
