"""Every class of the wire, and for each: samples with fixed values, and a Hypothesis strategy of all legal values."""

from __future__ import annotations

from typing import Any, Final, get_args, get_type_hints

import msgspec
from hypothesis import strategies as st

from cicada.ids import Address, canonical_address, hidden_address, place_of, place_to_bytes
from cicada.limits import LODGING, WIRE
from cicada.wire import fields
from cicada.wire.codec import HandshakeBody, Message, decode_body
from cicada.wire.frames import PROTOCOL_VERSION, Hello, Refusal, Welcome
from cicada.wire.ring import (
    FindSuccessor,
    Found,
    GetNextHop,
    GetState,
    Leaving,
    LookupFailed,
    NextHop,
    Notify,
    NotMember,
    Nudge,
    State,
)
from cicada.wire.routed import (
    Broadcast,
    BroadcastAck,
    BroadcastDigest,
    BroadcastPull,
    BroadcastTaken,
    Contact,
    ContactReply,
    Data,
    DataAck,
    GetRecord,
    Lodging,
    LodgingFind,
    LodgingFound,
    LodgingGranted,
    LodgingRefused,
    LodgingRequest,
    NoSuchPeer,
    NoSuchSession,
    PutRecord,
    RecordIs,
)
from cicada.wire.sealed import AckBody, DataBody, SealedBody, SessionAnswer, SessionOpening, decode_sealed
from cicada.wire.services import Service

MESSAGES: Final[tuple[type[Message], ...]] = get_args(Message)
BODIES: Final[tuple[type[HandshakeBody | SealedBody], ...]] = (
    *get_args(HandshakeBody),
    *get_args(SealedBody),
)
OPTIONAL_ADDRESS: Final = frozenset(
    {
        (State, "predecessor"),
        (Leaving, "predecessor"),
        (Lodging, "home"),
        (LodgingRequest, "candidate"),
        (LodgingFound, "owner"),
        (LodgingFound, "predecessor"),
    }
)

A, B, C = (canonical_address("127.0.0.1", port) for port in (20000, 20001, 20002))
SIX = canonical_address("2001:db8::7", 50000)
HIDDEN = hidden_address("0123456789abcdef" * 4)
PLACE = place_to_bytes(place_of(A))
BORN = 1_800_000_000_000
BOOT = fields.MAX_NUMBER
WAY = bytes(range(16)) + bytes((2, 4, 3))
DIGEST = bytes(range(fields.DIGEST_BYTES))

