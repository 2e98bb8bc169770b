"""The Port Control Protocol, RFC 6887, as far as a host needs it to map its own ports: MAP and ANNOUNCE over IPv4.

Decoding is total: bytes become a MapAnswer, an AnnounceAnswer, an ErrorAnswer, or Junk.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

import msgspec

from cicada.nat.requests import NONCE_BYTES, TCP, UDP, Fault, clean_address

PORT: Final = 5351
ANNOUNCE_PORT: Final = 5350
ANNOUNCE_GROUP: Final = "224.0.0.1"
VERSION: Final = 2
ANNOUNCE: Final = 0
MAP: Final = 1
MAX_BYTES: Final = 1100  # RFC 6887 section 7
_SHORTEST: Final = 4  # of an error: up to its result

SUCCESS: Final = 0
UNSUPP_VERSION: Final = 1

_REPLY: Final = 0x80  # the R bit of the opcode octet
_REQUEST_HEADER: Final = struct.Struct("!BBHI16s")  # version, opcode, reserved, lifetime, client address
_REPLY_HEADER: Final = struct.Struct("!BBBBII12x")  # version, opcode, reserved, result, lifetime, epoch
_MAP: Final = struct.Struct("!12sB3xHH16s")  # nonce, protocol, internal port, external port, external address
_NATPMP_HEADER: Final = struct.Struct("!BBHI")  # version, opcode, result, epoch
_NUMBERS: Final = {TCP: 6, UDP: 17}  # of IANA's protocol registry
_MAPPED_PREFIX: Final = b"\0" * 10 + b"\xff\xff"
_ANY_ADDRESS: Final = _MAPPED_PREFIX + b"\0" * 4

# Result codes (RFC 6887 section 7.4) and what they mean for the asker.
_RESULTS: Final = {
    1: ("unsupported", "UNSUPP_VERSION"),
    2: ("refused", "NOT_AUTHORIZED"),
    3: ("malformed", "MALFORMED_REQUEST"),
    4: ("unsupported", "UNSUPP_OPCODE"),
    5: ("unsupported", "UNSUPP_OPTION"),
    6: ("malformed", "MALFORMED_OPTION"),
    7: ("no-wan", "NETWORK_FAILURE"),
    8: ("no-resources", "NO_RESOURCES"),
    9: ("unsupported", "UNSUPP_PROTOCOL"),
    10: ("no-resources", "USER_EX_QUOTA"),
    11: ("conflict", "CANNOT_PROVIDE_EXTERNAL"),
    12: ("refused", "ADDRESS_MISMATCH"),
    13: ("refused", "EXCESSIVE_REMOTE_PEERS"),
}


class MapAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A successful answer to MAP. ``external_ip`` is empty when it is no IPv4 address of a host."""

    lifetime: int
    epoch: int
    nonce: bytes
    protocol: int
    internal_port: int
    external_port: int
    external_ip: str


class AnnounceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to ANNOUNCE, or one that nobody asked for: the server forgot its mappings ``epoch`` seconds ago."""

    epoch: int


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A result other than SUCCESS. ``nonce``: of the MAP request it answers; empty when the answer is too short to say."""

    opcode: int
    result: int
    version: int = VERSION
    nonce: bytes = b""


class Junk(msgspec.Struct, frozen=True):
    """Bytes that are no answer of PCP."""

    reason: str


AnyAnswer = MapAnswer | AnnounceAnswer | ErrorAnswer | Junk


def encode_announce(client_ip: str) -> bytes:
    """An ANNOUNCE request (RFC 6887 section 14.1)."""
    return _REQUEST_HEADER.pack(VERSION, ANNOUNCE, 0, 0, _in_16_bytes(client_ip))


def encode_map(
    *, nonce: bytes, transport: str, port: int, external_port: int, lifetime: int, client_ip: str
) -> bytes:
    """A MAP request (RFC 6887 section 11.1). ``lifetime`` 0 deletes; ``external_port`` 0 leaves the choice to the server.

    No external address is suggested: a server that cannot give it could refuse, and ours may have changed.
    """
    external_port = external_port if lifetime else 0
    header = _REQUEST_HEADER.pack(VERSION, MAP, 0, lifetime, _in_16_bytes(client_ip))
    return header + _MAP.pack(nonce, _NUMBERS[transport], port, external_port, _ANY_ADDRESS)


