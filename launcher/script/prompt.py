"""``cicada peer`` without a script: statements by hand, and messages above the line one types at, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout

from cicada.aio import HostPort, SwarmPeer
from cicada.chord.io import RingSnapshot
from cicada.errors import CicadaError
from launcher import output
from launcher.exits import Exit
from launcher.script.prompting import (
    Help,
    PromptWord,
    Quit,
    ShowPeers,
    ShowStatus,
    completions,
    help_lines,
    parse_prompt,
)
from launcher.script.run import shower
from launcher.script.runner import Runner, address_text, received
from launcher.script.session import Stay, staying, unless_failed, until_interrupted
from launcher.script.statements import AnyStatement, HiddenTarget, HostTarget, ScriptLine
from launcher.script.waiting import Arrivals, ShownInbox
from launcher.terminal import line_editor

_PROMPT = "cicada> "


def run_prompt(stay: Stay, *, as_json: bool) -> Exit:
    """A peer that does what is typed, until QUIT or the end of input."""
    statements = _Statements()

    async def work() -> None:
        async with staying(stay, output.progress) as (peer, arrivals, watch):
            with patch_stdout():
                await unless_failed(Prompt(peer, arrivals, statements, as_json=as_json).converse(), watch)

    return asyncio.run(until_interrupted(work(), statements.cancel))


class _Statements:
    """The statement that runs at present, which Ctrl-C ends without ending the peer. ``is_open``: there may be one."""

    def __init__(self) -> None:
        self.is_open = False
        self._task: asyncio.Task[None] | None = None

    def cancel(self) -> bool:
        """Whether a Ctrl-C meant statements. One that comes when none runs any more, or yet, does nothing."""
        if self._task is not None:
            self._task.cancel()
        return self.is_open

    async def run(self, runner: Runner, statement: AnyStatement) -> None:
        """Until it is done, or cancelled. Raises what it raises."""
        self._task = asyncio.create_task(runner.run(ScriptLine(number=0, statement=statement)))
        try:
            await self._task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                self._task.cancel()
                raise
            output.progress("interrupted")
        finally:
            self._task = None


class Prompt:
    """Takes lines and carries them out, while messages are shown as they come."""

    def __init__(
        self, peer: SwarmPeer, arrivals: Arrivals, statements: _Statements, *, as_json: bool
    ) -> None:
        self._peer = peer
        self._statements = statements
        self._inbox = ShownInbox()
        self._show = shower(as_json=as_json)
        self._runner = Runner(
            peer, self._inbox, arrivals, show=self._show, note=output.progress, shows_received=False
        )

    async def converse(self) -> None:
        """Until QUIT, Ctrl-D or the end of input."""
        editor = line_editor("peer", self._complete)
        collecting = asyncio.create_task(self._collect())
        self._statements.is_open = True
        try:
            while await self._take_line(editor):
                pass
        finally:
            self._statements.is_open = False
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    async def _take_line(self, editor: PromptSession[str]) -> bool:
        """Whether to go on."""
        try:
            asked = parse_prompt(await editor.prompt_async(_PROMPT, handle_sigint=False))
            if isinstance(asked, Quit):
                return False
            await self._carry_out(asked)
        except EOFError:
            return False
        except KeyboardInterrupt:
            return True  # Ctrl-C while typing: another line
        except CicadaError as error:
            output.progress(str(error))
        return True

    async def _carry_out(self, asked: AnyStatement | PromptWord | None) -> None:
        match asked:
            case None | Quit():
                pass
            case Help():
                output.show(help_lines())
            case ShowPeers():
                output.show(_peer_lines(self._peer))
            case ShowStatus():
                output.show(_status_lines(self._peer, await self._peer.snapshot()))
            case _:
                await self._statements.run(self._runner, asked)

    async def _collect(self) -> None:
        while True:
            message = await self._peer.recv(None)
            self._show(received(message, 0))
            self._runner.saw(message)
            self._inbox.put(message)

    def _complete(self, before: str) -> list[str]:
        return completions(before, [_target(peer) for peer in self._peer.peers])


def _target(peer: HostPort) -> HostTarget | HiddenTarget:
    return HostTarget(host=peer.host, port=peer.port) if peer.port else HiddenTarget(address=peer.host)


def _peer_lines(peer: SwarmPeer) -> Iterator[str]:
    known = peer.peers
    yield f"{len(known)} {'peer' if len(known) == 1 else 'peers'} known"
    for each in known:
        yield f"  {address_text(*each)}"


def _status_lines(peer: SwarmPeer, ring: RingSnapshot) -> Iterator[str]:
    stats = peer.stats()
    yield f"{peer.address}  place {peer.hash:064x}"
    yield f"  ring      {ring.phase}, {len(ring.successors)} successors, {len(peer.peers)} peers known"
    yield f"  messages  {stats.sent} sent, {stats.delivered} delivered, {stats.failed} failed"
