"""Plans and accounts in memory, for tests of loads."""

from __future__ import annotations

from typing import Any

from cicada.commands import RunLoad
from cicada.ids import Address
from launcher.load.account import Accountant
from launcher.load.ledger import Layout, Ledger
from launcher.load.plan import LoadPeer, LoadPlan
from launcher.load.spec import plan_load

PEERS = tuple(LoadPeer(f"core-{index}", Address(f"127.0.0.1:{20000 + index}")) for index in range(5))
MIXED = {"send": 80.0, "lookup": 15.0, "broadcast": 5.0}


def plan(count: int = 20, *, run: int = 9, peers: tuple[LoadPeer, ...] = PEERS, **asked: Any) -> LoadPlan:
    """A load of 100 operations a second, unless it is asked for otherwise."""
    if "stages" not in asked and asked.get("model") != "closed":
        asked.setdefault("rate", 100.0)
    if "stages" not in asked and "duration" not in asked:
        asked["count"] = count
    asked.setdefault("seed", 1)
    return plan_load(RunLoad(**asked), peers, run)


class Account(Accountant):
    """An account in memory; ``lives_on`` is another process that goes on with it."""

    def __init__(self, load: LoadPlan, buffer: bytearray | None = None) -> None:
        self._load = load
        layout = Layout.of(load)
        self.buffer = bytearray(layout.bytes) if buffer is None else buffer
        self.ledger = Ledger(self.buffer, layout)
        super().__init__(load, self.ledger)

    def lives_on(self) -> Account:
        return Account(self._load, self.buffer)