MESSAGE_SAMPLES: Final[dict[str, Message]] = {
    "find successor": FindSuccessor(incarnation=BORN, request=7, target=PLACE, path=(A,)),
    "find successor to join": FindSuccessor(
        incarnation=BORN, extra=b"\x00\xff", request=1 << 40, target=PLACE, path=(A, SIX, B), joining=BORN
    ),
    "found": Found(incarnation=0, request=7, predecessor=B, successors=(C, A), path=(A, B), position=1),
    "lookup failed": LookupFailed(incarnation=1, request=7, reason="not-member", path=(A,), position=0),
    "get state": GetState(incarnation=BORN, request=0),
    "state": State(incarnation=BORN, request=1, predecessor=B, successors=(C, SIX)),
    "state of a peer alone": State(incarnation=BORN, request=1, predecessor="", successors=()),
    "not member": NotMember(incarnation=BORN, request=2),
    "notify": Notify(incarnation=BORN),
    "nudge": Nudge(incarnation=BORN, extra=bytes(WIRE.max_extra)),
    "leaving": Leaving(incarnation=BORN, predecessor=C, successors=(B,)),
    "get next hop": GetNextHop(incarnation=BORN, request=3, target=PLACE),
    "next hop": NextHop(incarnation=BORN, request=3, hops=(B, C), final=False),
    "next hop, final": NextHop(incarnation=BORN, request=3, hops=(B,), final=True),
    "contact": Contact(
        target=PLACE, origin=B, hops=0, request=9, selector=b"selector", handshake=bytes(range(96))
    ),
    "contact without pre-shared keys": Contact(
        target=PLACE, origin=B, hops=0, request=9, selector=b"", handshake=bytes(range(96))
    ),
    "contact reply": ContactReply(target=PLACE, origin=B, hops=2, request=9, handshake=bytes(range(48))),
    "data": Data(
        target=PLACE,
        origin=B,
        hops=3,
        index=fields.MAX_INDEX,
        counter=300,
        attempt=1,
        copy=0,
        body=b"sealed body and tag",
    ),
    "data on a coloured way": Data(
        target=PLACE,
        origin=B,
        hops=3,
        way=WAY,
        index=fields.MAX_INDEX,
        counter=300,
        attempt=2,
        copy=3,
        tag=bytes(range(8)),
        body=b"sealed body and tag",
        strayed=True,
    ),
    "data without a body": Data(
        target=PLACE, origin=SIX, hops=0, index=1, counter=1, attempt=6, copy=3, body=b""
    ),
    "data for a hidden peer, from another": Data(
        target=PLACE,
        origin=HIDDEN,
        hops=1,
        lodging=Lodging(to=PLACE[::-1], home=B),
        index=7,
        counter=300,
        attempt=1,
        copy=0,
        body=b"sealed body and tag",
    ),
    "data ack": DataAck(
        target=PLACE,
        origin=A,
        hops=1,
        index=0x01020304,
        counter=1 << 32,
        attempt=1,
        copy=0,
        body=b"sealed body and tag",
    ),
    "no such peer": NoSuchPeer(
        target=PLACE, origin=C, hops=1, place=PLACE[::-1], request=0, index=7, counter=300
    ),
    "no such session": NoSuchSession(target=PLACE, origin=C, hops=1, index=7, counter=300),
    "get record": GetRecord(target=PLACE, origin=A, hops=1, request=3, about=PLACE[::-1]),
    "record is": RecordIs(
        target=PLACE,
        origin=A,
        hops=1,
        request=3,
        about=PLACE[::-1],
        record=bytes(range(200)),
        succession=bytes(133),
    ),
    "put record": PutRecord(
        target=PLACE,
        origin=HIDDEN,
        hops=1,
        lodging=Lodging(home=SIX),
        about=PLACE[::-1],
        record=bytes(range(200)),
    ),
    "put record, passed on": PutRecord(
        target=PLACE, origin=A, hops=1, about=PLACE[::-1], record=bytes(range(200)), is_copy=True
    ),
    "record is not known": RecordIs(
        target=PLACE, origin=A, hops=1, request=3, about=PLACE, record=b"", succession=b""
    ),
    "broadcast": Broadcast(
        origin=A,
        origin_boot=5,
        message=1,
        expires_ms=BORN,
        payload=b"all of you",
        record=bytes(range(200)),
        signature=bytes(range(64)),
        limit=PLACE,
        hops=4,
    ),
    "broadcast that nobody signed": Broadcast(
        origin=SIX,
        origin_boot=5,
        message=300,
        expires_ms=BORN,
        payload=b"",
        record=b"",
        signature=b"",
        limit=PLACE[::-1],
        hops=1,
    ),
    "broadcast ack": BroadcastAck(id=DIGEST, limit=PLACE, reached=0, is_done=False),
    "broadcast ack with a claim": BroadcastAck(id=DIGEST, limit=PLACE, reached=999, is_done=True),
    "broadcast digest": BroadcastDigest(ids=(DIGEST, DIGEST[::-1]), is_answer=False),
    "broadcast pull": BroadcastPull(ids=(DIGEST,)),
    "broadcast taken": BroadcastTaken(
        target=PLACE, origin=C, hops=1, id=DIGEST, record=bytes(range(200)), signature=bytes(range(64))
    ),
    "lodging request": LodgingRequest(request=7),
    "lodging request with a candidate": LodgingRequest(request=1 << 62, candidate=SIX),
    "lodging granted": LodgingGranted(request=7, voucher=bytes(range(150)), others=(B, SIX), gap=PLACE),
    "lodging find": LodgingFind(request=7, place=PLACE),
    "lodging found": LodgingFound(request=7, owner=B, predecessor=SIX, route=(C, A), hops=3),
    "lodging not found": LodgingFound(
        request=7, owner="", predecessor="", route=(), hops=0, reason="not-member"
    ),
    "lodging refused": LodgingRefused(request=7, reason="full", others=(C,)),
}

