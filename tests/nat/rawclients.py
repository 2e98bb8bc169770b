"""The three mapping protocols as plainly as can be, to try the lab itself. They share nothing with what is tested in it."""

from __future__ import annotations

import http.client
import socket
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tests.nat.lab import MAPPING_PORT, Host

GATEWAY: Final = "192.168.77.1"
ANSWER_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 0.3
"""An answer takes a millisecond; whoever has not answered by then will not."""
NONCE: Final = b"twelve bytes"
SERVICE: Final = "urn:schemas-upnp-org:service:WANIPConnection:"
SEARCH: Final = (
    'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
    f"ST: {SERVICE}1\r\n\r\n"
)
ENVELOPE: Final = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
    '<u:{action} xmlns:u="{service}">{arguments}</u:{action}></s:Body></s:Envelope>'
)


class Granted(NamedTuple):
    """A positive answer. ``epoch`` is seconds, 0 where a protocol has none; ``address`` is empty where it says none."""

    external_port: int
    lease: int
    epoch: int = 0
    address: str = ""


class Refused(Exception):
    """A negative answer; ``code`` is the protocol's own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


def _asked(host: Host, request: bytes, patience: float) -> bytes:
    """The router's answer on the port of PCP and NAT-PMP. Raises TimeoutError, and ConnectionRefusedError where nobody listens."""
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(patience)
        asking.connect((GATEWAY, MAPPING_PORT))
        asking.send(request)
        return asking.recv(1100)


def nat_pmp_map(
    host: Host, port: int, external_port: int, lease: int, patience: float = ANSWER_SECONDS
) -> Granted:
    """RFC 6886, section 3.3: TCP. A lease of 0 deletes."""
    answer = _asked(host, struct.pack("!BBHHHI", 0, 2, 0, port, external_port, lease), patience)
    version, opcode, code, epoch, internal, external, granted = struct.unpack(
        "!BBHIHHI", answer.ljust(16, b"\0")
    )
    assert (version, opcode) == (0, 130)
    if code:
        raise Refused(code)
    assert internal == port
    return Granted(external, granted, epoch)


def nat_pmp_address(host: Host, patience: float = ANSWER_SECONDS) -> str:
    """RFC 6886, section 3.2."""
    answer = _asked(host, bytes(2), patience)
    code = struct.unpack("!H", answer[2:4])[0]
    if code:
        raise Refused(code)
    return socket.inet_ntoa(answer[8:12])


def pcp_map(
    host: Host, port: int, external_port: int, lease: int, patience: float = ANSWER_SECONDS
) -> Granted:
    """RFC 6887, sections 7 and 11: TCP. A lease of 0 deletes."""
    head = struct.pack("!BBHI", 2, 1, 0, lease) + _mapped(host.address)
    body = NONCE + struct.pack("!B3xHH", socket.IPPROTO_TCP, port, external_port) + _mapped("0.0.0.0")
    answer = _asked(host, head + body, patience)
    version, opcode, code, granted, epoch = struct.unpack("!BBxBII", answer[:12])
    assert (version, opcode) == (2, 129)
    if code:
        raise Refused(code)
    protocol, internal, external = struct.unpack("!B3xHH", answer[36:44])
    assert (answer[24:36], protocol, internal) == (NONCE, socket.IPPROTO_TCP, port)
    return Granted(external, granted, epoch, socket.inet_ntoa(answer[56:60]))


def pcp_announce(host: Host, patience: float = ANSWER_SECONDS) -> None:
    """Is anybody there (RFC 6887, section 14.1)?"""
    answer = _asked(host, struct.pack("!BBHI", 2, 0, 0, 0) + _mapped(host.address), patience)
    assert answer[:4] == b"\x02\x80\0\0"


def _mapped(address: str) -> bytes:
    """IPv4 within IPv6, as PCP has it."""
    return bytes(10) + b"\xff\xff" + socket.inet_aton(address)


def announcements(host: Host) -> socket.socket:
    """Hears what a router announces to its LAN (RFC 6887, section 14.1)."""
    with host.inside():
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.settimeout(ANSWER_SECONDS)
    heard.bind(("224.0.0.1", 5350))
    return heard


def announced_epoch(heard: socket.socket) -> int:
    """The epoch in the next PCP announcement; those of NAT-PMP are passed over. Raises TimeoutError."""
    while True:
        said = heard.recv(1100)
        if said[0] == 2:
            opcode, code, epoch = struct.unpack("!xBxB4xI", said[:12])
            assert (opcode, code) == (128, 0)
            return int(epoch)


def upnp_location(host: Host, patience: float = ANSWER_SECONDS) -> str:
    """Where the description of the router is, as it says when it is searched for. Raises TimeoutError."""
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(patience)
        asking.sendto(SEARCH.encode(), ("239.255.255.250", 1900))
        answer = asking.recv(2048).decode()
    lines = (line.partition(":") for line in answer.splitlines())
    return next(value.strip() for name, _, value in lines if name.upper() == "LOCATION")


def upnp_map(host: Host, port: int, external_port: int, lease: int) -> Granted:
    """UPnP WANIPConnection:1, section 2.4.16, TCP; or 2.4.18 when the lease is 0."""
    where = {"NewRemoteHost": "", "NewExternalPort": external_port, "NewProtocol": "TCP"}
    if not lease:
        _call(host, "DeletePortMapping", where)
        return Granted(external_port, 0)
    to = {"NewInternalPort": port, "NewInternalClient": host.address, "NewEnabled": 1}
    about = {"NewPortMappingDescription": "raw", "NewLeaseDuration": lease}
    _call(host, "AddPortMapping", {**where, **to, **about})
    return Granted(external_port, lease)


def upnp_address(host: Host) -> str:
    return _call(host, "GetExternalIPAddress", {}).get("NewExternalIPAddress", "")


def _call(host: Host, action: str, arguments: Mapping[str, object]) -> dict[str, str]:
    """What a SOAP call returns. Raises Refused."""
    location = upnp_location(host)
    with _http(host, location) as connection:
        connection.request("GET", urlsplit(location).path)
        described = ET.fromstring(connection.getresponse().read())
    service, control = _connection_service(described)
    body = ENVELOPE.format(
        action=action, service=service, arguments="".join(f"<{k}>{v}</{k}>" for k, v in arguments.items())
    )
    headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{service}#{action}"'}
    with _http(host, location) as connection:
        connection.request("POST", control, body, headers)
        said = ET.fromstring(connection.getresponse().read())
    values = {element.tag.rpartition("}")[2]: element.text or "" for element in said.iter()}
    if "errorCode" in values:
        raise Refused(int(values["errorCode"]))
    return values


def _connection_service(described: ET.Element) -> tuple[str, str]:
    """Type and path of what maps ports; versions 1 and 2 know the same calls."""
    for service in described.iter("{urn:schemas-upnp-org:device-1-0}service"):
        values = {element.tag.rpartition("}")[2]: element.text or "" for element in service}
        if values["serviceType"].startswith(SERVICE):
            return values["serviceType"], values["controlURL"]
    raise AssertionError("the router has no connection to the internet to map at")


@contextmanager
def _http(host: Host, location: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(location).netloc, timeout=ANSWER_SECONDS)
    try:
        with host.inside():
            connection.connect()
        yield connection
    finally:
        connection.close()