def decode(data: bytes) -> AnyAnswer:
    """What a server said."""
    if not _SHORTEST <= len(data) <= MAX_BYTES:
        return Junk(f"{len(data)} bytes")
    version, opcode = data[0], data[1]
    if not opcode & _REPLY:
        return Junk("no answer but a request")
    opcode &= ~_REPLY
    if version != VERSION:
        return _other_version(data, version, opcode)
    if len(data) < _REPLY_HEADER.size:
        return ErrorAnswer(opcode=opcode, result=data[3]) if data[3] else Junk("a short success")
    _, _, _, result, lifetime, epoch = _REPLY_HEADER.unpack_from(data)
    if result != SUCCESS:
        return ErrorAnswer(opcode=opcode, result=result, nonce=_nonce_of(data, opcode))
    if opcode == ANNOUNCE:
        return AnnounceAnswer(epoch=epoch)
    if opcode == MAP:
        return _decode_map(data, lifetime, epoch)
    return Junk(f"opcode {opcode}")


def answer_to_map(data: bytes, nonce: bytes, transport: str, port: int) -> MapAnswer | ErrorAnswer | None:
    """The answer to the MAP request with these values; None when it is another's, or none (section 11.4)."""
    match decode(data):
        case MapAnswer() as answer:
            found = (answer.nonce, answer.protocol, answer.internal_port)
            return answer if found == (nonce, _NUMBERS[transport], port) else None
        case ErrorAnswer() as answer:
            is_mine = answer.opcode == MAP and answer.nonce in (b"", nonce)
            return answer if is_mine or answer.result == UNSUPP_VERSION else None
        case _:
            return None


def answer_to_announce(data: bytes) -> AnnounceAnswer | ErrorAnswer | None:
    """The answer to an ANNOUNCE request, if only with an error; None when it is none."""
    match decode(data):
        case AnnounceAnswer() as answer:
            return answer
        case ErrorAnswer() as answer:
            return answer if answer.opcode == ANNOUNCE or answer.result == UNSUPP_VERSION else None
        case _:
            return None


def fault(answer: ErrorAnswer) -> Fault:
    """An error in words, to be raised."""
    reason, name = _RESULTS.get(answer.result, ("refused", "an unknown result"))
    return Fault(reason, f"PCP result {answer.result}, {name}")


def _other_version(data: bytes, version: int, opcode: int) -> AnyAnswer:
    """A server of NAT-PMP (version 0) says in its own form that it does not know ours (RFC 6887 appendix A)."""
    if version == 0 and len(data) < _NATPMP_HEADER.size:
        return Junk("a short answer of NAT-PMP")
    result = _NATPMP_HEADER.unpack_from(data)[2] if version == 0 else data[3]
    if result == UNSUPP_VERSION:
        return ErrorAnswer(opcode=opcode, result=UNSUPP_VERSION, version=version)
    return Junk(f"version {version}")


def _decode_map(data: bytes, lifetime: int, epoch: int) -> AnyAnswer:
    if len(data) < _REPLY_HEADER.size + _MAP.size:
        return Junk("a short MAP answer")
    nonce, protocol, internal_port, external_port, address = _MAP.unpack_from(data, _REPLY_HEADER.size)
    return MapAnswer(
        lifetime=lifetime,
        epoch=epoch,
        nonce=nonce,
        protocol=protocol,
        internal_port=internal_port,
        external_port=external_port,
        external_ip=_from_16_bytes(address),
    )


def _nonce_of(data: bytes, opcode: int) -> bytes:
    start = _REPLY_HEADER.size
    nonce = data[start : start + NONCE_BYTES]
    return nonce if opcode == MAP and len(nonce) == NONCE_BYTES else b""


def _in_16_bytes(address: str) -> bytes:
    """An IPv4 address as PCP has them, IPv4-mapped (RFC 6887 section 5)."""
    return _MAPPED_PREFIX + ipaddress.IPv4Address(address).packed


def _from_16_bytes(address: bytes) -> str:
    if not address.startswith(_MAPPED_PREFIX):
        return ""
    return clean_address(str(ipaddress.IPv4Address(address[len(_MAPPED_PREFIX) :])))