BODY_SAMPLES: Final[dict[str, HandshakeBody | SealedBody]] = {
    "hello": Hello(
        version=PROTOCOL_VERSION,
        swarm="swarm-20",
        dialled=A,
        own=SIX,
        index=fields.MAX_INDEX,
        incarnation=BORN,
        pattern="IK",
        selector=bytes(range(8)),
        noise=bytes(range(200)),
    ),
    "hello in clear": Hello(version=PROTOCOL_VERSION, swarm="", dialled=A, own=B, index=1, incarnation=BORN),
    "hello of a hidden peer": Hello(
        version=PROTOCOL_VERSION, swarm="swarm-20", dialled=A, own=HIDDEN, index=1, incarnation=BORN
    ),
    "welcome": Welcome(version=PROTOCOL_VERSION, index=1, incarnation=BORN, noise=bytes(range(100))),
    "refusal": Refusal(reason="unknown-address"),
    "data body": DataBody(origin_boot=5, message=300, boot=BOOT, copies=4, payload=b"hello!"),
    "last fragment": DataBody(origin_boot=5, message=300, boot=BOOT, payload=b"!", part=299, parts=300),
    "ordered body": DataBody(origin_boot=5, message=300, boot=BOOT, payload=b"hello!", after=299),
    "data body of a hidden peer": DataBody(
        origin_boot=5, message=300, boot=BOOT, payload=b"hello!", homes=(A, SIX)
    ),
    "data body for a service": DataBody(
        origin_boot=5, message=300, boot=BOOT, payload=b"hello!", service=Service.REPLY
    ),
    "ack body": AckBody(
        message=300,
        counter=9,
        status=1,
        boot=BOOT,
        digest=DIGEST,
        data_hops=WIRE.max_path,
        intact=0b1001,
        altered=0b0010,
        unattributed=1,
        strayed=0b1000,
    ),
    "ack body of a hidden peer": AckBody(
        message=300, counter=9, status=1, boot=BOOT, digest=DIGEST, data_hops=1, homes=(SIX,)
    ),
    "session opening": SessionOpening(
        record=bytes(range(200)), succession=b"", time_ms=BORN, boot=BOOT, index=fields.MAX_INDEX
    ),
    "session answer": SessionAnswer(record=bytes(range(200)), succession=bytes(133), boot=BOOT, index=1),
}


def _address(host: Any, port: int) -> Address:
    return canonical_address(str(host), port)


def _way(start: bytes, k: int) -> bytes:
    return start + bytes((k, start[0] % k))


addresses = st.builds(_address, st.ip_addresses(), st.integers(1, 65535))
hidden_addresses = st.binary(min_size=32, max_size=32).map(lambda raw: hidden_address(raw.hex()))
lodgings = st.builds(
    Lodging,
    st.just(b"") | st.binary(min_size=32, max_size=32),
    st.just("") | addresses,
)
numbers = st.integers(0, fields.MAX_NUMBER)

