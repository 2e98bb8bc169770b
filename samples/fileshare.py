"""Share files in a swarm, and fetch them from everybody who has them.

    python samples/fileshare.py share FILE... [--join HOST:PORT] [--bind HOST:PORT]
    python samples/fileshare.py find [TEXT] --join HOST:PORT
    python samples/fileshare.py fetch DIGEST|LINK [--join HOST:PORT] [--to FOLDER]

A digest names the hashes of all chunks of a file, so nobody can give anything else for it. What was fetched so far survives
kill -9, and the same command goes on with it. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. docs/fileshare.md.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cicada.aio import SwarmPeer
from cicada.errors import CicadaError, MalformedMessage, Misuse
from cicada.ids import split_address

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a script, this has only its own folder there

from samples.filesharing.chunks import CHUNK, KIB, LEAST_CHUNK, MOST_CHUNK
from samples.filesharing.download import Download, shown
from samples.filesharing.fetching import Begin, Dropped, Output, Store
from samples.filesharing.names import Link, link_of, safe_name, size_text
from samples.filesharing.serving import Sharing
from samples.filesharing.shelf import Shared, files_in, shared
from samples.filesharing.wire import Offers, Wanted, decode, encode

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
JOIN_S: Final = 20.0
MOST_FOUND: Final = 10_000  # different files that ``find`` keeps

errors: Final = Console(stderr=True, highlight=False)


def bar() -> Progress:
    """Bytes, rate and what is left, on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


async def joined(options: argparse.Namespace, seeds: Sequence[str]) -> SwarmPeer:
    """A peer in the ring of the first seed that lets it in, or a ring of its own. Raises Misuse, Unavailable and RingNotReady."""
    host, port = split_address(options.bind)
    peer = SwarmPeer(host, port, **({"swarm_keys": options.swarm_key} if options.swarm_key else {}))
    try:
        for number, seed in enumerate(seeds, 1):
            try:
                await peer.connect(*split_address(seed), timeout=JOIN_S)
                break
            except CicadaError:
                if number == len(seeds):
                    raise
    except BaseException:
        peer.kill()
        raise
    return peer


# share


async def share(options: argparse.Namespace) -> int:
    """Hash what is new, print a link for each file, and answer until interrupted."""
    files = await asyncio.to_thread(hashed, list(files_in(options.files)), options.chunk * KIB)
    if not files:
        raise Misuse("there are no files in it: name one, or a folder that has some")
    peer = await joined(options, options.join)
    given: Counter[str] = Counter()
    async with peer:
        for file in files:
            link = Link(file.chunks.digest, safe_name(file.path.name), (shown(peer.listener),))
            print(link, flush=True)
        errors.print(f"sharing {len(files)} files at {shown(peer.listener)}; Ctrl-C ends it")
        sharing = Sharing(peer, files, lambda asker, size: given.update({shown(asker): size}))
        try:
            await sharing.run()
        finally:
            for asker, size in given.most_common():
                errors.print(f"gave {size_text(size)} to {asker}")
    return OK


def hashed(paths: Sequence[Path], chunk: int) -> list[Shared]:
    """All of them, with a bar while it takes long."""
    with bar() as progress:
        task = progress.add_task("hashing", total=sum(path.stat().st_size for path in paths))
        return [
            shared(path, chunk=chunk, progress=lambda read: progress.advance(task, read)) for path in paths
        ]


# find


async def find(options: argparse.Namespace) -> int:
    """Print a line for each file that anybody offers within the time: digest, size, how many have it, name."""
    found: dict[bytes, tuple[int, str, set[str]]] = {}

    async def listen() -> None:
        async for message in peer:
            try:
                offers = decode(message.data)
            except MalformedMessage:
                continue
            for file in offers.files if isinstance(offers, Offers) else ():
                if file.digest in found or len(found) < MOST_FOUND:
                    entry = found.setdefault(file.digest, (file.size, safe_name(file.name), set()))
                    entry[2].add(shown(message.source))

    async with await joined(options, options.join) as peer:
        listener = asyncio.create_task(listen())
        peer.broadcast(encode(Wanted(None)))
        await asyncio.sleep(options.seconds)
        listener.cancel()
    matching = [
        (digest, entry) for digest, entry in found.items() if options.text.lower() in entry[1].lower()
    ]
    for digest, (size, name, peers) in sorted(matching, key=lambda one: one[1][1]):
        print(digest.hex(), f"{size_text(size):>10}", f"{len(peers):>3}", name)
    return OK if matching else FAILED


