"""How a running swarm heals when a share of its peers dies at once, and what lookups between survivors meet meanwhile.

    cicada up configs/swarm-200.toml -d --wait 60s
    python -m benchmarks.healing [RUN] [--kill 30%] [--rate 100] [--json]

The chosen peers end without a farewell. From that moment survivors look up survivors' places; a lookup succeeds when it
names the peer that lives there. Reports the seconds and rounds until the ring is proven again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path

from cicada.commands import (
    AnyCommand,
    AnyReply,
    GetPeers,
    GetStatus,
    Kill,
    Lookup,
    LookupResult,
    PeerRow,
    Peers,
    Status,
)
from cicada.control import RemoteRef

ANSWER_S = 30.0
GIVE_UP_S = 120.0
LEAST_LOOKUPS = (
    100  # a ring may heal before so many began: those after it count too, since its fingers still heal
)
SEED = 5


class Healing:
    """One death of many, watched."""

    def __init__(self, launcher: RemoteRef[AnyCommand, AnyReply], rate: float) -> None:
        self._launcher = launcher
        self._rate = rate
        self._rng = random.Random(SEED)
        self._outcomes: Counter[str] = Counter()
        self._is_over = False

    async def kill(self, share: str) -> dict[str, float]:
        """Kill ``share`` of the peers, and watch until the ring is proven."""
        before = await self._status()
        began = time.perf_counter()
        await self._launcher.ask(Kill(select=share, hard=True), ANSWER_S)
        survivors = await self._live()
        lookups = asyncio.create_task(self._look_up(survivors))
        while not (status := await self._status()).ring_proven:
            if time.perf_counter() - began > GIVE_UP_S:
                raise SystemExit(f"not proven within {GIVE_UP_S:.0f} s")
        seconds, rounds = time.perf_counter() - began, before.rounds
        self._is_over = True
        await lookups
        return {
            "peers": before.joined,
            "killed": before.joined - len(survivors),
            "seconds_to_proven": seconds,
            "rounds_to_proven": status.rounds - rounds,
            "lookups": self._outcomes.total(),
            **{f"lookups_{name}": count for name, count in self._outcomes.items()},
        }

    async def _look_up(self, survivors: list[PeerRow]) -> None:
        async with asyncio.TaskGroup() as group:
            while not self._is_over or self._outcomes.total() < LEAST_LOOKUPS:
                source, target = self._rng.sample(survivors, 2)
                group.create_task(self._one(source, target))
                await asyncio.sleep(1.0 / self._rate)

    async def _one(self, source: PeerRow, target: PeerRow) -> None:
        found = await self._launcher.ask(Lookup(value=target.address, via=source.name), ANSWER_S)
        if not isinstance(found, LookupResult):
            self._outcomes["refused"] += 1
        elif found.failure:
            self._outcomes[found.failure] += 1
        else:
            self._outcomes["right" if found.owner == target.address else "wrong"] += 1

    async def _status(self) -> Status:
        status = await self._launcher.ask(GetStatus(), ANSWER_S)
        if not isinstance(status, Status):
            raise SystemExit(str(status))
        return status

    async def _live(self) -> list[PeerRow]:
        peers = await self._launcher.ask(GetPeers(), ANSWER_S)
        if not isinstance(peers, Peers):
            raise SystemExit(str(peers))
        return [row for row in peers.rows if row.phase == "member"]


async def run(folder: Path, share: str, rate: float) -> dict[str, float]:
    """Heal the swarm of ``folder``."""
    control = json.loads((folder / "run.json").read_text())["control"]
    async with RemoteRef[AnyCommand, AnyReply](
        control, commands=AnyCommand, replies=AnyReply, what="launcher"
    ) as launcher:
        return await Healing(launcher, rate).kill(share)


def main() -> None:
    """Print what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/latest"))
    parser.add_argument("--kill", default="30%")
    parser.add_argument("--rate", type=float, default=100.0, help="lookups a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(run(options.run, options.kill, options.rate))
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):18} {value:,.2f}".removesuffix(".00"))


if __name__ == "__main__":
    main()
