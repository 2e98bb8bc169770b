"""Carries out what the messenger's rules say, with a SwarmPeer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from cicada.aio import Channel, SwarmPeer
from cicada.errors import CicadaError, NameTaken, NotBound, RingNotReady
from samples.chat import io
from samples.chat.chat import Chat
from samples.chat.limits import LIMITS, ChatLimits
from samples.chat.private import RESOLVE_S, Post
from samples.chat.wire import encode

CONNECT_S: Final = 15.0
ENTER_S: Final = 10.0
FAREWELL_S: Final = 2.5  # a word that was lost is said again after a second
CLOSE_S: Final = 3.0
JOBS: Final = 256  # at once; what comes on top is dropped, and counted


class Carrier:
    """A messenger on a bound peer, in the swarm of the first of ``seeds`` that lets it in, in ``channels``."""

    def __init__(
        self,
        peer: SwarmPeer,
        name: str,
        rng: Random,
        limits: ChatLimits = LIMITS,
        *,
        seeds: Sequence[tuple[str, int]] = (),
        channels: Sequence[str] = (),
    ) -> None:
        self.peer = peer
        self.chat = Chat(name, rng, limits)
        self._limits = limits
        self._first = io.Began(tuple(seeds), tuple(channels))
        self._post = Post(peer)
        self._channels: dict[str, Channel] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._quit = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._changed: Callable[[], None] = lambda: None

    def watch(self, changed: Callable[[], None]) -> None:
        """Have this called whenever something may have changed."""
        self._changed = changed

    def feed(self, input: io.Input) -> None:
        """Give the rules an input, and carry out what follows. Before ``run`` and after its end it does nothing."""
        if self._group is None:
            return
        for output in self.chat.handle(input, asyncio.get_running_loop().time()):
            self._carry_out(output, self._group)
        self._changed()

    async def run(self) -> None:
        """Work until the user quit; at the end the channels were left, the name was given back, and the peer is closed."""
        async with asyncio.TaskGroup() as self._group:
            working = [self._group.create_task(work) for work in (self._receive(), self._tick())]
            self.feed(self._first)
            await self._quit.wait()
            self._group = None
            await self._farewell()
            connecting = [] if self._connecting is None else [self._connecting]
            await self.peer.close(CLOSE_S)
            for task in (*working, *connecting, *self._readers.values(), *self._jobs):
                task.cancel()

    async def _farewell(self) -> None:
        under_way = {*self._jobs, *self._leaving.values()}
        if under_way:
            await asyncio.wait(under_way, timeout=FAREWELL_S)
        for channel in self._channels.values():
            channel.leave()
        if self.peer.bound:
            self.peer.release(self.chat.name)

    def _carry_out(self, output: io.Output, group: asyncio.TaskGroup) -> None:
        match output:
            case io.Close():
                self._quit.set()
            case io.TellStats():
                self._job(self._tell_stats(), group)
            case io.Connect(seeds):
                if self._connecting is not None:
                    self._connecting.cancel()  # the user wants another swarm, or does not want to wait for this one
                self._connecting = group.create_task(self._connect(seeds))
            case io.Register(name):
                self._job(self._register(name), group)
            case io.LookUp(name):
                self._job(self._look_up(name), group)
            case io.Enter(channel):
                self._come_back(channel)
                self._readers[channel] = group.create_task(self._read(channel))
            case io.Exit(channel):
                self._readers.pop(channel).cancel()
                self._leaving[channel] = group.create_task(self._leave(channel))
            case io.Publish():
                self._job(self._publish(output), group)
            case io.Whisper():
                self._job(self._whisper(output), group)

    def _job(self, work: Coroutine[object, object, None], group: asyncio.TaskGroup) -> None:
        if len(self._jobs) >= JOBS:
            work.close()
            self.chat.dropped["too-much-to-do"] += 1
            return
        task = group.create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # What goes on all the time

    async def _receive(self) -> None:
        async for message in self.peer:
            if message.kind == "message":
                self.feed(io.Direct(message.peer_id, message.data))
            else:
                self.chat.dropped[message.kind] += 1
        self.feed(io.Told((f"this peer has ended: {self.peer.failed or 'killed'}; /quit, and start again",)))

    async def _tick(self) -> None:
        while self.peer.bound:
            self.feed(io.Where(self.peer.address, len(self.peer.peers)))
            self.feed(io.Ticked())
            await asyncio.sleep(self._limits.tick)

    async def _read(self, name: str) -> None:
        try:
            channel = self._channels[name] = self.peer.channel(name)
            await self._enter(channel)
            async for message in channel:
                self.feed(io.FromChannel(name, message.peer_id, message.data))
        except CicadaError as error:
            self.feed(io.Entered(name, str(error)))

    async def _enter(self, channel: Channel) -> None:
        """Tells when it is entered, and once that it is not yet."""
        is_told = False
        while True:
            try:
                await channel.join(ENTER_S)
            except RingNotReady as error:
                if not is_told:
                    self.feed(io.Entered(channel.name, str(error)))
                is_told = True
            else:
                self.feed(io.Entered(channel.name))
                return

    # What is done once

    async def _leave(self, name: str) -> None:
        """Once a neighbour has what was published: it goes on from there."""
        if channel := self._channels.get(name):
            with suppress(CicadaError):
                await channel.carried(FAREWELL_S)
            channel.leave()
        self._channels.pop(name, None)
        self._leaving.pop(name, None)

    def _come_back(self, channel: str) -> None:
        """Not leave a channel that the user wants again before it was left."""
        if leaving := self._leaving.pop(channel, None):
            leaving.cancel()

    async def _connect(self, seeds: tuple[tuple[str, int], ...]) -> None:
        problem = ""
        for host, port in seeds:
            try:
                await self.peer.connect(host, port, timeout=CONNECT_S)
            except CicadaError as error:
                problem = str(error)
            else:
                self.feed(io.Connected(f"{host}:{port}"))
                return
        self.feed(io.Connected("", problem))

    async def _register(self, name: str) -> None:
        try:
            record = await self.peer.register(name)
        except NameTaken as error:
            self.feed(io.Named(name, problem=str(error), taken=True))
        except CicadaError as error:
            self.feed(io.Named(name, problem=str(error)))
        else:
            self.feed(io.Named(name, record.peer_id))

    async def _look_up(self, name: str) -> None:
        try:
            record = await self.peer.resolve(name, timeout=RESOLVE_S)
        except CicadaError as error:
            self.feed(io.Found(name, problem=str(error)))
        else:
            self.feed(io.Found(name, "" if record is None else record.peer_id))

    async def _publish(self, publish: io.Publish) -> None:
        problem = ""
        channel = self._channels.get(publish.channel)
        try:
            if channel is None:
                raise NotBound("the channel is not joined")
            await channel.publish(encode(publish.message))
        except CicadaError as error:
            problem = str(error)
        if publish.number:
            self.feed(io.Settled(publish.number, problem))

    async def _whisper(self, whisper: io.Whisper) -> None:
        fate = await self._post.send(whisper.to, whisper.message)
        self.feed(io.Settled(whisper.number, fate.problem, fate.peer_id))

    async def _tell_stats(self) -> None:
        stats = self.peer.stats()
        counts = {
            "not taken, of the messenger": dict(self.chat.dropped),
            "not taken, of the peer": stats.dropped,
            "refused": stats.refused,
            "missed in channels": {name: one.missed for name, one in self._channels.items() if one.missed},
        }
        lines = [f"sent {stats.sent}, delivered {stats.delivered}, failed {stats.failed}"]
        for what, counted in counts.items():
            if counted:
                lines.append(f"{what}: " + ", ".join(f"{why} {count}" for why, count in counted.items()))
        self.feed(io.Told(tuple(lines)))