# fetch


class Shown:
    """What a fetch does, as a bar and a line for each peer that is dropped."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(escape(what), total=None)

    def resumed(self, size: int) -> None:
        """Bytes of an earlier time."""
        self._progress.advance(self._task, size)

    def told(self, output: Output) -> None:
        """What the rules say."""
        match output:
            case Begin(chunks, _):
                self._progress.update(self._task, total=chunks.size)
            case Store(_, data):
                self._progress.advance(self._task, len(data))
            case Dropped(holder, fault, chunks):
                errors.print(escape(f"dropped {holder}: {fault} (after {chunks} chunks)"))
            case _:
                pass


async def fetch(options: argparse.Namespace) -> int:
    """Fetch it, print where it is."""
    link = link_of(options.what)
    link = link._replace(peers=(*link.peers, *options.peer), name=options.name or link.name)
    seeds = options.join or [peer for peer in link.peers if not peer.startswith("@")]
    if not seeds:
        raise Misuse("whom to ask? use --join HOST:PORT, or a link that names a peer")
    options.to.mkdir(parents=True, exist_ok=True)
    async with await joined(options, seeds) as peer:
        with bar() as progress:
            view = Shown(progress, link.name or link.digest.hex()[:12])
            download = Download(
                peer, link, options.to, patience=options.patience, tell=view.told, resumed=view.resumed
            )
            print(await download.run())
    return OK


# The command line


def parser() -> argparse.ArgumentParser:
    """Of all three commands."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="share|find|fetch")
    one = _command(commands, "share", share)
    one.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="files, and folders with all that is in them"
    )
    one.add_argument(
        "--chunk", type=int, default=CHUNK // KIB, choices=_CHUNKS, metavar="KIB", help="size of chunks"
    )
    one = _command(commands, "find", find)
    one.add_argument("text", nargs="?", default="", help="what the name has in it")
    one.add_argument("--seconds", type=float, default=3.0, help="to wait for answers")
    one = _command(commands, "fetch", fetch)
    one.add_argument("what", metavar="DIGEST|LINK")
    one.add_argument("--to", type=Path, default=Path(), metavar="FOLDER")
    one.add_argument("--name", default="", help="of the file, instead of what others call it")
    one.add_argument("--peer", action="append", default=[], metavar="HOST:PORT", help="somebody who has it")
    one.add_argument(
        "--patience", type=float, default=30.0, metavar="SECONDS", help="without any chunk, then it fails"
    )
    return top


_CHUNKS: Final = [2**power for power in range(32) if LEAST_CHUNK <= 2**power * KIB <= MOST_CHUNK]

Command = Callable[[argparse.Namespace], Awaitable[int]]


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Command
) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=(run.__doc__ or "").partition(".")[0])
    one.set_defaults(run=run)
    one.add_argument("--join", action="append", default=[], metavar="HOST:PORT", help="a member of the swarm")
    one.add_argument(
        "--bind", default="127.0.0.1:0", metavar="HOST:PORT", help="where others reach this peer"
    )
    one.add_argument("--swarm-key", default="", metavar="FILE", help="the key of a closed swarm")
    return one


async def run(options: argparse.Namespace) -> int:
    """The command; SIGTERM ends it as Ctrl-C does."""
    task = asyncio.ensure_future(options.run(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return int(await task)
    except asyncio.CancelledError:
        return INTERRUPTED


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, when the extra ``fast`` is there."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(run(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Misuse as error:
        errors.print(escape(str(error)))
        return USAGE
    except (CicadaError, OSError) as error:
        errors.print(escape(str(error)))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
