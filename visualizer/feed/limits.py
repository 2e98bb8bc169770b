"""How much a window keeps and waits for."""

from __future__ import annotations

from typing import Final

QUEUE: Final = 20_000  # items from the bus that wait for the window; seconds of a busy swarm of 500
SPARE: Final = 15_000  # of these, before what only moves (hops, counts) is dropped for what lasts
POLL_S: Final = 0.2  # how long the bus is waited for before the feed looks whether it is to close
RETRY_S: Final = 1.0  # between two attempts to follow a bus that cannot be followed
CLOSE_S: Final = 3.0  # for the feed's thread to end; it polls that often and then closes sockets

EVENTS: Final = 1_000_000  # in the history; packed they take some 50 bytes each
CHUNK: Final = 2_000  # events that are packed together; folded in 10 to 20 ms
CHECKPOINTS: Final = 48  # folds that are kept to start from; up to 2 MB each with 500 busy peers
SNAPSHOTS: Final = 12  # that begin a part of the history; each has all peers anew
MARKS: Final = 4_000  # on the timeline
LEAP_MS: Final = 86_400_000  # a clock that leaps a day ahead is not believed,
ODD: Final = 16  # before so many events in a row have said so
CLUSTER_MS: Final = 1_000  # what follows trouble within this time is the same trouble
