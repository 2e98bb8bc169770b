"""A router that speaks PCP and NAT-PMP on a loopback address, with whatever misbehaviour a test wants.

Written from the layouts in RFC 6886 and RFC 6887, and not with the project's codec.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.nat.loopback import datagram_server


class PortServer:
    """The router. Attributes say how it behaves, and may be changed at any time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.external_ip = "8.8.4.4"
        self.speaks = {"pcp", "nat-pmp"}
        self.epoch = 1000
        self.lease = 7200  # granted at most
        self.moves_ports = 0  # added to every external port that is asked for
        self.result = 0  # of every answer but to questions of version
        self.is_short = False  # whether errors have only the bytes that they need
        self.wrong_nonce = False
        self.wrong_opcode = False
        self.junk = b""  # sent instead of any answer
        self.is_silent = False
        self.mappings: dict[tuple[str, int], int] = {}  # (protocol, internal port): external port
        self.asked = 0

    @contextmanager
    def running(self) -> Iterator[PortServer]:
        """Serve until the end of the block."""
        with datagram_server(self.address, 5351, self._answer):
            yield self

    def forget(self) -> None:
        """As after a reboot."""
        self.mappings.clear()
        self.epoch = 0

    def _answer(self, data: bytes) -> bytes | None:
        self.asked += 1
        if self.is_silent:
            return None
        if self.junk:
            return self.junk
        return self._pcp(data) if data[0] == 2 else self._natpmp(data)

    def _pcp(self, data: bytes) -> bytes | None:
        if "pcp" not in self.speaks:  # in NAT-PMP's own form, RFC 6887 appendix A
            return struct.pack("!BBHI", 0, 0x80 | data[1], 1, self.epoch)
        opcode = 0x80 | (data[1] + self.wrong_opcode)
        if self.result:
            whole = struct.pack("!BBBBII12x", 2, opcode, 0, self.result, 30, self.epoch) + data[24:]
            return whole[:4] if self.is_short else whole
        lifetime = struct.unpack("!I", data[4:8])[0]
        if data[1] == 0:
            return struct.pack("!BBBBII12x", 2, opcode, 0, 0, 0, self.epoch)
        nonce, protocol, internal, external = struct.unpack("!12sB3xHH", data[24:44])
        external, lifetime = self._map("pcp", internal, external, lifetime)
        nonce = bytes(12) if self.wrong_nonce else nonce
        header = struct.pack("!BBBBII12x", 2, opcode, 0, 0, lifetime, self.epoch)
        mapped = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(self.external_ip)
        return header + struct.pack("!12sB3xHH", nonce, protocol, internal, external) + mapped

    def _natpmp(self, data: bytes) -> bytes | None:
        if "nat-pmp" not in self.speaks:  # in PCP's own form, RFC 6887 section 9
            return struct.pack("!BBBBII12x", 2, 0x80 | data[1], 0, 1, 0, self.epoch)
        opcode = 0x80 | ((data[1] + self.wrong_opcode) % 3)
        header = struct.pack("!BBHI", 0, opcode, self.result, self.epoch)
        if self.result:
            return header if self.is_short else header + bytes(8)
        if data[1] == 0:
            return header + socket.inet_aton(self.external_ip)
        internal, external, lifetime = struct.unpack("!2xHHI", data[2:])
        external, lifetime = self._map("nat-pmp", internal, external, lifetime)
        return header + struct.pack("!HHI", internal, external, lifetime)

    def _map(self, protocol: str, internal: int, external: int, lifetime: int) -> tuple[int, int]:
        if not lifetime:
            self.mappings.pop((protocol, internal), None)
            return 0, 0
        external += self.moves_ports
        self.mappings[protocol, internal] = external
        return external, min(lifetime, self.lease)
