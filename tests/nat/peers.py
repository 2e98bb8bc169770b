"""Peers at work inside the lab's hosts."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.nat.lab import Host
from tests.nat.programs import PATIENCE, Program

PORT = 6000


class PeerProgram(Program):
    """A peer bound to its host's address. What it says is kept until somebody waits for it."""

    def __init__(self, host: Host, *argv: str, port: int = PORT) -> None:
        super().__init__(host, "-m", "tests.nat.peer_program", host_ip(host), str(port), *argv)
        self._kept: list[dict[str, Any]] = []
        self.address = str(self.heard("bound")["address"])

    def do(self, **command: object) -> None:
        """Have it do something."""
        if self.process.stdin is None:
            raise RuntimeError("its input is closed")
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def heard(self, what: str, seconds: float = PATIENCE, **facts: object) -> dict[str, Any]:
        """The first thing of that kind, with these facts, that it said and nobody waited for. Raises as ``said``."""
        give_up = time.monotonic() + seconds
        for said in self._kept:
            if said["said"] == what and facts.items() <= said.items():
                self._kept.remove(said)
                return said
        while True:
            said = dict(self.said(seconds=max(0.0, give_up - time.monotonic())))
            if said["said"] == "AddressChanged":
                self.address = said["address"]
            if said["said"] == what and facts.items() <= said.items():
                return said
            self._kept.append(said)

    def connect(self, seed: str) -> None:
        """Enter the ring of the peer at ``seed``."""
        self.do(do="connect", seed=seed)
        self.heard("connected")

    def moves_to(self, prefix: str, seconds: float = PATIENCE) -> str:
        """Wait until it has an address that begins so; the address."""
        give_up = time.monotonic() + seconds
        while not self.address.startswith(prefix):
            self.heard("AddressChanged", max(0.0, give_up - time.monotonic()))
        return self.address

    def leave(self, seconds: float = PATIENCE) -> int:
        """Close its input, so that it leaves; its exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        return int(self.process.wait(seconds))


def host_ip(host: Host) -> str:
    """The address that programs on the host bind to."""
    return host.address


def exchange(one: PeerProgram, other: PeerProgram, text: str, seconds: float = 10.0) -> None:
    """Both send to the other's present address, and both messages arrive and are acknowledged."""
    for sender, receiver in ((one, other), (other, one)):
        deliver(sender, receiver, text, seconds)


def deliver(sender: PeerProgram, receiver: PeerProgram, text: str, seconds: float = 10.0) -> None:
    """A message arrives and is acknowledged within so many seconds."""
    sender.do(do="send", to=receiver.address, data=text, timeout=seconds)
    settled = sender.heard("settled", seconds + 5.0, data=text)
    assert settled["status"] == "delivered", settled
    receiver.heard("received", 5.0, data=text)
