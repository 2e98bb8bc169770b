"""A UPnP router on a loopback address: SSDP, a description and SOAP, with whatever misbehaviour a test wants."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.nat.loopback import datagram_server

_DEVICE = (
    '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">{base}<specVersion><major>1</major><minor>0</minor>'
    "</specVersion><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>"
    "<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><serviceList><service><serviceType>"
    "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><serviceId>urn:upnp-org:serviceId:WANCommonIFC1"
    "</serviceId><controlURL>{control}</controlURL></service></serviceList><deviceList><device><deviceType>"
    "urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service><serviceType>"
    "urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>"
    "<controlURL>{control}</controlURL></service></serviceList></device></deviceList></device></deviceList></device></root>"
)
_ENVELOPE = '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
_SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


class Entry(NamedTuple):
    """A mapping of the router."""

    host: str
    port: int
    lease: int


class Igd:
    """The router. Attributes say how it behaves, and may be changed at any time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.external_ip = "8.8.4.4"
        self.status = "Connected"
        self.permanent_only = False
        self.taken: set[int] = set()  # external ports for which it says 718
        self.refused = 0  # the error that it answers AddPortMapping with
        self.junk = b""  # sent instead of any answer
        self.is_frozen = False  # takes connections and requests, and never answers
        self.drip = 0.0  # seconds before each byte of the description
        self.control = "/control"  # where its description says it is controlled
        self.searchable = True
        self.mappings: dict[tuple[int, str], Entry] = {}
        self.calls: list[str] = []
        self._closing = threading.Event()
        self._acted = threading.Condition()
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = False
        self.url = f"http://{address}:{self._server.server_port}/description.xml"

    @contextmanager
    def running(self) -> Iterator[Igd]:
        """Serve until the end of the block."""
        serving = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        serving.start()
        try:
            with datagram_server(self.address, 1900, self._found):
                yield self
        finally:
            self._closing.set()
            self._server.shutdown()
            self._server.server_close()
            serving.join()

    def wait_for(self, holds: Callable[[], bool], timeout: float) -> None:
        """Wait until something holds after an action."""
        with self._acted:
            assert self._acted.wait_for(holds, timeout), f"not within {timeout} s: {self.mappings}"

    def forget(self) -> None:
        """As after a reboot."""
        self.mappings.clear()

    def _found(self, data: bytes) -> bytes | None:
        kind = re.search(rb"\r\nST: *(\S+)", data)
        if not self.searchable or not data.startswith(b"M-SEARCH") or kind is None:
            return None
        if not kind[1].endswith(b"InternetGatewayDevice:1"):
            return None
        return (
            f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {kind[1].decode()}\r\nUSN: uuid:1\r\nEXT:\r\n"
            f"SERVER: test\r\nLOCATION: {self.url}\r\n\r\n"
        ).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        igd = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                base = ""
                self.answer(200, _DEVICE.format(base=base, control=igd.control).encode(), igd.drip)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                action = self.headers["SOAPAction"].strip('"').partition("#")[2]
                with igd._acted:
                    code, text = igd.act(action, dict(re.findall(r"<(New\w+)>([^<]*)</", body)))
                    igd._acted.notify_all()
                self.answer(code, _ENVELOPE.format(text).encode())

            def answer(self, code: int, body: bytes, drip: float = 0.0) -> None:
                if igd.is_frozen:
                    igd._closing.wait()
                    return
                if igd.junk:
                    self.wfile.write(igd.junk)
                    return
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for place in range(len(body)) if drip else ():
                    if igd._closing.wait(drip):
                        return
                    try:
                        self.wfile.write(body[place : place + 1])
                    except OSError:  # the client was killed
                        return
                if not drip:
                    self.wfile.write(body)

        return Handler

    def act(self, action: str, given: dict[str, str]) -> tuple[int, str]:
        """One SOAP action: status and body of the answer."""
        self.calls.append(action)
        key = (int(given.get("NewExternalPort", 0)), given.get("NewProtocol", ""))
        match action:
            case "GetStatusInfo":
                return _done(
                    action, NewConnectionStatus=self.status, NewLastConnectionError="NONE", NewUptime=1
                )
            case "GetExternalIPAddress":
                return _done(action, NewExternalIPAddress=self.external_ip)
            case "GetSpecificPortMappingEntry":
                entry = self.mappings.get(key)
                if entry is None:
                    return _error(714, "NoSuchEntryInArray")
                return _done(
                    action,
                    NewInternalPort=entry.port,
                    NewInternalClient=entry.host,
                    NewEnabled=1,
                    NewPortMappingDescription="x",
                    NewLeaseDuration=entry.lease,
                )
            case "AddPortMapping":
                return self._add(action, key, given)
            case "DeletePortMapping":
                return _done(action) if self.mappings.pop(key, None) else _error(714, "NoSuchEntryInArray")
            case _:
                return _error(401, "Invalid Action")

    def _add(self, action: str, key: tuple[int, str], given: dict[str, str]) -> tuple[int, str]:
        if self.refused:
            return _error(self.refused, "no")
        if key[0] in self.taken:
            return _error(718, "ConflictInMappingEntry")
        lease = int(given["NewLeaseDuration"])
        if self.permanent_only and lease:
            return _error(725, "OnlyPermanentLeasesSupported")
        self.mappings[key] = Entry(given["NewInternalClient"], int(given["NewInternalPort"]), lease)
        return _done(action)


def _done(action: str, **values: object) -> tuple[int, str]:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return 200, f'<u:{action}Response xmlns:u="{_SERVICE}">{inside}</u:{action}Response>'


def _error(code: int, text: str) -> tuple[int, str]:
    return 500, (
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        f'<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{code}</errorCode><errorDescription>{text}'
        "</errorDescription></UPnPError></detail></s:Fault>"
    )
