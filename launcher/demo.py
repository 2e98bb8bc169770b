"""``cicada demo``: a swarm of 20 from start to end, by the same means as every other swarm."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from cicada.commands import (
    BroadcastResult,
    Done,
    Kill,
    LoadResult,
    Lookup,
    LookupResult,
    RunLoad,
    Send,
    SendResult,
    SendToAll,
)
from cicada.config import Config, parse_config
from cicada.errors import Unavailable
from cicada.limits import CLI
from launcher import output
from launcher.client import SwarmClient
from launcher.detach import lifeline, spawn_detached
from launcher.exits import Exit
from launcher.load.hdr import require_histograms
from launcher.load.text import is_flawless, load_lines
from launcher.plan import plan_swarm
from launcher.ports import port_problems

Tour = Callable[[], bool]
"""Shows what a swarm can do; whether everything went right."""

_CONFIG = """\
[swarm]
name = "{name}"
seed = 7

[[group]]
name = "core"
count = {count}
address = "127.0.0.1:{port}"
"""


def demo_config(peers: int = CLI.demo_peers, name: str = "demo") -> Config:
    """A swarm of so many on the first free ports. Raises Unavailable when there are none."""
    for port in range(CLI.demo_first_port, CLI.demo_last_port - peers, CLI.demo_peers):
        config = parse_config(_CONFIG.format(name=name, count=peers, port=port), file=name)
        if not port_problems(plan_swarm(config, os.cpu_count() or 1).peers):
            return config
    raise Unavailable(
        f"no {peers} free ports in a row between {CLI.demo_first_port} and {CLI.demo_last_port}"
    )


def run_demo(run_dir: Path | None, around: Callable[[Path, Tour], bool] = lambda _, tour: tour()) -> Exit:
    """Start, prove, deliver, kill, heal, end; the exit code says whether all of it went right.

    ``around`` is given the run folder and the tour through the swarm, and lets the swarm end by returning how the tour went.
    """
    since = time.monotonic()
    config = demo_config()
    output.show([f"starting {config.peer_count} peers in worker processes ..."])
    with lifeline() as life:
        folder = Path(spawn_detached(config, run_dir, since=since, lifeline=life).run_dir)
        try:
            right = around(folder, lambda: _toured(folder))
        finally:
            with SwarmClient(folder) as swarm:
                swarm.down(CLI.down)
    output.show(["", f"the swarm has ended and nothing of it is running; its record is in {folder}"])
    return Exit.OK if right else Exit.FAILURE


def _toured(folder: Path) -> bool:
    with SwarmClient(folder) as swarm:
        return _tour(swarm)


def _tour(swarm: SwarmClient) -> bool:
    """Show what a swarm can do; whether everything went right."""
    _title("a ring of 20 peers, proven against the sorted truth")
    output.show(output.status_lines(swarm.wait_proven(CLI.demo_wait)))
    steps = (_show_lookup, _show_message, _show_broadcast, _show_load, _show_healing)
    return sum(step(swarm) for step in steps) == len(steps)  # a step that fails hides no other


def _show_lookup(swarm: SwarmClient) -> bool:
    _title("who is responsible for core-13? core-0 asks the ring", "cicada lookup core-13 --via core-0")
    found = swarm.ask(Lookup(value="core-13", via="core-0"), LookupResult, CLI.grace)
    output.show(output.lookup_lines(found))
    return found.right and not found.failure


def _show_message(swarm: SwarmClient) -> bool:
    _title("core-0 sends core-13 a message", 'cicada send core-13 "hello" --via core-0')
    receipt = swarm.ask(Send(target="core-13", payload=b"hello", via="core-0"), SendResult, CLI.grace)
    output.show(output.send_lines(receipt))
    return receipt.status == "delivered"


def _show_broadcast(swarm: SwarmClient) -> bool:
    _title("core-0 tells all others", 'cicada broadcast "hello, all" --via core-0')
    reached = swarm.ask(SendToAll(payload=b"hello, all", via="core-0"), BroadcastResult, CLI.grace)
    output.show(output.broadcast_lines(reached))
    return reached.reached >= reached.expected


def _show_load(swarm: SwarmClient) -> bool:
    _title(
        f"{CLI.demo_messages} messages between random peers",
        f"cicada load --count {CLI.demo_messages} --rate {CLI.demo_rate:g}",
    )
    try:
        require_histograms()
    except Unavailable as missing:
        output.show([output.faint(f"left out: {missing}")])
        return True
    command = RunLoad(rate=CLI.demo_rate, count=CLI.demo_messages)
    result = swarm.ask(command, LoadResult, CLI.demo_messages / CLI.demo_rate + command.timeout + CLI.grace)
    output.show(load_lines(result))
    return is_flawless(result)


def _show_healing(swarm: SwarmClient) -> bool:
    _title("core-7 dies without a farewell, and the ring heals", "cicada kill core-7 --hard")
    begun = time.monotonic()
    swarm.ask(Kill(select="core-7", hard=True), Done, CLI.grace)
    status = swarm.wait_proven(CLI.demo_wait)
    healed = output.good("ring proven again")
    output.show([f"{healed}: {status.joined} peers, {time.monotonic() - begun:.1f} s after the kill"])
    return True


def _title(text: str, command: str = "") -> None:
    output.show(["", output.strong(text) + (f"  {output.faint(command)}" if command else "")])
