"""What the cores were given and what they said, as text and as one hash that tells two runs apart."""

from __future__ import annotations

import hashlib

from cicada.chord.io import RingInput, RingOutput
from cicada.ids import Peer
from cicada.routing.io import RouterInput, RouterOutput

Input = RingInput | RouterInput
Outputs = list[RingOutput] | list[RouterOutput]


def line(now: float, peer: Peer, input: Input, outputs: Outputs) -> str:
    """One input and its outputs, exactly: equal lines stand for equal values."""
    return f"{now!r} {peer.address} {input!r} -> {outputs!r}"


class Fingerprint:
    """A recorder for ``swarm.world.recorders``: the hash of all lines so far. Two runs with one hash are the same run."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines = 0

    def __call__(self, now: float, peer: Peer, input: Input, outputs: Outputs) -> None:
        self._hash.update(line(now, peer, input, outputs).encode())
        self._hash.update(b"\n")
        self.lines += 1

    def hex(self) -> str:
        """The hash until now, 32 digits."""
        return self._hash.hexdigest()
