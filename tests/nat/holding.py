"""A program that holds a mapping through a NatActor, and says what it is told as lines of JSON: {"what": ..., "news": ...}.

``python -m tests.nat.holding PORT [by=PROTOCOL] [LIMIT=SECONDS ...]``; SIGTERM ends it properly.
"""

from __future__ import annotations

import queue
import signal
import sys

import msgspec

from cicada.actors.nat import MapPort, NatActor
from cicada.limits import NAT
from cicada.nat.io import NatNews
from cicada.nat.requests import PROTOCOLS


def main(port: int, protocols: tuple[str, ...], changes: dict[str, float]) -> None:
    heard: queue.SimpleQueue[NatNews | None] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: heard.put(None))
    actor = NatActor.start(protocols=protocols, limits=msgspec.structs.replace(NAT, **changes))
    actor.tell(MapPort(port=port, tell=heard.put))
    try:
        while (news := heard.get()) is not None:
            said = {"what": type(news).__name__, "news": msgspec.to_builtins(news)}
            print(msgspec.json.encode(said).decode(), flush=True)
    finally:
        actor.stop(timeout=10.0)


if __name__ == "__main__":
    options = dict(text.split("=") for text in sys.argv[2:])
    only = options.pop("by", "")
    main(
        int(sys.argv[1]),
        (only,) if only else PROTOCOLS,
        {name: int(value) if name == "lease" else float(value) for name, value in options.items()},
    )
