"""An application that uses all of what ``cicada`` offers, for type checkers to accept. It need not run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

import cicada
from cicada import (
    BroadcastReceipt,
    CicadaError,
    ConfigError,
    DeliveryTimeout,
    KeyChanged,
    MailboxFull,
    MailboxPolicy,
    MalformedMessage,
    MappingFailed,
    Message,
    Misuse,
    NameTaken,
    NotBound,
    PayloadTooLarge,
    PeerFault,
    PortMapping,
    Receipt,
    RequestFailed,
    RingNotReady,
    SwarmPeer,
    Unavailable,
    aio,
)
from cicada.actors import Child, LoopActor, Supervisor


class Application:
    """Keeps what it got, and from whom."""

    def __init__(self) -> None:
        self.got: list[tuple[aio.HostPort, bytes]] = []
        self.met: list[aio.HostPort] = []

    def on_send(self, target: aio.Target | None, data: bytes) -> None:
        print(target, len(data))

    def on_recv(self, message: Message) -> None:
        self.got.append((message.source, message.data))

    def on_new_peer(self, address: aio.HostPort) -> None:
        self.met.append(address)

    def peer(self, folder: Path) -> SwarmPeer:
        return SwarmPeer(
            hooks={"send": self.on_send, "recv": self.on_recv, "new_peer": self.on_new_peer},
            identity=folder / "identity.json",
            keys=folder / "friends.keys",
            swarm="sample",
            swarm_keys=folder / "swarm.key",
            mailbox=MailboxPolicy(on_full="drop-oldest", messages=100, bytes=1_000_000),
            reachable=True,
            map_ports=False,
        )


def delivered(receipt: Receipt) -> bool:
    seen = receipt.result(timeout=5.0)
    facts: tuple[str, int, int, float, int, bool, bool] = (
        *(seen.status, seen.attempts, seen.hops, seen.round_trip_s, seen.altered),
        *(seen.disjoint, seen.conflict),
    )
    reason: str | None = seen.reason
    trust: str | None = seen.trust
    ways: list[str] = [f"{copy.attempt} {copy.colour} {copy.via} {copy.fate}" for copy in seen.copies]
    print(facts, reason, trust, ways)
    return seen.settled and seen.delivered


def told(receipt: BroadcastReceipt) -> int:
    sample: tuple[aio.HostPort, ...] = receipt.result(10.0).sample
    print(receipt.complete, receipt.reason, sample)
    return receipt.reached


def with_threads(folder: Path) -> None:
    application = Application()
    with application.peer(folder) as first, SwarmPeer("127.0.0.1", 0) as second:
        at: aio.HostPort = first.bind("127.0.0.1", 0, external_ip="192.0.2.1", external_port=5000)
        second.connect(*at)
        second.connect(first, timeout=5.0)
        receipt = second.send(first, "hello", 2, 5.0, require="pinned", ordered=True, on_full="error")
        print(delivered(receipt), delivered(first.send(second.hash, b"to a place")))
        source, data, more = first.recv(timeout=5.0)
        first.send(source, data)
        print(more, told(first.broadcast(b"all of you", timeout=3.0)))
        for message in second:
            print(message.id, message.kind, message.hops, message.trust, message.peer_id, message.more)
            break
        found = first.lookup("a text", iterative=True)
        if isinstance(found, aio.Lookup):
            print(found.owner.host, found.owner.port, found.hops, found.seconds)
        else:
            print(found.value)
        print(first.get_route(second), first.peers, first.peek, first.listener, first.snapshot().successors)
        print(first.stats())
        first.stop_mapping()
        first.disconnect()
        first.close(timeout=1.0)


async def on_a_loop(folder: Path) -> None:
    async with aio.SwarmPeer(name="sample") as peer, aio.SwarmPeer("127.0.0.1", 0) as other:
        at: aio.HostPort = peer.bind(create=False)
        peer.create()
        await other.connect(at)
        receipt: Receipt = await other.send(peer, b"hello", timeout=5.0)
        everybody: BroadcastReceipt = await other.broadcast("all of you")
        print(receipt.delivered, everybody.reached)
        message: Message = await peer.recv(timeout=5.0)
        await peer.send(message.source, message.data)
        async for each in other:
            print(each.data)
            break
        found = await peer.lookup(b"bytes", iterative=True)
        if isinstance(found, aio.Lookup):
            print(found.place, found.route, found.seconds_per_hop)
        route: tuple[aio.HostPort, ...] = await peer.get_route(other.address)
        print(route, peer.bound, peer.failed, peer.hash, peer.listener, peer.peers, peer.peek)
        print((await peer.snapshot()).predecessor, peer.stats())
        peer.stop_mapping()
        await peer.disconnect()
        await peer.close()
        other.kill()


class Question(msgspec.Struct, frozen=True, tag=True):
    text: str


class Answer(msgspec.Struct, frozen=True, tag=True):
    text: str


class Oracle(LoopActor):
    """Answers other peers."""

    def on_receive(self, message: aio.SwarmCall) -> None:
        print(message.source.host, message.peer_id, message.trust)
        message.reply(Answer(text="yes"))


class Reader(LoopActor):
    """Is told what its peer receives."""

    def on_receive(self, message: Message) -> None:
        print(message.data)


async def in_company() -> None:
    async with aio.SwarmPeer("127.0.0.1", 0) as peer, aio.SwarmPeer("127.0.0.1", 0) as other:
        await other.connect(peer)
        await other.joined(timeout=5.0)
        answer: Message = await other.request(peer, b"question", timeout=1.0, require="first-contact")
        receipt: Receipt = await answer.reply(b"thanks")
        print(receipt.peer_id)
        channel: aio.Channel = peer.channel("#general")
        async with channel:
            number: int = await channel.publish("hello")
            await channel.carried(timeout=1.0)
            said: aio.ChannelMessage = await channel.recv(timeout=1.0)
            print(number, said.source, said.trust, channel.members, channel.missed)
        record: aio.NameRecord = await peer.register("alice", lease=600.0)
        found: aio.NameRecord | None = await other.resolve("alice")
        names: tuple[str, ...] = peer.names
        print(record.peer_id, found, names)
        peer.release("alice")
        subscription = peer.subscribe(Reader.start(peer.dispatcher))
        await peer.supervise(Supervisor(Child("reader", lambda: Reader.start(peer.dispatcher))))
        export: aio.SwarmExport = peer.export(
            Oracle.start(peer.dispatcher), "oracle", commands=Question, replies=Answer
        )
        oracle: aio.SwarmRef[Question, Answer] = other.actor(
            peer, "oracle", commands=Question, replies=Answer
        )
        reply: Answer = await oracle.ask(Question(text="?"), timeout=1.0)
        print(reply.text, export.is_open)
        subscription.cancel()


def in_company_with_threads() -> None:
    with SwarmPeer("127.0.0.1", 0) as peer, SwarmPeer("127.0.0.1", 0) as other:
        other.connect(peer)
        other.joined()
        answer: Message = other.request(peer, "question")
        with peer.channel("#general") as channel:
            for said in channel:
                print(channel.publish(said.data), answer.data)
                channel.carried()
                break
        record: aio.NameRecord = peer.register("alice")
        names: tuple[str, ...] = peer.names
        print(record.address, other.resolve("alice"), names)
        peer.release("alice")


def with_a_router() -> tuple[str, int]:
    with PortMapping(5000, "tcp", external_port=5001, timeout=3.0) as mapping:
        print(mapping.local_address, mapping.mapper.is_global)
        return mapping.mapper.external_ip, mapping.eport


def main(folder: Path) -> int:
    print(cicada.__version__)
    try:
        with_threads(folder)
        asyncio.run(on_a_loop(folder))
        asyncio.run(in_company())
        in_company_with_threads()
        print(with_a_router())
    except PayloadTooLarge as error:
        print(error.size - error.max)
    except ConfigError as error:
        print(error.file, error.line, error.column, error.problem)
    except MappingFailed as error:
        print(error.reason, error.advice)
    except MalformedMessage as error:
        print(error.reason)
    except NameTaken as error:
        print(error.name, error.holder)
    except KeyChanged as error:
        print("compare fingerprints:", error.reason)
    except RequestFailed as error:
        print(error.reason)
    except (DeliveryTimeout, MailboxFull, RingNotReady) as error:
        print("later, perhaps:", error)
    except (NotBound, Misuse, PeerFault, Unavailable, CicadaError) as error:
        print(error)
        return 1
    return 0
