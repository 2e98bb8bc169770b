"""NAT-PMP, RFC 6886, with the packets of py-natpmp.

Of that library only the packets are used. Its functions wait on ``select``, which fails past descriptor 1023, leave sockets
open, take the answer to any request for the answer to theirs, and fail on the short answers that errors have; its class
``NatPMP`` takes TCP for UDP.
"""

from __future__ import annotations

import functools
import struct
import warnings
from typing import Any, Final

import msgspec

from cicada.nat.requests import TCP, Fault, clean_address

PORT: Final = 5351
MAX_BYTES: Final = 16

_REPLY: Final = 0x80
_HEADER: Final = struct.Struct(
    "!BBHI"
)  # version, opcode, result, epoch: all of it, when the result is an error
_ADDRESS_BYTES: Final = 12
_ADDRESS: Final = 0  # opcode
_SUCCESS: Final = 0
_UNSUPPORTED_VERSION: Final = 1

# Result codes (RFC 6886 section 3.5) and what they mean for the asker.
_RESULTS: Final = {1: "unsupported", 2: "refused", 3: "no-wan", 4: "no-resources", 5: "unsupported"}


class AddressAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The router's external address; empty when it has none."""

    external_ip: str
    epoch: int


class MapAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping was granted; with lifetime and external port 0 it was deleted."""

    opcode: int
    port: int
    external_port: int
    lifetime: int
    epoch: int


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A result other than success."""

    opcode: int
    result: int


class Junk(msgspec.Struct, frozen=True):
    """Bytes that are no answer of NAT-PMP."""

    reason: str


AnyAnswer = AddressAnswer | MapAnswer | ErrorAnswer | Junk


def encode_address() -> bytes:
    """The question for the external address (RFC 6886 section 3.2)."""
    packet: bytes = _library().PublicAddressRequest().toBytes()
    return packet


def encode_map(*, transport: str, port: int, external_port: int, lifetime: int) -> bytes:
    """The request for a mapping (section 3.3); with ``lifetime`` 0 to delete it (section 3.4)."""
    external_port = external_port if lifetime else 0
    packet: bytes = (
        _library().PortMapRequest(_opcode(transport), port, external_port, lifetime=lifetime).toBytes()
    )
    return packet


def decode(data: bytes) -> AnyAnswer:
    """What a router said."""
    if len(data) < _HEADER.size:
        return Junk(f"{len(data)} bytes")
    version, opcode, result, epoch = _HEADER.unpack_from(data)
    if not opcode & _REPLY:
        return Junk("no answer but a request")
    opcode &= ~_REPLY
    if version != 0:
        # A PCP server says in its own form that it knows no version 0: the result is in the fourth byte (RFC 6887, 9).
        is_refusal = data[3] == _UNSUPPORTED_VERSION
        return ErrorAnswer(opcode=opcode, result=data[3]) if is_refusal else Junk(f"version {version}")
    if result != _SUCCESS:
        return ErrorAnswer(opcode=opcode, result=result)
    if opcode == _ADDRESS and len(data) >= _ADDRESS_BYTES:
        found = _library().PublicAddressResponse(data)
        return AddressAnswer(external_ip=clean_address(found.ip), epoch=epoch)
    if opcode in (1, 2) and len(data) >= MAX_BYTES:
        found = _library().PortMapResponse(data)
        return MapAnswer(
            opcode=opcode,
            port=found.private_port,
            external_port=found.public_port,
            lifetime=found.lifetime,
            epoch=epoch,
        )
    return Junk(f"opcode {opcode} in {len(data)} bytes")


def answer_to_address(data: bytes) -> AddressAnswer | ErrorAnswer | None:
    """The answer to the question for the external address; None when it is another's, or none."""
    match decode(data):
        case AddressAnswer() as answer:
            return answer
        case ErrorAnswer() as answer:
            return answer if answer.opcode == _ADDRESS or answer.result == _UNSUPPORTED_VERSION else None
        case _:
            return None


def answer_to_map(data: bytes, transport: str, port: int) -> MapAnswer | ErrorAnswer | None:
    """The answer to the request for a mapping of this port; None when it is another's, or none."""
    match decode(data):
        case MapAnswer() as answer:
            return answer if (answer.opcode, answer.port) == (_opcode(transport), port) else None
        case ErrorAnswer() as answer:
            is_mine = answer.opcode == _opcode(transport) or answer.result == _UNSUPPORTED_VERSION
            return answer if is_mine else None
        case _:
            return None


def fault(answer: ErrorAnswer) -> Fault:
    """An error in words, to be raised."""
    text: str = _library().error_str(answer.result)
    reason = _RESULTS.get(answer.result, "refused")
    return Fault(reason, f"NAT-PMP result {answer.result}: {' '.join(text.split())}")


def _opcode(transport: str) -> int:
    library = _library()
    opcode: int = library.NATPMP_PROTOCOL_TCP if transport == TCP else library.NATPMP_PROTOCOL_UDP
    return opcode


@functools.cache
def _library() -> Any:
    with warnings.catch_warnings():  # its source has escapes that newer Pythons warn of
        warnings.simplefilter("ignore")
        import natpmp
    return natpmp
