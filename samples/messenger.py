"""Chat in a swarm: channels for all, private messages for one, in the terminal.

    python samples/messenger.py --name alice --bind 127.0.0.1:50000
    python samples/messenger.py --name bob --join 127.0.0.1:50000

``/help`` lists the commands. Without ``--bind`` the peer listens on a free port of the interface towards the router
(of this machine, when the members to join are on it), and behind a router it is hidden until that maps its port: so give
``--join`` a member that can be dialled. Whoever is in the swarm can read
its channels; ``--swarm-key`` closes it. Exit codes: 0 quit, 1 the address cannot be had, 2 wrong usage. docs/chat.md.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NoReturn

from cicada.aio import SwarmPeer
from cicada.errors import CicadaError, ConfigError, Misuse
from cicada.ids import split_address

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a script, this has only its own folder there

from samples.chat.carrier import Carrier
from samples.chat.commands import address_of
from samples.chat.limits import LIMITS, ChatLimits
from samples.chat.text import CHANNEL_RULE, NAME_RULE, channel_of, name_of

if TYPE_CHECKING:
    from samples.chat.app import Messenger

OK, FAILED, USAGE = 0, 1, 2
LACKING: Final = "the messenger needs textual: pip install 'cicada-swarm[chat]'"
CHANNEL: Final = "#general"  # unless others are named
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - the library takes the interface towards the router
END_S: Final = 6.0


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Ends with USAGE."""
        self.exit(USAGE, f"messenger: {message}\n")


def a_name(text: str) -> str:
    """The name in lower case."""
    name = name_of(text)
    if name is None:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a name: {NAME_RULE}")
    return name


def a_channel(text: str) -> str:
    """The channel with its ``#``, in lower case."""
    channel = channel_of(text)
    if channel is None:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a channel: {CHANNEL_RULE}")
    return channel


def an_address(text: str) -> tuple[str, int]:
    """HOST:PORT that can be dialled."""
    try:
        return address_of(text)
    except Misuse as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def a_place(text: str) -> tuple[str, int]:
    """HOST:PORT to listen at; port 0 is a free one."""
    try:
        return split_address(text)
    except Misuse as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    top = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--name", type=a_name, required=True, help=f"what others call you: {NAME_RULE}")
    top.add_argument("--bind", type=a_place, metavar="HOST:PORT", help="where others reach this peer")
    top.add_argument(
        "--join", type=an_address, nargs="+", action="extend", default=[], metavar="HOST:PORT", help="members"
    )
    top.add_argument(
        "--channel",
        type=a_channel,
        nargs="+",
        action="extend",
        metavar="#CHANNEL",
        help=f"default: {CHANNEL}",
    )
    top.add_argument("--swarm-key", metavar="FILE", help="of a closed swarm")
    return top


def default_bind(seeds: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """A free port of the interface towards the router; of loopback, when the swarm is on this machine."""
    local = seeds and all(host == "localhost" or host.startswith(("127.", "::1")) for host, _ in seeds)
    return ("127.0.0.1" if local else EVERYWHERE, 0)


def leave_by_signals(app: Messenger, peer: SwarmPeer) -> None:
    """SIGTERM and a terminal that is closed are as ``/quit``. A window whose terminal is gone, or takes no more, blocks for ever
    when it writes there, so it has a while for its end and no more: not a matter for the event loop, which it may block."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        os._exit(FAILED if peer.bound else OK)

    def leave(*_: object) -> None:
        loop.call_soon_threadsafe(app.call_later, app.action_leave)
        last = threading.Timer(END_S, end)
        last.daemon = True
        last.start()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


async def chat(options: argparse.Namespace, limits: ChatLimits = LIMITS) -> int:
    """Show the window until the user quits. Raises Misuse and Unavailable when the peer cannot be bound so."""
    from samples.chat.app import Messenger

    keys = {"swarm_keys": options.swarm_key} if options.swarm_key else {}
    peer = SwarmPeer(**keys)
    try:
        peer.bind(*(options.bind or default_bind(options.join)))
        carrier = Carrier(
            peer,
            options.name,
            Random(secrets.randbits(64)),
            limits,
            seeds=options.join,
            channels=options.channel or [CHANNEL],
        )
        app = Messenger(carrier, limits)
        leave_by_signals(app, peer)
        await app.run_async()
        return app.return_code or OK
    finally:
        await peer.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the messenger; returns its exit code."""
    if importlib.util.find_spec("textual") is None:
        print(LACKING, file=sys.stderr)
        return USAGE
    options = parser().parse_args(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        print("messenger: this is no terminal", file=sys.stderr)
        return USAGE
    logging.getLogger("cicada").addHandler(
        logging.NullHandler()
    )  # lines of a log would be written over the window
    try:
        return asyncio.run(chat(options))
    except (Misuse, ConfigError) as error:
        print(f"messenger: {error}", file=sys.stderr)
        return USAGE
    except (CicadaError, OSError) as error:
        print(f"messenger: {error}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
