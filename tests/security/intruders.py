"""Those who try to get into a swarm where they do not belong: raw TCP, their own frames, real handshakes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from cicada.aio import SwarmPeer
from cicada.chord.io import RingSnapshot
from cicada.ids import Address, place_of
from cicada.keys.identity import Identity
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.noise import KeyPair
from cicada.keys.psks import Secrets, SwarmKeys
from cicada.keys.record import sign_record
from cicada.keys.store import ENTROPY
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import (
    LINK_ACK,
    PROTOCOL_VERSION,
    FrameType,
    Hello,
    Welcome,
    decode_frame,
    encode_frame,
    header_of,
)
from cicada.wire.ring import Notify
from tests.securities import secured, secured_as

_LENGTH = struct.Struct(">I")
ANSWER_S = 20.0
INDEX = 4711


class Intruder:
    """One attempt at the peer ``at`` as the peer that claims to be at ``own``."""

    def __init__(self, at: SwarmPeer, own: Address, security: LinkHandshakes) -> None:
        self._at = at.listener
        self._own = own
        self._security = security

    async def try_to_get_in(self) -> str:
        """How far it came: ``refused``, ``closed`` (after its last handshake message), or ``linked``; a linked one offers
        itself as predecessor."""
        reader, writer = await asyncio.open_connection(*self._at)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._talk(reader, writer)
        except asyncio.IncompleteReadError:
            return "closed"
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        asked = Hello(
            version=PROTOCOL_VERSION,
            swarm="",
            dialled=Address(f"{self._at.host}:{self._at.port}"),
            own=self._own,
            index=INDEX,
            incarnation=1,
        )
        hello, dial = self._security.dial(asked, None, True)
        writer.write(encode_frame(FrameType.HELLO, 0, 0, encode(hello)))
        kind, body = await _read(reader)
        if kind is not FrameType.WELCOME:
            return "refused"
        welcome = decode_body(body, Welcome)
        established, finish = dial.finish(welcome)
        writer.write(encode_frame(FrameType.FINISH, welcome.index, 0, finish))
        offer = LINK_ACK.pack(0, 0) + encode(Notify(incarnation=1 << 60))
        header = header_of(FrameType.DATA, welcome.index, 1)
        sealed = established.cipher.seal(1, header, offer)
        writer.write(encode_frame(FrameType.DATA, welcome.index, 1, sealed))
        ping = header_of(FrameType.PING, welcome.index, 2)
        sealed = established.cipher.seal(2, ping, LINK_ACK.pack(0, 0))
        writer.write(encode_frame(FrameType.PING, welcome.index, 2, sealed))
        kind, _ = await _read(reader)
        return "linked" if kind in (FrameType.ACK, FrameType.DATA) else "closed"


async def _read(reader: asyncio.StreamReader) -> tuple[FrameType, bytes]:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    frame = decode_frame(await reader.readexactly(length))
    return frame.type, frame.body


class BorrowedKey(LinkHandshakes):
    """Shows a record that names another's X25519 key."""

    lender = b""

    def record(self) -> bytes:
        forged = Identity.generate(ENTROPY)
        forged.static = KeyPair(forged.static.private, self.lender)
        memory, now_ms = self._memory, self._memory.wall_ms()
        return sign_record(forged, memory.own.address, memory.swarm, now_ms, sequence=now_ms)


class OldRecord(LinkHandshakes):
    """Shows a record that is older than one it has shown."""

    def record(self) -> bytes:
        memory = self._memory
        return sign_record(memory.identity, memory.own.address, memory.swarm, memory.wall_ms(), sequence=1)


Kind = Callable[[SwarmPeer, int], Intruder]


class Gang:
    """Every kind of intruder into the closed swarm of ``members``, with the swarm's ``key``."""

    def __init__(self, members: list[SwarmPeer], identities: dict[Address, Identity], key: bytes) -> None:
        self._members = sorted(members, key=lambda peer: peer.hash)
        self._identities = identities
        self._inside = SwarmKeys(key, (key,))
        self._ports = iter(range(1, 65_536))
        self._hosts = (
            Address(f"127.{66 + n // 65_536}.{n // 256 % 256}.{n % 256}:9") for n in range(1 << 20)
        )

    @property
    def kinds(self) -> dict[str, Kind]:
        """By the reason for which each is refused."""
        return {
            "no swarm key": self.without_key,
            "a wrong swarm key": self.with_wrong_key,
            "another key at a proven place": self.at_a_proven_place,
            "another's X25519 key": self.with_a_borrowed_key,
            "an address nobody answers at": self.at_a_silent_address,
            "a stale sequence": self.with_an_old_record,
            "all ports of one address": self.at_one_address,
        }

    def without_key(self, at: SwarmPeer, number: int) -> Intruder:
        return self._intruder(at, self._nowhere(number), Secrets())

    def with_wrong_key(self, at: SwarmPeer, number: int) -> Intruder:
        wrong = ENTROPY.randbytes(32)
        return self._intruder(at, self._nowhere(number), Secrets(SwarmKeys(wrong, (wrong,))))

    def at_a_proven_place(self, at: SwarmPeer, number: int) -> Intruder:
        return self._intruder(at, _address(self._neighbour(at, number)), self._secrets())

    def with_a_borrowed_key(self, at: SwarmPeer, number: int) -> Intruder:
        own = self._nowhere(number)
        made = secured_as(BorrowedKey, own, Identity.generate(ENTROPY), self._secrets())
        made.lender = self._identities[_address(self._neighbour(at, number))].static.public
        return Intruder(at, own, made)

    def at_a_silent_address(self, at: SwarmPeer, number: int) -> Intruder:
        """It tries the peer just after its place, which therefore has to see whether it is there."""
        own = next(self._hosts)
        return self._intruder(self._after(own), own, self._secrets())

    def with_an_old_record(self, at: SwarmPeer, number: int) -> Intruder:
        own = _address(self._neighbour(at, number))
        made = secured_as(OldRecord, own, self._identities[own], self._secrets())
        return Intruder(at, own, made)

    def at_one_address(self, at: SwarmPeer, number: int) -> Intruder:
        own = Address(f"127.77.0.1:{next(self._ports)}")
        return self._intruder(self._after(own), own, self._secrets())

    def _intruder(self, at: SwarmPeer, own: Address, secrets: Secrets) -> Intruder:
        return Intruder(at, own, secured(own, identity=Identity.generate(ENTROPY), secrets=secrets))

    def _secrets(self) -> Secrets:
        return Secrets(self._inside)

    def _nowhere(self, number: int) -> Address:
        return Address(f"127.55.{number >> 8 & 255}.{number & 255}:9")

    def _neighbour(self, at: SwarmPeer, number: int) -> SwarmPeer:
        place = self._members.index(at)
        return self._members[(place + 1 + number % (len(self._members) - 1)) % len(self._members)]

    def _after(self, address: Address) -> SwarmPeer:
        place = place_of(address)
        return next((peer for peer in self._members if peer.hash > place), self._members[0])


def _address(peer: SwarmPeer) -> Address:
    host, port = peer.listener
    return Address(f"{host}:{port}")


def known_to(snapshot: RingSnapshot) -> set[str]:
    """Every address in the tables of a node."""
    predecessor = () if snapshot.predecessor is None else (snapshot.predecessor,)
    return {peer.address for peer in (*snapshot.successors, *snapshot.fingers, *predecessor)}