STRATEGIES: Final[dict[Any, st.SearchStrategy[Any]]] = {
    bool: st.booleans(),
    fields.Number: numbers,
    fields.Parts: st.integers(1, fields.MAX_PARTS),
    fields.Number | None: st.none() | numbers,
    fields.Small: st.integers(0, (1 << 16) - 1),
    fields.Verdict: st.integers(0, 255),
    fields.Hops: st.integers(0, WIRE.max_path),
    fields.Index: st.integers(1, fields.MAX_INDEX),
    fields.Text: st.text(max_size=WIRE.max_text),
    fields.AddressText: addresses,
    fields.NameText: addresses | hidden_addresses,
    Lodging | None: st.none() | lodgings,
    fields.Addresses: st.lists(addresses, max_size=8).map(tuple),
    fields.Homes: st.lists(addresses, max_size=LODGING.relays).map(tuple),
    fields.Path: st.lists(addresses, min_size=1, max_size=8).map(tuple),
    fields.PlaceBytes: st.binary(min_size=32, max_size=32),
    fields.Digest: st.binary(min_size=fields.DIGEST_BYTES, max_size=fields.DIGEST_BYTES),
    fields.Payload: st.binary(max_size=300),
    fields.Sealed: st.binary(max_size=300),
    fields.Handshake: st.binary(max_size=300),
    fields.BroadcastIds: st.lists(
        st.binary(min_size=fields.DIGEST_BYTES, max_size=fields.DIGEST_BYTES), max_size=8
    ).map(tuple),
    fields.Signature: st.binary(max_size=64),
    fields.Selector: st.binary(max_size=8),
    fields.RecordBytes: st.binary(max_size=300),
    fields.VoucherBytes: st.binary(max_size=LODGING.voucher_bytes),
    fields.Succession: st.binary(max_size=150),
    fields.Extra: st.binary(max_size=64),
    fields.Way: st.just(b"") | st.builds(_way, st.binary(min_size=17, max_size=17), st.integers(1, 16)),
    fields.Tag: st.binary(min_size=fields.TAG_BYTES, max_size=fields.TAG_BYTES),
    fields.Handshake: st.binary(max_size=300),
}


def _last_part(values: dict[str, Any]) -> dict[str, Any]:
    """As in the last fragment of a message, which alone may be short."""
    return {"part": values["parts"] - 1, "payload": values["payload"] or b"!", "after": None}


def _ordered(values: dict[str, Any]) -> dict[str, Any]:
    """As in a message that is whole, and after another."""
    return {"part": 0, "parts": 1, "after": values["message"] - 1 if values["message"] else None}


@st.composite
def legal(draw: st.DrawFn, kind: type[msgspec.Struct]) -> Any:
    """Any legal value of a wire class."""
    values = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name in kind.__struct_fields__:
            strategy = STRATEGIES[hint]
            values[name] = draw(st.just("") | strategy if (kind, name) in OPTIONAL_ADDRESS else strategy)
    if "position" in values:
        values["position"] %= len(values["path"])
    if kind is LodgingFound and not (values["owner"] and values["predecessor"]):
        values["reason"] = values["reason"] or "no-route"
    if kind is DataBody:
        values |= draw(st.sampled_from([_last_part, _ordered]))(values)
    return kind(**values)


any_message = st.sampled_from(MESSAGES).flatmap(legal)
any_body = st.sampled_from(BODIES).flatmap(legal)


def read_body(raw: bytes, kind: type[msgspec.Struct]) -> HandshakeBody | SealedBody:
    """A body, by the decoder that peers use for its kind."""
    read: Any = decode_sealed if kind in get_args(SealedBody) else decode_body
    body: HandshakeBody | SealedBody = read(raw, kind)
    return body


def tag_of(kind: type[msgspec.Struct]) -> int | None:
    """The number that names the class on the wire; None for handshake bodies, which the frame type names."""
    tag = kind.__struct_config__.tag
    return tag if isinstance(tag, int) else None


def wire_values(value: msgspec.Struct) -> list[Any]:
    """What an independent MessagePack reader must find."""
    tag = tag_of(type(value))
    plain = [_plain(getattr(value, name)) for name in value.__struct_fields__]
    return plain if tag is None else [tag, *plain]


def _plain(found: Any) -> Any:
    if isinstance(found, msgspec.Struct):
        return wire_values(found)
    return list(found) if isinstance(found, tuple) else found
