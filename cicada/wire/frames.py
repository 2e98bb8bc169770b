"""Link frames: ``length(4) type(1) index(4) counter(8) body``, big-endian; the length counts what follows it.

``index`` is the receiver's random number for the link; ``counter`` starts at 1 and strictly rises. The 13 header
bytes are what a cipher authenticates; until links are encrypted the cipher slot is ``PlainCipher``.
The first frame of a link is HELLO with index 0: its body names the dialled and the own address, in clear.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

import msgspec

from cicada.errors import MalformedMessage
from cicada.limits import WIRE
from cicada.wire.fields import Handshake, Index, NameText, Number, Small, Text, check_names

PROTOCOL_VERSION: Final = 1
"""Peers link only when their versions are equal. Within a version, fields may be appended to a message, with a
default: older peers ignore what follows the fields they know."""

LENGTH: Final = struct.Struct(">I")
HEADER: Final = struct.Struct(">BIQ")
PREFIXED: Final = struct.Struct(">IBIQ")
LINK_ACK: Final = struct.Struct(">QI")
"""First 12 bytes of the plaintext of DATA, ACK, PING, REKEY and CLOSE: everything up to this counter was received (0: no ack),
and the ack waited so many microseconds for company. In DATA one message follows."""


class FrameType(enum.IntEnum):
    """What a frame is for."""

    HELLO = 1  # opens a link; Noise message 1
    WELCOME = 2  # accepts it; Noise message 2
    REFUSED = 3  # the dialled address cannot or will not serve; body: Refusal
    DATA = 4  # sealed: LINK_ACK, then one message
    ACK = 5  # sealed: LINK_ACK alone
    PING = 6  # sealed: LINK_ACK alone; asks for an ACK at once
    PROVE = 7  # sealed challenge, over a connection dialled back to the claimed address
    PROVEN = 8  # its sealed answer, on the same connection
    CLOSE = 9  # sealed: LINK_ACK alone; the link ends, and nothing beyond this ack was received
    UNKNOWN = 10  # a hint in clear: no link has this index here; header index = the index that is unknown
    FINISH = 11  # Noise message 3, where the pattern has one; counter 0
    REKEY = 12  # sealed: LINK_ACK alone; the sender's later frames are sealed with its next key


FRAME_TYPES: Final[dict[int, FrameType]] = {int(kind): kind for kind in FrameType}
"""Every type by its number on the wire; a lookup here costs a tenth of calling the enumeration."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as cut from the stream. ``header`` is what the cipher authenticates."""

    type: FrameType
    index: int
    counter: int
    header: bytes
    body: bytes


class Hello(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Body of HELLO: the address as dialled, the sender's own (a claim), and the index it wants answers under.

    ``pattern`` names the Noise pattern without its psk modifiers, ``noise`` is its first message; both empty on links that
    are not encrypted. ``selector`` tells which secrets are used: 8 bytes, or none. Every field but ``noise`` is part of
    the handshake's prologue.
    """

    version: Small
    swarm: Text
    dialled: NameText
    own: NameText
    index: Index
    incarnation: Number
    pattern: Text = ""
    selector: Handshake = b""
    noise: Handshake = b""

    def __post_init__(self) -> None:
        check_names(self.dialled, self.own)


class Welcome(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Body of WELCOME: the responder's index for the link, and Noise message 2, whose payload repeats the other fields."""

    version: Small
    index: Index
    incarnation: Number
    noise: Handshake = b""


class Refusal(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Body of REFUSED: why, in a word (``version``, ``swarm``, ``unknown-address``, ``busy``)."""

    reason: Text


def encode_frame(type: FrameType, index: int, counter: int, body: bytes) -> bytes:
    """The bytes of one frame, length prefix included. ``body`` is already sealed."""
    return PREFIXED.pack(HEADER.size + len(body), type, index, counter) + body


def header_of(type: FrameType, index: int, counter: int) -> bytes:
    """The 13 bytes a cipher authenticates."""
    return HEADER.pack(type, index, counter)


def decode_frame(raw: bytes) -> Frame:
    """A frame from its bytes without the length prefix. Raises MalformedMessage and nothing else."""
    if not HEADER.size <= len(raw) <= WIRE.max_frame:
        raise MalformedMessage("frame-size")
    number, index, counter = HEADER.unpack_from(raw)
    kind = FRAME_TYPES.get(number)
    if kind is None:
        raise MalformedMessage("frame-type")
    return Frame(kind, index, counter, raw[: HEADER.size], raw[HEADER.size :])
