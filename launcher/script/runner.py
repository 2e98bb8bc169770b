"""Carries statements out on a peer, one after another. What fails names the file and the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from cicada.aio import BroadcastReceipt, Message, Receipt, SwarmPeer, Target
from cicada.chord.io import LookupFailure
from cicada.errors import CicadaError, DeliveryTimeout
from cicada.ids import Place
from cicada.limits import SCRIPT
from launcher.exits import Missed
from launcher.script.showing import Found, Received, Shown, encoded, printable
from launcher.script.statements import (
    Broadcast,
    Expect,
    HiddenTarget,
    HostTarget,
    Lookup,
    Options,
    Pause,
    PlaceTarget,
    Receive,
    ScriptLine,
    Send,
    Wait,
    verb_of,
)
from launcher.script.waiting import Arrivals, Inbox

R = TypeVar("R", Receipt, BroadcastReceipt)


class StatementFailed(CicadaError):
    """A statement could not do what it says."""


class ExpectationMissed(Missed):
    """What was received is not what EXPECT says."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What OPT has chosen. ``timeout`` None: nothing; then RECV waits without limit, and the others as SCRIPT says."""

    duplicates: int | None = None
    timeout: float | None = None
    ordered: bool = False


class Runner:
    """Runs statements for one peer. ``show`` gets what is data, ``note`` what is worth a word beside it.

    ``shows_received``: RECV shows what it takes; otherwise somebody else does.
    """

    def __init__(
        self,
        peer: SwarmPeer,
        inbox: Inbox,
        arrivals: Arrivals,
        *,
        show: Callable[[Shown], None],
        note: Callable[[str], None],
        file: str = "",
        shows_received: bool = True,
    ) -> None:
        self._peer = peer
        self._inbox = inbox
        self._arrivals = arrivals
        self._show = show
        self._note = note
        self._file = file
        self._shows_received = shows_received
        self._chosen = Chosen()
        self._last: Message | None = None
        self._line = 0

    async def run_all(self, lines: Iterable[ScriptLine]) -> None:
        """One after another, until one fails. Raises StatementFailed or ExpectationMissed."""
        for line in lines:
            await self.run(line)

    async def run(self, line: ScriptLine) -> None:
        """Carry one statement out. Raises StatementFailed or ExpectationMissed."""
        self._line = line.number
        with self._blamed(line):
            await self._carry_out(line)

    def saw(self, message: Message) -> None:
        """This is the last message that was received and shown, which EXPECT is about."""
        self._last = message

    async def _carry_out(self, line: ScriptLine) -> None:
        match line.statement:
            case Send() as send:
                await self._send(send)
            case Receive(count=count):
                await self._receive(count)
            case Broadcast(data=data):
                await self._broadcast(data)
            case Options() as options:
                self._choose(options)
            case Wait(seconds=seconds):
                await self._wait(seconds)
            case Pause(seconds=seconds):
                await asyncio.sleep(seconds)
            case Lookup() as lookup:
                await self._lookup(lookup)
            case Expect(text=text):
                self._expect(text)

    @property
    def _timeout(self) -> float:
        return SCRIPT.timeout if self._chosen.timeout is None else self._chosen.timeout

    async def _send(self, send: Send) -> None:
        target = send.target
        receipt = self._peer.send(
            _meant(target),
            send.data,
            self._chosen.duplicates,
            self._timeout,
            ordered=self._chosen.ordered,
        )
        await _settled(receipt, self._timeout)
        if not receipt.delivered:
            raise StatementFailed(f"{target} did not get it: {receipt.reason}")

    async def _receive(self, count: int) -> None:
        for got in range(count):
            try:
                message = await self._inbox.recv(self._chosen.timeout)
            except DeliveryTimeout:
                raise StatementFailed(
                    f"{got} of {count} messages came, no other within {self._chosen.timeout:g} s"
                ) from None
            if self._shows_received:
                self.saw(message)
                self._show(received(message, self._line))

    async def _broadcast(self, data: str) -> None:
        receipt = self._peer.broadcast(data, self._timeout)
        await _settled(receipt, self._timeout)
        if receipt.reason is not None:
            raise StatementFailed(f"nothing left this peer: {receipt.reason}")
        if not receipt.complete:
            self._note(
                f"{self._where}BCAST: {receipt.reached} peers are known to have it after {self._timeout:g} s, "
                "and it goes on spreading"
            )

    def _choose(self, options: Options) -> None:
        set_now = {
            name: value for name in options.__struct_fields__ if (value := getattr(options, name)) is not None
        }
        self._chosen = msgspec.structs.replace(self._chosen, **set_now)

    async def _wait(self, seconds: float | None) -> None:
        if not await self._arrivals.wait(seconds):
            self._note(f"{self._where}WAIT: no peer joined within {seconds:g} s")

    async def _lookup(self, lookup: Lookup) -> None:
        found = await self._peer.lookup(_meant(lookup.target), self._timeout)
        if isinstance(found, LookupFailure):
            raise StatementFailed(f"nobody was found: {found.value}")
        self._show(
            Found(
                line=self._line,
                place=f"{found.place:064x}",
                owner=address_text(*found.owner),
                route=tuple(address_text(*each) for each in found.route),
                hops=found.hops,
                seconds=found.seconds,
            )
        )

    def _expect(self, text: str) -> None:
        if self._last is None:
            raise ExpectationMissed("nothing was received before it")
        if self._last.data != text.encode():
            raise ExpectationMissed(f"{printable(self._last.data)!r} was received last, not {text!r}")

    @property
    def _where(self) -> str:
        return f"{self._file}:{self._line}: " if self._file else ""

    @contextmanager
    def _blamed(self, line: ScriptLine) -> Iterator[None]:
        """Errors name the statement."""
        where = f"{self._where}{verb_of(line.statement)}: "
        try:
            yield
        except ExpectationMissed as missed:
            raise ExpectationMissed(f"{where}{missed}") from None
        except CicadaError as error:
            raise StatementFailed(f"{where}{error}") from error


def received(message: Message, line: int) -> Received:
    """A message, to be shown. ``line``: of the RECV that took it, 0: of none."""
    data, encoding = encoded(message.data)
    return Received(
        line=line,
        kind=message.kind,
        source=address_text(*message.source),
        data=data,
        encoding=encoding,
        trust=message.trust,
        hops=message.hops,
    )


def address_text(host: str, port: int) -> str:
    """An address as statements and people write it; of a hidden peer the name alone."""
    return host if not port else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _meant(target: HostTarget | HiddenTarget | PlaceTarget) -> Target:
    match target:
        case HostTarget(host=host, port=port):
            return host, port
        case HiddenTarget(address=address):
            return address
        case PlaceTarget(place=place):
            return Place(place)


async def _settled(receipt: R, timeout: float) -> R:
    """The receipt, settled. It is within its own time-out, unless its peer has ended."""
    try:
        async with asyncio.timeout(timeout + SCRIPT.grace):
            return await receipt
    except TimeoutError:
        raise StatementFailed(f"no word of it within {timeout:g} s: this peer has ended") from None
